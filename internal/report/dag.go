package report

import (
	"slices"
)

// maxReduced is the number of components up to which transitive edges are looked
// for; it takes a bit for each pair of components.
const maxReduced = 4096

// A dag is the order among components, without what it cannot show: edges to
// unknown names, edges that close a cycle, and edges that others imply.
type dag struct {
	after   [][]int // of each component: those directly before it, ascending
	layer   []int   // of each component: edges on the longest path to it
	layers  int
	edges   int
	reduced bool // transitive edges are left out
}

func newDAG(comps []Component) dag {
	g := dag{after: make([][]int, len(comps)), layer: make([]int, len(comps))}
	index := make(map[string]int, len(comps))
	for i, c := range comps {
		if _, dup := index[c.Name]; !dup {
			index[c.Name] = i
		}
	}
	for i, c := range comps {
		for _, name := range c.After {
			if j, ok := index[name]; ok && j != i {
				g.after[i] = append(g.after[i], j)
			}
		}
		slices.Sort(g.after[i])
		g.after[i] = slices.Compact(g.after[i])
	}
	order := g.sort()
	for _, v := range order {
		for _, p := range g.after[v] {
			g.layer[v] = max(g.layer[v], g.layer[p]+1)
		}
		g.layers = max(g.layers, g.layer[v]+1)
	}
	if g.reduced = len(comps) <= maxReduced; g.reduced {
		g.reduce(order)
	}
	for _, after := range g.after {
		g.edges += len(after)
	}
	return g
}

// sort returns the components so that each stands after those it waits for.
// Where a cycle prevents that, the first of the rest goes next, and its edges
// from components that come later are dropped.
func (g *dag) sort() []int {
	n := len(g.after)
	before, missing := make([][]int, n), make([]int, n)
	var ready []int
	for v, after := range g.after {
		for _, p := range after {
			before[p] = append(before[p], v)
		}
		if missing[v] = len(after); missing[v] == 0 {
			ready = append(ready, v)
		}
	}
	position := make([]int, n) // in order, from 1; 0 is not yet
	order := make([]int, 0, n)
	for first := 0; len(order) < n; {
		var v int
		if len(ready) > 0 {
			v, ready = ready[0], ready[1:]
		} else {
			for position[first] != 0 {
				first++
			}
			v = first
		}
		if position[v] != 0 {
			continue
		}
		order = append(order, v)
		position[v] = len(order)
		for _, s := range before[v] {
			if missing[s]--; missing[s] == 0 {
				ready = append(ready, s)
			}
		}
	}
	for v := range g.after {
		g.after[v] = slices.DeleteFunc(g.after[v], func(p int) bool { return position[p] > position[v] })
	}
	return order
}

// reduce drops each edge that a longer path stands for.
func (g *dag) reduce(order []int) {
	words := (len(order) + 63) / 64
	reach := make([][]uint64, len(order)) // of each component: all before it
	for _, v := range order {
		all := make([]uint64, words)
		for _, p := range g.after[v] {
			for i, w := range reach[p] {
				all[i] |= w
			}
		}
		direct := g.after[v][:0]
		for _, p := range g.after[v] {
			if all[p/64]&(1<<(p%64)) == 0 {
				direct = append(direct, p)
			}
		}
		for _, p := range direct {
			all[p/64] |= 1 << (p % 64)
		}
		g.after[v], reach[v] = direct, all
	}
}

// widest is the number of components in the fullest layer.
func (g *dag) widest() int {
	count := make([]int, g.layers)
	widest := 0
	for _, l := range g.layer {
		count[l]++
		widest = max(widest, count[l])
	}
	return widest
}
