package treasury_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/supervision/breaker"
)

// reasons are what get_disbursement and statement tell alike.
func (w *world) reasons(id messages.DisbursementID) (told []string) {
	w.t.Helper()
	statement, refusal := w.Statement(&messages.StatementParams{ID: id})
	if refusal != nil {
		w.t.Fatal(refusal)
	}
	got, refusal := w.Get(id)
	if refusal != nil {
		w.t.Fatal(refusal)
	}
	if diff := cmp.Diff(got.WaitingFor, statement.WaitingFor); diff != "" {
		w.t.Errorf("get -, statement +\n%s", diff)
	}
	for _, reason := range got.WaitingFor {
		told = append(told, reason.Text(time.Now()))
	}
	return told
}

func TestAReaderIsToldWhatAPaymentWaitsFor(t *testing.T) {
	live(t, func(w *world) {
		w.funded(50)
		first := w.submitted(payment(60, 1))
		later := w.submitted(payment(10, 3, first))
		expect := func(id messages.DisbursementID, want ...string) {
			t.Helper()
			if diff := cmp.Diff(w.reasons(id), want); diff != "" {
				t.Errorf("%d: got -, want +\n%s", id, diff)
			}
		}
		expect(first, "epoch 1 (in about 1000h0m0s)", "funds: the treasury holds 50 of 60, 10 short")
		expect(later, "epoch 3 (in about 3000h0m0s)", "dependency 1, not finalized yet")
		w.epochs(1)
		expect(first, "funds: the treasury holds 50 of 60, 10 short")
		w.ok(w.system.Force(actors.Forced{Path: "/treasury/executor", Scope: breaker.Own, State: breaker.ForcedOpen}))
		w.funded(20)
		w.quiet()
		expect(first, "the executor's breaker, which is open; it tries again in 1m0s")
		w.system.Reset("/treasury/executor", breaker.Own)
		time.Sleep(time.Minute)
		w.quiet()
		w.is(first, messages.Executed)
		expect(first)
	})
}
