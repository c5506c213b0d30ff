package report

import (
	"fmt"
	"math"
	"slices"
	"time"
)

const (
	plotWidth  = 780
	rowHeight  = 22
	slotHeight = 18
	maxSlots   = 32 // drawn in the overview; more are only numbered
)

// A timeline is the picture of when each component was built: above, what each
// slot was doing; below, one row for each component.
type timeline struct {
	Width, Height int
	Label         string // text alternative
	Slots         int
	PlotX, PlotW  int
	Top           int // of the grid
	Ticks         []tick
	SlotRows      []slotRow
	Rows          []timeRow
}

type tick struct {
	X    int
	Text string
}

type slotRow struct {
	Y, Line int
	Name    string
	Bars    []bar
}

type bar struct {
	X, Y, W, H int
	Class      string
	Text       string // on the bar; empty where it does not fit
	TextX      int
	Line       int
	Title      string
}

type timeRow struct {
	Row           int // of the component in the table
	Y, Line       int
	Class, Symbol string
	Name          string
	Bar           *bar // nil where it was not built
	Note          string
	NoteX         int
	NoteEnd       bool // the note ends at NoteX
	Title         string
}

// A span is when one component was built.
type span struct {
	comp       int
	start, end time.Time
	open       bool // it had not ended
	slot       int
}

// spans returns when components were built by this run, by beginning, and the
// time from the first to the last moment of the build.
func spans(b Build) (all []span, from, to time.Time) {
	from, to = b.Started, b.Ended
	for i, c := range b.Components {
		if c.State == "taken over" || c.Started.IsZero() {
			continue
		}
		s := span{comp: i, start: c.Started, end: c.Ended, open: c.Ended.IsZero()}
		if s.end.Before(s.start) {
			s.end = s.start
		}
		all = append(all, s)
		if from.IsZero() || s.start.Before(from) {
			from = s.start
		}
		if s.end.After(to) {
			to = s.end
		}
	}
	for i, s := range all {
		if s.open {
			all[i].end = to
		}
	}
	slices.SortStableFunc(all, func(a, b span) int { return a.start.Compare(b.start) })
	return all, from, to
}

// fillSlots gives each span the first slot that is free when it begins, and
// returns the number of slots: what was really built at the same time.
func fillSlots(all []span) int {
	var free []time.Time
	for i, s := range all {
		slot := slices.IndexFunc(free, func(t time.Time) bool { return !t.After(s.start) })
		if slot < 0 {
			slot = len(free)
			free = append(free, time.Time{})
		}
		free[slot], all[i].slot = s.end, slot
	}
	return len(free)
}

func newTimeline(b Build, rows []row) timeline {
	all, from, to := spans(b)
	view := timeline{Slots: fillSlots(all), PlotW: plotWidth}
	width, chars := boxWidth(rows, 12, 30)
	view.PlotX = margin + width
	view.Width = view.PlotX + plotWidth + 2*margin + 20
	total := to.Sub(from)
	if total <= 0 {
		total = time.Millisecond
	}
	scale := func(t time.Time) int {
		at := float64(t.Sub(from)) / float64(total)
		return view.PlotX + int(math.Round(min(max(at, 0), 1)*plotWidth))
	}
	view.Ticks = ticks(total, func(d time.Duration) int { return scale(from.Add(d)) })
	view.Top = margin + 18
	y := view.Top + 6
	if view.Slots <= maxSlots {
		y = view.drawSlots(rows, all, scale, y) + 10
	}
	for _, r := range timelineOrder(rows, all) {
		view.Rows = append(view.Rows, view.newRow(rows[r.comp], r, scale, y, chars))
		y += rowHeight
	}
	view.Height = y + margin
	view.Label = fmt.Sprintf("%s built in %s, at most %d at the same time; the table below lists how long each took.",
		count(len(all), "component", "components"), duration(total), view.Slots)
	return view
}

// timelineOrder puts what was built first, by its beginning, then what was taken
// over, then the rest. Spans without a start were not built.
func timelineOrder(rows []row, all []span) []span {
	built := make(map[int]bool, len(all))
	for _, s := range all {
		built[s.comp] = true
	}
	var taken, rest []span
	for i, r := range rows {
		switch {
		case built[i]:
		case r.Class == "taken":
			taken = append(taken, span{comp: i})
		default:
			rest = append(rest, span{comp: i})
		}
	}
	return slices.Concat(all, taken, rest)
}

