package durable_test

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
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
	results int
	refusal *messages.Error
}

func (a *answers) Reply(any)                { a.results++ }
func (a *answers) Fail(err *messages.Error) { a.results++; a.refusal = err }

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
		if a.results+b.results+c.results+e.results != 0 || d.results != 1 {
			t.Fatal("answered before the deadline")
		}
		time.Sleep(200 * time.Millisecond)
		synctest.Wait()
		for _, want := range []struct {
			*answers
			code messages.Code
		}{{a, messages.CodeUnavailable}, {b, messages.CodeOutcomeUnknown}, {c, messages.CodeUnavailable}} {
			if want.results != 1 || want.refusal.Code != want.code {
				t.Errorf("told %d times, at last %v; want %v", want.results, want.refusal, want.code)
			}
		}
		if queued.Propose() {
			t.Error("what was refused can be proposed")
		}
		proposed.Reply("too late")
		if b.results != 1 || d.results != 1 || e.results != 0 || late.Answered() {
			t.Error("somebody was told twice, or too early")
		}
		copied := *late
		copied.Reply("by way of a copy")
		late.Reply("again")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if e.results != 1 {
			t.Errorf("a request and its copy were answered %d times", e.results)
		}
	})
}
