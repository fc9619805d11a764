package treasury

import (
	"log/slog"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/readmodel"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/actors/treasury/stats"
	"github.com/the-block/bursar/messages"
)

// deps are the collaborators that all actors of the treasury share.
type deps struct {
	cfg   Config
	host  *durable.Host
	model *readmodel.Model
	pace  *pace
	stats *stats.Stats
	log   *slog.Logger
}

// seat gives the right to write for a shard.
func (d *deps) seat(shard messages.ShardID) durable.Seat {
	return durable.Seat{Host: d.host, Shard: shard}
}

// now gathers what a step that opens no window is stamped with: its epoch may lag.
func (d *deps) now() disbursement.Facts {
	return d.model.Facts(d.host.Wall(), d.cfg.Node)
}

// facts gathers what rules ask for that does not depend on the record: see
// readmodel.Model.FactsOf.
func (d *deps) facts() (disbursement.Facts, error) {
	return d.model.FactsOf(d.host.Store, d.host.Wall(), d.cfg.Node)
}

// load reads one record; ok is false if there is none.
func (d *deps) load(id messages.DisbursementID) (s rows.Stored, ok bool, err error) {
	return rows.Load(d.host.Store, id)
}
