package graph

import (
	"math"
	"sort"

	"github.com/the-block/bursar/messages"
)

// Mark names a state of the graph's edges: what a cursor carries from one page of
// an answer to the next, so that all pages speak of the same graph.
type Mark struct {
	// Index is the applied index the answer is true for.
	Index uint64
	// Nodes is the highest id the answer knows.
	Nodes messages.DisbursementID
}

// View is the graph's nodes and edges at one applied index. Taking one costs
// nothing that grows with the graph, and it is used without the consumer's lock.
// It holds plans whole or not at all.
type View struct {
	tables *tables
	mark   Mark
	last   ordinal
	// plans are those that cite ahead, in ascending order; some may be younger than
	// the view.
	plans []plan
}

// View takes a view of the graph as it is.
func (g *Graph) View() View {
	return g.ViewAt(Mark{Index: g.index, Nodes: messages.DisbursementID(g.whole)})
}

// ViewAt takes the view again that bore the given mark. A mark that lies ahead of
// this graph gives the graph as it is.
func (g *Graph) ViewAt(mark Mark) View {
	if mark.Nodes > messages.DisbursementID(g.whole) || mark.Index > g.index {
		mark = Mark{Index: g.index, Nodes: messages.DisbursementID(g.whole)}
	}
	last := ordinal(mark.Nodes)
	next := sort.Search(len(g.plans), func(i int) bool { return g.plans[i].last > last })
	if next < len(g.plans) && g.plans[next].first <= last {
		last = g.plans[next].first - 1
		mark.Nodes = messages.DisbursementID(last)
	}
	return View{tables: &g.tables, mark: mark, last: last, plans: g.plans}
}

// Mark gives what ViewAt needs to take the view again.
func (v View) Mark() Mark { return v.mark }

// Index gives the applied index that every answer of the view is true for.
func (v View) Index() uint64 { return v.mark.Index }

// Nodes gives the number of nodes, which is also the highest id.
func (v View) Nodes() int { return int(v.last) }

// Edges gives the number of edges.
func (v View) Edges() int { return int(v.tables.nodes.at(uint32(v.last)+1).edges) - 1 }

// Amount gives what id pays. Error: ErrUnknown.
func (v View) Amount(id messages.DisbursementID) (messages.Amount, error) {
	n, err := findUpTo(id, v.last)
	if err != nil {
		return 0, err
	}
	return messages.Amount(v.tables.nodes.at(uint32(n)).amount), nil
}

// Dependencies lists what id depends on, ascending. Error: ErrUnknown.
func (v View) Dependencies(id messages.DisbursementID) ([]messages.DisbursementID, error) {
	n, err := findUpTo(id, v.last)
	if err != nil {
		return nil, err
	}
	var list []messages.DisbursementID
	v.tables.dependencies(n, func(dep ordinal) { list = append(list, messages.DisbursementID(dep)) })
	return list, nil
}

// Snapshot is a View with the nodes' states at its index: one byte a node, copied
// when it is taken.
type Snapshot struct {
	View
	states []messages.State
}

// Snapshot takes a snapshot of the graph as it is.
func (g *Graph) Snapshot() Snapshot {
	s := Snapshot{View: g.View(), states: make([]messages.State, int(g.whole)+1)}
	for from := 0; from < len(s.states); from += chunkLen {
		copy(s.states[from:], (*g.states.chunks.Load())[from>>chunkBits][:])
	}
	return s
}

// State gives the state of id. Error: ErrUnknown.
func (s Snapshot) State(id messages.DisbursementID) (messages.State, error) {
	n, err := findUpTo(id, s.last)
	if err != nil {
		return 0, err
	}
	return s.states[n], nil
}

// Page is the window of a long answer: Limit ids from the one at Offset on.
type Page struct{ Offset, Limit int }

// All is the page that holds everything.
var All = Page{Limit: math.MaxInt}

// bounds gives the part of an answer of total ids that lies in the page.
func (p Page) bounds(total int) (from, to int) {
	from = min(max(p.Offset, 0), total)
	return from, from + min(max(p.Limit, 0), total-from)
}

// List is one page of an answer.
type List struct {
	IDs []messages.DisbursementID
	// Total is the number of ids in the whole answer.
	Total int
}

// list cuts one page out of an answer.
func (p Page) list(answer []ordinal) List {
	from, to := p.bounds(len(answer))
	return List{IDs: ids(answer[from:to]), Total: len(answer)}
}

// ids turns ordinals into the ids callers know.
func ids(answer []ordinal) []messages.DisbursementID {
	list := make([]messages.DisbursementID, len(answer))
	for i, n := range answer {
		list[i] = messages.DisbursementID(n)
	}
	return list
}
