package chain_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/actors/treasury/payout"
)

// signed are intents with nonces from 1 on: to sign them takes longest of all here.
var (
	signing sync.Mutex
	signed  []payout.Question
)

// submissions are questions to submit the nonces from first on.
func submissions(t testing.TB, first uint64, n int) []payout.Question {
	t.Helper()
	signing.Lock()
	defer signing.Unlock()
	last := int(first) - 1 + n
	for len(signed) < last {
		signed = append(signed, payout.Question{Ask: payout.Submit, Intent: pay(t, uint64(len(signed)+1))})
	}
	return slices.Clone(signed[first-1 : last])
}

// verdicts says an answer by its verdict.
func verdicts(answers []payout.Answer) string {
	var words []string
	for _, a := range answers {
		words = append(words, a.Verdict.String())
	}
	return strings.Join(words, " ")
}

// taking brings a client to where it knows that the node takes batches: it has submitted
// nonces 1 to 17.
func taking(t testing.TB, c *chain.Client) {
	t.Helper()
	if got := c.Ask(t.Context(), submissions(t, 1, 20)); verdicts(got) != "accepted" {
		t.Fatalf("nonce 1: %s", verdicts(got))
	}
	if got := c.Ask(t.Context(), submissions(t, 2, 20)); verdicts(got) != strings.TrimSpace(strings.Repeat("accepted ", 16)) {
		t.Fatalf("from nonce 2: %s", verdicts(got))
	}
}

// payAll submits nonces from first to last as the treasury does, each until it is accepted,
// and says how many requests were in vain.
func payAll(t *testing.T, c *chain.Client, first, last uint64) (failures int) {
	t.Helper()
	for first <= last {
		answers := c.Ask(t.Context(), submissions(t, first, int(min(last-first+1, payout.RoundMax))))
		if answers[0].Verdict == payout.Unclear {
			failures++
		}
		for _, a := range answers {
			if a.Verdict != payout.Accepted {
				break
			}
			first++
		}
	}
	return failures
}

// TestManyQuestionsGoInOneRequest goes over a real connection. The first goes alone, then
// one batch finds out that the node takes batches, and then they grow.
func TestManyQuestionsGoInOneRequest(t *testing.T) {
	node := chaintest.NewNode()
	defer node.Close()
	server := httptest.NewServer(node)
	defer server.Close()
	c := client(t, server.URL, nil)
	if failures := payAll(t, c, 1, 1000); failures != 0 {
		t.Errorf("%d requests were in vain", failures)
	}
	if diff := cmp.Diff([]int{1, 2, 16, 32, 64, 128, 256, 256, 247}, node.Posts()); diff != "" {
		t.Errorf("requests in each POST (-want +got):\n%s", diff)
	}
	if sent := node.Sent(signer(t).Account()); !slices.IsSorted(sent) || len(sent) != 1000 {
		t.Errorf("sent in the order %d", sent)
	}
	mixed := submissions(t, 1000, 2)
	mixed = append(mixed, payout.Question{Ask: payout.Watch, Intent: pay(t, 7)}, payout.Question{Ask: payout.Inquire, Intent: pay(t, 9)})
	if got := verdicts(c.Ask(t.Context(), mixed)); got != "accepted accepted taken known" {
		t.Errorf("got %s", got)
	}
}

func TestEachFaultOfABatch(t *testing.T) {
	const accepted, unclear = "accepted accepted accepted accepted", "unclear unclear unclear unclear"
	synctest.Test(t, func(t *testing.T) {
		node := chaintest.NewNode()
		defer node.Close()
		for _, fault := range chaintest.Faults() {
			want, ok := map[chaintest.Fault]string{
				chaintest.Slow: accepted, chaintest.Backwards: accepted,
				chaintest.Holes:     "unclear accepted unclear accepted",
				chaintest.Truncated: "accepted accepted unclear unclear",
			}[fault]
			if !ok {
				want = unclear
			}
			c := client(t, "http://chain.test/", node.Transport())
			taking(t, c)
			node.Behave(func(string) chaintest.Fault { return fault })
			answers := c.Ask(t.Context(), submissions(t, 18, 4))
			if got := verdicts(answers); got != want {
				t.Errorf("fault %d: %s, want %s", fault, got, want)
			}
			for _, a := range answers {
				if a.Verdict == payout.Unclear && a.Reason == "" {
					t.Errorf("fault %d: no reason", fault)
				}
			}
			node.Behave(nil)
			if failures := payAll(t, c, 18, 21); failures != 0 {
				t.Errorf("fault %d: %d failures after it", fault, failures)
			}
		}
	})
}

