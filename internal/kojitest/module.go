package kojitest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Keys of the extra of a module's tags (plugins/hub/module_build.py).
const (
	keyTask     = "module.task"
	keyIdentity = "module.identity"
	keyPin      = "module.pin"
	keyPlan     = "module.plan"
)

const generator = "module-builder"

func moduleMethods() map[string]method {
	return map[string]method{
		"moduleBuild":         handle(2, (*call).moduleBuild),
		"host.moduleReserve":  handle(1, (*call).moduleReserve),
		"host.moduleTags":     handle(2, (*call).moduleTags),
		"host.moduleTagBuild": handle(2, (*call).moduleTagBuild),
		"host.moduleRepo":     handle(1, (*call).moduleRepo),
		"host.moduleFinish":   handle(2, (*call).moduleFinish),
	}
}

var (
	scmURL     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://[!-~]+#[A-Za-z0-9_.][!-~]*$`)
	uploadName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_+%=,~.-]*(/[A-Za-z0-9_][A-Za-z0-9_+%=,~.-]*)+$`)
	moduleName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9+._-]{0,99}$`)
	contextID  = regexp.MustCompile(`^[A-Za-z0-9]{1,10}(_[0-9]{1,6})?$`)
	versionID  = regexp.MustCompile(`^[1-9][0-9]{0,19}$`)
)

// moduleOpts are the options of a module build.
type moduleOpts struct {
	Scratch    bool              `xmlrpc:"scratch"`
	KeepGoing  bool              `xmlrpc:"keep_going"`
	Background bool              `xmlrpc:"background"`
	Version    any               `xmlrpc:"version"`
	Name       string            `xmlrpc:"name"`
	Stream     string            `xmlrpc:"stream"`
	Resume     int64             `xmlrpc:"resume"`
	SRPMs      map[string]string `xmlrpc:"srpms"`
}

type moduleBuildParams struct {
	Source string         `xmlrpc:"source"`
	Target string         `xmlrpc:"target"`
	Opts   map[string]any `xmlrpc:"opts"`
}

func (c *call) moduleBuild(p moduleBuildParams) (any, error) {
	if err := c.needLogin(); err != nil {
		return nil, err
	}
	if !scmURL.MatchString(p.Source) && !uploadName.MatchString(p.Source) {
		return nil, fault(errParameter, "the source must be URL#REF or the path of an uploaded file, not %s", repr(p.Source))
	}
	kept := map[string]any{}
	for k, v := range p.Opts {
		if v != nil && v != false {
			kept[k] = v
		}
	}
	opts, err := readOpts(kept)
	if err != nil {
		return nil, err
	}
	if v, ok := kept["version"].(int64); ok {
		kept["version"] = fmt.Sprint(v)
	}
	target := c.h.state.target(p.Target)
	if target == nil {
		return nil, fault(errGeneric, "No such build target: %s", p.Target)
	}
	if err := c.modulePolicy(c.user, p.Source, target.name); err != nil {
		return nil, err
	}
	if opts.Resume != 0 {
		before := c.moduleTask(opts.Resume, c.user)
		switch {
		case before == nil || before.root != before.task.id:
			return nil, fault(errActionNotAllowed, "task %d is no module build of yours", opts.Resume)
		case before.task.state != taskFailed && before.task.state != taskCanceled:
			return nil, fault(errActionNotAllowed, "task %d has neither failed nor been cancelled", opts.Resume)
		case before.source != p.Source || before.target != p.Target || before.opts.Scratch != opts.Scratch:
			return nil, fault(errActionNotAllowed, "task %d built another source, target or kind", opts.Resume)
		}
	}
	o := taskOptions{}
	if opts.Background {
		o.priority = ptr(25)
	}
	request := map[string]any{"__method__": "moduleBuild", "source": p.Source, "target": target.name, "opts": kept}
	t, err := c.makeTask("moduleBuild", []any{request}, o)
	if err != nil {
		return nil, err
	}
	return t.id, nil
}

