package node_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

// vote approves or rejects as one voter of a house.
func vote(t *testing.T, c caller, id int64, house, voter string, weight int, approve bool) object {
	t.Helper()
	return must(t, c, "gov.treasury.vote",
		object{"id": id, "house": house, "voter": voter, "weight_ppm": weight, "approve": approve})
}

// shows holds a status to exactly these fields; nil takes any value but 0 and "".
func shows(t *testing.T, got object, state string, want object) {
	t.Helper()
	want = with(want, object{"state": state})
	for k, v := range want {
		switch g := got[k]; {
		case v == nil && (g == nil || g == int64(0) || g == ""):
			t.Errorf("%s: %s is %v", state, k, g)
		case v != nil && fmt.Sprint(g) != fmt.Sprint(v):
			t.Errorf("%s: %s = %v, want %v", state, k, g, v)
		}
	}
	for k, v := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s shows %s = %v too", state, k, v)
		}
	}
}

func TestAProposalLivesByTheEpochsOfTheTable(t *testing.T) {
	c := dial(t, world)
	must(t, c, "gov.treasury.accrue", object{"amount": 1000})
	id := submit(t, c, proposed(func(p, d object) {
		p["vote_window_epochs"], p["timelock_epochs"], p["rollback_window_epochs"] = 3, 2, 2
		d["amount"] = 250
	}))
	shows(t, status(t, c, id), "draft", object{})

	epoch := advance(t, c) // draft -> voting at the next epoch
	deadline := epoch + 3
	voting := func(operators, builders int) {
		t.Helper()
		shows(t, status(t, c, id), "voting",
			object{"vote_deadline_epoch": deadline, "operators_ppm": operators, "builders_ppm": builders})
	}
	awaitState(t, c, id, "voting")
	voting(0, 0)
	vote(t, c, id, "operators", "ann", 400_000, true)
	vote(t, c, id, "operators", "bob", 300_000, false)
	voting(400_000, 0)
	vote(t, c, id, "operators", "bob", 200_000, true) // the last one counts
	vote(t, c, id, "builders", "ann", 400_000, true)
	voting(600_000, 400_000)
	refused(t, c, validationFailed, "validation_failed", "gov.treasury.vote",
		object{"id": id, "house": "operators", "voter": "carl", "weight_ppm": 400_001, "approve": true}, "1000000")
	voting(600_000, 400_000)
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.queue_disbursement", object{"id": id}, "voting")
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.execute_disbursement", object{"id": id}, "voting")
	advance(t, c)
	advance(t, c)
	if got := status(t, c, id)["state"]; got != "voting" {
		t.Fatalf("before its deadline it is %v", got)
	}
	vote(t, c, id, "builders", "dora", 1, true) // counted while epoch < deadline
	if epoch = advance(t, c); epoch != deadline {
		t.Fatalf("epoch %d, want the deadline %d", epoch, deadline)
	}
	awaitState(t, c, id, "queued")
	shows(t, status(t, c, id), "queued", object{"activation_epoch": epoch + 2})
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.vote",
		object{"id": id, "house": "operators", "voter": "ann", "weight_ppm": 1, "approve": true}, "queued")
	advance(t, c)
	if got := status(t, c, id)["state"]; got != "queued" {
		t.Fatalf("before its activation it is %v", got)
	}
	before := balance(t, c)
	epoch = advance(t, c) // queued -> timelocked -> executed: it is due, met and funded
	done := awaitState(t, c, id, "executed")
	shows(t, done, "executed", object{"tx_hash": nil, "executed_at": nil, "executed_epoch": epoch})
	if got := balance(t, c); got != before-250 {
		t.Errorf("the balance went from %d to %d", before, got)
	}
	advance(t, c)
	if got := status(t, c, id)["state"]; got != "executed" {
		t.Fatalf("within its rollback window it is %v", got)
	}
	advance(t, c)
	shows(t, awaitState(t, c, id, "finalized"), "finalized", object{"tx_hash": done["tx_hash"],
		"executed_at": done["executed_at"], "executed_epoch": epoch, "finalized_at": nil})
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.rollback_disbursement",
		object{"id": id, "reason": "too late"}, "finalized")

	var path []string
	last := int64(0)
	for _, v := range must(t, c, "gov.treasury.statement", object{"id": id})["transitions"].([]any) {
		step := v.(object)
		path = append(path, step["from"].(string)+">"+step["to"].(string))
		if integer(step["index"]) <= last || integer(step["at"]) < 1_700_000_000 || step["node"] != "n1" {
			t.Errorf("transition %v after index %d", step, last)
		}
		last = integer(step["index"])
	}
	want := []string{">draft", "draft>voting", "voting>queued", "queued>timelocked", "timelocked>executed", "executed>finalized"}
	if fmt.Sprint(path) != fmt.Sprint(want) {
		t.Errorf("transitions %v, want %v", path, want)
	}
}

