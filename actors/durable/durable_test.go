package durable_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// What a repeat is given is told by its kind alone: whatever its length is, and whatever
// other kinds there are.
func TestAReplyIsReadAsNothingElse(t *testing.T) {
	kind := func(name string) durable.Reply[messages.AccrueResult] {
		return durable.Reply[messages.AccrueResult]{Kind: name, Repeat: func(r *messages.AccrueResult) { r.Duplicate = true }}
	}
	names := rapid.StringMatching(`[a-z_]{1,31}`)
	rapid.Check(t, func(t *rapid.T) {
		name, other := names.Draw(t, "kind"), names.Draw(t, "other")
		want := messages.Amount(rapid.Uint64().Draw(t, "balance"))
		b := kind(name).Encode(&messages.AccrueResult{Balance: want})
		if len(b) > persistence.ReplyBytesMax {
			t.Fatalf("%d bytes", len(b))
		}
		got, ok := kind(name).Recall(b)
		if !ok || *got != (messages.AccrueResult{Balance: want, Duplicate: true}) {
			t.Fatalf("%+v, %t", got, ok)
		}
		if got, ok := kind(other).Recall(b); ok && other != name {
			t.Fatalf("%q is read as %q: %+v", name, other, got)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if got, ok := kind(name).Recall(b[:cut]); ok {
			t.Fatalf("%d of %d bytes are read as %+v", cut, len(b), got)
		}
	})
}

// answers counts what a caller is told.
type answers struct {
	mu      sync.Mutex
	times   int
	refusal *messages.Error
}

func (a *answers) Reply(any) { a.Fail(nil) }

func (a *answers) Fail(err *messages.Error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times++
	a.refusal = err
}

// told gives how often the caller was told something, and the last refusal.
func (a *answers) told() (times int, code messages.Code) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.refusal != nil {
		code = a.refusal.Code
	}
	return a.times, code
}

// times is how often the caller was told something.
func times(a *answers) int {
	n, _ := a.told()
	return n
}

// A caller is told at its deadline, exactly: not done where nothing was proposed, not known
// where something was.
func TestACallerIsAnsweredAtItsDeadlineExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		host := durable.NewHost(1, nil, nil, nil, durable.ThisMachine())
		began := time.Now()
		at := func(d time.Duration) (*durable.Request, *answers) {
			a := &answers{}
			return &durable.Request{To: a, Deadline: began.Add(d)}, a
		}
		queued, a := at(time.Second)
		proposed, b := at(time.Second)
		requeued, c := at(1050 * time.Millisecond)
		done, d := at(time.Second)
		late, e := at(time.Hour)
		durable.Watch(host.Deadlines, late, queued, proposed, requeued, done)
		if !proposed.Propose() || !requeued.Propose() || !done.Propose() {
			t.Fatal("they cannot be proposed")
		}
		requeued.Requeue()
		done.Reply("done")
		time.Sleep(999 * time.Millisecond)
		synctest.Wait()
		if times(a)+times(b)+times(c)+times(e) != 0 || times(d) != 1 {
			t.Fatal("answered before the deadline")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		for _, want := range []struct {
			*answers
			code messages.Code
		}{{a, messages.CodeUnavailable}, {b, messages.CodeOutcomeUnknown}, {c, messages.CodeUnavailable}} {
			if n, code := want.told(); n != 1 || code != want.code {
				t.Errorf("told %d times, at last %v; want %v", n, code, want.code)
			}
		}
		if queued.Propose() {
			t.Error("what was refused can be proposed")
		}
		proposed.Reply("too late")
		if times(b) != 1 || times(d) != 1 || times(e) != 0 || late.Answered() {
			t.Error("somebody was told twice, or too early")
		}
		copied := *late
		copied.Reply("by way of a copy")
		late.Reply("again")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if times(e) != 1 {
			t.Errorf("a request and its copy were answered %d times", times(e))
		}
	})
}

// held is a journal that keeps what it is given until a test has it judged.
type held struct {
	log  *persistencetest.Log
	list []persistence.Proposal
}

func (h *held) Propose(p persistence.Proposal) error {
	h.list = append(h.list, p)
	return nil
}

// judge has the first proposal committed, or refused as the log sees it.
func (h *held) judge(t *testing.T) {
	t.Helper()
	p := h.list[0]
	h.list = h.list[1:]
	results, err := h.log.Commit(p.Txn)
	if err != nil {
		t.Fatal(err)
	}
	p.Sink.Committed([]persistence.Outcome{{Token: p.Token, Result: results[0]}})
	synctest.Wait()
}

