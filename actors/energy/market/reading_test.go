package market_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
)

const now = 1_700_000_000

func at(seconds uint64, epoch messages.Epoch) market.Moment {
	return market.Moment{MS: int64(seconds) * 1000, Epoch: epoch}
}

func registration() market.Registration {
	return market.Registration{Owner: "tb1owner", Jurisdiction: "DE", Meter: "meter-a",
		Key: messages.PublicKey{1}, Price: 5, Capacity: 1_000_000, Stake: 1_000}
}

func provider(edits ...func(*market.Provider)) market.Provider {
	p := market.New(7, registration(), now-1000)
	for _, edit := range edits {
		edit(&p)
	}
	return p
}

// reading is one that nothing is wrong with.
func reading(edits ...func(*market.Reading)) market.Reading {
	r := market.Reading{Reading: messages.Reading{Provider: 7, Meter: "meter-a", KWh: 1000, Timestamp: now, Nonce: 10}, Signed: true}
	for _, edit := range edits {
		edit(&r)
	}
	return r
}

func judge(p market.Provider, r market.Reading, s market.Settings, m market.Moment) market.Judgement {
	return p.Judge(&r, hashOf(r.Nonce), s, m)
}

func hashOf(n uint64) messages.MeterHash {
	var h messages.MeterHash
	for i := range 8 {
		h[i] = byte(n >> (8 * i))
	}
	return h
}

func TestTheFirstReadingCountsFromZero(t *testing.T) {
	j := judge(provider(), reading(), market.DefaultSettings(), at(now, 3))
	if j.Refusal != nil {
		t.Fatal(j.Refusal)
	}
	want := market.Credit{Hash: hashOf(10), Provider: 7, Minted: 1000, Left: 1000, Timestamp: now, MintedAt: now, Epoch: 3}
	if diff := cmp.Diff(want, j.Credit); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	next := judge(j.Provider, reading(func(r *market.Reading) { r.KWh, r.Timestamp, r.Nonce = 1250, now+1, 11 }),
		market.DefaultSettings(), at(now+1, 3))
	if next.Refusal != nil || next.Credit.Minted != 250 {
		t.Errorf("the next reading: %v, credit %d, want 250", next.Refusal, next.Credit.Minted)
	}
}

// Each step takes the first fault away, and the next one answers.
func TestReadingsAreCheckedInOrder(t *testing.T) {
	p := judge(provider(), reading(), market.DefaultSettings(), at(now, 1)).Provider
	p.Suspended = true
	r := market.Reading{Reading: messages.Reading{Provider: 7, Meter: "other", KWh: 999, Timestamp: now - 301, Nonce: 10}}
	steps := []struct {
		code messages.Code
		want string
		mend func()
	}{
		{messages.CodeProviderInactive, "energy-0x00000007 is suspended", func() { p.Suspended = false }},
		{messages.CodeTimestampSkew, "301 s old, at most 300", func() { r.Timestamp = now + 301 }},
		{messages.CodeTimestampSkew, "301 s ahead", func() { r.Timestamp = now - 300 }},
		{messages.CodeNonceReplay, "nonce 10 was used: the last reading's is 10", func() { r.Nonce = 11 }},
		{messages.CodeSignatureInvalid, "not good under the key", func() { r.Signed = true }},
		{messages.CodeMeterMismatch, `"other" is not the meter`, func() { r.Meter = "meter-a" }},
		{messages.CodeMeterMismatch, "is not after the last reading's", func() { r.Timestamp = now }},
		{messages.CodeMeterMismatch, "is not after the last reading's", func() { r.Timestamp = now + 300 }},
		{messages.CodeMeterMismatch, "kwh_reading 999 is below the last reading's 1000", func() { r.KWh = 1000 }},
	}
	for _, step := range steps {
		j := judge(p, r, market.DefaultSettings(), at(now, 1))
		if j.Refusal == nil || j.Refusal.Code != step.code || !strings.Contains(j.Refusal.Message, step.want) {
			t.Fatalf("Judge = %v, want %v %q", j.Refusal, step.code, step.want)
		}
		step.mend()
	}
	if j := judge(p, r, market.DefaultSettings(), at(now, 1)); j.Refusal != nil || j.Credit.Minted != 0 {
		t.Errorf("Judge = %v, credit %d, want one of 0", j.Refusal, j.Credit.Minted)
	}
}

