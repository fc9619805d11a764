package main

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

const (
	addrEnv     = "BURSAR_ADDR"
	tlsDirEnv   = "BURSAR_TLS_DIR" // the node's setting, too
	addrDefault = "127.0.0.1:9000"
	dialTimeout = 3 * time.Second
)

// target is the node a command talks to.
type target struct {
	addr    string
	timeout time.Duration
	tlsDir  string // "" calls without TLS
}

// flags adds --addr, --timeout and --tls-dir to a command.
func (t *target) flags(command *cobra.Command) {
	addr := os.Getenv(addrEnv)
	if addr == "" {
		addr = addrDefault
	}
	command.Flags().StringVar(&t.addr, "addr", addr,
		"the node's MessagePack-RPC address, host:port (or "+addrEnv+")")
	command.Flags().DurationVar(&t.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	command.Flags().StringVar(&t.tlsDir, "tls-dir", os.Getenv(tlsDirEnv),
		"directory with ca.crt, and client.crt and client.key of the caller, for a node with TLS (or "+tlsDirEnv+")")
}

// checkTarget refuses values of the flags of a target that no node can have.
func checkTarget(flags *pflag.FlagSet) error {
	if addr := flags.Lookup("addr"); addr != nil {
		if _, _, err := net.SplitHostPort(addr.Value.String()); err != nil {
			return usagef("--addr: %q is not host:port", addr.Value)
		}
	}
	if timeout, err := flags.GetDuration("timeout"); err == nil && timeout <= 0 {
		return usagef("--timeout: %s is not positive", timeout)
	}
	return nil
}

// link connects to the target when it is first needed.
func (t *target) link() *link { return &link{addr: t.addr, secure: t.secure} }

// secure is the TLS of the caller, nil where the node has none.
func (t *target) secure() (*tls.Config, error) {
	if t.tlsDir == "" {
		return nil, nil
	}
	id, err := certs.Load(t.tlsDir, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	return id.ClientConfig(), nil
}

// httpAddr is where the node with this RPC address serves its pages: the ports of a
// node have fixed places behind its base port.
func (t *target) httpAddr() (string, error) {
	host, port, err := net.SplitHostPort(t.addr)
	if err != nil {
		return "", usagef("--addr: %v", err)
	}
	base, err := strconv.Atoi(port)
	if err != nil {
		return "", usagef("--addr: the port %q is not a number", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(base-node.PortRPC+node.PortHTTP)), nil
}

// link is a connection to a node that is made again when it breaks. It may be used
// by many goroutines.
type link struct {
	addr   string
	secure func() (*tls.Config, error)

	mu     sync.Mutex
	client *wire.Client
}

// Call makes one call, over a new connection if the last one broke.
func (l *link) Call(ctx context.Context, method string, params messages.Params, result messages.Result) error {
	client, err := l.live(ctx)
	if err != nil {
		return err
	}
	return client.Call(ctx, method, params, result)
}

// CallJSON is Call with parameters and result as JSON.
func (l *link) CallJSON(ctx context.Context, method string, params []byte) ([]byte, error) {
	client, err := l.live(ctx)
	if err != nil {
		return nil, err
	}
	return client.CallJSON(ctx, method, params)
}

// live returns a connection that works as far as can be told. Callers wait for one
// another here, so that a broken connection is replaced once.
func (l *link) live(ctx context.Context) (*wire.Client, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		select {
		case <-l.client.Done():
			l.client.Close()
			l.client = nil
		default:
			return l.client, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	cfg, err := l.secure()
	if err != nil {
		return nil, err
	}
	l.client, err = connect(ctx, l.addr, cfg)
	return l.client, err
}

// connect dials a node, with TLS if there is a cfg. Its errors say what to do.
func connect(ctx context.Context, addr string, cfg *tls.Config) (*wire.Client, error) {
	if cfg == nil {
		client, err := wire.Dial(ctx, addr)
		if err != nil {
			return nil, unreachable(addr, err)
		}
		return client, nil
	}
	client, err := wire.DialTLS(ctx, addr, cfg)
	if dial := new(net.OpError); errors.As(err, &dial) && dial.Op == "dial" {
		return nil, unreachable(addr, err)
	}
	if err != nil {
		return nil, messages.Errorf(messages.CodeUnavailable, "no TLS with the node at %s: %v", addr, certs.Explain(addr, err))
	}
	return client, nil
}

func unreachable(addr string, err error) error {
	return messages.Errorf(messages.CodeUnavailable,
		"no node answers at %s (%v); is it running, and is --addr its base port?", addr, err)
}

// Close ends the connection, if there is one.
func (l *link) Close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.client != nil {
		l.client.Close()
		l.client = nil
	}
}
