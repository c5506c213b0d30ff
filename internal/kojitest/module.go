package kojitest

import (
	"fmt"
	"regexp"
	"slices"
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
