package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

const (
	addrEnv     = "BURSAR_ADDR"
	tlsDirEnv   = "BURSAR_TLS_DIR" // the node's setting, too
	addrDefault = "127.0.0.1:9000"
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
		"the node's MessagePack-RPC address, host:port; of several, host:port,..., the next is asked when one does not answer (or "+addrEnv+")")
	command.Flags().DurationVar(&t.timeout, "timeout", 5*time.Second, "how long to wait for an answer")
	command.Flags().StringVar(&t.tlsDir, "tls-dir", os.Getenv(tlsDirEnv),
		"directory with ca.crt, and client.crt and client.key of the caller, for a node with TLS (or "+tlsDirEnv+")")
}

// checkTarget refuses values of the flags of a target that no node can have.
func checkTarget(flags *pflag.FlagSet) error {
	if addr := flags.Lookup("addr"); addr != nil {
		for one := range strings.SplitSeq(addr.Value.String(), ",") {
			if _, _, err := net.SplitHostPort(one); err != nil {
				return usagef("--addr: %q is not host:port", one)
			}
		}
	}
	if timeout, err := flags.GetDuration("timeout"); err == nil && timeout <= 0 {
		return usagef("--timeout: %s is not positive", timeout)
	}
	return nil
}

// connect gives a client of the target, which connects when it is first needed. With
// several addresses it follows the cluster over all of them.
func (t *target) connect() *client.Client {
	cfg := client.Config{Addrs: t.addrs()}
	if len(cfg.Addrs) > 1 {
		cfg = client.Follow(cfg.Addrs...)
	}
	cfg.TLS, cfg.Explain = t.secure, t.explain
	return client.New(cfg)
}

// addrs are the addresses that --addr lists.
func (t *target) addrs() []string { return strings.Split(t.addr, ",") }

// explain says why a node cannot be connected to, and what to do.
func (t *target) explain(addr string, err error) error {
	if dial := new(net.OpError); t.tlsDir == "" || errors.As(err, &dial) && dial.Op == "dial" {
		return fmt.Errorf("no node answers at %s (%w); is it running, and is --addr its base port?", addr, err)
	}
	return fmt.Errorf("no TLS with the node at %s: %w", addr, certs.Explain(addr, err))
}

// wrongPort says that --addr is another of a node's ports, if an error may come from that,
// and which.
func wrongPort(ctx context.Context, flags *pflag.FlagSet, err error) string {
	var answer *messages.Error
	flag := flags.Lookup("addr")
	if flag == nil || !errors.As(err, &answer) {
		return ""
	}
	addr, _, _ := strings.Cut(flag.Value.String(), ",")
	switch answer.Code {
	case messages.CodeMethodNotFound:
		return fmt.Sprintf("is %s a node's base port? An older node does not know the method, nor does the port for nodes, base port + %d", addr, node.PortActors)
	case messages.CodeUnavailable, messages.CodeOutcomeUnknown:
	default:
		return ""
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", http.NoBody)
	if err != nil {
		return ""
	}
	page, err := http.DefaultClient.Do(request)
	if err != nil {
		return ""
	}
	defer page.Body.Close()
	if page.Header.Get("Content-Type") == "" || page.StatusCode == http.StatusBadRequest {
		return "" // a node's base port says that it is none for HTTP
	}
	return fmt.Sprintf("%s answers HTTP, as the page of a node does; --addr wants its base port, %d lower", addr, node.PortHTTP)
}

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

// httpAddr is where the (first) node with this RPC address serves its pages: the ports of a
// node have fixed places behind its base port.
func (t *target) httpAddr() (string, error) {
	host, port, err := net.SplitHostPort(t.addrs()[0])
	if err != nil {
		return "", usagef("--addr: %v", err)
	}
	base, err := strconv.Atoi(port)
	if err != nil {
		return "", usagef("--addr: the port %q is not a number", port)
	}
	return net.JoinHostPort(host, strconv.Itoa(base-node.PortRPC+node.PortHTTP)), nil
}
