package kojitest

import (
	"cmp"
	"maps"
	"slices"
)

// A link is what a tag inherits from another.
type link struct {
	span
	parent       *tag
	priority     int64
	maxdepth     *int64
	intransitive bool
	noconfig     bool
	filter       string
}

// An ancestor is a link as followed from some tag.
type ancestor struct {
	*link
	child     *tag
	depth     int
	nextdepth *int64
	filters   []string
}

func (l *link) info(child *tag) map[string]any {
	m := map[string]any{
		"parent_id": l.parent.id, "name": l.parent.name, "priority": l.priority, "maxdepth": nil, "intransitive": l.intransitive,
		"noconfig": l.noconfig, "pkg_filter": l.filter, "child_id": child.id,
	}
	if l.maxdepth != nil {
		m["maxdepth"] = *l.maxdepth
	}
	return m
}

func (t *tag) parents(event int64) (list []*link) {
	for _, l := range t.links {
		if l.at(event) {
			list = append(list, l)
		}
	}
	slices.SortStableFunc(list, func(a, b *link) int { return cmp.Compare(a.priority, b.priority) })
	return list
}

// ancestors returns the links to all that a tag inherits from, in order
// (readFullInheritance).
func (t *tag) ancestors(event int64) []*ancestor {
	w := &walk{event: event, seen: map[*tag][]*ancestor{}}
	w.from(t, map[*tag]bool{}, 0, nil, false, nil)
	return w.order
}

type walk struct {
	event int64
	seen  map[*tag][]*ancestor
	order []*ancestor
}

func (w *walk) from(t *tag, above map[*tag]bool, depth int, maxdepth *int64, noconfig bool, filters []string) {
	if maxdepth != nil && *maxdepth < 1 {
		return
	}
	above = maps.Clone(above)
	above[t] = true
	for _, l := range t.parents(w.event) {
		if above[l.parent] || l.intransitive && len(above) > 1 {
			continue
		}
		a := &ancestor{link: l, child: t, depth: depth + 1, filters: slices.Clone(filters)}
		switch {
		case l.maxdepth == nil && maxdepth != nil:
			a.nextdepth = ptr(*maxdepth - 1)
		case l.maxdepth != nil && maxdepth != nil:
			a.nextdepth = ptr(min(*l.maxdepth, *maxdepth) - 1)
		default:
			a.nextdepth = l.maxdepth
		}
		// Like Koji: once a link has it, the links after it have it, too.
		noconfig = noconfig || l.noconfig
		if l.filter != "" {
			a.filters = append(a.filters, l.filter)
		}
		if w.sufficient(a, noconfig) {
			continue
		}
		w.seen[l.parent] = append(w.seen[l.parent], a)
		w.order = append(w.order, a)
		w.from(l.parent, above, depth+1, a.nextdepth, noconfig, a.filters)
	}
}

// sufficient reports whether an earlier way to the same tag gave all that this one
// would.
func (w *walk) sufficient(a *ancestor, noconfig bool) bool {
	for _, before := range w.seen[a.parent] {
		shallow := before.nextdepth != nil && (a.nextdepth == nil || *before.nextdepth < *a.nextdepth)
		if !shallow && (!before.noconfig || noconfig) && len(before.filters) == 0 {
			return true
		}
	}
	return false
}

func inheritanceMethods() map[string]method {
	return map[string]method{
		"getInheritanceData": handle(1, (*call).getInheritanceData),
		"getFullInheritance": handle(1, (*call).getFullInheritance),
		"setInheritanceData": handle(2, (*call).setInheritanceData),
	}
}

type inheritanceParams struct {
	Tag     any   `xmlrpc:"tag"`
	Event   int64 `xmlrpc:"event"`
	Reverse bool  `xmlrpc:"reverse"`
}

func (c *call) getInheritanceData(p inheritanceParams) (any, error) {
	t, err := c.needTagID(p.Tag)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, l := range t.parents(p.Event) {
		list = append(list, l.info(t))
	}
	return list, nil
}

// needTagID is get_tag_id(info, strict=True), which finds deleted tags, too.
func (c *call) needTagID(info any) (*tag, error) {
	for _, t := range c.h.state.tags {
		if info == t.name || info == t.id {
			return t, nil
		}
	}
	return nil, fault(errGeneric, "No such entry in table tag: %v", info)
}

