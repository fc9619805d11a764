package energy

import (
	"context"
	"errors"
	"sync"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Model is what a node keeps in memory of the market: a few words of each provider, the
// settlements of the last hour, and counts. It is a projection of the log.
type Model struct {
	mu      sync.Mutex
	shown   totals
	index   uint64
	changed chan struct{} // closed when index grows
}

// totals are the market at one index.
type totals struct {
	providers []summary // by id
	consumed  market.Sum
	capacity  market.Sum
	minted    market.Sum
	disputes  int // open
	prices    *market.Prices
	receipt   uint64 // the newest that prices has
	epoch     messages.Epoch
}

// summary is a provider in the model.
type summary struct {
	capacity, available, minted uint64
	lastSeen                    uint64 // 0 before the first reading
	suspended                   bool
}

func newModel() *Model {
	return &Model{shown: totals{prices: &market.Prices{}}, changed: make(chan struct{})}
}

func (m *Model) wait(ctx context.Context, index uint64) error {
	for {
		m.mu.Lock()
		reached, changed := m.index >= index, m.changed
		m.mu.Unlock()
		if reached {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// show lets the model stand for index. The caller holds the lock.
func (m *Model) show(index uint64) {
	m.index = index
	close(m.changed)
	m.changed = make(chan struct{})
}

// market is what the market's fee, price and volume are made from at a moment.
func (m *Model) market(now uint64) (load market.Load, price messages.Amount, volume uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.shown
	p, volume := t.prices.At(now)
	return market.Load{Consumed: t.consumed, Capacity: t.capacity, Providers: uint64(len(t.providers)),
		Hour: market.HourOf(now)}, messages.Amount(p), volume
}

// state is the market at this moment, as a scrape is told.
func (e *Energy) state() State {
	settings := market.DefaultSettings()
	_ = e.host.Store.View(func(v *persistence.View) error { // a row that is corrupt ends the node elsewhere
		if t, err := readTerms(v); err == nil {
			settings = t.settings
		}
		return nil
	})
	return e.model.state(settings, uint64(e.host.Wall().Unix()))
}

// state gives the market's figures at a moment. An oracle is active that has reported
// within the interval.
func (m *Model) state(s market.Settings, now uint64) State {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.shown
	f := State{Providers: uint64(len(t.providers)), Disputes: uint64(t.disputes), TradedKWh: t.consumed.Uint64()}
	for i := range t.providers {
		p := &t.providers[i]
		if !p.suspended && p.lastSeen > 0 && now <= p.lastSeen+s.ReportInterval {
			f.Active++
		}
	}
	price, volume := t.prices.At(now)
	f.Price, f.VolumeKWh = messages.Amount(price), volume
	return f
}

// projection carries the log into the model, and wakes the market when an epoch begins. It
// implements durable.ReadModel.
type projection struct{ e *Energy }

// Advance implements durable.ReadModel.
func (p *projection) Advance(index uint64, changes []persistence.Change) error {
	m := p.e.model
	m.mu.Lock()
	epoch := m.shown.epoch
	for i := range changes {
		if err := m.shown.change(&changes[i]); err != nil {
			m.mu.Unlock()
			return err
		}
	}
	begun := m.shown.epoch != epoch
	m.show(index)
	m.mu.Unlock()
	if begun {
		p.wake()
	}
	return nil
}

func (p *projection) wake() {
	if p.e.host.Owns(p.e.cfg.Market) {
		p.e.host.Notify(p.e.cfg.Market, durable.Wake{})
	}
}

// Draft implements durable.ReadModel.
func (p *projection) Draft() durable.Draft {
	return &draft{projection: p, totals: totals{prices: &market.Prices{}, receipt: ^uint64(0)}}
}

// draft is a model that is being built. It passes over receipts until it is whole: those
// of the last hour are read then, newest first, because nobody needs the others.
type draft struct {
	*projection
	totals totals
}

// At implements durable.Draft.
func (d *draft) At(v *persistence.View) { d.totals.epoch = epochOf(v) }

// Change implements durable.Draft.
func (d *draft) Change(c *persistence.Change) error { return d.totals.change(c) }

// Show implements durable.Draft.
func (d *draft) Show(index uint64) error {
	if err := d.readReceipts(); err != nil {
		return err
	}
	m := d.e.model
	m.mu.Lock()
	m.shown = d.totals
	m.show(max(index, m.index))
	m.mu.Unlock()
	d.wake()
	return nil
}

// readReceipts takes in the settlements of the hour before the newest.
func (d *draft) readReceipts() error {
	store, t := d.e.host.Store, &d.totals
	t.receipt = store.Last(TableReceipts)
	newest := uint64(0)
	for before, more := t.receipt+1, true; more; {
		more = false
		var fault error
		err := store.Scan(persistence.RecordKey(TableReceipts, 1), persistence.RecordKey(TableReceipts, before), true, persistence.ViewRowsMax/2,
			func(key persistence.Key, value persistence.Value) bool {
				r, err := market.DecodeReceipt(value.Data)
				if err != nil {
					fault = err
					return false
				}
				newest = max(newest, r.SettledAt)
				if r.SettledAt+2*market.PriceWindow < newest { // clocks of owners differ a little
					more = false
					return false
				}
				t.prices.Add(r.SettledAt, r.KWh, uint64(r.Price))
				before, _ = key.Number()
				more = before > 1
				return true
			})
		if err := errors.Join(err, fault); err != nil {
			return err
		}
	}
	return nil
}

// change carries one row into the totals.
func (t *totals) change(c *persistence.Change) error {
	if name, value, ok := c.Counter(); ok {
		if name == rows.CounterEpoch {
			t.epoch = messages.Epoch(value)
		}
		return nil
	}
	number, _ := c.Key.Number()
	switch c.Key.Table() {
	case TableProviders:
		return t.provider(number, c.Value.Data)
	case TableReceipts:
		return t.settled(number, c.Value.Data)
	case TableDisputes:
		switch {
		case c.Value.Tag == byte(market.DisputeOpen) && c.Value.Version == 1:
			t.disputes++
		case c.Value.Tag != byte(market.DisputeOpen) && c.Value.Version == 2:
			t.disputes--
		}
	}
	return nil
}

func (t *totals) provider(number uint64, data []byte) error {
	p, err := market.DecodeProvider(messages.ProviderID(number-1), data)
	if err != nil {
		return err
	}
	for uint64(len(t.providers)) < number {
		t.providers = append(t.providers, summary{})
	}
	was := &t.providers[number-1]
	t.consumed.Sub(was.capacity - was.available)
	t.capacity.Sub(was.capacity)
	t.minted.Sub(was.minted)
	*was = summary{capacity: p.Capacity, available: p.Available, minted: p.Minted, lastSeen: p.LastSeen, suspended: p.Suspended}
	t.consumed.Add(was.capacity - was.available)
	t.capacity.Add(was.capacity)
	t.minted.Add(was.minted)
	return nil
}

func (t *totals) settled(number uint64, data []byte) error {
	if number <= t.receipt {
		return nil
	}
	r, err := market.DecodeReceipt(data)
	if err != nil {
		return err
	}
	t.receipt = number
	t.prices.Add(r.SettledAt, r.KWh, uint64(r.Price))
	return nil
}
