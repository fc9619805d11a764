package chaintest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

// Fault is what happens to what comes in one POST: a request, or a batch of them.
type Fault int

// The faults.
const (
	// None: it is done and answered.
	None Fault = iota
	// Unavailable: status 503, and it is not done.
	Unavailable
	// Failed: it is done, and the status is 500.
	Failed
	// Lost: it is not done, and there is no answer.
	Lost
	// Unanswered: it is done, and there is no answer.
	Unanswered
	// Late: there is no answer, and it is done long after the asker gave up.
	Late
	// Slow: it is done and answered after a second.
	Slow
	// Garbled: it is done, and the answer is no JSON.
	Garbled
	// Stranger: it is done, and the answer is to another request.
	Stranger
	// Half: the first half is done, of one request nothing, and there is no answer: a
	// restart in the middle.
	Half
	// Holes: it is done, and of the answers every other is missing, the first among them.
	Holes
	// Truncated: it is done, and only the first half is answered, or the one request.
	Truncated
	// Backwards: it is done and answered in the opposite order.
	Backwards
	// Twice: it is done twice, and answered twice.
	Twice

	faults
)

// Faults lists all faults but None.
func Faults() []Fault {
	var list []Fault
	for f := None + 1; f < faults; f++ {
		list = append(list, f)
	}
	return list
}

// lateBy is how long after its arrival a Late request is done.
const lateBy = 5 * time.Minute

// Node is a chain node. It is an http.Handler; close it at the end.
type Node struct {
	mu     sync.Mutex
	ledger *ledger
	fault  func(method string) Fault
	down   bool
	calls  map[string]int
	posts  []int // requests in each
	most   int   // requests in one batch
	manner Manner

	late   sync.WaitGroup
	closed chan struct{}
}

// NewNode starts a chain of its own.
func NewNode() *Node {
	return &Node{ledger: newLedger(), calls: make(map[string]int), most: 1 << 20, closed: make(chan struct{})}
}

// Close waits for what was still to be done late, and does it at once.
func (n *Node) Close() {
	close(n.closed)
	n.late.Wait()
}

// Manner is how a node declines a batch that is too large for it.
type Manner int

// The manners.
const (
	// AsObject: with one error instead of a list.
	AsObject Manner = iota
	// AsBadRequest, AsNotAllowed and AsTooLarge: with a status.
	AsBadRequest
	AsNotAllowed
	AsTooLarge
	// AsElement: with a list of one error.
	AsElement

	manners
)

// Manners lists all manners.
func Manners() []Manner {
	var list []Manner
	for m := range manners {
		list = append(list, m)
	}
	return list
}

// Batches makes the node take at most so many requests in one batch, 0 for a node that
// knows no batches, and decline others in a manner.
func (n *Node) Batches(most int, manner Manner) { n.with(func() { n.most, n.manner = most, manner }) }

// Gaps makes the node refuse, or not, a transaction whose nonce is not the next one
// after those it has.
func (n *Node) Gaps(refuse bool) { n.with(func() { n.ledger.gapless = refuse }) }

// Behave makes fault choose what happens to each POST, from now on; nil is None. A batch
// is told by the method of its first request.
func (n *Node) Behave(fault func(method string) Fault) { n.with(func() { n.fault = fault }) }

// Down makes the node unreachable, or brings it back. Its ledger survives.
func (n *Node) Down(down bool) { n.with(func() { n.down = down }) }

// Refuse makes reason decide which payments are refused for good; "" takes one.
func (n *Node) Refuse(reason func(payout.Transaction) string) {
	n.with(func() { n.ledger.refuse = reason })
}

// Manual makes transactions wait for Confirm, or not.
func (n *Node) Manual(manual bool) { n.with(func() { n.ledger.manual = manual }) }

// Replace lets a pending transaction make room for another on its nonce, or not.
func (n *Node) Replace(replace bool) { n.with(func() { n.ledger.replaces = replace }) }

// Confirm confirms all that waits and can be confirmed.
func (n *Node) Confirm() {
	n.with(func() {
		for _, a := range n.ledger.accounts {
			n.ledger.confirm(a)
		}
	})
}

// Payments gives the confirmed payments by disbursement: one each, if all is well.
func (n *Node) Payments() (paid map[messages.DisbursementID][]payout.Transaction) {
	n.with(func() { paid = n.ledger.payments() })
	return paid
}

// Balance is what an account was paid.
func (n *Node) Balance(account string) (balance messages.Amount) {
	n.with(func() { balance = n.ledger.balances[account] })
	return balance
}

