package report

import (
	"fmt"
	"slices"
	"sort"
)

// The drawing follows Sugiyama's method: components stand in the columns of
// their layers; long edges get a bend in every column they pass, so that they
// run between the boxes; the order within columns is swept until few edges
// cross; and heights are moved toward the neighbours'.

// A vertex is a box, a bend of an edge, or a junction.
type vertex struct {
	comp    int // index of the component; -1 for bends and junctions
	join    bool
	col     int
	pos     int     // place in its column
	y       float64 // of its middle
	in, out []int
}

// space is the height that the vertex needs, with the gap to the next.
func (v *vertex) space() float64 {
	switch {
	case v.comp >= 0:
		return boxHeight + 14
	case v.join:
		return 20
	}
	return 12
}

type layout struct {
	vertices []vertex
	columns  [][]int
	chains   [][]int // each edge as the vertices along it
}

// newLayout places the components of g. Its result is nil where that would take
// more than limit vertices.
func newLayout(g dag, limit int) *layout {
	l := &layout{vertices: make([]vertex, len(g.after))}
	for i := range l.vertices {
		l.vertices[i] = vertex{comp: i, col: 2 * g.layer[i]}
	}
	edges := l.join(g)
	cols := l.compactColumns()
	for _, e := range edges {
		chain := []int{e[0]}
		for col := l.vertices[e[0]].col + 1; col < l.vertices[e[1]].col; col++ {
			if len(l.vertices) >= limit {
				return nil
			}
			chain = append(chain, len(l.vertices))
			l.vertices = append(l.vertices, vertex{comp: -1, col: col})
		}
		chain = append(chain, e[1])
		for i, v := range chain[1:] {
			l.vertices[chain[i]].out = append(l.vertices[chain[i]].out, v)
			l.vertices[v].in = append(l.vertices[v].in, chain[i])
		}
		l.chains = append(l.chains, chain)
	}
	l.columns = make([][]int, cols)
	for i, v := range l.vertices {
		l.columns[v.col] = append(l.columns[v.col], i)
	}
	l.orderColumns()
	l.setHeights()
	return l
}

// join returns the edges to draw. Where several components wait for the very
// same ones, as after each group of a buildorder, all edges meet in a junction:
// m+n lines instead of m*n.
func (l *layout) join(g dag) [][2]int {
	groups := map[string][]int{}
	var keys []string
	for v, after := range g.after {
		if len(after) == 0 {
			continue
		}
		key := fmt.Sprint(after)
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], v)
	}
	var edges [][2]int
	for _, key := range keys {
		group := groups[key]
		after := g.after[group[0]]
		if len(after)*len(group) <= len(after)+len(group) {
			for _, v := range group {
				for _, p := range after {
					edges = append(edges, [2]int{p, v})
				}
			}
			continue
		}
		j := len(l.vertices)
		l.vertices = append(l.vertices, vertex{comp: -1, join: true, col: 2*g.layer[group[0]] - 1})
		for _, p := range after {
			edges = append(edges, [2]int{p, j})
		}
		for _, v := range group {
			edges = append(edges, [2]int{j, v})
		}
	}
	return edges
}

// compactColumns numbers the columns that have something in them and returns
// how many there are. Before it, layers have even and junctions odd numbers.
func (l *layout) compactColumns() int {
	var used []int
	for _, v := range l.vertices {
		used = append(used, v.col)
	}
	slices.Sort(used)
	used = slices.Compact(used)
	for i := range l.vertices {
		l.vertices[i].col, _ = slices.BinarySearch(used, l.vertices[i].col)
	}
	return len(used)
}

// orderColumns sweeps forth and back, putting each vertex at the mean place of
// its neighbours in the column before, and keeps the order with fewest crossings.
func (l *layout) orderColumns() {
	l.number()
	best, fewest := l.copyColumns(), l.crossings()
	for sweep := 0; sweep < 16 && fewest > 0; sweep++ {
		for i := range l.columns {
			if sweep%2 == 0 {
				l.sortColumn(i, func(v *vertex) []int { return v.in })
			} else {
				l.sortColumn(len(l.columns)-1-i, func(v *vertex) []int { return v.out })
			}
		}
		if n := l.crossings(); n < fewest {
			best, fewest = l.copyColumns(), n
		}
	}
	l.columns = best
	l.number()
}

