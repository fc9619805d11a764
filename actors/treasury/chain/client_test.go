package chain_test

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func signer(t testing.TB) *payout.Signer {
	t.Helper()
	s, err := payout.NewSigner(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func pay(t testing.TB, nonce uint64) payout.Intent {
	t.Helper()
	record := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{
		Destination: "tb1payee", Amount: 7, ScheduledEpoch: 1,
	}}, nil, disbursement.Facts{})
	return signer(t).Pay(messages.DisbursementID(nonce), nonce, &record)
}

func client(t testing.TB, url string, transport http.RoundTripper) *chain.Client {
	t.Helper()
	cfg := chain.DefaultConfig()
	cfg.URL, cfg.Account = url, signer(t).Account()
	c, err := chain.New(cfg, transport)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func wants(t *testing.T, c *chain.Client, ask payout.Ask, i payout.Intent, want payout.Verdict) payout.Answer {
	t.Helper()
	got := c.Ask(t.Context(), []payout.Question{{Ask: ask, Intent: i}})[0]
	if got.Verdict != want {
		t.Errorf("%s nonce %d: got %s (%s), want %s", ask, i.Nonce, got.Verdict, got.Reason, want)
	}
	return got
}

// TestAConversationWithANode goes over a real connection.
func TestAConversationWithANode(t *testing.T) {
	node := chaintest.NewNode()
	defer node.Close()
	server := httptest.NewServer(node)
	defer server.Close()
	c := client(t, server.URL, nil)

	node.Manual(true)
	first, second := pay(t, 1), pay(t, 2)
	wants(t, c, payout.Inquire, first, payout.Unknown)
	wants(t, c, payout.Watch, first, payout.Free)
	wants(t, c, payout.Submit, second, payout.Accepted) // ahead of its turn
	wants(t, c, payout.Submit, first, payout.Accepted)
	wants(t, c, payout.Submit, first, payout.Accepted) // already known
	wants(t, c, payout.Inquire, first, payout.Known)
	wants(t, c, payout.Watch, first, payout.Free)
	node.Confirm()
	if got := wants(t, c, payout.Watch, first, payout.Taken); got.Tx != first.Hash {
		t.Errorf("nonce 1 is taken by %x", got.Tx)
	}
	wants(t, c, payout.Submit, signer(t).Fill(1, 2), payout.NonceUsed)
	node.Refuse(func(payout.Transaction) string { return "sanctioned" })
	if got := wants(t, c, payout.Submit, pay(t, 3), payout.Refused); got.Reason != "sanctioned" {
		t.Errorf("refused because of %q", got.Reason)
	}
	if got := node.Balance("tb1payee"); got != 14 {
		t.Errorf("the payee has %d, want 14", got)
	}
	node.Refuse(nil)
	hash := node.Transfer("tb1payee", signer(t).Account(), 7)
	transfer, err := c.Transfer(t.Context(), hash)
	want := payout.Transfer{Confirmed: true, Sender: "tb1payee", Destination: signer(t).Account(), Amount: 7, Block: 3}
	if err != nil || transfer != want {
		t.Errorf("the transfer is %v, %v", transfer, err)
	}
}

// TestFinalIsAsDeepAsConfigured, and a fork shows.
func TestFinalIsAsDeepAsConfigured(t *testing.T) {
	node := chaintest.NewNode()
	defer node.Close()
	cfg := chain.DefaultConfig()
	cfg.URL, cfg.Account, cfg.Confirmations = "http://chain.test/", signer(t).Account(), 3
	c, err := chain.New(cfg, node.Transport())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	i := pay(t, 1)
	wants(t, c, payout.Submit, i, payout.Accepted)
	wants(t, c, payout.Confirm, i, payout.Known)
	node.Mine(1)
	wants(t, c, payout.Confirm, i, payout.Known)
	node.Mine(1)
	wants(t, c, payout.Confirm, i, payout.Final)
	node.Fork(cfg.Account, 1)
	wants(t, c, payout.Confirm, i, payout.Unknown)
}

func TestAChainMayHaveAName(t *testing.T) {
	node := chaintest.NewNode()
	defer node.Close()
	c := client(t, "http://chain.test/", node.Transport())
	if id, err := c.ID(t.Context()); id != "" || err != nil {
		t.Errorf("a chain without a name: %q, %v", id, err)
	}
	node.Name("block-main")
	if id, err := c.ID(t.Context()); id != "block-main" || err != nil {
		t.Errorf("got %q, %v", id, err)
	}
	node.Down(true)
	if id, err := c.ID(t.Context()); err == nil {
		t.Errorf("down: %q", id)
	}
}

// TestNoFaultIsTakenForAnAnswer, in virtual time.
func TestNoFaultIsTakenForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := chaintest.NewNode()
		defer node.Close()
		c := client(t, "http://chain.test/", node.Transport())
		i := pay(t, 1)
		for _, fault := range chaintest.Faults() {
			switch fault {
			case chaintest.Slow, chaintest.Truncated, chaintest.Backwards, chaintest.Twice:
				continue // one request alone is answered
			default:
			}
			node.Behave(func(string) chaintest.Fault { return fault })
			for _, ask := range []payout.Ask{payout.Submit, payout.Inquire, payout.Watch} {
				begun := time.Now()
				if got := wants(t, c, ask, i, payout.Unclear); got.Reason == "" {
					t.Errorf("fault %d: no reason", fault)
				}
				if took := time.Since(begun); took > chain.DefaultConfig().Timeout {
					t.Errorf("fault %d: it took %s", fault, took)
				}
			}
			if _, err := c.Transfer(t.Context(), i.Hash); err == nil {
				t.Errorf("fault %d: a transfer is known", fault)
			}
		}
		node.Behave(nil)
		node.Down(true)
		wants(t, c, payout.Submit, i, payout.Unclear)
		node.Down(false)
		wants(t, c, payout.Submit, i, payout.Accepted)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if got := c.Ask(ctx, []payout.Question{{Ask: payout.Submit, Intent: i}})[0]; got.Verdict != payout.Unclear {
			t.Errorf("cancelled: %s", got.Verdict)
		}
	})
}