// Next is an account's lowest nonce that is not confirmed, and how many of its
// transactions wait for one below them.
func (n *Node) Next(account string) (next uint64, waiting int) {
	n.with(func() {
		a := n.ledger.account(account)
		next, waiting = uint64(len(a.confirmed))+1, len(a.pending)
	})
	return next, waiting
}

// Sent lists an account's nonces in the order in which a transaction of theirs first
// came, whatever became of it.
func (n *Node) Sent(account string) (sent []uint64) {
	n.with(func() { sent = append(sent, n.ledger.account(account).sent...) })
	return sent
}

// Posts lists how many requests there were in each POST, faults included, but for those
// that look transactions up.
func (n *Node) Posts() (posts []int) {
	n.with(func() { posts = append(posts, n.posts...) })
	return posts
}

// Calls is how many requests of a method came, faults included.
func (n *Node) Calls(method string) (calls int) {
	n.with(func() { calls = n.calls[method] })
	return calls
}

// Transfer lets anybody pay, confirmed at once, and names the transaction.
func (n *Node) Transfer(sender, destination string, amount messages.Amount) (hash disbursement.Hash) {
	n.with(func() { hash = n.ledger.transfer(sender, destination, amount) })
	return hash
}

// Fork makes the chain forget an account's transactions from a nonce on, confirmed or not:
// it goes on from a block before them.
func (n *Node) Fork(account string, nonce uint64) { n.with(func() { n.ledger.fork(account, nonce) }) }

// Mine adds empty blocks.
func (n *Node) Mine(blocks uint64) { n.with(func() { n.ledger.block += blocks }) }

// Name gives the chain an id.
func (n *Node) Name(id string) { n.with(func() { n.ledger.id = id }) }

func (n *Node) with(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
}

// ServeHTTP implements http.Handler. What gets no answer ends when its asker gives up.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p, err := readPost(r.Body)
	if err != nil {
		http.Error(w, "not JSON-RPC", http.StatusBadRequest)
		return
	}
	switch fault := n.arrive(p); fault {
	case Unavailable:
		http.Error(w, "come back later", http.StatusServiceUnavailable)
	case Failed:
		_ = n.do(p.requests)
		http.Error(w, "something broke", http.StatusInternalServerError)
	case Lost:
		n.vanish(r.Context())
	case Unanswered:
		_ = n.do(p.requests)
		n.vanish(r.Context())
	case Half:
		_ = n.do(p.requests[:len(p.requests)/2])
		n.vanish(r.Context())
	case Late:
		n.late.Go(func() {
			select {
			case <-time.After(lateBy):
			case <-n.closed:
			}
			_ = n.do(p.requests)
		})
		n.vanish(r.Context())
	case Garbled:
		_ = n.do(p.requests)
		_, _ = w.Write([]byte("<html>"))
	case Slow:
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
		n.answer(w, p, n.do(p.requests))
	case None, Stranger, Holes, Truncated, Backwards, Twice:
		if n.takes(w, p) {
			n.answer(w, p, n.spoilt(p.requests, fault))
		}
	default:
		panic(fault)
	}
}

// post is what comes in one POST.
type post struct {
	requests []chain.Request
	batch    bool
}

// bodyMax is how long a body may be.
const bodyMax = 1 << 20

func readPost(body io.Reader) (post, error) {
	text, err := io.ReadAll(io.LimitReader(body, bodyMax))
	if err != nil {
		return post{}, err
	}
	p := post{batch: len(text) > 0 && text[0] == '['}
	if p.batch {
		err = json.Unmarshal(text, &p.requests)
	} else {
		p.requests = make([]chain.Request, 1)
		err = json.Unmarshal(text, &p.requests[0])
	}
	if err == nil && len(p.requests) == 0 {
		err = errors.New("an empty batch")
	}
	return p, err
}

func (n *Node) arrive(p post) (fault Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if p.requests[0].Method != chain.MethodTransaction {
		n.posts = append(n.posts, len(p.requests))
	}
	for _, r := range p.requests {
		n.calls[r.Method]++
		var params chain.SubmitParams
		if r.Method != chain.MethodSubmit || json.Unmarshal(r.Params, &params) != nil {
			continue
		}
		if raw, err := hex.DecodeString(params.RawTx); err == nil {
			n.ledger.come(raw)
		}
	}
	switch {
	case n.down:
		return Lost
	case n.fault == nil:
		return None
	}
	return n.fault(p.requests[0].Method)
}

