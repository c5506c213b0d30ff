package yamlx

import (
	"fmt"
	"strings"
)

// An Error says why one document cannot be read. The documents after it can.
type Error struct {
	File     string
	Document int // from 1
	Line     int // in the file, from 1
	Column   int // from 1; 0 where only the line is known
	Msg      string
}

// Error gives "FILE:LINE:COLUMN: document N: what is wrong".
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d", e.Line)
		if e.Column > 0 {
			fmt.Fprintf(&b, ":%d", e.Column)
		}
	}
	fmt.Fprintf(&b, ": document %d: %s", e.Document, e.Msg)
	return b.String()
}

// explanations say in plain words what the parser's terse problems mean. Where
// begin is set, the parser's line (where the construct began) serves better
// than the line on which it gave up.
var explanations = [...]struct {
	problem, text string
	begin         bool
}{
	{"did not find expected key", "expected \"key: value\" at the indentation of this mapping (or its end)", false},
	{"did not find expected '-' indicator", "expected \"- item\" at the indentation of this list (or its end)", false},
	{"did not find expected ',' or ']'", "expected ',' or ']' in this [list]", false},
	{"did not find expected ',' or '}'", "expected ',' or '}' in this {mapping}", false},
	{"did not find expected node content", "expected a value", false},
	{"did not find expected <document start>", "expected the end of the document, or \"---\" before a further one", false},
	{"did not find expected alphabetic or numeric character", "expected a name after '&' or '*'; quote text that begins with one of these", true},
	{"mapping values are not allowed in this context", "found ':' where no mapping can begin; quote text that has ': ' in it, or mend the indentation", true},
	{"block sequence entries are not allowed in this context", "found \"- \" where no list can begin; put it on a line of its own, or quote the text", true},
	{"block mapping keys are not allowed in this context", "found '?' where no mapping can begin", true},
	{"could not find expected ':'", "expected ':' after this key", true},
	{"found character that cannot start any token", "found a character that no value can begin with (a tab, '@', '`' or '%'); indent with spaces, quote text that begins so", true},
	{"found a tab character that violates indentation", "found a tab; indent with spaces", true},
	{"found a tab character where an indentation space is expected", "found a tab; indent with spaces", true},
	{"found unexpected end of stream", "found the end of the document in quoted text that begins here; close the quote", true},
	{"found unexpected document indicator", "found \"---\" or \"...\" in quoted text that begins here; close the quote", true},
	{"found unknown escape character", "found a backslash before a character that cannot be escaped in \"text\"; use 'text' or double the backslash", true},
	{"did not find expected comment or line break", "expected the end of the line after '|' or '>'", true},
	{"exceeded max depth of 10000", "nested too deeply", true},
}

// explain turns a parser's problem into words. A problem that it does not know
// is given as it is.
func explain(problem string) (text string, begin bool) {
	for _, e := range explanations {
		if strings.Contains(problem, e.problem) {
			return e.text, e.begin
		}
	}
	return problem, true
}
