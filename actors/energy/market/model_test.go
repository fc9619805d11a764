package market_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
)

// twin is a market that is obviously right: it keeps what happened in plain lists and
// adds up whenever it is asked.
type twin struct {
	t        *rapid.T
	s        market.Settings
	clock    uint64
	epoch    messages.Epoch
	provider market.Provider
	credits  map[messages.MeterHash]market.Credit
	disputes []market.Dispute
	nonce    uint64

	accepted []uint64 // cumulative registers
	receipts []market.Receipt
	stakes   messages.Amount // put down, ever
	treasury messages.Amount
}

func (w *twin) moment() market.Moment { return at(w.clock, w.epoch) }

func (w *twin) report() {
	w.nonce++
	r := market.Reading{Reading: messages.Reading{Provider: 7, Meter: "meter-a", Timestamp: w.clock, Nonce: w.nonce,
		KWh: w.provider.LastKWh + rapid.Uint64Range(0, 500).Draw(w.t, "used")}}
	r.Signed = rapid.IntRange(0, 9).Draw(w.t, "signed") > 0
	switch rapid.IntRange(0, 19).Draw(w.t, "fault") {
	case 0:
		r.Meter = "other"
	case 1:
		r.KWh = w.provider.LastKWh - min(w.provider.LastKWh, 1)
	case 2:
		r.Nonce = w.provider.LastNonce
	case 3:
		r.Timestamp -= 301
		r.Backfill = rapid.Bool().Draw(w.t, "backfill")
	}
	hash := hashOf(w.nonce)
	j := w.provider.Judge(&r, hash, w.s, w.moment())
	if !j.Changed && cmp.Diff(w.provider, j.Provider, comparable) != "" {
		w.t.Fatal("a provider changed that is not to be stored")
	}
	if j.Refusal == nil {
		if r.Meter != "meter-a" || !r.Signed {
			w.t.Fatal("a bad reading is accepted")
		}
		w.accepted = append(w.accepted, r.KWh)
		w.credits[hash] = j.Credit
	}
	w.provider = j.Provider
}

func (w *twin) hash() messages.MeterHash {
	return hashOf(rapid.Uint64Range(max(w.nonce, 5)-4, w.nonce+1).Draw(w.t, "hash"))
}

func (w *twin) trade() {
	hash := w.hash()
	o := market.Order{Buyer: "b", Hash: hash, KWh: rapid.Uint64Range(1, 600).Draw(w.t, "kwh")}
	var known *market.Credit
	if c, ok := w.credits[hash]; ok {
		known = &c
	}
	fee := rapid.Uint64Range(100, 1000).Draw(w.t, "fee")
	s := w.provider.Settle(o, known, market.Terms{Settings: w.s, FeeBPS: fee, At: w.moment(), Blames: true})
	w.provider = s.Provider
	if s.Refusal != nil {
		if s.Slash != nil && s.Slash.Amount != 0 {
			w.t.Fatal("a refusal moves money")
		}
		return
	}
	if s.Slash == nil && s.Receipt.Slash > 0 || s.Slash != nil && s.Slash.Amount != s.Receipt.Slash {
		w.t.Fatalf("receipt %+v, row %+v", s.Receipt, s.Slash)
	}
	w.credits[hash] = s.Credit
	w.receipts = append(w.receipts, s.Receipt)
	w.treasury += s.Receipt.Fee + s.Receipt.Slash
}

func (w *twin) dispute() {
	hash := w.hash()
	if i := slices.IndexFunc(w.disputes, func(d market.Dispute) bool { return d.Status == market.DisputeOpen }); i >= 0 && rapid.Bool().Draw(w.t, "resolve") {
		d := w.disputes[i]
		outcome := rapid.SampledFrom([]market.DisputeStatus{market.DisputeResolved, market.DisputeEscalated, market.DisputeSlashed}).Draw(w.t, "outcome")
		ended, c, err := d.Resolve(market.Verdict{Outcome: outcome, Resolver: "op"}, w.credits[d.Hash], w.moment())
		if err != nil {
			w.t.Fatal(err)
		}
		w.disputes[i], w.credits[d.Hash] = ended, c
		return
	}
	c, ok := w.credits[hash]
	if !ok {
		return
	}
	if d, held, err := market.Raise(market.Flag{Type: market.OtherDispute, Reason: "r", Reporter: "x"}, hash, &c, w.moment()); err == nil {
		w.disputes, w.credits[hash] = append(w.disputes, d), held
	}
}

