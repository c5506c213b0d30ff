package yamlx

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"gopkg.in/yaml.v3"
)

// Limits bounds what one document may cost. A field that is 0 takes the value
// that Reader documents for it.
type Limits struct {
	Bytes int // of a document's text; 4 MiB
	Nodes int // 200,000
	Depth int // of collections in each other; 100
}

// Document is one document of a file.
type Document struct {
	Number int   // from 1
	Root   *Node // nil where the document is empty, as in "---" alone
	Line   int   // where its root, or else its text, begins
}

// Reader reads the documents of one file in turn. Memory is bounded by the
// limits of one document, however large the file.
type Reader struct {
	split  *splitter
	file   string
	limits Limits
	number int
	err    error
}

// NewReader reads from r; filename is only for positions and messages.
func NewReader(r io.Reader, filename string, limits Limits) *Reader {
	if limits.Bytes <= 0 {
		limits.Bytes = 4 << 20
	}
	if limits.Nodes <= 0 {
		limits.Nodes = 200_000
	}
	if limits.Depth <= 0 {
		limits.Depth = 100
	}
	return &Reader{split: newSplitter(r, limits.Bytes), file: filename, limits: limits}
}

// Next returns the next document, or io.EOF. An [*Error] concerns one
// document, and the next call goes on after it; any other error is final.
func (r *Reader) Next() (*Document, error) {
	if r.err != nil {
		return nil, r.err
	}
	if r.number == 0 {
		if err := r.begin(); err != nil {
			r.err = io.EOF
			return nil, err
		}
	}
	c, err := r.split.next()
	if err != nil {
		if err != io.EOF {
			err = fmt.Errorf("reading %s: %w", r.file, err)
		}
		r.err = err
		return nil, err
	}
	r.number++
	p := parser{chunk: c, file: r.file, number: r.number, limits: r.limits}
	return p.parse()
}

// begin passes over a byte order mark and refuses encodings other than UTF-8.
func (r *Reader) begin() error {
	head, err := r.split.r.Peek(3)
	if err != nil && err != io.EOF {
		return fmt.Errorf("reading %s: %w", r.file, err)
	}
	switch {
	case bytes.HasPrefix(head, []byte("\xef\xbb\xbf")):
		_, err = r.split.r.Discard(3)
		return err
	case bytes.HasPrefix(head, []byte("\xff\xfe")), bytes.HasPrefix(head, []byte("\xfe\xff")):
		return &Error{File: r.file, Document: 1, Line: 1, Msg: "the file is UTF-16; convert it to UTF-8"}
	}
	return nil
}

// A parser turns the text of one document into a tree.
type parser struct {
	chunk
	file   string
	number int
	limits Limits
	nodes  int
}

func (p *parser) fail(line, column int, format string, args ...any) *Error {
	return &Error{File: p.file, Document: p.number, Line: line, Column: column, Msg: fmt.Sprintf(format, args...)}
}

func (p *parser) parse() (*Document, error) {
	if p.over {
		return nil, p.fail(p.line, 0, "the document is larger than %d bytes; split it", p.limits.Bytes)
	}
	// The parser compares each directive with all before it.
	if p.directives > maxDirectives {
		return nil, p.fail(p.line, 0, "the document has %d %%-directives; %d is the limit", p.directives, maxDirectives)
	}
	if i := badCharacter(p.text); i >= 0 {
		line, column := place(p.text, i, p.line)
		return nil, p.fail(line, column, "found byte 0x%02x, which no UTF-8 YAML text holds here; save the file as UTF-8 without control characters", p.text[i])
	}
	// An honest document has no more than two of these marks for a node.
	if nodeBound(p.text) > 2*p.limits.Nodes {
		return nil, p.tooMany(p.line)
	}
	tree, err := p.decode()
	if err != nil {
		return nil, err
	}
	doc := &Document{Number: p.number, Line: p.line}
	if tree == nil || tree.Kind != yaml.DocumentNode || len(tree.Content) != 1 {
		return doc, nil
	}
	root := tree.Content[0]
	if root.Kind == yaml.ScalarNode && root.Style == 0 && root.Value == "" {
		return doc, nil
	}
	doc.Line = root.Line + p.line - 1
	doc.Root = new(Node)
	if err := p.convert(root, doc.Root, 0); err != nil {
		return nil, err
	}
	return doc, nil
}

func (p *parser) tooMany(line int) *Error {
	return p.fail(line, 0, "the document has more than %d nodes; split it", p.limits.Nodes)
}

// decode runs the YAML parser on the document. A panic of the parser is an
// error of the document.
func (p *parser) decode() (tree *yaml.Node, err error) {
	tree, err = decodeOnly(bytes.NewReader(p.text))
	if err == nil {
		return tree, nil
	}
	if errors.Is(err, errFurther) {
		return nil, p.fail(p.line, 0, "found \"---\" or \"...\" after an unusual line break; end lines with line feeds")
	}
	return nil, p.syntax(err)
}

var errFurther = errors.New("a further document")

func decodeOnly(r io.Reader) (tree *yaml.Node, err error) {
	defer func() {
		if v := recover(); v != nil {
			tree, err = nil, fmt.Errorf("%v", v)
		}
	}()
	tree = new(yaml.Node)
	d := yaml.NewDecoder(r)
	if err := d.Decode(tree); err != nil {
		if err == io.EOF {
			return nil, nil
		}
		return nil, err
	}
	if err := d.Decode(new(yaml.Node)); err != io.EOF {
		if err == nil {
			err = errFurther
		}
		return nil, err
	}
	return tree, nil
}

// syntax words a parser's error. The parser names either the line where the
// unfinished construct began or the one before it. Where the line on which it
// gave up says more, it is found by parsing again line by line.
func (p *parser) syntax(err error) *Error {
	problem := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 1
	if rest, ok := strings.CutPrefix(problem, "line "); ok {
		if number, text, ok := strings.Cut(rest, ": "); ok {
			if _, err := fmt.Sscanf(number, "%d", &line); err == nil {
				problem = text
			}
		}
	}
	text, begin := explain(problem)
	if !begin {
		feed := &lineReader{text: p.text}
		if _, err := decodeOnly(feed); err != nil {
			line = feed.lines
		}
	}
	found := excerpt(p.text, line)
	return p.fail(p.line+line-1, 0, "%s; found %s", text, found)
}

// A lineReader gives one line at each call, and so knows how far a reader got.
type lineReader struct {
	text  []byte
	pos   int
	lines int
}

func (l *lineReader) Read(b []byte) (int, error) {
	if l.pos == len(l.text) {
		return 0, io.EOF
	}
	if l.pos == 0 || l.text[l.pos-1] == '\n' {
		l.lines++
	}
	rest := l.text[l.pos:]
	if i := bytes.IndexByte(rest, '\n'); i >= 0 {
		rest = rest[:i+1]
	}
	n := copy(b, rest)
	l.pos += n
	return n, nil
}

// excerpt quotes the beginning of a line.
func excerpt(text []byte, line int) string {
	for ; line > 1; line-- {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return "the end of the document"
		}
		text = text[i+1:]
	}
	if i := bytes.IndexByte(text, '\n'); i >= 0 {
		text = text[:i]
	}
	text = bytes.TrimRight(text, "\r")
	if r := []rune(string(text[:min(len(text), 400)])); len(r) > 60 {
		return fmt.Sprintf("%q...", string(r[:60]))
	}
	return fmt.Sprintf("%q", text)
}
