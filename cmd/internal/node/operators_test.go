package node_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/cmd/internal/node"
)

const (
	circuitOpen    = -34009
	outcomeUnknown = -34014
	unauthorized   = -34012
	internal       = -32603
)

// troubled lets operators inject faults.
func troubled(c *node.Config) { c.FaultInjection = true }

// forced are the forced breakers as supervision.breakers lists them.
func forced(t *testing.T, c caller) []string {
	t.Helper()
	var list []string
	for _, b := range must(t, c, "supervision.breakers", object{})["breakers"].([]any) {
		b := b.(object)
		if b["forced"] != nil {
			list = append(list, fmt.Sprint(b["path"], " ", b["kind"], " ", b["state"]))
		}
	}
	return list
}

// audited is what the audit says of actors, oldest first, without times and callers.
func audited(t *testing.T, c caller) []string {
	t.Helper()
	var list []string
	params := object{"limit": 2, "path": "/"}
	for {
		page := must(t, c, "admin.audit", params)
		for _, r := range page["rows"].([]any) {
			r := r.(object)
			if integer(r["at"]) <= 0 || r["who"] != "loopback" || r["node"] != "n1" {
				t.Errorf("a row says %v", r)
			}
			row := fmt.Sprintf("%v %v", r["what"], r["path"])
			if r["detail"] != nil {
				row += fmt.Sprintf(": %v", r["detail"])
			}
			list = append([]string{row}, list...)
		}
		if page["next_cursor"] == nil {
			return list
		}
		params["cursor"] = page["next_cursor"]
	}
}

func TestAForcedExecutorHoldsPaymentsUntilItIsReset(t *testing.T) {
	m := start(t)
	for _, c := range []caller{dial(t, m), &web{m}} {
		const executor = "/treasury/executor"
		result := must(t, c, "supervision.force_open", object{"path": executor, "reason": "a test"})
		if result["state"] != "forced_open" || result["path"] != executor || result["duplicate"] != false {
			t.Errorf("forced: %v", result)
		}
		want := []string{executor + " cell forced_open", executor + " own forced_open"}
		eventually(t, "both breakers are listed", func() bool { return cmp.Equal(forced(t, c), want) })

		advance(t, c)
		must(t, c, "gov.treasury.accrue", object{"amount": 10})
		id := submit(t, c, direct(10))
		eventually(t, "the executor tells what it waits for", func() bool {
			x := must(t, c, "gov.treasury.executor", object{})
			text, _ := x["last_error"].(string)
			return x["breaker"] == "forced_open" && strings.HasPrefix(text, "circuit_open: ")
		})
		if got := status(t, c, id)["state"]; got != "draft" {
			t.Errorf("the payment is %v, want it to wait as a draft", got)
		}
		refused(t, c, circuitOpen, "circuit_open", "gov.treasury.execute_disbursement", object{"id": id})
		if _, page := m.get(t, "/metrics"); !strings.Contains(page, "\ntreasury_circuit_breaker_state 1\n") {
			t.Error("treasury_circuit_breaker_state is not 1")
		}
		tree := must(t, c, "actors.tree", object{"path": executor})["actors"].([]any)[0].(object)
		actor := must(t, c, "actors.get", object{"path": executor})["actor"].(object)
		if tree["breaker"] != "forced_open" || actor["breaker"] != "forced_open" {
			t.Errorf("the tree says %v, the actor %v", tree["breaker"], actor["breaker"])
		}
		if _, page := m.get(t, "/"); !strings.Contains(page, "payments stand still") || !strings.Contains(page, "forced_open: circuit_open") {
			t.Error("the page does not say that payments stand still, and why")
		}

		if result := must(t, c, "supervision.reset", object{"path": executor}); result["state"] != "closed" {
			t.Errorf("reset: %v", result)
		}
		awaitState(t, c, id, "executed")
		if got := forced(t, c); len(got) != 0 {
			t.Errorf("still forced: %v", got)
		}
		if _, page := m.get(t, "/metrics"); !strings.Contains(page, "\ntreasury_circuit_breaker_state 0\n") {
			t.Error("treasury_circuit_breaker_state is not 0 after the reset")
		}
		if x := must(t, c, "gov.treasury.executor", object{}); x["last_error"] != nil || integer(x["last_error_at"]) != 0 {
			t.Errorf("what is over is still told: %v", x)
		}
		if _, page := m.get(t, "/"); strings.Contains(page, "payments stand still") {
			t.Error("the page says that payments stand still after the reset")
		}
	}
	want := []string{
		"force_open /treasury/executor: a test", "reset /treasury/executor",
		"force_open /treasury/executor: a test", "reset /treasury/executor",
	}
	if diff := cmp.Diff(audited(t, dial(t, m)), want); diff != "" {
		t.Errorf("audit: got -, want +\n%s", diff)
	}
}

