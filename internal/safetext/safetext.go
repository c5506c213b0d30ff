// Package safetext makes text from strangers fit for a terminal: it is seen, and
// does nothing else.
package safetext

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// escapes are the sequences that a terminal would obey (ECMA-48): control
// sequences, strings (titles, links, device control) with their end, and the
// short ones. What is left of a broken one loses its ESC and is shown.
var escapes = regexp.MustCompile(
	"(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]" +
		"|(?:\x1b[\\]PX^_]|[\u009d\u0090\u0098\u009e\u009f])[^\x07\x1b\u009c]*(?:\x07|\x1b\\\\|\u009c)" +
		"|\x1b[ -/]*[0-Z\\\\^-~]")

// Line makes one line of s: escape sequences and control characters are gone,
// newlines and tabs are blanks, bytes that are no UTF-8 are U+FFFD, and no
// character has more than two marks on it.
func Line(s string) string {
	return escapesGone(s, ' ')
}

// Text is like Line, but keeps newlines.
func Text(s string) string {
	return escapesGone(s, '\n')
}

func escapesGone(s string, newline rune) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = escapes.ReplaceAllString(s, "")
	marks := 0
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n':
			return newline
		case r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp):
			return -1
		case r == 0xfe0e || r == 0xfe0f: // they make widths uncertain
			return -1
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks > 2 { // heaps of accents cover other lines
				return -1
			}
			return r
		}
		marks = 0
		return r
	}, s)
}
