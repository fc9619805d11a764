package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// reloadEvery is how often it is looked whether the files have changed, at most.
const reloadEvery = 5 * time.Second

// Identity is who a node or caller is and whom it believes. It may be used by many
// goroutines.
type Identity struct {
	dir string
	log *slog.Logger

	mu      sync.Mutex
	files   *files
	stamps  []stamp
	checked time.Time
}

// stamp tells one state of a file from another.
type stamp struct {
	changed time.Time
	size    int64
}

// Load reads the directory named with --tls-dir. An error names the file and says what to
// do. Files that change later are read again within seconds; new ones that cannot be used
// are warned of in log, and the old stay in use.
func Load(dir string, log *slog.Logger) (*Identity, error) {
	now := time.Now()
	id := &Identity{dir: dir, log: log, stamps: stampsOf(dir), checked: now}
	var err error
	id.files, err = readFiles(dir, now)
	if err != nil {
		return nil, fmt.Errorf("tls_dir: %w", err)
	}
	return id, nil
}

func stampsOf(dir string) []stamp {
	var stamps []stamp
	for _, name := range []string{fileCA, fileNode, fileNodeKey, fileClient, fileClientKey} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			stamps = append(stamps, stamp{})
			continue
		}
		stamps = append(stamps, stamp{changed: info.ModTime(), size: info.Size()})
	}
	return stamps
}

// Reload takes the files up if they have changed, as every handshake does by itself some
// seconds after the last look. It is for nodes that nobody calls.
func (id *Identity) Reload() {
	id.mu.Lock()
	defer id.mu.Unlock()
	id.look(time.Now())
}

// current returns the files as they are now.
func (id *Identity) current() *files {
	id.mu.Lock()
	defer id.mu.Unlock()
	if now := time.Now(); now.Sub(id.checked) >= reloadEvery {
		return id.look(now)
	}
	return id.files
}

// look returns the files, read again if they have changed. mu is held.
func (id *Identity) look(now time.Time) *files {
	id.checked = now
	stamps := stampsOf(id.dir)
	if slices.Equal(stamps, id.stamps) {
		return id.files
	}
	id.stamps = stamps
	next, err := readFiles(id.dir, now)
	if err == nil && id.files.node != nil && next.node == nil {
		err = fmt.Errorf("%s is missing", filepath.Join(id.dir, fileNode))
	}
	if err != nil {
		id.log.Warn("the new certificates cannot be used; the old ones stay", "err", err)
		return id.files
	}
	id.files = next
	id.log.Info("new certificates are in use")
	return id.files
}

// CheckNode refuses what a node of this name, reached at host, cannot work with.
func (id *Identity) CheckNode(name messages.NodeID, host string) error {
	path := filepath.Join(id.dir, fileNode)
	node := id.current().node
	switch {
	case node == nil:
		return fmt.Errorf("tls_dir: %s is missing; issue it: bursar cert issue --role node --name %s --host %s", path, name, host)
	case !slices.Contains(wire.CertRoles(node.Leaf), wire.CertNode):
		return fmt.Errorf("tls_dir: %s is for no node; issue one with --role node", path)
	case node.Leaf.Subject.CommonName != string(name):
		return fmt.Errorf("tls_dir: %s is for node %s, and this one is %s; use the directory that was issued for it", path, node.Leaf.Subject.CommonName, name)
	}
	if err := node.Leaf.VerifyHostname(host); err != nil {
		return fmt.Errorf("tls_dir: %s is not for %s, where this node is reached (%w); issue one with --host %s", path, host, err, host)
	}
	if _, err := readSecret(id.GossipKeyFile()); err != nil {
		return fmt.Errorf("tls_dir: %w", err)
	}
	return nil
}

// GossipKeyFile is the file of the keys that encrypt gossip.
func (id *Identity) GossipKeyFile() string { return filepath.Join(id.dir, fileGossip) }

// Expires is when the first certificate of the directory ends.
func (id *Identity) Expires() time.Time {
	var first time.Time
	f := id.current()
	for _, cert := range []*tls.Certificate{f.node, f.client} {
		if cert != nil && (first.IsZero() || cert.Leaf.NotAfter.Before(first)) {
			first = cert.Leaf.NotAfter
		}
	}
	return first
}

