package kojitest

import (
	"fmt"
	"slices"

	"github.com/kojimod/kojimod/internal/xmlrpc"
)

func assign(dst, v any) error {
	if err := xmlrpc.Assign(dst, v); err != nil {
		return fault(errParameter, "%v", err)
	}
	return nil
}

type reserveParams struct {
	Task     int64 `xmlrpc:"task_id"`
	Identity any   `xmlrpc:"identity"`
	Pin      any   `xmlrpc:"pin"`
}

func (c *call) moduleReserve(p reserveParams) (any, error) {
	m, err := c.heldModule(p.Task)
	if err != nil {
		return nil, err
	}
	t := c.moduleTag(m.task.id, m.opts.Scratch)
	wanted, pin, err := c.wanted(m, t, p)
	if err != nil {
		return nil, err
	}
	if t != nil {
		if wanted != nil && *wanted != *t.identity() {
			return nil, fault(errActionNotAllowed, "task %d has reserved %s", m.task.id, t.name)
		}
		return c.reservation(m, t)
	}
	if wanted == nil {
		return nil, nil
	}
	if err := c.modulePolicy(m.task.owner, m.source, m.target); err != nil {
		return nil, err
	}
	return c.reserve(m, *wanted, pin)
}

// wanted returns what the task is to reserve: what it asks for, is given, or
// resumes; nil for nothing.
func (c *call) wanted(m *moduleTask, t *tag, p reserveParams) (*identity, any, error) {
	ask, pin := p.Identity, p.Pin
	if t == nil && ask == nil {
		if m.given != nil {
			ask = m.given.asMap()
		} else {
			for _, id := range m.chain[1:] {
				before := c.moduleTask(id, m.task.owner)
				if old := c.moduleTag(id, before.opts.Scratch); old != nil && m.misfit(*old.identity()) == "" {
					ask, pin = old.identity().asMap(), old.pin()
					break
				}
			}
		}
	}
	if ask == nil {
		return nil, nil, nil
	}
	i, err := readIdentity(ask, m.opts.Scratch)
	switch {
	case err != nil:
		return nil, nil, err
	case m.given != nil && *m.given != *i:
		return nil, nil, fault(errActionNotAllowed, "task %d builds another context", m.task.id)
	case m.misfit(*i) != "":
		return nil, nil, fault(errActionNotAllowed, "task %d was asked to build %s", m.task.id, m.misfit(*i))
	}
	return i, pin, nil
}

// misfit returns what the options ask for and an identity is not, "" for nothing.
func (m *moduleTask) misfit(i identity) string {
	switch {
	case m.opts.Name != "" && m.opts.Name != i.name:
		return "name " + m.opts.Name
	case m.opts.Stream != "" && m.opts.Stream != i.stream:
		return "stream " + m.opts.Stream
	case m.opts.Version != nil && m.opts.Version != i.version:
		return fmt.Sprintf("version %v", m.opts.Version)
	}
	return ""
}

func (c *call) reserve(m *moduleTask, i identity, pin any) (any, error) {
	scratch := int64(0)
	if m.opts.Scratch {
		scratch = m.task.id
	}
	name := i.tagName(scratch)
	b := &build{owner: m.task.owner, source: &m.source, btype: "module", cg: generator, taskID: m.task.id, started: now()}
	b.name, b.version, b.release = i.nvr()
	t, old := c.h.state.tag(name, 0), c.h.state.build(b.nvr())
	if m.opts.Scratch {
		old = nil
	}
	var mark int64
	resumes := false
	if t != nil {
		mark, _ = t.extra(0)[keyTask].(int64)
		own := t.identity()
		resumes = own != nil && *own == i && c.ofChain(m, mark)
	}
	switch {
	case resumes && !c.h.state.tasks[mark].finished():
		return nil, fault(errActionNotAllowed, "%s is being built by task %d", name, mark)
	case !resumes && c.h.state.tagEver(name) != nil:
		return nil, fault(errBuild, "%s: there is, or was, a tag of that name", name)
	case old != nil && (!resumes || !c.ofChain(m, old.taskID)):
		return nil, fault(errBuild, "%s: there is a build of that name, of task %v", old.nvr(), orNil(old.taskID))
	case old != nil && old.state == buildComplete:
		return c.reservation(m, t)
	}
	if !m.opts.Scratch {
		if err := c.mayImport(m, b); err != nil {
			return nil, err
		}
	}
	if resumes {
		c.refund(mark)
		for _, each := range []*tag{t, c.h.state.tag(name+"-build", 0)} {
			if each != nil && each.extra(0)[keyTask] == mark {
				c.setExtra(each, map[string]any{keyTask: m.task.id}, nil)
			}
		}
	} else {
		if pin == nil {
			pin = map[string]any{}
		}
		var err error
		if t, err = c.newTag(name, "", ptr("admin"), map[string]any{keyTask: m.task.id, keyIdentity: i.asMap(), keyPin: pin}); err != nil {
			return nil, err
		}
	}
	if !m.opts.Scratch {
		module := i.asMap()
		module["content_koji_tag"] = name
		c.reserveBuild(m, b, old, map[string]any{"typeinfo": map[string]any{"module": module}})
	}
	return c.reservation(m, t)
}