func (c *call) getFullInheritance(p inheritanceParams) (any, error) {
	if p.Reverse {
		return nil, fault(errParameter, "this hub does not know who inherits from a tag")
	}
	t, err := c.needTagID(p.Tag)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, a := range t.ancestors(p.Event) {
		m := a.info(a.child)
		m["currdepth"], m["nextdepth"] = a.depth, nil
		if a.nextdepth != nil {
			m["nextdepth"] = *a.nextdepth
		}
		m["filter"] = plain(append([]string{}, a.filters...))
		list = append(list, m)
	}
	return list, nil
}

type linkParams struct {
	Parent       int64  `xmlrpc:"parent_id"`
	Priority     int64  `xmlrpc:"priority"`
	MaxDepth     *int64 `xmlrpc:"maxdepth"`
	Intransitive bool   `xmlrpc:"intransitive"`
	NoConfig     bool   `xmlrpc:"noconfig"`
	Filter       string `xmlrpc:"pkg_filter"`
	Delete       bool   `xmlrpc:"delete link"`
}

type setInheritanceParams struct {
	Tag   any          `xmlrpc:"tag"`
	Data  []linkParams `xmlrpc:"data"`
	Clear bool         `xmlrpc:"clear"`
}

func (c *call) setInheritanceData(p setInheritanceParams) (any, error) {
	if err := c.needPerm("tag"); err != nil {
		return nil, err
	}
	t, err := c.needTag(p.Tag, 0)
	if err != nil {
		return nil, err
	}
	return nil, c.setLinks(t, p.Data, p.Clear)
}

func (c *call) setLinks(t *tag, data []linkParams, clear bool) error {
	next := map[int64]*link{}
	for _, l := range t.parents(0) {
		if !clear {
			next[l.parent.id] = l
		}
	}
	for _, d := range data {
		parent, err := c.needTag(d.Parent, 0)
		if err != nil {
			return err
		}
		delete(next, d.Parent)
		if !d.Delete {
			next[d.Parent] = &link{parent: parent, priority: d.Priority, maxdepth: d.MaxDepth, intransitive: d.Intransitive,
				noconfig: d.NoConfig, filter: d.Filter}
		}
	}
	priorities := map[int64]int64{}
	for _, id := range slices.Sorted(maps.Keys(next)) {
		p := next[id].priority
		if before, ok := priorities[p]; ok {
			return fault(errGeneric, "Multiple parent tags ([%d, %d]) cannot have the same priority value (%d) on child tag %d", before, id, p, t.id)
		}
		priorities[p] = id
	}
	for _, l := range t.parents(0) {
		if next[l.parent.id] != l {
			l.to = c.event()
		}
	}
	for _, id := range slices.Sorted(maps.Keys(next)) {
		if l := next[id]; l.from == 0 {
			l.from = c.event()
			t.links = append(t.links, l)
		}
	}
	return nil
}

type configParams struct {
	Tag   any   `xmlrpc:"tag"`
	Event int64 `xmlrpc:"event"`
}

// getBuildConfig returns a tag with the architectures and settings that it
// inherits.
func (c *call) getBuildConfig(p configParams) (any, error) {
	t, err := c.needTag(p.Tag, p.Event)
	if err != nil {
		return nil, err
	}
	info, from := c.tagInfo(t, p.Event), map[string]any{}
	extra, inherited := info["extra"].(map[string]any), map[string]any{"extra": from, "arches": nil}
	for _, a := range t.ancestors(p.Event) {
		if a.noconfig {
			continue
		}
		who := map[string]any{"id": a.parent.id, "name": a.parent.name}
		config := c.tagInfo(a.parent, p.Event)
		if info["arches"] == nil && config["arches"] != nil {
			info["arches"], inherited["arches"] = config["arches"], who
		}
		for k, v := range config["extra"].(map[string]any) {
			if _, ok := extra[k]; !ok {
				extra[k], from[k] = v, who
			}
		}
	}
	info["config_inheritance"] = inherited
	return info, nil
}
