package ownership

import (
	"time"

	"github.com/the-block/bursar/persistence"
)

// TxnOf is the transaction of a decision.
func TxnOf(d *Decision, s *State, now time.Time) *persistence.Txn { return d.Txn(s, now) }
