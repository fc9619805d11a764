package main

import (
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
)

func TestAnOutageLastsUntilTheNextPayment(t *testing.T) {
	start := time.Unix(1000, 0)
	type look struct {
		after  time.Duration
		newest uint64
	}
	for name, c := range map[string]struct {
		delay time.Duration
		looks []look
		want  time.Duration
		count int
	}{
		"the first payment after it ends it": {
			outageDelay, []look{{0, 5}, {500 * time.Millisecond, 5}, {1200 * time.Millisecond, 6}}, 1200 * time.Millisecond, 1},
		"what was paid before it and became visible later does not": {
			outageDelay, []look{{0, 5}, {20 * time.Millisecond, 7}, {time.Second, 8}}, time.Second, 1},
		"a node that lags behind the one asked before shows no payment": {
			outageDelay, []look{{0, 7}, {200 * time.Millisecond, 5}, {300 * time.Millisecond, 7}, {time.Second, 8}}, time.Second, 1},
		"the first look is no payment": {
			0, []look{{300 * time.Millisecond, 5}}, 0, 0},
		"of several pauses the longest counts": {
			0, []look{{0, 5}, {100 * time.Millisecond, 6}, {600 * time.Millisecond, 7}, {700 * time.Millisecond, 8}}, 500 * time.Millisecond, 3},
	} {
		t.Run(name, func(t *testing.T) {
			p := pauses{from: start, after: start.Add(c.delay)}
			for _, l := range c.looks {
				p.see(start.Add(l.after), l.newest)
			}
			if p.longest != c.want || p.count != c.count {
				t.Errorf("%s over %d payments, want %s over %d", p.longest, p.count, c.want, c.count)
			}
		})
	}
}

func TestOnlyWhoLedOrPaidIsFailedOver(t *testing.T) {
	m := testMember(t)
	for _, c := range []struct {
		o    outage
		want string
	}{
		{outage{member: m, how: killed, leader: true, executor: true}, "FAILOVER: n1, leader and executor, was killed; n2 leads;"},
		{outage{member: m, how: cutOff, executor: true}, "FAILOVER: n1, the executor, was cut off;"},
		{outage{member: m, how: paused}, "n1, neither leader nor executor, was paused: the next payment was executed 1s after it"},
		{outage{member: m, how: stopped, leader: true}, "n1, the leader, left in order: the longest pause"},
	} {
		if got := c.o.text(time.Second, &sight{leader: "n2"}); !strings.HasPrefix(got, c.want) {
			t.Errorf("told %q, want %q ...", got, c.want)
		}
	}
}

func TestTheLedgerTakesEachAnswerOnce(t *testing.T) {
	l := newLedger()
	note := func(request string, id messages.DisbursementID) {
		l.note(&messages.SubmitDisbursementParams{
			Options: messages.Options{RequestID: request},
			Payload: messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1x", Amount: 5}},
		}, &messages.SubmitDisbursementResult{ID: id})
	}
	note("a", 1)
	note("a", 1)
	note("b", 2)
	l.note(&messages.NoParams{}, &messages.BalanceResult{})
	if len(l.taken) != 2 || l.fault != nil {
		t.Errorf("%d taken, fault %v, want 2 and none", len(l.taken), l.fault)
	}
	note("a", 3)
	if l.fault == nil {
		t.Error("two ids for one request are no fault")
	}
	check := aftercheck{ledger: l}
	if text, ok := check.nothingLost(nil); ok || !strings.Contains(text, "request a was answered with disbursement 1, and then with 3") {
		t.Errorf("the check says %v: %s", ok, text)
	}
	l = newLedger()
	note("a", 1)
	note("b", 1)
	check = aftercheck{ledger: l}
	if text, ok := check.nothingLost(nil); ok || !strings.Contains(text, "disbursement 1 was acknowledged to") {
		t.Errorf("one id for two requests: %v: %s", ok, text)
	}
}

func TestNodesThatDifferFailTheCheck(t *testing.T) {
	check := aftercheck{ledger: newLedger()}
	all := []kept{{name: "n1", index: 7}, {name: "n2", index: 7}, {name: "n3", index: 7}}
	if text, ok := check.allTheSame(all); !ok {
		t.Error(text)
	}
	all[2].digest[0] = 1
	if text, ok := check.allTheSame(all); ok || !strings.Contains(text, "n3") {
		t.Errorf("rows that differ: %v: %s", ok, text)
	}
	all[2].digest[0], all[1].index = 0, 6
	if text, ok := check.allTheSame(all); ok || !strings.Contains(text, "n2 at index 6") {
		t.Errorf("an index that differs: %v: %s", ok, text)
	}
	all[1].books, all[0].books, all[2].books = new(rebuild), new(rebuild), new(rebuild)
	all[1].books.books.FaultCount, all[1].books.books.Faults = 1, []string{"nonce 3 was used twice"}
	if text, ok := check.booksBalance(all); ok || !strings.Contains(text, "the books of n2 are wrong: nonce 3") {
		t.Errorf("wrong books: %v: %s", ok, text)
	}
	if text, ok := check.nothingTwice(all); ok {
		t.Error(text)
	}
}

func TestTheTableTellsWhatEachNodeDoes(t *testing.T) {
	s := &sight{leader: "n1", executor: "n1", clock: "n2", nodes: []nodeSight{
		{name: "n1", role: "primary", state: "ready", ready: true, shards: 41, applied: 1234, pid: 77, cpu: 0.183},
		{name: "n2", role: "replica", state: "no quorum since 3 s", cpu: -1},
	}}
	lines := nodesTable(s, 1)
	if len(lines) != 3 || !strings.HasPrefix(lines[2], "▸ n2 ") || strings.HasPrefix(lines[1], "▸") {
		t.Errorf("table:\n%s", strings.Join(lines, "\n"))
	}
	for _, word := range []string{"primary", "ready", "41", "leader executor", "1,234", "77", "18 %"} {
		if !strings.Contains(lines[1], word) {
			t.Errorf("%q is not in %q", word, lines[1])
		}
	}
	if got, want := nodesLine(s), "nodes: n1 primary ready leader executor 41 shards | n2 replica no quorum clock"; got != want {
		t.Errorf("line %q, want %q", got, want)
	}
}

func TestWhatWasNotDoneCannotBeTakenBack(t *testing.T) {
	m := testMember(t)
	for _, err := range []error{m.suffer(killed), m.bringBack()} {
		if err == nil {
			t.Error("an order to a node that never ran was carried out")
		}
	}
}
