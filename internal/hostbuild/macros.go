package hostbuild

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// macroName is a macro's name as rpm takes it, with the parameters it may have.
var macroName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{2,}(\([^()\s]*\))?$`)

// macroFile gives the text of a macro file that defines macros. rpm reads a
// definition up to the end of the line; a backslash quotes the next character,
// the end of the line too.
func macroFile(macros []modulebuild.Macro) ([]byte, error) {
	var text strings.Builder
	quote := strings.NewReplacer(`\`, `\\`, "\n", "\\\n")
	for _, m := range macros {
		if !macroName.MatchString(m.Name) {
			return nil, &modulebuild.InputError{Where: "macro " + fmt.Sprintf("%q", m.Name),
				Msg: "rpm takes names of at least three letters, digits and underscores that begin with no digit, with parameters as in \"name(ab:)\""}
		}
		body := strings.TrimRight(strings.ReplaceAll(m.Body, "\r\n", "\n"), " \t\n")
		if strings.ContainsAny(body, "\x00\r") {
			return nil, &modulebuild.InputError{Where: "macro " + m.Name, Msg: "its text has a NUL or carriage return"}
		}
		if !balanced(body) {
			return nil, &modulebuild.InputError{Where: "macro " + m.Name, Msg: "its text opens a %{, %( or %[ that it does not close"}
		}
		// rpm takes an empty body for a mistake, and one that begins with a brace
		// for one in braces.
		if body == "" || body[0] == '{' || body[0] == '\n' {
			body = "%{nil}" + body
		}
		// rpm joins the next line to one that ends in a backslash, quoted or not.
		if strings.HasSuffix(body, `\`) {
			body += "%{nil}"
		}
		fmt.Fprintf(&text, "%%%s %s\n", m.Name, quote.Replace(body))
	}
	return []byte(text.String()), nil
}

// balanced tells whether all brackets that a macro call has opened are closed.
// rpm reads on over the ends of lines until they are, into the next definition.
func balanced(body string) bool {
	pairs := map[byte]byte{'}': '{', ')': '(', ']': '['}
	open := map[byte]int{}
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '%':
			if i+1 < len(body) && strings.IndexByte("{([%", body[i+1]) >= 0 {
				i++
				if body[i] != '%' {
					open[body[i]]++
				}
			}
		case '{', '(', '[':
			if open[c] > 0 {
				open[c]++
			}
		case '}', ')', ']':
			if open[pairs[c]] > 0 {
				open[pairs[c]]--
			}
		}
	}
	return open['{'] == 0 && open['('] == 0 && open['['] == 0
}
