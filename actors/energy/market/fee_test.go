package market_test

import (
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func sumOf(numbers ...uint64) (s market.Sum) {
	for _, n := range numbers {
		s.Add(n)
	}
	return s
}

// floatFee is the formula as it is written down, before it is rounded.
func floatFee(base uint64, consumed, capacity float64, n, hour uint64) float64 {
	u := 0.0
	if capacity > 0 {
		u = consumed / capacity
	}
	load := min(max(1+math.Tanh(u-0.7)/0.1, 0.5), 2)
	size := 1 - min(math.Sqrt(float64(n)/100), 0.3)
	evening := 1 + 0.3*math.Cos(math.Pi*math.Abs(float64(hour)-19)/12)
	return float64(base) * load * size * evening
}

func TestTheFeeIsTheFormula(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.Uint64Range(market.FeeBPSMin, market.FeeBPSMax).Draw(t, "base")
		capacity := rapid.Uint64Range(0, 1<<62).Draw(t, "capacity")
		consumed := rapid.Uint64Range(0, capacity).Draw(t, "consumed")
		if rapid.Bool().Draw(t, "near the slope") && capacity > 1000 {
			consumed = capacity / 1000 * rapid.Uint64Range(630, 830).Draw(t, "permille")
		}
		l := market.Load{Consumed: sumOf(consumed), Capacity: sumOf(capacity),
			Providers: rapid.Uint64Range(0, 30).Draw(t, "providers"), Hour: rapid.Uint64Range(0, 23).Draw(t, "hour")}
		exact := floatFee(base, float64(consumed), float64(capacity), l.Providers, l.Hour)
		got := float64(market.DynamicFee(base, l))
		clamped := min(max(exact, market.FeeBPSMin), market.FeeBPSMax)
		if math.Abs(got-clamped) > 0.5+1e-9 {
			t.Errorf("DynamicFee = %v, the formula gives %v", got, exact)
		}
	})
}

// A total of more than 64 bits is no special case.
func TestTheFeeTakesAnyTotal(t *testing.T) {
	most := uint64(messages.AmountMax)
	l := market.Load{Consumed: sumOf(most, most, most, 7), Capacity: sumOf(most, most, most, most), Providers: 4, Hour: 19}
	if got, want := market.DynamicFee(250, l), uint64(math.Round(floatFee(250, 3, 4, 4, 19))); got != want {
		t.Errorf("DynamicFee = %d, want %d", got, want)
	}
	s := market.Settings{FeeBPS: 333, FeeFixed: true}
	if got := s.Fee(l); got != 333 {
		t.Errorf("a fixed fee = %d", got)
	}
}

// feeVector is one line of the table that other implementations are held against.
type feeVector struct {
	BaseBPS     uint64 `json:"base_bps"`
	ConsumedKWh uint64 `json:"consumed_kwh"`
	CapacityKWh uint64 `json:"capacity_kwh"`
	Providers   uint64 `json:"providers"`
	Hour        uint64 `json:"hour_utc"`
	FeeBPS      uint64 `json:"fee_bps"`
}

func TestFeesAreWhatOthersWereGiven(t *testing.T) {
	var vectors []feeVector
	add := func(v feeVector) {
		v.FeeBPS = market.DynamicFee(v.BaseBPS, market.Load{Consumed: sumOf(v.ConsumedKWh), Capacity: sumOf(v.CapacityKWh),
			Providers: v.Providers, Hour: v.Hour})
		vectors = append(vectors, v)
	}
	for hour := range uint64(24) {
		for _, used := range []uint64{0, 650, 675, 700, 725, 750, 790, 1000} {
			add(feeVector{BaseBPS: 250, ConsumedKWh: used * 1000, CapacityKWh: 1_000_000, Providers: 3, Hour: hour})
		}
	}
	for n := range uint64(12) {
		add(feeVector{BaseBPS: 250, ConsumedKWh: 700_000, CapacityKWh: 1_000_000, Providers: n, Hour: 19})
	}
	golden(t, "fees.json", vectors)
	for _, v := range vectors {
		exact := floatFee(v.BaseBPS, float64(v.ConsumedKWh), float64(v.CapacityKWh), v.Providers, v.Hour)
		if math.Abs(float64(v.FeeBPS)-min(max(exact, 100), 1000)) > 0.5+1e-9 {
			t.Errorf("%+v: the formula gives %v", v, exact)
		}
	}
}