// ServerConfig is for a node's doors to callers: they may have a certificate or not.
func (id *Identity) ServerConfig() *tls.Config {
	return id.serving(func(f *files) *tls.Config {
		cfg := f.config(f.node)
		cfg.ClientCAs, cfg.ClientAuth = f.ca, tls.VerifyClientCertIfGiven
		return cfg
	})
}

// peerServerConfig is for a node's doors to nodes.
func (id *Identity) peerServerConfig() *tls.Config {
	return id.serving(func(f *files) *tls.Config {
		cfg := f.config(f.node)
		cfg.ClientCAs, cfg.ClientAuth, cfg.VerifyConnection = f.ca, tls.RequireAndVerifyClientCert, mustBeNode
		return cfg
	})
}

// serving makes a configuration anew for each caller, of the files as they are then.
func (id *Identity) serving(build func(*files) *tls.Config) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, SessionTicketsDisabled: true,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			f := id.current()
			if f.node == nil {
				return nil, errors.New("there is no node's certificate")
			}
			return build(f), nil
		},
	}
}

// config is what all have in common. A resumed session would be judged by files that may
// have changed since, so there are none.
func (f *files) config(own *tls.Certificate) *tls.Config {
	cfg := &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: f.ca, SessionTicketsDisabled: true}
	if own != nil {
		cfg.Certificates = []tls.Certificate{*own}
	}
	return cfg
}

// mustBeNode refuses a far end that is no node.
func mustBeNode(state tls.ConnectionState) error {
	if leaf := state.PeerCertificates[0]; !slices.Contains(wire.CertRoles(leaf), wire.CertNode) {
		return fmt.Errorf("the certificate of %q is for no node; issue one with --role node", leaf.Subject.CommonName)
	}
	return nil
}

// ClientConfig is for a caller, with its certificate if the directory holds one.
func (id *Identity) ClientConfig() *tls.Config {
	f := id.current()
	return f.config(f.client)
}

// Network carries what nodes say to each other, with certificates on both sides.
func (id *Identity) Network() Network { return Network{id} }

// Network is TCP with TLS between nodes: each side proves that it is a node, and the one
// that is called, that it is the host that was meant.
type Network struct{ id *Identity }

// Listen binds addr. The handshake of a connection is made with its first byte.
func (n Network) Listen(addr string) (net.Listener, error) {
	var l net.ListenConfig
	tcp, err := l.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	return &peerListener{Listener: tcp, cfg: n.id.peerServerConfig()}, nil
}

// Dial connects to addr and shakes hands.
func (n Network) Dial(ctx context.Context, addr string) (net.Conn, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, err
	}
	var d net.Dialer
	tcp, err := d.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	f := n.id.current()
	cfg := f.config(f.node)
	cfg.ServerName, cfg.VerifyConnection = host, mustBeNode
	conn := &peerConn{tls.Client(tcp, cfg)}
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, errors.Join(Explain(addr, err), tcp.Close())
	}
	return conn, nil
}

// peerListener takes connections of nodes.
type peerListener struct {
	net.Listener
	cfg *tls.Config
}

// Accept waits for a connection.
func (l *peerListener) Accept() (net.Conn, error) {
	tcp, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &peerConn{tls.Server(tcp, l.cfg)}, nil
}

// peerConn is a connection between nodes.
type peerConn struct{ *tls.Conn }

// PeerName is the node's name that the far end has proven, "" before the handshake.
func (c *peerConn) PeerName() string {
	state := c.ConnectionState()
	if !state.HandshakeComplete || len(state.PeerCertificates) == 0 {
		return ""
	}
	return state.PeerCertificates[0].Subject.CommonName
}

// Explain adds to the error of a handshake with the node at addr what to do about it.
func Explain(addr string, err error) error {
	host, _, splitErr := net.SplitHostPort(addr)
	if splitErr != nil {
		host = addr
	}
	var (
		otherHost x509.HostnameError
		unknown   x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		plain     tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &otherHost):
		return fmt.Errorf("%w; issue the certificate of the node at %s with --host %s", err, addr, host)
	case errors.As(err, &unknown):
		return fmt.Errorf("%w; the node at %s and this side need certificates of one authority (bursar cert init)", err, addr)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("%w; issue another certificate for the node at %s, or set this machine's clock", err, addr)
	case errors.As(err, &plain):
		return fmt.Errorf("%w; does the node at %s run without --tls-dir?", err, addr)
	}
	return err
}
