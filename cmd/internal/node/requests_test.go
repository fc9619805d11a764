package node_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// changes are one call of every method that remembers its request_id, with other
// parameters for a conflict. Each prepares its own disbursement.
var changes = []struct {
	method  string
	prepare func(t *testing.T, c caller) (params, other object)
	key     string // of the result that a repeat must repeat
}{
	{"gov.treasury.submit_disbursement", func(*testing.T, caller) (object, object) { return later(), direct(77) }, "id"},
	{"gov.treasury.submit_plan", func(*testing.T, caller) (object, object) {
		item := func(ref string) object { return object{"ref": ref, "payload": later()["payload"]} }
		return object{"items": []any{item("a"), item("b")}}, object{"items": []any{item("a"), item("c")}}
	}, "ids"},
	{"gov.treasury.accrue", func(*testing.T, caller) (object, object) {
		return object{"amount": 5, "source": "fees"}, object{"amount": 6, "source": "fees"}
	}, "balance"},
	{"epoch.advance", func(*testing.T, caller) (object, object) { return object{}, nil }, "epoch"},
	{"gov.treasury.queue_disbursement", func(t *testing.T, c caller) (object, object) {
		must(t, c, "gov.treasury.graph", object{}) // the node has followed the epochs before
		return object{"id": submit(t, c, proposed())}, object{"id": submit(t, c, proposed())}
	}, "state"},
	{"gov.treasury.vote", func(t *testing.T, c caller) (object, object) {
		id := submit(t, c, proposed())
		must(t, c, "gov.treasury.queue_disbursement", object{"id": id})
		vote := func(weight int) object {
			return object{"id": id, "house": "operators", "voter": "ann", "weight_ppm": weight, "approve": true}
		}
		return vote(300_000), vote(300_001)
	}, "operators_ppm"},
	{"gov.treasury.rollback_disbursement", func(t *testing.T, c caller) (object, object) {
		id := submit(t, c, later())
		return object{"id": id, "reason": "changed our mind"}, object{"id": id, "reason": "another"}
	}, "state"},
	{"gov.treasury.execute_disbursement", func(t *testing.T, c caller) (object, object) {
		id := submit(t, c, fundedAndDue(t, c))
		return object{"id": id}, object{"id": id + 1}
	}, "state"},
}

// fundedAndDue is a payment of all there is and one more, accrued right after its
// submission, so that the executor does not take it before it is asked.
func fundedAndDue(t *testing.T, c caller) object {
	t.Helper()
	for integer(must(t, c, "epoch.get", object{})["epoch"]) < 1 {
		advance(t, c)
	}
	must(t, c, "gov.treasury.accrue", object{"amount": 10})
	return direct(10)
}

func with(params object, more object) object {
	out := object{}
	for k, v := range params {
		out[k] = v
	}
	for k, v := range more {
		out[k] = v
	}
	return out
}

func TestARepeatAnswersTheFirstResultAndOtherParametersConflict(t *testing.T) {
	both := wires(t)
	for _, change := range changes {
		t.Run(change.method, func(t *testing.T) {
			c := both["msgpack"]
			params, other := change.prepare(t, c)
			params["request_id"] = fresh("once")
			if change.method == "gov.treasury.execute_disbursement" {
				awaitState(t, c, params["id"].(int64), "executed")
				// The executor was quicker than the call, which comes too late.
				refused(t, c, invalidTransition, "invalid_transition", change.method, params)
				return
			}
			first := must(t, c, change.method, params)
			if first["duplicate"] != false {
				t.Errorf("first: %v", first)
			}
			for wire, c := range both {
				// deadline_ms is no part of what is asked.
				again := must(t, c, change.method, with(params, object{"deadline_ms": 2500}))
				if again["duplicate"] != true || fmt.Sprint(again[change.key]) != fmt.Sprint(first[change.key]) {
					t.Errorf("%s: a repeat of %v answers %v", wire, first, again)
				}
				if other != nil {
					refused(t, c, requestIDConflict, "request_id_conflict", change.method,
						with(other, object{"request_id": params["request_id"]}), "request_id")
				}
				refused(t, c, requestIDConflict, "request_id_conflict", "gov.treasury.accrue",
					object{"amount": 12345, "request_id": params["request_id"]}, "request_id")
			}
		})
	}
}

func TestARequestIDHasAtMost64Bytes(t *testing.T) {
	for wire, c := range wires(t) {
		must(t, c, "gov.treasury.accrue", object{"amount": 1, "request_id": fresh(strings.Repeat("é", 28) + wire[:2])})
		refused(t, c, validationFailed, "validation_failed", "gov.treasury.accrue",
			object{"amount": 1, "request_id": strings.Repeat("x", 65)}, "request_id", "64")
	}
}

