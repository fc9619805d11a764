package show

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

const (
	// outageLook is how often the books are read while an outage is measured.
	outageLook = 20 * time.Millisecond
	// outageDelay is how long after a node fell out a payment that it made before may
	// still become visible at another: a follower hears of a commit within 5 ms, and a new
	// leader is not elected before 500 ms are over.
	outageDelay = 100 * time.Millisecond
	// outageRest is how long payments go on after a node has ended in order until the
	// longest pause counts.
	outageRest = 500 * time.Millisecond
	// outageMax is how long the next payment is waited for.
	outageMax = 2 * time.Minute
)

// outage is a node that fell out, and what it costs.
type outage struct {
	member   *localcluster.Node
	how      localcluster.Fate
	at       time.Time
	leader   bool // it led
	executor bool // it owned the executor
	market   bool // it ran the market
}

// failover reports whether another node had to take over.
func (o *outage) failover() bool { return (o.leader || o.executor) && o.how != localcluster.Stopped }

// was names what the node did when it fell.
func (o *outage) was() string {
	var was []string
	for _, part := range []struct {
		what string
		was  bool
	}{{"leader", o.leader}, {"executor", o.executor}, {"market", o.market}} {
		if part.was {
			was = append(was, part.what)
		}
	}
	switch n := len(was); n {
	case 0:
		return "neither leader nor executor"
	case 1:
		return "the " + was[0]
	default:
		return strings.Join(was[:n-1], ", ") + " and " + was[n-1]
	}
}

// text tells what the outage cost.
func (o *outage) text(cost time.Duration, now *view) string {
	name, took := o.member.Cfg.Name, cost.Round(10*time.Millisecond)
	switch {
	case o.how == localcluster.Stopped:
		return fmt.Sprintf("%s, %s, left in order: the longest pause between two payments was %s", name, o.was(), took)
	case o.failover():
		leads := ""
		if now.leader != "" {
			leads = fmt.Sprintf("%s leads; ", now.leader)
		}
		return fmt.Sprintf("FAILOVER: %s, %s, was %s; %sthe next payment was executed %s after it", name, o.was(), o.how, leads, took)
	}
	return fmt.Sprintf("%s, %s, was %s: the next payment was executed %s after it", name, o.was(), o.how, took)
}

// measure waits until payments go on and returns how long there were none: from the
// moment a node fell until the next payment was executed, or the longest pause while it
// left in order. It gives up with ctx or after outageMax.
func (o *outage) measure(ctx context.Context, books func(context.Context) (uint64, error)) (cost time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, outageMax)
	defer cancel()
	gap := pauses{from: o.at}
	if o.how != localcluster.Stopped {
		gap.after = o.at.Add(outageDelay)
	}
	for {
		newest, err := books(ctx)
		now := time.Now()
		if err == nil && newest > 0 {
			gap.see(now, newest)
		}
		if gap.count > 0 && (o.how != localcluster.Stopped || o.member.GoneFor() > outageRest) {
			return gap.longest, true
		}
		if !localcluster.Wait(ctx, outageLook) {
			return 0, false
		}
	}
}

// measureMarket waits until another node sets the fee of a later epoch than the last that
// was set before the node fell, and tells which, and how long that took.
func (o *outage) measureMarket(ctx context.Context, links []*client.Client) (now messages.MarketStateResult, took time.Duration, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, outageMax)
	defer cancel()
	params := &messages.MarketStateParams{Options: messages.Options{Consistency: messages.Local}, Page: messages.Page{Limit: 1}}
	var before *messages.Epoch
	for {
		for _, link := range links {
			try, done := context.WithTimeout(ctx, localcluster.StatusTimeout)
			var state messages.MarketStateResult
			err := link.Call(try, messages.MethodMarketState, params, &state)
			done()
			switch {
			case err != nil:
				continue
			case before == nil:
				before = &state.Epoch
			case state.Epoch > *before && state.Node != string(o.member.Cfg.Name):
				return state, time.Since(o.at), true
			}
		}
		if !localcluster.Wait(ctx, outageLook) {
			return now, 0, false
		}
	}
}

// pauses measures the time between payments from what is seen of them.
type pauses struct {
	from    time.Time // of the last payment, or where it all begins
	after   time.Time // payments seen before belong to what was
	newest  uint64    // number of the newest payment seen
	known   bool
	longest time.Duration
	count   int
}

// see takes the number of the newest payment.
func (p *pauses) see(now time.Time, newest uint64) {
	grown := p.known && newest > p.newest
	p.newest, p.known = max(p.newest, newest), true // one node may lag behind another
	if !grown || now.Before(p.after) {
		return
	}
	p.longest = max(p.longest, now.Sub(p.from))
	p.from = now
	p.count++
}

// historyRows is how many rows of the balance history are looked through for a payment.
const historyRows = 200

// newestPayment gives the number of the newest payment in the balance history, as the
// first of the links tells that answers.
func newestPayment(ctx context.Context, links []*client.Client) (newest uint64, err error) {
	for _, l := range links {
		try, cancel := context.WithTimeout(ctx, localcluster.StatusTimeout)
		var page messages.BalanceHistoryResult
		err = l.Call(try, messages.MethodBalanceHistory, &messages.PageParams{
			Options: messages.Options{Consistency: messages.Local}, Page: messages.Page{Limit: historyRows},
		}, &page)
		cancel()
		if err != nil {
			continue
		}
		for _, row := range page.Snapshots {
			if row.Event == messages.EventExecuted {
				return row.ID, nil
			}
		}
		return 0, nil
	}
	return 0, err
}
