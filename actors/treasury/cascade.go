package treasury

import (
	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
)

// A Txn of a cascade goes on from the records that a sweep found to their dependents, over
// as many levels as it has room for: widenBy records for each that the sweep may move, and
// cascadeBytesMax of their encodings. With one level a Txn a long chain would take a round
// through the log for every record.
const (
	widenBy         = 8
	cascadeBytesMax = 1 << 18
)

// widen adds to the moves of a cascade those of the open records that depend on them,
// nearest first. They belong to any shard: each is moved only if it still has the version
// that was decided on. A sweep that is down to one record is not widened.
func (s *shard) widen(moves []rows.Write) ([]rows.Write, error) {
	if s.limit <= 1 {
		return moves, nil
	}
	view, room, size := s.model.View(), widenBy*s.limit, 0
	taken := make(map[messages.DisbursementID]bool, len(moves))
	for i := range moves {
		taken[moves[i].ID] = true
	}
	for at := 0; at < len(moves); at++ {
		of := moves[at]
		dependents, err := view.Dependents(of.ID, graph.Page{Limit: room})
		if err != nil {
			continue // born after the view: found by its own shard
		}
		for _, id := range dependents.IDs {
			if taken[id] {
				continue
			}
			if len(moves) >= room || size > cascadeBytesMax {
				return moves, nil
			}
			r, ok, err := s.load(id)
			if err != nil {
				return nil, err
			}
			if !ok {
				continue
			}
			taken[id] = true
			move, refusal := disbursement.FailDependency(r.Record, s.now(), of.Move.Record.RootOr(of.ID))
			if refusal != nil {
				continue
			}
			size += r.Size
			moves = append(moves, rows.Write{ID: id, Version: r.Version, Move: move})
		}
	}
	return moves, nil
}