func (c *call) modulePolicy(u *user, source, target string) error {
	if c.h.opts.ModulePolicy == nil {
		if !slices.Contains(u.perms, "admin") {
			return fault(errActionNotAllowed, "without a policy module_build only administrators build modules")
		}
	} else if !c.h.opts.ModulePolicy(u.name, source, target) {
		return fault(errActionNotAllowed, "policy violation (module_build)")
	}
	return nil
}

// A moduleTask is a moduleBuild task, or one of its contexts.
type moduleTask struct {
	task           *task
	root           int64 // id of the moduleBuild task
	given          *identity
	source, target string
	opts           moduleOpts
	chain          []int64 // the root and what it resumes
	to             *target
}

// moduleTask returns nil for what is no module's task, or not the owner's (nil for
// anybody's).
func (c *call) moduleTask(id int64, owner *user) *moduleTask {
	t := c.h.state.tasks[id]
	if t == nil || t.method != "moduleBuild" && t.method != "moduleContext" || owner != nil && t.owner != owner || len(t.request) != 1 {
		return nil
	}
	params, ok := t.request[0].(map[string]any)
	if !ok {
		return nil
	}
	m := &moduleTask{task: t, root: t.id}
	if t.method == "moduleContext" {
		above := c.moduleTask(t.parent, t.owner)
		if above == nil || above.given != nil {
			return nil
		}
		given, err := readIdentity(map[string]any{"name": params["name"], "stream": params["stream"], "version": params["version"],
			"context": params["context"]}, true)
		if err != nil {
			return nil
		}
		m.given, m.root, params = given, above.root, above.task.request[0].(map[string]any)
	}
	m.source, _ = params["source"].(string)
	m.target, _ = params["target"].(string)
	opts, _ := params["opts"].(map[string]any)
	var err error
	if m.opts, err = readOpts(opts); err != nil {
		return nil
	}
	return m
}

// heldModule returns a module's task that the calling host holds.
func (c *call) heldModule(id int64) (*moduleTask, error) {
	if _, err := c.needTask(id); err != nil {
		return nil, err
	}
	m := c.moduleTask(id, nil)
	if m == nil {
		return nil, fault(errActionNotAllowed, "task %d is no module build", id)
	}
	if m.root != id && c.h.state.tasks[m.root].finished() {
		return nil, fault(errActionNotAllowed, "the module build %d above task %d has ended", m.root, id)
	}
	if m.to = c.h.state.target(m.target); m.to == nil {
		return nil, fault(errGeneric, "No such build target: %s", m.target)
	}
	m.chain = []int64{m.root}
	for resume := m.opts.Resume; resume != 0 && !slices.Contains(m.chain, resume); {
		before := c.moduleTask(resume, m.task.owner)
		if before == nil || before.root != resume {
			break
		}
		m.chain = append(m.chain, resume)
		resume = before.opts.Resume
	}
	c.task = m.task
	return m, nil
}

// ofChain reports whether a task is this module build or one that it resumes.
func (c *call) ofChain(m *moduleTask, id int64) bool {
	other := c.moduleTask(id, m.task.owner)
	return other != nil && slices.Contains(m.chain, other.root)
}

// guard refuses changes of a module's tags to all but its own task and those who
// may change all tags.
func (c *call) guard(t *tag, by *user) error {
	mark, ok := t.extra(0)[keyTask].(int64)
	if !ok || c.task != nil && c.task.id == mark || by.may("tag") {
		return nil
	}
	return fault(errActionNotAllowed, "%s belongs to the module build of task %d", t.name, mark)
}

type identity struct{ name, stream, version, context string }

func (i identity) asMap() map[string]any {
	return map[string]any{"name": i.name, "stream": i.stream, "version": i.version, "context": i.context}
}

func (i identity) nvr() (name, version, release string) {
	return i.name, strings.ReplaceAll(i.stream, "-", "_"), i.version + "." + i.context
}

