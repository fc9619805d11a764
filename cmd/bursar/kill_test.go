package main

import (
	"context"
	"flag"
	"fmt"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/demo"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
)

var kills = flag.Int("kills", 6, "how often TestNothingIsLostWhenTheNodeIsKilled kills the node")

// The demo's sums: every payment over something whose grant exists is paid once.
const (
	demoPayments = 642 + 676
	demoRefused  = 1 + 18
)

// TestNothingIsLostWhenTheNodeIsKilled runs the demo and a load while the node is
// killed again and again, and then counts the money.
func TestNothingIsLostWhenTheNodeIsKilled(t *testing.T) {
	m := testMember(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(*kills)*5*time.Second)
	defer cancel()
	link := &link{addr: m.cfg.Address(node.PortRPC)}
	defer link.Close()

	var done sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	defer done.Wait()
	defer stop()
	ready := make(chan struct{})
	done.Go(func() {
		if err := m.run(running, func() { close(ready) }); err != nil {
			t.Error(err)
			cancel()
		}
	})
	select {
	case <-ready:
	case <-ctx.Done():
		t.Fatal("the node did not get ready")
	}
	killing := make(chan struct{})
	done.Go(func() {
		defer close(killing)
		killAgainAndAgain(running, t, m)
	})
	acknowledged := submitUntil(ctx, t, link, killing)
	checkMoney(ctx, t, link, acknowledged)
}

// killAgainAndAgain kills each of the node's processes some time after its start, be
// it still starting or long at work. Every fourth gets ready first: the member gives
// a node up that dies deathsMax times before it is.
func killAgainAndAgain(ctx context.Context, t *testing.T, m *member) {
	var killed int64
	for i := range *kills {
		for m.pid.Load() == killed {
			if !wait(ctx, pollEvery) {
				return
			}
		}
		killed = m.pid.Load()
		if i%4 == 3 && !awaitServing(ctx, m) {
			return
		}
		if !wait(ctx, time.Duration(20+i*547%1400)*time.Millisecond) {
			return
		}
		if err := syscall.Kill(int(killed), syscall.SIGKILL); err != nil {
			t.Errorf("kill %d: %v", killed, err)
		}
	}
}

// awaitServing returns false if ctx ends before the node is ready.
func awaitServing(ctx context.Context, m *member) bool {
	for {
		if ready, _, err := readiness(ctx, m.cfg.Address(node.PortHTTP)); err == nil && ready {
			return true
		}
		if !wait(ctx, pollEvery) {
			return false
		}
	}
}

// payment is what a caller was told is done.
type payment struct {
	id          messages.DisbursementID
	destination string
	amount      messages.Amount
}

