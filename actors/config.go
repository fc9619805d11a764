package actors

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/the-block/bursar/supervision"
)

// Config sizes one node's runtime.
type Config struct {
	// Workers is how many actors run at the same time. More than the number of
	// cores does not help: Receive must not block.
	Workers int
	// WorkersMax bounds the workers that stand in for blocked ones.
	WorkersMax int
	// Quota is how many messages an actor handles before others get their turn.
	// Raised: more throughput; lowered: fairer.
	Quota int
	// MailboxLimit is how many user messages an actor may have accepted and not
	// finished, where its spec names no limit. The next one is refused.
	MailboxLimit int
	// ActorsMax bounds the actors alive at once; Spawn fails beyond it.
	ActorsMax int
	// StallAfter is how long one message may take before its actor is reported as
	// stalled and a stand-in worker takes over the blocked worker's place.
	StallAfter time.Duration
	// Supervision is how the root supervises the actors that System.Spawn makes.
	Supervision supervision.Spec
}

// DefaultConfig returns the configuration of an ordinary node.
func DefaultConfig() Config {
	return Config{
		Workers:      runtime.GOMAXPROCS(0),
		WorkersMax:   runtime.GOMAXPROCS(0) + 256,
		Quota:        300,
		MailboxLimit: 1024,
		ActorsMax:    2_000_000,
		StallAfter:   200 * time.Millisecond,
		Supervision:  defaultSupervision(),
	}
}

func (c Config) validate() error {
	var errs []error
	need := func(ok bool, field, rule string) {
		if !ok {
			errs = append(errs, fmt.Errorf("actors: %s must be %s", field, rule))
		}
	}
	need(c.Workers >= 1, "Workers", "at least 1")
	need(c.WorkersMax >= c.Workers, "WorkersMax", "at least Workers")
	need(c.Quota >= 1, "Quota", "at least 1")
	need(c.MailboxLimit >= 1 && c.MailboxLimit <= mailboxLimitMax, "MailboxLimit", "1 to 1,048,576")
	need(c.ActorsMax >= 1, "ActorsMax", "at least 1")
	need(c.StallAfter >= time.Millisecond, "StallAfter", "at least 1ms")
	need(len(c.Supervision.Children) == 0, "Supervision.Children", "empty")
	need(c.Supervision.Template.Restart != 0, "Supervision.Template", "given")
	if err := c.Supervision.Validate(); err != nil {
		errs = append(errs, fmt.Errorf("actors: Supervision: %w", err))
	}
	return errors.Join(errs...)
}
