package kojitest

import (
	"reflect"
	"slices"
	"sort"
	"strings"

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
				if old := c.moduleTag(id, before.opts.Scratch); old != nil && m.fits(*old.identity()) {
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
	case !m.fits(*i):
		return nil, nil, fault(errActionNotAllowed, "task %d was asked to build another name, stream or version", m.task.id)
	}
	return i, pin, nil
}

// fits reports whether an identity is what the options ask for.
func (m *moduleTask) fits(i identity) bool {
	return (m.opts.Name == "" || m.opts.Name == i.name) && (m.opts.Stream == "" || m.opts.Stream == i.stream) &&
		(m.opts.Version == nil || m.opts.Version == i.version)
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

type modulePlan struct {
	Packages []string            `xmlrpc:"packages"`
	Requires []int64             `xmlrpc:"requires"`
	Groups   map[string][]string `xmlrpc:"groups"`
	Macros   map[string]string   `xmlrpc:"macros"`
	Arches   []string            `xmlrpc:"arches"`
}

type moduleTagsParams struct {
	Task int64 `xmlrpc:"task_id"`
	Plan any   `xmlrpc:"plan"`
}

func (c *call) moduleTags(p moduleTagsParams) (any, error) {
	m, err := c.heldModule(p.Task)
	if err != nil {
		return nil, err
	}
	var plan modulePlan
	if err := assign(&plan, p.Plan); err != nil {
		return nil, err
	}
	t := c.moduleTag(m.task.id, m.opts.Scratch)
	if t == nil {
		return nil, fault(errActionNotAllowed, "task %d has reserved no module", m.task.id)
	}
	name, sum := t.name+"-build", checksum(plan)
	buildTag := c.h.state.tag(name, 0)
	switch {
	case buildTag == nil:
		if buildTag, err = c.makeModuleTags(m, t, name, plan, sum); err != nil {
			return nil, err
		}
	case buildTag.extra(0)[keyTask] != m.task.id:
		return nil, fault(errActionNotAllowed, "%s is no tag of task %d", name, m.task.id)
	case buildTag.extra(0)[keyPlan] != sum:
		return nil, fault(errActionNotAllowed, "%s was made from another plan", name)
	}
	return map[string]any{"tag": t.name, "tag_id": t.id, "build_tag": name, "build_tag_id": buildTag.id, "arches": plain(c.arches(t))}, nil
}

func (c *call) makeModuleTags(m *moduleTask, t *tag, name string, plan modulePlan, sum string) (*tag, error) {
	if err := c.unfinished(m, t); err != nil {
		return nil, err
	}
	config, err := c.getBuildConfig(configParams{Tag: m.to.build.id})
	if err != nil {
		return nil, err
	}
	text, _ := config.(map[string]any)["arches"].(string)
	known, arches := strings.Fields(text), []string(nil)
	for _, a := range known {
		if len(plan.Arches) == 0 || slices.Contains(plan.Arches, a) {
			arches = append(arches, a)
		}
	}
	foreign := slices.ContainsFunc(plan.Arches, func(a string) bool { return !slices.Contains(known, a) })
	if len(arches) == 0 || foreign {
		return nil, fault(errGeneric, "%s has the architectures %v, the plan %v", m.to.build.name, known, plan.Arches)
	}
	if c.h.state.tagEver(name) != nil {
		return nil, fault(errBuild, "%s: there was a tag of that name", name)
	}
	parents := []*tag{t}
	for _, id := range plan.Requires {
		content, err := c.contentTag(m, id)
		if err != nil {
			return nil, err
		}
		parents = append(parents, content)
	}
	parents = append(parents, m.to.build)
	extra := func(more map[string]any) map[string]any {
		all := map[string]any{"mock.package_manager": "dnf", "mock.yum.module_hotfixes": 1, "repo_include_all": true}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	conf, _ := at(t.configs, 0)
	conf.to = c.event()
	t.configs = append(t.configs, &tagConfig{span{from: c.event()}, ptr(strings.Join(arches, " ")), conf.perm, conf.locked})
	c.setExtra(t, extra(map[string]any{"repo.opts": map[string]any{"src": true, "debuginfo": true, "separate_src": false}}), nil)
	sort.Strings(plan.Packages)
	for _, p := range slices.Compact(plan.Packages) {
		c.addPackage(t, p, m.task.owner, false, nil)
	}
	own := map[string]any{keyTask: m.task.id, keyPlan: sum}
	for k, v := range plan.Macros {
		own["rpm.macro."+k] = v
	}
	buildTag, err := c.newTag(name, strings.Join(arches, " "), ptr("admin"), extra(own))
	if err != nil {
		return nil, err
	}
	c.fillBuildTag(buildTag, m, parents, plan)
	return buildTag, nil
}

func (c *call) fillBuildTag(t *tag, m *moduleTask, parents []*tag, plan modulePlan) {
	var seen []*tag
	for _, p := range parents {
		if !slices.Contains(seen, p) {
			t.links = append(t.links, &link{span: span{from: c.event()}, parent: p, priority: int64(10 * len(seen)), noconfig: p != m.to.build})
			seen = append(seen, p)
		}
	}
	for _, name := range sortedKeys(plan.Groups) {
		c.addGroup(t, name)
		for _, p := range plan.Groups[name] {
			c.addGroupPackage(t, name, p)
		}
	}
}

// contentTag returns the tag with the packages of a module that is tagged in the
// target's destination, or in what that inherits from.
func (c *call) contentTag(m *moduleTask, id int64) (*tag, error) {
	b, err := c.needBuild(id)
	if err != nil {
		return nil, err
	}
	places := []*tag{m.to.dest}
	for _, a := range m.to.dest.ancestors(0) {
		places = append(places, a.parent)
	}
	here := slices.ContainsFunc(places, func(t *tag) bool {
		return slices.ContainsFunc(t.listing, func(l *tagging) bool { return l.build == b && l.at(0) })
	})
	typeinfo, _ := b.extra["typeinfo"].(map[string]any)
	module, _ := typeinfo["module"].(map[string]any)
	name, _ := module["content_koji_tag"].(string)
	if b.state != buildComplete || name == "" || !here {
		return nil, fault(errGeneric, "%s is no module tagged in %s", b.nvr(), m.to.dest.name)
	}
	return c.needTag(name, 0)
}

// unfinished makes sure that the module's tag can still be changed.
func (c *call) unfinished(m *moduleTask, t *tag) error {
	answer, err := c.reservation(m, t)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(answer.(map[string]any)["finished"], nil) {
		return fault(errActionNotAllowed, "%s is finished", t.name)
	}
	return nil
}
