package node_test

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/the-block/bursar/messages"
)

// pages reads a list to its end and returns its rows, and how many pages it had.
func pages(t *testing.T, c caller, method, list string, params object) (rows []any, count int) {
	t.Helper()
	params = with(params, nil)
	for {
		page := must(t, c, method, params)
		rows = append(rows, page[list].([]any)...)
		count++
		if page["next_cursor"] == nil {
			return rows, count
		}
		params["cursor"] = page["next_cursor"]
	}
}

func rowID(row any) int64 { return integer(row.(object)["disbursement"].(object)["id"]) }

// library is a node with disbursements of every kind to look for.
func library(t *testing.T) (*member, *line) {
	m := start(t)
	c := dial(t, m)
	must(t, c, "gov.treasury.accrue", object{"amount": 1_000_000})
	advance(t, c)
	for i := range 60 {
		submit(t, c, direct(1+i, func(p object) {
			p["destination"] = fmt.Sprintf("tb1p%d", i%7)
			p["scheduled_epoch"] = 100 + i
		}))
	}
	paid := submit(t, c, direct(1000)) // 61
	awaitState(t, c, paid, "executed")
	advance(t, c)
	awaitState(t, c, paid, "finalized")
	dead := submit(t, c, later()) // 62
	must(t, c, "gov.treasury.rollback_disbursement", object{"id": dead, "reason": "no"})
	must(t, c, "gov.treasury.queue_disbursement", object{"id": submit(t, c, proposed())}) // 63, voting
	executed := submit(t, c, direct(2000))                                                // 64
	awaitState(t, c, executed, "executed")
	return m, c
}

func TestListsOfDisbursements(t *testing.T) {
	m, c := library(t)
	const method, list = "gov.treasury.disbursements", "disbursements"
	created := integer(must(t, c, "gov.treasury.get_disbursement", object{"id": 1})["disbursement"].(object)["created_at"])
	for _, test := range []struct {
		name   string
		params object
		want   func(id int64) bool
	}{
		{"all", object{}, func(int64) bool { return true }},
		{"a status", object{"status": "finalized"}, func(id int64) bool { return id == 61 }},
		{"executed", object{"status": "executed"}, func(id int64) bool { return id == 64 }},
		{"rolled_back", object{"status": "rolled_back"}, func(id int64) bool { return id == 62 }},
		{"cancelled", object{"status": "cancelled"}, func(id int64) bool { return id == 62 }},
		{"voting", object{"status": "voting"}, func(id int64) bool { return id == 63 }},
		{"draft", object{"status": "draft"}, func(id int64) bool { return id <= 60 }},
		{"scheduled", object{"status": "scheduled"}, func(id int64) bool { return id <= 60 || id == 63 }},
		{"queued", object{"status": "queued"}, func(int64) bool { return false }},
		{"a destination", object{"destination": "tb1p3"}, func(id int64) bool { return id <= 60 && (id-1)%7 == 3 }},
		{"a destination nobody has", object{"destination": "tb1p"}, func(int64) bool { return false }},
		{"epochs", object{"min_epoch": 110, "max_epoch": 119}, func(id int64) bool { return id >= 11 && id <= 20 }},
		{"amounts", object{"min_amount": 5, "max_amount": 5}, func(id int64) bool { return id == 5 }},
		{"a least amount", object{"min_amount": 1000}, func(id int64) bool { return id == 61 || id == 64 }},
		{"created since", object{"min_created_at": created}, func(int64) bool { return true }},
		{"created before", object{"max_created_at": created - 1}, func(int64) bool { return false }},
		{"all at once", object{"status": "scheduled", "destination": "tb1p0", "min_amount": 8, "max_amount": 30, "min_epoch": 1,
			"max_epoch": 121, "min_created_at": 1, "max_created_at": created + 100}, func(id int64) bool { return id == 8 || id == 15 || id == 22 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			var want []int64
			for id := int64(64); id >= 1; id-- {
				if test.want(id) {
					want = append(want, id)
				}
			}
			for _, c := range []caller{c, &web{m}} {
				for _, limit := range []int{0, 1, 7, 1000, 1 << 30} {
					rows, _ := pages(t, c, method, list, with(test.params, object{"limit": limit}))
					var got []int64
					for _, row := range rows {
						got = append(got, rowID(row))
					}
					if !slices.Equal(got, want) {
						t.Errorf("limit %d: got %v, want %v", limit, got, want)
					}
				}
			}
		})
	}
	if page := must(t, c, method, object{"limit": 7}); len(page[list].([]any)) != 7 || page["next_cursor"] == nil {
		t.Errorf("a page of 7 has %d rows, next_cursor %v", len(page[list].([]any)), page["next_cursor"])
	}
	refused(t, c, validationFailed, "validation_failed", method, object{"status": "paid"}, "status")
}

