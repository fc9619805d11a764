// Package oracle is an energy provider's side of the market: it signs what a meter says and
// hands it in, each reading exactly once, whatever fails in between. It takes up where the
// market stands, so that it can be ended and started anew at any time.
//
// A program of one's own reads its meter as it likes, or by package meter, and calls Submit.
package oracle

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
)

// Signer signs as an oracle, by a secret of 32 bytes.
type Signer = signing.Signer

// NewSigner makes a signer of an Ed25519 seed.
func NewSigner(seed [32]byte) Signer { return signing.NewSigner(seed) }

// Caller calls the market; a client.Client is one.
type Caller interface {
	Call(ctx context.Context, method string, params messages.Params, result messages.Result) error
}

// Config says who reports. All of it is needed.
type Config struct {
	Provider messages.ProviderID
	Meter    string
	Signer   Signer
	// Backfill says that readings may be old: the market's setting backfill_window says how
	// old. Their credits wait to be challenged.
	Backfill bool
	// BeyondCapacity hands in a reading too that would mint more than all the provider has to
	// sell. Mostly it is a wrong one: see ErrBeyondCapacity.
	BeyondCapacity bool
}

// ErrBeyondCapacity is returned when a reading would mint more than all its provider has to
// sell. It was not handed in: what the market has taken cannot be taken back, and every lower
// reading is refused after it.
var ErrBeyondCapacity = errors.New("beyond the provider's capacity")

// Reading is what the meter said.
type Reading struct {
	At  uint64 // Unix seconds
	KWh uint64 // the register: cumulative
}

// Outcome is what became of a reading.
type Outcome struct {
	Reading
	Hash   messages.MeterHash
	Credit uint64
	// Passed says that the market has a reading of this time or a later one already.
	Passed bool
	// Err says why it was refused; nil if it was not.
	Err *messages.Error
}

// Oracle hands in the readings of one provider. It belongs to one goroutine.
type Oracle struct {
	cfg    Config
	caller Caller
	last   messages.Provider // as the market has it
	known  bool
}

// The pauses before a reading is handed in again.
const (
	pauseFirst = 50 * time.Millisecond
	pauseMost  = 2 * time.Second
)

// New makes an Oracle. It calls when it is first used.
func New(cfg Config, caller Caller) *Oracle { return &Oracle{cfg: cfg, caller: caller} }

// Resume asks the market where the provider stands: what it said last, and under which
// nonce. Submit does so by itself the first time.
func (o *Oracle) Resume(ctx context.Context) (messages.Provider, error) {
	var state messages.MarketStateResult
	params := &messages.MarketStateParams{Provider: o.cfg.Provider, One: true}
	err := o.again(ctx, func() error { return o.caller.Call(ctx, messages.MethodMarketState, params, &state) })
	switch {
	case err != nil:
		return messages.Provider{}, err
	case len(state.Providers) != 1:
		return messages.Provider{}, fmt.Errorf("%d providers are %s", len(state.Providers), o.cfg.Provider)
	}
	o.last, o.known = state.Providers[0], true
	switch {
	case o.last.Meter != o.cfg.Meter:
		return o.last, fmt.Errorf("the meter of %s is %q, not %q", o.cfg.Provider, o.last.Meter, o.cfg.Meter)
	case o.last.Key != o.cfg.Signer.Public():
		return o.last, fmt.Errorf("the key is not that of %s", o.cfg.Provider)
	}
	return o.last, nil
}