// mayImport refuses what could not be tagged in the end.
func (c *call) mayImport(m *moduleTask, b *build) error {
	if conf, _ := at(m.to.dest.configs, 0); conf.perm != nil && !slices.Contains(m.task.owner.perms, *conf.perm) {
		return fault(errActionNotAllowed, "%s cannot be tagged in %s: tag requires %s permission", b.nvr(), m.to.dest.name, *conf.perm)
	}
	list, _ := c.packageList(m.to.dest, 0, true)
	if e, ok := list[c.h.state.packageID(b.name)]; ok && e.blocked {
		return fault(errTag, "%s is blocked in %s, or not in its package list", b.nvr(), m.to.dest.name)
	}
	return nil
}

// reserveBuild makes the build record, or takes over the one of an attempt that
// failed, and lets the module into the destination.
func (c *call) reserveBuild(m *moduleTask, b, old *build, extra map[string]any) {
	b.extra = extra
	if !slices.Contains(c.h.state.cgs, generator) {
		c.h.state.cgs = append(c.h.state.cgs, generator)
	}
	if old != nil {
		b.id, b.pkg, b.event, b.made = old.id, old.pkg, c.event(), now()
		*old = *b
		c.noteBuild(old)
	} else {
		b, _ = c.newBuild(b) // there is none of that name
	}
	list, _ := c.packageList(m.to.dest, 0, true)
	if _, ok := list[b.pkg]; !ok {
		c.addPackage(m.to.dest, b.name, m.task.owner, false, nil)
	}
}

// reservation is what moduleReserve answers.
func (c *call) reservation(m *moduleTask, t *tag) (any, error) {
	i := *t.identity()
	answer := map[string]any{"identity": i.asMap(), "pin": t.pin(), "build_id": nil, "tag": t.name, "tag_id": t.id,
		"first_task": m.chain[len(m.chain)-1]}
	name, version, release := i.nvr()
	nvr := name + "-" + version + "-" + release
	answer["nvr"] = nvr
	var b *build
	if !m.opts.Scratch {
		var err error
		if b, err = c.needBuild(nvr); err != nil {
			return nil, err
		}
		if (b.state != buildComplete || !c.ofChain(m, b.taskID)) && (b.state != buildBuilding || b.taskID != m.task.id) {
			return nil, fault(errActionNotAllowed, "build %s is no longer reserved by task %d", nvr, m.task.id)
		}
		answer["build_id"] = b.id
	}
	finished, err := c.finished(m, t, b)
	if err != nil {
		return nil, err
	}
	answer["finished"] = finished
	return answer, nil
}

// finished is what moduleFinish has answered, or nil.
func (c *call) finished(m *moduleTask, t *tag, b *build) (any, error) {
	if b != nil && b.state != buildComplete {
		return nil, nil
	}
	maker := m.task.id
	if b != nil {
		maker = b.taskID
	}
	var repoID any
	for _, r := range c.h.state.repos {
		if r.tag == t && r.taskID == maker && r.state != repoInit && r.state != repoProblem {
			repoID = r.id
		}
	}
	name, version, release := t.identity().nvr()
	answer := map[string]any{"build_id": nil, "nvr": name + "-" + version + "-" + release, "tag": t.name, "repo_id": repoID, "dest_tag": nil}
	if b == nil {
		if repoID == nil && c.h.state.tag(t.id, 0) == nil {
			return nil, fault(errGeneric, "the tag %s has been deleted", t.name)
		}
		if repoID == nil {
			return nil, nil
		}
		return answer, nil
	}
	answer["build_id"], answer["dest_tag"] = b.id, m.to.dest.name
	return answer, nil
}
