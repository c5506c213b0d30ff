package kojitest

import "slices"

type groupParams struct {
	Tag  any    `xmlrpc:"taginfo"`
	Name string `xmlrpc:"grpinfo"`
}

func (c *call) groupListAdd(p groupParams) (any, error) {
	if err := c.needPerm("tag"); err != nil {
		return nil, err
	}
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	c.addGroup(t, p.Name)
	return nil, nil
}

type groupPackageParams struct {
	Tag     any    `xmlrpc:"taginfo"`
	Group   string `xmlrpc:"grpinfo"`
	Package string `xmlrpc:"pkg_name"`
}

func (c *call) groupPackageListAdd(p groupPackageParams) (any, error) {
	if err := c.needPerm("tag"); err != nil {
		return nil, err
	}
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	if !c.inherits(t, func(t *tag) bool {
		return slices.ContainsFunc(t.groups, func(g *group) bool { return g.at(0) && g.name == p.Group })
	}) {
		return nil, fault(errGeneric, "group %s not present in tag %s", p.Group, t.name)
	}
	c.addGroupPackage(t, p.Group, p.Package)
	return nil, nil
}

// inherits reports whether something is so for a tag or one that it inherits from.
func (c *call) inherits(t *tag, is func(*tag) bool) bool {
	return is(t) || slices.ContainsFunc(t.ancestors(0), func(a *ancestor) bool { return is(a.parent) })
}

// addGroup adds a group to a tag, unless it has or inherits it.
func (c *call) addGroup(t *tag, name string) {
	if !c.inherits(t, func(t *tag) bool {
		return slices.ContainsFunc(t.groups, func(g *group) bool { return g.at(0) && g.name == name })
	}) {
		t.groups = append(t.groups, &group{span{from: c.event()}, name})
	}
}

// addGroupPackage adds a package to a group, unless it is there or inherited.
func (c *call) addGroupPackage(t *tag, in, name string) {
	if !c.inherits(t, func(t *tag) bool {
		return slices.ContainsFunc(t.grpPkgs, func(p *groupPackage) bool { return p.at(0) && p.group == in && p.name == name })
	}) {
		t.grpPkgs = append(t.grpPkgs, &groupPackage{span{from: c.event()}, in, name})
	}
}

type tagGroupsParams struct {
	Tag     any   `xmlrpc:"tag"`
	Event   int64 `xmlrpc:"event"`
	Inherit *bool `xmlrpc:"inherit"`
}

// getTagGroups returns the groups of a tag with their packages.
func (c *call) getTagGroups(p tagGroupsParams) (any, error) {
	t, err := c.needTagID(p.Tag)
	if err != nil {
		return nil, err
	}
	tags := []*tag{t}
	if p.Inherit == nil || *p.Inherit {
		for _, a := range t.ancestors(p.Event) {
			tags = append(tags, a.parent)
		}
	}
	list, packages, ids := []any{}, map[string][]any{}, map[string]int64{}
	for _, t := range tags {
		for _, g := range t.groups {
			if _, ok := packages[g.name]; ok || !g.at(p.Event) {
				continue
			}
			packages[g.name], ids[g.name] = []any{}, c.h.state.groupID(g.name)
			list = append(list, map[string]any{
				"name": g.name, "group_id": ids[g.name], "tag_id": t.id, "blocked": false, "exported": true, "display_name": g.name,
				"is_default": nil, "uservisible": true, "description": nil, "langonly": nil, "biarchonly": false, "grouplist": []any{},
			})
		}
	}
	for _, t := range tags {
		for _, e := range t.grpPkgs {
			have, ok := packages[e.group]
			same := func(v any) bool { return v.(map[string]any)["package"] == e.name }
			if !ok || !e.at(p.Event) || slices.ContainsFunc(have, same) {
				continue
			}
			packages[e.group] = append(have, map[string]any{
				"group_id": ids[e.group], "tag_id": t.id, "package": e.name, "blocked": false, "type": "mandatory",
				"basearchonly": nil, "requires": nil,
			})
		}
	}
	for _, g := range list {
		m := g.(map[string]any)
		m["packagelist"] = packages[m["name"].(string)]
	}
	return list, nil
}

// groupID numbers the names of groups.
func (s *state) groupID(name string) int64 {
	key := "group " + name
	if s.lastID[key] == 0 {
		s.lastID[key] = s.next("group")
	}
	return s.lastID[key]
}
