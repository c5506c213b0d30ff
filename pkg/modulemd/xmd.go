package modulemd

import "strings"

// Node is a value of the free-form part of a stream document, xmd: text, a
// boolean, a list or a mapping. There are no numbers: libmodulemd keeps them
// as text, and so 1.10 does not become 1.1.
//
// The zero Node is empty text.
type Node struct {
	kind   NodeKind
	text   string // of a boolean as it was written, "TRUE" too
	plain  bool   // text that reads as a boolean or null and was not quoted
	items  []*Node
	keys   []string
	values map[string]*Node
}

// NodeKind says what a Node holds.
type NodeKind uint8

// The kinds of Node.
const (
	TextNode NodeKind = iota
	BoolNode
	ListNode
	MapNode
)

// NewText makes text.
func NewText(s string) *Node { return &Node{text: s} }

// NewBool makes a boolean.
func NewBool(b bool) *Node {
	if b {
		return &Node{kind: BoolNode, text: "true"}
	}
	return &Node{kind: BoolNode, text: "false"}
}

// NewList makes a list.
func NewList(items ...*Node) *Node { return &Node{kind: ListNode, items: items} }

// NewMap makes a mapping without keys; Set adds them.
func NewMap() *Node { return &Node{kind: MapNode, values: map[string]*Node{}} }

// Kind says what n holds. A nil Node is an empty text.
func (n *Node) Kind() NodeKind {
	if n == nil {
		return TextNode
	}
	return n.kind
}

// Text is the text of a TextNode, "true" or "false" for a BoolNode, else "".
func (n *Node) Text() string {
	if n == nil {
		return ""
	}
	if n.kind == BoolNode {
		return strings.ToLower(n.text)
	}
	return n.text
}

// Bool is the value of a BoolNode, else false.
func (n *Node) Bool() bool { return n.Kind() == BoolNode && n.Text() == "true" }

// Items are the items of a list, in order. The slice is n's own.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

// Keys are the keys of a mapping in the order they were set. Writing sorts
// them. The slice is n's own.
func (n *Node) Keys() []string {
	if n == nil {
		return nil
	}
	return n.keys
}

// Get returns the value of a key, or nil if n is no mapping or lacks it, so
// that calls chain: xmd.Get("mbs").Get("commit").Text().
func (n *Node) Get(key string) *Node {
	if n == nil {
		return nil
	}
	return n.values[key]
}

// Set puts a key into a mapping, in place of an earlier value, and returns n.
// On anything but a mapping it does nothing.
func (n *Node) Set(key string, value *Node) *Node {
	if n.Kind() != MapNode {
		return n
	}
	if _, ok := n.values[key]; !ok {
		n.keys = append(n.keys, key)
	}
	n.values[key] = value
	return n
}

// Append puts items at the end of a list and returns n. On anything but a
// list it does nothing.
func (n *Node) Append(items ...*Node) *Node {
	if n.Kind() == ListNode {
		n.items = append(n.items, items...)
	}
	return n
}
