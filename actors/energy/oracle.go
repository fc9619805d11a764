package energy

import (
	"fmt"
	"slices"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Command is a request about one provider. Its own actor carries it out.
type Command interface {
	durable.Command
	target() messages.ProviderID
}

// decider is a Command that is decided about alone.
type decider interface {
	Command
	// reads reads what it is about beside its provider.
	reads(v *persistence.View) error
	// decide turns the request into what shall be committed, or refuses it.
	decide(o *oracle, s *scene) (durable.Change, *messages.Error)
}

// oracles is the kind of the providers' own actors. Eight reports of 256 readings, each
// of which may raise a dispute, are as many rows as one Txn may append.
var oracles = durable.Kind{Name: "oracle", Idle: 30 * time.Second, QueueMax: 256, BatchMax: 8, TriesMax: 16}

// oracle is one provider as its own actor sees it.
type oracle struct {
	deps
	id        messages.ProviderID
	recovered bool // its record was read
}

func oracleName(id messages.ProviderID) string { return "oracle-" + id.String() }

// scene is what a decision rests on, read at one index.
type scene struct {
	provider market.Provider
	version  uint64
	terms
	at       market.Moment
	treasury int64
}

// unchanged holds while the provider is as it was read.
func (s *scene) unchanged() persistence.Condition {
	return persistence.VersionIs(providerKey(s.provider.ID), s.version)
}

// Decide implements durable.Entity.
func (o *oracle) Decide(commands []durable.Command) (none durable.Change, err error) {
	first, alone := commands[0].(decider)
	var s scene
	known := false
	err = o.host.Store.View(func(v *persistence.View) (err error) {
		if s.provider, s.version, known, err = readProvider(v, o.id); err != nil {
			return err
		}
		if s.terms, err = readTerms(v); err != nil {
			return err
		}
		s.at, s.treasury = o.moment(v), treasuryTotal(v)
		if alone {
			err = first.reads(v)
		}
		return err
	})
	if !o.recovered {
		o.recovered = err == nil
		o.cfg.Recovered(err)
	}
	switch {
	case err != nil:
		return none, err
	case !known && !confirmed(commands):
		return durable.Change{Unsure: true}, nil
	case !known:
		for _, c := range commands {
			refuse(c.(Command), market.UnknownProvider(o.id))
		}
		return none, nil
	case !alone:
		return o.report(commands, &s)
	}
	change, refusal := first.decide(o, &s)
	if refusal != nil {
		first.Base().Fail(refusal)
		return none, nil
	}
	return change, nil
}

// confirmed reports whether the Store is known not to be behind any of the commands.
func confirmed(commands []durable.Command) bool {
	return !slices.ContainsFunc(commands, func(c durable.Command) bool { return !c.Base().Confirmed })
}

// answer is the answer to one report, and what is to be counted once it is given.
type answer struct {
	report   *Report
	outcomes outcomes
	outliers uint64
}

// report judges reports, one reading after the other, and has all that they change
// committed as one.
func (o *oracle) report(commands []durable.Command, s *scene) (none durable.Change, err error) {
	p := s.provider
	txn := &persistence.Txn{Conditions: []persistence.Condition{s.unchanged()}}
	answers := make([]answer, 0, len(commands))
	changed := false
	for _, c := range commands {
		r, ok := c.(*Report)
		if !ok {
			return none, fmt.Errorf("%s: unknown command %T", o.id, c)
		}
		if r.key != p.Key { // it was rotated since the signatures were judged
			_ = o.verifier.TellInternal(keyChanged{o.id})
			if err := r.resign(p.Key); err != nil {
				return none, err
			}
		}
		a := answer{report: r, outcomes: make(outcomes, len(r.readings))}
		for i := range r.readings {
			reading := &r.readings[i]
			hash := signing.ReadingHash(&reading.Reading)
			j := p.Judge(reading, hash, s.settings, s.at)
			p, changed = j.Provider, changed || j.Changed
			a.outcomes[i] = messages.ReadingOutcome{Hash: hash, Credit: j.Credit.Minted, Error: j.Refusal}
			switch {
			case !r.Confirmed && (j.Refusal != nil || reading.Backfill):
				// What refuses it may be out of date: a key, a suspension, the backfill window.
				return durable.Change{Unsure: true}, nil
			case j.Refusal == nil:
				appendReading(txn, &j, s.at)
			}
			if j.Outlier {
				a.outliers++
			}
		}
		answers = append(answers, a)
	}
	if !changed {
		o.tell(answers, s.at)
		return none, nil
	}
	txn.Writes = append(txn.Writes, providerWrite(&p))
	return durable.Change{Txn: txn, Done: func(persistence.Result) { o.tell(answers, s.at) }}, nil
}

// appendReading adds what an accepted reading leaves: its credit, where that is found, and
// the dispute about an outlier.
func appendReading(txn *persistence.Txn, j *market.Judgement, at market.Moment) {
	k := len(txn.Appends)
	txn.Appends = append(txn.Appends, persistence.Append{
		Table: TableCredits, Tag: creditTag(&j.Credit), Value: market.AppendCredit(make([]byte, 0, 80), &j.Credit),
	})
	txn.Writes = append(txn.Writes, persistence.Write{
		Key: readingKey(j.Credit.Hash), Value: make([]byte, 8), Slots: numberSlot(k),
	})
	if j.Outlier {
		d := market.Dispute{Hash: j.Credit.Hash, Provider: j.Credit.Provider, Type: market.OutlierDetected,
			Reason: "far outside the provider's own history", Reporter: market.ReporterMarket,
			RaisedAt: at.Seconds(), Status: market.DisputeOpen}
		txn.Appends = append(txn.Appends, persistence.Append{
			Table: TableDisputes, Tag: byte(d.Status), Value: market.AppendDispute(nil, &d),
		})
	}
}

// tell answers reports and counts what became of their readings.
func (o *oracle) tell(answers []answer, at market.Moment) {
	for _, a := range answers {
		o.stats.raised[market.OutlierDetected].Add(a.outliers)
		for i := range a.outcomes {
			out := &a.outcomes[i]
			if out.Error == nil {
				o.stats.accepted(&a.report.readings[i], at)
				continue
			}
			o.stats.refused(out.Error)
			if out.Error.Code == messages.CodeNonceReplay {
				out.Error = o.recall(out.Error, out.Hash)
			}
		}
		a.report.Reply(a.outcomes)
	}
}

// recall tells who sends a reading again what it was worth the first time.
func (o *oracle) recall(refusal *messages.Error, hash messages.MeterHash) *messages.Error {
	var c *stored
	err := o.host.Store.View(func(v *persistence.View) (err error) {
		c, err = readCredit(v, hash)
		return err
	})
	if err != nil || c == nil {
		return refusal
	}
	return refusal.With("duplicate", true).With("credit_kwh", c.Minted)
}