func TestAForceOutlivesTheNode(t *testing.T) {
	cfg := config(t.TempDir())
	m := restart(t, cfg)
	c := dial(t, m)
	id := submit(t, c, proposed())
	paths := []string{"/treasury/executor", fmt.Sprintf("/treasury/shard-%02d/disbursement-%d", id%64, id)}
	params := make([]object, len(paths))
	for i, path := range paths {
		params[i] = object{"path": path, "request_id": path, "reason": "a test"}
		must(t, c, "supervision.force_open", params[i])
	}
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}

	m = restart(t, cfg)
	c = dial(t, m)
	want := []string{
		paths[0] + " cell forced_open", paths[0] + " own forced_open", paths[1] + " cell forced_open",
	}
	eventually(t, "the forces are in place again", func() bool { return cmp.Equal(forced(t, c), want) })
	vote := object{"id": id, "house": "operators", "voter": "ann", "weight_ppm": 1, "approve": true}
	refused(t, c, circuitOpen, "circuit_open", "gov.treasury.vote", vote) // its actor was not loaded
	must(t, c, "gov.treasury.vote", with(vote, object{"id": votable(t, c)}))
	for _, p := range params {
		if again := must(t, c, "supervision.force_open", p); again["duplicate"] != true {
			t.Errorf("a repeat answers %v", again)
		}
		refused(t, c, requestIDConflict, "request_id_conflict", "supervision.force_close", p)
		must(t, c, "supervision.reset", object{"path": p["path"]})
	}
	eventually(t, "nothing is forced", func() bool { return len(forced(t, c)) == 0 })
}

// votable submits a proposal and opens its vote.
func votable(t *testing.T, c caller) int64 {
	t.Helper()
	id := submit(t, c, proposed())
	must(t, c, "gov.treasury.queue_disbursement", object{"id": id})
	return id
}

func TestOperatorsAreToldWhatMakesNoSense(t *testing.T) {
	for _, c := range wires(t) {
		for _, method := range []string{"supervision.force_open", "supervision.force_close", "supervision.reset"} {
			at := func(path string) object { return object{"path": path, "reason": "a test"} }
			refused(t, c, notFound, "not_found", method, at("/treasury/executr"), "/treasury/executr")
			refused(t, c, notFound, "not_found", method, at("/treasury/shard-01/disbursement-999999"))
			refused(t, c, notFound, "not_found", method, at("/treasury/shard-02/disbursement-1"))
			refused(t, c, validationFailed, "validation_failed", method, at("treasury"), "path")
			refused(t, c, validationFailed, "validation_failed", method, at("/"), "path")
			refused(t, c, invalidParams, "invalid_params", method, object{"reason": "a test"}, "path")
		}
		for _, method := range []string{"supervision.force_open", "supervision.force_close"} {
			executor := object{"path": "/treasury/executor"}
			refused(t, c, invalidParams, "invalid_params", method, executor, "reason")
			refused(t, c, validationFailed, "validation_failed", method, with(executor, object{"reason": " "}), "say why")
			refused(t, c, validationFailed, "validation_failed", method, with(executor, object{"reason": strings.Repeat("r", 256)}), "255")
		}
		refused(t, c, unauthorized, "unauthorized", "supervision.inject",
			object{"path": "/treasury/executor", "mode": "panic"}, "--fault-injection")
		refused(t, c, notFound, "not_found", "actors.get", object{"path": "/nobody"}, "/nobody")
	}
}

