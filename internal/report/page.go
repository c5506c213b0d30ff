package report

import (
	"strings"
)

// maxNamed is how many names or links stand in a cell of the table before the
// rest is counted or folded.
const maxNamed = 8

// A page is a Build made fit to be shown: cleaned text, checked references, and
// positions. The template only puts it into place.
type page struct {
	Title, NSVCA, DistTag, Platform, Builder string

	Result, Class, Symbol    string
	Started, Ended, Duration string

	Facts    []Fact
	Warnings []string
	Usage    string
	Counts   []stateCount
	Rows     []row
	Failures []row
	Graph    graph
	Timeline timeline
}

type stateCount struct {
	Class, Symbol, State string
	N                    int
}

// A row is one component, as in the table.
type row struct {
	Row           int // from 1; the anchor of the row
	Name, State   string
	Class, Symbol string
	Reason        string
	Duration      string
	After         []string
	AfterMore     int
	Links         []Link
	Packages      []Link
	Fold          bool // many packages: fold them
	Error, Tail   string
}

// summary is the state in words, with the duration where there is one.
func (r row) summary() string {
	if r.Duration == "" || r.Class == "taken" {
		return r.State
	}
	return r.State + ", " + r.Duration
}

func newPage(b Build) page {
	result := lookOf(b.Result)
	p := page{
		Title: clean(b.Title), NSVCA: clean(b.NSVCA), DistTag: clean(b.DistTag),
		Platform: clean(b.Platform), Builder: clean(b.Builder),
		Result: clean(b.Result), Class: result.class, Symbol: result.symbol,
		Started: timestamp(b.Started), Ended: timestamp(b.Ended),
		Warnings: cleanAll(b.Warnings), Usage: strings.Join(cleanAll(b.Usage), "\n"),
	}
	if d, ok := between(b.Started, b.Ended); ok {
		p.Duration = duration(d)
	}
	for _, f := range b.Facts {
		p.Facts = append(p.Facts, Fact{Name: clean(f.Name), Value: clean(f.Value), Href: safeHref(f.Href)})
	}
	g := newDAG(b.Components)
	budget := maxTails
	for i, c := range b.Components {
		r := newRow(i, c)
		for k, before := range g.after[i] {
			if k == maxNamed && len(g.after[i]) > maxNamed+1 {
				r.AfterMore = len(g.after[i]) - maxNamed
				break
			}
			r.After = append(r.After, clean(b.Components[before].Name))
		}
		if c.State == "failed" {
			if r.Tail = cleanTail(c.LogTail); len(r.Tail) > budget {
				r.Tail = ""
			}
			budget -= len(r.Tail)
			p.Failures = append(p.Failures, r)
		}
		p.Rows = append(p.Rows, r)
	}
	p.Counts = countStates(p.Rows)
	if len(p.Rows) > 0 {
		p.Graph = newGraph(p.Rows, g)
		p.Timeline = newTimeline(b, p.Rows)
	}
	return p
}

func newRow(i int, c Component) row {
	look := lookOf(c.State)
	r := row{
		Row: i + 1, Name: clean(c.Name), State: clean(c.State), Class: look.class, Symbol: look.symbol,
		Reason: clean(c.Reason), Links: cleanLinks(c.Links), Packages: cleanLinks(c.Packages),
		Error: cleanText(strings.TrimSpace(c.Error), true),
	}
	r.Fold = len(r.Packages) > maxNamed
	if d, ok := between(c.Started, c.Ended); ok {
		r.Duration = duration(d)
	}
	return r
}

func countStates(rows []row) []stateCount {
	var counts []stateCount
	for _, s := range append(states(), "") {
		look := lookOf(s)
		c := stateCount{Class: look.class, Symbol: look.symbol, State: s}
		if s == "" {
			c.State = "unknown"
		}
		for _, r := range rows {
			if r.Class == look.class {
				c.N++
			}
		}
		if c.N > 0 {
			counts = append(counts, c)
		}
	}
	return counts
}

func cleanAll(lines []string) []string {
	var out []string
	for _, s := range lines {
		out = append(out, clean(s))
	}
	return out
}

func cleanLinks(links []Link) []Link {
	var out []Link
	for _, l := range links {
		out = append(out, Link{Text: clean(l.Text), Href: safeHref(l.Href)})
	}
	return out
}
