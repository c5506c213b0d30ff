package repogen

import (
	"strconv"
	"unicode/utf8"
)

// A buffer builds XML text. Its methods escape as libxml2 does when createrepo_c
// dumps a package; the strings given must be valid UTF-8 without control characters.
type buffer struct{ b []byte }

func (x *buffer) raw(s string) { x.b = append(x.b, s...) }

// text appends character data: '&', '<', '>' and carriage returns are escaped.
func (x *buffer) text(s string) {
	last := 0
	for i := 0; i < len(s); i++ {
		var esc string
		switch s[i] {
		case '&':
			esc = "&amp;"
		case '<':
			esc = "&lt;"
		case '>':
			esc = "&gt;"
		case '\r':
			esc = "&#13;"
		default:
			continue
		}
		x.b = append(append(x.b, s[last:i]...), esc...)
		last = i + 1
	}
	x.b = append(x.b, s[last:]...)
}

// attr appends ` name="value"`. Besides what text escapes, these are '"', tabs,
// newlines, and all that is not ASCII.
func (x *buffer) attr(name, value string) {
	x.b = append(append(append(x.b, ' '), name...), `="`...)
	last := 0
	for i := 0; i < len(value); {
		c := value[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(value[i:])
			x.b = append(append(x.b, value[last:i]...), "&#x"...)
			x.b = append(appendUpperHex(x.b, uint32(r)), ';')
			i += size
			last = i
			continue
		}
		i++
		var esc string
		switch c {
		case '&':
			esc = "&amp;"
		case '<':
			esc = "&lt;"
		case '>':
			esc = "&gt;"
		case '"':
			esc = "&quot;"
		case '\t':
			esc = "&#9;"
		case '\n':
			esc = "&#10;"
		case '\r':
			esc = "&#13;"
		default:
			continue
		}
		x.b = append(append(x.b, value[last:i-1]...), esc...)
		last = i
	}
	x.b = append(append(x.b, value[last:]...), '"')
}

func appendUpperHex(b []byte, n uint32) []byte {
	start := len(b)
	b = strconv.AppendUint(b, uint64(n), 16)
	for i := start; i < len(b); i++ {
		if b[i] >= 'a' {
			b[i] -= 'a' - 'A'
		}
	}
	return b
}

func (x *buffer) attrInt(name string, value int64) { x.attr(name, strconv.FormatInt(value, 10)) }

// element appends an indented element that has only text.
func (x *buffer) element(indent, name, text string) {
	x.raw(indent)
	x.raw("<")
	x.raw(name)
	x.raw(">")
	x.text(text)
	x.raw("</")
	x.raw(name)
	x.raw(">\n")
}
