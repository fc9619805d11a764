package monitoring

import (
	"crypto/tls"
	"errors"
	"net/http"
	"time"
)

// Config says where the pages are served and how patient the server is.
type Config struct {
	// Addr is where the HTTP server listens, host:port.
	Addr string
	// TLS is the server's; nil serves without.
	TLS *tls.Config
	// MayRead judges who may see more than whether the node is up: /metrics, the page at /
	// and /debug. Nil lets everybody.
	MayRead func(*http.Request) bool
	// Debug serves /debug/pprof: it shows memory and command line to whoever asks.
	Debug bool
	// HeaderTimeout is how long a client may take to send a request's header.
	// Lowered, it cuts off slow clients sooner; raised, they hold connections longer.
	HeaderTimeout time.Duration
	// RequestTimeout bounds reading a request and writing its answer. It is longer
	// than the longest deadline a caller of /rpc may ask for.
	RequestTimeout time.Duration
	// IdleTimeout is how long a kept-alive connection may say nothing.
	IdleTimeout time.Duration
	// StopTimeout is how long Run waits, when it ends, for answers under way.
	StopTimeout time.Duration
}

// DefaultConfig serves on loopback at the default base port plus 3.
func DefaultConfig() Config {
	return Config{
		Addr:           "127.0.0.1:9003",
		HeaderTimeout:  5 * time.Second,
		RequestTimeout: 65 * time.Second,
		IdleTimeout:    2 * time.Minute,
		StopTimeout:    2 * time.Second,
	}
}

func (c Config) validate() error {
	var errs []error
	if c.Addr == "" {
		errs = append(errs, errors.New("addr: an address is needed"))
	}
	for key, d := range map[string]time.Duration{
		"header_timeout": c.HeaderTimeout, "request_timeout": c.RequestTimeout,
		"idle_timeout": c.IdleTimeout, "stop_timeout": c.StopTimeout,
	} {
		if d <= 0 {
			errs = append(errs, errors.New(key+": must be positive"))
		}
	}
	return errors.Join(errs...)
}
