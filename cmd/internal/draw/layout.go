package draw

import (
	"cmp"
	"math"
	"slices"
)

// Sizes in pixels.
const (
	nodeWidth  = 188.0
	nodeHeight = 44.0
	nodeGap    = 14.0 // between nodes of a layer
	pointGap   = 9.0  // between an edge's point and its neighbours
	layerGap   = 72.0
	partGap    = 26.0 // between components
)

// pointsMax bounds the points that lead edges through layers; the longest edges
// beyond it are drawn straight.
const pointsMax = 20_000

// sweeps is how often layers are ordered, and then placed, to and fro.
const sweeps = 12

// spot is a position in the picture: of a node its left upper corner.
type spot struct{ x, y float64 }

// layout is where everything stands.
type layout struct {
	nodes         []spot
	routes        []route
	width, height float64
}

// route is an edge and the points it passes on its way.
type route struct {
	edge
	via []spot
}

// arrange lays out the components and packs them.
func arrange(n int, edges []edge) layout {
	parts := components(n, edges)
	boxes := make([]layout, len(parts))
	part, place := make([]int, n), make([]int, n)
	for p, members := range parts {
		for i, node := range members {
			part[node], place[node] = p, i
		}
	}
	inner := make([][]edge, len(parts))
	for _, e := range edges {
		inner[part[e.from]] = append(inner[part[e.from]], edge{place[e.from], place[e.to]})
	}
	for p := range parts {
		boxes[p] = layOut(len(parts[p]), inner[p])
	}
	offsets, all := pack(boxes)
	all.nodes = make([]spot, n)
	for p, members := range parts {
		for i, node := range members {
			all.nodes[node] = boxes[p].nodes[i].add(offsets[p])
		}
		for _, r := range boxes[p].routes {
			moved := route{edge: edge{members[r.from], members[r.to]}}
			for _, s := range r.via {
				moved.via = append(moved.via, s.add(offsets[p]))
			}
			all.routes = append(all.routes, moved)
		}
	}
	return all
}

func (s spot) add(t spot) spot { return spot{s.x + t.x, s.y + t.y} }

// pack puts boxes into rows, the larger components first, about half again as wide as
// high.
func pack(boxes []layout) ([]spot, layout) {
	area, widest := 0.0, 0.0
	order := make([]int, len(boxes))
	for i, box := range boxes {
		order[i] = i
		area += (box.width + partGap) * (box.height + partGap)
		widest = max(widest, box.width)
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(boxes[b].height, boxes[a].height) })
	limit := max(widest, math.Sqrt(1.6*area))
	offsets := make([]spot, len(boxes))
	var all layout
	x, y, row := 0.0, 0.0, 0.0
	for _, i := range order {
		if x > 0 && x+boxes[i].width > limit {
			x, y, row = 0, y+row+partGap, 0
		}
		offsets[i] = spot{x, y}
		all.width, all.height = max(all.width, x+boxes[i].width), max(all.height, y+boxes[i].height)
		x, row = x+boxes[i].width+partGap, max(row, boxes[i].height)
	}
	return offsets, all
}

// web is a component in layers: its nodes first, then the points of its long edges.
type web struct {
	nodes  int
	layer  []int
	rows   [][]int // points by layer, from top to bottom
	place  []int   // of a point in its row
	before [][]int // neighbours in the layer before
	after  [][]int
	y      []float64
	chains [][]int // by edge: the points it passes
}

func layOut(n int, edges []edge) layout {
	w := weave(n, edges)
	w.order()
	w.settle()
	l := layout{nodes: make([]spot, n)}
	top := slices.Min(w.y[:n]) - nodeHeight/2
	for i, y := range w.y {
		top = min(top, y-w.size(i)/2)
	}
	at := func(i int) spot { return spot{float64(w.layer[i]) * (nodeWidth + layerGap), w.y[i] - top} }
	for i := range n {
		l.nodes[i] = at(i).add(spot{0, -nodeHeight / 2})
		l.width = max(l.width, l.nodes[i].x+nodeWidth)
	}
	for i := range w.y {
		l.height = max(l.height, w.y[i]-top+w.size(i)/2)
	}
	for i, e := range edges {
		if w.layer[e.from] >= w.layer[e.to] {
			continue
		}
		r := route{edge: e}
		for _, point := range w.chains[i] {
			r.via = append(r.via, at(point))
		}
		l.routes = append(l.routes, r)
	}
	return l
}

// weave leads the edges through the layers.
func weave(n int, edges []edge) *web {
	w := &web{nodes: n, layer: layers(n, edges), before: make([][]int, n), after: make([][]int, n)}
	w.chains = make([][]int, len(edges))
	span := func(i int) int { return w.layer[edges[i].to] - w.layer[edges[i].from] }
	short := make([]int, len(edges))
	for i := range short {
		short[i] = i
	}
	slices.SortStableFunc(short, func(a, b int) int { return span(a) - span(b) })
	for _, i := range short {
		if span(i) < 1 || len(w.layer)+span(i) > n+pointsMax {
			continue
		}
		last := edges[i].from
		for layer := w.layer[last] + 1; layer < w.layer[edges[i].to]; layer++ {
			point := len(w.layer)
			w.layer = append(w.layer, layer)
			w.before, w.after = append(w.before, nil), append(w.after, nil)
			w.chains[i] = append(w.chains[i], point)
			w.connect(last, point)
			last = point
		}
		w.connect(last, edges[i].to)
	}
	w.place, w.y = make([]int, len(w.layer)), make([]float64, len(w.layer))
	w.rows = make([][]int, slices.Max(w.layer)+1)
	return w
}

func (w *web) connect(a, b int) {
	w.after[a] = append(w.after[a], b)
	w.before[b] = append(w.before[b], a)
}

// size is the height of a point; an edge has next to none.
func (w *web) size(i int) float64 {
	if i < w.nodes {
		return nodeHeight
	}
	return 1
}

// gap is the least distance between the middles of neighbours in a row.
func (w *web) gap(a, b int) float64 {
	gap := nodeGap
	if a >= w.nodes || b >= w.nodes {
		gap = pointGap
	}
	return gap + (w.size(a)+w.size(b))/2
}