// attic is a shard of meters on a journal of the test's own.
type attic struct {
	*held
	host  *durable.Host
	store *persistence.Store
}

func newAttic(t *testing.T, test func(*attic)) {
	synctest.Test(t, func(t *testing.T) {
		store, err := persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
		if err != nil {
			t.Fatal(err)
		}
		a := &attic{held: &held{log: persistencetest.NewLog(persistence.NewFSM(store))}, store: store}
		system, err := actors.New(actors.DefaultConfig(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		a.host = durable.NewHost(1, durable.On(system), store, a.held, durable.ThisMachine())
		seat := durable.Seat{Host: a.host, Shard: 0}
		if _, err := a.host.SpawnTree("meters", durable.Member{Shard: 0, Spec: durable.Spec{
			Name: "shard-00", New: func() durable.Actor { return &shard{seat, durable.NewChildren(seat, &meters)} },
		}}); err != nil {
			t.Fatal(err)
		}
		if _, err := a.log.Commit(&persistence.Txn{Assigns: []persistence.Assign{{Shard: 0, Owner: "n1"}}}); err != nil {
			t.Fatal(err)
		}
		a.host.Own(map[messages.ShardID]messages.Fence{0: 1})
		test(a)
		for len(a.list) > 0 {
			a.judge(t)
		}
		if err := system.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second) // buntdb's ticker ends then
	})
}

// read sends a reading; without an id it is one that its register makes harmless.
func (a *attic) read(id string, register uint64) *answers {
	told := &answers{}
	a.host.SendRequest(0, &Reading{
		Request: durable.Request{To: told, ID: id, Stamped: id == "", Deadline: time.Now().Add(time.Second)},
		Meter:   "attic", Register: register,
	})
	synctest.Wait()
	return told
}

// While one Txn is in flight commands wait: those without an id become one Txn, up to one
// that has an id, which is alone.
func TestCommandsWithoutAnIDShareATxn(t *testing.T) {
	newAttic(t, func(a *attic) {
		told := []*answers{
			a.read("", 1), a.read("", 2), a.read("", 3), a.read("", 3), a.read("named", 4), a.read("", 5), a.read("", 6),
		}
		counts := func() (n int) {
			for _, t := range told {
				n += times(t)
			}
			return n
		}
		for i, want := range []int{2, 4, 5, 7} { // callers that have their answer after the i-th Txn
			if len(a.list) != 1 {
				t.Fatalf("%d Txns in flight, want 1", len(a.list))
			}
			if id := a.list[0].Txn.RequestID; (id == "named") != (i == 2) {
				t.Errorf("Txn %d bears the id %q", i, id)
			}
			a.judge(t)
			if got := counts(); got != want {
				t.Errorf("after Txn %d %d have their answer, want %d", i, got, want)
			}
		}
		for i, told := range told {
			if _, code := told.told(); (code != 0) != (i == 3) { // the register that was there already
				t.Errorf("reading %d: %v", i, code)
			}
		}
	})
}

// What a race was lost to is read again, and decided about anew; what has expired
// meanwhile is certainly not done.
func TestALostRaceIsDecidedAnew(t *testing.T) {
	newAttic(t, func(a *attic) {
		low, high := a.read("low", 5), a.read("high", 9)
		write := persistence.Write{Key: meterKey("attic"), Tag: 1, Value: []byte{0, 0, 0, 0, 0, 0, 0, 7}}
		if _, err := a.log.Commit(&persistence.Txn{Writes: []persistence.Write{write}}); err != nil {
			t.Fatal(err)
		}
		a.judge(t) // low lost
		if _, code := low.told(); code != messages.CodeValidationFailed {
			t.Errorf("the lower one was told %v", code)
		}
		late := a.read("late", 10)
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if _, code := high.told(); code != messages.CodeOutcomeUnknown {
			t.Errorf("at its deadline the one in the log was told %v", code)
		}
		if _, code := late.told(); code != messages.CodeUnavailable {
			t.Errorf("at its deadline the one behind it was told %v", code)
		}
		a.judge(t)
		if len(a.list) != 0 {
			t.Error("a command whose caller had left was proposed")
		}
		if n, code := a.read("high", 9).told(); n != 1 || code != 0 {
			t.Errorf("the repeat of what was not known was told %d times, %v", n, code)
		}
	})
}

// ending is an actor that is just being unloaded, as its parent sees it.
type ending struct {
	durable.Context
	watched int
}

func (e *ending) Child(string) (durable.Ref, bool) { return e, true }
func (e *ending) Watch(durable.Ref)                { e.watched++ }
func (e *ending) Path() string                     { return "/meters/shard-00/meter-attic" }
func (e *ending) Tell(any) error                   { return &actors.Refused{Reason: actors.Stopped} }
func (e *ending) TellInternal(any) error           { return nil }
func (e *ending) Stop(context.Context) error       { return nil }

// A command that meets an entity which is being unloaded is kept until that is gone.
func TestACommandOutlivesTheUnloadingOfItsEntity(t *testing.T) {
	newAttic(t, func(a *attic) {
		few := meters
		few.QueueMax = 2
		children := durable.NewChildren(durable.Seat{Host: a.host, Shard: 0}, &few)
		gone := &ending{}
		var told []*answers
		var sent []*Reading
		for i := range 4 {
			told = append(told, &answers{})
			sent = append(sent, &Reading{Request: durable.Request{To: told[i]}})
			if i == 3 {
				sent[0].Fail(durable.Expired()) // makes room
			}
			children.Forward(gone, "meter-attic", nil, sent[i])
		}
		if n, code := told[2].told(); n != 1 || code != messages.CodeOverloaded || gone.watched != 1 {
			t.Errorf("beyond what may wait: told %d times, %v; watched %d times", n, code, gone.watched)
		}
		list := children.Unpark(durable.Ended{Path: gone.Path()})
		if len(list) != 2 || list[0] != sent[1] || list[1] != sent[3] || children.Parked() {
			t.Errorf("%d commands came back", len(list))
		}
	})
}

// A node that loses its shard sends those away who wait, and keeps the one in the log.
func TestWhoWaitsIsSentToTheNewOwner(t *testing.T) {
	newAttic(t, func(a *attic) {
		first, second := a.read("first", 1), a.read("second", 2)
		a.host.Own(nil)
		synctest.Wait()
		if times(first) != 0 || !moved(second.refusal) {
			t.Errorf("in the log: told %d times; behind it: %v", times(first), second.refusal)
		}
		if third := a.read("third", 3); !moved(third.refusal) {
			t.Errorf("a new one: %v", third.refusal)
		}
		a.judge(t)
		if n, code := first.told(); n != 1 || code != 0 {
			t.Errorf("what was proposed in time: told %d times, %v", n, code)
		}
	})
}

// What is accepted waits for nobody. What would be refused waits until the Store is known
// not to be behind it, is decided anew, and those behind it keep their order.
func TestOnlyARefusalWaitsForTheStore(t *testing.T) {
	newAttic(t, func(a *attic) {
		var asked []func(*messages.Error)
		a.host.Confirm = func(_ time.Time, then func(*messages.Error)) { asked = append(asked, then) }
		answer := func(err *messages.Error) {
			asked[0](err)
			asked = asked[1:]
			synctest.Wait()
		}
		good := a.read("", 9)
		a.judge(t)
		if n, code := good.told(); n != 1 || code != 0 || len(asked) != 0 {
			t.Fatalf("told %d times, %v, after %d questions", n, code, len(asked))
		}
		stale, behind := a.read("", 8), a.read("", 12)
		if times(stale)+times(behind) != 0 || len(asked) != 1 || len(a.list) != 0 {
			t.Fatalf("%d questions, %d Txns in flight", len(asked), len(a.list))
		}
		write := persistence.Write{Key: meterKey("attic"), Tag: 1, Value: []byte{0, 0, 0, 0, 0, 0, 0, 7}}
		if _, err := a.log.Commit(&persistence.Txn{Writes: []persistence.Write{write}}); err != nil {
			t.Fatal(err)
		}
		answer(nil)
		if times(behind) != 0 || len(a.list) != 1 {
			t.Fatalf("%d Txns in flight", len(a.list))
		}
		a.judge(t)
		a.judge(t)
		for i, one := range []*answers{stale, behind} {
			if n, code := one.told(); n != 1 || code != 0 {
				t.Errorf("reading %d: told %d times, %v", i, n, code)
			}
		}
		for _, why := range []struct {
			err  *messages.Error
			want messages.Code
		}{{nil, messages.CodeValidationFailed}, {durable.Expired(), messages.CodeUnavailable}} {
			refused := a.read("", 1)
			answer(why.err)
			if n, code := refused.told(); n != 1 || code != why.want {
				t.Errorf("confirmed with %v: told %d times, %v, want %v", why.err, n, code, why.want)
			}
		}
	})
}

// moved reports whether a call was refused only because its shard is owned elsewhere.
func moved(refusal *messages.Error) bool { return refusal != nil && refusal.Data["moved"] == true }
