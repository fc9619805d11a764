package draw

import (
	"slices"

	"github.com/the-block/bursar/messages"
)

// Node is one disbursement of a picture.
type Node struct {
	ID     messages.DisbursementID
	State  messages.State
	Amount messages.Amount
	// Label is short and stands in the box, Tip is long and appears when one points
	// at it.
	Label, Tip string
	// Deps are what it waits for. Those that are not in the picture are counted.
	Deps []messages.DisbursementID
	// Hidden counts the dependents that are not in the picture.
	Hidden int
	// Focus marks the node that the picture is about.
	Focus bool
}

// Graph is what a picture shows. Its edges must have no cycle; edges of one are left
// out.
type Graph struct {
	Title, Subtitle string
	Nodes           []Node // with different ids
}

// edge leads from a dependency to what waits for it, by places in Nodes.
type edge struct{ from, to int }

// edges lists the edges inside the picture in the order of their heads, and how many
// dependencies of each node are outside.
func (g *Graph) edges() (edges []edge, outside []int) {
	place := make(map[messages.DisbursementID]int, len(g.Nodes))
	for i := range g.Nodes {
		place[g.Nodes[i].ID] = i
	}
	outside = make([]int, len(g.Nodes))
	for to := range g.Nodes {
		for _, dep := range g.Nodes[to].Deps {
			if from, in := place[dep]; in && from != to {
				edges = append(edges, edge{from, to})
			} else {
				outside[to]++
			}
		}
	}
	return edges, outside
}

// components splits the nodes into those that edges connect, each ascending, in the
// order of their first nodes.
func components(n int, edges []edge) [][]int {
	root := make([]int, n)
	for i := range root {
		root[i] = i
	}
	find := func(i int) int {
		for root[i] != i {
			root[i] = root[root[i]]
			i = root[i]
		}
		return i
	}
	for _, e := range edges {
		a, b := find(e.from), find(e.to)
		root[max(a, b)] = min(a, b)
	}
	index := make(map[int]int)
	var parts [][]int
	for i := range n {
		r := find(i)
		at, known := index[r]
		if !known {
			at = len(parts)
			index[r] = at
			parts = append(parts, nil)
		}
		parts[at] = append(parts[at], i)
	}
	return parts
}

// layers gives each node its layer, counted from 0. Edges that do not lead to a
// higher layer lie on a cycle.
func layers(n int, edges []edge) []int {
	layer := make([]int, n)
	waits := make([]int, n)
	dependents := make([][]int, n)
	for _, e := range edges {
		waits[e.to]++
		dependents[e.from] = append(dependents[e.from], e.to)
	}
	first := make([]bool, n)
	var queue []int
	for i := range n {
		if first[i] = waits[i] == 0; first[i] {
			queue = append(queue, i)
		}
	}
	for ; len(queue) > 0; queue = queue[1:] {
		i := queue[0]
		for _, d := range dependents[i] {
			layer[d] = max(layer[d], layer[i]+1)
			if waits[d]--; waits[d] == 0 {
				queue = append(queue, d)
			}
		}
	}
	for i := range n {
		if first[i] && len(dependents[i]) > 0 {
			nearest := slices.MinFunc(dependents[i], func(a, b int) int { return layer[a] - layer[b] })
			layer[i] = max(layer[nearest]-1, 0)
		}
	}
	return layer
}
