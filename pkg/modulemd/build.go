package modulemd

import (
	"maps"
	"slices"

	"github.com/kojimod/kojimod/internal/yamlx"
)

// A builder collects the keys of a mapping to be written. Values that say
// nothing (empty, zero, false) are left out.
type builder struct{ content []yamlx.Node }

func (b *builder) node() *yamlx.Node {
	return &yamlx.Node{Kind: yamlx.Mapping, Content: b.content}
}

func (b *builder) add(key string, value *yamlx.Node) {
	b.content = append(b.content, yamlx.Node{Kind: yamlx.Scalar, Text: key}, *value)
}

func (b *builder) scalar(key, text string, style yamlx.Style) {
	if text != "" {
		b.add(key, &yamlx.Node{Kind: yamlx.Scalar, Text: text, Style: style})
	}
}

func (b *builder) text(key, s string)              { b.scalar(key, s, yamlx.Plain) }
func (b *builder) verbatim(key, s string)          { b.scalar(key, s, yamlx.Verbatim) }
func (b *builder) folded(key, s string)            { b.scalar(key, s, yamlx.Folded) }
func (b *builder) quoted(key string, s StreamName) { b.scalar(key, string(s), yamlx.DoubleQuoted) }
func (b *builder) set(key string, items []string)  { b.sequence(key, items, yamlx.Plain) }
func (b *builder) flow(key string, items []string) { b.sequence(key, items, yamlx.Flow) }
func (b *builder) always(key string, sub *builder) { b.add(key, sub.node()) }

func (b *builder) uint(key string, n uint64) {
	if n != 0 {
		b.verbatim(key, formatUint(n))
	}
}

func (b *builder) flag(key string, set bool) {
	if set {
		b.verbatim(key, "true")
	}
}

// sub adds a mapping that has keys.
func (b *builder) sub(key string, sub *builder) {
	if len(sub.content) > 0 {
		b.always(key, sub)
	}
}

func (b *builder) sequence(key string, items []string, style yamlx.Style) {
	if len(items) > 0 {
		b.add(key, sortedSet(items, style))
	}
}

// sortedSet gives a sequence without duplicates.
func sortedSet(items []string, style yamlx.Style) *yamlx.Node {
	n := &yamlx.Node{Kind: yamlx.Sequence, Style: style}
	for _, s := range slices.Compact(slices.Sorted(slices.Values(items))) {
		n.Content = append(n.Content, yamlx.Node{Kind: yamlx.Scalar, Text: s})
	}
	return n
}

// eachKey gives a mapping of free keys, sorted. Empty values are kept.
func eachKey[T any](all map[string]T, build func(T) *builder) *builder {
	var b builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b.always(key, build(all[key]))
	}
	return &b
}

// flowSets gives a mapping of sets, as "f28: [a, b]". Empty sets are kept.
func flowSets[K ~string](all map[K][]string) *builder {
	var b builder
	for _, key := range slices.Sorted(maps.Keys(all)) {
		b.add(string(key), sortedSet(all[key], yamlx.Flow))
	}
	return &b
}

func (b *builder) streams(key string, deps map[string][]string) {
	b.sub(key, flowSets(deps))
}

func (b *builder) dependencies(all []Dependencies) {
	if len(all) == 0 {
		return
	}
	n := &yamlx.Node{Kind: yamlx.Sequence}
	for _, d := range all {
		var item builder
		item.streams("buildrequires", d.BuildRequires)
		item.streams("requires", d.Requires)
		n.Content = append(n.Content, *item.node())
	}
	b.add("dependencies", n)
}

func (b *builder) references(r References) {
	var sub builder
	sub.text("community", r.Community)
	sub.text("documentation", r.Documentation)
	sub.text("tracker", r.Tracker)
	b.sub("references", &sub)
}

func (b *builder) profiles(all map[string]Profile) {
	b.sub("profiles", eachKey(all, func(p Profile) *builder {
		var b builder
		b.text("description", p.Description)
		b.set("rpms", p.RPMs)
		b.flag("default", p.Default)
		return &b
	}))
}

func (b *builder) rpmLists(api, filter, demodularized []string) {
	for _, list := range [...]struct {
		key  string
		rpms []string
	}{{"api", api}, {"filter", filter}, {"demodularized", demodularized}} {
		var sub builder
		sub.set("rpms", list.rpms)
		b.sub(list.key, &sub)
	}
}

func (b *builder) xmd(n *Node) {
	if n != nil && len(n.Keys()) > 0 {
		b.add("xmd", n.build())
	}
}

// build gives the tree that stands for n, keys sorted.
func (n *Node) build() *yamlx.Node {
	switch n.Kind() {
	case MapNode:
		var b builder
		for _, key := range slices.Sorted(slices.Values(n.keys)) {
			b.add(key, n.Get(key).build())
		}
		return b.node()
	case ListNode:
		list := &yamlx.Node{Kind: yamlx.Sequence}
		for _, item := range n.items {
			list.Content = append(list.Content, *item.build())
		}
		return list
	case BoolNode:
		return &yamlx.Node{Kind: yamlx.Scalar, Text: n.text, Style: yamlx.Verbatim}
	}
	if n != nil && n.plain {
		return &yamlx.Node{Kind: yamlx.Scalar, Text: n.text, Style: yamlx.Verbatim}
	}
	return &yamlx.Node{Kind: yamlx.Scalar, Text: n.Text()}
}