// Submit signs readings, in the order of their times, and hands them in: up to 256 in one
// call. It goes on with the very same signed readings until each has its answer or ctx
// ends; an error means that not all of them have. At a reading beyond the capacity it stops.
func (o *Oracle) Submit(ctx context.Context, readings []Reading) ([]Outcome, error) {
	if !o.known {
		if _, err := o.Resume(ctx); err != nil {
			return nil, err
		}
	}
	outcomes := make([]Outcome, len(readings))
	params := &messages.SubmitReadingsParams{Backfill: o.cfg.Backfill}
	var at []int
	var beyond error
	before := o.last.LastKWh
	for i, r := range readings {
		outcomes[i].Reading = r
		if outcomes[i].Passed = o.last.Readings > 0 && r.At <= o.last.LastTimestamp; outcomes[i].Passed {
			continue
		}
		if more := r.KWh - min(before, r.KWh); more > o.last.Capacity && !o.cfg.BeyondCapacity {
			beyond = fmt.Errorf("%w: the reading of %s says %d kWh after %d, %d more, and %s has %d to sell", ErrBeyondCapacity,
				time.Unix(int64(r.At), 0).UTC().Format(time.RFC3339), r.KWh, before, more, o.cfg.Provider, o.last.Capacity)
			outcomes = outcomes[:i]
			break
		}
		before = max(before, r.KWh)
		o.last.LastNonce++
		signed := messages.Reading{Provider: o.cfg.Provider, Meter: o.cfg.Meter, KWh: r.KWh, Timestamp: r.At, Nonce: o.last.LastNonce}
		o.cfg.Signer.SignReading(&signed)
		params.Readings = append(params.Readings, signed)
		at = append(at, i)
	}
	for from := 0; from < len(at); from += messages.ReadingsMax {
		to := min(from+messages.ReadingsMax, len(at))
		part := &messages.SubmitReadingsParams{Backfill: params.Backfill, Readings: params.Readings[from:to]}
		if err := o.submit(ctx, part, outcomes, at[from:to]); err != nil {
			o.known = false // where the market stands is to be asked again
			return outcomes, err
		}
	}
	return outcomes, beyond
}

// submit hands signed readings in until each has its answer.
func (o *Oracle) submit(ctx context.Context, part *messages.SubmitReadingsParams, outcomes []Outcome, at []int) error {
	return o.again(ctx, func() error {
		var result messages.SubmitReadingsResult
		if err := o.caller.Call(ctx, messages.MethodSubmitReadings, part, &result); err != nil {
			return err
		}
		if len(result.Outcomes) != len(at) {
			return fmt.Errorf("%d outcomes of %d readings", len(result.Outcomes), len(at))
		}
		var open error
		for k, out := range result.Outcomes {
			r := &part.Readings[k]
			one := &outcomes[at[k]]
			one.Hash, one.Credit, one.Err = out.Hash, out.Credit, out.Error
			switch {
			case out.Error == nil:
				o.took(r)
			case isRepeat(out.Error): // an earlier try came through, and its answer did not
				one.Err, one.Hash = nil, signing.ReadingHash(r)
				one.Credit, _ = out.Error.Data["credit_kwh"].(uint64)
				o.took(r)
			case isPassing(out.Error):
				open = out.Error
			}
		}
		return open
	})
}

func (o *Oracle) took(r *messages.Reading) {
	o.last.Readings++
	o.last.LastTimestamp, o.last.LastKWh = max(o.last.LastTimestamp, r.Timestamp), max(o.last.LastKWh, r.KWh)
}

// again makes a call until it is answered with more than that it cannot be now.
func (o *Oracle) again(ctx context.Context, call func() error) error {
	for pause := pauseFirst; ; pause = min(2*pause, pauseMost) {
		err := call()
		var refusal *messages.Error
		if err == nil || errors.As(err, &refusal) && !isPassing(refusal) {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// isRepeat reports whether a reading was refused because it was taken before.
func isRepeat(err *messages.Error) bool {
	return err.Code == messages.CodeNonceReplay && err.Data["duplicate"] == true
}

// isPassing reports whether the same call may do better later.
func isPassing(err *messages.Error) bool {
	switch err.Code {
	case messages.CodeUnavailable, messages.CodeOverloaded, messages.CodeOutcomeUnknown, messages.CodeCircuitOpen:
		return true
	default:
		return false
	}
}
