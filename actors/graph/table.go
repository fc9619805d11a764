package graph

import "sync/atomic"

// ordinal is an id as the tables hold it: 4 bytes are enough for 4.29e9 nodes.
type ordinal uint32

const (
	chunkBits = 12
	chunkLen  = 1 << chunkBits
	chunkMask = chunkLen - 1
)

// table is an array that grows by chunks, so that no element ever moves. One
// writer grows it; readers find any element that was there when they were told
// of its number.
type table[T any] struct {
	chunks atomic.Pointer[[]*[chunkLen]T]
}

// grow makes room for elements 0 to last.
func (t *table[T]) grow(last uint32) {
	var chunks []*[chunkLen]T
	if old := t.chunks.Load(); old != nil {
		chunks = *old
	}
	before := len(chunks)
	for uint32(len(chunks)) <= last>>chunkBits {
		// The spare room of the old directory lies beyond every reader's length.
		chunks = append(chunks, new([chunkLen]T))
	}
	if len(chunks) > before {
		t.chunks.Store(&chunks)
	}
}

// at gives the place of element i, which grow has made room for.
func (t *table[T]) at(i uint32) *T {
	return &(*t.chunks.Load())[i>>chunkBits][i&chunkMask]
}

// node is what a View may read of a node.
type node struct {
	amount uint64
	// edges is the number of the node's first edge; they end before those of the
	// next node, whose field is therefore written when this one is born.
	edges uint32
	// newest is the head of the list of dependents: the edge born last that leads
	// here, 0 for none. The only field of a born node that changes.
	newest atomic.Uint32
}

// edge leads from a node to one of its dependencies. Edges are numbered from 1.
type edge struct {
	from ordinal
	to   ordinal
	// older is the next edge in the list of to's dependents, 0 at its end.
	older uint32
}

// tables hold everything about nodes that is fixed at birth.
type tables struct {
	nodes table[node]
	links table[edge]
}

// span gives the numbers of n's edges: first to last-1.
func (t *tables) span(n ordinal) (first, last uint32) {
	return t.nodes.at(uint32(n)).edges, t.nodes.at(uint32(n) + 1).edges
}

// dependencies calls visit with each dependency of n, ascending.
func (t *tables) dependencies(n ordinal, visit func(ordinal)) {
	first, last := t.span(n)
	for e := first; e < last; e++ {
		visit(t.links.at(e).to)
	}
}

// dependents calls visit with each direct dependent of n up to highest, the one
// born last first.
func (t *tables) dependents(n, highest ordinal, visit func(ordinal)) {
	for e := t.nodes.at(uint32(n)).newest.Load(); e != 0; {
		link := t.links.at(e)
		if link.from <= highest {
			visit(link.from)
		}
		e = link.older
	}
}
