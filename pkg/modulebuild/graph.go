package modulebuild

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kojimod/kojimod/pkg/modulemd"
)

// A Graph says which components come before which. Components are numbered in
// an order in which each stands behind all that come before it; the same
// components have the same order.
type Graph struct {
	Names  []string
	before [][]int // direct predecessors, which may be barriers
	after  [][]int // direct successors, likewise
	// Nodes from len(Names) on are barriers: between two groups of the build
	// order, so that n times m edges are n plus m.
	nodes int
}

// NewGraph orders components by their buildorder groups or by their buildafter
// edges. Both kinds in one module, an unknown name and a cycle are errors that
// name file and line.
func NewGraph(components map[string]*modulemd.ComponentRPM) (*Graph, error) {
	names := slices.Sorted(maps.Keys(components))
	var ordered, edged *modulemd.ComponentRPM
	for _, name := range names {
		c := components[name]
		if c.BuildOrder != 0 && ordered == nil {
			ordered = c
		}
		if len(c.BuildAfter) > 0 && edged == nil {
			edged = c
		}
	}
	if ordered != nil && edged != nil {
		return nil, &InputError{
			Where: edged.Pos.String(),
			Msg:   fmt.Sprintf("buildafter here and buildorder at %s: a module uses one or the other, not both", ordered.Pos),
		}
	}
	if edged != nil {
		return edgeGraph(names, components)
	}
	return groupGraph(names, components), nil
}

// groupGraph puts a barrier between each group and the next.
func groupGraph(names []string, components map[string]*modulemd.ComponentRPM) *Graph {
	slices.SortStableFunc(names, func(a, b string) int {
		ga, gb := components[a].BuildOrder, components[b].BuildOrder
		switch {
		case ga < gb:
			return -1
		case ga > gb:
			return 1
		}
		return 0
	})
	g := newGraph(names)
	barrier := -1
	for start := 0; start < len(names); {
		end := start + 1
		for end < len(names) && components[names[end]].BuildOrder == components[names[start]].BuildOrder {
			end++
		}
		for i := start; i < end; i++ {
			if barrier >= 0 {
				g.edge(barrier, i)
			}
		}
		if end < len(names) {
			barrier = g.addBarrier()
			for i := start; i < end; i++ {
				g.edge(i, barrier)
			}
		}
		start = end
	}
	return g
}

func edgeGraph(names []string, components map[string]*modulemd.ComponentRPM) (*Graph, error) {
	for _, name := range names {
		for _, dep := range components[name].BuildAfter {
			if components[dep] == nil {
				return nil, &InputError{
					Where: components[name].Pos.String(),
					Msg:   fmt.Sprintf("component %s: buildafter names %q, which is no component of this module", name, dep),
				}
			}
		}
	}
	order, cycle := topological(names, func(n string) []string { return components[n].BuildAfter })
	if cycle != nil {
		return nil, &InputError{
			Where: components[cycle[0]].Pos.String(),
			Msg:   "buildafter goes round in a circle: " + strings.Join(append(cycle, cycle[0]), " after "),
		}
	}
	g := newGraph(order)
	index := make(map[string]int, len(order))
	for i, n := range order {
		index[n] = i
	}
	for i, n := range order {
		deps := slices.Clone(components[n].BuildAfter)
		slices.Sort(deps)
		for _, dep := range slices.Compact(deps) {
			g.edge(index[dep], i)
		}
	}
	return g, nil
}

// topological sorts names so that each stands behind its dependencies. Where that
// cannot be done it returns a cycle.
func topological(names []string, deps func(string) []string) (order, cycle []string) {
	const (
		open = 1
		done = 2
	)
	state := map[string]int{}
	type frame struct {
		name string
		next []string
	}
	for _, root := range names {
		if state[root] == done {
			continue
		}
		visit := func(n string) frame {
			state[n] = open
			next := slices.Clone(deps(n))
			slices.Sort(next)
			return frame{n, next}
		}
		stack := []frame{visit(root)}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if len(top.next) == 0 {
				state[top.name] = done
				order = append(order, top.name)
				stack = stack[:len(stack)-1]
				continue
			}
			dep := top.next[0]
			top.next = top.next[1:]
			switch state[dep] {
			case done:
			case open:
				from := slices.IndexFunc(stack, func(f frame) bool { return f.name == dep })
				for _, f := range stack[from:] {
					cycle = append(cycle, f.name)
				}
				return nil, cycle
			default:
				stack = append(stack, visit(dep))
			}
		}
	}
	return order, nil
}

func newGraph(names []string) *Graph {
	n := len(names)
	return &Graph{Names: names, before: make([][]int, n), after: make([][]int, n), nodes: n}
}

func (g *Graph) addBarrier() int {
	g.before = append(g.before, nil)
	g.after = append(g.after, nil)
	g.nodes++
	return g.nodes - 1
}

func (g *Graph) edge(from, to int) {
	g.after[from] = append(g.after[from], to)
	g.before[to] = append(g.before[to], from)
}

// Before lists, by number, the components that must directly precede component i.
func (g *Graph) Before(i int) []int {
	return g.reach(i, false)
}

// AllBefore lists all components that must precede component i, sorted.
func (g *Graph) AllBefore(i int) []int {
	return g.reach(i, true)
}

func (g *Graph) reach(i int, transitive bool) []int {
	seen := make([]bool, g.nodes)
	var found []int
	todo := slices.Clone(g.before[i])
	for len(todo) > 0 {
		n := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[n] {
			continue
		}
		seen[n] = true
		barrier := n >= len(g.Names)
		if !barrier {
			found = append(found, n)
		}
		if barrier || transitive {
			todo = append(todo, g.before[n]...)
		}
	}
	slices.Sort(found)
	return found
}
