package market_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
)

var comparable = cmp.AllowUnexported(market.History{})

// samples holds one record of each kind, and how it is read back.
func samples() map[string]struct {
	bytes  []byte
	decode func([]byte) (any, []byte, error)
} {
	p := provider(func(p *market.Provider) { p.Unsigned, p.BlamedNonce = true, 77 })
	kwh := uint64(100)
	for i := range uint64(20) {
		kwh += 50 + i
		j := judge(p, reading(func(r *market.Reading) { r.KWh, r.Timestamp, r.Nonce = kwh, now+i*60, 100+i }),
			market.DefaultSettings(), at(now+i*60, 4))
		p = j.Provider
	}
	c := credit(func(c *market.Credit) { c.Backfill, c.Hold, c.Left = true, market.HoldEscalated, 3 })
	r := market.Receipt{Provider: 7, Buyer: "tb1buyer", KWh: 401, Price: 2005, Fee: 50, Slash: 60, Hash: hashOf(9), SettledAt: now, Epoch: 10}
	s := market.Slash{Provider: 7, Reason: market.SlashQuorum, Hash: hashOf(3), Buyer: "tb1buyer", At: now, Epoch: 2}
	d := market.Dispute{Hash: hashOf(5), Provider: 7, Type: market.ConsensusGap, Reason: "why", Reporter: "who", RaisedAt: now,
		Status: market.DisputeEscalated, Resolver: "op", Note: "later", ResolvedAt: now + 5}
	pub := market.Published{Epoch: 77, FeeBPS: 243, Price: 5, VolumeKWh: 1000}
	set := market.DefaultSettings()
	set.Batch, set.QuorumPPM, set.TimeoutEpochs = true, 1000, 720
	type sample = struct {
		bytes  []byte
		decode func([]byte) (any, []byte, error)
	}
	return map[string]sample{
		"provider": {market.AppendProvider(nil, &p), func(b []byte) (any, []byte, error) {
			x, err := market.DecodeProvider(7, b)
			return x, market.AppendProvider(nil, &x), err
		}},
		"credit": {market.AppendCredit(nil, &c), func(b []byte) (any, []byte, error) {
			x, err := market.DecodeCredit(b)
			return x, market.AppendCredit(nil, &x), err
		}},
		"receipt": {market.AppendReceipt(nil, &r), func(b []byte) (any, []byte, error) {
			x, err := market.DecodeReceipt(b)
			return x, market.AppendReceipt(nil, &x), err
		}},
		"slash": {market.AppendSlash(nil, &s), func(b []byte) (any, []byte, error) {
			x, err := market.DecodeSlash(b)
			return x, market.AppendSlash(nil, &x), err
		}},
		"dispute": {market.AppendDispute(nil, &d), func(b []byte) (any, []byte, error) {
			x, err := market.DecodeDispute(b)
			return x, market.AppendDispute(nil, &x), err
		}},
		"published": {market.AppendPublished(nil, &pub), func(b []byte) (any, []byte, error) {
			x, err := market.DecodePublished(b)
			return x, market.AppendPublished(nil, &x), err
		}},
		"settings": {market.AppendSettings(nil, &set), func(b []byte) (any, []byte, error) {
			x, err := market.DecodeSettings(b)
			return x, market.AppendSettings(nil, &x), err
		}},
	}
}

// What was stored once stays readable: the bytes are those of the first day.
func TestRecordsKeepTheirBytes(t *testing.T) {
	got := make(map[string]string)
	for name, sample := range samples() {
		got[name] = hex.EncodeToString(sample.bytes)
		_, again, err := sample.decode(sample.bytes)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(sample.bytes, again); diff != "" {
			t.Errorf("%s, read and written again: -first +second\n%s", name, diff)
		}
	}
	golden(t, "records.json", got)
}

func TestACutOrLongerRecordIsNone(t *testing.T) {
	for name, sample := range samples() {
		for n := range sample.bytes {
			if _, _, err := sample.decode(sample.bytes[:n]); !errors.Is(err, market.ErrRecord) {
				t.Errorf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		if _, _, err := sample.decode(append(sample.bytes[:len(sample.bytes):len(sample.bytes)], 0)); !errors.Is(err, market.ErrRecord) {
			t.Errorf("%s with a byte more: %v", name, err)
		}
		other := append([]byte(nil), sample.bytes...)
		other[0] = 2
		if _, _, err := sample.decode(other); !errors.Is(err, market.ErrRecord) {
			t.Errorf("%s of version 2: %v", name, err)
		}
	}
}

func FuzzRecords(f *testing.F) {
	for _, sample := range samples() {
		f.Add(sample.bytes)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for name, sample := range samples() {
			value, again, err := sample.decode(b)
			if err != nil {
				continue
			}
			same, _, err := sample.decode(again)
			if err != nil {
				t.Fatalf("%s: %x is read, but not what is written of it: %v", name, b, err)
			}
			if diff := cmp.Diff(value, same, comparable); diff != "" {
				t.Errorf("%s: -first +second\n%s", name, diff)
			}
		}
	})
}

func TestRecordsOfAnyContentComeBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) uint64 { return rapid.Uint64().Draw(t, name) }
		text := func(name string) string { return rapid.StringN(0, 30, 60).Draw(t, name) }
		d := market.Dispute{Hash: hashOf(n("hash")), Provider: messages.ProviderID(n("provider")), Type: market.OtherDispute,
			Status: market.DisputeOpen, Reason: text("reason"), Reporter: text("reporter"), Resolver: text("resolver"),
			Note: text("note"), RaisedAt: n("raised"), ResolvedAt: n("resolved")}
		if got, err := market.DecodeDispute(market.AppendDispute(nil, &d)); err != nil || got != d {
			t.Errorf("%+v, %v, want %+v", got, err, d)
		}
		r := market.Receipt{Provider: messages.ProviderID(n("p")), Buyer: text("buyer"), KWh: n("kwh"), Price: messages.Amount(n("price")),
			Fee: messages.Amount(n("fee")), Slash: messages.Amount(n("slash")), Hash: hashOf(n("h")), SettledAt: n("at"), Epoch: messages.Epoch(n("epoch"))}
		if got, err := market.DecodeReceipt(market.AppendReceipt(nil, &r)); err != nil || got != r {
			t.Errorf("%+v, %v, want %+v", got, err, r)
		}
	})
}
