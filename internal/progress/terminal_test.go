package progress

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
)

// terminal is a terminal as far as the table needs one. It fails the test at
// anything that it does not know: what a terminal would do with it is not ours
// to guess.
type terminal struct {
	t      *testing.T
	w, h   int
	lines  [][]rune // with the history; a wide rune is followed by a zero
	row    int      // of the cursor, in lines
	col    int
	noWrap bool
	writes int
	colors []string
}

func newTerminal(t *testing.T, w, h int) *terminal {
	return &terminal{t: t, w: w, h: h, lines: [][]rune{nil}}
}

func (m *terminal) size() (int, int) { return m.w, m.h }

// resize breaks lines anew, as terminals with a history do.
func (m *terminal) resize(w, h int) {
	m.w, m.h = w, h
	var all [][]rune
	for _, line := range m.lines {
		for len(line) > w {
			all, line = append(all, line[:w:w]), line[w:]
		}
		all = append(all, line)
	}
	m.lines, m.row, m.col = all, len(all)-1, 0
}

func (m *terminal) Write(p []byte) (int, error) {
	m.writes++
	s := string(p)
	for len(s) > 0 {
		if rest, ok := strings.CutPrefix(s, "\x1b["); ok {
			end := strings.IndexFunc(rest, func(r rune) bool { return r >= '@' && r <= '~' })
			if end < 0 {
				m.t.Fatalf("unfinished escape sequence %q", s)
			}
			m.control(rest[:end+1])
			s = rest[end+1:]
			continue
		}
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			m.t.Fatalf("not UTF-8: %q", s[:1])
		}
		s = s[n:]
		m.put(r)
	}
	return len(p), nil
}

func (m *terminal) control(seq string) {
	var n int
	switch {
	case seq == "K":
		m.lines[m.row] = m.lines[m.row][:min(m.col, len(m.lines[m.row]))]
	case seq == "J":
		m.lines[m.row] = m.lines[m.row][:min(m.col, len(m.lines[m.row]))]
		m.lines = m.lines[:m.row+1]
	case seq == "?7l", seq == "?7h":
		m.noWrap = seq == "?7l"
	case strings.HasSuffix(seq, "m"):
		m.colors = append(m.colors, seq)
	case strings.HasSuffix(seq, "A"):
		if _, err := fmt.Sscanf(seq, "%dA", &n); err != nil {
			m.t.Fatalf("escape sequence %q", seq)
		}
		m.row = max(m.row-n, len(m.lines)-m.h, 0)
	default:
		m.t.Fatalf("unknown escape sequence %q", seq)
	}
}

func (m *terminal) put(r rune) {
	switch {
	case r == '\r':
		m.col = 0
		return
	case r == '\n':
		m.newline()
		return
	case r < 0x20 || r >= 0x7f && r <= 0x9f:
		m.t.Fatalf("control character %q", r)
	}
	cells := runeWidth(r)
	if m.col+cells > m.w {
		if m.noWrap {
			m.t.Fatalf("line %d is wider than %d", m.row, m.w)
		}
		m.newline()
	}
	line := m.lines[m.row]
	for len(line) < m.col+cells {
		line = append(line, ' ')
	}
	for i := range cells {
		line[m.col+i] = 0
	}
	if cells > 0 {
		line[m.col] = r
	}
	m.lines[m.row] = line
	m.col += cells
}

func (m *terminal) newline() {
	m.col = 0
	if m.row++; m.row == len(m.lines) {
		m.lines = append(m.lines, nil)
	}
}

// String is everything on the screen and in the history.
func (m *terminal) String() string {
	var s strings.Builder
	for _, line := range m.lines {
		s.WriteString(strings.TrimRight(strings.ReplaceAll(string(line), "\x00", ""), " ") + "\n")
	}
	return strings.TrimRight(s.String(), "\n") + "\n"
}