// takes declines a batch that is too large, and reports whether it is not.
func (n *Node) takes(w http.ResponseWriter, p post) bool {
	var most int
	var manner Manner
	n.with(func() { most, manner = n.most, n.manner })
	if !p.batch || len(p.requests) <= most {
		return true
	}
	declined := chain.Response{Version: "2.0", Error: refused(-32600, "too many requests in a batch")}
	switch manner {
	case AsBadRequest:
		http.Error(w, "what?", http.StatusBadRequest)
	case AsNotAllowed:
		http.Error(w, "no", http.StatusMethodNotAllowed)
	case AsTooLarge:
		http.Error(w, "too much", http.StatusRequestEntityTooLarge)
	case AsElement:
		declined.ID = &p.requests[0].ID
		n.answer(w, p, []chain.Response{declined})
	default:
		n.answer(w, post{}, []chain.Response{declined})
	}
	return false
}

// spoilt does requests and answers them under a fault.
func (n *Node) spoilt(requests []chain.Request, fault Fault) (responses []chain.Response) {
	switch fault {
	case Stranger:
		for i := range requests {
			requests[i].ID += 1 << 32
		}
		return n.do(requests)
	case Holes:
		for i, response := range n.do(requests) {
			if i%2 == 1 {
				responses = append(responses, response)
			}
		}
		return responses
	case Truncated:
		return n.do(requests)[:(len(requests)+1)/2]
	case Backwards:
		slices.Reverse(requests)
		return n.do(requests)
	case Twice:
		return append(n.do(requests), n.do(requests)...)
	default:
		return n.do(requests)
	}
}

// vanish keeps the asker waiting for as long as it will.
func (n *Node) vanish(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-n.closed:
	}
	panic(http.ErrAbortHandler)
}

// answer writes responses in the form in which the requests came. Where that is no list
// and there is no response, there is no body.
func (n *Node) answer(w http.ResponseWriter, p post, responses []chain.Response) {
	w.Header().Set("Content-Type", "application/json")
	switch {
	case p.batch:
		_ = json.NewEncoder(w).Encode(responses)
	case len(responses) > 0:
		_ = json.NewEncoder(w).Encode(responses[0])
	}
}

// do carries requests out, one after the other.
func (n *Node) do(requests []chain.Request) (responses []chain.Response) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, request := range requests {
		result, refusal := n.doOne(request)
		response := chain.Response{Version: "2.0", ID: &request.ID, Error: refusal}
		if refusal == nil {
			response.Result, _ = json.Marshal(result)
		}
		responses = append(responses, response)
	}
	return responses
}

func (n *Node) doOne(request chain.Request) (any, *chain.ResponseError) {
	switch request.Method {
	case chain.MethodSubmit:
		var p chain.SubmitParams
		raw, err := decode(request.Params, &p, func() ([]byte, error) { return hex.DecodeString(p.RawTx) })
		if err != nil {
			return nil, err
		}
		hash, refusal := n.ledger.submit(raw)
		return chain.SubmitResult{TxHash: hex.EncodeToString(hash[:])}, refusal
	case chain.MethodTransaction:
		var p chain.TransactionParams
		if _, err := decode(request.Params, &p, nothing); err != nil {
			return nil, err
		}
		return n.ledger.transaction(p)
	case chain.MethodNonce:
		var p chain.NonceParams
		if _, err := decode(request.Params, &p, nothing); err != nil {
			return nil, err
		}
		return n.ledger.nonce(p), nil
	case chain.MethodInfo:
		if n.ledger.id != "" {
			return chain.InfoResult{ChainID: n.ledger.id}, nil
		}
	}
	return nil, refused(-32601, "there is no method %q", request.Method)
}

func nothing() ([]byte, error) { return nil, nil }

// decode reads parameters, and then what is in them.
func decode(params json.RawMessage, into any, then func() ([]byte, error)) ([]byte, *chain.ResponseError) {
	if err := json.Unmarshal(params, into); err != nil {
		return nil, refused(-32602, "%v", err)
	}
	b, err := then()
	if err != nil {
		return nil, refused(-32602, "%v", err)
	}
	return b, nil
}

// errDown is what a connection to a node that is down comes to.
var errDown = errors.New("connection refused")

// Transport reaches the node without a network: for tests in virtual time.
func (n *Node) Transport() http.RoundTripper { return transport{n} }

type transport struct{ node *Node }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (response *http.Response, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			if cause != http.ErrAbortHandler { //nolint:errorlint // a panic's value, by its identity
				panic(cause)
			}
			err = errors.Join(io.ErrUnexpectedEOF, r.Context().Err())
		}
	}()
	if r.Body != nil {
		defer func() { _ = r.Body.Close() }()
	}
	var down bool
	t.node.with(func() { down = t.node.down })
	if down {
		return nil, errDown
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	w := httptest.NewRecorder()
	t.node.ServeHTTP(w, r)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return w.Result(), nil
}