func (i identity) tagName(scratch int64) string {
	parts := []string{i.name, i.stream, i.version, i.context}
	prefix, suffix := "module-", ""
	if scratch != 0 {
		prefix, suffix = "scrmod-", fmt.Sprintf("+%d", scratch)
	}
	if name := prefix + strings.Join(parts, "-") + suffix; len(name+"-build") <= 256 {
		return name
	}
	sum := sha1.Sum([]byte(strings.Join(parts, ".")))
	return prefix + hex.EncodeToString(sum[:])[:16] + suffix
}

func readIdentity(v any, scratch bool) (*identity, error) {
	m, ok := v.(map[string]any)
	if !ok || len(m) != 4 {
		return nil, fault(errParameter, "an identity has name, stream, version and context")
	}
	i := &identity{}
	if n, ok := m["version"].(int64); ok {
		i.version = fmt.Sprint(n)
	} else {
		i.version, _ = m["version"].(string)
	}
	i.name, _ = m["name"].(string)
	i.stream, _ = m["stream"].(string)
	i.context, _ = m["context"].(string)
	switch {
	case !moduleName.MatchString(i.name) || !moduleName.MatchString(i.stream):
		return nil, fault(errParameter, "a module's name or stream cannot be %s, %s", repr(m["name"]), repr(m["stream"]))
	case !versionID.MatchString(i.version):
		return nil, fault(errParameter, "a version cannot be %s", repr(m["version"]))
	case !contextID.MatchString(i.context) || strings.Contains(i.context, "_") && !scratch:
		return nil, fault(errParameter, "a context cannot be %s", repr(m["context"]))
	}
	return i, nil
}

// readOpts reads options, and refuses those that do not exist.
func readOpts(opts map[string]any) (moduleOpts, error) {
	var o moduleOpts
	names := []string{"scratch", "keep_going", "background", "version", "name", "stream", "resume", "srpms"}
	for k := range opts {
		if !slices.Contains(names, k) {
			return o, fault(errParameter, "there is no option %s", k)
		}
	}
	if err := assign(&o, opts); err != nil {
		return o, err
	}
	return o, nil
}

// checksum tells one plan from another.
func checksum(plan any) string {
	data, _ := json.Marshal(plan) // maps are sorted; what came over the wire can be encoded
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// moduleTag returns the tag that the task has reserved, or nil; that of a scratch
// build is found after its end, too.
func (c *call) moduleTag(id int64, deleted bool) *tag {
	for i := len(c.h.state.tags) - 1; i >= 0; i-- {
		t := c.h.state.tags[i]
		for _, e := range t.extras {
			if e.key != keyTask || e.value != id || !e.at(0) && !deleted {
				continue
			}
			if t.identity() != nil {
				return t
			}
		}
	}
	return nil
}

// identity returns whose tag it is or, once deleted, was.
func (t *tag) identity() *identity {
	for _, e := range t.extras {
		if e.key == keyIdentity {
			if i, err := readIdentity(e.value, true); err == nil {
				return i
			}
		}
	}
	return nil
}

func (t *tag) pin() any {
	for _, e := range t.extras {
		if e.key == keyPin {
			return e.value
		}
	}
	return nil
}

// endReservation gives back what a module's task has reserved when it ends without
// its build.
func (c *call) endReservation(t *task) {
	m := c.moduleTask(t.id, nil)
	if m == nil {
		return
	}
	if m.opts.Scratch {
		c.deleteModuleTags(t.id)
	} else {
		c.refund(t.id)
	}
	if t.state == taskFailed && m.root == t.id {
		for _, child := range c.h.state.children(t.id) {
			if child.method == "moduleContext" {
				c.cancel(child, true)
			}
		}
	}
}

func (c *call) refund(id int64) {
	for _, b := range c.h.state.builds {
		if b.taskID == id && b.state == buildBuilding && b.btype == "module" {
			c.setBuildState(b, buildFailed)
		}
	}
}

func (c *call) deleteModuleTags(id int64) {
	for _, t := range c.h.state.tags {
		if t.extra(0)[keyTask] == id {
			c.removeTag(t)
		}
	}
}

// sortedKeys is for what is made in the order of names.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
