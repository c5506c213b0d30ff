package report

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestDAG(t *testing.T) {
	tests := map[string]struct {
		comps  []Component
		after  [][]int
		layers []int
	}{
		"transitive edges left out": {
			[]Component{{Name: "a"}, {Name: "b", After: []string{"a"}}, {Name: "c", After: []string{"a", "b"}}, {Name: "d", After: []string{"a", "b", "c"}}},
			[][]int{nil, {0}, {1}, {2}}, []int{0, 1, 2, 3}},
		"diamond": {
			[]Component{{Name: "d", After: []string{"a", "b", "c"}}, {Name: "b", After: []string{"a"}}, {Name: "c", After: []string{"a"}}, {Name: "a"}},
			[][]int{{1, 2}, {3}, {3}, nil}, []int{2, 1, 1, 0}},
		"unknown, itself, twice": {
			[]Component{{Name: "a", After: []string{"a", "x"}}, {Name: "b", After: []string{"a", "a"}}},
			[][]int{nil, {0}}, []int{0, 1}},
		"cycle cut at its first": {
			[]Component{{Name: "a", After: []string{"c"}}, {Name: "b", After: []string{"a"}}, {Name: "c", After: []string{"b"}}},
			[][]int{nil, {0}, {1}}, []int{0, 1, 2}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			g := newDAG(tt.comps)
			for i := range g.after {
				if len(g.after[i]) == 0 {
					g.after[i] = nil
				}
			}
			if diff := cmp.Diff(tt.after, g.after); diff != "" {
				t.Errorf("after (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.layers, g.layer); diff != "" {
				t.Errorf("layers (-want +got):\n%s", diff)
			}
		})
	}
}

// Boxes never overlap, and groups of a buildorder do not cost m*n lines.
func TestLayout(t *testing.T) {
	tests := map[string]struct {
		build    Build
		maxLines int
	}{
		"30 in any order":      {large(30), 60},
		"100 in any order":     {large(100), 250},
		"5 groups of 20":       {groups(100, 20), 5 * 40},
		"one after the other":  {groups(40, 1), 39},
		"all at the same time": {groups(40, 40), 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := newPage(tt.build)
			if len(p.Graph.Bands) > 0 {
				t.Fatal("drawn as layers")
			}
			if n := len(p.Graph.Lines); n > tt.maxLines {
				t.Errorf("%d lines, want at most %d", n, tt.maxLines)
			}
			if got, want := len(p.Graph.Boxes), len(tt.build.Components); got != want {
				t.Errorf("%d boxes, want %d", got, want)
			}
			for i, a := range p.Graph.Boxes {
				if a.X < 0 || a.Y < 0 || a.X+a.W > p.Graph.Width || a.Y+a.H > p.Graph.Height {
					t.Errorf("box %s is outside of the picture", a.Name)
				}
				for _, b := range p.Graph.Boxes[i+1:] {
					if a.X < b.X+b.W && b.X < a.X+a.W && a.Y < b.Y+b.H && b.Y < a.Y+a.H {
						t.Errorf("boxes %s and %s overlap", a.Name, b.Name)
					}
				}
			}
		})
	}
}

func TestLarge(t *testing.T) {
	for name, b := range map[string]Build{"any order": large(1000), "groups": groups(1000, 100), "chain": groups(1000, 1)} {
		t.Run(name, func(t *testing.T) {
			p := newPage(b)
			if len(p.Graph.Bands) == 0 || len(p.Graph.Lines) > 0 {
				t.Error("not drawn as layers")
			}
			if len(p.Graph.Boxes) != 1000 {
				t.Errorf("%d boxes", len(p.Graph.Boxes))
			}
			if size := len(render(t, b)); size > 2<<20 {
				t.Errorf("page has %d bytes", size)
			}
		})
	}
}

func TestSlots(t *testing.T) {
	b := Build{Components: []Component{
		{Name: "b", Started: at(1), Ended: at(5)},
		{Name: "a", Started: at(0), Ended: at(2)},
		{Name: "c", Started: at(2), Ended: at(3)},
		{Name: "old", State: "taken over", Started: at(-100), Ended: at(-50)},
		{Name: "open", Started: at(4)},
	}}
	all, from, to := spans(b)
	n := fillSlots(all)
	var got []string
	for _, s := range all {
		got = append(got, b.Components[s.comp].Name+" "+string(rune('1'+s.slot)))
	}
	if diff := cmp.Diff([]string{"a 1", "b 2", "c 1", "open 1"}, got); diff != "" || n != 2 {
		t.Errorf("%d slots (-want +got):\n%s", n, diff)
	}
	if !from.Equal(at(0)) || !to.Equal(at(5)) || !all[3].end.Equal(at(5)) {
		t.Errorf("from %v to %v, open until %v", from, to, all[3].end)
	}
}

func TestTicks(t *testing.T) {
	tests := map[float64][]string{
		0.003: {"0", "1 ms", "2 ms", "3 ms"},
		1.2:   {"0", "0.2 s", "0.4 s", "0.6 s", "0.8 s", "1.0 s", "1.2 s"},
		47.3:  {"0", "5 s", "10 s", "15 s", "20 s", "25 s", "30 s", "35 s", "40 s", "45 s"},
		4000:  {"0", "10:00", "20:00", "30:00", "40:00", "50:00", "1:00:00"},
	}
	for d, want := range tests {
		var got []string
		for _, tick := range ticks(at(d).Sub(start), func(d2 time.Duration) int { return 0 }) {
			got = append(got, tick.Text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%v s (-want +got):\n%s", d, diff)
		}
	}
}
