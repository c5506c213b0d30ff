package modulemd

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/kojimod/kojimod/internal/yamlx"
)

// A decoder turns the tree of one document into values, and collects what is
// wrong on the way.
type decoder struct {
	file     string
	number   int // of the document
	problems Problems
}

// A field reads the value of one key.
type field func(n *yamlx.Node, p *path)

// A table holds the keys of a mapping.
type table map[string]field

func (d *decoder) pos(n *yamlx.Node) Position { return Position{d.file, n.Line, n.Column} }

func (d *decoder) add(n *yamlx.Node, p *path, format string, args ...any) {
	if len(d.problems) < maxProblems {
		d.problems = append(d.problems, &Problem{
			Pos: d.pos(n), Document: d.number, Field: p.String(), Msg: fmt.Sprintf(format, args...),
		})
	}
}

// is checks the kind of a node.
func (d *decoder) is(n *yamlx.Node, p *path, kind yamlx.Kind) bool {
	if n.Kind == kind {
		return true
	}
	found := n.Kind.String()
	if n.IsNull() {
		found = "nothing"
	}
	d.add(n, p, "expected %s, found %s", kind, found)
	return false
}

// fields reads a mapping of known keys. Others are problems.
func (d *decoder) fields(n *yamlx.Node, p *path, known table) bool {
	return d.each(n, p, func(key, value *yamlx.Node, p *path) {
		if read, ok := known[key.Text]; ok {
			read(value, p)
			return
		}
		if len(d.problems) >= maxProblems {
			return // so many that suggestions would take long
		}
		hint := didYouMean(key.Text, slices.Sorted(maps.Keys(known)))
		if hint == "" {
			hint = "; remove it"
		}
		d.add(key, p, "unknown key%s", hint)
	})
}

// each calls f for the keys of a mapping in the order of the file.
func (d *decoder) each(n *yamlx.Node, p *path, f func(key, value *yamlx.Node, p *path)) bool {
	if !d.is(n, p, yamlx.Mapping) {
		return false
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		f(&n.Content[i], &n.Content[i+1], p.at(n.Content[i].Text))
	}
	return true
}

// nested reads a mapping of known keys that is itself a value.
func (d *decoder) nested(known table) field {
	return func(n *yamlx.Node, p *path) { d.fields(n, p, known) }
}

// text reads text as it stands.
func text[T ~string](d *decoder, to *T) field {
	return func(n *yamlx.Node, p *path) {
		if d.is(n, p, yamlx.Scalar) {
			*to = T(n.Text)
		}
	}
}

func (d *decoder) bool(to *bool) field {
	return func(n *yamlx.Node, p *path) {
		if !d.is(n, p, yamlx.Scalar) {
			return
		}
		switch n.Text {
		case "true", "false":
			*to = n.Text == "true"
		default:
			d.add(n, p, "expected true or false, found %s", quote(n.Text))
		}
	}
}

func (d *decoder) uint(to *uint64) field {
	return func(n *yamlx.Node, p *path) {
		if !d.is(n, p, yamlx.Scalar) {
			return
		}
		digits := n.Text
		if len(digits) > 1 && digits[0] == '+' {
			digits = digits[1:]
		}
		v, err := strconv.ParseUint(digits, 10, 64)
		if err != nil {
			d.add(n, p, "expected a whole number from 0 to 18446744073709551615, found %s", quote(n.Text))
		}
		*to = v
	}
}

func (d *decoder) int(to *int64) field {
	return func(n *yamlx.Node, p *path) {
		if !d.is(n, p, yamlx.Scalar) {
			return
		}
		v, err := strconv.ParseInt(n.Text, 10, 64)
		if err != nil {
			d.add(n, p, "expected a whole number of 64 bits, found %s", quote(n.Text))
		}
		*to = v
	}
}

// set reads a list of different texts, or one text in place of a list. An
// empty text is an empty list.
func (d *decoder) set(to *[]string) field {
	return func(n *yamlx.Node, p *path) {
		*to = []string{}
		if n.Kind == yamlx.Scalar {
			if n.Text != "" {
				*to = []string{n.Text}
			}
			return
		}
		if !d.is(n, p, yamlx.Sequence) {
			return
		}
		seen := make(map[string]bool, len(n.Content))
		for i := range n.Content {
			item := &n.Content[i]
			if d.is(item, p.item(i), yamlx.Scalar) && !seen[item.Text] {
				seen[item.Text] = true
				*to = append(*to, item.Text)
			}
		}
	}
}

// rpms reads the mapping with the one key "rpms" that api, filter and
// demodularized are.
func (d *decoder) rpms(to *[]string) field { return d.nested(table{"rpms": d.set(to)}) }

// named reads a mapping whose keys are free and whose values read turns into T.
func named[T any](d *decoder, to *map[string]T, read func(key, value *yamlx.Node, p *path) T) field {
	return func(n *yamlx.Node, p *path) {
		all := make(map[string]T, len(n.Content)/2)
		d.each(n, p, func(key, value *yamlx.Node, p *path) {
			all[key.Text] = read(key, value, p)
		})
		*to = all
	}
}

// list reads a sequence whose items read turns into T.
func list[T any](d *decoder, to *[]T, read func(n *yamlx.Node, p *path) T) field {
	return func(n *yamlx.Node, p *path) {
		if !d.is(n, p, yamlx.Sequence) {
			return
		}
		for i := range n.Content {
			*to = append(*to, read(&n.Content[i], p.item(i)))
		}
	}
}

// find gives the place of the value that a path leads to, or of the last one
// on the way that is there. Of a mapping or list it gives the place of its key.
func (d *decoder) find(n *yamlx.Node, p *path) Position {
	at := n
	for _, name := range p.names() {
		var next *yamlx.Node
		switch n.Kind {
		case yamlx.Mapping:
			for i := 0; i+1 < len(n.Content); i += 2 {
				if n.Content[i].Text == name {
					next, at = &n.Content[i+1], &n.Content[i]
				}
			}
		case yamlx.Sequence:
			if i, err := strconv.Atoi(name); err == nil && i < len(n.Content) {
				next = &n.Content[i]
				at = next
			}
		}
		if next == nil {
			break
		}
		if n = next; n.Kind == yamlx.Scalar && !n.IsNull() {
			at = n
		}
	}
	return d.pos(at)
}