func (w *twin) change() {
	capacity := w.provider.Capacity + rapid.Uint64Range(0, 2000).Draw(w.t, "more")
	add := messages.Amount(rapid.Uint64Range(0, 500).Draw(w.t, "stake"))
	p, err := w.provider.Apply(market.Change{Capacity: &capacity, StakeAdd: add})
	if err != nil {
		w.t.Fatal(err)
	}
	w.provider = p
	w.stakes += add
	if p.Suspended {
		w.provider = p.Reinstate()
	}
}

// check adds everything up again.
func (w *twin) check() {
	t := w.t
	var minted, settled, outstanding, gone uint64
	for _, c := range w.credits {
		minted += c.Minted
		settled += c.Minted - c.Left
		switch status := c.Status(w.s, w.epoch); status {
		case market.CreditExpired, market.CreditVoid:
			gone += c.Left
		case market.CreditSettled, market.CreditOutstanding, market.CreditDisputed, market.CreditEscalated:
			outstanding += c.Left
		default:
			t.Fatalf("status %q", status)
		}
	}
	if minted != settled+outstanding+gone || minted != w.provider.Minted {
		t.Errorf("minted %d (%d by the provider), settled %d, outstanding %d, expired %d", minted, w.provider.Minted, settled, outstanding, gone)
	}
	if n := len(w.accepted); n > 0 && minted != w.accepted[n-1] {
		t.Errorf("minted %d, the register says %d", minted, w.accepted[n-1])
	}
	var sold uint64
	var price, fees, slashes messages.Amount
	for _, r := range w.receipts {
		sold += r.KWh
		price, fees, slashes = price+r.Price, fees+r.Fee, slashes+r.Slash
	}
	p := &w.provider
	if sold != settled || sold != p.Settled || p.Capacity-p.Available != sold {
		t.Errorf("receipts %d, credits %d, provider %d, capacity %d - %d", sold, settled, p.Settled, p.Capacity, p.Available)
	}
	if w.treasury != fees+slashes || w.stakes != p.Stake+slashes {
		t.Errorf("treasury %d, fees %d, slashes %d, stakes %d, left %d", w.treasury, fees, slashes, w.stakes, p.Stake)
	}
	if price != messages.Amount(sold)*p.Price {
		t.Errorf("%d kWh at %d cost %d", sold, p.Price, price)
	}
	if p.Suspended && !p.Reputation.Suspends() {
		t.Errorf("suspended at score %d, confidence %d", p.Reputation.Score(), p.Reputation.Confidence())
	}
	back, err := market.DecodeProvider(7, market.AppendProvider(nil, p))
	if err != nil || cmp.Diff(*p, back, comparable) != "" {
		t.Errorf("the record does not come back: %v", err)
	}
}

// Credits minted = settled + outstanding + expired; money into the treasury = fees +
// slashes; whatever happens in whatever order.
func TestTheBooksOfTheMarketAlwaysBalance(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &twin{t: t, clock: now, credits: make(map[messages.MeterHash]market.Credit), stakes: 1000,
			provider: provider(func(p *market.Provider) { p.Capacity, p.Available = 3000, 3000 })}
		w.s = market.DefaultSettings()
		w.s.SlashingBPS = rapid.Uint64Range(0, 2000).Draw(t, "slashing")
		w.s.QuorumPPM = messages.PPM(rapid.Uint64Range(0, 50_000).Draw(t, "quorum"))
		w.s.TimeoutEpochs = messages.Epoch(rapid.Uint64Range(0, 4).Draw(t, "timeout"))
		w.s.Batch = rapid.Bool().Draw(t, "batch")
		w.s.BackfillWindow, w.s.ChallengeEpochs = 1000, 2
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			w.clock += rapid.Uint64Range(0, 400).Draw(t, "seconds")
			switch rapid.IntRange(0, 9).Draw(t, "step") {
			case 0, 1, 2, 3:
				w.report()
			case 4, 5, 6:
				w.trade()
			case 7:
				w.dispute()
			case 8:
				w.epoch++
			case 9:
				w.change()
			}
			w.check()
		}
	})
}

// deed is something that happens to one provider: a reading, or a sale from its last one.
type deed struct {
	provider int
	sale     bool
	kwh      uint64
	at       uint64
}