func TestBackfillTakesOldReadingsWithinItsWindow(t *testing.T) {
	s := market.DefaultSettings()
	s.BackfillWindow = 10_000
	old := func(age uint64, backfill bool) market.Reading {
		return reading(func(r *market.Reading) { r.Timestamp, r.Backfill = now-age, backfill })
	}
	tests := []struct {
		name string
		r    market.Reading
		s    market.Settings
		want string
	}{
		{"old, backfilled", old(10_000, true), s, ""},
		{"recent, backfilled", old(1, true), s, ""},
		{"older than the window", old(10_001, true), s, "backfill takes at most 10000"},
		{"old, not said to be backfilled", old(10_000, false), s, "10000 s old, at most 300"},
		{"a market without backfill", old(301, true), market.DefaultSettings(), "takes no backfill"},
	}
	for _, tt := range tests {
		j := judge(provider(), tt.r, tt.s, at(now, 1))
		switch {
		case tt.want == "" && (j.Refusal != nil || !j.Credit.Backfill):
			t.Errorf("%s: %v, credit %+v", tt.name, j.Refusal, j.Credit)
		case tt.want != "" && (j.Refusal == nil || !strings.Contains(j.Refusal.Message, tt.want)):
			t.Errorf("%s: %v, want %q", tt.name, j.Refusal, tt.want)
		}
		if j.Provider.Reputation.Latency != (market.Factor{}) && tt.name == "old, backfilled" {
			t.Errorf("%s: counts as late", tt.name)
		}
	}
}

// Whoever knows a provider's id can send bad signatures in its name, and whoever saw a
// refused reading of it can send that again. Neither may cost it its place.
func TestNobodyCanSuspendARival(t *testing.T) {
	s := market.DefaultSettings()
	p := provider()
	nonce, kwh, when := uint64(1), uint64(0), uint64(now)
	swapped := reading(func(r *market.Reading) { r.Nonce, r.Meter = 1<<40, "old-meter" }) // signed once, seen by the rival
	changes := 0
	for range 200 {
		when++
		good := reading(func(r *market.Reading) { r.Nonce, r.KWh, r.Timestamp = nonce, kwh, when })
		nonce, kwh = nonce+1, kwh+10
		j := judge(p, good, s, at(when, 1))
		if j.Refusal != nil {
			t.Fatalf("an honest reading is refused: %v", j.Refusal)
		}
		p = j.Provider
		for range 50 {
			forged := good
			forged.Signed, forged.Nonce = false, 1<<50
			replayed := swapped
			replayed.Timestamp = when
			for _, bad := range []market.Reading{forged, replayed} {
				j := judge(p, bad, s, at(when, 1))
				if j.Refusal == nil {
					t.Fatal("a bad reading is accepted")
				}
				if j.Changed {
					changes++
				}
				p = j.Provider
			}
		}
	}
	if p.Suspended {
		t.Errorf("20,000 foreign messages suspended an honest provider: score %d", p.Reputation.Score())
	}
	if changes > 201 {
		t.Errorf("20,000 foreign messages changed the record %d times, want once a reading and once for the replay", changes)
	}
}

func TestAProviderThatErrsIsSuspendedUntilItIsReinstated(t *testing.T) {
	s := market.DefaultSettings()
	p := provider()
	p = judge(p, reading(), s, at(now, 1)).Provider
	n := uint64(10)
	for !p.Suspended {
		n++
		if n > 1000 {
			t.Fatalf("1,000 signed readings of a wrong meter suspend nobody: score %d, confidence %d",
				p.Reputation.Score(), p.Reputation.Confidence())
		}
		j := judge(p, reading(func(r *market.Reading) { r.Nonce, r.Meter = n, "other" }), s, at(now, 1))
		p = j.Provider
	}
	if got := p.Reputation.Score(); got >= market.ScoreMin {
		t.Errorf("suspended at a score of %d", got)
	}
	good := reading(func(r *market.Reading) { r.Nonce, r.Timestamp = n+1, now+1 })
	if j := judge(p, good, s, at(now+1, 1)); j.Refusal == nil || j.Refusal.Code != messages.CodeProviderInactive || j.Changed {
		t.Errorf("a suspended provider's reading: %v, changed %v", j.Refusal, j.Changed)
	}
	if j := judge(p.Reinstate(), good, s, at(now+1, 1)); j.Refusal != nil || j.Provider.Suspended {
		t.Errorf("after reinstatement: %v, suspended %v", j.Refusal, j.Provider.Suspended)
	}
}

func TestAReadingFarOutsideItsHistoryIsDoubted(t *testing.T) {
	s := market.DefaultSettings()
	p := provider()
	kwh, when := uint64(50_000), uint64(now)
	send := func(used uint64) market.Judgement {
		t.Helper()
		when, kwh = when+3600, kwh+used
		j := judge(p, reading(func(r *market.Reading) { r.KWh, r.Timestamp, r.Nonce = kwh, when, when }), s, at(when, 1))
		if j.Refusal != nil {
			t.Fatal(j.Refusal)
		}
		p = j.Provider
		return j
	}
	for i := range market.HistoryMin + 1 { // the first has no rate
		used := 100 + uint64(i%3)
		if i == 1 {
			used = 900 // one wild value in the past moves nothing
		}
		if send(used).Outlier {
			t.Fatalf("reading %d is an outlier of too short a history", i)
		}
	}
	j := send(400)
	if !j.Outlier || j.Credit.Hold != market.HoldDisputed || j.Credit.Minted != 400 {
		t.Errorf("four times as much: outlier %v, %+v", j.Outlier, j.Credit)
	}
	if j := send(101); j.Outlier || j.Credit.Hold == market.HoldDisputed {
		t.Errorf("the next, ordinary one: outlier %v", j.Outlier)
	}
	doubted := 0
	for range market.HistoryLen {
		if send(400).Outlier {
			doubted++
		}
	}
	if doubted == 0 || doubted > market.HistoryLen/2 {
		t.Errorf("a lasting change of level is doubted %d times, want some but at most %d", doubted, market.HistoryLen/2)
	}
}

