package node_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/energy/oracle"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages/client"
)

// The node that leads, runs the market and owns oracles goes while all oracles report. No
// reading is lost, none is credited twice, and the market goes on at another node.
func TestReadingsSurviveTheLossOfTheirOwner(t *testing.T) {
	three := startThree(t)
	first := dial(t, three[1])
	var addrs []string
	for _, m := range three {
		addrs = append(addrs, m.cfg.Address(node.PortRPC))
	}
	const each = 40
	start := uint64(time.Now().Unix()) - 250
	var minted atomic.Uint64
	var all sync.WaitGroup
	halfway := make(chan struct{}, 64)
	for range 16 {
		m := newMeter(t, first)
		calls := client.New(client.Follow(addrs...))
		t.Cleanup(calls.Close)
		o := oracle.New(oracle.Config{Provider: m.id, Meter: m.address, Signer: m.signer}, calls)
		all.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 2*testTimeout)
			defer cancel()
			for i := range uint64(each) {
				outcomes, err := o.Submit(ctx, []oracle.Reading{{At: start + i, KWh: (i + 1) * 10}})
				if err != nil || outcomes[0].Err != nil {
					t.Errorf("%s: reading %d: %v, %v", m.id, i, outcomes, err)
					return
				}
				minted.Add(outcomes[0].Credit)
				if i == each/4 {
					halfway <- struct{}{}
				}
			}
		})
	}
	<-halfway
	if err := three[0].stop(); err != nil {
		t.Error(err)
	}
	all.Wait()
	if got := minted.Load(); got != 16*each*10 {
		t.Errorf("minted %d kWh, want what the registers say, %d", got, 16*each*10)
	}
	epoch := integer(must(t, first, "epoch.advance", object{})["epoch"])
	awaited(t, func() error {
		if state := must(t, first, "energy.market_state", object{"limit": 1}); integer(state["epoch"]) != epoch || state["node"] == "n1" {
			return fmt.Errorf("the market of epoch %d is %v", epoch, state)
		}
		return nil
	})
	for _, m := range three[1:] {
		report, err := energy.Audit(t.Context(), m.node.Store())
		if err != nil || len(report.Faults) > 0 || report.Credits != 16*each {
			t.Errorf("%s: %+v, %v", m.cfg.Name, report, err)
		}
	}
}
