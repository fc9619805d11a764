package authority_test

import (
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// world is an authority over a log that commits at once, and whoever carries its calls out.
// It remembers no request ids: what keeps a call from being carried out twice is its
// approvals alone.
type world struct {
	*rapid.T
	store *persistence.Store
	log   *persistencetest.Log
	a     *authority.Authority
	now   time.Time
	count int // of requests and keys

	meanwhile func()          // what happens while a call is being carried out
	dies      string          // "before" or "after" the commit; a call's answer is lost
	approver  string          // whose approval is on its way
	policy    uint64          // what the policy asked for when it set out
	held      map[uint64]bool // the calls that were ever held
}

func newWorld(t *rapid.T, dir string) *world {
	store, err := persistence.Open(dir, persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		T: t, store: store, log: persistencetest.NewLog(persistence.NewFSM(store)), now: time.Unix(1_000_000, 0), held: make(map[uint64]bool),
	}
	w.a = authority.New(authority.Config{
		Node: "n1", Cluster: func() string { return "c" }, Wall: func() time.Time { return w.now }, Open: w.open, Call: w.call,
		Executed: func(messages.DisbursementID) (messages.Amount, bool) { return 0, false },
	}, store, w)
	w.commit(&persistence.Txn{Level: persistence.LevelMax})
	return w
}

func (w *world) commit(txn *persistence.Txn) persistence.Result {
	results, err := w.log.Commit(txn)
	if err != nil {
		w.Fatal(err)
	}
	return results[0]
}

// Propose implements durable.Journal.
func (w *world) Propose(p persistence.Proposal) error {
	p.Sink.Committed([]persistence.Outcome{{Token: p.Token, Result: w.commit(p.Txn)}})
	return nil
}

var accrue = messages.MethodByName(messages.MethodAccrue)

// open reads an envelope of this test: the request id of an accrual of 1,000.
func (w *world) open(envelope []byte) (*messages.Method, messages.Params, *messages.Envelope, *messages.Error) {
	return accrue, &messages.AccrueParams{Amount: 1000}, &messages.Envelope{RequestID: string(envelope)}, nil
}

func (w *world) state() *authority.State {
	s, err := w.a.State()
	if err != nil {
		w.Fatal(err)
	}
	return s
}

func (w *world) pending(id uint64) messages.PendingInfo {
	r, refusal := w.a.Get(&messages.PendingParams{ID: id})
	if refusal != nil {
		w.Fatal(refusal)
	}
	return r.Pending
}

// good reports whether an operator may act, as a reader of its row would say.
func (w *world) good(name string) bool {
	o := w.state().Operators[name]
	return o != nil && !o.Revoked && uint64(w.now.Unix()) < o.NotAfter
}

// complete is what a call must have, looked at without the authority's own rules: it waits,
// its author may still act, and so many different ones who may act have approved it.
func (w *world) complete(id uint64, approver string) bool {
	p := w.pending(id)
	if p.State != "waiting" || !w.good(p.Operator) || !w.good(approver) || slices.Contains(p.Approved, approver) {
		return false
	}
	counting := map[string]bool{approver: true}
	for _, name := range p.Approved {
		if w.good(name) && slices.Contains(w.state().Operators[name].Roles, "operator") {
			counting[name] = true
		}
	}
	return slices.Contains(w.state().Operators[approver].Roles, "operator") && uint64(len(counting)) >= max(p.Need, w.policy)
}

// call carries out a call of which the authority says that it has its approvals.
func (w *world) call(_ context.Context, m *messages.Method, _ messages.Params, requestID string, as messages.Caller) ([]byte, *messages.Error) {
	raced := w.meanwhile != nil
	if raced {
		do, approver, policy := w.meanwhile, w.approver, w.policy
		w.meanwhile = nil
		at := w.now
		do()
		w.now = at // in no time
		w.approver, w.policy = approver, policy
	}
	if w.dies == "before" {
		return nil, durable.OutcomeUnknown()
	}
	complete := as.Signed.Granted != 0 && w.complete(as.Signed.Granted, w.approver)
	txn := &persistence.Txn{Adds: []persistence.Add{{Counter: "done/" + requestID, Delta: 1, Max: 1 << 40}}}
	right := w.a.Right(as.Signed, m.Name, requestID, "")
	right.Join(txn)
	// Whoever loses a race may be refused, and ask again.
	if committed := w.commit(txn).Status == persistence.Committed; committed != complete && (committed || !raced) {
		w.Fatalf("call %d was carried out: %v; approved by all it needs: %v", as.Signed.Granted, committed, complete)
	} else if !committed {
		return nil, durable.RightLost()
	}
	if w.dies == "after" {
		return nil, durable.OutcomeUnknown()
	}
	return []byte{0x80}, nil
}

// signed is an operator's signature as a node has just found it good.
func (w *world) signed(name, envelope string) *messages.Signed {
	o := w.state().Operators[name]
	return &messages.Signed{Operator: name, Version: o.Version, KeyID: o.KeyID, Envelope: []byte(envelope)}
}

func (w *world) request(by *messages.Signed, method string) *durable.Request {
	w.count++
	id := fmt.Sprint("request-", w.count)
	return &durable.Request{
		ID: id, Hash: [16]byte{byte(w.count), byte(w.count >> 8)}, By: messages.Caller{Signed: by}, Who: "loopback",
		Right: w.a.Right(by, method, id, ""),
	}
}

func (w *world) key() (key messages.PublicKey) {
	w.count++
	seed := sha256.Sum256([]byte(fmt.Sprint(w.count)))
	copy(key[:], ed25519.NewKeyFromSeed(seed[:]).Public().(ed25519.PublicKey))
	return key
}

func (w *world) add(by *messages.Signed, name string, roles ...string) {
	_, refusal := w.a.Add(w.Context(), w.request(by, messages.MethodOperatorsAdd), &messages.AddOperatorParams{
		Name: name, Key: w.key(), Roles: roles, NotAfter: uint64(w.now.Unix()) + 86400*uint64(rapid.IntRange(1, 30).Draw(w.T, "good for")),
	})
	if refusal != nil {
		w.Fatal(refusal)
	}
}

// acting are the operators whose signature a node would find good.
func (w *world) acting() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(w.state().Operators)), func(name string) bool { return !w.good(name) })
}