func golden(t *testing.T, name string, value any) {
	t.Helper()
	got, err := json.MarshalIndent(value, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s: -recorded +now\n%s", name, diff)
	}
}

func TestLogarithmsAreTrueToAMillionth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := rapid.Uint64Min(1).Draw(t, "x") >> rapid.IntRange(0, 63).Draw(t, "shift")
		x = max(x, 1)
		got := float64(market.Log2(x)) / (1 << market.LogBits)
		if math.Abs(got-math.Log2(float64(x))) > 2e-8 {
			t.Errorf("Log2(%d) = %v, want %v", x, got, math.Log2(float64(x)))
		}
		y := -rapid.Int64Range(0, 40<<market.LogBits).Draw(t, "y")
		scale := rapid.Uint64Range(1, 1<<40).Draw(t, "scale")
		want := float64(scale) * math.Exp2(float64(y)/(1<<market.LogBits))
		if power := float64(market.Exp2Scaled(y, scale)); math.Abs(power-want) > 0.5+want*1e-8 {
			t.Errorf("Exp2Scaled(%d, %d) = %v, want %v", y, scale, power, want)
		}
	})
	for n := range uint(64) {
		if got := market.Log2(1 << n); got != int64(n)<<market.LogBits {
			t.Errorf("Log2(2^%d) = %x", n, got)
		}
		if got := market.Exp2Scaled(-int64(n)<<market.LogBits, 1<<63); got != 1<<(63-n) {
			t.Errorf("Exp2Scaled(-%d) = %d", n, got)
		}
	}
	if got := market.Exp2Scaled(-200<<market.LogBits, 1e6); got != 0 {
		t.Errorf("2^-200 of a million = %d", got)
	}
}

func drawFactor(t *rapid.T, name string) (f market.Factor) {
	for range rapid.IntRange(0, 60).Draw(t, name) {
		f.Add(rapid.Uint64Range(0, market.Whole).Draw(t, "observation"))
	}
	return f
}

func TestTheScoreIsTheWeightedGeometricMean(t *testing.T) {
	mean := func(f market.Factor) float64 {
		alpha, beta := 1+float64(f.For)/market.Whole, 1+float64(f.Against)/market.Whole
		return alpha / (alpha + beta)
	}
	rapid.Check(t, func(t *rapid.T) {
		r := market.Reputation{Delivery: drawFactor(t, "delivery"), Meter: drawFactor(t, "meter"),
			Latency: drawFactor(t, "latency"), Capacity: drawFactor(t, "capacity"),
			Observations: rapid.Uint64Range(0, 200).Draw(t, "n")}
		want := math.Pow(mean(r.Delivery), .35) * math.Pow(mean(r.Meter), .25) *
			math.Pow(mean(r.Latency), .25) * math.Pow(mean(r.Capacity), .15)
		if got := float64(r.Score()); math.Abs(got-want*1e6) > 1 {
			t.Errorf("Score = %v, want %v", got, want*1e6)
		}
		confidence := float64(r.Observations) / float64(r.Observations+20)
		if got := float64(r.Confidence()); math.Abs(got-confidence*1e6) > 1 {
			t.Errorf("Confidence = %v, want %v", got, confidence*1e6)
		}
		if got, want := r.Suspends(), r.Score() < 300_000 && r.Confidence() >= 700_000; got != want {
			t.Errorf("Suspends = %v, want %v", got, want)
		}
	})
}

