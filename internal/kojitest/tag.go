package kojitest

import (
	"maps"
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
