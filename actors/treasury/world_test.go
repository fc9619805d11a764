package treasury_test

import (
	"context"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/audit"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// world is one node's treasury on a log in memory. It lives in a bubble.
type world struct {
	t   testing.TB
	cfg treasury.Config
	log *memoryLog
	// seat, if not nil, is this node's own end of a log that it shares with others.
	seat *seat
	// recent is how many changes the Store keeps for the follower.
	recent int

	store   *persistence.Store
	journal *persistence.Journal
	system  *actors.System
	*treasury.Treasury

	cancel context.CancelFunc
	tasks  sync.WaitGroup
	failed chan error
	asked  atomic.Int64
	// manual worlds advance their model at reach and at no other time.
	manual bool
	// unbound worlds are bound to a submitter by their first payment; others are already.
	unbound bool
	step    func() error
}

// live runs a test in a bubble with a world of its own.
func live(t *testing.T, test func(*world), tune ...func(*world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, tune...)
		defer w.end()
		test(w)
	})
}

func newWorld(t testing.TB, tune ...func(*world)) *world {
	t.Helper()
	cfg := treasury.DefaultConfig()
	cfg.Node, cfg.GraphShards, cfg.EnergyShards = "n1", 4, 1
	cfg.EpochInterval = 1000 * time.Hour // epochs come when a test asks for one
	w := &world{t: t, cfg: cfg, log: newMemoryLog(), recent: persistence.DefaultStoreConfig().RecentChanges}
	for _, f := range tune {
		f(w)
	}
	w.boot()
	return w
}

// boot starts the node on what the log holds.
func (w *world) boot() {
	w.t.Helper()
	cfg := persistence.DefaultStoreConfig()
	cfg.Columns, cfg.RecentChanges = rows.Columns(), w.recent
	store, err := persistence.Open(w.t.TempDir(), cfg)
	w.ok(err)
	w.store = store
	var log persistence.Log = w.log
	if w.seat != nil {
		w.seat.attach(persistence.NewFSM(store))
		log = w.seat
	} else {
		w.ok(w.log.attach(persistence.NewFSM(store)))
	}
	w.journal, err = persistence.NewJournal(persistence.DefaultJournalConfig(), log)
	w.ok(err)
	quiet := slog.New(slog.DiscardHandler)
	w.system, err = actors.New(actors.DefaultConfig(), quiet)
	w.ok(err)
	host := durable.NewHost(w.cfg.Shards(), durable.On(w.system), store, fenced{w.journal, w.t}, durable.ThisMachine())
	w.Treasury, err = treasury.New(w.cfg, host, quiet)
	w.ok(err)
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel, w.failed = cancel, make(chan error, 1)
	w.tasks.Go(func() { _ = w.journal.Run(ctx) })
	w.follow(ctx)
	if w.seat != nil {
		w.tasks.Go(func() { w.ok(w.seat.run(ctx)) })
		return
	}
	w.tasks.Go(func() { w.log.run(ctx) })
	w.claim()
}

func (w *world) follow(ctx context.Context) {
	t := w.Treasury
	if w.manual {
		w.step = func() error { return t.CatchUp(ctx) }
		return
	}
	w.tasks.Go(func() {
		if err := t.Follow(ctx); err != nil {
			w.failed <- err
		}
	})
}

// claim makes the actors own every shard, under the next fences.
func (w *world) claim() {
	w.t.Helper()
	owned := make(map[messages.ShardID]messages.Fence)
	txn := &persistence.Txn{}
	for i := range w.cfg.Shards() {
		shard := messages.ShardID(i)
		from := w.store.Owner(shard).Fence
		owned[shard] = from + 1
		txn.Assigns = append(txn.Assigns, persistence.Assign{Shard: shard, Owner: w.cfg.Node, From: from})
	}
	if _, version, err := rows.Binding(w.store); err == nil && version == 0 && !w.unbound {
		txn.Writes = []persistence.Write{{
			Key: rows.BindingKey, Value: payout.AppendBinding(nil, executor.BindingOf(w.cfg.Outside)),
		}}
	}
	if o := w.propose(txn); o.Err != nil || o.Result.Status != persistence.Committed {
		w.t.Fatalf("claim: %+v", o)
	}
	w.reach()
	w.Own(owned)
}

// propose has a Txn of the test's own judged.
func (w *world) propose(txn *persistence.Txn) persistence.Outcome {
	w.t.Helper()
	done := make(outcome, 1)
	w.ok(w.journal.Propose(persistence.Proposal{Txn: txn, Sink: done}))
	return <-done
}

type outcome chan persistence.Outcome

func (o outcome) Committed(list []persistence.Outcome) { o <- list[0] }

// reach waits until the model stands for all that the log has committed, as the node
// does before it gives a command to the treasury.
func (w *world) reach() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if w.step != nil {
		w.ok(w.step())
	}
	index := w.log.last()
	w.ok(w.store.Wait(ctx, index))
	w.ok(w.Model().Wait(ctx, index))
}

