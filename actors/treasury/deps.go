package treasury

import (
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// deps are the collaborators that all actors of the treasury share.
type deps struct {
	cfg     Config
	store   Store
	model   *Model
	journal Journal
	fences  *fences
	pace    *pace
	stats   *Stats
	log     *slog.Logger
	// wall, if not nil, is what this node's clock shows: ByHand's.
	wall func() time.Time
	// addresses are where executor and shards are found; they change when the
	// treasury's supervisor itself restarts.
	addresses *atomic.Pointer[addresses]
}

// addresses are the treasury's actors below its supervisor.
type addresses struct {
	executor actors.Ref
	shards   []actors.Ref
}

// now gathers what a step that opens no window is stamped with: its epoch may lag.
func (d *deps) now() disbursement.Facts {
	return disbursement.Facts{Epoch: d.model.Epoch(), Now: uint64(d.time().Unix()), Node: d.cfg.Node}
}

// time is what this node's clock shows.
func (d *deps) time() time.Time {
	if d.wall != nil {
		return d.wall()
	}
	return time.Now()
}

// facts gathers what rules ask for that does not depend on the record, as of the
// newest entry this node has applied: whoever lost a race decides anew from it.
func (d *deps) facts() (disbursement.Facts, error) {
	facts := d.now()
	epoch, err := d.store.Counter(CounterEpoch)
	if err != nil {
		return facts, err
	}
	facts.Epoch = messages.Epoch(epoch)
	return facts, nil
}
