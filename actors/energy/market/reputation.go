package market

import "github.com/the-block/bursar/messages"

// Whole is one observation that went well, in the units in which they are counted; a
// part of it counts for as much, the rest against.
const Whole = 1_000_000

// Factor is one side of a provider's conduct: a Beta distribution that began as
// Beta(1, 1), with what spoke for and against the provider since, in parts of Whole.
type Factor struct{ For, Against uint64 }

// Add takes in one observation, of which good (0 to Whole) speaks for the provider.
func (f *Factor) Add(good uint64) {
	f.For += good
	f.Against += Whole - good
}

// alpha and beta are the distribution's parameters, in parts of Whole.
func (f Factor) alpha() uint64 { return Whole + f.For }
func (f Factor) beta() uint64  { return Whole + f.Against }

// Mean gives the distribution's mean, alpha / (alpha + beta), rounded down.
func (f Factor) Mean() messages.PPM {
	return messages.PPM(mulDiv(f.alpha(), uint64(messages.PPMMax), f.alpha()+f.beta()))
}

// Reputation is what is known of a provider's conduct.
type Reputation struct {
	Delivery Factor // settlements
	Meter    Factor // readings accepted or refused
	Latency  Factor // how soon after its timestamp a reading came
	Capacity Factor // whether much was left to sell at a settlement
	// Observations is how many events it rests on.
	Observations uint64
}

// The factors' weights, in twentieths: .35, .25, .25 and .15.
const (
	weightDelivery = 7
	weightMeter    = 5
	weightLatency  = 5
	weightCapacity = 3
	weightsSum     = weightDelivery + weightMeter + weightLatency + weightCapacity
)

// A provider under ScoreMin whose confidence is ConfidenceMin or more is suspended.
const (
	ScoreMin      messages.PPM = 300_000
	ConfidenceMin messages.PPM = 700_000
	// confidenceHalf is the number of observations at which confidence is one half.
	confidenceHalf = 20
)

// Score is the weighted geometric mean of the factors' means, rounded to a millionth.
// It is computed from binary logarithms in fixed point: the same on every machine.
func (r *Reputation) Score() messages.PPM {
	sum := weightDelivery*r.Delivery.log() + weightMeter*r.Meter.log() +
		weightLatency*r.Latency.log() + weightCapacity*r.Capacity.log()
	return messages.PPM(exp2Scaled(sum/weightsSum, uint64(messages.PPMMax)))
}

// log is the binary logarithm of the mean, at most 0, with logBits fraction bits.
func (f Factor) log() int64 { return log2(f.alpha()) - log2(f.alpha()+f.beta()) }

// Confidence is n / (n + 20), rounded down.
func (r *Reputation) Confidence() messages.PPM {
	return messages.PPM(mulDiv(r.Observations, uint64(messages.PPMMax), r.Observations+confidenceHalf))
}

// Suspends reports whether the reputation is too low, and known well enough, for its
// provider to go on.
func (r *Reputation) Suspends() bool {
	if r.Confidence() < ConfidenceMin || r.lowestMean() >= ScoreMin {
		return false // a geometric mean is never below its least part
	}
	return r.Score() < ScoreMin
}

func (r *Reputation) lowestMean() messages.PPM {
	return min(r.Delivery.Mean(), r.Meter.Mean(), r.Latency.Mean(), r.Capacity.Mean())
}
