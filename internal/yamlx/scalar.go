package yamlx

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

// An analysis says in which styles a text can be written, by the rules of
// libyaml's emitter.
type analysis struct {
	multiline    bool
	flowPlain    bool
	blockPlain   bool
	singleQuoted bool
	block        bool
}

func analyze(s string) analysis {
	if s == "" {
		return analysis{blockPlain: true, singleQuoted: true}
	}
	var flowMarks, blockMarks, special, breakSpace, spaceBreak bool
	if strings.HasPrefix(s, "---") || strings.HasPrefix(s, "...") {
		flowMarks, blockMarks = true, true
	}
	a := analysis{}
	var before rune = ' ' // the text begins as after a blank
	for i, r := range s {
		size := utf8.RuneLen(r)
		after := ' '
		if i+size < len(s) {
			after, _ = utf8.DecodeRuneInString(s[i+size:])
		}
		f, b := marks(r, i == 0, isBlank(before), isBlank(after))
		flowMarks, blockMarks = flowMarks || f, blockMarks || b
		switch {
		case r == '\n':
			a.multiline = true
			spaceBreak = spaceBreak || i > 0 && before == ' '
		case r == ' ':
			breakSpace = breakSpace || i > 0 && before == '\n'
		case r < 0x20 || r == 0x7f || r == 0x85 || r == 0x2028 || r == 0x2029 || r >= 0x80 && !printable(r):
			special = true
		}
		before = r
	}
	edge := isBlank(rune(s[0])) || isBlank(rune(s[len(s)-1]))
	a.block = !special && !spaceBreak && s[len(s)-1] != ' '
	a.singleQuoted = !special && !spaceBreak && !breakSpace
	a.blockPlain = a.singleQuoted && !edge && !a.multiline && !blockMarks
	a.flowPlain = a.singleQuoted && !edge && !a.multiline && !flowMarks
	return a
}

// marks reports whether a character would be taken for a part of YAML's own
// syntax, in flow collections and elsewhere, if it stood in plain text.
func marks(r rune, first, blankBefore, blankAfter bool) (flow, block bool) {
	if first {
		switch {
		case strings.ContainsRune("#,[]{}&*!|>'\"%@`", r):
			return true, true
		case r == '?' || r == ':':
			return true, blankAfter
		}
		return r == '-' && blankAfter, r == '-' && blankAfter
	}
	switch {
	case strings.ContainsRune(",?[]{}", r):
		return true, false
	case r == ':':
		return true, blankAfter
	}
	return r == '#' && blankBefore, r == '#' && blankBefore
}

func isBlank(r rune) bool { return r == ' ' || r == '\t' || r == '\n' || r == '\r' }

// plain writes text without quotes, folded at single blanks.
func (e *emitter) plain(s string, fold int) {
	spaces := false
	for i := range s {
		if s[i] == ' ' && fold != noFold && !spaces && e.column > bestWidth && i+1 < len(s) && s[i+1] != ' ' {
			e.newline(fold)
			spaces = true
			continue
		}
		spaces = s[i] == ' '
		e.putAt(s, i)
	}
}

// quoteSingle writes text in single quotes, folded at single blanks.
func (e *emitter) quoteSingle(s string, fold int) {
	e.put("'")
	spaces, breaks := false, false
	for i := range s {
		switch c := s[i]; {
		case c == ' ':
			if fold != noFold && !spaces && e.column > bestWidth && i > 0 && i+1 < len(s) && s[i+1] != ' ' {
				e.newline(fold)
			} else {
				e.put(" ")
			}
			spaces = true
		case c == '\n':
			if !breaks {
				e.newline(0)
			}
			e.newline(0)
			breaks = true
		default:
			if breaks {
				e.indent(fold)
			}
			if c == '\'' {
				e.put("'")
			}
			e.putAt(s, i)
			spaces, breaks = false, false
		}
	}
	if breaks {
		e.indent(fold)
	}
	e.put("'")
}

// indent fills up a line that has just begun.
func (e *emitter) indent(indent int) { e.put(strings.Repeat(" ", max(indent, 0))) }

// putAt writes the one character of s that begins at i.
func (e *emitter) putAt(s string, i int) {
	_, size := utf8.DecodeRuneInString(s[i:])
	e.put(s[i : i+size])
}

// quoteDouble writes text in double quotes, folded at blanks.
func (e *emitter) quoteDouble(s string, fold int) {
	e.put("\"")
	spaces := false
	for i, r := range s {
		switch {
		case r == ' ':
			if fold != noFold && !spaces && e.column > bestWidth && i > 0 && i+1 < len(s) {
				e.newline(fold)
				if s[i+1] == ' ' {
					e.put("\\")
				}
			} else {
				e.put(" ")
			}
			spaces = true
			continue
		case r == '"' || r == '\\' || r < 0x20 || r >= 0x7f && !printable(r) || r == 0x85 || r == 0x2028 || r == 0x2029:
			e.put(escape(r))
		default:
			e.put(string(r))
		}
		spaces = false
	}
	e.put("\"")
}

// escape writes a character as double quotes need it.
func escape(r rune) string {
	const named = "\x00\\0\x07\\a\x08\\b\x09\\t\x0a\\n\x0b\\v\x0c\\f\x0d\\r\x1b\\e\"\\\"\\\\\\"
	for i := 0; i < len(named); i += 3 {
		if rune(named[i]) == r {
			return named[i+1 : i+3]
		}
	}
	switch {
	case r == 0x85:
		return `\N`
	case r == 0x2028:
		return `\L`
	case r == 0x2029:
		return `\P`
	case r <= 0xff:
		return fmt.Sprintf(`\x%02X`, r)
	case r <= 0xffff:
		return fmt.Sprintf(`\u%04X`, r)
	}
	return fmt.Sprintf(`\U%08X`, r)
}

// blockLines writes text as a literal or folded block.
func (e *emitter) blockLines(s string, style Style, indent int) {
	if style == Literal {
		e.put("|")
	} else {
		e.put(">")
	}
	if s[0] == ' ' || s[0] == '\n' {
		e.put(string('0' + rune(bestIndent)))
	}
	switch {
	case !strings.HasSuffix(s, "\n"):
		e.put("-")
	case s == "\n" || strings.HasSuffix(s, "\n\n"):
		e.put("+")
	}
	if style == Literal {
		e.literalLines(s, indent)
	} else {
		e.foldedLines(s, indent)
	}
	// The line break at the end belongs to what comes next.
	e.out = bytes.TrimSuffix(e.out, []byte("\n"))
}

func (e *emitter) literalLines(s string, indent int) {
	e.newline(0)
	for line := range strings.Lines(s) {
		text, ended := strings.CutSuffix(line, "\n")
		if text != "" {
			e.indent(indent)
			e.put(text)
		}
		if ended {
			e.newline(0)
		}
	}
}

// foldedLines writes a line break of the text as two, except next to lines
// that begin with a blank, and breaks lines at single blanks after column 80.
func (e *emitter) foldedLines(s string, indent int) {
	e.newline(0)
	breaks, leading := true, true
	for i := range s {
		switch c := s[i]; {
		case c == '\n':
			if !breaks && !leading {
				rest := strings.TrimLeft(s[i:], "\n")
				if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
					e.newline(0)
				}
			}
			e.newline(0)
			breaks = true
		default:
			if breaks {
				e.indent(indent)
				leading = c == ' ' || c == '\t'
			}
			if !breaks && c == ' ' && i+1 < len(s) && s[i+1] != ' ' && e.column > bestWidth {
				e.newline(indent)
			} else {
				e.putAt(s, i)
			}
			breaks = false
		}
	}
}
