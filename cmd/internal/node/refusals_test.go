package node_test

import (
	"fmt"
	"strings"
	"testing"
)

// The errors of submissions.
const (
	validationFailed    = -34001
	notFound            = -34002
	missingDependency   = -34003
	dependencyCycle     = -34004
	tooManyDependencies = -34005
	memoTooLong         = -34006
	invalidTransition   = -34007
	insufficientFunds   = -34008
	unavailable         = -34011
	requestIDConflict   = -34013
	dependencyFailed    = -34015
	invalidParams       = -32602
	methodNotFound      = -32601
)

// refusal is a submission and how it must be refused.
type refusal struct {
	name   string
	params object
	code   int64
	label  string
	words  []string
}

// fields are submissions with one wrong field.
func fields() []refusal {
	wrong := func(name, word string, change func(proposal, payment object)) refusal {
		return refusal{name, proposed(change), validationFailed, "validation_failed", strings.Fields(word)}
	}
	quorum := func(operators, builders any) func(object, object) {
		return func(p, _ object) { p["quorum"] = object{"operators_ppm": operators, "builders_ppm": builders} }
	}
	receipts := func(amounts ...any) func(object, object) {
		return func(_, d object) {
			var list []any
			for i, a := range amounts {
				list = append(list, object{"account": fmt.Sprintf("tb1r%d", i), "amount": a})
			}
			d["expected_receipts"] = list
		}
	}
	return []refusal{
		wrong("a blank title", "title", func(p, _ object) { p["title"] = " \t" }),
		wrong("no title", "title", func(p, _ object) { delete(p, "title") }),
		wrong("a blank summary", "summary", func(p, _ object) { p["summary"] = "\n" }),
		wrong("a blank destination", "destination", func(_, d object) { d["destination"] = "  " }),
		wrong("no destination", "destination", func(_, d object) { delete(d, "destination") }),
		wrong("a destination that does not start with tb1", "destination tb1", func(_, d object) { d["destination"] = "bc1q" }),
		wrong("a destination that starts with TB1", "destination tb1", func(_, d object) { d["destination"] = "TB1x" }),
		wrong("amount 0", "amount", func(_, d object) { d["amount"] = 0 }),
		wrong("no amount", "amount", func(_, d object) { delete(d, "amount") }),
		wrong("amount 2^63", "amount", func(_, d object) { d["amount"] = uint64(1) << 63 }),
		wrong("amount 2^64-1", "amount", func(_, d object) { d["amount"] = ^uint64(0) }),
		wrong("a negative amount", "amount", func(_, d object) { d["amount"] = -5 }),
		wrong("scheduled_epoch 0", "scheduled_epoch", func(_, d object) { d["scheduled_epoch"] = 0 }),
		wrong("no scheduled_epoch", "scheduled_epoch", func(_, d object) { delete(d, "scheduled_epoch") }),
		wrong("operators' quorum over a million", "operators_ppm 1000000", quorum(1_000_001, 0)),
		wrong("builders' quorum over a million", "builders_ppm 1000000", quorum(0, 1_000_001)),
		wrong("both quorums 0", "quorum", quorum(0, 0)),
		wrong("no quorum", "quorum", func(p, _ object) { delete(p, "quorum") }),
		wrong("a vote window of 0", "vote_window_epochs", func(p, _ object) { p["vote_window_epochs"] = 0 }),
		wrong("a timelock of 0", "timelock_epochs", func(p, _ object) { p["timelock_epochs"] = 0 }),
		wrong("a rollback window of 0", "rollback_window_epochs", func(p, _ object) { p["rollback_window_epochs"] = 0 }),
		wrong("receipts short of the amount", "expected_receipts", receipts(4, 5)),
		wrong("receipts beyond the amount", "expected_receipts", receipts(4, 7)),
		wrong("receipts whose sum overflows to the amount", "expected_receipts",
			receipts(uint64(1)<<63, uint64(1)<<63, 10)),
	}
}

