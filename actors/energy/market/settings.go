package market

import "github.com/the-block/bursar/messages"

// Settings are the market's parameters, the same on every node.
type Settings struct {
	// MinStake is what a provider must at least put down to be registered. Raised, it
	// makes a bad provider dearer; those that are registered keep what they have.
	MinStake messages.Amount
	// FeeBPS is the base of the treasury's fee, in 1/10,000 of the price.
	FeeBPS uint64
	// FeeFixed charges FeeBPS as it is, instead of the formula of load, size and hour.
	FeeFixed bool
	// QuorumPPM is the least share of a provider's capacity that a settlement must be
	// about, in parts per million. 0 asks for none.
	QuorumPPM messages.PPM
	// TimeoutEpochs is the age at which a credit expires, and in batch mode the age at
	// which it can first be settled. 0: credits do not expire, batches need not wait.
	TimeoutEpochs messages.Epoch
	// SlashingBPS is the part of each settlement's price that is taken from the
	// provider's stake, in 1/10,000.
	SlashingBPS uint64
	// Batch settles a credit only once TimeoutEpochs have passed.
	Batch bool
	// Rehearsal refuses every settlement: all else works.
	Rehearsal bool
	// BackfillWindow is how old a backfilled reading may be, in seconds. 0: none.
	BackfillWindow uint64
	// ChallengeEpochs is how long a backfilled credit waits for disputes before it can
	// be settled.
	ChallengeEpochs messages.Epoch
	// ReportInterval is how long after its last reading an oracle counts as active, in
	// seconds.
	ReportInterval uint64
}

// DefaultSettings are those of a new market.
func DefaultSettings() Settings {
	return Settings{MinStake: 1_000, FeeBPS: 250, ChallengeEpochs: 2_160, ReportInterval: 3_600}
}

// Bounds of the settings.
const (
	FeeBPSMin         = 100
	FeeBPSMax         = 1_000
	BPSMax            = 10_000
	BackfillMax       = 10 * 366 * 24 * 3600
	ReportIntervalMax = 366 * 24 * 3600
)

// Check says what is wrong with the settings.
func (s Settings) Check() *messages.Error {
	switch {
	case s.MinStake > messages.AmountMax:
		return invalid("min_stake must be at most %d", messages.AmountMax)
	case s.FeeBPS < FeeBPSMin || s.FeeBPS > FeeBPSMax:
		return invalid("fee_bps must be %d to %d", FeeBPSMin, FeeBPSMax)
	case s.QuorumPPM > messages.PPMMax:
		return invalid("quorum_threshold_ppm must be at most %d", messages.PPMMax)
	case s.SlashingBPS > BPSMax:
		return invalid("slashing_rate_bps must be at most %d", BPSMax)
	case s.BackfillWindow > BackfillMax:
		return invalid("backfill_window must be at most %d seconds", BackfillMax)
	case s.ReportInterval == 0 || s.ReportInterval > ReportIntervalMax:
		return invalid("report_interval must be 1 to %d seconds", ReportIntervalMax)
	}
	return nil
}
