package treasury

import (
	"time"

	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/stats"
	"github.com/the-block/bursar/messages"
)

// What the tests of sweeping know of their limits.
const (
	SweepersMax = sweepersMax
	SweepMax    = sweepMax
)

// Pace hands out turns to sweep.
type Pace struct{ pace }

// Ask is ask.
func (p *Pace) Ask(shard messages.ShardID) bool { return p.ask(shard) }

// Leave is leave.
func (p *Pace) Leave(shard messages.ShardID) (messages.ShardID, bool) { return p.leave(shard) }

// InTime reports whether a payment is counted as one within the objective: due at since,
// funded at funded, executed at now.
func InTime(since, funded time.Time, epoch time.Duration, now time.Time) bool {
	var s stats.Executor
	s.Executed(&readmodel.Payable{Since: since, Funded: funded}, epoch, now)
	return s.InTime.Load() == 1 && s.Late.Load() == 0
}