func (view *timeline) drawSlots(rows []row, all []span, scale func(time.Time) int, y int) int {
	for i := range view.Slots {
		top := y + i*slotHeight
		view.SlotRows = append(view.SlotRows, slotRow{Y: top, Line: top + 13, Name: fmt.Sprintf("slot %d", i+1)})
	}
	for _, s := range all {
		slot := &view.SlotRows[s.slot]
		r := rows[s.comp]
		x, end := scale(s.start), scale(s.end)
		b := bar{X: x, Y: slot.Y + 1, W: max(end-x-1, 1), H: slotHeight - 3, Class: r.Class,
			TextX: x + 4, Line: slot.Line, Title: r.Name + ": " + r.summary()}
		if fit := int(float64(b.W-8) / cellWidth); fit >= 4 || fit >= cells(r.Name) {
			b.Text = shorten(r.Name, fit)
		}
		slot.Bars = append(slot.Bars, b)
	}
	return y + view.Slots*slotHeight
}

func (view *timeline) newRow(r row, s span, scale func(time.Time) int, y, chars int) timeRow {
	t := timeRow{Row: r.Row, Y: y, Line: y + 15, Class: r.Class, Symbol: r.Symbol,
		Name: shorten(r.Name, chars-2), Title: r.Name + ": " + r.summary()}
	if s.start.IsZero() {
		t.Note, t.NoteX = r.State, view.PlotX+6
		if r.Class == "taken" && r.Duration != "" {
			t.Note += " (took " + r.Duration + " in an earlier run)"
		}
		return t
	}
	x, end := scale(s.start), scale(s.end)
	t.Bar = &bar{X: x, Y: y + 3, W: max(end-x, 2), H: rowHeight - 7, Class: r.Class}
	t.Note = duration(s.end.Sub(s.start))
	if s.open {
		t.Note += ", not ended"
	}
	if r.Class == "failed" {
		t.Note += ", failed"
	}
	t.Note += fmt.Sprintf(" (slot %d)", s.slot+1)
	// Right of the bar, or left of it where the plot ends, or on it.
	t.NoteX = x + t.Bar.W + 6
	if width := int(float64(cells(t.Note))*cellWidth) + 6; t.NoteX+width > view.PlotX+plotWidth {
		t.NoteX, t.NoteEnd = x-6, true
		if x-6-width < view.PlotX {
			t.NoteX = x + t.Bar.W - 6
		}
	}
	return t
}

// ticks divides d into at most ten round steps.
func ticks(d time.Duration, x func(time.Duration) int) []tick {
	steps := []time.Duration{1, 2, 5, 10, 20, 50, 100, 200, 500}
	for i := range steps {
		steps[i] *= time.Millisecond
	}
	for _, s := range []time.Duration{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400} {
		steps = append(steps, s*time.Second)
	}
	i := slices.IndexFunc(steps, func(s time.Duration) bool { return d/s < 10 })
	step := steps[len(steps)-1]
	if i >= 0 {
		step = steps[i]
	} else {
		step *= d/(step*10) + 1
	}
	var all []tick
	for t := time.Duration(0); ; t += step {
		all = append(all, tick{X: x(t), Text: tickText(t, step)})
		if d-t < step {
			return all
		}
	}
}

func tickText(t, step time.Duration) string {
	switch {
	case t == 0:
		return "0"
	case step < 100*time.Millisecond:
		return fmt.Sprintf("%d ms", t/time.Millisecond)
	case step < time.Second:
		return fmt.Sprintf("%.1f s", t.Seconds())
	case step >= 24*time.Hour:
		return fmt.Sprintf("%d d", t/(24*time.Hour))
	}
	h, m, s := t/time.Hour, t/time.Minute%60, t/time.Second%60
	switch {
	case t < time.Minute:
		return fmt.Sprintf("%d s", s)
	case t < time.Hour:
		return fmt.Sprintf("%d:%02d", m, s)
	}
	return fmt.Sprintf("%d:%02d:%02d", h, m, s)
}
