package yamlx

import (
	"bytes"
	"errors"
	"strings"
	"unicode/utf8"
)

// Settings of libyaml's emitter that libmodulemd uses.
const (
	bestIndent = 2
	bestWidth  = 80
	// maxSimpleKey is the longest key that libyaml writes as "key: value".
	maxSimpleKey = 128
	maxEmitDepth = 120
)

// ErrEmit is what AppendDocument fails with: a tree that cannot be written, be
// it for its depth or for text that is not UTF-8.
var ErrEmit = errors.New("the tree cannot be written as YAML")

// AppendDocument appends a document, from "---" to "...", as libyaml's emitter
// writes it: lists at the indentation of their key, text plain where it can
// be, lines folded after column 80 where text may be folded. In contrast to
// libyaml, plain text that a reader of YAML 1.1 or 1.2 would take for a
// number, a time, a boolean or null is put in double quotes (the style
// Verbatim prevents it), and a block of text that would not be read back
// exactly as it is becomes another kind of block or quoted text.
//
// The root must be a mapping or a sequence.
func AppendDocument(dst []byte, root *Node) ([]byte, error) {
	e := emitter{out: append(dst, "---"...)}
	switch root.Kind {
	case Mapping, Sequence:
		e.collection(root, 0, false, 0)
	default:
		e.failed = true
	}
	if e.failed {
		return dst, ErrEmit
	}
	return append(e.out, "\n...\n"...), nil
}

// An emitter writes one document. What it writes begins with what separates it
// from the text before, and ends without a line break.
type emitter struct {
	out    []byte
	column int // of the current line, from 0
	failed bool
}

func (e *emitter) put(s string) {
	e.out = append(e.out, s...)
	e.column += utf8.RuneCountInString(s)
}

// newline begins a line at an indentation.
func (e *emitter) newline(indent int) {
	e.out = append(e.out, '\n')
	for range indent {
		e.out = append(e.out, ' ')
	}
	e.column = indent
}

// collection writes the entries of a mapping or sequence in block style. A
// compact one begins on the current line.
func (e *emitter) collection(n *Node, indent int, compact bool, depth int) {
	if depth > maxEmitDepth {
		e.failed = true
		return
	}
	step := 1
	if n.Kind == Mapping {
		step = 2
	}
	if len(n.Content) == 0 {
		if !compact {
			e.newline(indent)
		}
		e.empty(n)
		return
	}
	for i := 0; i+step-1 < len(n.Content) && !e.failed; i += step {
		if !compact || i > 0 {
			e.newline(indent)
		}
		if n.Kind == Mapping {
			e.entry(&n.Content[i], &n.Content[i+1], indent, depth)
		} else {
			e.put("-")
			e.compactValue(&n.Content[i], indent, depth)
		}
	}
}

func (e *emitter) empty(n *Node) {
	if n.Kind == Mapping {
		e.put("{}")
	} else {
		e.put("[]")
	}
}

// entry writes a key and its value.
func (e *emitter) entry(key, value *Node, indent, depth int) {
	if key.Kind != Scalar {
		e.failed = true
		return
	}
	if !simpleKey(key.Text) {
		e.put("? ")
		e.quoteDouble(key.Text, noFold)
		e.newline(indent)
		e.put(":")
		e.compactValue(value, indent, depth)
		return
	}
	e.text(key, noFold, indent, false)
	e.put(":")
	switch {
	case value.Kind == Scalar, len(value.Content) == 0, value.Style == Flow:
		e.compactValue(value, indent, depth)
	case value.Kind == Sequence:
		e.collection(value, indent, false, depth+1)
	default:
		e.collection(value, indent+bestIndent, false, depth+1)
	}
}

// simpleKey reports whether a key may stand before its ':' on one line.
func simpleKey(s string) bool {
	return len(s) <= maxSimpleKey && !strings.ContainsAny(s, "\n\r\u0085\u2028\u2029")
}

// compactValue writes a value after "-" or ":" on the same line.
func (e *emitter) compactValue(n *Node, indent, depth int) {
	e.put(" ")
	switch {
	case n.Kind == Scalar:
		e.text(n, indent+bestIndent, indent+bestIndent, false)
	case n.Kind != Mapping && n.Kind != Sequence:
		e.failed = true
	case len(n.Content) == 0:
		e.empty(n)
	case n.Style == Flow && n.Kind == Sequence:
		e.flow(n, indent+bestIndent)
	default:
		e.collection(n, indent+bestIndent, true, depth+1)
	}
}

// flow writes a sequence of scalars as [a, b].
func (e *emitter) flow(n *Node, indent int) {
	e.put("[")
	for i := range n.Content {
		item := &n.Content[i]
		if item.Kind != Scalar {
			e.failed = true
			return
		}
		if i > 0 {
			e.put(",")
		}
		if e.column > bestWidth {
			e.newline(indent)
		} else if i > 0 {
			e.put(" ")
		}
		e.text(item, indent+bestIndent, indent, true)
	}
	e.put("]")
}

// noFold is the indentation of lines that must not be broken.
const noFold = -1

// text writes a scalar. Lines that it is folded into, and lines of a block,
// are indented by fold; noFold forbids both.
func (e *emitter) text(n *Node, fold, indent int, flow bool) {
	s := n.Text
	if !utf8.ValidString(s) {
		e.failed = true
		return
	}
	a := analyze(s)
	switch style := n.Style; {
	case (style == Literal || style == Folded) && fold != noFold && !flow:
		e.block(s, style, indent, a)
	case style == Verbatim && s != "" && (a.blockPlain && !flow || a.flowPlain):
		e.plain(s, fold)
	case style == DoubleQuoted, style != Verbatim && (s == "" || IsNumber(s) || IsWord(s)):
		e.quoteDouble(s, fold)
	case style != SingleQuoted && (a.blockPlain && !flow || a.flowPlain):
		e.plain(s, fold)
	case a.singleQuoted && (fold != noFold || !a.multiline):
		e.quoteSingle(s, fold)
	default:
		e.quoteDouble(s, fold)
	}
}

// block writes text as a block of the wanted style, else of the other, else in
// double quotes: whichever is read back as the same text.
func (e *emitter) block(s string, style Style, indent int, a analysis) {
	if a.block {
		other := Literal
		if style == Literal {
			other = Folded
		}
		for _, style := range [...]Style{style, other} {
			b := emitter{column: e.column}
			b.blockLines(s, style, indent)
			if readsAs(b.out, indent, s) {
				e.put(string(b.out))
				return
			}
		}
	}
	e.quoteDouble(s, indent)
}

// readsAs parses a block as the value of a key and compares it to the text.
func readsAs(block []byte, indent int, want string) bool {
	var b bytes.Buffer
	b.WriteString("---\n")
	level := 0
	for ; level+bestIndent < indent; level += bestIndent {
		b.WriteString(strings.Repeat(" ", level) + "k:\n")
	}
	b.WriteString(strings.Repeat(" ", level) + "k: ")
	b.Write(block)
	b.WriteString("\n" + strings.Repeat(" ", level) + "l: x\n...\n")
	doc, err := NewReader(&b, "", Limits{Bytes: b.Len() + 1, Nodes: 1 << 30}).Next()
	if err != nil {
		return false
	}
	n := doc.Root
	for ; level > 0; level -= bestIndent {
		n = n.Get("k")
	}
	got, next := n.Get("k"), n.Get("l")
	return got != nil && got.Kind == Scalar && got.Text == want && next != nil && next.Text == "x"
}
