package modulebuild

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A Macro is an RPM macro definition, as it stands in a macro file: rpm takes a
// backslash in the body for quoting what follows it, and drops braces around all
// of it.
type Macro struct {
	Name string `json:"name"` // with parameters where it takes any: "dist", "demo(a:)"
	Body string `json:"body"` // may hold newlines, which are behind backslashes in the file
}

// identityMacros are the macros that mark a package as part of a module build.
func identityMacros(id Identity) []Macro {
	return []Macro{
		{"dist", "." + id.DistTag},
		{"modularitylabel", id.NSVC()},
		{"_module_build", "1"},
		{"_module_name", id.Name},
		{"_module_stream", id.Stream},
		{"_module_version", strconv.FormatUint(id.Version, 10)},
		{"_module_context", string(id.Context)},
	}
}

// macroDefinition is the start of a definition: a name, and parameters directly
// behind it.
var macroDefinition = regexp.MustCompile(`^[ \t]*%([A-Za-z][A-Za-z0-9_]*|_[A-Za-z0-9_]+)(\([^)\n]*\))?(?s:(.*))$`)

// ParseMacros reads the macros of a module (buildopts.rpms.macros), which are
// written as in an RPM macro file: a line "%name body" each, which goes on behind
// a backslash at its end and while a brace, bracket or parenthesis is open. Blank
// lines and comments (#) mean nothing. Anything else, a macro without a body, and
// a name without its macro are errors with the line's number in text, from 1.
//
// The rules are those of rpm's own reader (macros.c, rdcl), which passes over in
// silence what is refused here.
func ParseMacros(text string) ([]Macro, error) {
	var macros []Macro
	entries, open := macroLines(text)
	if open {
		return nil, &MacroError{entries[len(entries)-1].line, "it is not at its end where the text is: close what it opens, and end with no backslash"}
	}
	for _, entry := range entries {
		line := strings.TrimSpace(entry.text)
		if strings.ContainsFunc(line, func(r rune) bool { return unicode.IsControl(r) && r != '\t' && r != '\n' }) {
			return nil, &MacroError{entry.line, fmt.Sprintf("%q has a control character", firstLine(line))}
		}
		if line == "" || line[0] == '#' {
			continue
		}
		m := macroDefinition.FindStringSubmatch(entry.text)
		switch {
		case line[0] != '%':
			return nil, &MacroError{entry.line, fmt.Sprintf("%q is no macro definition: write %%NAME BODY, or # before a comment", firstLine(line))}
		case m == nil:
			return nil, &MacroError{entry.line, fmt.Sprintf("%q: a macro's name is letters, digits and _, with no digit first", firstLine(line))}
		case m[2] == "" && m[3] != "" && !strings.ContainsAny(m[3][:1], " \t\n"):
			return nil, &MacroError{entry.line, fmt.Sprintf("%q: a macro's name is letters, digits and _, and a blank follows it", firstLine(line))}
		}
		body := strings.TrimSpace(m[3])
		if body == "" {
			return nil, &MacroError{entry.line, fmt.Sprintf("macro %%%s has no value: give it one, or %%{nil}", m[1])}
		}
		if fault := bodyFault(m[1], body); fault != "" {
			return nil, &MacroError{entry.line, fmt.Sprintf("macro %%%s %s", m[1], fault)}
		}
		if tail := len(body) - len(strings.TrimRight(body, `\`)); tail%2 == 1 {
			return nil, &MacroError{entry.line, fmt.Sprintf("macro %%%s ends with a backslash and blanks: leave them out", m[1])}
		}
		macros = append(macros, Macro{m[1] + m[2], body})
	}
	return macros, nil
}

// builtin are rpm's own macros, which cannot be defined.
var builtin = strings.Fields(`P S F basename define dirname dnl dump echo error eval expand exists expr getconfdir getenv
	getncpus global gsub len load lower lua macrobody quote rep reverse rpmversion shescape shrink sub suffix trace u2p
	uncompress undefine upper url2path verbose warn`)

// bodyFault says why rpm would not take a definition, which it does with a message
// that no build fails of.
func bodyFault(name, body string) string {
	if slices.Contains(builtin, name) {
		return "is rpm's own: give it another name"
	}
	if body[0] != '{' {
		return ""
	}
	// All of a body that begins with a brace is what is between that and its mate.
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				if strings.TrimSpace(body[1:i]) == "" {
					return "has no value: give it one, or %{nil}"
				}
				return ""
			}
		}
	}
	return "begins with a brace that does not close"
}

// A MacroError is a line of a module's macros that cannot be used.
type MacroError struct {
	Line int // in the text of macros, from 1
	Msg  string
}

func (e *MacroError) Error() string { return fmt.Sprintf("line %d of the macros: %s", e.Line, e.Msg) }

type macroLine struct {
	line int
	text string
}

// macroLines joins lines that belong together. A backslash that joins is
// dropped, the newline stays. open tells that the last would go on.
func macroLines(text string) (all []macroLine, open bool) {
	var nest nesting
	number := 0
	for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
		number++
		line = strings.TrimSuffix(line, "\r")
		if !open {
			nest = nesting{}
		}
		// A comment is over at the end of its line.
		comment := !open && strings.HasPrefix(strings.TrimSpace(line), "#")
		escaped := false
		if !comment {
			escaped = nest.scan(line)
		}
		if escaped {
			line = line[:len(line)-1]
		}
		if open {
			last := &all[len(all)-1]
			last.text += "\n" + line
		} else {
			all = append(all, macroLine{number, line})
		}
		open = !comment && (escaped || nest.open())
	}
	return all, open
}

// nesting counts what is open of %{…}, %(…) and %[…].
type nesting struct{ braces, parens, brackets int }

func (n *nesting) open() bool { return n.braces > 0 || n.parens > 0 || n.brackets > 0 }

// scan reads one line and tells whether a backslash ends it.
func (n *nesting) scan(line string) (escaped bool) {
	for i := 0; i < len(line); i++ {
		switch c := line[i]; c {
		case '\\':
			if i == len(line)-1 {
				return true
			}
			i++
		case '%':
			if i+1 < len(line) {
				switch line[i+1] {
				case '{':
					n.braces++
					i++
				case '(':
					n.parens++
					i++
				case '[':
					n.brackets++
					i++
				case '%':
					i++
				}
			}
		case '{', '}':
			count(&n.braces, c == '{')
		case '(', ')':
			count(&n.parens, c == '(')
		case '[', ']':
			count(&n.brackets, c == '[')
		}
	}
	return false
}

// count follows a bracket inside an open one; outside it is only text.
func count(n *int, opens bool) {
	switch {
	case *n == 0:
	case opens:
		*n++
	default:
		*n--
	}
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// moduleMacros gives all macros in force, those of the document last: as in an
// RPM macro file the last definition of a name holds.
func moduleMacros(id Identity, doc *modulemd.Stream) ([]Macro, error) {
	own, err := ParseMacros(doc.BuildOpts.RPMs.Macros)
	if err != nil {
		return nil, &InputError{Where: doc.BuildOpts.RPMs.MacrosPos.String(), Msg: "buildopts.rpms.macros", Err: err}
	}
	for _, m := range own {
		// Without these a package is not recognised as the module's.
		if name, _, _ := strings.Cut(m.Name, "("); name == "dist" || name == "modularitylabel" {
			return nil, &InputError{Where: doc.BuildOpts.RPMs.MacrosPos.String(),
				Msg: fmt.Sprintf("buildopts.rpms.macros defines %%%s, which is set for every module: leave it out", name)}
		}
	}
	return append(identityMacros(id), own...), nil
}

// FormatMacros writes macros as a file that rpm reads back as they are.
func FormatMacros(macros []Macro) string {
	var b strings.Builder
	for _, m := range macros {
		b.WriteByte('%')
		b.WriteString(m.Name)
		b.WriteByte(' ')
		// Within open braces rpm would join the lines itself, but a backslash is
		// right there as well.
		b.WriteString(strings.ReplaceAll(m.Body, "\n", "\\\n"))
		b.WriteByte('\n')
	}
	return b.String()
}
