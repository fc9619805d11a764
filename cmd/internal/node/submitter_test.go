package node_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/cmd/internal/node"
)

// keyFile writes a private key and returns its path.
func keyFile(t *testing.T, key any, mode os.FileMode) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(path, text, mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T) ed25519.PrivateKey {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// chainNode is a chain that answers on a real socket.
func chainNode(t *testing.T) (*chaintest.Node, string) {
	t.Helper()
	chain := chaintest.NewNode()
	server := httptest.NewServer(chain)
	t.Cleanup(func() {
		chain.Close()
		server.CloseClientConnections()
		server.Close()
	})
	return chain, server.URL
}

// Payments go to a chain that fails one request in three, while node and chain come and
// go; its ledger has each of them once.
func TestANodePaysOnAnOutsideChain(t *testing.T) {
	const payments = 30
	chain, url := chainNode(t)
	faults := []chaintest.Fault{
		chaintest.None, chaintest.Failed, chaintest.None, chaintest.None, chaintest.Garbled, chaintest.None,
		chaintest.None, chaintest.Stranger, chaintest.None, chaintest.None, chaintest.Unavailable, chaintest.None,
	}
	var requests atomic.Uint64
	chain.Behave(func(string) chaintest.Fault { return faults[requests.Add(1)%uint64(len(faults))] })
	m := start(t, func(cfg *node.Config) {
		cfg.Submitter, cfg.SubmitterURL, cfg.SubmitterKey = node.SubmitterHTTP, url, keyFile(t, newKey(t), 0o600)
	})
	c := dial(t, m)
	must(t, c, "gov.treasury.accrue", object{"amount": 1000})
	advance(t, c)
	var ids []int64
	for i := range payments {
		if i == payments/2 {
			if err := m.stop(); err != nil {
				t.Fatal(err)
			}
			m = restart(t, m.cfg)
			c = dial(t, m)
		}
		ids = append(ids, submit(t, c, direct(7)))
	}
	for _, id := range ids {
		awaitState(t, c, id, "executed")
	}
	if got := chain.Balance("tb1alice"); got != 7*payments {
		t.Errorf("the payee has %d on the chain, want %d", got, 7*payments)
	}
	for id, transfers := range chain.Payments() {
		if len(transfers) != 1 {
			t.Errorf("disbursement %d was paid %d times", id, len(transfers))
		}
	}
	chain.Behave(nil)
	executor := must(t, c, "gov.treasury.executor", object{})
	if executor["submitter"] != "http" || integer(executor["next_nonce"]) != payments+1 || integer(executor["staged"]) != 0 {
		t.Errorf("the executor is %v", executor)
	}
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.skip_intent", object{"id": ids[0], "reason": "a test"}, "not paused")
	refused(t, c, validationFailed, "validation_failed", "gov.treasury.rollback_disbursement",
		object{"id": ids[0], "reason": "x", "reversing_tx": strings.Repeat("ab", 32)}, "confirmed")
}

func TestAKeyThatOthersMayReadIsRefused(t *testing.T) {
	_, url := chainNode(t)
	elliptic, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	nonsense := filepath.Join(t.TempDir(), "nonsense")
	if err := os.WriteFile(nonsense, []byte("a key"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, path, words string }{
		{"for the group", keyFile(t, newKey(t), 0o640), "0600"},
		{"for all", keyFile(t, newKey(t), 0o604), "0600"},
		{"executable", keyFile(t, newKey(t), 0o700), "0600"},
		{"of another kind", keyFile(t, elliptic, 0o600), "ed25519"},
		{"no key", nonsense, "PEM"},
		{"a directory", t.TempDir(), "not a file"},
		{"nowhere", filepath.Join(t.TempDir(), "absent"), "absent"},
	} {
		cfg := config(t.TempDir())
		cfg.Submitter, cfg.SubmitterURL, cfg.SubmitterKey = node.SubmitterHTTP, url, test.path
		if text := cannotOpen(t, cfg); !strings.Contains(text, test.words) || !strings.Contains(text, "submitter_key") {
			t.Errorf("%s: %q", test.name, text)
		}
	}
}

func TestTheSettingsOfASubmitter(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(*node.Config)
		words  string // "" if it is right
	}{
		{"the ledger", func(*node.Config) {}, ""},
		{"an outside chain", overHTTP("https://chain.example/rpc", "key"), ""},
		{"another", func(cfg *node.Config) { cfg.Submitter = "carrier pigeon" }, "neither ledger nor http"},
		{"a ledger with a URL", func(cfg *node.Config) { cfg.SubmitterURL = "http://localhost" }, "--submitter http"},
		{"no key", overHTTP("http://127.0.0.1:1", ""), "submitter_key"},
		{"no URL", overHTTP("", "key"), "submitter_url"},
		{"another scheme", overHTTP("ftp://localhost", "key"), "submitter_url"},
		{"a password", overHTTP("https://me:secret@chain.example", "key"), "no password"},
		{"plain http to elsewhere", overHTTP("http://chain.example", "key"), "--insecure"},
		{"https to elsewhere", overHTTP("https://chain.example", "key"), ""},
		{"plain http to loopback", overHTTP("http://[::1]:9", "key"), ""},
		{"plain http, insecure", func(cfg *node.Config) {
			overHTTP("http://chain.example", "key")(cfg)
			cfg.Insecure = true
		}, ""},
	} {
		cfg := node.DefaultConfig()
		test.change(&cfg)
		err := cfg.Validate()
		switch {
		case test.words == "" && err != nil:
			t.Errorf("%s: %v", test.name, err)
		case test.words != "" && (err == nil || !strings.Contains(err.Error(), test.words) || strings.Contains(err.Error(), "secret")):
			t.Errorf("%s: %v, want %q", test.name, err, test.words)
		}
	}
}

func overHTTP(url, key string) func(*node.Config) {
	return func(cfg *node.Config) {
		cfg.Submitter, cfg.SubmitterURL, cfg.SubmitterKey = node.SubmitterHTTP, url, key
	}
}
