package chain

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/the-block/bursar/actors/treasury/payout"
)

// Config says which chain node is asked, and for whom.
type Config struct {
	// URL is where the node takes POST requests.
	URL string
	// Account is the treasury's address on the chain.
	Account string
	// Confirmations is how deep a transaction must be confirmed to be final. More waits
	// longer before a payment is finalized and stands against longer forks.
	Confirmations uint64
	// Timeout bounds one request and its answer. Longer waits for a slow node, shorter
	// finds out sooner that it does not answer.
	Timeout time.Duration
	// AnswerBytesMax bounds an answer; a longer one is not understood.
	AnswerBytesMax int64
	// BatchMax is how many requests are sent at a time at most; 1 is one by one. More
	// pay more a round trip, and take the node longer before it answers.
	BatchMax int
	// BatchBytesMax bounds a batch, and the answer to one.
	BatchBytesMax int64
}

// DefaultConfig leaves URL and Account to the caller.
func DefaultConfig() Config {
	return Config{
		Confirmations: 1, Timeout: 10 * time.Second, AnswerBytesMax: 64 << 10,
		BatchMax: payout.RoundMax, BatchBytesMax: 512 << 10,
	}
}

func (c Config) validate() error {
	var errs []error
	u, err := url.Parse(c.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		errs = append(errs, errors.New("chain: the URL must be http:// or https:// and name a host"))
	}
	if c.Account == "" {
		errs = append(errs, errors.New("chain: an account is needed"))
	}
	if c.Confirmations < 1 {
		errs = append(errs, errors.New("chain: a transaction needs one confirmation at least"))
	}
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("chain: timeout %s is not positive", c.Timeout))
	}
	if c.AnswerBytesMax < 1024 {
		errs = append(errs, fmt.Errorf("chain: answers of at most %d bytes are too short", c.AnswerBytesMax))
	}
	if c.BatchMax < 1 {
		errs = append(errs, fmt.Errorf("chain: batches of at most %d requests are too short", c.BatchMax))
	}
	if c.BatchBytesMax < c.AnswerBytesMax {
		errs = append(errs, fmt.Errorf("chain: batches of at most %d bytes hold less than an answer", c.BatchBytesMax))
	}
	return errors.Join(errs...)
}