// TestANodeThatKnowsNoBatches: nothing that it is asked to submit is ever in doubt, and it
// is tried again after a while.
func TestANodeThatKnowsNoBatches(t *testing.T) {
	for _, manner := range chaintest.Manners() {
		synctest.Test(t, func(t *testing.T) {
			node := chaintest.NewNode()
			defer node.Close()
			node.Batches(0, manner)
			c := client(t, "http://chain.test/", node.Transport())
			for nonce := uint64(1); nonce <= 130; nonce++ {
				if got := c.Ask(t.Context(), submissions(t, nonce, 20)); verdicts(got) != "accepted" {
					t.Fatalf("manner %d: nonce %d: %s", manner, nonce, verdicts(got))
				}
				time.Sleep(time.Second)
			}
			if calls := node.Calls(chain.MethodNonce); calls != 3*2 {
				t.Errorf("manner %d: it was tried %d times in 130 s", manner, calls/2)
			}
			node.Batches(100, manner)
			time.Sleep(time.Minute)
			if got := c.Ask(t.Context(), submissions(t, 131, 20)); len(got) != 16 {
				t.Errorf("manner %d: %d at a time", manner, len(got))
			}
			node.Batches(0, manner) // another node behind the same address
			first := uint64(131 + 16)
			if failures := payAll(t, c, first, first+30); failures == 0 || failures > 8 {
				t.Errorf("manner %d: %d requests were in vain", manner, failures)
			}
		})
	}
}

// TestANodeThatTakesSmallBatches, and declines larger ones by a failure.
func TestANodeThatTakesSmallBatches(t *testing.T) {
	for _, manner := range []chaintest.Manner{chaintest.AsTooLarge, chaintest.AsElement} {
		for _, most := range []int{2, 10, 100} {
			synctest.Test(t, func(t *testing.T) {
				node := chaintest.NewNode()
				defer node.Close()
				node.Batches(most, manner)
				c := client(t, "http://chain.test/", node.Transport())
				failures := payAll(t, c, 1, 2000)
				posts := node.Posts()
				if failures > len(posts)/5 {
					t.Errorf("at most %d: %d of %d requests were in vain", most, failures, len(posts))
				}
				if want := 4 * 2000 / most; len(posts) > want {
					t.Errorf("at most %d: %d requests, want at most %d", most, len(posts), want)
				}
			})
		}
	}
}

// TestARequestThatTheNodeDoesNotSurviveIsFoundOutAlone.
func TestARequestThatTheNodeDoesNotSurviveIsFoundOutAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		node := chaintest.NewNode()
		defer node.Close()
		poison := hex.EncodeToString(pay(t, 300).Raw)
		c := client(t, "http://chain.test/", choking{node.Transport(), poison})
		failures := 0
		for first, alone := uint64(1), 0; alone < 5; {
			answers := c.Ask(t.Context(), submissions(t, first, 256))
			if answers[0].Verdict == payout.Unclear {
				if failures++; first == 300 && len(answers) == 1 {
					alone++
				}
			}
			for _, a := range answers {
				if a.Verdict == payout.Accepted {
					first++
				}
			}
			if failures > 20+alone || first > 300 {
				t.Fatalf("%d requests were in vain, the first now is %d", failures, first)
			}
		}
	})
}

// choking fails what has a text in it.
type choking struct {
	http.RoundTripper
	on string
}

// RoundTrip implements http.RoundTripper.
func (c choking) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if strings.Contains(string(body), c.on) {
		return &http.Response{StatusCode: http.StatusInternalServerError, Header: make(http.Header), Body: http.NoBody}, nil
	}
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	return c.RoundTripper.RoundTrip(r)
}

