package xmlrpc

import (
	"bytes"
	"strconv"
	"strings"
	"unicode/utf8"
)

type tokenKind int

const (
	startTag tokenKind = iota
	endTag
	text
	eof
)

func (k tokenKind) String() string {
	return [...]string{"a start tag", "an end tag", "text", "the end"}[k]
}

// A token is a piece of the document. Text comes with references resolved and
// line ends as XML has them; it may come in several pieces.
type token struct {
	kind   tokenKind
	name   string // of a tag
	text   []byte // of text; valid until the next token
	offset int
}

// A scanner reads the XML of XML-RPC: elements, text, CDATA sections, comments,
// processing instructions. Attributes are skipped. There is no document type
// declaration and thus no entity beyond XML's own.
type scanner struct {
	data    []byte
	pos     int
	closing string // an empty element's end tag, still to be returned
	pending bool
	buf     []byte
}

func (s *scanner) fail(offset int, problem string) error {
	return &SyntaxError{Offset: offset, Problem: problem}
}

// next returns the next token, comments and the like skipped.
func (s *scanner) next() (token, error) {
	if s.pending {
		s.pending = false
		return token{kind: endTag, name: s.closing, offset: s.pos}, nil
	}
	for s.pos < len(s.data) {
		rest := s.data[s.pos:]
		if rest[0] != '<' {
			return s.text()
		}
		switch {
		case bytes.HasPrefix(rest, []byte("<!--")):
			if err := s.skip("<!--", "-->"); err != nil {
				return token{}, err
			}
		case bytes.HasPrefix(rest, []byte("<![CDATA[")):
			start := s.pos
			if err := s.skip("<![CDATA[", "]]>"); err != nil {
				return token{}, err
			}
			raw := s.data[start+len("<![CDATA[") : s.pos-len("]]>")]
			if !utf8.Valid(raw) {
				return token{}, s.fail(start, "text is not UTF-8")
			}
			s.buf = appendLines(s.buf[:0], raw)
			return token{kind: text, text: s.buf, offset: start}, nil
		case bytes.HasPrefix(rest, []byte("<?")):
			if err := s.instruction(); err != nil {
				return token{}, err
			}
		case bytes.HasPrefix(rest, []byte("<!")):
			return token{}, s.fail(s.pos, "declarations are not allowed")
		default:
			return s.tag()
		}
	}
	return token{kind: eof, offset: s.pos}, nil
}

func (s *scanner) skip(open, end string) error {
	i := bytes.Index(s.data[s.pos+len(open):], []byte(end))
	if i < 0 {
		return s.fail(s.pos, "the end is missing of "+open)
	}
	s.pos += len(open) + i + len(end)
	return nil
}

// instruction skips <?…?>. Of the XML declaration the encoding matters: text in
// another one would be taken for what it is not.
func (s *scanner) instruction() error {
	start := s.pos
	if err := s.skip("<?", "?>"); err != nil {
		return err
	}
	decl := string(s.data[start:s.pos])
	if !strings.HasPrefix(decl, "<?xml ") {
		return nil
	}
	if start != 0 {
		return s.fail(start, "the XML declaration is not at the start")
	}
	_, enc, ok := strings.Cut(decl, "encoding")
	if !ok {
		return nil
	}
	enc = strings.Trim(strings.TrimSuffix(strings.TrimSpace(enc), "?>"), "= \t\r\n'\"")
	switch strings.ToLower(enc) {
	case "utf-8", "utf8", "us-ascii", "ascii":
		return nil
	}
	return s.fail(start, "encoding "+strconv.Quote(enc)+" is not UTF-8")
}

