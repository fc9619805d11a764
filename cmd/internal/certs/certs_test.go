package certs_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/messages/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const days = 24 * time.Hour

var quiet = slog.New(slog.DiscardHandler)

// authority makes one in a directory of the test's.
func authority(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "certs")
	if err := certs.Init(dir, time.Now()); err != nil {
		t.Fatal(err)
	}
	return dir
}

// issue makes a directory for a node at 127.0.0.1 or for a caller.
func issue(t *testing.T, dir, name string, roles ...string) string {
	t.Helper()
	return issueAt(t, dir, name, time.Now(), roles...)
}

func issueAt(t *testing.T, dir, name string, now time.Time, roles ...string) string {
	t.Helper()
	r := certs.Request{Name: name, Roles: roles, Valid: 90 * days}
	if slices.Contains(roles, wire.CertNode) {
		r.Hosts = []string{"192.0.2.1", name + ".example"}
	}
	issued, err := certs.Issue(dir, r, now)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func load(t *testing.T, dir string) *certs.Identity {
	t.Helper()
	id, err := certs.Load(dir, quiet)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestIssuedDirectoryIsWhole(t *testing.T) {
	dir := authority(t)
	for issued, want := range map[string][]string{
		dir:                                     {"ca.crt", "ca.key", "gossip.key", "n1", "x"},
		issue(t, dir, "n1", "node"):             {"ca.crt", "gossip.key", "node.crt", "node.key"},
		issue(t, dir, "x", "operator", "voter"): {"ca.crt", "client.crt", "client.key"},
	} {
		entries, err := os.ReadDir(issued)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
			info, err := e.Info()
			if err != nil {
				t.Fatal(err)
			}
			if secret := strings.HasSuffix(e.Name(), ".key"); secret && info.Mode().Perm() != 0o600 {
				t.Errorf("%s has mode %s", e.Name(), info.Mode())
			}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s holds %v, want %v", issued, names, want)
		}
	}
	id := load(t, filepath.Join(dir, "n1"))
	for _, host := range []string{"192.0.2.1", "n1.example", "127.0.0.1", "localhost"} {
		if err := id.CheckNode("n1", host); err != nil {
			t.Error(err)
		}
	}
	if left := time.Until(id.Expires()); left < 89*days || left > 91*days {
		t.Errorf("it ends in %s", left)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	dir := authority(t)
	issued := issue(t, dir, "n1", "node")
	before, err := os.ReadFile(filepath.Join(issued, "node.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := certs.Init(dir, time.Now()); err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a second Init gives %v", err)
	}
	_, err = certs.Issue(dir, certs.Request{Name: "n1", Roles: []string{"client"}, Valid: days}, time.Now())
	if err == nil || !strings.Contains(err.Error(), "is there already") {
		t.Errorf("a second Issue gives %v", err)
	}
	after, err := os.ReadFile(filepath.Join(issued, "node.key"))
	if err != nil || !bytes.Equal(before, after) {
		t.Errorf("the key has changed: %v", err)
	}
}

func TestRequestsAreRefusedWithReasons(t *testing.T) {
	dir := authority(t)
	for want, r := range map[string]certs.Request{
		"name: ":                    {Name: "../n1", Roles: []string{"client"}, Valid: days},
		"role: name one of":         {Name: "x", Valid: days},
		`role: "root" is none`:      {Name: "x", Roles: []string{"root"}, Valid: days},
		"has no other role":         {Name: "x", Roles: []string{"node", "operator"}, Hosts: []string{"h"}, Valid: days},
		"only a node is reached":    {Name: "x", Roles: []string{"client"}, Hosts: []string{"h"}, Valid: days},
		"needs the addresses":       {Name: "x", Roles: []string{"node"}, Valid: days},
		`host: "a b"`:               {Name: "x", Roles: []string{"node"}, Hosts: []string{"a b"}, Valid: days},
		"days: 0 is outside 1..825": {Name: "x", Roles: []string{"client"}},
		"days: 826":                 {Name: "x", Roles: []string{"client"}, Valid: 826 * days},
	} {
		if _, err := certs.Issue(dir, r, time.Now()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gives %v, want %q", r, err, want)
		}
	}
	nowhere := filepath.Join(dir, "nowhere")
	_, err := certs.Issue(nowhere, certs.Request{Name: "x", Roles: []string{"client"}, Valid: days}, time.Now())
	if err == nil || !strings.Contains(err.Error(), "bursar cert init") {
		t.Errorf("without an authority: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("something was left behind: %v %v", entries, err)
	}
}

func TestEveryFaultOfADirectoryNamesItsFileAndWhatToDo(t *testing.T) {
	dir, other := authority(t), authority(t)
	foreign := issue(t, other, "n1", "node")
	move := func(to, from, name string) error {
		text, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, name), text, 0o600)
	}
	for name, c := range map[string]struct {
		now   time.Time
		spoil func(dir string) error
		want  []string
	}{
		"no-authority": {spoil: func(d string) error { return os.Remove(filepath.Join(d, "ca.crt")) }, want: []string{"ca.crt is missing", "copy"}},
		"no-key":       {spoil: func(d string) error { return os.Remove(filepath.Join(d, "node.key")) }, want: []string{"node.key is missing"}},
		"no-cert":      {spoil: func(d string) error { return os.Remove(filepath.Join(d, "node.crt")) }, want: []string{"node.crt is missing"}},
		"open-key":     {spoil: func(d string) error { return os.Chmod(filepath.Join(d, "node.key"), 0o644) }, want: []string{"node.key", "0644", "chmod 600"}},
		"no-pem": {spoil: func(d string) error { return os.WriteFile(filepath.Join(d, "ca.crt"), []byte("x"), 0o600) },
			want: []string{"ca.crt holds no CERTIFICATE"}},
		"ended":     {now: time.Now().Add(-100 * days), want: []string{"node.crt ended on", "issue another one for ended"}},
		"not-begun": {now: time.Now().Add(2 * days), want: []string{"node.crt begins on", "clock"}},
		"other-authority": {spoil: func(d string) error { return move(d, foreign, "ca.crt") },
			want: []string{"node.crt was not issued by the authority of", "ca.crt", "copy both"}},
		"other-key": {spoil: func(d string) error { return move(d, foreign, "node.key") }, want: []string{"node.key do not belong together"}},
	} {
		t.Run(name, func(t *testing.T) {
			now := c.now
			if now.IsZero() {
				now = time.Now()
			}
			issued := issueAt(t, dir, name, now, "node")
			if c.spoil != nil {
				if err := c.spoil(issued); err != nil {
					t.Fatal(err)
				}
			}
			_, err := certs.Load(issued, quiet)
			for _, part := range append(c.want, issued) {
				if err == nil || !strings.Contains(err.Error(), part) {
					t.Errorf("%q is missing in: %v", part, err)
				}
			}
		})
	}
}

func TestNodeIsToldWhatItsDirectoryLacks(t *testing.T) {
	dir := authority(t)
	n1, caller := load(t, issue(t, dir, "n1", "node")), load(t, issue(t, dir, "x", "client"))
	for want, err := range map[string]error{
		"is for node n1, and this one is n2": n1.CheckNode("n2", "127.0.0.1"),
		"issue one with --host 192.0.2.99":   n1.CheckNode("n1", "192.0.2.99"),
		"node.crt is missing":                caller.CheckNode("x", "127.0.0.1"),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	if err := os.Remove(n1.GossipKeyFile()); err != nil {
		t.Fatal(err)
	}
	if err := n1.CheckNode("n1", "127.0.0.1"); err == nil || !strings.Contains(err.Error(), "gossip.key is missing") {
		t.Errorf("without the gossip key: %v", err)
	}
}

// greet serves connections of the listener: each is told what the far end has proven.
func greet(t *testing.T, ln net.Listener) (addr string) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			_, _ = conn.Read(make([]byte, 1))
			_, _ = io.WriteString(conn, conn.(interface{ PeerName() string }).PeerName())
			_ = conn.Close()
		}
	}()
	t.Cleanup(func() { ln.Close(); <-done })
	return ln.Addr().String()
}

