package kojitest

import (
	"cmp"
	"slices"
	"strings"
)

func listingMethods() map[string]method {
	return map[string]method{
		"listTagged":     handle(1, (*call).listTagged),
		"listTaggedRPMS": handle(1, (*call).listTaggedRPMS),
	}
}

type listTaggedParams struct {
	Tag     any    `xmlrpc:"tag"`
	Event   int64  `xmlrpc:"event"`
	Inherit bool   `xmlrpc:"inherit"`
	Prefix  string `xmlrpc:"prefix"`
	Latest  any    `xmlrpc:"latest"`
	Package string `xmlrpc:"package"`
	Owner   string `xmlrpc:"owner"`
	Type    string `xmlrpc:"type"`
	Strict  *bool  `xmlrpc:"strict"`
	Extra   bool   `xmlrpc:"extra"`
}

type listRPMsTaggedParams struct {
	Tag     any    `xmlrpc:"tag"`
	Event   int64  `xmlrpc:"event"`
	Inherit bool   `xmlrpc:"inherit"`
	Latest  any    `xmlrpc:"latest"`
	Package string `xmlrpc:"package"`
	Arch    any    `xmlrpc:"arch"`
	RPMSigs bool   `xmlrpc:"rpmsigs"`
	Owner   string `xmlrpc:"owner"`
	Type    string `xmlrpc:"type"`
	Strict  *bool  `xmlrpc:"strict"`
	Extra   *bool  `xmlrpc:"extra"`
}

// A tagged is a build in a tag, which may be an inherited one.
type tagged struct {
	*tagging
	tag *tag
}

// builds returns what is tagged (readTaggedBuilds), the most recently tagged of
// each tag first.
func (c *call) tagged(t *tag, p listTaggedParams) ([]tagged, error) {
	if p.Type != "" && !slices.Contains(btypes[:], p.Type) {
		return nil, fault(errGeneric, "unsupported build type: %s", p.Type)
	}
	tags := []*tag{t}
	if p.Inherit {
		for _, a := range t.ancestors(p.Event) {
			tags = append(tags, a.parent)
		}
	}
	allowed, _ := c.packageList(t, p.Event, true)
	latest := howMany(p.Latest)
	seen := map[int64]int{}
	var list []tagged
	for _, from := range tags {
		rows := slices.Clone(from.listing)
		slices.SortStableFunc(rows, func(a, b *tagging) int {
			return cmp.Or(cmp.Compare(b.from, a.from), cmp.Compare(b.build.id, a.build.id))
		})
		for _, l := range rows {
			b := l.build
			e, ok := allowed[b.pkg]
			if !l.at(p.Event) || b.state != buildComplete || !ok || e.blocked || p.Package != "" && p.Package != b.name ||
				p.Owner != "" && p.Owner != b.owner.name || p.Type != "" && p.Type != b.btype {
				continue
			}
			if seen[b.pkg]++; latest > 0 && seen[b.pkg] > latest {
				continue
			}
			list = append(list, tagged{l, from})
		}
	}
	return list, nil
}

// howMany reads "latest": a boolean, or how many of each package; 0 for all.
func howMany(v any) int {
	switch v := v.(type) {
	case bool:
		if v {
			return 1
		}
	case int64:
		return int(max(v, 0))
	}
	return 0
}

func (c *call) taggedInfo(t tagged) map[string]any {
	m := c.buildCommon(t.build)
	m["id"], m["tag_id"], m["tag_name"], m["create_event"] = t.build.id, t.tag.id, t.tag.name, t.from
	return m
}

func (c *call) listTagged(p listTaggedParams) (any, error) {
	t, err := c.needTag(p.Tag, p.Event)
	if err != nil {
		if p.Strict != nil && !*p.Strict {
			return []any{}, nil
		}
		return nil, err
	}
	builds, err := c.tagged(t, p)
	if err != nil {
		return nil, err
	}
	list := []any{}
	for _, b := range builds {
		if !strings.HasPrefix(strings.ToLower(b.build.name), strings.ToLower(p.Prefix)) {
			continue
		}
		m := c.taggedInfo(b)
		if p.Extra {
			m["extra"] = nil
			if b.build.extra != nil {
				m["extra"] = b.build.extra
			}
		}
		list = append(list, m)
	}
	return list, nil
}

func (c *call) listTaggedRPMS(p listRPMsTaggedParams) (any, error) {
	t, err := c.needTag(p.Tag, p.Event)
	if err != nil {
		if p.Strict != nil && !*p.Strict {
			return []any{}, nil
		}
		return nil, err
	}
	found, err := c.tagged(t, listTaggedParams{Event: p.Event, Inherit: p.Inherit, Latest: p.Latest, Package: p.Package, Owner: p.Owner, Type: p.Type})
	if err != nil {
		return nil, err
	}
	builds, rpms := []any{}, []any{}
	var tags []*tag
	seen := map[*rpm]bool{}
	for _, b := range found {
		builds = append(builds, c.taggedInfo(b))
		if !slices.Contains(tags, b.tag) {
			tags = append(tags, b.tag)
		}
	}
	for _, from := range tags {
		for _, r := range c.h.state.rpms {
			if seen[r] || !isArch(p.Arch, r.arch) || !slices.ContainsFunc(found, func(b tagged) bool { return b.tag == from && b.build == r.build }) {
				continue
			}
			seen[r] = true
			m := r.common()
			if p.Extra == nil || *p.Extra {
				m["extra"] = nil
			}
			if p.RPMSigs {
				m["sigkey"] = ""
			}
			rpms = append(rpms, m)
		}
	}
	return []any{rpms, builds}, nil
}

// isArch reports whether an architecture is wanted: one, one of several, or any.
func isArch(want any, arch string) bool {
	switch want := want.(type) {
	case nil:
		return true
	case []any:
		return len(want) == 0 || slices.Contains(want, any(arch))
	}
	return want == arch
}