// limits are submissions that break the rules of memos and dependencies.
func limits() []refusal {
	list := func(n int) []any {
		ids := make([]any, n)
		for i := range ids {
			ids[i] = 1_000_000 + i
		}
		return ids
	}
	text := func(n int) string {
		return "depends_on=" + strings.TrimSuffix(strings.Repeat("7,", n), ",")
	}
	memo := func(name, memo string, code int64, label string, words ...string) refusal {
		return refusal{name, direct(1, func(p object) { p["memo"] = memo }), code, label, words}
	}
	both := func(name string, deps []any, memo string, code int64, label string, words ...string) refusal {
		return refusal{name, proposed(func(p, d object) { p["deps"], d["memo"] = deps, memo }), code, label, words}
	}
	const invalid = "validation_failed"
	return []refusal{
		memo("a memo of 8,193 bytes", strings.Repeat("m", 8193), memoTooLong, "memo_too_long", "memo", "8192"),
		memo("a memo of 8,193 bytes in few letters", strings.Repeat("é", 4096)+"x", memoTooLong, "memo_too_long", "memo"),
		both("101 dependencies", list(101), "", tooManyDependencies, "too_many_dependencies", "deps", "100"),
		memo("a memo's list of 101 times one id", text(101), tooManyDependencies, "too_many_dependencies", "memo", "100"),
		memo("a memo's list of 101 items, some no ids", text(100)+",x", tooManyDependencies, "too_many_dependencies", "memo"),
		memo("a memo's list with a word", "depends_on=1,x", validationFailed, invalid, "memo"),
		memo("a memo's list with a fraction", `{"depends_on":[2.0]}`, validationFailed, invalid, "memo"),
		memo("a memo's list with an exponent", `{"depends_on":[1e2]}`, validationFailed, invalid, "memo"),
		memo("a memo's list with a sign", "depends_on:+5", validationFailed, invalid, "memo"),
		memo("a memo's list with 2^64", `{"depends_on":[18446744073709551616]}`, validationFailed, invalid, "memo"),
		memo("a memo's list with null", `{"depends_on":[null]}`, validationFailed, invalid, "memo"),
		memo("a memo of broken JSON about depends_on", `{"depends_on":[1`, validationFailed, invalid, "memo", "JSON"),
		memo("a memo with depends_on twice", `{"depends_on":[1],"depends_on":[1]}`, validationFailed, invalid, "memo"),
		memo("a memo without an array under depends_on", `{"depends_on":"1"}`, validationFailed, invalid, "memo"),
		both("a memo with an id that deps lacks", []any{1}, "depends_on=1,2", validationFailed, invalid, "memo", "2"),
		memo("a dependency on what is not there", "depends_on=18446744073709551615", missingDependency, "missing_dependency",
			"18446744073709551615"),
		memo("a dependency on 0", "depends_on=0", missingDependency, "missing_dependency", "0"),
		both("an explicit dependency on what is not there", []any{1 << 50}, "", missingDependency, "missing_dependency",
			fmt.Sprint(1<<50)),
	}
}

// order are submissions with two faults: the first in the order of checks answers.
func order() []refusal {
	long := strings.Repeat("m", 9000)
	many := "depends_on=" + strings.Repeat("7,", 100) + "7"
	with := func(name string, code int64, label, word string, change func(p, d object)) refusal {
		return refusal{name, proposed(change), code, label, []string{word}}
	}
	thousands := make([]any, 10_001)
	for i := range thousands {
		thousands[i] = i
	}
	return []refusal{
		with("fields before the memo's length", validationFailed, "validation_failed", "amount",
			func(_, d object) { d["amount"], d["memo"] = 0, long }),
		with("receipts before the memo's length", validationFailed, "validation_failed", "expected_receipts",
			func(_, d object) {
				d["expected_receipts"], d["memo"] = []any{object{"account": "tb1a", "amount": 1}}, long
			}),
		with("fields before any number of dependencies", validationFailed, "validation_failed", "title",
			func(p, _ object) { p["title"], p["deps"] = "", thousands }),
		with("the memo's length before any number of dependencies", memoTooLong, "memo_too_long", "memo",
			func(p, d object) { d["memo"], p["deps"] = long, thousands }),
		with("the number of dependencies before what they are", tooManyDependencies, "too_many_dependencies", "memo",
			func(_, d object) { d["memo"] = many + ",x" }),
		with("what the list holds before what exists", validationFailed, "validation_failed", "memo",
			func(_, d object) { d["memo"] = "depends_on=18446744073709551615,x" }),
	}
}

