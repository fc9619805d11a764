package energy

import (
	"sync"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
)

// Report is readings of one provider, in their order. It carries no request id: the
// nonce of each reading is its own.
type Report struct {
	durable.Request
	provider messages.ProviderID
	readings []market.Reading
	key      messages.PublicKey // by which the signatures were judged; none before that
}

func (r *Report) target() messages.ProviderID { return r.provider }

// Recall implements durable.Command: there is nothing to be recalled.
func (*Report) Recall([]byte) (any, bool) { return nil, false }

// outcomes is the answer to a report, one for each reading.
type outcomes []messages.ReadingOutcome

// Readings takes readings and answers the request with what became of each. All must be
// of shards that are owned here. The Store may be behind. one says that the
// caller asked for one reading and is told its outcome alone.
func (e *Energy) Readings(r durable.Request, list []messages.Reading, backfill, one bool) {
	whole := &gathering{to: r.To, one: one, outcomes: make(outcomes, len(list))}
	if len(list) == 0 {
		whole.finish()
		return
	}
	parts := make(map[messages.ProviderID]*Report)
	var order []*Report
	for i := range list {
		id := list[i].Provider
		report := parts[id]
		if report == nil {
			report = &Report{Request: durable.Request{To: &part{whole: whole}, Stamped: true, Confirmed: r.Confirmed, Deadline: r.Deadline}, provider: id}
			parts[id] = report
			order = append(order, report)
		}
		p := report.To.(*part)
		p.at = append(p.at, i)
		report.readings = append(report.readings, market.Reading{Reading: list[i], Backfill: backfill})
	}
	whole.left = len(order)
	durable.Watch(e.host.Deadlines, order...)
	for _, report := range order {
		if err := e.verifier.Tell(report); err != nil {
			report.Undelivered(err)
		}
	}
}

// gathering puts the outcomes of a call's parts together.
type gathering struct {
	to  durable.Replier
	one bool

	mu       sync.Mutex
	outcomes outcomes
	left     int             // parts
	done     bool            // a part was carried out
	failed   *messages.Error // why one was not
}

// part is a report within a call. It implements durable.Replier.
type part struct {
	whole *gathering
	at    []int
}

// Reply implements durable.Replier.
func (p *part) Reply(result any) { p.end(result.(outcomes), nil) }

// Fail implements durable.Replier.
func (p *part) Fail(err *messages.Error) {
	list := make(outcomes, len(p.at))
	for i := range list {
		list[i].Error = err
	}
	p.end(list, err)
}

func (p *part) end(list outcomes, err *messages.Error) {
	w := p.whole
	w.mu.Lock()
	for i, at := range p.at {
		w.outcomes[at] = list[i]
	}
	w.left--
	w.done = w.done || err == nil
	if err != nil {
		w.failed = err
	}
	last := w.left == 0
	w.mu.Unlock()
	if last {
		w.finish()
	}
}

// finish answers the caller. A call of which nothing was done fails as a whole: it may be
// another node's.
func (w *gathering) finish() {
	switch {
	case w.failed != nil && (!w.done || w.one):
		w.to.Fail(w.failed)
	case !w.one:
		w.to.Reply(&messages.SubmitReadingsResult{Outcomes: w.outcomes})
	case w.outcomes[0].Error != nil:
		w.to.Fail(w.outcomes[0].Error)
	default:
		w.to.Reply(&messages.SubmitReadingResult{Hash: w.outcomes[0].Hash, Credit: w.outcomes[0].Credit})
	}
}

// refuse refuses a command for what it asks. Of a report each reading is refused.
func refuse(c Command, err *messages.Error) {
	report, ok := c.(*Report)
	if !ok {
		c.Base().Fail(err)
		return
	}
	list := make(outcomes, len(report.readings))
	for i := range list {
		list[i] = messages.ReadingOutcome{Hash: signing.ReadingHash(&report.readings[i].Reading), Error: err}
	}
	report.Reply(list)
}

// resign judges the signatures of a report anew, by the key that is in force.
func (r *Report) resign(key messages.PublicKey) error {
	ready, err := signing.NewKey(key)
	if err != nil {
		return err
	}
	for i := range r.readings {
		reading := &r.readings[i]
		reading.Signed = ready.Verify(signing.ReadingDigest(&reading.Reading), &reading.Signature)
	}
	r.key = key
	return nil
}