func (s *scanner) tag() (token, error) {
	start := s.pos
	end := s.tagEnd()
	if end < 0 {
		return token{}, s.fail(start, "the end of a tag is missing")
	}
	inner := s.data[start+1 : end]
	s.pos = end + 1
	kind := startTag
	empty := false
	if bytes.HasPrefix(inner, []byte("/")) {
		kind, inner = endTag, inner[1:]
	} else if bytes.HasSuffix(inner, []byte("/")) {
		empty, inner = true, inner[:len(inner)-1]
	}
	n := bytes.IndexAny(inner, " \t\r\n")
	if n < 0 {
		n = len(inner)
	} else if kind == endTag && len(bytes.TrimSpace(inner[n:])) > 0 {
		return token{}, s.fail(start, "an end tag has attributes")
	}
	name := intern(inner[:n])
	if name == "" {
		return token{}, s.fail(start, "bad name of a tag")
	}
	if empty {
		s.pending, s.closing = true, name
	}
	return token{kind: kind, name: name, offset: start}, nil
}

// tagEnd finds the ">" of the tag that begins at the current position; one within
// an attribute's quotes is not it.
func (s *scanner) tagEnd() int {
	quote := byte(0)
	for i := s.pos + 1; i < len(s.data); i++ {
		switch c := s.data[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			quote = c
		case c == '>':
			return i
		case c == '<':
			return -1
		}
	}
	return -1
}

// intern returns a tag's name without making a new string of the usual ones; ""
// where it is no name.
func intern(b []byte) string {
	switch string(b) { // does not allocate
	case "value":
		return "value"
	case "member":
		return "member"
	case "name":
		return "name"
	case "string":
		return "string"
	case "int":
		return "int"
	case "nil":
		return "nil"
	case "struct":
		return "struct"
	}
	if len(b) > 100 {
		return ""
	}
	for _, c := range b {
		letter := 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
		if !letter && !bytes.ContainsRune([]byte("._:-"), rune(c)) {
			return ""
		}
	}
	return string(b)
}

// text returns the text up to the next tag.
func (s *scanner) text() (token, error) {
	start := s.pos
	end := bytes.IndexByte(s.data[start:], '<')
	if end < 0 {
		end = len(s.data)
	} else {
		end += start
	}
	s.pos = end
	raw := s.data[start:end]
	if !utf8.Valid(raw) {
		return token{}, s.fail(start, "text is not UTF-8")
	}
	if bytes.IndexByte(raw, '&') < 0 && bytes.IndexByte(raw, '\r') < 0 {
		return token{kind: text, text: raw, offset: start}, nil
	}
	s.buf = s.buf[:0]
	for at := start; len(raw) > 0; {
		i := bytes.IndexByte(raw, '&')
		if i < 0 {
			s.buf = appendLines(s.buf, raw)
			break
		}
		s.buf = appendLines(s.buf, raw[:i])
		n := bytes.IndexByte(raw[i:min(len(raw), i+12)], ';')
		if n < 0 {
			return token{}, s.fail(at+i, "a reference has no end")
		}
		r, ok := reference(string(raw[i+1 : i+n]))
		if !ok {
			return token{}, s.fail(at+i, "unknown reference "+strconv.Quote(string(raw[i:i+n+1])))
		}
		s.buf = utf8.AppendRune(s.buf, r)
		at += i + n + 1
		raw = raw[i+n+1:]
	}
	return token{kind: text, text: s.buf, offset: start}, nil
}

func reference(name string) (rune, bool) {
	switch name {
	case "amp":
		return '&', true
	case "lt":
		return '<', true
	case "gt":
		return '>', true
	case "quot":
		return '"', true
	case "apos":
		return '\'', true
	}
	digits, ok := strings.CutPrefix(name, "#")
	if !ok {
		return 0, false
	}
	base := 10
	if hex, ok := strings.CutPrefix(digits, "x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil || n == 0 || n > utf8.MaxRune || !utf8.ValidRune(rune(n)) {
		return 0, false
	}
	return rune(n), true
}

// appendLines appends text with CR LF and CR made LF, as XML 1.0 says in 2.11.
func appendLines(dst, raw []byte) []byte {
	for {
		i := bytes.IndexByte(raw, '\r')
		if i < 0 {
			return append(dst, raw...)
		}
		dst = append(append(dst, raw[:i]...), '\n')
		raw = raw[i+1:]
		if len(raw) > 0 && raw[0] == '\n' {
			raw = raw[1:]
		}
	}
}
