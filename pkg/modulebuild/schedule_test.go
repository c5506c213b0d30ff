package modulebuild

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	diffs "github.com/google/go-cmp/cmp"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// randomGraph has n components, of which each comes after up to degree earlier
// ones, and a duration for each.
func randomGraph(t testing.TB, seed uint64, n, degree int) (*Graph, []time.Duration) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1))
	components := rpms{}
	name := func(i int) string { return fmt.Sprintf("c%05d", i) }
	for i := range n {
		c := &modulemd.ComponentRPM{}
		if i > 0 {
			for range r.IntN(degree + 1) {
				c.BuildAfter = append(c.BuildAfter, name(r.IntN(i)))
			}
		}
		components[name(i)] = c
	}
	g, err := NewGraph(components)
	if err != nil {
		t.Fatal(err)
	}
	durations := make([]time.Duration, n)
	for i := range durations {
		// Most builds are short, a few very long, as in real modules.
		durations[i] = time.Duration((1 + r.ExpFloat64()*60) * float64(time.Second))
	}
	return g, durations
}

// simulate runs a schedule in false time and checks while it does that nothing
// waits beside an idle slot and nothing starts too early. It returns the time
// that all took together.
func simulate(t *testing.T, s Schedule, g *Graph, durations []time.Duration) time.Duration {
	var makespan time.Duration
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		started, finished := make([]bool, len(g.Names)), make([]bool, len(g.Names))
		before := make([][]int, len(g.Names))
		for i := range g.Names {
			before[i] = g.Before(i)
		}
		ready := func(i int) bool {
			return !started[i] && !slices.ContainsFunc(before[i], func(b int) bool { return !finished[b] })
		}
		running := 0
		begin := time.Now()
		s.Run(t.Context(), g, func(ctx context.Context, i int) error {
			mu.Lock()
			if !ready(i) {
				t.Errorf("%s started too early, or twice", g.Names[i])
			}
			started[i] = true
			running++
			mu.Unlock()
			time.Sleep(durations[i])
			mu.Lock()
			running--
			finished[i] = true
			mu.Unlock()
			// Once all that can happen at this moment has happened, a slot is idle
			// only if nothing is ready.
			go func() {
				time.Sleep(time.Nanosecond)
				mu.Lock()
				defer mu.Unlock()
				if running < s.Slots {
					for i := range g.Names {
						if ready(i) {
							t.Errorf("%s waits beside an idle slot", g.Names[i])
							return
						}
					}
				}
			}()
			return nil
		})
		makespan = time.Since(begin)
		for i, done := range finished {
			if !done {
				t.Errorf("%s was not run", g.Names[i])
			}
		}
		time.Sleep(time.Second)
	})
	return makespan
}

func TestScheduleKeepsSlotsBusy(t *testing.T) {
	for _, tt := range []struct{ n, degree, slots int }{
		{1, 1, 8}, {40, 1, 8}, {300, 2, 8}, {300, 5, 3}, {100, 0, 1},
	} {
		t.Run(fmt.Sprintf("%d components, degree %d, %d slots", tt.n, tt.degree, tt.slots), func(t *testing.T) {
			g, durations := randomGraph(t, 7, tt.n, tt.degree)
			simulate(t, Schedule{Slots: tt.slots}, g, durations)
		})
	}
}

// TestMakespan compares what we do without knowing how long anything takes with
// a list scheduler that knows it all.
func TestMakespan(t *testing.T) {
	for seed := range uint64(5) {
		g, durations := randomGraph(t, seed, 1000, 2)
		known := make([]float64, len(durations))
		for i, d := range durations {
			known[i] = d.Seconds()
		}
		blind := simulate(t, Schedule{Slots: 8}, g, durations)
		informed := listSchedule(g, known, 8)
		if ratio := blind.Seconds() / informed; ratio > 1.05 {
			t.Errorf("seed %d: %v without knowledge, %.0fs with: %.3f times", seed, blind, informed, ratio)
		}
		again := simulate(t, Schedule{Slots: 8, Weights: known}, g, durations)
		if ratio := again.Seconds() / informed; ratio > 1.001 {
			t.Errorf("seed %d: %v with knowledge, %.0fs by another reckoning: %.3f times", seed, again, informed, ratio)
		}
	}
}

