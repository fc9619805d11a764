package market_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
)

func credit(edits ...func(*market.Credit)) market.Credit {
	c := market.Credit{Hash: hashOf(1), Provider: 7, Minted: 1000, Left: 1000, Timestamp: now, MintedAt: now, Epoch: 10}
	for _, edit := range edits {
		edit(&c)
	}
	return c
}

func terms(edits ...func(*market.Terms)) market.Terms {
	t := market.Terms{Settings: market.DefaultSettings(), FeeBPS: 250, At: at(now, 10), Blames: true}
	for _, edit := range edits {
		edit(&t)
	}
	return t
}

func TestASettlementMovesWhatTheFormulasSay(t *testing.T) {
	p, c := provider(), credit()
	x := terms(func(x *market.Terms) { x.Settings.SlashingBPS = 300 })
	s := p.Settle(market.Order{Buyer: "tb1buyer", KWh: 401, Hash: hashOf(1)}, &c, x)
	if s.Refusal != nil {
		t.Fatal(s.Refusal)
	}
	// 401 * 5 = 2005; 2.5 % of it is 50.125; 3 % of it is 60.15: both rounded down.
	want := market.Receipt{Provider: 7, Buyer: "tb1buyer", KWh: 401, Price: 2005, Fee: 50, Slash: 60,
		Hash: hashOf(1), SettledAt: now, Epoch: 10}
	if diff := cmp.Diff(want, s.Receipt); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if s.Credit.Left != 599 || s.Provider.Available != 999_599 || s.Provider.Stake != 940 || s.Provider.Settled != 401 {
		t.Errorf("left %d, available %d, stake %d, settled %d", s.Credit.Left, s.Provider.Available, s.Provider.Stake, s.Provider.Settled)
	}
	if s.Slash == nil || s.Slash.Reason != market.SlashSettlement || s.Slash.Amount != 60 {
		t.Errorf("slash row %+v", s.Slash)
	}
	p.Stake = 59
	if s := p.Settle(market.Order{Buyer: "b", KWh: 401, Hash: hashOf(1)}, &c, x); s.Receipt.Slash != 59 || s.Provider.Stake != 0 {
		t.Errorf("a stake of 59 is slashed by %d to %d", s.Receipt.Slash, s.Provider.Stake)
	}
}

// Each step takes the first fault away, and the next one answers.
func TestSettlementsAreCheckedInOrder(t *testing.T) {
	p := provider(func(p *market.Provider) { p.Available, p.Price = 50, messages.AmountMax })
	var c *market.Credit
	known := credit(func(c *market.Credit) { c.Left, c.Hold, c.Backfill = 40, market.HoldDisputed, true })
	x := terms(func(x *market.Terms) {
		x.Settings.Rehearsal, x.Settings.QuorumPPM, x.Settings.TimeoutEpochs = true, 101, 5
		x.Settings.ChallengeEpochs = 100
	})
	o := market.Order{Buyer: "b", KWh: 100, Hash: hashOf(1)}
	steps := []struct {
		code  messages.Code
		want  string
		slash market.SlashReason
		mend  func()
	}{
		{messages.CodeRehearsal, "rehearsal", 0, func() { x.Settings.Rehearsal = false }},
		{messages.CodeProviderInactive, "too little capacity: 100 kWh were to be settled, and energy-0x00000007 has 50 kWh", 0, func() { p.Available = 1_000_000 }},
		{messages.CodeSettlementConflict, "no reading of energy-0x00000007", market.SlashConflict, func() { c = &known; known.Provider = 8 }},
		{messages.CodeSettlementConflict, "no reading of energy-0x00000007", market.SlashConflict, func() { known.Provider = 7 }},
		{messages.CodeSettlementConflict, "is held: disputed", 0, func() { known.Hold = market.HoldNone }},
		{messages.CodeSettlementConflict, "can be settled from epoch 110 on, now is 10", 0, func() { known.Backfill, x.Settings.Batch = false, true }},
		{messages.CodeSettlementConflict, "can be settled from epoch 15 on, now is 10", 0, func() { x.Settings.Batch, x.At.Epoch = false, 16 }},
		{messages.CodeQuorumFailed, "100 kWh of 1000000 are below the quorum of 101 ppm", market.SlashQuorum, func() { x.Settings.QuorumPPM = 100 }},
		{messages.CodeSettlementConflict, "of epoch 10 has expired", market.SlashExpiry, func() { x.At.Epoch = 15 }},
		{messages.CodeProviderInactive, "too little credit: 100 kWh were to be settled, and the reading", 0, func() { known.Left = 100 }},
		{messages.CodeValidationFailed, "100 kWh at 9223372036854775807 each are more than", 0, func() { p.Price = 1 }},
	}
	for _, step := range steps {
		s := p.Settle(o, c, x)
		if s.Refusal == nil || s.Refusal.Code != step.code || !strings.Contains(s.Refusal.Message, step.want) {
			t.Fatalf("Settle = %v, want %v %q", s.Refusal, step.code, step.want)
		}
		var reason market.SlashReason
		if s.Slash != nil {
			reason = s.Slash.Reason
			if s.Slash.Amount != 0 || s.Provider.Stake != p.Stake {
				t.Errorf("%q moves money", step.want)
			}
		}
		if reason != step.slash {
			t.Errorf("%q: slash row %v, want %v", step.want, reason, step.slash)
		}
		if blamed := s.Provider.Reputation.Delivery != (market.Factor{}); blamed != (step.slash != 0) {
			t.Errorf("%q: blamed %v", step.want, blamed)
		}
		step.mend()
	}
	if s := p.Settle(o, c, x); s.Refusal != nil {
		t.Errorf("Settle = %v", s.Refusal)
	}
	x.Blames = false
	if s := p.Settle(o, nil, x); s.Slash == nil || s.Provider.Reputation != p.Reputation {
		t.Error("a buyer's word alone counts against a provider")
	}
}