func (l *layout) number() {
	for _, col := range l.columns {
		for i, v := range col {
			l.vertices[v].pos = i
		}
	}
}

func (l *layout) copyColumns() [][]int {
	c := make([][]int, len(l.columns))
	for i := range c {
		c[i] = slices.Clone(l.columns[i])
	}
	return c
}

func (l *layout) sortColumn(col int, neighbours func(*vertex) []int) {
	mean := map[int]float64{}
	for _, i := range l.columns[col] {
		v := &l.vertices[i]
		mean[i] = float64(v.pos)
		if near := neighbours(v); len(near) > 0 {
			sum := 0
			for _, n := range near {
				sum += l.vertices[n].pos
			}
			mean[i] = float64(sum) / float64(len(near))
		}
	}
	sort.SliceStable(l.columns[col], func(a, b int) bool {
		return mean[l.columns[col][a]] < mean[l.columns[col][b]]
	})
	for pos, i := range l.columns[col] {
		l.vertices[i].pos = pos
	}
}

// crossings counts the pairs of edges that cross between neighbouring columns:
// the inversions of their ends when they are sorted by their beginnings.
func (l *layout) crossings() int {
	total := 0
	for c := 0; c+1 < len(l.columns); c++ {
		seen := make([]int, len(l.columns[c+1])+1) // Fenwick tree over places
		count := 0
		for _, i := range l.columns[c] {
			out := l.vertices[i].out
			for _, n := range out {
				total += count
				for p := l.vertices[n].pos + 1; p > 0; p -= p & -p {
					total -= seen[p]
				}
			}
			for _, n := range out {
				count++
				for p := l.vertices[n].pos + 1; p < len(seen); p += p & -p {
					seen[p]++
				}
			}
		}
	}
	return total
}

// setHeights stacks every column and then moves vertices toward the mean of
// their neighbours, keeping order and distance.
func (l *layout) setHeights() {
	for _, col := range l.columns {
		at := 0.0
		for _, i := range col {
			l.vertices[i].y = at + l.vertices[i].space()/2
			at += l.vertices[i].space()
		}
		for _, i := range col {
			l.vertices[i].y -= at / 2
		}
	}
	for round := 0; round < 24; round++ {
		for c := range l.columns {
			if round%2 == 1 {
				c = len(l.columns) - 1 - c
			}
			l.settle(l.columns[c])
		}
	}
	top := 0.0
	for i, v := range l.vertices {
		if y := v.y - v.space()/2; i == 0 || y < top {
			top = y
		}
	}
	for i := range l.vertices {
		l.vertices[i].y -= top
	}
}

// settle gives a column the heights nearest (in least squares) to the means of
// its vertices' neighbours: isotonic regression by pooling adjacent violators,
// on heights from which the space above has been taken away.
func (l *layout) settle(col []int) {
	type pool struct {
		sum float64
		n   int
	}
	var pools []pool
	above := make([]float64, len(col))
	at := 0.0
	for k, i := range col {
		v := &l.vertices[i]
		above[k] = at + v.space()/2
		at += v.space()
		want := v.y
		if n := len(v.in) + len(v.out); n > 0 {
			want = 0
			for _, near := range [][]int{v.in, v.out} {
				for _, o := range near {
					want += l.vertices[o].y / float64(n)
				}
			}
		}
		p := pool{want - above[k], 1}
		for len(pools) > 0 {
			last := pools[len(pools)-1]
			if last.sum/float64(last.n) <= p.sum/float64(p.n) {
				break
			}
			p = pool{p.sum + last.sum, p.n + last.n}
			pools = pools[:len(pools)-1]
		}
		pools = append(pools, p)
	}
	k := 0
	for _, p := range pools {
		for range p.n {
			l.vertices[col[k]].y = p.sum/float64(p.n) + above[k]
			k++
		}
	}
}
