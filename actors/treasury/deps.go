package treasury

import (
	"log/slog"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
)

// deps are the collaborators that all actors of the treasury share.
type deps struct {
	cfg   Config
	host  *durable.Host
	model *Model
	pace  *pace
	stats *Stats
	log   *slog.Logger
}

// seat gives the right to write for a shard.
func (d *deps) seat(shard messages.ShardID) durable.Seat {
	return durable.Seat{Host: d.host, Shard: shard}
}

// now gathers what a step that opens no window is stamped with: its epoch may lag.
func (d *deps) now() disbursement.Facts {
	return disbursement.Facts{Epoch: d.model.Epoch(), Now: uint64(d.host.Wall().Unix()), Node: d.cfg.Node, Confirmed: d.model.Confirmed()}
}

// facts gathers what rules ask for that does not depend on the record, as of the
// newest entry this node has applied: whoever lost a race decides anew from it.
func (d *deps) facts() (disbursement.Facts, error) {
	facts := d.now()
	epoch, err := d.host.Store.Counter(rows.CounterEpoch)
	if err != nil {
		return facts, err
	}
	facts.Epoch = messages.Epoch(epoch)
	return facts, nil
}

// load reads one record; ok is false if there is none.
func (d *deps) load(id messages.DisbursementID) (s rows.Stored, ok bool, err error) {
	return rows.Load(d.host.Store, id)
}

// unmet names the lowest of a record's dependencies that is not final, 0 if all are.
func (d *deps) unmet(ids []messages.DisbursementID) (messages.DisbursementID, error) {
	for _, id := range ids {
		value, ok, err := d.host.Store.Get(rows.RecordKey(id))
		if err != nil {
			return 0, err
		}
		if !ok || messages.State(value.Tag) != messages.Finalized {
			return id, nil
		}
	}
	return 0, nil
}

func notFound(id messages.DisbursementID) *messages.Error {
	return messages.Errorf(messages.CodeNotFound, "there is no disbursement %d", id)
}