func TestBatchModeWaitsAndThenExpires(t *testing.T) {
	p, c := provider(), credit()
	x := terms(func(x *market.Terms) { x.Settings.Batch, x.Settings.TimeoutEpochs = true, 5 })
	for epoch, want := range map[messages.Epoch]bool{10: false, 14: false, 15: true, 20: true, 21: false} {
		x.At.Epoch = epoch
		s := p.Settle(market.Order{Buyer: "b", KWh: 1, Hash: hashOf(1)}, &c, x)
		if got := s.Refusal == nil; got != want {
			t.Errorf("epoch %d: %v, want settled %v", epoch, s.Refusal, want)
		}
	}
}

func TestOneDisputeOfAReadingIsOpen(t *testing.T) {
	c := credit()
	flag := market.Flag{Type: market.LowReading, Reason: "too low", Reporter: "tb1neighbour"}
	d, held, err := market.Raise(flag, c.Hash, &c, at(now, 1))
	if err != nil || held.Hold != market.HoldDisputed || d.Status != market.DisputeOpen {
		t.Fatalf("Raise = %+v, %+v, %v", d, held, err)
	}
	if _, _, err := market.Raise(flag, c.Hash, &held, at(now, 1)); err == nil || err.Code != messages.CodeSettlementConflict {
		t.Errorf("a second dispute: %v", err)
	}
	if _, _, err := market.Raise(flag, c.Hash, nil, at(now, 1)); err == nil || err.Code != messages.CodeSettlementConflict {
		t.Errorf("a dispute about nothing: %v", err)
	}
	for outcome, want := range map[market.DisputeStatus]market.CreditStatus{
		market.DisputeResolved:  market.CreditOutstanding,
		market.DisputeEscalated: market.CreditEscalated,
		market.DisputeSlashed:   market.CreditVoid,
	} {
		ended, after, err := d.Resolve(market.Verdict{Outcome: outcome, Resolver: "op"}, held, at(now+9, 1))
		if err != nil || ended.Status != outcome || ended.ResolvedAt != now+9 {
			t.Fatalf("Resolve = %+v, %v", ended, err)
		}
		if got := after.Status(market.DefaultSettings(), 1); got != want {
			t.Errorf("%v leaves the credit %s, want %s", outcome, got, want)
		}
		if _, _, err := ended.Resolve(market.Verdict{Outcome: outcome, Resolver: "op"}, after, at(now, 1)); err == nil {
			t.Errorf("%v is resolved twice", outcome)
		}
		_, _, err = market.Raise(flag, c.Hash, &after, at(now, 1))
		if refused := err != nil; refused != (outcome == market.DisputeSlashed) {
			t.Errorf("a new dispute after %v: %v", outcome, err)
		}
	}
}