func TestAPageHas100RowsAndNeverMoreThan1000(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	items := make([]any, 1000)
	for i := range items {
		items[i] = object{"ref": fmt.Sprint(i), "payload": later()["payload"]}
	}
	must(t, c, "gov.treasury.submit_plan", object{"items": items})
	for range 150 {
		submit(t, c, later())
		must(t, c, "gov.treasury.accrue", object{"amount": 1})
	}
	for limit, want := range map[any]int{nil: 100, 0: 100, 5: 5, 1000: 1000, 1001: 1000, ^uint64(0): 1000} {
		params := object{"limit": limit}
		if got := len(must(t, c, "gov.treasury.disbursements", params)["disbursements"].([]any)); got != want {
			t.Errorf("disbursements, limit %v: %d rows, want %d", limit, got, want)
		}
		if got := len(must(t, c, "gov.treasury.balance_history", params)["snapshots"].([]any)); got != min(want, 150) {
			t.Errorf("balance_history, limit %v: %d rows, want %d", limit, got, min(want, 150))
		}
	}
	// Answers about the graph come whole, up to what a reply holds.
	for _, method := range []string{"order", "ready"} {
		for limit, want := range map[any]int{nil: 1150, 0: 1150, 5: 5, ^uint64(0): 1150} {
			page := must(t, c, "gov.treasury."+method, object{"limit": limit})
			if got := len(page["ids"].([]any)); got != want || (page["next_cursor"] == nil) != (want == 1150) {
				t.Errorf("%s, limit %v: %d ids, next_cursor %v, want %d", method, limit, got, page["next_cursor"], want)
			}
		}
	}
	if waves := must(t, c, "gov.treasury.waves", object{})["waves"].([]any); len(waves) != 1 || len(waves[0].([]any)) != 1150 {
		t.Errorf("%d waves, not one of 1,150", len(waves))
	}
}

func TestTheBalanceHistoryExplainsTheBalance(t *testing.T) {
	_, c := library(t)
	for _, limit := range []int{1, 2, 1000} {
		rows, _ := pages(t, c, "gov.treasury.balance_history", "snapshots", object{"limit": limit})
		var got []string
		for _, row := range rows {
			r := row.(object)
			got = append(got, fmt.Sprint(r["id"], r["event"], r["delta"], r["balance"], r["disbursement_id"]))
		}
		want := []string{"3executed-2000 997000 64", "2executed-1000 999000 61", "1accrual1000000 1000000 <nil>"}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("limit %d: %q", limit, got)
		}
	}
	all := must(t, c, "gov.treasury.balance", object{})
	last := all["last_snapshot"].(object)
	history := must(t, c, "gov.treasury.balance_history", object{})
	if integer(all["balance"]) != 997000 || integer(last["id"]) != 3 || integer(history["current_balance"]) != 997000 {
		t.Errorf("balance %v, history %v", all, history)
	}
	executor := must(t, c, "gov.treasury.executor", object{})
	embedded := all["executor"].(object)
	if executor["node"] != "n1" || executor["submitter"] != "ledger" || executor["breaker"] != "closed" ||
		executor["paused_id"] != nil || integer(executor["staged"]) != 0 || integer(executor["next_nonce"]) != 3 ||
		integer(executor["last_executed_at"]) < 1_700_000_000 || embedded["node"] != "n1" {
		t.Errorf("executor %v", executor)
	}
}

