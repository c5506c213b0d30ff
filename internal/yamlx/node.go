package yamlx

// Kind says what a node is.
type Kind uint8

// The kinds of node.
const (
	Scalar Kind = iota + 1
	Sequence
	Mapping
)

// String names the kind for messages: "text", "a list", "a mapping".
func (k Kind) String() string {
	switch k {
	case Scalar:
		return "text"
	case Sequence:
		return "a list"
	case Mapping:
		return "a mapping"
	}
	return "nothing"
}

// Style says how a node is written. Reading reports it; writing takes it as a
// wish, kept where the text allows.
type Style uint8

// The styles. Flow is for sequences, the others are for scalars.
const (
	Plain        Style = iota // as it stands; block style for collections
	SingleQuoted              // 'text'
	DoubleQuoted              // "text"
	Literal                   // |
	Folded                    // >
	Flow                      // [a, b]
	Verbatim                  // writing only: plain, even if a reader takes it for a number, date, boolean or null
)

// Node is one node of a document. The zero value is no node.
type Node struct {
	Kind    Kind
	Style   Style
	Line    int    // in the whole file, from 1; 0 where the node was not read
	Column  int    // in characters, from 1
	Text    string // of a scalar
	Content []Node // items of a sequence; keys and values of a mapping in turn
}

// Get returns the value of a mapping's key, or nil.
func (n *Node) Get(key string) *Node {
	if n == nil || n.Kind != Mapping {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Text == key {
			return &n.Content[i+1]
		}
	}
	return nil
}

// IsNull reports whether the node is a value left out, as in "key:".
func (n *Node) IsNull() bool {
	return n.Kind == Scalar && n.Style == Plain && n.Text == ""
}
