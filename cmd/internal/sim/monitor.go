package sim

import (
	"hash/crc64"
	"slices"

	"github.com/the-block/bursar/cmd/internal/check/checktest"
	"github.com/the-block/bursar/persistence"
)

// monitor sees everything, and holds each entry, when the first node applies it and
// when the others do, against what was promised.
type monitor struct {
	uids      uint64
	leaders   map[uint64]int // by term
	elections int
	history   []applied
	judge     *checktest.Judge
	sum       uint64

	executed, finalized, rolledBack int
}

// applied is an entry as the first node applied it.
type applied struct {
	*batch
	results []persistence.Result
}

func newMonitor(layout checktest.Layout) monitor {
	return monitor{leaders: make(map[uint64]int), judge: checktest.NewJudge(layout)}
}

// number gives a batch its uid.
func (m *monitor) number() uint64 {
	m.uids++
	return m.uids
}

// leads holds that a term has one leader at most.
func (m *monitor) leads(w *world, id int, term uint64) {
	m.elections++
	if other, ok := m.leaders[term]; ok && other != id {
		w.fail("n%d and n%d both lead term %d", other+1, id+1, term)
	}
	m.leaders[term] = id
}

var polynomial = crc64.MakeTable(crc64.ECMA)

// applied holds that all nodes apply the same entries, and come to the same verdicts.
func (m *monitor) applied(n *node, index uint64, e entry, results []persistence.Result) {
	if index <= uint64(len(m.history)) {
		first := &m.history[index-1]
		switch {
		case first.batch != e.batch:
			n.w.fail("%s applies another entry at %d than the first node did", n.name, index)
		case !slices.EqualFunc(first.results, results, sameResult):
			n.w.fail("%s judges entry %d as %+v, the first node as %+v", n.name, index, results, first.results)
		}
		return
	}
	if index != uint64(len(m.history))+1 {
		n.w.fail("%s applies entry %d, and nobody has applied the one before it", n.name, index)
		return
	}
	m.history = append(m.history, applied{e.batch, results})
	m.sum = crc64.Update(m.sum, polynomial, e.data)
	if err := m.judge.Entry(index, e.txns, results); err != nil {
		n.w.fail("%w", err)
	}
	n.w.noteEntry(n, index, e, results)
}

func sameResult(a, b persistence.Result) bool {
	return a.Status == b.Status && a.First == b.First && a.Newest == b.Newest && a.Failed == b.Failed
}

// restored holds that a snapshot is of something that was applied.
func (m *monitor) restored(n *node) {
	if at := n.fsm.Store().Applied(); at > uint64(len(m.history)) {
		n.w.fail("%s has a snapshot of entry %d, and nobody has applied it", n.name, at)
	}
}

// noteEntry adds an entry to the trace.
func (w *world) noteEntry(n *node, index uint64, e entry, results []persistence.Result) {
	if w.trace == nil {
		return
	}
	w.note(string(n.name), "is the first to apply entry %d of term %d: %d transactions", index, e.term, len(e.txns))
	for i, t := range e.txns {
		w.note("", "  %s %s", results[i].Status, describe(t, &results[i]))
	}
}
