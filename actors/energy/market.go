package energy

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// marketActor publishes the fee of each epoch, with price and volume, and takes new
// settings. What it publishes is what every node charges.
type marketActor struct {
	deps
	durable.Singleton
	durable.Proposer[*edict]
	rest       durable.Rest
	publishing bool
}

// edict is something for the whole market on its way through the log.
type edict struct{ asked *SetSettings } // nil for the publication of an epoch

func newMarketActor(d deps) *marketActor {
	return &marketActor{deps: d, Singleton: durable.Singleton{Seat: d.seat(d.cfg.Market)}}
}

// SetSettings sets some of the settings.
type SetSettings struct {
	durable.Request
	Params *messages.EnergySettingsParams

	after messages.EnergySettings
}

// settingsMark begins the reply that is remembered of new settings.
const settingsMark = "\xa8settings"

// Recall implements durable.Command.
func (*SetSettings) Recall(reply []byte) (any, bool) {
	if len(reply) < len(settingsMark) || string(reply[:len(settingsMark)]) != settingsMark {
		return nil, false
	}
	s, err := market.DecodeSettings(reply[len(settingsMark):])
	if err != nil {
		return nil, false
	}
	return &messages.EnergySettingsResult{Settings: settingsView(s), Duplicate: true}, true
}

// Start implements durable.Actor.
func (m *marketActor) Start(ctx durable.Context) error {
	m.Attach(m.Host, ctx.Self())
	return m.look(ctx)
}

// FailPending implements durable.Actor.
func (m *marketActor) FailPending() {
	m.publishing = false
	m.FailProposed(func(e *edict) { e.fail(durable.OutcomeUnknown()) })
}

// Drained implements durable.Actor.
func (m *marketActor) Drained() bool { return m.InFlight() == 0 }

// Receive implements durable.Actor.
func (m *marketActor) Receive(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case durable.Outcomes:
		err := m.ApplyOutcomes(msg, func(e *edict, o persistence.Outcome) error {
			m.conclude(ctx, e, o)
			return nil
		})
		if err != nil {
			return err
		}
		return m.look(ctx)
	case durable.Activate, durable.Wake:
		return m.look(ctx)
	case durable.Rested:
		m.rest.End()
		return m.look(ctx)
	case *SetSettings:
		return m.set(msg)
	}
	return fmt.Errorf("market: unknown message %T", msg)
}

// look publishes what holds for the epoch, unless that is done.
func (m *marketActor) look(ctx durable.Context) error {
	m.FenceChanged()
	if !m.Active() || m.publishing || m.rest.Resting() {
		return nil
	}
	var t terms
	var at market.Moment
	err := m.Store.View(func(v *persistence.View) (err error) {
		at = m.moment(v)
		t, err = readTerms(v)
		return err
	})
	if err != nil {
		return err
	}
	if t.published != nil && t.published.Epoch >= at.Epoch {
		return nil
	}
	load, price, volume := m.model.market(at.Seconds())
	p := market.Published{Epoch: at.Epoch, FeeBPS: t.settings.Fee(load), Price: price, VolumeKWh: volume}
	txn := &persistence.Txn{
		Fences:     []persistence.ShardFence{m.Held()},
		Conditions: []persistence.Condition{t.since},
		Writes:     []persistence.Write{{Key: publishedKey, Value: market.AppendPublished(nil, &p)}},
	}
	m.publishing = true
	own := &edict{}
	// Without a deadline no number of callers has it refused.
	if err := m.Propose(persistence.Proposal{Txn: txn}, own); err != nil {
		m.failed(ctx)
	}
	return nil
}

// set proposes new settings.
func (m *marketActor) set(c *SetSettings) error {
	m.FenceChanged() // the word of a new one may be behind the order
	if !m.Active() {
		c.Fail(durable.NotOwner(m.Shard))
		return nil
	}
	if answered, err := m.AnswerRepeat(c); err != nil || answered {
		return err
	}
	var t terms
	err := m.Store.View(func(v *persistence.View) (err error) {
		t, err = readTerms(v)
		return err
	})
	if err != nil {
		return err
	}
	c.after = c.Params.Over(settingsView(t.settings))
	s := settingsOf(c.after)
	if refusal := s.Check(); refusal != nil {
		c.Fail(refusal)
		return nil
	}
	value := market.AppendSettings(nil, &s)
	txn := &persistence.Txn{
		Fences:     []persistence.ShardFence{m.Held()},
		Conditions: []persistence.Condition{t.same},
		Writes:     []persistence.Write{{Key: SettingsKey, Value: value}},
	}
	c.Remember(txn, append([]byte(settingsMark), value...))
	m.ProposeFor(&c.Request, persistence.Proposal{Txn: txn}, &edict{c})
	return nil
}

func (m *marketActor) conclude(ctx durable.Context, e *edict, o persistence.Outcome) {
	refusal := durable.RefusalOf(o)
	switch {
	case e.asked == nil && refusal != nil:
		m.failed(ctx)
	case e.asked == nil:
		m.publishing = false
		m.rest.Reset()
	case refusal != nil:
		e.fail(refusal)
	case o.Result.Status == persistence.Duplicate:
		durable.Repeat(e.asked, o.Result.Reply)
	case o.Result.Status == persistence.Refused: // other settings came first
		e.fail(durable.Overloaded("the settings changed at the same moment"))
	default:
		e.asked.Reply(&messages.EnergySettingsResult{Settings: e.asked.after, AppliedIndex: o.Result.Index})
	}
}

// failed rests, because the log did not take what was to be published.
func (m *marketActor) failed(ctx durable.Context) {
	m.publishing = false
	m.rest.BackOff(ctx, m.Chance())
}

func (e *edict) fail(err *messages.Error) {
	if e.asked != nil {
		e.asked.Fail(err)
	}
}

// epochOf is the treasury's epoch, treasuryTotal what ever came into the treasury.
func epochOf(v *persistence.View) messages.Epoch {
	return messages.Epoch(v.Counter(rows.CounterEpoch))
}

func treasuryTotal(v *persistence.View) int64 { return v.Counter(rows.CounterAccruals) }

// settingsView is how settings are told.
func settingsView(s market.Settings) messages.EnergySettings {
	mode := messages.ModeRealTime
	if s.Batch {
		mode = messages.ModeBatch
	}
	return messages.EnergySettings{
		MinStake: s.MinStake, FeeBPS: s.FeeBPS, FeeFixed: s.FeeFixed, QuorumPPM: s.QuorumPPM, TimeoutEpochs: s.TimeoutEpochs,
		SlashingBPS: s.SlashingBPS, Mode: mode, Rehearsal: s.Rehearsal, BackfillWindow: s.BackfillWindow,
		ChallengeEpochs: s.ChallengeEpochs, ReportInterval: s.ReportInterval,
	}
}

// settingsOf reads settings as they are told.
func settingsOf(s messages.EnergySettings) market.Settings {
	return market.Settings{
		MinStake: s.MinStake, FeeBPS: s.FeeBPS, FeeFixed: s.FeeFixed, QuorumPPM: s.QuorumPPM, TimeoutEpochs: s.TimeoutEpochs,
		SlashingBPS: s.SlashingBPS, Batch: s.Mode == messages.ModeBatch, Rehearsal: s.Rehearsal,
		BackfillWindow: s.BackfillWindow, ChallengeEpochs: s.ChallengeEpochs, ReportInterval: s.ReportInterval,
	}
}
