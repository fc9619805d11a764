// Package energydemo replays Germany's electricity of 2017 as three oracles, sells some of
// it, and plants one reading that is no meter's: the market raises a dispute by itself. Run
// again it reports and sells nothing twice.
package energydemo

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/the-block/bursar/actors/energy/oracle"
	"github.com/the-block/bursar/messages"
)

//go:embed data/germany-2017.csv
var germany []byte

// plantedDay is the day of the reading that is no meter's, plantedKWh what it adds.
const (
	plantedDay = 200
	plantedKWh = 50_000_000_000
)

// site is one oracle of the demo.
type site struct {
	name     string
	column   int
	price    messages.Amount
	planted  bool
	provider messages.ProviderID
	signer   oracle.Signer
}

// Summary is what came of it.
type Summary struct {
	Oracles, Readings, Settlements int
	KWh, SoldKWh                   uint64
	Price, Fees                    messages.Amount
	Disputes                       uint64
}

// String tells it in a sentence.
func (s *Summary) String() string {
	return fmt.Sprintf("energy: %d oracles reported %d readings of Germany's 2017, %d TWh; %d settlements of %d GWh at %d a kWh, fees of %d "+
		"to the treasury; open disputes: %d, one of them planted", s.Oracles, s.Readings, s.KWh/1e9, s.Settlements, s.SoldKWh/1e6,
		s.Price, s.Fees, s.Disputes)
}

// Run plays the demo.
func Run(ctx context.Context, caller oracle.Caller) (*Summary, error) {
	rows, err := csv.NewReader(bytes.NewReader(germany)).ReadAll()
	if err != nil {
		return nil, err
	}
	settings := &messages.EnergySettingsParams{}
	settings.Give("backfill_window", "challenge_epochs")
	settings.RequestID = "energy-demo-settings"
	settings.Settings.BackfillWindow, settings.Settings.ChallengeEpochs = 10*366*24*3600, 1
	if err := caller.Call(ctx, messages.MethodEnergySettings, settings, new(messages.EnergySettingsResult)); err != nil {
		return nil, err
	}
	s := &Summary{}
	for i, one := range []site{{name: "consumption", column: 1, price: 3}, {name: "wind", column: 2, price: 4}, {name: "solar", column: 3, price: 6, planted: true}} {
		one.signer = oracle.NewSigner([32]byte{'d', 'e', 'm', 'o', byte(i)})
		if err := one.play(ctx, caller, rows[1:], s); err != nil {
			return nil, fmt.Errorf("%s: %w", one.name, err)
		}
	}
	var state messages.MarketStateResult
	if err := caller.Call(ctx, messages.MethodMarketState, &messages.MarketStateParams{}, &state); err != nil {
		return nil, err
	}
	s.Price, s.Disputes = state.Price, state.DisputesPending
	return s, nil
}

func (o *site) play(ctx context.Context, caller oracle.Caller, rows [][]string, s *Summary) error {
	meter := "demo-" + o.name
	register := &messages.RegisterProviderParams{Owner: "tb1" + o.name, Capacity: 1e12, Price: o.price, Jurisdiction: "DE", Meter: meter,
		Stake: 10_000, Key: o.signer.Public()}
	register.RequestID = "energy-demo-" + o.name
	var registered messages.RegisterProviderResult
	if err := caller.Call(ctx, messages.MethodRegisterProvider, register, &registered); err != nil {
		return err
	}
	o.provider = registered.Provider
	readings, err := o.readings(rows)
	if err != nil {
		return err
	}
	outcomes, err := oracle.New(oracle.Config{Provider: o.provider, Meter: meter, Signer: o.signer, Backfill: true}, caller).Submit(ctx, readings)
	if err != nil {
		return err
	}
	s.Oracles++
	s.Readings += len(outcomes)
	s.KWh += readings[len(readings)-1].KWh
	for i, out := range outcomes {
		if out.Err != nil {
			return out.Err
		}
		if i%30 == 15 && out.Credit > 0 { // what was passed over was sold the first time
			if err := o.sell(ctx, caller, &out, s); err != nil {
				return err
			}
		}
	}
	return nil
}

// readings are the register's, day by day.
func (o *site) readings(rows [][]string) ([]oracle.Reading, error) {
	list := make([]oracle.Reading, 0, len(rows))
	for i, row := range rows {
		day, err := time.Parse(time.DateOnly, row[0])
		if err != nil {
			return nil, err
		}
		kwh, err := strconv.ParseUint(row[o.column], 10, 64)
		if err != nil {
			return nil, err
		}
		if o.planted && i >= plantedDay {
			kwh += plantedKWh
		}
		list = append(list, oracle.Reading{At: uint64(day.AddDate(0, 0, 1).Unix()), KWh: kwh})
	}
	return list, nil
}

// sellAgain is how long a credit that is still to be challenged is waited for at a time,
// sellTries how often: one that is disputed is not sold.
const (
	sellAgain = 50 * time.Millisecond
	sellTries = 100
)

// sell sells half of a credit, once it can be settled.
func (o *site) sell(ctx context.Context, caller oracle.Caller, out *oracle.Outcome, s *Summary) error {
	settle := &messages.SettleParams{Provider: o.provider, Buyer: "tb1grid", KWh: out.Credit / 2, Hash: out.Hash}
	settle.RequestID = fmt.Sprintf("energy-demo-%x", out.Hash[:16])
	for range sellTries {
		var result messages.SettleResult
		err := caller.Call(ctx, messages.MethodSettle, settle, &result)
		switch {
		case err == nil:
			s.Settlements++
			s.SoldKWh += result.Receipt.KWh
			s.Fees += result.Receipt.Fee
			return nil
		case !errors.Is(err, &messages.Error{Code: messages.CodeSettlementConflict}):
			return err
		}
		select {
		case <-time.After(sellAgain):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