func TestANewProviderStandsInTheMiddle(t *testing.T) {
	var r market.Reputation
	if r.Score() != 500_000 || r.Confidence() != 0 {
		t.Errorf("score %d, confidence %d", r.Score(), r.Confidence())
	}
	r.Observations = 46
	if r.Confidence() >= market.ConfidenceMin {
		t.Errorf("46 observations are confidence enough: %d", r.Confidence())
	}
	if r.Observations++; r.Confidence() < market.ConfidenceMin {
		t.Errorf("47 observations are not confidence enough: %d", r.Confidence())
	}
}

func TestLatencyCountsInParts(t *testing.T) {
	for lag, want := range map[uint64]uint64{0: market.Whole, 5: market.Whole, 10: market.Whole / 2, 100: market.Whole / 20} {
		for _, m := range []market.Moment{at(now+lag, 1), at(now-lag, 1)} {
			got := judge(provider(), reading(), market.DefaultSettings(), m).Provider.Reputation.Latency
			if want := (market.Factor{For: want, Against: market.Whole - want}); got != want {
				t.Errorf("a lag of %d s counts %+v, want %+v", lag, got, want)
			}
		}
	}
}

// The twin keeps every settlement and adds up those of the last hour.
func TestPriceAndVolumeAreThoseOfTheLastHour(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type settled struct{ at, kwh, value uint64 }
		var prices market.Prices
		var all []settled
		clock := uint64(now)
		rapid.SliceOfN(rapid.Custom(func(t *rapid.T) settled {
			clock += rapid.Uint64Range(0, 4000).Draw(t, "step") / rapid.Uint64Range(1, 4000).Draw(t, "by")
			late := rapid.Uint64Range(0, 20).Draw(t, "late")
			s := settled{clock - late, rapid.Uint64Range(1, 1<<50).Draw(t, "kwh"), rapid.Uint64().Draw(t, "value")}
			prices.Add(s.at, s.kwh, s.value)
			all = append(all, s)
			if rapid.Bool().Draw(t, "look") {
				var kwh, value float64
				var volume uint64
				for _, x := range all {
					if x.at+3600 > clock {
						kwh, value, volume = kwh+float64(x.kwh), value+float64(x.value), volume+x.kwh
					}
				}
				price, got := prices.At(clock)
				if got != volume {
					t.Errorf("volume = %d, want %d", got, volume)
				}
				if kwh > 0 && math.Abs(float64(price)-value/kwh) > 0.5+value/kwh*1e-9 {
					t.Errorf("price = %d, want %v", price, value/kwh)
				}
			}
			return s
		}), 1, 60).Draw(t, "settlements")
	})
	var none market.Prices
	if price, volume := none.At(now); price != 0 || volume != 0 {
		t.Errorf("an empty market has price %d, volume %d", price, volume)
	}
}

func TestTheOrderOfSettlementsChangesNoPrice(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	type settled struct{ at, kwh, value uint64 }
	list := make([]settled, 300)
	for i := range list {
		list[i] = settled{now + source.Uint64N(3000), 1 + source.Uint64N(1e9), source.Uint64()}
	}
	ask := func() [2]uint64 {
		var p market.Prices
		for _, s := range list {
			p.Add(s.at, s.kwh, s.value)
		}
		price, volume := p.At(now + 3500)
		return [2]uint64{price, volume}
	}
	first := ask()
	for range 20 {
		source.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		if got := ask(); got != first {
			t.Fatalf("price and volume = %v, were %v", got, first)
		}
	}
}

func BenchmarkScore(b *testing.B) {
	r := market.Reputation{Delivery: market.Factor{For: 3e6, Against: 9e6}, Meter: market.Factor{For: 1e9}, Latency: market.Factor{Against: 7e6}}
	for b.Loop() {
		_ = r.Score()
	}
}

func BenchmarkJudge(b *testing.B) {
	p := provider()
	s := market.DefaultSettings()
	r := reading()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		r.Timestamp, r.Nonce, r.KWh = now+uint64(i), 10+uint64(i), uint64(i*7)
		j := p.Judge(&r, messages.MeterHash{}, s, at(r.Timestamp, 1))
		if j.Refusal != nil {
			b.Fatal(j.Refusal)
		}
		p = j.Provider
	}
}