func TestScheduleHeaviestPathFirst(t *testing.T) {
	g, err := NewGraph(rpms{"a": {}, "b": {}, "c": {BuildAfter: []string{"b"}}, "d": {}})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	Schedule{Slots: 1}.Run(t.Context(), g, func(_ context.Context, i int) error {
		order = append(order, g.Names[i])
		return nil
	})
	if diff := diffs.Diff([]string{"b", "a", "c", "d"}, order); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

func TestScheduleAfterFailure(t *testing.T) {
	components := rpms{"bad": {}, "child": {BuildAfter: []string{"bad"}}, "grandchild": {BuildAfter: []string{"child"}}, "other": {}, "zebra": {BuildAfter: []string{"other"}}}
	for _, tt := range []struct {
		name      string
		keepGoing bool
		want      []string
	}{
		{"stops", false, []string{"bad"}},
		{"keeps going", true, []string{"bad", "other", "zebra"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			g, err := NewGraph(components)
			if err != nil {
				t.Fatal(err)
			}
			boom := errors.New("boom")
			started, errs := Schedule{Slots: 1, KeepGoing: tt.keepGoing}.Run(t.Context(), g, func(_ context.Context, i int) error {
				if g.Names[i] == "bad" {
					return boom
				}
				return nil
			})
			var ran []string
			for i, n := range g.Names {
				if started[i] {
					ran = append(ran, n)
				}
				if (errs[i] != nil) != (n == "bad") {
					t.Errorf("%s: error %v", n, errs[i])
				}
			}
			slices.Sort(ran)
			if diff := diffs.Diff(tt.want, ran); diff != "" {
				t.Errorf("started (-want +got):\n%s", diff)
			}
		})
	}
}

func TestScheduleEndsWithItsContext(t *testing.T) {
	g, _ := randomGraph(t, 1, 50, 0)
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	started, _ := Schedule{Slots: 1}.Run(ctx, g, func(context.Context, int) error {
		if n++; n == 3 {
			cancel()
		}
		return nil
	})
	if got := len(slices.DeleteFunc(started, func(s bool) bool { return !s })); got != 3 {
		t.Errorf("%d components were started, want 3", got)
	}
}

func BenchmarkSchedule(b *testing.B) {
	g, _ := randomGraph(b, 3, 1000, 2)
	for b.Loop() {
		Schedule{Slots: 8}.Run(b.Context(), g, func(context.Context, int) error { return nil })
	}
}

// BenchmarkEngine runs the whole engine over 1,000 components with a Builder that
// only sleeps, on 8 slots. "x-informed" is how much longer it takes than a list
// scheduler that knows all durations and takes the longest remaining path first.
func BenchmarkEngine(b *testing.B) {
	g, durations := randomGraph(b, 11, 1000, 2)
	components := rpms{}
	for i, name := range g.Names {
		c := &modulemd.ComponentRPM{}
		for _, before := range g.Before(i) {
			c.BuildAfter = append(c.BuildAfter, g.Names[before])
		}
		components[name] = c
	}
	sleeps := map[string]time.Duration{}
	known := make([]float64, len(durations))
	for i, name := range g.Names {
		sleeps[name] = durations[i] / 2000 // a minute becomes 30 ms
		known[i] = sleeps[name].Seconds()
	}
	informed := listSchedule(g, known, 8)
	for b.Loop() {
		b.StopTimer()
		m := &memory{}
		plan := testPlan(b, testDoc(components), nil, m)
		e := &Engine{
			Builder: &maker{plan: plan, sleep: sleeps}, Results: m, Slots: 8,
			LogDir: func(string) (string, error) { return "", nil },
		}
		b.StartTimer()
		begin := time.Now()
		if _, err := e.Run(b.Context(), plan); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(begin).Seconds()/informed, "x-informed")
	}
}

// listSchedule computes, without running anything, how long the graph takes if
// of what is ready the longest remaining path is taken first.
func listSchedule(g *Graph, seconds []float64, slots int) float64 {
	path := remainingPaths(g, seconds)
	left := make([]int, len(g.Names))
	after := make([][]int, len(g.Names))
	var ready []int
	for i := range g.Names {
		before := g.Before(i)
		if left[i] = len(before); left[i] == 0 {
			ready = append(ready, i)
		}
		for _, b := range before {
			after[b] = append(after[b], i)
		}
	}
	ends := map[int]float64{} // of what runs
	now := 0.0
	for len(ready) > 0 || len(ends) > 0 {
		slices.SortFunc(ready, func(a, b int) int { return cmp.Compare(path[b], path[a]) })
		for len(ready) > 0 && len(ends) < slots {
			ends[ready[0]] = now + seconds[ready[0]]
			ready = ready[1:]
		}
		next := -1
		for i, end := range ends {
			if next < 0 || end < ends[next] || end == ends[next] && i < next {
				next = i
			}
		}
		now = ends[next]
		delete(ends, next)
		for _, i := range after[next] {
			if left[i]--; left[i] == 0 {
				ready = append(ready, i)
			}
		}
	}
	return now
}
