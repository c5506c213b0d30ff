package kojitest

import "slices"

type listTagsParams struct {
	Build   any       `xmlrpc:"build"`
	Package any       `xmlrpc:"package"`
	Perms   *bool     `xmlrpc:"perms"`
	Query   queryOpts `xmlrpc:"queryOpts"`
	Pattern *string   `xmlrpc:"pattern"`
}

func (c *call) listTags(p listTagsParams) (any, error) {
	if p.Package != nil || p.Pattern != nil {
		return nil, fault(errParameter, "this hub lists all tags, or those of a build")
	}
	var of *build
	if p.Build != nil {
		if of = c.h.state.build(p.Build); of == nil {
			return nil, fault(errGeneric, "No such build: %v", p.Build)
		}
	}
	list := []any{}
	for _, t := range c.h.state.tags {
		if _, ok := at(t.configs, 0); !ok {
			continue
		}
		if of != nil && !slices.ContainsFunc(t.listing, func(l *tagging) bool { return l.build == of && l.at(0) }) {
			continue
		}
		m := c.tagInfo(t, 0)
		delete(m, "extra")
		if p.Perms != nil && !*p.Perms {
			delete(m, "perm")
			delete(m, "perm_id")
		}
		list = append(list, m)
	}
	return p.Query.apply(list)
}