func TestTheWiresAgreeOnWhatWasAsked(t *testing.T) {
	both := wires(t)
	params := proposed(func(p, d object) {
		p["title"] = "Grüße 漢字 \U0001F600 \" \\ \n"
		d["amount"] = 1<<62 + 1
		d["memo"] = "{ \"note\": \"é\" }"
	})
	request := fresh("agree")
	params["request_id"] = request
	first := must(t, both["msgpack"], "gov.treasury.submit_disbursement", params)
	asText := proposed(func(p, d object) {
		p["title"] = "Grüße 漢字 \U0001F600 \" \\ \n"
		p["vote_window_epochs"] = "4" // the defaults, said
		p["timelock_epochs"] = 2
		p["attachments"] = []any{}
		p["quorum"] = object{"builders_ppm": "400000", "operators_ppm": 500_000}
		d["amount"] = "4611686018427387905"
		d["memo"] = "{ \"note\": \"é\" }"
		d["scheduled_epoch"] = "1"
		d["expected_receipts"] = []any{}
	})
	asText["request_id"] = request
	again := must(t, both["json"], "gov.treasury.submit_disbursement", asText)
	if again["duplicate"] != true || again["id"] != first["id"] || again["created_at"] != first["created_at"] {
		t.Errorf("msgpack got %v, json %v", first, again)
	}
	rows := make(map[string]string)
	for wire, c := range both {
		row := must(t, c, "gov.treasury.get_disbursement", object{"id": first["id"]})
		delete(row, "applied_index")
		rows[wire] = fmt.Sprint(row)
		if got := row["disbursement"].(object)["proposal"].(object)["title"]; got != "Grüße 漢字 \U0001F600 \" \\ \n" {
			t.Errorf("%s: the title is %q", wire, got)
		}
		if got := row["disbursement"].(object)["amount"]; got != int64(1<<62+1) {
			t.Errorf("%s: the amount is %v", wire, got)
		}
	}
	if rows["msgpack"] != rows["json"] {
		t.Errorf("msgpack: %s\njson:    %s", rows["msgpack"], rows["json"])
	}
}

func TestNumbersMayBeDecimalStringsOverJSONOnly(t *testing.T) {
	both := wires(t)
	const largest = int64(1<<63 - 1)
	id := submit(t, both["json"], direct("9223372036854775807", func(p object) { p["scheduled_epoch"] = "18446744073709551615" }))
	d := must(t, both["msgpack"], "gov.treasury.get_disbursement", object{"id": id})["disbursement"].(object)
	if d["amount"] != largest || d["scheduled_epoch"] != ^uint64(0) {
		t.Errorf("amount %v, scheduled_epoch %v", d["amount"], d["scheduled_epoch"])
	}
	must(t, both["json"], "gov.treasury.get_disbursement", object{"id": fmt.Sprint(id)})
	refused(t, both["msgpack"], invalidParams, "invalid_params", "gov.treasury.get_disbursement", object{"id": fmt.Sprint(id)}, "id")
	const submit = "gov.treasury.submit_disbursement"
	for _, beyond := range []string{"9223372036854775808", "18446744073709551615", "18446744073709551616",
		"99999999999999999999999999", "-1"} {
		refused(t, both["json"], validationFailed, "validation_failed", submit, direct(beyond), "amount")
		body := `{"jsonrpc":"2.0","id":1,"method":"` + submit + `","params":{"payload":{"disbursement":` +
			`{"destination":"tb1x","scheduled_epoch":1,"amount":` + beyond + `}}}}`
		_, answer := both["json"].(*web).post(t, body)
		if e := faultOf(answer.(object)["error"].(object)); e.code != validationFailed || !strings.Contains(e.message, "amount") {
			t.Errorf("amount %s: %v", beyond, e)
		}
	}
	for _, no := range []any{"", "1x", " 1", "0x10", "1.0", 1.5, true, []any{}, object{}} {
		refused(t, both["json"], invalidParams, "invalid_params", submit, direct(no), "amount")
	}
}

// Ids count 1, 2, 3 in the order of commits, whoever submits on whatever wire.
func TestIDsAreConsecutiveUnderConcurrency(t *testing.T) {
	first := submit(t, dial(t, world), later())
	const callers, each = 16, 25
	var mu sync.Mutex
	seen := make(map[int64]bool)
	var all sync.WaitGroup
	for i := range callers {
		var c caller = &web{world}
		if i%2 == 0 {
			c = dial(t, world)
		}
		all.Go(func() {
			for range each {
				result, err := c.call(t, "gov.treasury.submit_disbursement", later())
				if err != nil {
					t.Errorf("submit: %v", err)
					return
				}
				mu.Lock()
				seen[integer(result["id"])] = true
				mu.Unlock()
			}
		})
	}
	all.Wait()
	for id := first + 1; id <= first+callers*each; id++ {
		if !seen[id] {
			t.Errorf("nobody got %d", id)
		}
	}
}

