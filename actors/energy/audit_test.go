package energy_test

import (
	"context"
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// books are rows of a market of one provider, one reading and one settlement.
type books struct {
	provider market.Provider
	credit   market.Credit
	receipt  market.Receipt
	slash    market.Slash
	dispute  market.Dispute
}

func sound() books {
	hash := messages.MeterHash{1}
	p := market.New(0, market.Registration{Owner: "o", Jurisdiction: "DE", Meter: "m", Price: 1, Capacity: 1000, Stake: 1000}, 1)
	p.Minted, p.LastKWh, p.Settled, p.Available, p.Readings = 100, 100, 40, 960, 1
	return books{
		provider: p,
		credit:   market.Credit{Hash: hash, Minted: 100, Left: 60, Hold: market.HoldDisputed},
		receipt:  market.Receipt{Buyer: "b", KWh: 40, Price: 40, Fee: 1, Slash: 4, Hash: hash},
		slash:    market.Slash{Reason: market.SlashSettlement, Amount: 4, Hash: hash, Buyer: "b"},
		dispute:  market.Dispute{Hash: hash, Type: market.OtherDispute, Status: market.DisputeOpen, Reason: "r", Reporter: "x"},
	}
}

// Each fault is planted alone, and found.
func TestTheAuditFindsWhatDoesNotAddUp(t *testing.T) {
	for name, tt := range map[string]struct {
		plant func(*books)
		want  string
	}{
		"nothing":                        {func(*books) {}, ""},
		"more minted than the register":  {func(b *books) { b.provider.LastKWh = 99 }, "the register says 99"},
		"a credit that nobody minted":    {func(b *books) { b.credit.Minted++; b.credit.Left++ }, "credits of 101 kWh, minted 100"},
		"a settlement without a receipt": {func(b *books) { b.credit.Left = 50 }, "credits settled 50, receipts 40"},
		"more sold than settled":         {func(b *books) { b.receipt.KWh = 41 }, "receipts 41"},
		"availability that came back":    {func(b *books) { b.provider.Available = 1000 }, "sold of its capacity 0"},
		"a slash that is no row":         {func(b *books) { b.slash.Amount = 3 }, "do not take the same from its stake"},
		"a failure that moved money":     {func(b *books) { b.slash.Reason = market.SlashQuorum }, "for quorum moves 4"},
		"a dispute that holds nothing":   {func(b *books) { b.credit.Hold = market.HoldNone }, "is held for a dispute: false; one is open: true"},
		"a reading under another name":   {func(b *books) { b.credit.Hash[5] = 9 }, "is not found under its meter_hash"},
	} {
		b := sound()
		tt.plant(&b)
		store, err := persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
		if err != nil {
			t.Fatal(err)
		}
		named := messages.MeterHash{1}
		_, err = persistencetest.NewLog(persistence.NewFSM(store)).Commit(&persistence.Txn{
			Appends: []persistence.Append{
				{Table: energy.TableProviders, Tag: 1, Value: market.AppendProvider(nil, &b.provider)},
				{Table: energy.TableCredits, Tag: 1, Value: market.AppendCredit(nil, &b.credit)},
				{Table: energy.TableReceipts, Tag: 1, Value: market.AppendReceipt(nil, &b.receipt)},
				{Table: energy.TableSlashes, Tag: 1, Value: market.AppendSlash(nil, &b.slash)},
				{Table: energy.TableDisputes, Tag: 1, Value: market.AppendDispute(nil, &b.dispute)},
			},
			Writes: []persistence.Write{{
				Key:   persistence.NameKey(energy.TableReadings, string(named[:])),
				Value: make([]byte, 8), Slots: []persistence.Slot{{Number: 1}},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
		report, err := energy.Audit(t.Context(), store)
		fault := report.Err()
		switch {
		case err != nil:
			t.Errorf("%s: %v", name, err)
		case tt.want == "" && fault != nil, tt.want != "" && (fault == nil || !strings.Contains(strings.Join(report.Faults, "\n"), tt.want)):
			t.Errorf("%s: faults %q, want %q", name, report.Faults, tt.want)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The audit of a node that works goes on while the log does.
func TestTheAuditStopsNoCommit(t *testing.T) {
	store, err := persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	log := persistencetest.NewLog(persistence.NewFSM(store))
	b := sound()
	for range 20 {
		txn := &persistence.Txn{}
		for range 50 {
			txn.Appends = append(txn.Appends, persistence.Append{Table: energy.TableCredits, Tag: 1, Value: market.AppendCredit(nil, &b.credit)})
		}
		if _, err := log.Commit(txn); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	commits := make(chan error, 1)
	go func() {
		for ctx.Err() == nil {
			if _, err := log.Commit(&persistence.Txn{Adds: []persistence.Add{{Counter: "n", Delta: 1}}}); err != nil {
				commits <- err
				return
			}
		}
		commits <- nil
	}()
	for range 20 {
		if report, err := energy.Audit(t.Context(), store); err != nil || report.Credits != 1000 {
			t.Fatalf("%+v, %v", report, err)
		}
	}
	cancel()
	if err := <-commits; err != nil {
		t.Error(err)
	}
	if err := store.Close(); err != nil {
		t.Error(err)
	}
}