// end stops everything in order and looks at the books a last time.
func (w *world) end() {
	w.t.Helper()
	w.log.release()
	w.log.always(commits)
	w.quiet()
	w.check()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.ok(w.Stop(ctx))
	w.down(ctx)
}

// crash ends the node as kill -9 does, and starts it again on what the log holds.
// commit says whether what was on its way to the log got there.
func (w *world) crash(commit bool) {
	w.t.Helper()
	w.log.detach(commit)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	w.down(ctx)
	w.boot()
}

func (w *world) down(ctx context.Context) {
	w.t.Helper()
	w.cancel()
	w.tasks.Wait()
	w.ok(w.system.Stop(ctx))
	w.ok(w.store.Close())
	time.Sleep(2 * time.Second) // buntdb's ticker ends then
	select {
	case err := <-w.failed:
		w.t.Errorf("follow: %v", err)
	default:
	}
}

// quiet lets all that goes on by itself come to rest.
func (w *world) quiet() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

// check audits the books. No cascade may be under way.
func (w *world) check() {
	w.t.Helper()
	report, err := audit.Books(context.Background(), w.store)
	w.ok(err)
	if err := report.Err(); err != nil {
		w.t.Errorf("audit: %v", err)
	}
	if report.Unfinished > 0 {
		w.t.Errorf("audit: %d open disbursements have a rolled-back dependency", report.Unfinished)
	}
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// reply is where an answer arrives.
type reply struct {
	t      testing.TB
	done   chan struct{}
	once   sync.Once
	result any
	err    *messages.Error
}

func (r *reply) Reply(result any)         { r.answer(result, nil) }
func (r *reply) Fail(err *messages.Error) { r.answer(nil, err) }

func (r *reply) answer(result any, err *messages.Error) {
	first := false
	r.once.Do(func() {
		first = true
		r.result, r.err = result, err
		close(r.done)
	})
	if !first {
		r.t.Errorf("answered twice: %v %v, then %v %v", r.result, r.err, result, err)
	}
}

// wait gives the answer, which must come within two virtual minutes: a breaker may
// be open for one.
func (r *reply) wait() (any, *messages.Error) {
	r.t.Helper()
	select {
	case <-r.done:
	case <-time.After(2 * time.Minute):
		r.t.Fatal("no answer within two minutes")
	}
	return r.result, r.err
}

// answered reports whether the answer is there.
func (r *reply) answered() bool {
	select {
	case <-r.done:
		return true
	default:
		return false
	}
}

// result is the answer, which must be no refusal.
func result[R any](r *reply) R {
	r.t.Helper()
	got, err := r.wait()
	if err != nil {
		r.t.Fatalf("refused: %v", err)
	}
	value, ok := got.(R)
	if !ok {
		r.t.Fatalf("answered with a %T, want a %T", got, value)
	}
	return value
}

// refused wants a refusal of this code that says words.
func (r *reply) refused(code messages.Code, words string) *messages.Error {
	r.t.Helper()
	got, err := r.wait()
	switch {
	case err == nil:
		r.t.Fatalf("answered with %+v, want %v", got, code)
	case err.Code != code || !strings.Contains(err.Message, words):
		r.t.Errorf("refused with %q, want %v and %q", err, code, words)
	}
	return err
}

// how changes a request.
type how func(*durable.Request)

// as gives the request an id, so that it can be repeated.
func as(id string) how { return func(r *durable.Request) { r.ID = id } }

// within gives the request a deadline.
func within(d time.Duration) how {
	return func(r *durable.Request) { r.Deadline = time.Now().Add(d) }
}

// stamped says that the ingress chose the id.
func stamped(r *durable.Request) { r.Stamped = true }

// ask makes a request about params.
func (w *world) ask(params any, hows []how) (durable.Request, *reply) {
	w.t.Helper()
	encoded, err := json.Marshal(params)
	w.ok(err)
	h := fnv.New128a()
	_, _ = fmt.Fprintf(h, "%T%s", params, encoded)
	r := &reply{t: w.t, done: make(chan struct{})}
	request := durable.Request{To: r, ID: fmt.Sprintf("request-%d", w.asked.Add(1)), Deadline: time.Now().Add(5 * time.Second)}
	copy(request.Hash[:], h.Sum(nil))
	for _, f := range hows {
		f(&request)
	}
	return request, r
}

func (w *world) submit(p messages.Payload, hows ...how) *reply {
	w.t.Helper()
	request, r := w.ask(p, hows)
	w.Append([]treasury.Appendable{&treasury.Submission{Request: request, Payload: p}})
	return r
}

func (w *world) accrue(amount messages.Amount, hows ...how) *reply {
	w.t.Helper()
	request, r := w.ask(amount, hows)
	w.Append([]treasury.Appendable{&treasury.Accrual{Request: request, Amount: amount}})
	return r
}

func (w *world) plan(items []messages.PlanItem, hows ...how) *reply {
	w.t.Helper()
	request, r := w.ask(items, hows)
	w.Append([]treasury.Appendable{&treasury.Plan{Request: request, Items: items}})
	return r
}

func (w *world) vote(id messages.DisbursementID, v disbursement.Vote, hows ...how) *reply {
	w.t.Helper()
	w.reach()
	request, r := w.ask(struct {
		ID messages.DisbursementID
		V  disbursement.Vote
	}{id, v}, hows)
	w.Command(&treasury.Vote{Request: request, ID: id, Vote: v})
	return r
}

func (w *world) rollback(id messages.DisbursementID, reason string, hows ...how) *reply {
	w.t.Helper()
	w.reach()
	request, r := w.ask([]any{"rollback", id, reason}, hows)
	w.Command(&treasury.Rollback{Request: request, ID: id, Reversal: disbursement.Reversal{Reason: reason}})
	return r
}

func (w *world) queue(id messages.DisbursementID, hows ...how) *reply {
	w.t.Helper()
	w.reach()
	request, r := w.ask([]any{"queue", id}, hows)
	w.Command(&treasury.Queue{Request: request, ID: id})
	return r
}

func (w *world) execute(id messages.DisbursementID, hows ...how) *reply {
	w.t.Helper()
	w.reach()
	request, r := w.ask([]any{"execute", id}, hows)
	w.Execute(&executor.Execute{Request: request, ID: id})
	return r
}

func (w *world) advance(hows ...how) *reply {
	w.t.Helper()
	request, r := w.ask("advance", hows)
	w.Advance(&treasury.Advance{Request: request})
	return r
}

// epochs advances n epochs, each after all that the one before brought about.
func (w *world) epochs(n int) {
	w.t.Helper()
	for range n {
		result[*messages.EpochResult](w.advance())
		w.quiet()
	}
}

// submitted is the id of a disbursement that must be taken.
func (w *world) submitted(p messages.Payload, hows ...how) messages.DisbursementID {
	w.t.Helper()
	return result[*messages.SubmitDisbursementResult](w.submit(p, hows...)).ID
}

// funded accrues.
func (w *world) funded(amount messages.Amount) {
	w.t.Helper()
	result[*messages.AccrueResult](w.accrue(amount))
}

// get is the disbursement as a reader sees it.
func (w *world) get(id messages.DisbursementID) messages.DisbursementView {
	w.t.Helper()
	row, refusal := w.Get(id)
	if refusal != nil {
		w.t.Fatalf("get %d: %v", id, refusal)
	}
	return row.Disbursement
}

// is wants a disbursement to be in a state.
func (w *world) is(id messages.DisbursementID, want messages.State) {
	w.t.Helper()
	if got := w.get(id).Status.State; got != want {
		w.t.Errorf("disbursement %d is %s, want %s", id, got, want)
	}
}

// holds wants the treasury to hold an amount.
func (w *world) holds(want messages.Amount) {
	w.t.Helper()
	got, refusal := w.Balance()
	if refusal != nil || got.Balance != want {
		w.t.Errorf("the treasury holds %d (%v), want %d", got.Balance, refusal, want)
	}
}

// payment is a payload that the treasury itself initiates, due from epoch on.
func payment(amount messages.Amount, epoch messages.Epoch, deps ...messages.DisbursementID) messages.Payload {
	p := messages.Payload{Disbursement: messages.Disbursement{
		Destination: "tb1payee", Amount: amount, ScheduledEpoch: epoch,
	}}
	if len(deps) > 0 {
		words := make([]string, len(deps))
		for i, dep := range deps {
			words[i] = fmt.Sprint(dep)
		}
		p.Disbursement.Memo = "depends_on=" + strings.Join(words, ",")
	}
	return p
}

// proposal is a payload that both houses vote on.
func proposal(amount messages.Amount, epoch messages.Epoch, deps ...messages.DisbursementID) messages.Payload {
	p := payment(amount, epoch)
	p.Proposal = &messages.Proposal{
		Title: "a title", Summary: "a summary", Deps: deps,
		Quorum:           messages.Quorum{OperatorsPPM: 500_000, BuildersPPM: 400_000},
		VoteWindowEpochs: 2, TimelockEpochs: 1, RollbackWindowEpochs: 2,
	}
	return p
}

// carried votes a proposal through, in both houses.
func (w *world) carried(id messages.DisbursementID) {
	w.t.Helper()
	result[*messages.VoteResult](w.vote(id, ayes(messages.Operators, "ada", 500_000)))
	result[*messages.VoteResult](w.vote(id, ayes(messages.Builders, "bob", 400_000)))
}

func ayes(house messages.House, voter string, weight messages.PPM) disbursement.Vote {
	return disbursement.Vote{House: house, Voter: voter, WeightPPM: weight, Approve: true}
}

// fenced is the journal, to which nobody proposes what bears no fence.
type fenced struct {
	*persistence.Journal
	t testing.TB
}

func (f fenced) Propose(p persistence.Proposal) error {
	t := p.Txn
	if changes := len(t.Conditions) + len(t.Writes) + len(t.Adds) + len(t.Appends) + len(t.Deletes); changes > 0 && len(t.Fences) == 0 {
		f.t.Errorf("a change of %d rows and %d counters is nobody's", len(t.Writes)+len(t.Appends)+len(t.Deletes), len(t.Adds))
	}
	return f.Journal.Propose(p)
}
