package node_test

import (
	"io"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages/wire"
)

// With TLS, metrics and the page want a certificate with a role; whether the node is up,
// anybody may ask.
func TestMetricsUnderTLSNeedARole(t *testing.T) {
	authority := filepath.Join(t.TempDir(), "certs")
	issue := func(name, role string) string {
		t.Helper()
		request := certs.Request{Name: name, Roles: []string{role}, Valid: 24 * time.Hour}
		if role == wire.CertNode {
			request.Hosts = []string{"127.0.0.1"}
		}
		dir, err := certs.Issue(authority, request, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		return dir
	}
	if err := certs.Init(authority, time.Now()); err != nil {
		t.Fatal(err)
	}
	cfg := config(t.TempDir())
	cfg.TLSDir, cfg.Debug = issue(string(cfg.Name), wire.CertNode), true
	m, err := begin(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.stop(); err != nil {
			t.Error(err)
		}
	})
	reader := func(dir string, proves bool) *http.Client {
		id, err := certs.Load(dir, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		secure := id.ClientConfig()
		if !proves {
			secure.Certificates = nil
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: secure}}
		t.Cleanup(client.CloseIdleConnections)
		return client
	}
	monitor := issue("prometheus", wire.CertMonitor)
	clients := map[string]*http.Client{
		"monitor": reader(monitor, true), "client": reader(issue("alice", wire.CertClient), true), "nobody": reader(monitor, false),
	}
	for _, page := range []string{"/metrics", "/", "/debug/pprof/cmdline", "/healthz"} {
		for who, client := range clients {
			answer, err := client.Get("https://" + m.cfg.Address(node.PortHTTP) + page)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			want := http.StatusOK
			if who == "nobody" && page != "/healthz" {
				want = http.StatusForbidden
			}
			if answer.StatusCode != want {
				t.Errorf("%s of %s is answered with %d, want %d", page, who, answer.StatusCode, want)
			}
			if want == http.StatusForbidden && !strings.Contains(string(body), "bursar cert issue --role monitor") {
				t.Errorf("%s does not say what to do: %s", page, body)
			}
		}
	}
}