func TestSubmissionsAreRefusedWithCodeAndFieldAndLeaveNoTrace(t *testing.T) {
	for wire, c := range wires(t) {
		for _, r := range append(append(fields(), limits()...), order()...) {
			t.Run(wire+"/"+r.name, func(t *testing.T) {
				before := submit(t, c, later())
				request := fresh("refused")
				r.params["request_id"] = request
				refused(t, c, r.code, r.label, "gov.treasury.submit_disbursement", r.params, r.words...)
				good := later()
				good["request_id"] = request
				result := must(t, c, "gov.treasury.submit_disbursement", good)
				if got := integer(result["id"]); got != before+1 || result["duplicate"] != false {
					t.Errorf("after the refusal of %s: %v, want id %d, no duplicate", request, result, before+1)
				}
			})
		}
	}
}

func TestADependencyThatWasRolledBackIsDependencyFailed(t *testing.T) {
	for wire, c := range wires(t) {
		t.Run(wire, func(t *testing.T) {
			dead := submit(t, c, later())
			must(t, c, "gov.treasury.rollback_disbursement", object{"id": dead, "reason": "a mistake"})
			err := refused(t, c, dependencyFailed, "dependency_failed", "gov.treasury.submit_disbursement",
				proposed(func(p, _ object) { p["deps"] = []any{dead} }), fmt.Sprint(dead))
			if integer(err.data["dependency"]) != dead {
				t.Errorf("data = %v, want the dependency", err.data)
			}
		})
	}
}

// The rules of memos, as far as they show in what a submission is taken to depend on.
func TestMemosNameDependencies(t *testing.T) {
	c := dial(t, world)
	a, b := submit(t, c, later()), submit(t, c, later())
	for _, test := range []struct {
		memo string
		want []int64
	}{
		{fmt.Sprintf(`{"depends_on":[%d,%d,%d]}`, b, a, b), []int64{a, b}},
		{fmt.Sprintf(" depends_on=%d, %d ", b, a), []int64{a, b}},
		{fmt.Sprintf("depends_on:%d", a), []int64{a}},
		{fmt.Sprintf(`{"depends_on":["%d", " %d "],"x":{}}`, a, b), []int64{a, b}},
		{"rent", nil},
		{"", nil},
		{`{"note":[1,2]}`, nil},
		{fmt.Sprintf("please see depends_on=%d", a), nil},
		{`{broken`, nil},
		{strings.Repeat("ü", 4096), nil},
	} {
		params := later()
		params["payload"].(object)["disbursement"].(object)["memo"] = test.memo
		row := must(t, c, "gov.treasury.get_disbursement", object{"id": submit(t, c, params)})
		if got := ids(row["deps"]); fmt.Sprint(got) != fmt.Sprint(test.want) && len(got)+len(test.want) > 0 {
			t.Errorf("memo %.60q: deps %v, want %v", test.memo, got, test.want)
		}
		if got := row["disbursement"].(object)["memo"]; got != test.memo {
			t.Errorf("memo %.60q is stored as %.60q", test.memo, got)
		}
	}
	hundred := make([]any, 0, 150)
	for range 50 {
		hundred = append(hundred, a, b, a) // 150 items, two distinct
	}
	id := submit(t, c, proposed(func(p, _ object) { p["deps"] = hundred }))
	if got := ids(must(t, c, "gov.treasury.get_disbursement", object{"id": id})["deps"]); fmt.Sprint(got) != fmt.Sprint([]int64{a, b}) {
		t.Errorf("deps = %v, want %d and %d", got, a, b)
	}
}