// Whoever asks after an answer was given sees what it told, on another connection
// and on the other wire.
func TestReadsSeeEveryWriteThatWasAnswered(t *testing.T) {
	c := wires(t)
	other := dial(t, world)
	for i := range 100 {
		id := submit(t, c["msgpack"], later())
		reader := caller(other)
		if i%2 == 0 {
			reader = c["json"]
		}
		if got := status(t, reader, id)["state"]; got != "draft" {
			t.Fatalf("%d is %v", id, got)
		}
		rows := must(t, other, "gov.treasury.disbursements", object{"limit": 1})["disbursements"].([]any)
		if got := integer(rows[0].(object)["disbursement"].(object)["id"]); got != id {
			t.Fatalf("the newest is %d, want %d", got, id)
		}
		if got := integer(must(t, other, "gov.treasury.graph", object{})["nodes"]); got != id {
			t.Fatalf("the graph has %d nodes, want %d", got, id)
		}
		before := balance(t, other)
		must(t, c["json"], "gov.treasury.accrue", object{"amount": 1})
		if got := balance(t, other); got != before+1 {
			t.Fatalf("the balance is %d, want %d", got, before+1)
		}
	}
}

func TestEveryReadAnswersLocallyWithItsIndex(t *testing.T) {
	c := dial(t, world)
	id := submit(t, c, later())
	for method, params := range map[string]object{
		"gov.treasury.get_disbursement": {"id": id}, "gov.treasury.statement": {"id": id},
		"gov.treasury.disbursements": {}, "gov.treasury.balance": {}, "gov.treasury.balance_history": {},
		"gov.treasury.account": {"account": "tb1x"}, "gov.treasury.executor": {}, "gov.treasury.dependents": {"id": id},
		"gov.treasury.ready": {}, "gov.treasury.has_pending": {}, "gov.treasury.order": {}, "gov.treasury.waves": {},
		"gov.treasury.critical_path": {}, "gov.treasury.impact": {"id": id}, "gov.treasury.graph": {}, "epoch.get": {},
		"cluster.status": {},
	} {
		for _, consistency := range []string{"linearizable", "local"} {
			result := must(t, c, method, with(params, object{"consistency": consistency}))
			if integer(result["applied_index"]) < 1 {
				t.Errorf("%s, %s: applied_index = %v", method, consistency, result["applied_index"])
			}
		}
		refused(t, c, validationFailed, "validation_failed", method, with(params, object{"consistency": "eventual"}), "consistency")
	}
}

func TestADeadlineOfZeroIsTheDefaultAndALongOneIsTaken(t *testing.T) {
	for _, c := range wires(t) {
		for _, deadline := range []any{0, 1 << 40, ^uint64(0)} {
			must(t, c, "gov.treasury.balance", object{"deadline_ms": deadline})
		}
		refused(t, c, invalidParams, "invalid_params", "gov.treasury.balance", object{"deadline_ms": "soon"}, "deadline_ms")
	}
}

func TestWhatIsRememberedSurvivesARestart(t *testing.T) {
	m := start(t)
	before := make([]object, len(changes))
	asked := make([]object, len(changes))
	c := dial(t, m)
	for i, change := range changes[:len(changes)-1] {
		params, _ := change.prepare(t, c)
		params["request_id"] = fmt.Sprintf("kept-%d", i)
		asked[i], before[i] = params, must(t, c, change.method, params)
	}
	total := must(t, c, "gov.treasury.balance", object{})
	graph := must(t, c, "gov.treasury.graph", object{})
	if err := m.stop(); err != nil {
		t.Fatalf("Run returned %v", err)
	}
	began := time.Now()
	m = restart(t, m.cfg)
	t.Logf("ready again after %s", time.Since(began))
	for wire, c := range map[string]caller{"msgpack": dial(t, m), "json": &web{m}} {
		for i, change := range changes[:len(changes)-1] {
			again := must(t, c, change.method, asked[i])
			if again["duplicate"] != true || fmt.Sprint(again[change.key]) != fmt.Sprint(before[i][change.key]) {
				t.Errorf("%s, %s: %v, before the restart %v", wire, change.method, again, before[i])
			}
		}
		if got := must(t, c, "gov.treasury.balance", object{}); got["balance"] != total["balance"] ||
			fmt.Sprint(got["last_snapshot"]) != fmt.Sprint(total["last_snapshot"]) {
			t.Errorf("%s: balance %v, before the restart %v", wire, got, total)
		}
		if got := must(t, c, "gov.treasury.graph", object{}); got["nodes"] != graph["nodes"] || got["edges"] != graph["edges"] {
			t.Errorf("%s: graph %v, before the restart %v", wire, got, graph)
		}
	}
}
