package chain

import (
	"errors"
	"fmt"
	"net/url"
	"time"
)

// Config says which chain node is asked, and for whom.
type Config struct {
	// URL is where the node takes POST requests.
	URL string
	// Account is the treasury's address on the chain.
	Account string
	// Timeout bounds one request and its answer. Longer waits for a slow node, shorter
	// finds out sooner that it does not answer.
	Timeout time.Duration
	// AnswerBytesMax bounds an answer; a longer one is not understood.
	AnswerBytesMax int64
}

// DefaultConfig leaves URL and Account to the caller.
func DefaultConfig() Config {
	return Config{Timeout: 10 * time.Second, AnswerBytesMax: 64 << 10}
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
	if c.Timeout <= 0 {
		errs = append(errs, fmt.Errorf("chain: timeout %s is not positive", c.Timeout))
	}
	if c.AnswerBytesMax < 1024 {
		errs = append(errs, fmt.Errorf("chain: answers of at most %d bytes are too short", c.AnswerBytesMax))
	}
	return errors.Join(errs...)
}