func TestAProposalWithoutQuorumIsRolledBack(t *testing.T) {
	c := dial(t, world)
	for house, weight := range map[string]int{"operators": 499_999, "builders": 399_999} {
		id := submit(t, c, proposed(func(p, _ object) { p["vote_window_epochs"] = 1 }))
		result := must(t, c, "gov.treasury.queue_disbursement", object{"id": id}) // draft -> voting at once
		if result["state"] != "voting" || integer(result["id"]) != id {
			t.Errorf("queue_disbursement answers %v", result)
		}
		for _, h := range []string{"operators", "builders"} {
			if h != house {
				vote(t, c, id, h, "ann", 1_000_000, true)
			} else {
				vote(t, c, id, h, "ann", weight, true)
			}
		}
		advance(t, c)
		shows(t, awaitState(t, c, id, "rolled_back"), "rolled_back",
			object{"reason": "quorum_not_reached", "rolled_back_at": nil})
	}
}

func TestAPaymentDueWhenSubmittedIsMadeAtOnceAndFinalAnEpochLater(t *testing.T) {
	c := dial(t, world)
	if integer(must(t, c, "epoch.get", object{})["epoch"]) == 0 {
		advance(t, c)
	}
	must(t, c, "gov.treasury.accrue", object{"amount": 300})
	before := balance(t, c)
	payee := strings.ReplaceAll(fresh("tb1due"), "-", "")
	id := submit(t, c, direct(300, func(p object) { p["destination"] = payee }))
	awaitState(t, c, id, "executed")
	account := must(t, c, "gov.treasury.account", object{"account": payee})
	if integer(account["balance"]) != 300 || account["account"] != payee || balance(t, c) != before-300 {
		t.Errorf("account %v, balance %d, before %d", account, balance(t, c), before)
	}
	row := must(t, c, "gov.treasury.balance_history", object{"limit": 1})["snapshots"].([]any)[0].(object)
	if row["event"] != "executed" || integer(row["disbursement_id"]) != id || row["delta"] != int64(-300) ||
		integer(row["balance"]) != before-300 || integer(row["recorded_at"]) < 1_700_000_000 {
		t.Errorf("history row %v", row)
	}
	advance(t, c)
	awaitState(t, c, id, "finalized")
	if got := integer(must(t, c, "gov.treasury.account", object{"account": "tb1nobody"})["balance"]); got != 0 {
		t.Errorf("an account never paid holds %d", got)
	}
}

func TestAPaymentWaitsForItsEpoch(t *testing.T) {
	c := dial(t, world)
	must(t, c, "gov.treasury.accrue", object{"amount": 5})
	epoch := integer(must(t, c, "epoch.get", object{})["epoch"])
	id := submit(t, c, direct(5, func(p object) { p["scheduled_epoch"] = epoch + 2 }))
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.execute_disbursement", object{"id": id}, "draft")
	advance(t, c)
	if got := status(t, c, id)["state"]; got != "draft" {
		t.Fatalf("an epoch before it is due it is %v", got)
	}
	advance(t, c)
	awaitState(t, c, id, "executed")
}

