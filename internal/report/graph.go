package report

import (
	"fmt"
	"strings"
)

// Sizes in the picture of the graph, in pixels.
const (
	boxHeight   = 40
	smallHeight = 24
	columnGap   = 56
	margin      = 10
	cellWidth   = 7.3 // of a character in the pictures' 12 px monospace font
	bandLabel   = 76
	pageWidth   = 1120
)

// How much is drawn as boxes and lines; anything larger is drawn as layers.
const (
	maxBoxes    = 150
	maxColumns  = 60
	maxVertices = 3000
	maxLines    = 1200
)

// A graph is the picture of the order of components.
type graph struct {
	Width, Height int
	Label         string // text alternative
	Boxes         []box
	Lines         []string // paths
	Arrows        []string // paths
	Dots          []dot
	Bands         []band // the layers, where no lines are drawn
	Edges         int
}

type box struct {
	Row           int // of the component in the table
	X, Y, W, H    int
	TextX         int
	Line1, Line2  int // base lines of text
	Class, Symbol string
	Name, Below   string
	Title         string
}

type dot struct{ X, Y int }

type band struct {
	Y, H, Line int
	Name       string
}

func newGraph(rows []row, g dag) graph {
	view := graph{Edges: g.edges}
	var l *layout
	if len(rows) <= maxBoxes && g.layers <= maxColumns && g.reduced {
		l = newLayout(g, maxVertices)
	}
	if l != nil && len(l.chains) <= maxLines {
		view.drawBoxes(rows, l)
	} else {
		view.drawBands(rows, g)
	}
	view.Label = fmt.Sprintf("The order of %s in %s, at most %d side by side; the table below lists what each waits for.",
		count(len(rows), "component", "components"), count(g.layers, "layer", "layers"), g.widest())
	return view
}

// boxWidth is what the longest name needs, within bounds.
func boxWidth(rows []row, least, most int) (width, chars int) {
	chars = least
	for _, r := range rows {
		chars = max(chars, min(cells(r.Name)+2, most))
	}
	return int(float64(chars)*cellWidth) + 16, chars
}

func newBox(r row, x, y, w, h, chars int) box {
	b := box{
		Row: r.Row, X: x, Y: y, W: w, H: h, TextX: x + 8, Line1: y + 16,
		Class: r.Class, Symbol: r.Symbol, Name: shorten(r.Name, chars-2), Title: r.Name + ": " + r.summary(),
	}
	if h >= boxHeight {
		b.Below, b.Line2 = shorten(r.summary(), chars), y+32
	}
	return b
}

func (view *graph) drawBoxes(rows []row, l *layout) {
	width, chars := boxWidth(rows, 18, 28)
	x := make([]int, len(l.columns)+1) // left edge of each column
	x[0] = margin
	for c, col := range l.columns {
		w := 0
		for _, i := range col {
			if l.vertices[i].comp >= 0 {
				w = width
			}
		}
		x[c+1] = x[c] + w + columnGap
	}
	right := func(c int) int { return x[c+1] - columnGap }
	view.Width = right(len(l.columns)-1) + margin
	for _, v := range l.vertices {
		y := margin + int(v.y)
		view.Height = max(view.Height, y+int(v.space()/2)+margin)
		if v.comp >= 0 {
			view.Boxes = append(view.Boxes, newBox(rows[v.comp], x[v.col], y-boxHeight/2, width, boxHeight, chars))
		} else if v.join {
			view.Dots = append(view.Dots, dot{x[v.col], y})
		}
	}
	for _, chain := range l.chains {
		view.drawLine(l, chain, x, right)
	}
}

// drawLine draws one edge: curves between columns, straight through a column.
func (view *graph) drawLine(l *layout, chain []int, x []int, right func(int) int) {
	var path strings.Builder
	from := l.vertices[chain[0]]
	fromX, fromY := right(from.col), margin+int(from.y)
	fmt.Fprintf(&path, "M%d %d", fromX, fromY)
	for k, i := range chain[1:] {
		v := l.vertices[i]
		toX, toY := x[v.col], margin+int(v.y)
		last := k == len(chain)-2
		if last && v.comp >= 0 {
			view.Arrows = append(view.Arrows, fmt.Sprintf("M%d %dl-8 -4v8z", toX, toY))
			toX -= 7
		}
		half := (toX - fromX) / 2
		fmt.Fprintf(&path, "C%d %d %d %d %d %d", fromX+half, fromY, toX-half, toY, toX, toY)
		if !last {
			fmt.Fprintf(&path, "H%d", right(v.col))
		}
		fromX, fromY = right(v.col), toY
	}
	view.Lines = append(view.Lines, path.String())
}

// drawBands draws each layer as a band of boxes, one below the other, without
// lines: they would hide more than they show.
func (view *graph) drawBands(rows []row, g dag) {
	width, chars := boxWidth(rows, 10, 22)
	perRow := max((pageWidth-bandLabel-2*margin)/(width+6), 1)
	view.Width = bandLabel + 2*margin + perRow*(width+6)
	layers := make([][]int, g.layers)
	for i, layer := range g.layer {
		layers[layer] = append(layers[layer], i)
	}
	y := margin
	for n, members := range layers {
		height := (len(members)+perRow-1)/perRow*(smallHeight+6) + 6
		view.Bands = append(view.Bands, band{Y: y, H: height, Line: y + 22, Name: fmt.Sprintf("layer %d", n+1)})
		for k, i := range members {
			view.Boxes = append(view.Boxes, newBox(rows[i],
				margin+bandLabel+k%perRow*(width+6), y+6+k/perRow*(smallHeight+6), width, smallHeight, chars))
		}
		y += height + 4
	}
	view.Height = y + margin
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
