package modulebuild

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

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
		informed := simulate(t, Schedule{Slots: 8, Weights: known}, g, durations)
		if ratio := blind.Seconds() / informed.Seconds(); ratio > 1.05 {
			t.Errorf("seed %d: %v without knowledge, %v with: %.3f times", seed, blind, informed, ratio)
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
	if diff := cmp.Diff([]string{"b", "a", "c", "d"}, order); diff != "" {
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
			if diff := cmp.Diff(tt.want, ran); diff != "" {
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