// submitUntil submits the demo, then portions of small payments until enough is
// closed, and returns all that was acknowledged by id.
func submitUntil(ctx context.Context, t *testing.T, link *link, enough <-chan struct{}) map[messages.DisbursementID]payment {
	t.Helper()
	book, err := demo.Load()
	if err != nil {
		t.Fatal(err)
	}
	cfg := batch.Config{InFlight: 32, Patience: time.Minute}
	tally, err := demo.Run(ctx, link, book, cfg, func(*demo.Tally) {})
	if err != nil {
		t.Fatal(err)
	}
	var refused int
	for _, n := range tally.Refused {
		refused += n
	}
	if tally.Submitted() != demoPayments || refused != demoRefused {
		t.Fatalf("%d submitted, refused %v", tally.Submitted(), tally.Refused)
	}
	acknowledged := make(map[messages.DisbursementID]payment)
	for portion := 0; ; portion++ {
		items := make([]batch.Item, 100)
		for i := range items {
			items[i] = batch.Item{
				RequestID: fmt.Sprintf("kill-%d-%d", portion, i),
				Payload: messages.Payload{Disbursement: messages.Disbursement{
					Destination: fmt.Sprintf("tb1kill%d", i%7), Amount: messages.Amount(1 + i), ScheduledEpoch: 1,
				}},
			}
		}
		err := batch.Submit(ctx, link, items, cfg, func(i int, o batch.Outcome) {
			if o.Refused != nil {
				t.Errorf("%s was refused: %v", items[i].RequestID, o.Refused)
				return
			}
			d := items[i].Payload.Disbursement
			if other, taken := acknowledged[o.ID]; taken {
				t.Errorf("id %d was given to %+v and to %s", o.ID, other, items[i].RequestID)
			}
			acknowledged[o.ID] = payment{o.ID, d.Destination, d.Amount}
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-enough:
			return acknowledged
		default:
		}
	}
}

// checkMoney waits until everything is final and holds the books to what was
// acknowledged: each payment there once, executed once, and treasury plus accounts
// equal to the accruals.
func checkMoney(ctx context.Context, t *testing.T, link *link, acknowledged map[messages.DisbursementID]payment) {
	t.Helper()
	rows := finalRows(ctx, t, link, demoPayments+len(acknowledged))
	paid := make(map[string]messages.Amount)
	var total messages.Amount
	transactions := make(map[string]messages.DisbursementID)
	for _, row := range rows {
		d := row.Disbursement
		if d.Status.State != messages.Finalized {
			t.Errorf("%d is %s", d.ID, d.Status.State)
		}
		if other, taken := transactions[d.Status.TxHash]; taken || d.Status.TxHash == "" {
			t.Errorf("%d has the transaction %q of %d", d.ID, d.Status.TxHash, other)
		}
		transactions[d.Status.TxHash] = d.ID
		if want, ok := acknowledged[d.ID]; ok && (d.Destination != want.destination || d.Amount != want.amount) {
			t.Errorf("%d pays %d to %s, acknowledged was %+v", d.ID, d.Amount, d.Destination, want)
		}
		delete(acknowledged, d.ID)
		paid[d.Destination] += d.Amount
		total += d.Amount
	}
	for id := range acknowledged {
		t.Errorf("%d was acknowledged and is lost", id)
	}
	for account, want := range paid {
		var got messages.AccountResult
		mustCall(ctx, t, link, messages.MethodAccount, &messages.AccountParams{Account: account}, &got)
		if got.Balance != want {
			t.Errorf("%s has %d, was paid %d", account, got.Balance, want)
		}
	}
	checkHistory(ctx, t, link, total)
}

// finalRows lists all disbursements once none is open any more.
func finalRows(ctx context.Context, t *testing.T, link *link, want int) []*messages.DisbursementRow {
	t.Helper()
	var open messages.DisbursementsResult
	for {
		open = messages.DisbursementsResult{}
		mustCall(ctx, t, link, messages.MethodDisbursements,
			&messages.DisbursementsParams{Status: messages.FilterScheduled, Page: messages.Page{Limit: 1}}, &open)
		executed := messages.DisbursementsResult{}
		mustCall(ctx, t, link, messages.MethodDisbursements,
			&messages.DisbursementsParams{Status: "executed", Page: messages.Page{Limit: 1}}, &executed)
		if len(open.Disbursements)+len(executed.Disbursements) == 0 && open.NextCursor == 0 && executed.NextCursor == 0 {
			break
		}
		if !wait(ctx, pollEvery) {
			t.Fatal("the payments did not become final")
		}
	}
	var rows []*messages.DisbursementRow
	params := &messages.DisbursementsParams{Page: messages.Page{Limit: 1000}}
	for {
		var page messages.DisbursementsResult
		mustCall(ctx, t, link, messages.MethodDisbursements, params, &page)
		rows = append(rows, page.Disbursements...)
		if params.Cursor = page.NextCursor; params.Cursor == 0 {
			break
		}
	}
	if len(rows) != want {
		t.Errorf("%d disbursements are in the books, want %d", len(rows), want)
	}
	return rows
}

// checkHistory walks the balance history: each row follows from the one before, and
// all of them explain the balance.
func checkHistory(ctx context.Context, t *testing.T, link *link, paid messages.Amount) {
	t.Helper()
	var accrued, executed messages.Amount
	params := &messages.PageParams{Page: messages.Page{Limit: 1000}}
	var newer *messages.BalanceSnapshot
	var current messages.Amount
	for {
		var page messages.BalanceHistoryResult
		mustCall(ctx, t, link, messages.MethodBalanceHistory, params, &page)
		current = page.CurrentBalance
		for i := range page.Snapshots {
			row := &page.Snapshots[i]
			if newer != nil && (newer.ID != row.ID+1 || int64(newer.Balance) != int64(row.Balance)+newer.Delta) {
				t.Errorf("row %+v does not follow from %+v", newer, row)
			}
			switch row.Event {
			case messages.EventAccrual:
				accrued += messages.Amount(row.Delta)
			case messages.EventExecuted:
				executed += messages.Amount(-row.Delta)
			case messages.EventCancelled:
				t.Errorf("row %+v: nothing was cancelled", row)
			}
			newer = row
		}
		if params.Cursor = page.NextCursor; params.Cursor == 0 {
			break
		}
	}
	if executed != paid || current+paid != accrued {
		t.Errorf("accrued %d, executed %d, paid %d, balance %d", accrued, executed, paid, current)
	}
}

// mustCall makes a read that must succeed, again while the node is away.
func mustCall(ctx context.Context, t *testing.T, link *link, method string, params messages.Params, result messages.Result) {
	t.Helper()
	err := batch.Persist(ctx, time.Minute, func() error { return link.Call(ctx, method, params, result) })
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// testMember describes a node that runs the installed program.
func testMember(t *testing.T) *member {
	t.Helper()
	program, err := exec.LookPath("bursar") // TestMain puts it on the path
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := node.DefaultConfig()
	cfg.BasePort = freePorts(t)
	cfg.EpochInterval = 20 * time.Millisecond
	cfg.DataDir = filepath.Join(dir, "n1")
	m := &member{program: program, cfg: cfg, logPath: filepath.Join(dir, "n1.log"), events: t.Logf}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(m.lastLog())
		}
	})
	return m
}
