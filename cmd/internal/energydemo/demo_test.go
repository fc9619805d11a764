package energydemo_test

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/cmd/internal/energydemo"
	"github.com/the-block/bursar/messages"
)

// exchange is a market in memory, by the rules of package market.
type exchange struct {
	settings  market.Settings
	providers []market.Provider
	requests  map[string]messages.ProviderID
	credits   map[messages.MeterHash]*market.Credit
	outliers  []string // meter and register
	sold      int
}

func (x *exchange) Call(_ context.Context, _ string, params messages.Params, result messages.Result) error {
	at := market.Moment{MS: 1_780_000_000_000, Epoch: 9}
	switch p := params.(type) {
	case *messages.EnergySettingsParams:
		x.settings.BackfillWindow, x.settings.ChallengeEpochs = p.Settings.BackfillWindow, 0
		if p.Over(messages.EnergySettings{MinStake: 7}) != (messages.EnergySettings{MinStake: 7, BackfillWindow: p.Settings.BackfillWindow, ChallengeEpochs: 1}) {
			return messages.Errorf(messages.CodeValidationFailed, "other settings are set: %b", p.Given)
		}
	case *messages.RegisterProviderParams:
		id, known := x.requests[p.RequestID]
		if !known {
			id = messages.ProviderID(len(x.providers))
			x.requests[p.RequestID] = id
			x.providers = append(x.providers, market.New(id, market.Registration{Owner: p.Owner, Jurisdiction: p.Jurisdiction,
				Meter: p.Meter, Key: p.Key, Price: p.Price, Capacity: p.Capacity, Stake: p.Stake}, 1))
		}
		result.(*messages.RegisterProviderResult).Provider = id
	case *messages.MarketStateParams:
		state := result.(*messages.MarketStateResult)
		if state.DisputesPending = uint64(len(x.outliers)); p.One {
			one := &x.providers[p.Provider]
			state.Providers = []messages.Provider{{ID: one.ID, Capacity: one.Capacity, Meter: one.Meter, Key: one.Key, Readings: one.Readings,
				LastNonce: one.LastNonce, LastTimestamp: one.LastTime, LastKWh: one.LastKWh}}
		}
	case *messages.SubmitReadingsParams:
		for i := range p.Readings {
			r := market.Reading{Reading: p.Readings[i], Backfill: p.Backfill, Signed: true}
			hash := signing.ReadingHash(&r.Reading)
			j := x.providers[r.Provider].Judge(&r, hash, x.settings, at)
			x.providers[r.Provider], x.credits[hash] = j.Provider, &j.Credit
			if j.Outlier {
				x.outliers = append(x.outliers, r.Meter)
			}
			out := result.(*messages.SubmitReadingsResult)
			out.Outcomes = append(out.Outcomes, messages.ReadingOutcome{Hash: hash, Credit: j.Credit.Minted, Error: j.Refusal})
		}
	case *messages.SettleParams:
		s := x.providers[p.Provider].Settle(market.Order{Buyer: p.Buyer, KWh: p.KWh, Hash: p.Hash}, x.credits[p.Hash],
			market.Terms{Settings: x.settings, FeeBPS: 250, At: at})
		if s.Refusal != nil {
			return s.Refusal
		}
		x.providers[p.Provider], *x.credits[p.Hash] = s.Provider, s.Credit
		x.sold++
		result.(*messages.SettleResult).Receipt = messages.EnergyReceipt{KWh: s.Receipt.KWh, Fee: s.Receipt.Fee}
	}
	return nil
}

func TestTheDemoPlaysOnceAndItsOutlierIsFound(t *testing.T) {
	x := &exchange{settings: market.DefaultSettings(), requests: make(map[string]messages.ProviderID), credits: make(map[messages.MeterHash]*market.Credit)}
	var told []energydemo.Summary
	first, err := energydemo.Run(t.Context(), x, energydemo.Config{Tell: func(now energydemo.Summary) { told = append(told, now) }})
	if err != nil {
		t.Fatal(err)
	}
	if first.Oracles != 3 || first.Readings != 3*365 || first.Settlements != 36 || first.Fees == 0 {
		t.Errorf("%+v", first)
	}
	if n := len(told); n != 13 || !told[n-1].Day.Equal(time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)) || told[0].Readings != 90 {
		t.Errorf("told %d times, at last %+v", n, told[n-1])
	}
	if !slices.Equal(x.outliers, []string{"demo-solar"}) {
		t.Errorf("outliers of %v, want the planted one alone", x.outliers)
	}
	again, err := energydemo.Run(t.Context(), x, energydemo.Config{})
	if err != nil || again.Settlements != 0 || x.sold != 36 || len(x.providers) != 3 {
		t.Errorf("again: %+v, %v, %d settlements, %d providers", again, err, x.sold, len(x.providers))
	}
}

// At 100 days a second a year takes 3.65 seconds; what the market has already takes none.
func TestTheSpeedOfTheDemo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := &exchange{settings: market.DefaultSettings(), requests: make(map[string]messages.ProviderID), credits: make(map[messages.MeterHash]*market.Credit)}
		for _, want := range []time.Duration{3650 * time.Millisecond, 0} {
			began := time.Now()
			if _, err := energydemo.Run(t.Context(), x, energydemo.Config{Speed: 100}); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took < want || took > want+250*time.Millisecond {
				t.Errorf("took %s, want %s", took, want)
			}
		}
	})
}
