package market

import (
	"github.com/the-block/bursar/messages"
)

// Moment is when something is judged.
type Moment struct {
	MS    int64 // Unix milliseconds
	Epoch messages.Epoch
}

// Seconds gives the moment in Unix seconds.
func (m Moment) Seconds() uint64 { return uint64(max(m.MS, 0)) / 1000 }

// Judgement is what became of a reading.
type Judgement struct {
	// Provider is the provider afterwards. A refusal changes it too if it is counted.
	Provider Provider
	// Changed says that Provider differs from what it was, and must be stored.
	Changed bool
	// Credit is what an accepted reading minted, under its meter_hash.
	Credit Credit
	// Outlier says that an accepted reading is far outside the provider's own history:
	// a dispute is raised.
	Outlier bool
	// Refusal says why it was not accepted.
	Refusal *messages.Error
}

// Reading is a reading as it is judged.
type Reading struct {
	messages.Reading
	Backfill bool
	// Signed says whether the signature is good under the provider's key.
	Signed bool
}

// Screen makes the checks of a reading that come before its signature's: nil if it
// passes them. What fails one now fails it for ever, or would have to be sent anew.
func (p *Provider) Screen(r *Reading, s Settings, at Moment) *messages.Error {
	if p.Suspended {
		return inactive("provider %s is suspended: its reputation fell below %d ppm; an operator may reinstate it",
			p.ID, ScoreMin)
	}
	if err := checkSkew(r, s, at.Seconds()); err != nil {
		return err
	}
	if p.Readings > 0 && r.Nonce <= p.LastNonce {
		return messages.Errorf(messages.CodeNonceReplay,
			"nonce %d was used: the last reading's is %d", r.Nonce, p.LastNonce).
			With("last_nonce", p.LastNonce)
	}
	return nil
}

func checkSkew(r *Reading, s Settings, now uint64) *messages.Error {
	if r.Timestamp > now {
		if ahead := r.Timestamp - now; ahead > SkewMax {
			return skewed("timestamp %d is %d s ahead of now, at most %d are allowed", r.Timestamp, ahead, SkewMax)
		}
		return nil
	}
	age := now - r.Timestamp
	switch {
	case age <= SkewMax:
		return nil
	case !r.Backfill:
		return skewed("timestamp %d is %d s old, at most %d are allowed", r.Timestamp, age, SkewMax)
	case s.BackfillWindow == 0:
		return skewed("timestamp %d is %d s old, and this market takes no backfill", r.Timestamp, age)
	case age > s.BackfillWindow:
		return skewed("timestamp %d is %d s old, backfill takes at most %d", r.Timestamp, age, s.BackfillWindow)
	}
	return nil
}

func skewed(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeTimestampSkew, format, args...)
}

// Judge decides about a reading. The first check that fails answers; their order is
// part of the contract.
//
// A refusal is counted against the provider only where it is its own doing. Anybody can
// send a bad signature in its name, so of those one is counted between two accepted
// readings; a signed reading of a wrong meter, or one that runs backwards, is counted
// once however often somebody repeats it.
func (p Provider) Judge(r *Reading, hash messages.MeterHash, s Settings, at Moment) Judgement {
	if err := p.Screen(r, s, at); err != nil {
		return Judgement{Provider: p, Refusal: err}
	}
	if !r.Signed {
		refusal := messages.Errorf(messages.CodeSignatureInvalid,
			"the signature is not good under the key of %s", p.ID)
		if p.Unsigned {
			return Judgement{Provider: p, Refusal: refusal}
		}
		p.Unsigned = true
		return p.blamed(refusal)
	}
	if err := p.checkMeter(r); err != nil {
		if r.Nonce <= p.BlamedNonce {
			return Judgement{Provider: p, Refusal: err}
		}
		p.BlamedNonce = r.Nonce
		return p.blamed(err)
	}
	return p.accept(r, hash, at)
}

// checkMeter holds a signed reading against the meter's last one.
func (p *Provider) checkMeter(r *Reading) *messages.Error {
	switch {
	case r.Meter != p.Meter:
		return mismatch("meter_address %q is not the meter of %s", r.Meter, p.ID)
	case p.Readings > 0 && r.Timestamp <= p.LastTime:
		return mismatch("timestamp %d is not after the last reading's %d", r.Timestamp, p.LastTime).
			With("last_timestamp", p.LastTime)
	case r.KWh < p.LastKWh:
		return mismatch("kwh_reading %d is below the last reading's %d", r.KWh, p.LastKWh).
			With("last_kwh", p.LastKWh)
	}
	return nil
}

// blamed counts a refused reading against the provider.
func (p Provider) blamed(refusal *messages.Error) Judgement {
	p.Reputation.Meter.Add(0)
	p.Reputation.Observations++
	p.Suspended = p.Suspended || p.Reputation.Suspends()
	return Judgement{Provider: p, Changed: true, Refusal: refusal}
}

func (p Provider) accept(r *Reading, hash messages.MeterHash, at Moment) Judgement {
	rate, measured := p.rateOf(r)
	// More than all it has to sell, in one step, is beyond any history.
	outlier := measured && (p.History.Outlier(rate) || r.KWh-p.LastKWh > p.Capacity)
	if measured {
		p.History.Add(rate)
	}
	credit := Credit{
		Hash: hash, Provider: p.ID, Minted: r.KWh - p.LastKWh, Left: r.KWh - p.LastKWh,
		Timestamp: r.Timestamp, MintedAt: at.Seconds(), Epoch: at.Epoch, Backfill: r.Backfill,
	}
	p.Readings++
	p.Minted += credit.Minted // at most the register, which fits
	p.LastKWh, p.LastTime, p.LastNonce, p.LastSeen = r.KWh, r.Timestamp, r.Nonce, at.Seconds()
	p.Unsigned = false
	p.Reputation.Meter.Add(Whole)
	if !r.Backfill {
		p.Reputation.Latency.Add(promptness(r.Timestamp, at.MS))
	}
	p.Reputation.Observations++
	p.Suspended = p.Reputation.Suspends()
	if outlier {
		credit.Hold = HoldDisputed
	}
	return Judgement{Provider: p, Changed: true, Credit: credit, Outlier: outlier}
}

// rateOf gives the mean power since the last reading; measured is false for the first,
// which counts from 0 over an unknown time.
func (p *Provider) rateOf(r *Reading) (rate uint64, measured bool) {
	if p.Readings == 0 {
		return 0, false
	}
	return meanRate(r.KWh-p.LastKWh, r.Timestamp-p.LastTime), true
}

// promptMS is the lag up to which a reading counts as prompt.
const promptMS = 5_000

// promptness is 1 for a reading within 5 s of its timestamp, else 5 s / lag, in parts
// of Whole.
func promptness(timestamp uint64, nowMS int64) uint64 {
	lag := nowMS - int64(timestamp)*1000
	if lag < 0 {
		lag = -lag
	}
	if lag <= promptMS {
		return Whole
	}
	return Whole * promptMS / uint64(lag)
}
