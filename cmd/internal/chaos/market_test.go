package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/energy/oracle"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// bazaar is oracles that report through all nodes, and sell some of what they report.
type bazaar struct {
	fleet *fleet
	over  chan struct{}
	all   sync.WaitGroup

	readings, minted, sold atomic.Uint64 // as the oracles were told
	register               atomic.Uint64 // as the meters say, all together
}

const (
	oracleCount = 12
	reportPause = 80 * time.Millisecond // a reading is a second of the meter's, and five minutes of them are taken
	sellEvery   = 4                     // readings
)

// TestMarket kills the node that runs the market, again and again, while oracles report and
// sell: no reading is lost and none counts twice, on any node, and each failover is measured.
func TestMarket(t *testing.T) {
	needs(t, "short")
	f := newFleet(t)
	f.launch()
	f.market = true
	l := f.startLoad()
	b := f.openBazaar()
	took := make([]time.Duration, pick(20, 3))
	for i := range took {
		took[i] = f.killMarket(i)
	}
	b.close()
	f.checkBazaar(b)
	f.check(l)
	f.distribution("from kill -9 to the next epoch's fee by another node", took, 0, 10*time.Second)
}

func (f *fleet) openBazaar() *bazaar {
	f.Helper()
	b := &bazaar{fleet: f, over: make(chan struct{})}
	start := uint64(time.Now().Unix()) - 280
	for i := range oracleCount {
		b.all.Go(func() {
			if err := b.report(i, start); err != nil && !f.over.Load() {
				f.Errorf("oracle %d: %v", i, err)
			}
		})
	}
	return b
}

func (b *bazaar) close() {
	close(b.over)
	b.all.Wait()
	b.fleet.say("the oracles: %d readings of %d kWh, %d kWh sold", b.readings.Load(), b.minted.Load(), b.sold.Load())
}

// report reads one meter every moment until the bazaar is over.
func (b *bazaar) report(number int, start uint64) error {
	var addrs []string
	for i := range b.fleet.nodes { // each begins at another node
		addrs = append(addrs, b.fleet.nodes[(number+i)%len(b.fleet.nodes)].addr(0))
	}
	link := client.New(client.Follow(addrs...))
	defer link.Close()
	c := newCaller(b.fleet, b.fleet.nodes...)
	defer c.close()
	signer := oracle.NewSigner([32]byte{'c', 'h', 'a', 'o', 's', byte(number)})
	register := &messages.RegisterProviderParams{Owner: "tb1chaos", Capacity: 1e9, Price: 7, Jurisdiction: "DE",
		Meter: fmt.Sprintf("chaos-%d", number), Stake: 1000, Key: signer.Public()}
	register.RequestID = register.Meter
	var provider messages.RegisterProviderResult
	if _, err := c.call(messages.MethodRegisterProvider, register, &provider); err != nil {
		return err
	}
	o := oracle.New(oracle.Config{Provider: provider.Provider, Meter: register.Meter, Signer: signer}, link)
	kwh := uint64(0)
	for n := uint64(0); ; n++ {
		select {
		case <-b.over:
			b.register.Add(kwh)
			return nil
		case <-time.After(reportPause):
		}
		kwh += 10 + n%5
		ctx, cancel := context.WithTimeout(context.Background(), callWithin)
		outcomes, err := o.Submit(ctx, []oracle.Reading{{At: start + n, KWh: kwh}})
		cancel()
		switch {
		case err != nil:
			return err
		case outcomes[0].Err != nil:
			return fmt.Errorf("reading %d: %w", n, outcomes[0].Err)
		case outcomes[0].Passed:
			return fmt.Errorf("reading %d is passed over", n)
		}
		b.readings.Add(1)
		b.minted.Add(outcomes[0].Credit)
		if n%sellEvery == 0 {
			settle := &messages.SettleParams{Provider: provider.Provider, Buyer: "tb1buyer", KWh: outcomes[0].Credit, Hash: outcomes[0].Hash}
			settle.RequestID = fmt.Sprintf("%s-%d", register.Meter, n)
			var sale messages.SettleResult
			if _, err := c.call(messages.MethodSettle, settle, &sale); err != nil {
				return fmt.Errorf("sale %d: %w", n, err)
			}
			b.sold.Add(sale.Receipt.KWh)
		}
	}
}

// killMarket kills the node that runs the market, waits until another publishes the fee of
// a later epoch, and brings the node back. It gives the time in between.
func (f *fleet) killMarket(i int) time.Duration {
	f.Helper()
	f.awaitWhole()
	c := newCaller(f, f.nodes...)
	defer c.close()
	var before messages.MarketStateResult
	c.ask(messages.MethodMarketState, &messages.MarketStateParams{Page: messages.Page{Limit: 1}}, &before)
	victim := f.node(before.Node)
	begun := time.Now()
	victim.kill()
	others := newCaller(f, f.others(victim)...)
	defer others.close()
	f.await(settleWithin, "the market goes on elsewhere", func() error {
		var now messages.MarketStateResult
		params := &messages.MarketStateParams{Options: local(), Page: messages.Page{Limit: 1}}
		if err := others.try(i%2, time.Second, messages.MethodMarketState, params, &now); err != nil {
			return err
		}
		if now.Node == victim.name || now.Epoch <= before.Epoch {
			return errors.New("not yet")
		}
		return nil
	})
	took := time.Since(begun)
	f.say("kill %d of %s, which runs the market: it goes on after %s", i+1, victim.name, took.Round(time.Millisecond))
	victim.start()
	return took
}

// checkBazaar holds what each node has against what the oracles were told and what their
// meters say.
func (f *fleet) checkBazaar(b *bazaar) {
	f.Helper()
	if b.minted.Load() != b.register.Load() {
		f.Errorf("the oracles were told of %d kWh, their meters say %d", b.minted.Load(), b.register.Load())
	}
	for _, n := range f.nodes {
		n.awaitReady()
		c := newCaller(f, n)
		var state messages.MarketStateResult
		c.ask(messages.MethodMarketState, &messages.MarketStateParams{Page: messages.Page{Limit: 1000}}, &state)
		c.close()
		var readings, minted, settled uint64
		for i := range state.Providers {
			p := &state.Providers[i]
			readings, minted, settled = readings+p.Readings, minted+p.Minted, settled+p.Settled
		}
		if readings != b.readings.Load() || minted != b.minted.Load() || settled != b.sold.Load() {
			f.Errorf("%s has %d readings of %d kWh, and %d kWh sold; the oracles were told of %d, %d and %d", n.name,
				readings, minted, settled, b.readings.Load(), b.minted.Load(), b.sold.Load())
		}
	}
}
