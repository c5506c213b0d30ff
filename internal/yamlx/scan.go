package yamlx

import (
	"bytes"
	"unicode/utf8"
)

// maxKey is the longest key that is read, in bytes. It is what YAML allows for
// a key on one line.
const maxKey = 1024

// maxDirectives is how many lines that begin with '%' a document may have.
const maxDirectives = 32

// badCharacter finds the first byte that may not stand in a YAML file: not
// UTF-8, or a character that YAML calls not printable. It returns -1 if there
// is none.
func badCharacter(b []byte) int {
	for i := 0; i < len(b); {
		c := b[i]
		if c < utf8.RuneSelf {
			if c < 0x20 && c != '\t' && c != '\n' && c != '\r' || c == 0x7f {
				return i
			}
			i++
			continue
		}
		r, size := utf8.DecodeRune(b[i:])
		if r == utf8.RuneError && size == 1 || !printable(r) {
			return i
		}
		i += size
	}
	return -1
}

// printable reports whether a character beyond ASCII may stand in a YAML file
// as it is. The byte order mark may not, though YAML would let it.
func printable(r rune) bool {
	return r == 0x85 || r >= 0xa0 && r <= 0xd7ff || r >= 0xe000 && r <= 0xfffd && r != 0xfeff || r >= 0x10000
}

// nodeBound returns a number that the nodes of a document cannot exceed,
// without parsing it. The parser spends some 200 bytes on a node before one
// could count them, so that 4 MiB of commas would cost 800 MB.
//
// Each mark opens room for so many nodes: an item for "- " and '[', a key and
// a value for ':', '?', ',' and '{'. A collection itself takes the room of an
// item, a key or a value. Marks within text are counted too.
func nodeBound(b []byte) int {
	n := 1
	for i, c := range b {
		switch c {
		case ',', '{':
			n += 2
		case '[', '*', '&':
			n++
		case '-':
			if blankAt(b, i+1) {
				n++
			}
		case '?', ':':
			if blankAt(b, i+1) || flowAt(b, i+1) || i == 0 || blankAt(b, i-1) || flowAt(b, i-1) ||
				b[i-1] == '"' || b[i-1] == '\'' {
				n += 2
			}
		}
	}
	return n
}

// blankAt reports whether position i is a blank, a line break or the end.
func blankAt(b []byte, i int) bool {
	return i >= len(b) || b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r' || b[i] >= utf8.RuneSelf
}

func flowAt(b []byte, i int) bool {
	return i < len(b) && bytes.IndexByte([]byte(",[]{}"), b[i]) >= 0
}

// place returns the line (counted from first) and column of a byte offset.
func place(b []byte, offset, first int) (line, column int) {
	head := b[:offset]
	begin := bytes.LastIndexByte(head, '\n') + 1
	return first + bytes.Count(head, []byte("\n")), utf8.RuneCount(head[begin:]) + 1
}