// A page of large rows stops before 512 KiB and leads on.
func TestAReplyStopsAt512KiB(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	memo := strings.Repeat("ü", 4096)
	for range 200 {
		params := proposed(func(p, d object) {
			p["summary"], d["memo"] = strings.Repeat("s", 8000), memo
		})
		submit(t, c, params)
	}
	params := object{"limit": 1000}
	var seen int
	for pages := 1; ; pages++ {
		l := dial(t, m)
		l.send(t, []any{0, 1, "gov.treasury.disbursements", []any{params}})
		counting := &counter{line: l}
		page := counting.receive(t)
		if counting.bytes > 512<<10 {
			t.Errorf("page %d has %d bytes", pages, counting.bytes)
		}
		seen += len(page["disbursements"].([]any))
		if params["cursor"] = page["next_cursor"]; params["cursor"] == nil {
			if pages < 6 {
				t.Errorf("%d pages for more than 3 MB", pages)
			}
			break
		}
	}
	if seen != 200 {
		t.Errorf("%d rows on all pages, want 200", seen)
	}
}

// A chain of more than one reply holds: every answer keeps to 512 KiB on both wires,
// and its pages add up.
func TestAnswersAboutALongChainKeepToTheReply(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	const length = 41_000
	for at := 0; at < length; at += 1000 {
		items := make([]any, 1000)
		for i := range items {
			items[i] = object{"ref": fmt.Sprint(i), "payload": later()["payload"]}
			if i > 0 {
				items[i].(object)["after"] = []any{fmt.Sprint(i - 1)}
			} else if at > 0 {
				items[i].(object)["payload"] = direct(1, func(p object) {
					p["scheduled_epoch"], p["memo"] = 1<<40, fmt.Sprintf("depends_on=%d", at)
				})["payload"]
			}
		}
		must(t, c, "gov.treasury.submit_plan", object{"items": items})
	}
	for method, list := range map[string]string{"order": "ids", "waves": "waves", "critical_path": "ids"} {
		method = "gov.treasury." + method
		rows, count := pages(t, c, method, list, object{})
		if len(rows) != length || count != 2 {
			t.Errorf("%s: %d rows on %d pages, want %d on 2", method, len(rows), count, length)
		}
		l := dial(t, m)
		l.send(t, []any{0, 1, method, []any{}})
		counting := &counter{line: l}
		counting.receive(t)
		resp, err := http.Post(m.url("/rpc"), "application/json",
			strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"`+method+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || counting.bytes > 512<<10 || len(text) > 512<<10 {
			t.Errorf("%s: %d bytes as MessagePack, %d as JSON, %v", method, counting.bytes, len(text), err)
		}
	}
	impact := must(t, c, "gov.treasury.impact", object{"id": 1})
	if integer(impact["count"]) != length-1 || integer(impact["amount"]) != length-1 {
		t.Errorf("impact: count %v, amount %v", impact["count"], impact["amount"])
	}
}

// counter counts an answer's bytes.
type counter struct {
	*line
	bytes int
}

func (c *counter) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.bytes += n
	return n, err
}