// says is a node that answers every request with a result or error as given.
type says struct {
	status int
	body   string
}

func (s says) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	id := string(body)[strings.Index(string(body), `"id":`)+len(`"id":`):]
	id, _, _ = strings.Cut(id, ",")
	return &http.Response{
		StatusCode: s.status, Header: make(http.Header),
		Body: io.NopCloser(strings.NewReader(strings.ReplaceAll(s.body, "ID", id))),
	}, nil
}

func TestWhatANodeSaysIsReadWithCare(t *testing.T) {
	i := pay(t, 5)
	hash := hex.EncodeToString(i.Hash[:])
	other := strings.Repeat("ab", 32)
	result := func(text string) string { return `{"jsonrpc":"2.0","id":ID,"result":` + text + `}` }
	fails := func(code int) string {
		return fmt.Sprintf(`{"jsonrpc":"2.0","id":ID,"error":{"code":%d,"message":"why"}}`, code)
	}
	tests := []struct {
		name   string
		ask    payout.Ask
		status int
		body   string
		want   payout.Verdict
	}{
		{"accepted", payout.Submit, 200, result(`{"tx_hash":"` + hash + `"}`), payout.Accepted},
		{"accepted, in capitals", payout.Submit, 200, result(`{"tx_hash":"` + strings.ToUpper(hash) + `"}`), payout.Accepted},
		{"another accepted", payout.Submit, 200, result(`{"tx_hash":"` + other + `"}`), payout.Unclear},
		{"nothing accepted", payout.Submit, 200, result(`{}`), payout.Unclear},
		{"no result", payout.Submit, 200, `{"jsonrpc":"2.0","id":ID}`, payout.Unclear},
		{"no id", payout.Submit, 200, `{"jsonrpc":"2.0","result":{"tx_hash":"` + hash + `"}}`, payout.Unclear},
		{"already known", payout.Submit, 200, fails(chain.CodeAlreadyKnown), payout.Accepted},
		{"refused", payout.Submit, 200, fails(chain.CodeRefused), payout.Refused},
		{"refused with another status", payout.Submit, 400, fails(chain.CodeRefused), payout.Unclear},
		{"nonce used", payout.Submit, 200, fails(chain.CodeNonceUsed), payout.NonceUsed},
		{"no such method", payout.Submit, 200, fails(-32601), payout.Unclear},
		{"bad parameters", payout.Submit, 200, fails(-32602), payout.Unclear},
		{"busy", payout.Submit, 200, fails(-32000), payout.Unclear},
		{"sent elsewhere", payout.Submit, 302, "", payout.Unclear},
		{"not found", payout.Submit, 404, "", payout.Unclear},
		{"an error without end", payout.Submit, 200, fails(chain.CodeRefused) + strings.Repeat(" ", 1<<17), payout.Unclear},
		{"pending", payout.Inquire, 200, result(`{"status":"pending","nonce":5}`), payout.Known},
		{"confirmed, in strings", payout.Inquire, 200, result(`{"status":"confirmed","nonce":"5","block":"9"}`), payout.Known},
		{"known under another nonce", payout.Inquire, 200, result(`{"status":"confirmed","nonce":6}`), payout.Unclear},
		{"unknown", payout.Inquire, 200, result(`{"status":"unknown"}`), payout.Unknown},
		{"unknown as an error", payout.Inquire, 200, fails(chain.CodeRefused), payout.Unclear},
		{"in some other state", payout.Inquire, 200, result(`{"status":"dropped"}`), payout.Unclear},
		{"a null result", payout.Inquire, 200, result(`null`), payout.Unclear},
		{"taken", payout.Watch, 200, result(`{"next":6,"tx_hash":"` + hash + `"}`), payout.Taken},
		{"free", payout.Watch, 200, result(`{"next":5,"tx_hash":""}`), payout.Free},
		{"taken by nothing", payout.Watch, 200, result(`{"next":6,"tx_hash":""}`), payout.Unclear},
		{"taken before its turn", payout.Watch, 200, result(`{"next":5,"tx_hash":"` + hash + `"}`), payout.Unclear},
		{"free, without a next", payout.Watch, 200, result(`{}`), payout.Unclear},
		{"confirmed", payout.Confirm, 200, result(`{"status":"confirmed","nonce":5,"block":9}`), payout.Final},
		{"confirmed, and told how deep", payout.Confirm, 200, result(`{"status":"confirmed","nonce":5,"confirmations":1}`), payout.Final},
		{"not confirmed yet", payout.Confirm, 200, result(`{"status":"pending","nonce":5,"confirmations":9}`), payout.Known},
		{"lost", payout.Confirm, 200, result(`{"status":"unknown"}`), payout.Unknown},
		{"confirmed under another nonce", payout.Confirm, 200, result(`{"status":"confirmed","nonce":6}`), payout.Unclear},
		{"a negative nonce", payout.Watch, 200, result(`{"next":-5,"tx_hash":""}`), payout.Unclear},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := client(t, "https://chain.test/secret", says{test.status, test.body})
			got := wants(t, c, test.ask, i, test.want)
			if strings.Contains(got.Reason, "secret") {
				t.Errorf("the reason shows the URL: %s", got.Reason)
			}
		})
	}
}

