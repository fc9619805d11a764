package oracle_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/energy/oracle"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
)

// marketOf is a market of one provider, whose answers get lost as a test says.
type marketOf struct {
	t        *testing.T
	provider market.Provider
	minted   map[messages.MeterHash]uint64
	faults   []error // of the next calls; an answer that is lost is errLost
	calls    int
}

var errLost = errors.New("the connection broke")

func (m *marketOf) Call(_ context.Context, method string, params messages.Params, result messages.Result) error {
	m.calls++
	var fault error
	if len(m.faults) > 0 {
		fault, m.faults = m.faults[0], m.faults[1:]
	}
	if fault != nil && !errors.Is(fault, errLost) {
		return fault
	}
	switch method {
	case messages.MethodMarketState:
		p := &m.provider
		result.(*messages.MarketStateResult).Providers = []messages.Provider{{ID: p.ID, Capacity: p.Capacity, Meter: p.Meter, Key: p.Key,
			Readings: p.Readings, LastNonce: p.LastNonce, LastTimestamp: p.LastTime, LastKWh: p.LastKWh}}
	case messages.MethodSubmitReadings:
		m.judge(params.(*messages.SubmitReadingsParams), result.(*messages.SubmitReadingsResult))
	}
	return fault
}

func (m *marketOf) judge(p *messages.SubmitReadingsParams, result *messages.SubmitReadingsResult) {
	if len(p.Readings) > messages.ReadingsMax {
		m.t.Fatalf("%d readings in a call", len(p.Readings))
	}
	key, err := signing.NewKey(m.provider.Key)
	if err != nil {
		m.t.Fatal(err)
	}
	for i := range p.Readings {
		r := market.Reading{Reading: p.Readings[i], Signed: key.Verify(signing.ReadingDigest(&p.Readings[i]), &p.Readings[i].Signature)}
		hash := signing.ReadingHash(&r.Reading)
		j := m.provider.Judge(&r, hash, market.DefaultSettings(), market.Moment{MS: int64(r.Timestamp) * 1000})
		m.provider = j.Provider
		out := messages.ReadingOutcome{Hash: hash, Credit: j.Credit.Minted, Error: j.Refusal}
		if credit, known := m.minted[hash]; known {
			out.Error = out.Error.With("duplicate", true).With("credit_kwh", credit)
		}
		if j.Refusal == nil {
			m.minted[hash] = j.Credit.Minted
		}
		result.Outcomes = append(result.Outcomes, out)
	}
}

func newMarket(t *testing.T) (*marketOf, oracle.Config) {
	signer := oracle.NewSigner([32]byte{5})
	p := market.New(3, market.Registration{Owner: "o", Jurisdiction: "DE", Meter: "m", Key: signer.Public(), Price: 1, Capacity: 1e9, Stake: 1000}, 1)
	return &marketOf{t: t, provider: p, minted: make(map[messages.MeterHash]uint64)}, oracle.Config{Provider: 3, Meter: "m", Signer: signer}
}

func readings(from, n uint64) (list []oracle.Reading) {
	for i := range n {
		list = append(list, oracle.Reading{At: 1_700_000_000 + from + i, KWh: (from + i) * 10})
	}
	return list
}

func (m *marketOf) total() (sum uint64) {
	for _, kwh := range m.minted {
		sum += kwh
	}
	return sum
}

func TestReadingsAreHandedInOnceWhateverFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, cfg := newMarket(t)
		unavailable := messages.Errorf(messages.CodeUnavailable, "no quorum")
		unknown := messages.Errorf(messages.CodeOutcomeUnknown, "proposed")
		m.faults = []error{unavailable, nil, errLost, unavailable, unknown, errLost}
		o := oracle.New(cfg, m)
		outcomes, err := o.Submit(t.Context(), readings(1, 600))
		if err != nil {
			t.Fatal(err)
		}
		var credits uint64
		for i, out := range outcomes {
			if out.Err != nil || out.Passed || m.minted[out.Hash] != out.Credit {
				t.Fatalf("reading %d: %+v", i, out)
			}
			credits += out.Credit
		}
		if credits != 6000 || m.total() != 6000 || len(m.minted) != 600 {
			t.Errorf("credits %d, minted %d by %d readings", credits, m.total(), len(m.minted))
		}
	})
}

func TestAnOracleTakesUpWhereTheMarketStands(t *testing.T) {
	m, cfg := newMarket(t)
	if _, err := oracle.New(cfg, m).Submit(t.Context(), readings(1, 10)); err != nil {
		t.Fatal(err)
	}
	outcomes, err := oracle.New(cfg, m).Submit(t.Context(), readings(1, 15))
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, out := range outcomes {
		if out.Err != nil {
			t.Errorf("%+v", out)
		}
		if out.Passed {
			passed++
		}
	}
	if passed != 10 || m.total() != 150 || m.provider.LastNonce != 15 {
		t.Errorf("%d are passed over, minted %d, nonce %d", passed, m.total(), m.provider.LastNonce)
	}
}

func TestARefusedReadingStopsNoOther(t *testing.T) {
	m, cfg := newMarket(t)
	list := readings(1, 3)
	list[1].KWh = 5 // below the one before
	outcomes, err := oracle.New(cfg, m).Submit(t.Context(), list)
	if err != nil {
		t.Fatal(err)
	}
	var codes []messages.Code
	for _, out := range outcomes {
		var code messages.Code
		if out.Err != nil {
			code = out.Err.Code
		}
		codes = append(codes, code)
	}
	if diff := cmp.Diff([]messages.Code{0, messages.CodeMeterMismatch, 0}, codes); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestAnOracleThatIsNotTheProvidersSaysSo(t *testing.T) {
	m, cfg := newMarket(t)
	cfg.Meter = "another"
	if _, err := oracle.New(cfg, m).Resume(t.Context()); err == nil || !strings.Contains(err.Error(), `is "m", not "another"`) {
		t.Errorf("another meter: %v", err)
	}
	cfg.Meter, cfg.Signer = "m", oracle.NewSigner([32]byte{6})
	if _, err := oracle.New(cfg, m).Submit(t.Context(), readings(1, 1)); err == nil || !strings.Contains(err.Error(), "the key is not that of") {
		t.Errorf("another key: %v", err)
	}
}

func TestSubmitEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, cfg := newMarket(t)
		for range 1000 {
			m.faults = append(m.faults, errLost)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := oracle.New(cfg, m).Submit(ctx, readings(1, 1)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Submit = %v", err)
		}
		if m.calls > 60 {
			t.Errorf("%d calls in a minute", m.calls)
		}
	})
}
