package kojitest

import (
	"reflect"
	"slices"
)

type createTagParams struct {
	Name   string         `xmlrpc:"name"`
	Parent any            `xmlrpc:"parent"`
	Arches *string        `xmlrpc:"arches"`
	Perm   *string        `xmlrpc:"perm"`
	Locked bool           `xmlrpc:"locked"`
	Maven  bool           `xmlrpc:"maven_support"`
	All    bool           `xmlrpc:"maven_include_all"`
	Extra  map[string]any `xmlrpc:"extra"`
}

func (c *call) createTag(p createTagParams) (any, error) {
	if err := c.needPerm("tag"); err != nil {
		return nil, err
	}
	var parent *tag
	if p.Parent != nil {
		if parent = c.h.state.tag(p.Parent, 0); parent == nil {
			return nil, fault(errGeneric, "Parent tag '%v' could not be found", p.Parent)
		}
	}
	arches := ""
	if p.Arches != nil {
		arches = *p.Arches
	}
	t, err := c.newTag(p.Name, arches, p.Perm, p.Extra)
	if err != nil {
		return nil, err
	}
	if parent != nil {
		t.links = append(t.links, &link{span: span{from: c.event()}, parent: parent})
	}
	t.configs[0].locked = p.Locked
	return t.id, nil
}

// newTag makes a tag. One that was deleted comes back under its id.
func (c *call) newTag(name, arches string, perm *string, extra map[string]any) (*tag, error) {
	if c.h.state.tag(name, 0) != nil {
		return nil, fault(errGeneric, "A tag with the name '%s' already exists", name)
	}
	if perm != nil && !slices.Contains(c.h.state.perms, *perm) {
		return nil, fault(errGeneric, "No such entry in table permissions: %s", *perm)
	}
	t := c.h.state.tagEver(name)
	if t == nil {
		t = &tag{id: c.h.state.next("tag"), name: name}
		c.h.state.tags = append(c.h.state.tags, t)
	}
	t.configs = append(t.configs, &tagConfig{span: span{from: c.event()}, perm: perm, arches: &arches})
	for k, v := range extra {
		t.extras = append(t.extras, &tagExtra{span{from: c.event()}, k, plain(v)})
	}
	c.h.note(Event{Kind: TagMade, ID: t.id, Name: name})
	return t, nil
}

// tagEver finds a tag by name, a deleted one too.
func (s *state) tagEver(name string) *tag {
	for _, t := range s.tags {
		if t.name == name {
			return t
		}
	}
	return nil
}

// editTag is editTag2(tagInfo, **kwargs).
func editTag(c *call, args []any, named map[string]any) (any, error) {
	if err := c.needPerm("tag"); err != nil {
		return nil, err
	}
	if len(args) != 1 {
		return nil, fault(errParameter, "edit_tag() takes 1 positional argument but %d were given", len(args))
	}
	t, err := c.needTag(args[0], 0)
	if err != nil {
		return nil, err
	}
	var remove []string
	if err := assign(&remove, named["remove_extra"]); err != nil {
		return nil, err
	}
	for _, k := range remove {
		if _, ok := t.extra(0)[k]; !ok {
			return nil, fault(errGeneric, "Tag: %s doesn't have extra: %s", t.name, k)
		}
	}
	conf, _ := at(t.configs, 0)
	next := *conf
	for k, v := range named {
		switch s, isText := v.(string); k {
		case "arches":
			next.arches = nil
			if isText {
				next.arches = &s
			}
		case "perm", "perm_id":
			next.perm = nil
			if isText {
				next.perm = &s
			}
		case "locked":
			next.locked, _ = v.(bool)
		}
	}
	if !reflect.DeepEqual(*conf, next) {
		conf.to = c.event()
		next.span = span{from: c.event()}
		t.configs = append(t.configs, &next)
	}
	extra, _ := named["extra"].(map[string]any)
	c.setExtra(t, extra, remove)
	return nil, nil
}

// setExtra sets and removes a tag's own settings; those that stay the same are not
// touched.
func (c *call) setExtra(t *tag, set map[string]any, remove []string) {
	for k, v := range set {
		v = plain(v)
		if old, ok := t.extra(0)[k]; ok && reflect.DeepEqual(old, v) {
			continue
		}
		c.dropExtra(t, k)
		t.extras = append(t.extras, &tagExtra{span{from: c.event()}, k, v})
	}
	for _, k := range remove {
		c.dropExtra(t, k)
	}
}

func (c *call) dropExtra(t *tag, key string) {
	for _, e := range t.extras {
		if e.key == key && e.at(0) {
			e.to = c.event()
		}
	}
}

type deleteTagParams struct {
	Tag any `xmlrpc:"tagInfo"`
}

func (c *call) deleteTag(p deleteTagParams) (any, error) {
	if err := c.needPerm("tag"); err != nil {
		return nil, err
	}
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	c.removeTag(t)
	return nil, nil
}

// removeTag ends all rows of a tag.
func (c *call) removeTag(t *tag) {
	end := c.event()
	for _, s := range t.spans() {
		if s.to == 0 {
			s.to = end
		}
	}
}

// spans returns all rows of a tag, as far as time is concerned.
func (t *tag) spans() []*span {
	var all []*span
	for _, r := range t.configs {
		all = append(all, &r.span)
	}
	for _, r := range t.extras {
		all = append(all, &r.span)
	}
	for _, r := range t.links {
		all = append(all, &r.span)
	}
	for _, r := range t.pkgs {
		all = append(all, &r.span)
	}
	for _, r := range t.listing {
		all = append(all, &r.span)
	}
	for _, r := range t.groups {
		all = append(all, &r.span)
	}
	for _, r := range t.grpPkgs {
		all = append(all, &r.span)
	}
	return all
}
