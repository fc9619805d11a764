package alertdrill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
)

// market is what a trial knows of its energy market: three oracles, each with a meter.
type market struct {
	oracles  []*meter
	disputed []uint64
}

// meter is one oracle's.
type meter struct {
	signer  signing.Signer
	reading messages.Reading
}

const (
	oracles     = 3
	readingKWh  = 100
	usual, dear = 100, 300 // what a kWh costs
	reportWell  = 24 * time.Hour
	reportAtAll = time.Second
)

// openMarket registers the oracles, once, and has each report.
func (t *Trial) openMarket(ctx context.Context) (*market, error) {
	if t.energy != nil {
		return t.energy, nil
	}
	m := &market{}
	if err := t.reportWithin(ctx, reportWell); err != nil {
		return nil, err
	}
	for i := range oracles {
		o := &meter{signer: signing.NewSigner([32]byte{'d', 'r', 'i', 'l', 'l', byte(i)})}
		name := fmt.Sprintf("drill-%d", i+1)
		params := &messages.RegisterProviderParams{
			Options: messages.Options{RequestID: t.requestID()}, Owner: name, Capacity: 1 << 40, Price: usual, Jurisdiction: "XX",
			Meter: name, Stake: 1 << 30, Key: o.signer.Public(),
		}
		var registered messages.RegisterProviderResult
		if err := t.link.Call(ctx, messages.MethodRegisterProvider, params, &registered); err != nil {
			return nil, err
		}
		o.reading = messages.Reading{Provider: registered.Provider, Meter: name, Timestamp: uint64(time.Now().Add(-time.Hour).Unix())}
		m.oracles = append(m.oracles, o)
		if _, err := t.read(ctx, o, 1); err != nil {
			return nil, err
		}
	}
	t.energy = m
	return m, nil
}

func (t *Trial) reportWithin(ctx context.Context, interval time.Duration) error {
	return t.call(ctx, messages.MethodEnergySettings, `{"report_interval": %d, "backfill_window": 604800, "challenge_epochs": 0}`, int(interval.Seconds()))
}

// read hands in so many readings of an oracle, and gives what they are named.
func (t *Trial) read(ctx context.Context, o *meter, count int) ([]messages.MeterHash, error) {
	params := &messages.SubmitReadingsParams{Backfill: true}
	for range count {
		o.reading.KWh += readingKWh
		o.reading.Timestamp++
		o.reading.Nonce++
		o.signer.SignReading(&o.reading)
		params.Readings = append(params.Readings, o.reading)
	}
	var result messages.SubmitReadingsResult
	if err := t.link.Call(ctx, messages.MethodSubmitReadings, params, &result); err != nil {
		return nil, err
	}
	hashes := make([]messages.MeterHash, 0, count)
	for _, outcome := range result.Outcomes {
		if outcome.Error != nil {
			return nil, fmt.Errorf("a reading: %w", outcome.Error)
		}
		hashes = append(hashes, outcome.Hash)
	}
	return hashes, nil
}

func silence(ctx context.Context, t *Trial) error {
	if _, err := t.openMarket(ctx); err != nil {
		return err
	}
	return t.reportWithin(ctx, reportAtAll)
}

func silentAndDisputed(ctx context.Context, t *Trial) error {
	return errors.Join(dispute(10)(ctx, t), silence(ctx, t))
}

// dispute doubts so many new readings.
func dispute(count int) act {
	return func(ctx context.Context, t *Trial) error {
		m, err := t.openMarket(ctx)
		if err != nil {
			return err
		}
		hashes, err := t.read(ctx, m.oracles[0], count)
		if err != nil {
			return err
		}
		for _, hash := range hashes {
			params := &messages.FlagDisputeParams{
				Options: messages.Options{RequestID: t.requestID()}, Hash: hash, Reason: "a drill", Reporter: "drill", Type: messages.DisputeTypes[0],
			}
			var result messages.FlagDisputeResult
			if err := t.link.Call(ctx, messages.MethodFlagDispute, params, &result); err != nil {
				return err
			}
			m.disputed = append(m.disputed, result.Dispute)
		}
		return nil
	}
}

// settleMarket resolves all disputes, and has all oracles count as active.
func settleMarket(ctx context.Context, t *Trial) error {
	m, err := t.openMarket(ctx)
	if err != nil {
		return err
	}
	for _, id := range m.disputed {
		err := t.call(ctx, messages.MethodResolveDispute, `{"dispute_id": %d, "resolver": "drill", "outcome": "resolved"}`, id)
		if err != nil {
			return err
		}
	}
	m.disputed = nil
	return t.reportWithin(ctx, reportWell)
}

// forge hands in a reading that its oracle did not sign.
func forge(ctx context.Context, t *Trial) error {
	m, err := t.openMarket(ctx)
	if err != nil {
		return err
	}
	params := &messages.SubmitReadingParams{Reading: m.oracles[0].reading}
	params.Reading.Nonce += 1_000_000
	params.Reading.Timestamp = uint64(time.Now().Unix())
	err = t.link.Call(ctx, messages.MethodSubmitReading, params, new(messages.SubmitReadingResult))
	if errors.Is(err, &messages.Error{Code: messages.CodeSignatureInvalid}) {
		return nil
	}
	return fmt.Errorf("a reading with a wrong signature: %w", err)
}

func report(ctx context.Context, t *Trial) error {
	m, err := t.openMarket(ctx)
	if err != nil {
		return err
	}
	_, err = t.read(ctx, m.oracles[1], 5)
	return err
}

// historyNeeded is how long a price must have been there to be usual: half an hour, as the
// trial has it, and some.
const historyNeeded = time.Duration(scale*float64(30*time.Minute)) + 10*time.Second

// dearer sells at the usual price, and once that is usual at another.
func dearer(ctx context.Context, t *Trial) error {
	if err := t.sell(ctx, usual, 1); err != nil {
		return err
	}
	waitFor(ctx, historyNeeded)
	return t.sell(ctx, dear, 20)
}

func usualPrice(ctx context.Context, t *Trial) error { return t.sell(ctx, usual, 2000) }

// sell sells some new readings of an oracle at a price.
func (t *Trial) sell(ctx context.Context, price uint64, readings int) error {
	m, err := t.openMarket(ctx)
	if err != nil {
		return err
	}
	o := m.oracles[2]
	if err := t.call(ctx, messages.MethodUpdateProvider, `{"provider_id": %q, "price_per_kwh": %d}`, o.reading.Provider.String(), price); err != nil {
		return err
	}
	for readings > 0 {
		part := min(readings, messages.ReadingsMax)
		readings -= part
		hashes, err := t.read(ctx, o, part)
		if err != nil {
			return err
		}
		for _, hash := range hashes {
			params := &messages.SettleParams{
				Options: messages.Options{RequestID: t.requestID()}, Provider: o.reading.Provider, Buyer: "tb1drill", KWh: readingKWh, Hash: hash,
			}
			if err := t.link.Call(ctx, messages.MethodSettle, params, new(messages.SettleResult)); err != nil {
				return err
			}
		}
	}
	return nil
}