func (c *counter) receive(t *testing.T) object {
	t.Helper()
	c.dec.Reset(c)
	c.dec.UseLooseInterfaceDecoding(true)
	_, result, err := c.line.receive(t)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// The graph: 1 <- 2 <- 4, 1 <- 3 <- 4, 5 alone, 6 on 4 and 5.
func TestQuestionsAboutTheGraph(t *testing.T) {
	m := start(t)
	c := dial(t, m)
	amounts := []int{0, 100, 20, 30, 4, 500, 6}
	for id, deps := range [][]any{1: {}, 2: {1}, 3: {1}, 4: {2, 3}, 5: {}, 6: {4, 5}} {
		if id > 0 {
			submit(t, c, direct(amounts[id], func(p object) {
				p["memo"] = "depends_on=" + strings.Trim(strings.ReplaceAll(fmt.Sprint(deps), " ", ","), "[]")
				if len(deps) == 0 {
					p["memo"] = ""
				}
			}))
		}
	}
	for _, c := range []caller{c, &web{m}} {
		ask := func(method string, params object) object { return must(t, c, "gov.treasury."+method, params) }
		same := func(what string, got any, want ...int64) {
			t.Helper()
			if !slices.Equal(ids(got), want) {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		same("dependents", ask("dependents", object{"id": 1})["ids"], 2, 3)
		same("dependents, transitive", ask("dependents", object{"id": 1, "transitive": true})["ids"], 2, 3, 4, 6)
		same("dependents of a leaf", ask("dependents", object{"id": 6, "transitive": true})["ids"])
		same("ready", ask("ready", object{})["ids"], 1, 5)
		same("order", ask("order", object{})["ids"], 1, 2, 3, 4, 5, 6)
		same("order of some", ask("order", object{"ids": []any{6, 4, 1, 4}})["ids"], 1, 4, 6)
		path := ask("critical_path", object{})
		same("critical_path", path["ids"], 5, 6)
		if integer(path["amount"]) != 506 {
			t.Errorf("the critical path's amount is %v", path["amount"])
		}
		path = ask("critical_path", object{"ids": []any{1, 2, 3, 4}})
		same("critical_path of some", path["ids"], 1, 3, 4)
		impact := ask("impact", object{"id": 1})
		same("impact", impact["ids"], 2, 3, 4, 6)
		if integer(impact["count"]) != 4 || integer(impact["amount"]) != 60 {
			t.Errorf("impact %v", impact)
		}
		if got := fmt.Sprint(ask("waves", object{})["waves"]); got != "[[1 5] [2 3] [4] [6]]" {
			t.Errorf("waves %s", got)
		}
		if got := fmt.Sprint(ask("waves", object{"ids": []any{2, 3, 4}})["waves"]); got != "[[2 3] [4]]" {
			t.Errorf("waves of some %s", got)
		}
		graph := ask("graph", object{})
		if integer(graph["nodes"]) != 6 || integer(graph["edges"]) != 6 {
			t.Errorf("graph %v", graph)
		}
		if ask("has_pending", object{})["has_pending"] != true || ask("has_pending", object{"id": 1})["has_pending"] != false ||
			ask("has_pending", object{"id": 2})["has_pending"] != true {
			t.Error("has_pending is wrong")
		}
		for _, method := range []string{"order", "ready"} {
			whole := ids(ask(method, object{})["ids"])
			var paged []int64
			rows, count := pages(t, c, "gov.treasury."+method, "ids", object{"limit": 1})
			for _, row := range rows {
				paged = append(paged, integer(row))
			}
			if !slices.Equal(paged, whole) || count != len(whole) {
				t.Errorf("%s by pages of one: %v on %d pages, want %v", method, paged, count, whole)
			}
		}
		rows, _ := pages(t, c, "gov.treasury.impact", "ids", object{"id": 1, "limit": 3})
		same("impact by pages", rows, 2, 3, 4, 6)
	}
}

// Every method of the table answers on both wires: with a result, or a refusal of
// parameters it lacks.
func TestEveryMethodAnswers(t *testing.T) {
	m := start(t)
	for wire, c := range map[string]caller{"msgpack": dial(t, m), "json": &web{m}} {
		for _, method := range messages.Methods() {
			// There is nobody to hand over to, and nobody who archives.
			alone := method.Name == messages.MethodTransferLeader || method.Name == messages.MethodBackup
			if _, err := c.call(t, method.Name, object{}); err != nil && err.code != invalidParams && err.code != validationFailed &&
				(!alone || err.code != invalidTransition) {
				t.Errorf("%s: %s {} answers %v", wire, method.Name, err)
			}
			if _, err := c.call(t, method.Name, object{"id": 1, "ids": []any{}, "path": "/clock", "kind": "none", "mode": "none",
				"account": "a", "reason": "none", "items": []any{}, "amount": 0, "house": "builders", "voter": "", "weight_ppm": 0,
				"approve": false, "payload": object{}}); err != nil && (err.code == -32603 || err.code == methodNotFound) {
				t.Errorf("%s: %s answers %v", wire, method.Name, err)
			}
		}
	}
}

func TestWhatANodeTellsOfItself(t *testing.T) {
	for _, c := range wires(t) {
		s := must(t, c, "cluster.status", object{})
		if s["leader"] != "n1" || s["node"] != "n1" || s["quorum"] != true || s["ready"] != true || integer(s["term"]) < 1 ||
			integer(s["applied_index"]) < 1 || integer(s["voters"]) != 1 {
			t.Errorf("cluster.status %v", s)
		}
		members := must(t, c, "cluster.members", object{})["members"].([]any)
		if len(members) != 1 {
			t.Fatalf("cluster.members %v", members)
		}
		if m := members[0].(object); m["name"] != "n1" || m["role"] != "primary" || m["state"] != "alive" || m["leader"] != true ||
			integer(m["shards"]) != 83 {
			t.Errorf("member %v", m)
		}
		rows, count := pages(t, c, "actors.tree", "actors", object{"limit": 10})
		seen := make(map[string]bool)
		for _, row := range rows {
			seen[row.(object)["path"].(string)] = true
		}
		if !seen["/treasury/executor"] || !seen["/treasury/shard-63"] || !seen["/clock"] || count < 7 {
			t.Errorf("actors.tree has %d rows on %d pages", len(rows), count)
		}
		rows, _ = pages(t, c, "actors.tree", "actors", object{"path": "/treasury", "depth": 1})
		if len(rows) != 1+64+1 {
			t.Errorf("actors.tree of /treasury to depth 1 has %d rows", len(rows))
		}
		refused(t, c, notFound, "not_found", "actors.tree", object{"path": "/nobody"}, "/nobody")
		if got := must(t, c, "supervision.breakers", object{})["breakers"]; len(got.([]any)) != 0 {
			t.Errorf("breakers %v", got)
		}
		methods := make(map[string]bool)
		for _, m := range must(t, c, "rpc.discover", object{})["methods"].([]any) {
			methods[m.(object)["name"].(string)] = true
		}
		for _, name := range []string{"gov.treasury.submit_disbursement", "epoch.advance", "rpc.discover"} {
			if !methods[name] {
				t.Errorf("rpc.discover does not know %s", name)
			}
		}
	}
}

// Sums stop at the largest amount, and say so.
func TestASumThatStopsSaysSo(t *testing.T) {
	c := dial(t, world)
	var ids []any
	for range 3 {
		params := later()
		payment := params["payload"].(object)["disbursement"].(object)
		payment["amount"] = uint64(math.MaxInt64)
		if n := len(ids); n > 0 {
			payment["memo"] = fmt.Sprintf("depends_on=%d", ids[n-1])
		}
		ids = append(ids, submit(t, c, params))
	}
	for _, ask := range []struct {
		method string
		params object
		capped any
	}{
		{"critical_path", object{"ids": ids}, true},
		{"critical_path", object{"ids": ids[2:]}, nil},
		{"impact", object{"id": ids[0]}, true},
		{"impact", object{"id": ids[1]}, nil},
	} {
		got := must(t, c, "gov.treasury."+ask.method, ask.params)
		if got["amount"] != int64(math.MaxInt64) || got["capped"] != ask.capped {
			t.Errorf("%s %v: amount %v, capped %v, want %v", ask.method, ask.params, got["amount"], got["capped"], ask.capped)
		}
	}
}
