package breaker

import (
	"fmt"
	"time"
)

// The limits of a Config. They bound what a breaker keeps: FailureThreshold
// times and SuccessThreshold probes.
const (
	failureThresholdMax = 1_000_000
	successThresholdMax = 100
	windowMin           = buckets * time.Millisecond
)

// Config says when a breaker opens and closes.
type Config struct {
	// FailureThreshold is how many failures in a row open the breaker; twice as
	// many, being at least half of the window's calls, do so too. It is also how
	// many different children must fail within the window to open their
	// supervisor's own breaker. Higher tolerates more, lower trips sooner.
	// 1 to 1,000,000.
	FailureThreshold int

	// SuccessThreshold is how many probes a half-open breaker lets pass; it closes
	// when all of them have succeeded. Higher asks for more proof and puts more
	// calls at risk. 1 to 100.
	SuccessThreshold int

	// Timeout is how long an open breaker stays open. Longer spares what is
	// guarded, shorter finds out sooner that it is well again.
	Timeout time.Duration

	// Window is how far back outcomes count, kept in 30 buckets of Window/30: an
	// outcome leaves the window between 29/30 and 30/30 of it later. Longer
	// remembers slow trickles of failures. At least 30 ms.
	Window time.Duration

	// ProbeTimeout is how long a probe may be in flight before the breaker takes
	// it for failed. It is measured from the first Tick (or ExpireProbes) that
	// sees the probe, because admission reads no clock: a probe lives between one
	// and two ProbeTimeouts. Longer tolerates slower answers, shorter notices a
	// hanging or lost one sooner.
	ProbeTimeout time.Duration
}

// DefaultConfig returns the limits a treasury runs with.
func DefaultConfig() Config {
	return Config{
		FailureThreshold: 5,
		SuccessThreshold: 2,
		Timeout:          60 * time.Second,
		Window:           300 * time.Second,
		ProbeTimeout:     10 * time.Second,
	}
}

// Validate returns an error that names the first rule c breaks.
func (c Config) Validate() error {
	switch {
	case c.FailureThreshold < 1 || c.FailureThreshold > failureThresholdMax:
		return fmt.Errorf("failure_threshold is %d, want 1 to %d", c.FailureThreshold, failureThresholdMax)
	case c.SuccessThreshold < 1 || c.SuccessThreshold > successThresholdMax:
		return fmt.Errorf("success_threshold is %d, want 1 to %d", c.SuccessThreshold, successThresholdMax)
	case c.Timeout <= 0:
		return fmt.Errorf("timeout is %v, want more than 0", c.Timeout)
	case c.Window < windowMin:
		return fmt.Errorf("window is %v, want at least %v", c.Window, windowMin)
	case c.ProbeTimeout <= 0:
		return fmt.Errorf("probe_timeout is %v, want more than 0", c.ProbeTimeout)
	}
	return nil
}
