package progress

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kojimod/kojimod/pkg/modulebuild"
)

// table redraws a table in place. The cursor rests on the line below it. A frame
// is one write; each line overwrites the old one and clears what is left of it,
// so that nothing flickers.
type table struct {
	out   *output
	size  func() (w, h int)
	color bool
	ascii bool

	drawn []int     // cells of each line of the last frame
	at    time.Time // of the last frame
	dirty bool      // something has happened since
	final bool      // the last frame stays
}

// Control sequences, all of which have been in every terminal since the VT100.
const (
	noWrap     = "\x1b[?7l" // a rune that is wider than thought must not break a line
	wrap       = "\x1b[?7h"
	clearRight = "\x1b[K"
	clearBelow = "\x1b[J"
)

func (t *table) observed(b *state, now time.Time, _ *component, _ modulebuild.Event, _ bool) {
	t.dirty = true
	t.maybeDraw(b, now)
}

func (t *table) tick(b *state, now time.Time) {
	if now.Sub(t.at) >= time.Second {
		t.dirty = true // the clocks in it
	}
	t.maybeDraw(b, now)
}

func (t *table) maybeDraw(b *state, now time.Time) {
	if since := now.Sub(t.at); t.dirty && (since >= redraw || since < 0) {
		t.draw(b, now)
	}
}

func (t *table) screen() (w, h int) {
	if t.size != nil {
		w, h = t.size()
	}
	if w < 1 || h < 1 {
		return 80, 24
	}
	return w, h
}

// home moves to the first line of the last frame. Where the terminal has become
// narrower it has broken the lines of that frame anew, as all that keep
// a history of lines do; they are then more rows than they were.
func (t *table) home(w, h int) string {
	rows := 0
	for _, cells := range t.drawn {
		rows += max((cells+w-1)/w, 1)
	}
	if rows = min(rows, h-1); rows <= 0 {
		return "\r"
	}
	return fmt.Sprintf("\r\x1b[%dA", rows)
}

func (t *table) draw(b *state, now time.Time) {
	w, h := t.screen()
	frame := t.frame(b, now, w, h)
	home := t.home(w, h)
	t.at, t.dirty = now, false
	t.put(home, frame)
}

// put overwrites the last frame.
func (t *table) put(home string, frame []styled) {
	var s strings.Builder
	s.WriteString(home + noWrap)
	t.drawn = t.drawn[:0]
	for _, line := range frame {
		s.WriteString(line.text + clearRight + "\n")
		t.drawn = append(t.drawn, line.cells)
	}
	s.WriteString(clearBelow + wrap)
	t.out.write(s.String())
}

func (t *table) message(b *state, now time.Time, text string) {
	w, h := t.screen()
	var s strings.Builder
	s.WriteString(t.home(w, h) + clearBelow)
	for line := range strings.SplitSeq(strings.TrimRight(text, "\n"), "\n") {
		line = clean(line)
		if t.ascii {
			line = toASCII(line)
		}
		s.WriteString(line + "\n")
	}
	t.out.write(s.String())
	t.drawn = nil
	if !t.final {
		t.dirty = true
		t.maybeDraw(b, now)
	}
}

// close replaces the table by one of all components, however many.
func (t *table) close(b *state, now time.Time) {
	w, h := t.screen()
	home := t.home(w, h)
	frame := []styled{t.header(b, now, w)}
	for _, c := range b.components {
		frame = append(frame, t.row(b, c, now, w))
	}
	t.put(home, frame)
	t.drawn, t.final = nil, true
}

// A styled is a line with its colours, and how many cells it takes.
type styled struct {
	text  string
	cells int
}

// frame is the table as it fits into w columns and h rows: all components in
// their order, or, where there are too many, those that matter most now.
func (t *table) frame(b *state, now time.Time, w, h int) []styled {
	room := h - 2 // the header, and the row of the cursor
	if room < 0 {
		return nil
	}
	frame := []styled{t.header(b, now, w)}
	shown, hidden := b.components, []*component(nil)
	if len(shown) > room {
		sorted := slices.Clone(shown)
		slices.SortStableFunc(sorted, func(a, b *component) int {
			if d := urgency(a.state) - urgency(b.state); d != 0 || a.state != modulebuild.Building {
				return d
			}
			return a.started.Compare(b.started)
		})
		room = max(room-1, 0) // the summary
		shown, hidden = sorted[:room], sorted[room:]
	}
	for _, c := range shown {
		frame = append(frame, t.row(b, c, now, w))
	}
	if len(hidden) > 0 && h > 2 {
		text := cut(fmt.Sprintf("  and %d more: %s", len(hidden), counts(hidden)), w-1, t.ellipsis())
		frame = append(frame, styled{text, textWidth(text)})
	}
	return frame
}