func TestNoProposalIsAbsentNullOrEmpty(t *testing.T) {
	for wire, c := range wires(t) {
		for name, proposal := range map[string]any{"null": nil, "empty": object{}} {
			params := later()
			params["payload"].(object)["proposal"] = proposal
			row := must(t, c, "gov.treasury.get_disbursement", object{"id": submit(t, c, params)})
			if _, there := row["disbursement"].(object)["proposal"]; there {
				t.Errorf("%s: a proposal of %s counts as one", wire, name)
			}
		}
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	for _, c := range wires(t) {
		for method, field := range map[string]string{
			"gov.treasury.submit_disbursement":   "payload",
			"gov.treasury.submit_plan":           "items",
			"gov.treasury.get_disbursement":      "id",
			"gov.treasury.statement":             "id",
			"gov.treasury.vote":                  "id",
			"gov.treasury.queue_disbursement":    "id",
			"gov.treasury.execute_disbursement":  "id",
			"gov.treasury.rollback_disbursement": "id",
			"gov.treasury.accrue":                "amount",
			"gov.treasury.account":               "account",
			"gov.treasury.dependents":            "id",
			"gov.treasury.impact":                "id",
		} {
			refused(t, c, invalidParams, "invalid_params", method, object{"unknown": 1}, field)
			refused(t, c, invalidParams, "invalid_params", method, object{field: nil}, field)
		}
		refused(t, c, invalidParams, "invalid_params", "gov.treasury.vote",
			object{"id": 1, "house": "operators", "voter": "v", "weight_ppm": 1}, "approve")
		refused(t, c, invalidParams, "invalid_params", "gov.treasury.rollback_disbursement", object{"id": 1}, "reason")
		refused(t, c, methodNotFound, "method_not_found", "gov.treasury.pay", object{}, "gov.treasury.pay")
	}
}

func TestPlansAreAllOrNothing(t *testing.T) {
	item := func(ref string, after ...any) object {
		return object{"ref": ref, "payload": later()["payload"], "after": after}
	}
	for wire, c := range wires(t) {
		t.Run(wire, func(t *testing.T) {
			const plan, check = "gov.treasury.submit_plan", "gov.treasury.check_plan"
			before, request := submit(t, c, later()), fresh("plan")
			bad := func(code int64, label string, items []any, words ...string) *fault {
				t.Helper()
				return refused(t, c, code, label, plan, object{"items": items, "request_id": request}, words...)
			}
			bad(validationFailed, "validation_failed", []any{item("a", "b")}, "b")
			bad(validationFailed, "validation_failed", []any{item("a"), item("a")}, "a")
			bad(validationFailed, "validation_failed", []any{}, "items")
			bad(validationFailed, "validation_failed", []any{item("")}, "ref")
			wrong := item("w")
			wrong["payload"] = direct(0)["payload"]
			bad(validationFailed, "validation_failed", []any{item("a"), wrong}, "w", "amount")
			cycle := bad(dependencyCycle, "dependency_cycle",
				[]any{item("x"), item("a", "c"), item("b", "a"), item("c", "b")}, "a", "b", "c")
			if refs, _ := cycle.data["cycle"].([]any); len(refs) < 3 {
				t.Errorf("data = %v, want the cycle's refs", cycle.data)
			}
			bad(dependencyCycle, "dependency_cycle", []any{item("self", "self")}, "self")
			many := make([]any, 1001)
			for i := range many {
				many[i] = item(fmt.Sprint(i))
			}
			bad(validationFailed, "validation_failed", many, "1000")
			refs := make([]any, 101)
			fan := make([]any, 0, 102)
			for i := range refs {
				refs[i] = fmt.Sprint(i)
				fan = append(fan, item(fmt.Sprint(i)))
			}
			bad(tooManyDependencies, "too_many_dependencies", append(fan, item("sum", refs...)), "sum", "100")
			missing := item("m")
			missing["payload"] = direct(1, func(p object) { p["memo"] = "depends_on=99999999999" })["payload"]
			bad(missingDependency, "missing_dependency", []any{item("a"), missing}, "99999999999")

			if got := must(t, c, check, object{"items": []any{item("a", "b"), item("b", "a")}})["cycle"]; len(got.([]any)) < 2 {
				t.Errorf("check_plan finds the cycle %v", got)
			}
			if got := must(t, c, check, object{"items": []any{item("a", "b"), item("b")}})["cycle"]; len(got.([]any)) != 0 {
				t.Errorf("check_plan finds a cycle %v where there is none", got)
			}
			refused(t, c, missingDependency, "missing_dependency", check, object{"items": []any{missing}}, "99999999999")

			result := must(t, c, plan, object{"items": []any{item("last", "first"), item("first")}, "request_id": request})
			got := result["ids"].(object)
			if integer(got["last"])+integer(got["first"]) != 2*before+3 {
				t.Errorf("ids = %v, want %d and %d", got, before+1, before+2)
			}
			row := must(t, c, "gov.treasury.get_disbursement", object{"id": got["last"]})
			if deps := ids(row["deps"]); len(deps) != 1 || deps[0] != integer(got["first"]) {
				t.Errorf("deps of last = %v, want %v", deps, got["first"])
			}
			again := must(t, c, plan, object{"items": []any{item("last", "first"), item("first")}, "request_id": request})
			if again["duplicate"] != true || fmt.Sprint(again["ids"]) != fmt.Sprint(got) {
				t.Errorf("the repeat answers %v", again)
			}
		})
	}
}