// step does one thing that people do. What the rules refuse is refused.
func (w *world) step() {
	acting := w.acting()
	if len(acting) == 0 {
		return
	}
	by := rapid.SampledFrom(acting).Draw(w.T, "by")
	signed := w.signed(by, fmt.Sprint("own-", w.count))
	calls := slices.Sorted(maps.Keys(w.held))
	call := func() uint64 {
		if len(calls) == 0 {
			return 0
		}
		return rapid.SampledFrom(calls).Draw(w.T, "call")
	}
	switch rapid.SampledFrom([]string{"ask", "approve", "approve", "approve", "late", "withdraw", "revoke", "rotate", "policy", "wait"}).Draw(w.T, "step") {
	case "ask":
		w.count++
		s := w.signed(by, fmt.Sprint("call-", w.count))
		_, params, _, _ := w.open(s.Envelope)
		r := w.request(s, accrue.Name)
		result, held, refusal := w.a.Hold(w.Context(), *r, accrue, params)
		if refusal == nil && held {
			w.held[result.(*messages.ApproveResult).Pending] = true
		}
	case "approve":
		w.approve(call(), signed)
	case "late": // the signature was found good before its operator was revoked or given another key
		id, victim := call(), rapid.SampledFrom(acting).Draw(w.T, "victim")
		w.end(by, victim)
		w.approve(id, signed)
	case "withdraw":
		_, _ = w.a.Withdraw(w.Context(), w.request(signed, messages.MethodWithdraw), &messages.WithdrawParams{ID: call()})
	case "revoke":
		w.end(by, rapid.SampledFrom(acting).Draw(w.T, "victim"))
	case "rotate":
		_, _ = w.a.Rotate(w.Context(), w.request(signed, messages.MethodOperatorsRotate), &messages.RotateOperatorParams{Name: by, Key: w.key()})
	case "policy":
		k := uint64(rapid.IntRange(1, 4).Draw(w.T, "k"))
		_, _ = w.a.SetPolicy(w.Context(), w.request(signed, messages.MethodSetPolicy), &messages.SetPolicyParams{Policy: messages.Policy{Action: "accrue", K: k}})
	case "wait":
		w.now = w.now.Add(time.Duration(rapid.IntRange(1, 80).Draw(w.T, "hours")) * time.Hour)
	}
}

func (w *world) end(by, victim string) {
	r := w.request(w.signed(by, "end"), messages.MethodOperatorsRevoke)
	_, _ = w.a.Revoke(w.Context(), r, &messages.RevokeOperatorParams{Name: victim, Reason: "a test"})
}

func (w *world) approve(id uint64, by *messages.Signed) {
	if id == 0 {
		return
	}
	w.dies = rapid.SampledFrom([]string{"", "", "before", "after"}).Draw(w.T, "dies")
	w.approver, w.policy, w.meanwhile = by.Operator, w.state().Policies["accrue"].K, nil
	if rapid.IntRange(0, 3).Draw(w.T, "race") == 0 {
		w.meanwhile = w.step
	}
	p := &messages.ApproveParams{ID: id}
	copy(p.RequestHash[:], w.pending(id).RequestHash)
	_, _ = w.a.Approve(w.Context(), w.request(by, messages.MethodApprovalsApprove), p)
}

// Property: whoever asks, approves, withdraws, is revoked or is given another key, in any
// order and at the same time, and wherever the node dies between the last approval and its
// effect: a call is carried out once at most, and only when as many as it needs have approved
// it who may act at that moment.
func TestACallIsCarriedOutOnceWithAllItsApprovals(t *testing.T) {
	dir, run := t.TempDir(), 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		w := newWorld(t, fmt.Sprint(dir, "/", run))
		defer func() { _ = w.store.Close() }()
		w.add(nil, "ann", "admin", "operator")
		for _, name := range []string{"bob", "carol", "dave"} {
			w.add(w.signed("ann", ""), name, "operator")
		}
		w.add(w.signed("ann", ""), "eve", "admin", "voter")
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			w.step()
			w.check()
		}
	})
}

// check compares the rows of all calls with what was carried out.
func (w *world) check() {
	waiting := int64(0)
	for id := range w.held {
		p := w.pending(id)
		done, err := w.store.Counter("done/" + string(p.Envelope))
		if err != nil {
			w.Fatal(err)
		}
		want := int64(0)
		switch p.State {
		case "done":
			want = 1
		case "waiting", "expired":
			waiting++
		}
		if done != want {
			w.Fatalf("call %d is %s and was carried out %d times", id, p.State, done)
		}
	}
	if counted, err := w.store.Counter(authority.CounterWaiting); err != nil || counted != waiting {
		w.Fatalf("%d calls wait, %d are counted: %v", waiting, counted, err)
	}
}