func urgency(s modulebuild.State) int {
	return slices.Index([]modulebuild.State{modulebuild.Building, modulebuild.Failed, modulebuild.Waiting,
		modulebuild.Built, modulebuild.NotBuilt, modulebuild.TakenOver, modulebuild.Skipped}, s)
}

// counts lists how many components are in which state.
func counts(components []*component) string {
	n := map[modulebuild.State]int{}
	for _, c := range components {
		n[c.state]++
	}
	var parts []string
	for _, s := range []modulebuild.State{modulebuild.Building, modulebuild.Failed, modulebuild.Waiting,
		modulebuild.Built, modulebuild.TakenOver, modulebuild.NotBuilt, modulebuild.Skipped} {
		if n[s] > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n[s], s))
		}
	}
	return strings.Join(parts, ", ")
}

func (t *table) header(b *state, now time.Time, w int) styled {
	done := 0
	for _, c := range b.components {
		if c.state != modulebuild.Waiting && c.state != modulebuild.Building {
			done++
		}
	}
	text := fmt.Sprintf("%d of %d done in %s", done, len(b.components), seconds(now.Sub(b.start)))
	if c := counts(b.components); c != "" {
		text += ": " + c
	}
	text = cut(text, w-1, t.ellipsis())
	cells := textWidth(text)
	if t.color {
		text = "\x1b[1m" + text + "\x1b[0m"
	}
	return styled{text, cells}
}

// row is symbol, name, state, elapsed time, and the last line of the log, or why
// the component is in its state. What does not fit is cut from the right.
func (t *table) row(b *state, c *component, now time.Time, w int) styled {
	symbol, color := t.look(c.state)
	elapsed := ""
	if !c.started.IsZero() {
		elapsed = seconds(c.elapsed(now))
	}
	detail := c.line
	if detail == "" {
		detail = c.reason
	}
	name := c.name
	if t.ascii {
		name, detail = toASCII(name), toASCII(detail)
	}
	left := pad(symbol+" "+name, t.nameWidth(b, w)+2, t.ellipsis())
	state := pad(clean(string(c.state)), 10, t.ellipsis())
	text := cut(strings.TrimRight(fmt.Sprintf("%s  %s  %8s  %s", left, state, elapsed, detail), " "), w-1, t.ellipsis())
	cells := textWidth(text)
	if t.color && color != "" {
		// The symbol and the word, where they were not cut off.
		word := clean(string(c.state))
		if rest, ok := strings.CutPrefix(text, left+"  "+word); ok {
			left = "\x1b[" + color + "m" + symbol + "\x1b[0m" + strings.TrimPrefix(left, symbol)
			text = left + "  \x1b[" + color + "m" + word + "\x1b[0m" + rest
		}
	}
	return styled{text, cells}
}

// nameWidth is the width of the column of names: what the longest needs, but
// never so much that nothing else fits.
func (t *table) nameWidth(b *state, w int) int {
	return min(b.nameWidth, max(w/3, 8), 40)
}

func (t *table) ellipsis() string {
	if t.ascii {
		return "~"
	}
	return "…"
}

// look is the symbol of a state, so that nothing depends on colour alone, and
// its colour (parameters of SGR).
func (t *table) look(s modulebuild.State) (symbol, color string) {
	ascii := ""
	switch s {
	case modulebuild.Waiting:
		symbol, ascii, color = "○", ".", "2"
	case modulebuild.Building:
		symbol, ascii, color = "▸", ">", "33"
	case modulebuild.Built:
		symbol, ascii, color = "✓", "+", "32"
	case modulebuild.TakenOver:
		symbol, ascii, color = "↺", "=", "36"
	case modulebuild.Failed:
		symbol, ascii, color = "✗", "x", "1;31"
	case modulebuild.Skipped:
		symbol, ascii, color = "⊘", "/", "2"
	case modulebuild.NotBuilt:
		symbol, ascii, color = "–", "-", "2"
	default:
		symbol, ascii = "?", "?"
	}
	if t.ascii {
		symbol = ascii
	}
	return symbol, color
}
