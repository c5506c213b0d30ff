package kojitest

import (
	"reflect"
	"slices"
	"sort"
	"strings"
)

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