func TestABatchIsBoundedInBytes(t *testing.T) {
	node := chaintest.NewNode()
	defer node.Close()
	long := &measuring{RoundTripper: node.Transport()}
	cfg := chain.DefaultConfig()
	cfg.URL, cfg.Account = "http://chain.test/", signer(t).Account()
	cfg.AnswerBytesMax, cfg.BatchBytesMax = 4096, 4096
	c, err := chain.New(cfg, long)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if failures := payAll(t, c, 1, 100); failures != 0 {
		t.Errorf("%d requests were in vain", failures)
	}
	if long.most > 4096 || long.most < 3000 {
		t.Errorf("the longest has %d bytes", long.most)
	}
}

// measuring knows the longest body that went by.
type measuring struct {
	http.RoundTripper
	most int64
}

// RoundTrip implements http.RoundTripper.
func (m *measuring) RoundTrip(r *http.Request) (*http.Response, error) {
	m.most = max(m.most, r.ContentLength)
	return m.RoundTripper.RoundTrip(r)
}

// babbling answers batches with a body of its own, once it has passed for a node that
// takes them. Each ID in it stands for the id of the next request.
type babbling struct {
	http.RoundTripper
	body string
}

// RoundTrip implements http.RoundTripper.
func (b *babbling) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.body == "" {
		return b.RoundTripper.RoundTrip(r)
	}
	var requests []chain.Request
	if err := json.NewDecoder(r.Body).Decode(&requests); err != nil {
		return nil, err
	}
	body := b.body
	for _, request := range requests {
		body = strings.Replace(body, "ID", fmt.Sprint(request.ID), 1)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body))}, nil
}

func TestTheAnswersToABatchAreReadWithCare(t *testing.T) {
	known := fmt.Sprintf(`{"jsonrpc":"2.0","id":ID,"error":{"code":%d,"message":"known"}}`, chain.CodeAlreadyKnown)
	no := strings.Replace(known, fmt.Sprint(chain.CodeAlreadyKnown), fmt.Sprint(chain.CodeRefused), 1)
	for _, test := range []struct{ name, body, want string }{
		{"two answers", "[" + known + "," + no + "]", "accepted refused"},
		{"one answer", "[" + known + "]", "accepted unclear"},
		{"none", "[]", "unclear unclear"},
		{"null", "null", "unclear unclear"},
		{"nothing", "\n", "unclear unclear"},
		{"an object", known, "unclear unclear"},
		{"an unknown id", `[{"id":0,"result":{}},` + known + "]", "accepted unclear"},
		{"an id of words", `[{"id":"ID","result":{}},` + known + "]", "unclear accepted"},
		{"no id", `[{"jsonrpc":"2.0","error":{"code":-32600}},` + known + "]", "accepted unclear"},
		{"a null id", `[{"id":null,"error":{"code":-40001}},` + known + "]", "accepted unclear"},
		{"nonsense between", "[5,{},null,[]," + known + "]", "accepted unclear"},
		{"without an end", "[" + known, "unclear unclear"},
		{"longer than may be", "[" + known + "," + known + "]" + strings.Repeat(" ", 1<<20), "unclear unclear"},
	} {
		t.Run(test.name, func(t *testing.T) {
			node := chaintest.NewNode()
			defer node.Close()
			b := &babbling{RoundTripper: node.Transport()}
			c := client(t, "http://chain.test/", b)
			taking(t, c)
			b.body = test.body
			if got := verdicts(c.Ask(t.Context(), submissions(t, 18, 2))); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func FuzzBatchAnswers(f *testing.F) {
	f.Add([]byte(`[{"jsonrpc":"2.0","id":ID,"error":{"code":-40003,"message":"known"}},{"id":ID,"result":{}}]`))
	f.Add([]byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}`))
	f.Add([]byte(`[5,{},null,[],{"id":ID}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		if len(body) == 0 {
			return
		}
		node := chaintest.NewNode()
		defer node.Close()
		b := &babbling{RoundTripper: node.Transport()}
		c := client(t, "http://chain.test/", b)
		taking(t, c)
		b.body = string(body)
		answers := c.Ask(t.Context(), submissions(t, 18, 2))
		for i, a := range answers {
			if a.Verdict == 0 {
				t.Fatalf("%s: no verdict on %d", body, i)
			}
			if a.Verdict != payout.Unclear && !strings.Contains(string(body), "id") && !strings.Contains(string(body), "ID") {
				t.Fatalf("%s: %s without an id", body, a.Verdict)
			}
		}
		if len(answers) != 2 {
			t.Fatalf("%s: %d answers", body, len(answers))
		}
	})
}