// play has deeds happen to providers that begin anew, and gives their records, the credits'
// and what came into the treasury. Where rests says so everything goes through its stored
// form, as it does when an owner is restarted or another takes over.
func play(t *rapid.T, n int, deeds []deed, rests func() bool) (records [][]byte, credits map[messages.MeterHash]market.Credit, treasury messages.Amount, prices *market.Prices) {
	s := market.DefaultSettings()
	s.SlashingBPS = 100
	providers := make([]market.Provider, n)
	last := make([]messages.MeterHash, n)
	for i := range providers {
		providers[i] = provider(func(p *market.Provider) { p.ID, p.Capacity, p.Available = messages.ProviderID(i), 5000, 5000 })
	}
	credits, prices = make(map[messages.MeterHash]market.Credit), new(market.Prices)
	for _, d := range deeds {
		p := &providers[d.provider]
		if d.sale {
			var known *market.Credit
			if c, ok := credits[last[d.provider]]; ok {
				known = &c
			}
			done := p.Settle(market.Order{Buyer: "b", KWh: d.kwh, Hash: last[d.provider]}, known,
				market.Terms{Settings: s, FeeBPS: 250, At: at(d.at, 1), Blames: true})
			*p = done.Provider
			if done.Refusal == nil {
				credits[last[d.provider]] = done.Credit
				treasury += done.Receipt.Fee + done.Receipt.Slash
				prices.Add(d.at, d.kwh, uint64(done.Receipt.Price))
			}
		} else {
			r := market.Reading{Reading: messages.Reading{Provider: p.ID, Meter: p.Meter, KWh: p.LastKWh + d.kwh, Timestamp: d.at, Nonce: p.LastNonce + 1}, Signed: true}
			hash := hashOf(uint64(d.provider)<<32 | r.Nonce)
			j := p.Judge(&r, hash, s, at(d.at, 1))
			*p = j.Provider
			if j.Refusal == nil {
				credits[hash], last[d.provider] = j.Credit, hash
			}
		}
		if rests() {
			for i := range providers {
				back, err := market.DecodeProvider(providers[i].ID, market.AppendProvider(nil, &providers[i]))
				if err != nil {
					t.Fatal(err)
				}
				providers[i] = back
			}
			for hash, c := range credits {
				back, err := market.DecodeCredit(market.AppendCredit(nil, &c))
				if err != nil {
					t.Fatal(err)
				}
				credits[hash] = back
			}
		}
	}
	for i := range providers {
		records = append(records, market.AppendProvider(nil, &providers[i]))
	}
	return records, credits, treasury, prices
}

// Whoever comes first among providers, and whoever restarts or takes over in between: what
// each provider has, what each credit is worth, the treasury's money and the price of the
// hour are the same.
func TestNoOrderAndNoRestartChangesAResult(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 4).Draw(t, "providers")
		var deeds []deed
		for range rapid.IntRange(1, 60).Draw(t, "deeds") {
			deeds = append(deeds, deed{
				provider: rapid.IntRange(0, n-1).Draw(t, "provider"), sale: rapid.Bool().Draw(t, "sale"),
				kwh: rapid.Uint64Range(1, 900).Draw(t, "kwh"), at: now + rapid.Uint64Range(0, 200).Draw(t, "at"),
			})
		}
		// Another order in which each provider's own deeds keep theirs.
		queues := make([][]deed, n)
		for _, d := range deeds {
			queues[d.provider] = append(queues[d.provider], d)
		}
		var other []deed
		for len(other) < len(deeds) {
			i := rapid.IntRange(0, n-1).Draw(t, "next")
			for len(queues[i]) == 0 {
				i = (i + 1) % n
			}
			other, queues[i] = append(other, queues[i][0]), queues[i][1:]
		}
		never := func() bool { return false }
		sometimes := func() bool { return rapid.IntRange(0, 3).Draw(t, "restart") == 0 }
		records, credits, treasury, prices := play(t, n, deeds, never)
		records2, credits2, treasury2, prices2 := play(t, n, other, sometimes)
		if diff := cmp.Diff(records, records2); diff != "" {
			t.Errorf("records: %s", diff)
		}
		if diff := cmp.Diff(credits, credits2); diff != "" {
			t.Errorf("credits: %s", diff)
		}
		price, volume := prices.At(now + 300)
		if price2, volume2 := prices2.At(now + 300); treasury != treasury2 || price != price2 || volume != volume2 {
			t.Errorf("treasury %d and %d, price %d and %d, volume %d and %d", treasury, treasury2, price, price2, volume, volume2)
		}
	})
}