func TestRollingBackAnExecutedPaymentReturnsTheAmount(t *testing.T) {
	c := dial(t, world)
	must(t, c, "gov.treasury.accrue", object{"amount": 70})
	before := balance(t, c)
	id := submit(t, c, direct(70, func(p object) { p["destination"] = "tb1back" }))
	tx := awaitState(t, c, id, "executed")["tx_hash"]
	result := must(t, c, "gov.treasury.rollback_disbursement", object{"id": id, "reason": "paid twice by hand"})
	if result["state"] != "rolled_back" {
		t.Errorf("rollback_disbursement answers %v", result)
	}
	shows(t, status(t, c, id), "rolled_back", object{"reason": "paid twice by hand", "rolled_back_at": nil, "prior_tx": tx})
	if got := balance(t, c); got != before {
		t.Errorf("the balance is %d, want %d", got, before)
	}
	row := must(t, c, "gov.treasury.balance_history", object{"limit": 1})["snapshots"].([]any)[0].(object)
	if row["event"] != "cancelled" || row["delta"] != int64(70) || integer(row["disbursement_id"]) != id {
		t.Errorf("history row %v", row)
	}
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.rollback_disbursement",
		object{"id": id, "reason": "again"}, "rolled_back")
}

func TestWithoutFundsAPaymentWaitsAndOthersGoOn(t *testing.T) {
	c := dial(t, world)
	must(t, c, "gov.treasury.accrue", object{"amount": 10})
	funds := balance(t, c)
	large := submit(t, c, direct(funds+5))
	small := submit(t, c, direct(10))
	awaitState(t, c, small, "executed")
	refused(t, c, insufficientFunds, "insufficient_funds", "gov.treasury.execute_disbursement", object{"id": large})
	if got := status(t, c, large)["state"]; got != "draft" {
		t.Fatalf("without funds it is %v", got)
	}
	must(t, c, "gov.treasury.accrue", object{"amount": 15})
	awaitState(t, c, large, "executed")
	if got := balance(t, c); got != 0 {
		t.Errorf("the balance is %d, want 0", got)
	}
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.execute_disbursement", object{"id": large}, "executed")
}

func TestADependencyIsMetWhenItIsFinal(t *testing.T) {
	c := dial(t, world)
	must(t, c, "gov.treasury.accrue", object{"amount": 2})
	first := submit(t, c, direct(1))
	second := submit(t, c, direct(1, func(p object) { p["memo"] = fmt.Sprintf("depends_on=%d", first) }))
	awaitState(t, c, first, "executed")
	refused(t, c, invalidTransition, "invalid_transition", "gov.treasury.execute_disbursement", object{"id": second}, fmt.Sprint(first))
	if got := status(t, c, second)["state"]; got != "draft" {
		t.Fatalf("before its dependency is final it is %v", got)
	}
	if got := must(t, c, "gov.treasury.has_pending", object{"id": second})["has_pending"]; got != true {
		t.Errorf("has_pending = %v before the dependency is final", got)
	}
	advance(t, c)
	awaitState(t, c, first, "finalized")
	awaitState(t, c, second, "executed")
	if got := must(t, c, "gov.treasury.has_pending", object{"id": second})["has_pending"]; got != false {
		t.Errorf("has_pending = %v after", got)
	}
}

func TestARollbackFailsAllThatDependOnIt(t *testing.T) {
	c := dial(t, world)
	root := submit(t, c, later())
	on := func(dep int64) int64 {
		return submit(t, c, direct(1, func(p object) { p["memo"] = fmt.Sprintf("depends_on=%d", dep) }))
	}
	chain := []int64{on(root)}
	for range 30 {
		chain = append(chain, on(chain[len(chain)-1]))
	}
	voted := submit(t, c, proposed(func(p, _ object) { p["deps"] = []any{chain[3], root} }))
	must(t, c, "gov.treasury.queue_disbursement", object{"id": voted})
	must(t, c, "gov.treasury.rollback_disbursement", object{"id": root, "reason": "a fraud"})
	shows(t, status(t, c, root), "rolled_back", object{"reason": "a fraud", "rolled_back_at": nil})
	for _, id := range append(chain, voted) {
		got := awaitState(t, c, id, "rolled_back")
		if reason := got["reason"].(string); reason == "" || !strings.Contains(reason, fmt.Sprint(root)) {
			t.Errorf("%d was rolled back for %q, which does not name %d", id, reason, root)
		}
	}
}

