package modulemd

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxProblems is how many problems are reported before reading stops.
const maxProblems = 100

// A Problem is one thing that is wrong with a document.
type Problem struct {
	Pos      Position // zero where the document was not read from a file
	Document int      // its number in the file, from 1; 0 where it was not read
	Field    string   // as "data.components.rpms.bash.ref"; empty for the whole document
	Msg      string   // what is wrong, and what to do

	path *path
	err  error
}

// Unwrap gives [ErrUnsupported] where the problem is the document's type.
func (p *Problem) Unwrap() error { return p.err }

// Error gives "file:line:column: document 2: data.summary: what is wrong",
// without the parts that are not known.
func (p *Problem) Error() string {
	var b strings.Builder
	if at := p.Pos.String(); at != "" {
		b.WriteString(at + ": ")
	}
	if p.Document > 0 {
		fmt.Fprintf(&b, "document %d: ", p.Document)
	}
	if p.Field != "" {
		b.WriteString(p.Field + ": ")
	}
	b.WriteString(p.Msg)
	return b.String()
}

// Problems is the error of Read, Validate and Write: everything that is wrong,
// one line each.
type Problems []*Problem

// Error joins the problems with newlines.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i, one := range p {
		lines[i] = one.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives each problem to errors.Is and errors.As.
func (p Problems) Unwrap() []error {
	all := make([]error, len(p))
	for i, one := range p {
		all[i] = one
	}
	return all
}

// orNil keeps an empty list from becoming an error.
func (p Problems) orNil() error {
	if len(p) == 0 {
		return nil
	}
	return p
}

// A path leads from a document to one of its values. Paths share their
// beginnings, so that they cost nothing until a problem prints one.
type path struct {
	up   *path
	name string
}

// at goes one key deeper.
func (p *path) at(name string) *path { return &path{p, name} }

// item goes to an item of a list, counted from 0.
func (p *path) item(i int) *path { return &path{p, strconv.Itoa(i)} }

func (p *path) names() []string {
	var names []string
	for ; p != nil; p = p.up {
		names = append(names, p.name)
	}
	slices.Reverse(names)
	return names
}

// String joins the keys by dots. A key that would not be clear is quoted.
func (p *path) String() string {
	names := p.names()
	for i, name := range names {
		if name == "" || len(name) > 64 || strings.ContainsFunc(name, unclear) {
			names[i] = quote(name)
		}
	}
	return strings.Join(names, ".")
}

func unclear(r rune) bool {
	return r == '.' || r == '"' || r == ' ' || !strconv.IsPrint(r)
}

// quote shows foreign text in a message: escaped, and not at length.
func quote(s string) string {
	const most = 80
	if r := []rune(s[:min(len(s), 4*most)]); len(r) > most {
		return strconv.Quote(string(r[:most])) + "..."
	}
	return strconv.Quote(s)
}

func formatUint(n uint64) string { return strconv.FormatUint(n, 10) }

func joinParts(parts ...string) string {
	return strings.TrimRight(strings.Join(parts, ":"), ":")
}