// meet connects one node to another and returns the names that each has proven.
func meet(ctx context.Context, from *certs.Identity, addr string) (near, far string, err error) {
	conn, err := from.Network().Dial(ctx, addr)
	if err != nil {
		return "", "", err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("?")); err != nil {
		return "", "", err
	}
	name, err := io.ReadAll(conn)
	if err == nil && len(name) == 0 {
		err = errors.New("it hangs up")
	}
	return string(name), conn.(interface{ PeerName() string }).PeerName(), err
}

func TestNodesProveThemselvesToEachOther(t *testing.T) {
	dir, other := authority(t), authority(t)
	n1, n2 := load(t, issue(t, dir, "n1", "node")), load(t, issue(t, dir, "n2", "node"))
	ln, err := n1.Network().Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := greet(t, ln)
	near, far, err := meet(t.Context(), n2, addr)
	if err != nil || near != "n2" || far != "n1" {
		t.Fatalf("n2 is known as %q to %q: %v", near, far, err)
	}
	for name, stranger := range map[string]*certs.Identity{
		"another authority's node": load(t, issue(t, other, "n2", "node")),
		"an operator":              load(t, issue(t, dir, "x", "operator")),
	} {
		if _, _, err := meet(t.Context(), stranger, addr); err == nil {
			t.Errorf("%s is let in", name)
		}
	}
}