func TestMovesOfWhatIsNotThere(t *testing.T) {
	for _, c := range wires(t) {
		must(t, c, "gov.treasury.accrue", object{"amount": 1}) // all there can be does not go on top
		const none = 1 << 40
		for _, method := range []string{"get_disbursement", "statement", "queue_disbursement", "execute_disbursement",
			"dependents", "impact", "has_pending"} {
			refused(t, c, notFound, "not_found", "gov.treasury."+method, object{"id": none}, fmt.Sprint(none))
		}
		for _, method := range []string{"rollback_disbursement", "skip_intent"} {
			refused(t, c, notFound, "not_found", "gov.treasury."+method, object{"id": none, "reason": "x"})
			refused(t, c, invalidParams, "invalid_params", "gov.treasury."+method, object{"id": none}, "reason")
		}
		refused(t, c, notFound, "not_found", "gov.treasury.vote",
			object{"id": none, "house": "builders", "voter": "v", "weight_ppm": 1, "approve": true})
		for _, method := range []string{"order", "waves", "critical_path"} {
			refused(t, c, notFound, "not_found", "gov.treasury."+method, object{"ids": []any{none}}, fmt.Sprint(none))
		}
		refused(t, c, validationFailed, "validation_failed", "gov.treasury.accrue", object{"amount": 0}, "amount")
		refused(t, c, validationFailed, "validation_failed", "gov.treasury.accrue", object{"amount": uint64(1) << 63}, "amount")
		refused(t, c, validationFailed, "validation_failed", "gov.treasury.accrue", object{"amount": int64(1<<63 - 1)}, "amount")
	}
}

// By themselves epochs carry a proposal all the way, and never faster than one per
// interval.
func TestEpochsPassByThemselves(t *testing.T) {
	const interval = 50 * time.Millisecond
	m := start(t, func(cfg *node.Config) { cfg.EpochInterval = interval })
	c := dial(t, m)
	begun := time.Now()
	first := integer(must(t, c, "epoch.get", object{})["epoch"])
	must(t, c, "gov.treasury.accrue", object{"amount": 10})
	id := submit(t, c, proposed(func(p, _ object) { p["vote_window_epochs"] = 20 }))
	awaitState(t, c, id, "voting")
	vote(t, c, id, "operators", "a", 500_000, true)
	vote(t, c, id, "builders", "b", 400_000, true)
	awaitState(t, c, id, "finalized")
	epochs := integer(must(t, c, "epoch.get", object{})["epoch"]) - first
	if most := int64(time.Since(begun)/interval) + 1; epochs > most || epochs < 1+20+2+1 {
		t.Errorf("%d epochs in %s", epochs, time.Since(begun))
	}
}

// TestTheLastOfTwoVotesOnOneConnectionCounts sends an approval and a rejection without
// waiting, each in a write of its own: they reach the node as two bursts.
func TestTheLastOfTwoVotesOnOneConnectionCounts(t *testing.T) {
	c := dial(t, world)
	id := submit(t, c, proposed(func(p, _ object) { p["vote_window_epochs"] = 1_000_000 }))
	advance(t, c)
	awaitState(t, c, id, "voting")
	for i := range 100 {
		for msgid, approve := range []bool{true, false} {
			c.send(t, []any{0, msgid, "gov.treasury.vote", []any{object{"id": id, "house": "operators", "voter": "ann",
				"weight_ppm": 1 + i, "approve": approve}}})
		}
		for range 2 {
			if _, _, err := c.receive(t); err != nil {
				t.Fatal(err)
			}
		}
		if got := status(t, c, id)["operators_ppm"]; fmt.Sprint(got) != "0" {
			t.Fatalf("round %d: the approval counts: %v", i, got)
		}
	}
}
