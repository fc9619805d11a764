package treasury_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// restored has the log say what it says after a restore.
func (w *world) restored() {
	w.t.Helper()
	rest := rows.RestWrite(rows.Rest{At: time.Now(), Why: "restored from a backup"})
	o := w.propose(&persistence.Txn{Fences: []persistence.ShardFence{w.fence()}, Writes: []persistence.Write{rest}})
	w.ok(o.Err)
	w.crash(true)
}

func (w *world) fence() persistence.ShardFence {
	shard := w.ExecutorShard()
	return persistence.ShardFence{Shard: shard, Fence: w.store.Owner(shard).Fence}
}

func (w *world) resume(hows ...how) *reply {
	w.t.Helper()
	p := &messages.ResumeParams{Reason: "looked"}
	request, r := w.ask(p, hows)
	for _, b := range w.API() {
		if b.Method == messages.MethodResume {
			b.Work(context.Background(), request, p)
		}
	}
	return r
}

func rests(t *testing.T, w *world, ids ...messages.DisbursementID) {
	t.Helper()
	time.Sleep(5 * time.Minute)
	w.quiet()
	for _, id := range ids {
		w.is(id, messages.Draft)
	}
}

func TestNothingIsPaidAfterARestoreUntilAnOperatorResumes(t *testing.T) {
	live(t, func(w *world) {
		w.funded(100)
		w.epochs(1)
		w.restored()
		id := w.submitted(payment(10, 1))
		rests(t, w, id)
		w.execute(id).refused(messages.CodeUnavailable, "gov.treasury.resume")
		first := result[*messages.ResumeResult](w.resume(as("once")))
		if !first.Resumed || first.Duplicate {
			t.Errorf("resume = %+v", first)
		}
		time.Sleep(time.Minute)
		w.quiet()
		w.is(id, messages.Executed)
		if again := result[*messages.ResumeResult](w.resume(as("once"))); !again.Resumed || !again.Duplicate {
			t.Errorf("its repeat = %+v", again)
		}
		if later := result[*messages.ResumeResult](w.resume()); later.Resumed {
			t.Errorf("with nothing at rest it is %+v", later)
		}
		w.check()
	})
}

// What the chain knows and this log does not would be paid again.
func TestPaymentsDoNotGoOnWhileTheChainKnowsMore(t *testing.T) {
	a := &abroad{}
	live(t, func(w *world) {
		a.world = w
		a.begin(1000)
		a.payments(3)
		a.quiet()
		a.restored()
		ids := a.payments(2)
		signer, err := payout.NewSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize)))
		a.ok(err)
		later := disbursement.Record{Payload: payment(10, 1)}
		intent := signer.Pay(ids[0], 4, &later)
		a.cfg.Outside.Chain.Ask(context.Background(), []payout.Question{{Ask: payout.Submit, Intent: intent}})
		rests(t, w, ids...)
		a.resume().refused(messages.CodeInvalidTransition, "1 payments of this account, under nonces 4 to 4")
		a.node.Down(true)
		a.resume().refused(messages.CodeUnavailable, "next nonce")
		a.node.Down(false)
		rests(t, w, ids...)
		if got := a.node.Sent(a.account); len(got) != 4 {
			t.Errorf("the chain was sent %d transactions", len(got))
		}
	}, a.found)
}

func TestPaymentsGoOnWhereTheChainKnowsNoMore(t *testing.T) {
	liveAbroad(t, func(a *abroad) {
		a.begin(1000)
		a.payments(3)
		a.quiet()
		a.restored()
		ids := a.payments(2)
		rests(t, a.world, ids...)
		if got := result[*messages.ResumeResult](a.resume()); !got.Resumed {
			t.Errorf("resume = %+v", got)
		}
		time.Sleep(2 * time.Minute)
		a.quiet()
		a.all(ids, messages.Executed)
	})
}
