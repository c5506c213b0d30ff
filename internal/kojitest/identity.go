package kojitest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
)

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
	} else if t.state != taskCanceled { // whose builds are cancelled, too
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