// One wrong reading must not be sold: what mints more than all that its provider has to
// sell is doubted, however short the history. The first counts from 0, over an unknown time.
func TestAReadingBeyondTheCapacityIsDoubted(t *testing.T) {
	s := market.DefaultSettings()
	p := provider(func(p *market.Provider) { p.Capacity = 1000 })
	for i, step := range []struct {
		used  uint64
		doubt bool
	}{{50_000, false}, {1000, false}, {1001, true}, {150_000_000, true}, {10, false}} {
		when := uint64(now + i)
		j := judge(p, reading(func(r *market.Reading) { r.KWh, r.Timestamp, r.Nonce = p.LastKWh+step.used, when, p.LastNonce+1 }), s, at(when, 1))
		if j.Refusal != nil || j.Outlier != step.doubt || (j.Credit.Hold == market.HoldDisputed) != step.doubt || j.Credit.Minted != step.used {
			t.Errorf("reading %d of %d kWh: outlier %v, %+v, %v", i, step.used, j.Outlier, j.Credit, j.Refusal)
		}
		p = j.Provider
	}
}

func TestRegistrationsAreChecked(t *testing.T) {
	tests := []struct {
		name string
		edit func(*market.Registration)
		code messages.Code
		want string
	}{
		{"blank owner", func(r *market.Registration) { r.Owner = " " }, messages.CodeValidationFailed, "owner must not be blank"},
		{"long owner", func(r *market.Registration) { r.Owner = strings.Repeat("x", 121) }, messages.CodeValidationFailed, "owner has 121 bytes"},
		{"no capacity", func(r *market.Registration) { r.Capacity = 0 }, messages.CodeValidationFailed, "capacity_kwh must be 1 to"},
		{"capacity of 64 bits", func(r *market.Registration) { r.Capacity = 1 << 63 }, messages.CodeValidationFailed, "capacity_kwh must be 1 to"},
		{"no price", func(r *market.Registration) { r.Price = 0 }, messages.CodeValidationFailed, "price_per_kwh must be 1 to"},
		{"blank jurisdiction", func(r *market.Registration) { r.Jurisdiction = "" }, messages.CodeValidationFailed, "jurisdiction must not be blank"},
		{"a meter that is no text", func(r *market.Registration) { r.Meter = "\xff" }, messages.CodeValidationFailed, "meter_address must be valid UTF-8"},
		{"stake of 64 bits", func(r *market.Registration) { r.Stake = 1 << 63 }, messages.CodeValidationFailed, "stake must be at most"},
		{"too little stake", func(r *market.Registration) { r.Stake = 999 }, messages.CodeProviderInactive, "a stake of 999 is below the least of 1000"},
	}
	for _, tt := range tests {
		r := registration()
		tt.edit(&r)
		if err := r.Check(market.DefaultSettings()); err == nil || err.Code != tt.code || !strings.Contains(err.Message, tt.want) {
			t.Errorf("%s: %v, want %v %q", tt.name, err, tt.code, tt.want)
		}
	}
	if err := registration().Check(market.DefaultSettings()); err != nil {
		t.Error(err)
	}
}

func TestChangesKeepWhatWasSold(t *testing.T) {
	p := provider(func(p *market.Provider) { p.Available = 400_000 }) // 600,000 sold
	capacity := func(kwh uint64) market.Change { return market.Change{Capacity: &kwh} }
	if got, err := p.Apply(capacity(700_000)); err != nil || got.Capacity != 700_000 || got.Available != 100_000 {
		t.Errorf("Apply = %d of %d, %v, want 100000 of 700000", got.Available, got.Capacity, err)
	}
	if got, err := p.Apply(capacity(599_999)); err == nil || !strings.Contains(err.Message, "below the 600000 kWh that are sold") || got.Capacity != p.Capacity {
		t.Errorf("Apply = %v", err)
	}
	price := messages.Amount(9)
	if got, err := p.Apply(market.Change{Price: &price, StakeAdd: 5}); err != nil || got.Price != 9 || got.Stake != 1005 || got.Available != 400_000 {
		t.Errorf("Apply = %+v, %v", got, err)
	}
	if _, err := p.Apply(market.Change{StakeAdd: messages.AmountMax}); err == nil {
		t.Error("a stake over 63 bits is taken")
	}
}
