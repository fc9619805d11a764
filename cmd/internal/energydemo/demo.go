// Package energydemo replays Germany's electricity of 2017 as three oracles, day by day, sells
// some of it, and plants one reading that is no meter's: the market raises a dispute by itself. Run
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

// Config says how the demo is played.
type Config struct {
	// Speed is how many days of 2017 pass in a second; 0 is as many as the market takes.
	Speed int
	// Tell is told how it stands every now and then; nil for nobody.
	Tell func(Summary)
}

// site is one oracle of the demo.
type site struct {
	name     string
	column   int
	price    messages.Amount
	planted  bool
	provider messages.ProviderID
	signer   oracle.Signer
	oracle   *oracle.Oracle
	year     []oracle.Reading
	register uint64 // kWh that the market has
}

// sale is half of a credit on its way to a buyer.
type sale struct {
	params messages.SettleParams
	tries  int
}

// Summary is what came of it.
type Summary struct {
	Day                            time.Time // of 2017, as far as it has come
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

// play is a demo under way.
type play struct {
	caller  oracle.Caller
	sites   []*site
	sales   []*sale // that wait until they can be settled
	summary Summary
}

// The steps: at a speed, four a second; without one, a month of days each.
const (
	stepEvery = 250 * time.Millisecond
	stepWhole = 30
)

// Run plays the demo.
func Run(ctx context.Context, caller oracle.Caller, cfg Config) (*Summary, error) {
	p := &play{caller: caller}
	if err := p.open(ctx); err != nil {
		return nil, err
	}
	step, days := stepWhole, len(p.sites[0].year)
	if cfg.Speed > 0 {
		step = max(cfg.Speed*int(stepEvery)/int(time.Second), 1)
	}
	for day := 0; day < days; day += step {
		news, err := p.report(ctx, day, min(day+step, days))
		if err == nil {
			err = p.look(ctx)
		}
		if err != nil {
			return nil, err
		}
		if cfg.Tell != nil {
			cfg.Tell(p.summary)
		}
		if cfg.Speed > 0 && news { // what is in already passes at once
			if err := pause(ctx, time.Duration(step)*time.Second/time.Duration(cfg.Speed)); err != nil {
				return nil, err
			}
		}
	}
	for len(p.sales) > 0 {
		if err := pause(ctx, sellAgain); err != nil {
			return nil, err
		}
		if err := p.sell(ctx); err != nil {
			return nil, err
		}
	}
	if err := p.look(ctx); err != nil {
		return nil, err
	}
	return &p.summary, nil
}

// open sets the market up: its settings, the oracles, and what they are to report.
func (p *play) open(ctx context.Context) error {
	rows, err := csv.NewReader(bytes.NewReader(germany)).ReadAll()
	if err != nil {
		return err
	}
	settings := &messages.EnergySettingsParams{}
	settings.Give("backfill_window", "challenge_epochs")
	settings.RequestID = "energy-demo-settings"
	settings.Settings.BackfillWindow, settings.Settings.ChallengeEpochs = 10*366*24*3600, 1
	if err := p.caller.Call(ctx, messages.MethodEnergySettings, settings, new(messages.EnergySettingsResult)); err != nil {
		return err
	}
	p.sites = []*site{{name: "consumption", column: 1, price: 3}, {name: "wind", column: 2, price: 4}, {name: "solar", column: 3, price: 6, planted: true}}
	for i, one := range p.sites {
		one.signer = oracle.NewSigner([32]byte{'d', 'e', 'm', 'o', byte(i)})
		if err := one.open(ctx, p.caller, rows[1:]); err != nil {
			return fmt.Errorf("%s: %w", one.name, err)
		}
		p.summary.Oracles++
	}
	return nil
}

func (o *site) open(ctx context.Context, caller oracle.Caller, rows [][]string) (err error) {
	meter := "demo-" + o.name
	register := &messages.RegisterProviderParams{Owner: "tb1" + o.name, Capacity: 1e12, Price: o.price, Jurisdiction: "DE", Meter: meter,
		Stake: 10_000, Key: o.signer.Public()}
	register.RequestID = "energy-demo-" + o.name
	var registered messages.RegisterProviderResult
	if err := caller.Call(ctx, messages.MethodRegisterProvider, register, &registered); err != nil {
		return err
	}
	o.provider = registered.Provider
	o.oracle = oracle.New(oracle.Config{Provider: o.provider, Meter: meter, Signer: o.signer, Backfill: true}, caller)
	o.year, err = o.readings(rows)
	return err
}

// report has all oracles report some days, and sells what can be sold. It tells whether any
// of it was news to the market.
func (p *play) report(ctx context.Context, from, to int) (news bool, err error) {
	for _, o := range p.sites {
		outcomes, err := o.oracle.Submit(ctx, o.year[from:to])
		if err != nil {
			return news, fmt.Errorf("%s: %w", o.name, err)
		}
		for i, out := range outcomes {
			if out.Err != nil {
				return news, out.Err
			}
			news = news || !out.Passed
			if (from+i)%30 == 15 && out.Credit > 0 { // what was passed over was sold the first time
				one := &sale{params: messages.SettleParams{Provider: o.provider, Buyer: "tb1grid", KWh: out.Credit / 2, Hash: out.Hash}}
				one.params.RequestID = fmt.Sprintf("energy-demo-%x", out.Hash[:16])
				p.sales = append(p.sales, one)
			}
		}
		p.summary.Readings += len(outcomes)
		p.summary.KWh += o.year[to-1].KWh - o.register
		o.register = o.year[to-1].KWh
	}
	p.summary.Day = time.Unix(int64(p.sites[0].year[to-1].At), 0).UTC()
	return news, p.sell(ctx)
}

// look asks how the market stands.
func (p *play) look(ctx context.Context) error {
	var state messages.MarketStateResult
	if err := p.caller.Call(ctx, messages.MethodMarketState, &messages.MarketStateParams{}, &state); err != nil {
		return err
	}
	p.summary.Price, p.summary.Disputes = state.Price, state.DisputesPending
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

// sellAgain is how long a credit that is still to be challenged is waited for at a time at
// the end, sellTries how often: one that is disputed is not sold.
const (
	sellAgain = 50 * time.Millisecond
	sellTries = 100
)

// sell settles what can be settled of the sales; the others stay.
func (p *play) sell(ctx context.Context) error {
	waiting := p.sales[:0]
	for _, one := range p.sales {
		var result messages.SettleResult
		err := p.caller.Call(ctx, messages.MethodSettle, &one.params, &result)
		switch {
		case err == nil:
			p.summary.Settlements++
			p.summary.SoldKWh += result.Receipt.KWh
			p.summary.Fees += result.Receipt.Fee
		case !errors.Is(err, &messages.Error{Code: messages.CodeSettlementConflict}):
			return err
		case one.tries < sellTries:
			one.tries++
			waiting = append(waiting, one)
		}
	}
	p.sales = waiting
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
