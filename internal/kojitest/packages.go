package kojitest

import (
	"regexp"
	"slices"
	"strings"
)

// A pkgEntry allows a package in a tag, or blocks it.
type pkgEntry struct {
	span
	pkg     int64 // package's id
	owner   *user
	blocked bool
	arches  *string
}

type group struct {
	span
	name string
}

type groupPackage struct {
	span
	group, name string
}

// packageID returns a package's id, making it if need be.
func (s *state) packageID(name string) int64 {
	if i := slices.Index(s.packages, name); i >= 0 {
		return int64(i + 1)
	}
	s.packages = append(s.packages, name)
	return int64(len(s.packages))
}

func (s *state) packageName(id int64) string { return s.packages[id-1] }

func (c *call) addPackage(t *tag, name string, owner *user, blocked bool, arches *string) {
	id := c.h.state.packageID(name)
	for _, p := range t.pkgs {
		if p.pkg == id && p.at(0) {
			p.to = c.event()
		}
	}
	t.pkgs = append(t.pkgs, &pkgEntry{span{from: c.event()}, id, owner, blocked, arches})
}

// A listed is an entry and the tag that it comes from.
type listed struct {
	*pkgEntry
	tag *tag
}

// packageList returns what may be in a tag, by the packages' ids
// (readPackageList), and the ids in order.
func (c *call) packageList(t *tag, event int64, inherit bool) (map[int64]listed, []int64) {
	all, order := map[int64]listed{}, []int64{}
	take := func(from *tag, filters []string) {
		for _, p := range from.pkgs {
			if _, ok := all[p.pkg]; ok || !p.at(event) || !matchAll(filters, c.h.state.packageName(p.pkg)) {
				continue
			}
			all[p.pkg] = listed{p, from}
			order = append(order, p.pkg)
		}
	}
	take(t, nil)
	if inherit {
		for _, a := range t.ancestors(event) {
			take(a.parent, a.filters)
		}
	}
	return all, order
}

// matchAll takes a pattern that is none as one that nothing matches.
func matchAll(patterns []string, name string) bool {
	for _, p := range patterns {
		re, err := regexp.Compile("^(?:" + p + ")")
		if err != nil || !re.MatchString(name) {
			return false
		}
	}
	return true
}

func packageMethods() map[string]method {
	return map[string]method{
		"packageListAdd":      handle(2, (*call).packageListAdd),
		"listPackages":        handle(0, (*call).listPackages),
		"checkTagPackage":     handle(2, (*call).checkTagPackage),
		"groupListAdd":        handle(2, (*call).groupListAdd),
		"groupPackageListAdd": handle(3, (*call).groupPackageListAdd),
		"getTagGroups":        handle(1, (*call).getTagGroups),
	}
}

type packageParams struct {
	Tag    any     `xmlrpc:"taginfo"`
	Name   string  `xmlrpc:"pkginfo"`
	Owner  any     `xmlrpc:"owner"`
	Block  bool    `xmlrpc:"block"`
	Arches *string `xmlrpc:"extra_arches"`
	Force  bool    `xmlrpc:"force"`
}

func (c *call) packageListAdd(p packageParams) (any, error) {
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	if !c.user.may("tag") {
		return nil, fault(errActionNotAllowed, "policy violation (package_list): Only admin/tag can do this via default policy")
	}
	owner := c.user
	switch v := p.Owner.(type) {
	case nil:
		if !p.Force {
			return nil, fault(errGeneric, "owner not specified")
		}
	case string:
		owner = c.h.state.user(v)
	case int64:
		owner = c.h.state.userByID(v)
	}
	if owner == nil {
		return nil, fault(errGeneric, "No such user: %s", repr(p.Owner))
	}
	c.addPackage(t, p.Name, owner, p.Block, p.Arches)
	return nil, nil
}

type listPackagesParams struct {
	Tag         any       `xmlrpc:"tagID"`
	User        any       `xmlrpc:"userID"`
	Package     any       `xmlrpc:"pkgID"`
	Prefix      string    `xmlrpc:"prefix"`
	Inherited   bool      `xmlrpc:"inherited"`
	Dups        bool      `xmlrpc:"with_dups"`
	Event       int64     `xmlrpc:"event"`
	Query       queryOpts `xmlrpc:"queryOpts"`
	WithOwners  *bool     `xmlrpc:"with_owners"`
	WithBlocked *bool     `xmlrpc:"with_blocked"`
}

func (c *call) listPackages(p listPackagesParams) (any, error) {
	if p.Tag == nil || p.User != nil || p.Dups {
		return nil, fault(errParameter, "this hub lists the packages of a tag only")
	}
	t, err := c.needTagID(p.Tag)
	if err != nil {
		return nil, err
	}
	all, order := c.packageList(t, p.Event, p.Inherited)
	list := []any{}
	for _, id := range order {
		e, name := all[id], c.h.state.packageName(id)
		if p.Package != nil && p.Package != id && p.Package != name || p.WithBlocked != nil && !*p.WithBlocked && e.blocked ||
			!strings.HasPrefix(strings.ToLower(name), strings.ToLower(p.Prefix)) {
			continue
		}
		m := map[string]any{"package_id": id, "package_name": name, "tag_id": e.tag.id, "tag_name": e.tag.name,
			"extra_arches": nil, "blocked": e.blocked}
		if e.arches != nil {
			m["extra_arches"] = *e.arches
		}
		if p.WithOwners == nil || *p.WithOwners {
			m["owner_id"], m["owner_name"] = e.owner.id, e.owner.name
		}
		list = append(list, m)
	}
	return p.Query.apply(list)
}

type checkPackageParams struct {
	Tag  any    `xmlrpc:"tag"`
	Name string `xmlrpc:"pkg"`
}

// checkTagPackage reports whether a package may be in a tag.
func (c *call) checkTagPackage(p checkPackageParams) (any, error) {
	t, err := c.needTagID(p.Tag)
	if err != nil {
		return nil, err
	}
	return c.allows(t, p.Name), nil
}

func (c *call) allows(t *tag, name string) bool {
	all, _ := c.packageList(t, 0, true)
	e, ok := all[c.h.state.packageID(name)]
	return ok && !e.blocked
}

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