func TestAConfigurationIsChecked(t *testing.T) {
	for name, change := range map[string]func(*chain.Config){
		"no URL":         func(c *chain.Config) { c.URL = "" },
		"another scheme": func(c *chain.Config) { c.URL = "ftp://chain.test" },
		"no host":        func(c *chain.Config) { c.URL = "http:///rpc" },
		"no account":     func(c *chain.Config) { c.Account = "" },
		"no timeout":     func(c *chain.Config) { c.Timeout = 0 },
		"no depth":       func(c *chain.Config) { c.Confirmations = 0 },
		"short answers":  func(c *chain.Config) { c.AnswerBytesMax = 10 },
		"empty batches":  func(c *chain.Config) { c.BatchMax = 0 },
		"short batches":  func(c *chain.Config) { c.BatchBytesMax = c.AnswerBytesMax - 1 },
	} {
		cfg := chain.DefaultConfig()
		cfg.URL, cfg.Account = "http://chain.test", "tb1a"
		change(&cfg)
		if _, err := chain.New(cfg, nil); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	i := pay(f, 5)
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"tx_hash":"`+hex.EncodeToString(i.Hash[:])+`"}}`), byte(payout.Submit))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"error":{"code":-40001,"message":"no"}}`), byte(payout.Submit))
	f.Add([]byte(`{"jsonrpc":"2.0","id":1,"result":{"next":"6","tx_hash":""}}`), byte(payout.Watch))
	f.Fuzz(func(t *testing.T, body []byte, ask byte) {
		c := client(t, "https://chain.test/", says{200, string(body)})
		got := c.Ask(t.Context(), []payout.Question{{Ask: payout.Ask(ask), Intent: i}})[0]
		if got.Verdict == 0 {
			t.Fatalf("%s: no verdict", body)
		}
		if got.Verdict == payout.Taken && got.Tx == (disbursement.Hash{}) && !strings.Contains(string(body), strings.Repeat("0", 64)) {
			t.Fatalf("%s: taken by nothing", body)
		}
	})
}
