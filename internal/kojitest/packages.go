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
