package kojitest

import (
	"maps"
	"reflect"
	"slices"
)

// A tag is made of rows that hold for a time each, as in Koji's database.
type tag struct {
	id      int64
	name    string
	configs []*tagConfig
	extras  []*tagExtra
	links   []*link
	pkgs    []*pkgEntry
	listing []*tagging
	groups  []*group
	grpPkgs []*groupPackage
}

type tagConfig struct {
	span
	arches *string
	perm   *string
	locked bool
}

type tagExtra struct {
	span
	key   string
	value any
}

// A Tag is what a tag is made from.
type Tag struct {
	Name    string
	Arches  string // separated by blanks; none, and none inherited, where empty
	Extra   map[string]any
	Parents []string // tags that it inherits from, most important first

	// Packages are the names that builds may have which are tagged here.
	Packages []string

	// Groups are lists of packages, of groups "build" and "srpm-build" most often.
	Groups map[string][]string
}

// AddTag makes a tag and returns its id.
func (h *Hub) AddTag(t Tag) (id int64) {
	h.setUp(func(c *call) error {
		created, err := c.newTag(t.Name, t.Arches, nil, t.Extra)
		if err != nil {
			return err
		}
		for i, name := range t.Parents {
			parent := h.state.tag(name, 0)
			if parent == nil {
				return fault(errGeneric, "No such tag: %s", name)
			}
			created.links = append(created.links, &link{span: span{from: c.event()}, parent: parent, priority: int64(i)})
		}
		for _, name := range t.Packages {
			c.addPackage(created, name, c.user, false, nil)
		}
		for _, name := range slices.Sorted(maps.Keys(t.Groups)) {
			c.addGroup(created, name)
			for _, p := range t.Groups[name] {
				c.addGroupPackage(created, name, p)
			}
		}
		id = created.id
		return nil
	})
	return id
}

// setUp changes the hub as its administrator.
func (h *Hub) setUp(f func(*call) error) {
	h.t.Helper()
	h.locked(func() {
		if err := f(&call{h: h, method: "setup", user: h.state.users[0], callnum: -1}); err != nil {
			h.t.Errorf("setting up the hub: %v", err)
		}
	})
}

// tag finds one that exists at an event, by name or id.
func (s *state) tag(info any, event int64) *tag {
	if m, ok := info.(map[string]any); ok {
		if info = m["id"]; info == nil {
			info = m["name"]
		}
	}
	for _, t := range s.tags {
		if info == t.name || info == t.id {
			if _, ok := at(t.configs, event); ok {
				return t
			}
		}
	}
	return nil
}

// needTag is get_tag(info, strict=True).
func (c *call) needTag(info any, event int64) (*tag, error) {
	if t := c.h.state.tag(info, event); t != nil {
		return t, nil
	}
	return nil, fault(errGeneric, "No such tagInfo: %s", repr(info))
}

func (t *tag) extra(event int64) map[string]any {
	m := map[string]any{}
	for _, e := range t.extras {
		if e.at(event) {
			m[e.key] = e.value
		}
	}
	return m
}

func (c *call) tagInfo(t *tag, event int64) map[string]any {
	conf, _ := at(t.configs, event)
	m := map[string]any{
		"id": t.id, "name": t.name, "perm_id": nil, "perm": nil, "arches": nil, "locked": conf.locked,
		"maven_support": false, "maven_include_all": false, "extra": t.extra(event),
	}
	if conf.perm != nil {
		m["perm"], m["perm_id"] = *conf.perm, int64(slices.Index(c.h.state.perms, *conf.perm)+1)
	}
	if conf.arches != nil {
		m["arches"] = *conf.arches
	}
	if event != 0 {
		m["query_event"] = event
	}
	return m
}

func tagMethods() map[string]method {
	return map[string]method{
		"getTag":            handle(1, (*call).getTag),
		"createTag":         handle(1, (*call).createTag),
		"editTag2":          editTag,
		"deleteTag":         handle(1, (*call).deleteTag),
		"listTags":          handle(0, (*call).listTags),
		"getBuildConfig":    handle(1, (*call).getBuildConfig),
		"createBuildTarget": handle(3, (*call).createBuildTarget),
		"getBuildTarget":    handle(1, (*call).getBuildTarget),
		"getBuildTargets":   handle(0, (*call).getBuildTargets),
	}
}

type tagParams struct {
	Tag    any   `xmlrpc:"tagInfo"`
	Strict bool  `xmlrpc:"strict"`
	Event  int64 `xmlrpc:"event"`
}

func (c *call) getTag(p tagParams) (any, error) {
	t, err := c.needTag(p.Tag, p.Event)
	if err != nil {
		if p.Strict {
			return nil, err
		}
		return nil, nil
	}
	return c.tagInfo(t, p.Event), nil
}

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
	remove, _ := named["remove_extra"].([]any)
	for _, k := range remove {
		if _, ok := t.extra(0)[k.(string)]; !ok {
			return nil, fault(errGeneric, "Tag: %s doesn't have extra: %v", t.name, k)
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
func (c *call) setExtra(t *tag, set map[string]any, remove []any) {
	for k, v := range set {
		v = plain(v)
		if old, ok := t.extra(0)[k]; ok && reflect.DeepEqual(old, v) {
			continue
		}
		c.dropExtra(t, k)
		t.extras = append(t.extras, &tagExtra{span{from: c.event()}, k, v})
	}
	for _, k := range remove {
		c.dropExtra(t, k.(string))
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
