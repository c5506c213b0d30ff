package modulebuild

import (
	"container/heap"
	"context"
)

// A Schedule says how to run through a graph.
type Schedule struct {
	// Slots is how many components are worked on at once; less than one is one.
	Slots int
	// Weights tell how long each component will take, in any unit; nil takes
	// all for equal. Of what is ready, the component with the heaviest path to
	// the end of the module starts first.
	Weights []float64
	// KeepGoing starts what does not depend on a failed component; otherwise
	// nothing new starts after a failure.
	KeepGoing bool
}

// Run calls do for each component of the graph, each as soon as all that come
// before it are finished and a slot is free. do's result for a component is in
// errs at its number; started tells which were called at all. Run returns when
// nothing runs any more. After the context's end nothing new starts.
func (s Schedule) Run(ctx context.Context, g *Graph, do func(ctx context.Context, i int) error) (started []bool, errs []error) {
	r := &run{
		graph:   g,
		started: make([]bool, len(g.Names)),
		errs:    make([]error, len(g.Names)),
		waiting: make([]int, g.nodes),
		blocked: make([]bool, g.nodes),
		ready:   readyQueue{path: remainingPaths(g, s.Weights)},
	}
	for n := range g.nodes {
		r.waiting[n] = len(g.before[n])
	}
	for n := range g.nodes {
		if len(g.before[n]) == 0 {
			r.arrive(n)
		}
	}
	type end struct {
		i   int
		err error
	}
	ends := make(chan end)
	running, stopped := 0, false
	for {
		for !stopped && ctx.Err() == nil && running < max(1, s.Slots) && r.ready.Len() > 0 {
			i := heap.Pop(&r.ready).(int)
			r.started[i] = true
			running++
			go func() { ends <- end{i, do(ctx, i)} }()
		}
		if running == 0 {
			return r.started, r.errs
		}
		e := <-ends
		running--
		r.errs[e.i] = e.err
		if e.err != nil {
			stopped = stopped || !s.KeepGoing
			r.block(e.i)
		} else {
			r.finish(e.i)
		}
	}
}

type run struct {
	graph   *Graph
	started []bool
	errs    []error
	waiting []int  // predecessors that are not finished
	blocked []bool // something before it failed
	ready   readyQueue
}

// arrive is called when nothing stands before n any more.
func (r *run) arrive(n int) {
	switch {
	case r.blocked[n]:
	case n < len(r.graph.Names):
		heap.Push(&r.ready, n)
	default:
		r.finish(n) // a barrier takes no time
	}
}

func (r *run) finish(n int) {
	for _, next := range r.graph.after[n] {
		if r.waiting[next]--; r.waiting[next] == 0 {
			r.arrive(next)
		}
	}
}

// block marks all that depends on n.
func (r *run) block(n int) {
	todo := []int{n}
	for len(todo) > 0 {
		n, todo = todo[len(todo)-1], todo[:len(todo)-1]
		for _, next := range r.graph.after[n] {
			if !r.blocked[next] {
				r.blocked[next] = true
				todo = append(todo, next)
			}
		}
	}
}

// remainingPaths gives for each node the weight of the heaviest path from its
// start to the end of the module.
func remainingPaths(g *Graph, weights []float64) []float64 {
	path := make([]float64, g.nodes)
	left := make([]int, g.nodes) // successors not yet counted
	var todo []int
	for n := range g.nodes {
		if left[n] = len(g.after[n]); left[n] == 0 {
			todo = append(todo, n)
		}
	}
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		for _, next := range g.after[n] {
			path[n] = max(path[n], path[next])
		}
		switch {
		case n >= len(g.Names):
		case weights != nil:
			path[n] += weights[n]
		default:
			path[n]++
		}
		for _, prev := range g.before[n] {
			if left[prev]--; left[prev] == 0 {
				todo = append(todo, prev)
			}
		}
	}
	return path
}

// readyQueue is a heap with the heaviest remaining path on top; of equals, the
// one that stands first in the graph.
type readyQueue struct {
	items []int
	path  []float64
}

func (q *readyQueue) Len() int { return len(q.items) }
func (q *readyQueue) Less(a, b int) bool {
	x, y := q.items[a], q.items[b]
	if q.path[x] != q.path[y] {
		return q.path[x] > q.path[y]
	}
	return x < y
}
func (q *readyQueue) Swap(a, b int) { q.items[a], q.items[b] = q.items[b], q.items[a] }
func (q *readyQueue) Push(x any)    { q.items = append(q.items, x.(int)) }
func (q *readyQueue) Pop() any {
	last := q.items[len(q.items)-1]
	q.items = q.items[:len(q.items)-1]
	return last
}
