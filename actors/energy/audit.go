package energy

import (
	"context"
	"fmt"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// AuditReport is what Audit found.
type AuditReport struct {
	Providers, Credits, Receipts, Slashes, Disputes int
	MintedKWh, SettledKWh                           market.Sum
	Fees, Slashed                                   market.Sum
	// Faults tell what does not add up; at most faultsMax.
	Faults []string
}

const faultsMax = 100

// Err tells the first fault, nil if there is none.
func (r *AuditReport) Err() error {
	if len(r.Faults) == 0 {
		return nil
	}
	return fmt.Errorf("the market's books: %s (%d faults)", r.Faults[0], len(r.Faults))
}

// account is what rows say about one provider.
type account struct {
	minted, settled, sold market.Sum
	slashed               market.Sum
}

// audit is an Audit at work.
type audit struct {
	AuditReport
	store    *persistence.Store
	accounts map[messages.ProviderID]*account
	open     map[messages.MeterHash]bool // disputes
}

// Audit reads a Store at rest and holds the market's rows against one another: credits
// minted = settled + what is left of them, receipts = what credits and providers say was
// sold, fees and slashes = what the rows of the settlements say, disputes = the holds of
// credits. It knows nothing of actors. An error says that it could not be read.
func Audit(ctx context.Context, store *persistence.Store) (AuditReport, error) {
	a := audit{store: store, accounts: make(map[messages.ProviderID]*account), open: make(map[messages.MeterHash]bool)}
	for _, step := range []struct {
		table persistence.Table
		row   func(number uint64, v persistence.Value) error
	}{
		{TableDisputes, a.dispute}, {TableReceipts, a.receipt}, {TableSlashes, a.slash}, {TableCredits, a.credit}, {TableProviders, a.provider},
	} {
		if err := a.scan(ctx, step.table, step.row); err != nil {
			return a.AuditReport, err
		}
	}
	for hash := range a.open {
		a.fault("an open dispute holds no credit: %x", hash)
	}
	for id := range a.accounts {
		a.fault("rows name %s, which is not registered", id)
	}
	return a.AuditReport, nil
}

func (a *audit) scan(ctx context.Context, table persistence.Table, row func(uint64, persistence.Value) error) error {
	last := a.store.Last(table)
	for next := uint64(1); next <= last && ctx.Err() == nil; {
		// A row may be held against others: that is another look at the Store, and within this
		// one it would wait for ever behind a commit that waits for this one's end.
		var page []persistence.Value
		err := a.store.Scan(persistence.RecordKey(table, next), persistence.TableEnd(table), false, persistence.ViewRowsMax/2,
			func(key persistence.Key, v persistence.Value) bool {
				number, _ := key.Number()
				there := number == next+uint64(len(page))
				if there {
					page = append(page, v)
				}
				return there
			})
		if err != nil {
			return err
		}
		for _, v := range page {
			if err := row(next, v); err != nil {
				return err
			}
			next++
		}
		if len(page) < persistence.ViewRowsMax/2 && next <= last {
			return fmt.Errorf("table %c: row %d is not there", table, next)
		}
	}
	return ctx.Err()
}

func (a *audit) fault(format string, args ...any) {
	if len(a.Faults) < faultsMax {
		a.Faults = append(a.Faults, fmt.Sprintf(format, args...))
	}
}

func (a *audit) of(id messages.ProviderID) *account {
	if a.accounts[id] == nil {
		a.accounts[id] = &account{}
	}
	return a.accounts[id]
}

func (a *audit) dispute(number uint64, v persistence.Value) error {
	d, err := market.DecodeDispute(v.Data)
	a.Disputes++
	if d.Status == market.DisputeOpen {
		if a.open[d.Hash] {
			a.fault("dispute %d is the second that is open about %x", number, d.Hash)
		}
		a.open[d.Hash] = true
	}
	return err
}

func (a *audit) receipt(_ uint64, v persistence.Value) error {
	r, err := market.DecodeReceipt(v.Data)
	a.Receipts++
	a.of(r.Provider).sold.Add(r.KWh)
	a.of(r.Provider).slashed.Add(uint64(r.Slash))
	a.Fees.Add(uint64(r.Fee))
	a.Slashed.Add(uint64(r.Slash))
	return err
}

func (a *audit) slash(number uint64, v persistence.Value) error {
	s, err := market.DecodeSlash(v.Data)
	a.Slashes++
	switch {
	case s.Reason == market.SlashSettlement:
		a.of(s.Provider).slashed.Sub(uint64(s.Amount))
	case s.Amount != 0:
		a.fault("slash %d for %s moves %d", number, s.Reason, s.Amount)
	}
	return err
}

func (a *audit) credit(number uint64, v persistence.Value) error {
	c, err := market.DecodeCredit(v.Data)
	if err != nil {
		return err
	}
	a.Credits++
	x := a.of(c.Provider)
	x.minted.Add(c.Minted)
	x.settled.Add(c.Minted - c.Left)
	var found *stored
	if err := a.store.View(func(v *persistence.View) (err error) {
		found, err = readCredit(v, c.Hash)
		return err
	}); err != nil {
		return err
	}
	if found == nil || found.number != number {
		a.fault("credit %d is not found under its meter_hash", number)
	}
	if disputed := c.Hold == market.HoldDisputed; disputed != a.open[c.Hash] {
		a.fault("credit %d is held for a dispute: %v; one is open: %v", number, disputed, a.open[c.Hash])
	}
	delete(a.open, c.Hash)
	return nil
}

func (a *audit) provider(number uint64, v persistence.Value) error {
	p, err := market.DecodeProvider(messages.ProviderID(number-1), v.Data)
	if err != nil {
		return err
	}
	a.Providers++
	x := a.of(p.ID)
	a.MintedKWh.Add(p.Minted)
	a.SettledKWh.Add(p.Settled)
	switch {
	case x.minted.Uint64() != p.Minted || p.Minted != p.LastKWh:
		a.fault("%s: credits of %d kWh, minted %d, the register says %d", p.ID, x.minted.Uint64(), p.Minted, p.LastKWh)
	case x.settled != x.sold || x.sold.Uint64() != p.Settled || p.Capacity-p.Available != p.Settled:
		a.fault("%s: credits settled %d, receipts %d, the provider %d, sold of its capacity %d",
			p.ID, x.settled.Uint64(), x.sold.Uint64(), p.Settled, p.Capacity-p.Available)
	case x.slashed != market.Sum{}:
		a.fault("%s: receipts and slash rows do not take the same from its stake", p.ID)
	}
	delete(a.accounts, p.ID)
	return nil
}