func TestErrorsOfAHandshakeSayWhatToDo(t *testing.T) {
	dir, other := authority(t), authority(t)
	n1, n2 := load(t, issue(t, dir, "n1", "node")), load(t, issue(t, dir, "n2", "node"))
	ln, err := n1.Network().Listen("127.0.0.2:0")
	if err != nil {
		t.Skip("there is no second loopback address here: ", err)
	}
	_, _, err = meet(t.Context(), n2, greet(t, ln))
	if err == nil || !strings.Contains(err.Error(), "with --host 127.0.0.2") {
		t.Errorf("another host: %v", err)
	}
	ln, err = n1.Network().Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = meet(t.Context(), load(t, issue(t, other, "n2", "node")), greet(t, ln))
	if err == nil || !strings.Contains(err.Error(), "certificates of one authority") {
		t.Errorf("another authority: %v", err)
	}
}

func TestRenewedCertificatesAreTakenUp(t *testing.T) {
	dir := authority(t)
	issued := issue(t, dir, "n1", "node")
	n1, n2 := load(t, issued), load(t, issue(t, dir, "n2", "node"))
	ln, err := n1.Network().Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := greet(t, ln)
	before := n1.Expires()
	if err := os.Rename(issued, issued+".old"); err != nil {
		t.Fatal(err)
	}
	n1.LookAgain()
	if got := n1.Expires(); !got.Equal(before) {
		t.Errorf("without files it ends at %s", got)
	}
	later := time.Now().Add(30 * time.Minute)
	if issueAt(t, dir, "n1", later, "node") != issued {
		t.Fatal("the directory is another")
	}
	n1.LookAgain()
	if got := n1.Expires(); !got.After(before) {
		t.Errorf("the renewed certificate ends at %s, the old one at %s", got, before)
	}
	if _, far, err := meet(t.Context(), n2, addr); err != nil || far != "n1" {
		t.Errorf("with the renewed certificate: %q %v", far, err)
	}
}

func TestCallerWithoutCertificateIsServed(t *testing.T) {
	dir := authority(t)
	n1 := load(t, issue(t, dir, "n1", "node"))
	ln, err := tls.Listen("tcp", "127.0.0.1:0", n1.ServerConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for name, want := range map[string]int{"": 0, "x": 1} {
		caller := filepath.Join(t.TempDir(), "tls")
		if name == "" {
			text, err := os.ReadFile(filepath.Join(dir, "ca.crt"))
			if err == nil {
				err = errors.Join(os.Mkdir(caller, 0o700), os.WriteFile(filepath.Join(caller, "ca.crt"), text, 0o600))
			}
			if err != nil {
				t.Fatal(err)
			}
		} else {
			caller = issue(t, dir, name, "voter")
		}
		proven := make(chan int, 1)
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				proven <- -1
				return
			}
			defer conn.Close()
			if conn.(*tls.Conn).HandshakeContext(context.Background()) != nil {
				proven <- -2
				return
			}
			proven <- len(conn.(*tls.Conn).ConnectionState().PeerCertificates)
		}()
		d := tls.Dialer{Config: load(t, caller).ClientConfig()}
		conn, err := d.DialContext(t.Context(), "tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if got := <-proven; got != want {
			t.Errorf("%q shows %d certificates, want %d", name, got, want)
		}
		conn.Close()
	}
}
