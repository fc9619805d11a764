package chaintest

import (
	"context"
	"crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

// Fault is what happens to one request.
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

	late   sync.WaitGroup
	closed chan struct{}
}

// NewNode starts a chain of its own.
func NewNode() *Node {
	return &Node{ledger: newLedger(), calls: make(map[string]int), closed: make(chan struct{})}
}

// Close waits for what was still to be done late, and does it at once.
func (n *Node) Close() {
	close(n.closed)
	n.late.Wait()
}

// Behave makes fault choose what happens to each request, from now on; nil is None.
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
// came.
func (n *Node) Sent(account string) (sent []uint64) {
	n.with(func() { sent = append(sent, n.ledger.account(account).sent...) })
	return sent
}

// Calls is how many requests of a method came, faults included.
func (n *Node) Calls(method string) (calls int) {
	n.with(func() { calls = n.calls[method] })
	return calls
}

// Transfer lets a stranger pay, confirmed at once, and names the transaction.
func (n *Node) Transfer(destination string, amount messages.Amount) disbursement.Hash {
	signer, err := payout.NewSigner(ed25519.NewKeyFromSeed([]byte("a stranger who sends money back.")))
	if err != nil {
		panic(err)
	}
	var hash disbursement.Hash
	n.with(func() {
		a := n.ledger.account(signer.Account())
		tx := payout.Transaction{
			Nonce: uint64(len(a.confirmed)) + 1, Destination: destination, Amount: amount,
		}
		key, _ := hex.DecodeString(signer.Account()[len("tb1"):])
		copy(tx.Account[:], key)
		hash, _ = n.ledger.submit(signer.Sign(&tx))
		n.ledger.confirm(a)
	})
	return hash
}

func (n *Node) with(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
}

// ServeHTTP implements http.Handler. A request without an answer ends with its
// asker's patience.
func (n *Node) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var request chain.Request
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&request); err != nil {
		http.Error(w, "not JSON-RPC", http.StatusBadRequest)
		return
	}
	switch fault := n.arrive(request.Method); fault {
	case Unavailable:
		http.Error(w, "come back later", http.StatusServiceUnavailable)
	case Failed:
		_, _ = n.do(request)
		http.Error(w, "something broke", http.StatusInternalServerError)
	case Lost:
		n.vanish(r.Context())
	case Unanswered:
		_, _ = n.do(request)
		n.vanish(r.Context())
	case Late:
		n.late.Go(func() {
			select {
			case <-time.After(lateBy):
			case <-n.closed:
			}
			_, _ = n.do(request)
		})
		n.vanish(r.Context())
	case Garbled:
		_, _ = n.do(request)
		_, _ = w.Write([]byte("<html>"))
	case Stranger:
		request.ID++
		n.answer(w, request)
	case Slow:
		select {
		case <-time.After(time.Second):
		case <-r.Context().Done():
		}
		n.answer(w, request)
	case None:
		n.answer(w, request)
	default:
		panic(fault)
	}
}

func (n *Node) arrive(method string) (fault Fault) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.calls[method]++
	switch {
	case n.down:
		return Lost
	case n.fault == nil:
		return None
	}
	return n.fault(method)
}

// vanish keeps the asker waiting for as long as it will.
func (n *Node) vanish(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-n.closed:
	}
	panic(http.ErrAbortHandler)
}

func (n *Node) answer(w http.ResponseWriter, request chain.Request) {
	result, refusal := n.do(request)
	response := chain.Response{Version: "2.0", ID: &request.ID, Error: refusal}
	if refusal == nil {
		response.Result, _ = json.Marshal(result)
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(response)
}

// do carries a request out.
func (n *Node) do(request chain.Request) (any, *chain.ResponseError) {
	n.mu.Lock()
	defer n.mu.Unlock()
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
