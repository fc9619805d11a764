package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// ErrCompacted is returned for an entry whose place a Raft snapshot has taken.
var ErrCompacted = errors.New("the entry is no longer in the log")

// KindSkipped is the Kind of an entry that all nodes were told to pass over.
const KindSkipped = "skipped"

// Entries calls fn with the entries from index from to index to, which this node has
// applied, until fn returns an error, which it returns. Data is fn's. ErrCompacted says
// that an entry is gone.
func (c *Consensus) Entries(from, to uint64, fn func(Entry) error) error {
	if !c.calls.enter() {
		return ErrCompacted
	}
	defer c.calls.leave()
	for index := from; index <= min(to, c.AppliedIndex()); index++ {
		var l raft.Log
		err := c.store.GetLog(index, &l)
		if errors.Is(err, raft.ErrLogNotFound) {
			return fmt.Errorf("%w: entry %d", ErrCompacted, index)
		}
		if err != nil {
			return err
		}
		e := Entry{Index: l.Index, Term: l.Term, Kind: entryKind(l.Type), AppendedAt: l.AppendedAt, Data: l.Data}
		if e.Kind == KindBatch && c.cfg.Skip.passes(index, l.Data) {
			e.Kind, e.Data = KindSkipped, nil
		}
		if err := fn(e); err != nil {
			return err
		}
	}
	return nil
}
