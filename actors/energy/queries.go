package energy

import (
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// pageBytesMax is what the rows of a page may take, so that with what stands around them
// they keep to the largest reply.
const pageBytesMax = messages.ReplyMax - 1<<10

// State answers market_state.
func (e *Energy) State(p *messages.MarketStateParams) (*messages.MarketStateResult, *messages.Error) {
	now := uint64(e.host.Wall().Unix())
	r := &messages.MarketStateResult{}
	var t terms
	err := e.host.Store.View(func(v *persistence.View) (err error) {
		r.AppliedIndex, r.Epoch = v.Applied(), epochOf(v)
		if owner := v.Owner(e.cfg.Market); owner.Owner != "" {
			r.Node = string(owner.Owner)
		}
		if t, err = readTerms(v); err != nil {
			return err
		}
		return e.providers(v, p, t.settings, now, r)
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	if p.One && len(r.Providers) == 0 {
		return nil, market.UnknownProvider(p.Provider)
	}
	r.FeeBPS = t.settings.FeeBPS
	if t.published != nil {
		r.FeeBPS, r.Epoch = t.published.FeeBPS, t.published.Epoch
	}
	f := e.model.state(t.settings, now)
	r.Price, r.Volume, r.OraclesActive = f.Price, f.VolumeKWh, f.Active
	r.DisputesPending, r.ProvidersCount = f.Disputes, f.Providers
	return r, nil
}

// providers reads a page of providers, or the one that is asked for.
func (e *Energy) providers(v *persistence.View, p *messages.MarketStateParams, s market.Settings, now uint64, r *messages.MarketStateResult) error {
	if p.One {
		one, _, ok, err := readProvider(v, p.Provider)
		if ok && err == nil {
			r.Providers = []messages.Provider{providerView(&one, s, now)}
		}
		return err
	}
	from, limit := max(uint64(p.Cursor), 1), min(int(p.Limit), persistence.ViewRowsMax-10)
	var fault error
	size := 0
	var packed []byte
	err := v.Scan(persistence.RecordKey(TableProviders, from), persistence.TableEnd(TableProviders), false, limit+1,
		func(key persistence.Key, value persistence.Value) bool {
			number, _ := key.Number()
			one, err := market.DecodeProvider(messages.ProviderID(number-1), value.Data)
			if err != nil {
				fault = fmt.Errorf("provider %d: %w", number, err)
				return false
			}
			row := providerView(&one, s, now)
			packed, _ = messages.AppendResult(packed[:0], &row)
			if size += len(packed); len(r.Providers) == limit || size > pageBytesMax && len(r.Providers) > 0 {
				r.NextCursor = messages.Cursor(number)
				return false
			}
			r.Providers = append(r.Providers, row)
			return true
		})
	if fault != nil {
		return fault
	}
	return err
}

func providerView(p *market.Provider, s market.Settings, now uint64) messages.Provider {
	status := "idle"
	switch {
	case p.Suspended:
		status = "suspended"
	case p.Active(s, now):
		status = "active"
	}
	r := &p.Reputation
	return messages.Provider{
		ID: p.ID, Owner: p.Owner, Capacity: p.Capacity, Available: p.Available, Price: p.Price,
		Jurisdiction: p.Jurisdiction, Meter: p.Meter, Stake: p.Stake, Key: p.Key, Status: status,
		RegisteredAt: p.RegisteredAt, Readings: p.Readings, LastKWh: p.LastKWh, LastTimestamp: p.LastTime,
		LastNonce: p.LastNonce, LastSeen: p.LastSeen, Minted: p.Minted, Settled: p.Settled,
		Score: r.Score(), Confidence: r.Confidence(), Delivery: r.Delivery.Mean(), MeterScore: r.Meter.Mean(),
		Latency: r.Latency.Mean(), CapacityScore: r.Capacity.Mean(),
	}
}

// Settings answers energy.settings that sets nothing.
func (e *Energy) Settings() (*messages.EnergySettingsResult, *messages.Error) {
	r := &messages.EnergySettingsResult{}
	err := e.host.Store.View(func(v *persistence.View) error {
		t, err := readTerms(v)
		r.Settings, r.AppliedIndex = settingsView(t.settings), v.Applied()
		return err
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	return r, nil
}

// list reads rows of a table, newest first: those of the provider that is asked for, with
// one of the tags, that keep accepts. It examines at most 10,000 rows: a page may be
// short, or empty, and still have a next one.
func list[R any](e *Energy, table persistence.Table, p *messages.EnergyListParams, tags []byte,
	row func(number uint64, data []byte) (R, bool, error)) (rows []R, next messages.Cursor, refusal *messages.Error) {
	q := persistence.Selection{Table: table, Before: uint64(p.Cursor), Limit: int(p.Limit), Tags: tags}
	if p.One {
		q.Ranges = []persistence.Range{{Column: columnProvider, Min: uint64(p.Provider), Max: uint64(p.Provider)}}
	}
	numbers, after := e.host.Store.Select(q)
	var packed []byte
	size := 0
	for i, number := range numbers {
		value, ok, err := e.host.Store.Get(persistence.RecordKey(table, number))
		if err != nil || !ok {
			return nil, 0, durable.ErrorOf(fmt.Errorf("row %d of the list is not there: %w", number, err))
		}
		one, keep, err := row(number, value.Data)
		if err != nil {
			return nil, 0, durable.ErrorOf(err)
		}
		if !keep {
			continue
		}
		packed, _ = messages.AppendResult(packed[:0], any(&one))
		if size += len(packed); size > pageBytesMax && len(rows) > 0 {
			after = numbers[i-1]
			break
		}
		rows = append(rows, one)
	}
	return rows, messages.Cursor(after), nil
}

// Receipts answers receipts.
func (e *Energy) Receipts(p *messages.EnergyListParams) (*messages.ReceiptsResult, *messages.Error) {
	if p.Status != "" {
		return nil, messages.Errorf(messages.CodeValidationFailed, "status: receipts have none")
	}
	r := &messages.ReceiptsResult{AppliedIndex: e.host.Store.Applied()}
	var refusal *messages.Error
	r.Receipts, r.NextCursor, refusal = list(e, TableReceipts, p, nil, func(number uint64, data []byte) (messages.EnergyReceipt, bool, error) {
		x, err := market.DecodeReceipt(data)
		return receiptView(number, &x), true, err
	})
	return answerOf(r, refusal)
}

func receiptView(number uint64, r *market.Receipt) messages.EnergyReceipt {
	return messages.EnergyReceipt{ID: number, Provider: r.Provider, Buyer: r.Buyer, KWh: r.KWh, Price: r.Price, Fee: r.Fee,
		Slash: r.Slash, Hash: r.Hash, SettledAt: r.SettledAt, Epoch: r.Epoch}
}

// Credits answers credits.
func (e *Energy) Credits(p *messages.EnergyListParams) (*messages.CreditsResult, *messages.Error) {
	r := &messages.CreditsResult{}
	var t terms
	var epoch messages.Epoch
	err := e.host.Store.View(func(v *persistence.View) (err error) {
		r.AppliedIndex, epoch = v.Applied(), epochOf(v)
		t, err = readTerms(v)
		return err
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	tags, ok := holdsOf(market.CreditStatus(p.Status))
	if !ok {
		return nil, messages.Errorf(messages.CodeValidationFailed,
			"status must be outstanding, disputed, escalated, settled, expired or void")
	}
	var refusal *messages.Error
	r.Credits, r.NextCursor, refusal = list(e, TableCredits, p, tags, func(number uint64, data []byte) (messages.Credit, bool, error) {
		c, err := market.DecodeCredit(data)
		status := c.Status(t.settings, epoch)
		return messages.Credit{ID: number, Provider: c.Provider, Hash: c.Hash, Minted: c.Minted, Left: c.Left,
			Timestamp: c.Timestamp, MintedAt: c.MintedAt, Epoch: c.Epoch, Backfill: c.Backfill, Status: string(status),
		}, p.Status == "" || p.Status == string(status), err
	})
	return answerOf(r, refusal)
}

// holdsOf lists the tags that credits of a status can have; nil for any.
func holdsOf(status market.CreditStatus) (tags []byte, ok bool) {
	switch status {
	case "", market.CreditSettled:
		return nil, true
	case market.CreditOutstanding, market.CreditExpired:
		return []byte{byte(market.HoldNone)}, true
	case market.CreditDisputed:
		return []byte{byte(market.HoldDisputed)}, true
	case market.CreditEscalated:
		return []byte{byte(market.HoldEscalated)}, true
	case market.CreditVoid:
		return []byte{byte(market.HoldVoid)}, true
	}
	return nil, false
}

// Slashes answers slashes.
func (e *Energy) Slashes(p *messages.EnergyListParams) (*messages.SlashesResult, *messages.Error) {
	tags, refusal := tagOf(p.Status, market.ParseSlashReason)
	if refusal != nil {
		return nil, refusal
	}
	r := &messages.SlashesResult{AppliedIndex: e.host.Store.Applied()}
	r.Slashes, r.NextCursor, refusal = list(e, TableSlashes, p, tags, func(number uint64, data []byte) (messages.Slash, bool, error) {
		s, err := market.DecodeSlash(data)
		return messages.Slash{ID: number, Provider: s.Provider, Reason: s.Reason.String(), Amount: s.Amount, Hash: s.Hash,
			Buyer: s.Buyer, At: s.At, Epoch: s.Epoch}, true, err
	})
	return answerOf(r, refusal)
}

// Disputes answers disputes.
func (e *Energy) Disputes(p *messages.EnergyListParams) (*messages.DisputesResult, *messages.Error) {
	tags, refusal := tagOf(p.Status, market.ParseDisputeStatus)
	if refusal != nil {
		return nil, refusal
	}
	r := &messages.DisputesResult{AppliedIndex: e.host.Store.Applied()}
	r.Disputes, r.NextCursor, refusal = list(e, TableDisputes, p, tags, func(number uint64, data []byte) (messages.Dispute, bool, error) {
		d, err := market.DecodeDispute(data)
		return messages.Dispute{ID: number, Provider: d.Provider, Hash: d.Hash, Type: d.Type.String(), Reason: d.Reason,
			Reporter: d.Reporter, RaisedAt: d.RaisedAt, Status: d.Status.String(), Resolver: d.Resolver, Note: d.Note,
			ResolvedAt: d.ResolvedAt}, true, err
	})
	return answerOf(r, refusal)
}

// tagOf gives the tag of rows with a status, none for any.
func tagOf[T ~byte](status string, parse func(string) (T, *messages.Error)) ([]byte, *messages.Error) {
	if status == "" {
		return nil, nil
	}
	tag, refusal := parse(status)
	return []byte{byte(tag)}, refusal
}

func answerOf[R any](r *R, refusal *messages.Error) (*R, *messages.Error) {
	if refusal != nil {
		return nil, refusal
	}
	return r, nil
}