func TestActorsAreShownOneByOneAndTheBusiestFirst(t *testing.T) {
	for wire, c := range wires(t) {
		submit(t, c, later())
		top := must(t, c, "actors.top", object{"limit": 3})
		list := top["actors"].([]any)
		if len(list) == 0 || len(list) > 3 || integer(top["window_ms"]) < 0 || top["node"] != "n1" {
			t.Fatalf("%s: top is %v", wire, top)
		}
		least := integer(list[0].(object)["messages"])
		for _, a := range list {
			a := a.(object)
			if n := integer(a["messages"]); n > least || n < 1 {
				t.Errorf("%s: %v is out of order", wire, a)
			}
			least = integer(a["messages"])
			got := must(t, c, "actors.get", object{"path": a["path"]})
			if actor := got["actor"].(object); actor["kind"] != a["kind"] || actor["state"] != "running" || got["node"] != "n1" {
				t.Errorf("%s: %v is shown as %v", wire, a, got)
			}
		}
	}
}

// F15: a message that panics its actor each time opens that actor's cell and no other.
func TestAPoisonedDisbursementIsShutOffAlone(t *testing.T) {
	m := start(t, troubled)
	c := dial(t, m)
	poisoned := votable(t, c)
	var sibling int64
	for sibling = votable(t, c); sibling%64 != poisoned%64; { // in the same shard
		sibling = submit(t, c, proposed())
	}
	must(t, c, "gov.treasury.queue_disbursement", object{"id": sibling})
	shard := fmt.Sprintf("/treasury/shard-%02d", poisoned%64)
	path := fmt.Sprintf("%s/disbursement-%d", shard, poisoned)
	vote := func(id int64, voter int) object {
		return object{"id": id, "house": "operators", "voter": fmt.Sprint("v", voter), "weight_ppm": 1, "approve": true}
	}
	inject := object{"path": path, "mode": "panic", "times": 5, "request_id": "poison"}
	for _, duplicate := range []bool{false, true} {
		if got := must(t, c, "supervision.inject", inject); got["duplicate"] != duplicate || got["node"] != "n1" {
			t.Errorf("inject: %v, want duplicate %v", got, duplicate)
		}
	}
	for i := range 5 {
		_, err := c.call(t, "gov.treasury.vote", vote(poisoned, i))
		if err == nil || err.code != internal && err.code != outcomeUnknown {
			t.Fatalf("vote %d on the poisoned one: %v, want internal or outcome_unknown", i, err)
		}
		must(t, c, "gov.treasury.vote", vote(sibling, i))
	}
	refusal := refused(t, c, circuitOpen, "circuit_open", "gov.treasury.vote", vote(poisoned, 9))
	if wait := integer(refusal.data["retry_after_ms"]); wait < 1 || wait > 61_000 { // the runtime's clock is coarse
		t.Errorf("retry after %d ms", wait)
	}
	must(t, c, "gov.treasury.vote", vote(sibling, 9))
	var open []string
	for _, b := range must(t, c, "supervision.breakers", object{})["breakers"].([]any) {
		b := b.(object)
		open = append(open, fmt.Sprint(b["path"], " ", b["kind"], " ", b["state"]))
	}
	if want := []string{path + " cell open"}; !cmp.Equal(open, want) {
		t.Errorf("open: %v, want %v", open, want)
	}
	if got := must(t, c, "actors.get", object{"path": shard}); integer(got["actor"].(object)["restarts"]) != 0 {
		t.Errorf("the shard was restarted: %v", got)
	}
	must(t, c, "supervision.reset", object{"path": path})
	eventually(t, "the reset lets votes through", func() bool {
		_, err := c.call(t, "gov.treasury.vote", vote(poisoned, 9))
		return err == nil
	})
	want := []string{"inject " + path + ": panic, 5 times", "reset " + path}
	if diff := cmp.Diff(audited(t, c), want); diff != "" {
		t.Errorf("audit: got -, want +\n%s", diff)
	}
}
