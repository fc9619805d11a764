package main

import (
	"context"
	"errors"
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
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

var kills = flag.Int("kills", 6, "how often TestNothingIsLostWhenTheNodeIsKilled kills the node")

// demoRows is how many rows the demo submits: each is taken or refused.
const demoRows = 643 + 694

// TestNothingIsLostWhenTheNodeIsKilled runs the demo and a load while the node is
// killed again and again, and then counts the money.
func TestNothingIsLostWhenTheNodeIsKilled(t *testing.T) {
	m := testNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute+time.Duration(*kills)*5*time.Second)
	defer cancel()
	link := client.New(client.Config{Addrs: []string{m.Cfg.Address(node.PortRPC)}})
	defer link.Close()

	var done sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	defer done.Wait()
	defer stop()
	ready := make(chan struct{})
	done.Go(func() {
		if err := m.Run(running, func() { close(ready) }); err != nil {
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
	told, acknowledged := submitUntil(ctx, t, link, killing)
	checkMoney(ctx, t, link, told, acknowledged)
}

// killAgainAndAgain kills each of the node's processes some time after its start, be
// it still starting or long at work. Every fourth gets ready first: the member gives
// a node up that dies deathsMax times before it is.
func killAgainAndAgain(ctx context.Context, t *testing.T, m *localcluster.Node) {
	var killed int64
	for i := range *kills {
		for m.PID() == killed {
			if !localcluster.Wait(ctx, pollEvery) {
				return
			}
		}
		killed = m.PID()
		if i%4 == 3 && !m.AwaitReady(ctx) {
			return
		}
		if !localcluster.Wait(ctx, time.Duration(20+i*547%1400)*time.Millisecond) {
			return
		}
		err := syscall.Kill(int(killed), syscall.SIGKILL)
		if err != nil && !errors.Is(err, syscall.ESRCH) { // the member ends one that is too slow itself
			t.Errorf("kill %d: %v", killed, err)
		}
	}
}

// payment is what a caller was told is done.
type payment struct {
	id          messages.DisbursementID
	destination string
	amount      messages.Amount
}

// submitUntil plays the demo, then submits portions of small payments until enough
// is closed, and returns what the demo told and all that was acknowledged after it,
// by id. Votes that a kill made late may change how the demo's grants end, but
// nothing may be lost.
func submitUntil(
	ctx context.Context, t *testing.T, link *client.Client, enough <-chan struct{},
) (*demo.Tally, map[messages.DisbursementID]payment) {
	t.Helper()
	book, err := demo.Load()
	if err != nil {
		t.Fatal(err)
	}
	cfg := batch.Config{InFlight: 32, RetryFor: time.Minute}
	told, err := demo.Run(ctx, link, book, cfg, func(*demo.Tally) {})
	if err != nil {
		t.Fatal(err)
	}
	var refused int
	for _, n := range told.Refused {
		refused += n
	}
	if told.Submitted()+refused != demoRows || told.Refused[messages.CodeValidationFailed] != 1 {
		t.Fatalf("%d submitted, refused %v", told.Submitted(), told.Refused)
	}
	t.Logf("the demo: %+v, %d votes late", told.End, told.Late)
	acknowledged := make(map[messages.DisbursementID]payment)
	for portion := 0; ; portion++ {
		items := make([]batch.Item, 100)
		var total messages.Amount
		for i := range items {
			total += messages.Amount(1 + i)
			items[i] = batch.Item{
				RequestID: fmt.Sprintf("kill-%d-%d", portion, i),
				Payload: messages.Payload{Disbursement: messages.Disbursement{
					Destination: fmt.Sprintf("tb1kill%d", i%7), Amount: messages.Amount(1 + i), ScheduledEpoch: 1,
				}},
			}
		}
		income := &messages.AccrueParams{Amount: total}
		income.RequestID = fmt.Sprintf("kill-income-%d", portion)
		mustCall(ctx, t, link, messages.MethodAccrue, income, &messages.AccrueResult{})
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
			return told, acknowledged
		default:
		}
	}
}

// checkMoney waits until everything is final and holds the books to what was
// acknowledged: each payment there once, executed once, and treasury plus accounts
// equal to the accruals.
func checkMoney(
	ctx context.Context, t *testing.T, link *client.Client, told *demo.Tally, acknowledged map[messages.DisbursementID]payment,
) {
	t.Helper()
	rows := finalRows(ctx, t, link, told.Submitted()+len(acknowledged))
	paid := make(map[string]messages.Amount)
	var total, returned messages.Amount
	finalized, ours := 0, len(acknowledged)
	transactions := make(map[string]messages.DisbursementID)
	for _, row := range rows {
		d := row.Disbursement
		if _, known := acknowledged[d.ID]; d.Status.State == messages.RolledBack && !known {
			if d.Status.PriorTx != "" {
				returned += d.Amount
			}
			continue
		}
		if d.Status.State != messages.Finalized {
			t.Errorf("%d is %s", d.ID, d.Status.State)
		}
		finalized++
		if other, taken := transactions[d.Status.TxHash]; taken || d.Status.TxHash == "" {
			t.Errorf("%d has the transaction %q of %d", d.ID, d.Status.TxHash, other)
		}
		transactions[d.Status.TxHash] = d.ID
		if want, known := acknowledged[d.ID]; known && (d.Destination != want.destination || d.Amount != want.amount) {
			t.Errorf("%d pays %d to %s, acknowledged was %+v", d.ID, d.Amount, d.Destination, want)
		}
		delete(acknowledged, d.ID)
		paid[d.Destination] += d.Amount
		total += d.Amount
	}
	if want := told.End.Finalized + ours; finalized != want {
		t.Errorf("%d are finalized, want %d", finalized, want)
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
	checkHistory(ctx, t, link, total, returned)
}

// finalRows lists all disbursements once none is open any more.
func finalRows(ctx context.Context, t *testing.T, link *client.Client, want int) []*messages.DisbursementRow {
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
		if !localcluster.Wait(ctx, pollEvery) {
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
func checkHistory(ctx context.Context, t *testing.T, link *client.Client, paid, returned messages.Amount) {
	t.Helper()
	var accrued, executed, cancelled messages.Amount
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
				cancelled += messages.Amount(row.Delta)
			}
			newer = row
		}
		if params.Cursor = page.NextCursor; params.Cursor == 0 {
			break
		}
	}
	if executed != paid+returned || cancelled != returned || current+paid != accrued {
		t.Errorf("accrued %d, executed %d, cancelled %d, paid %d, returned %d, balance %d",
			accrued, executed, cancelled, paid, returned, current)
	}
}

// mustCall makes a read that must succeed, again while the node is away.
func mustCall(ctx context.Context, t *testing.T, link *client.Client, method string, params messages.Params, result messages.Result) {
	t.Helper()
	err := batch.Persist(ctx, time.Minute, func() error { return link.Call(ctx, method, params, result) })
	if err != nil {
		t.Fatalf("%s: %v", method, err)
	}
}

// testNode describes a node that runs the installed program.
func testNode(t *testing.T) *localcluster.Node {
	t.Helper()
	program, err := exec.LookPath("bursar") // TestMain puts it on the path
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cfg := node.DefaultConfig()
	cfg.BasePort = freePorts(t, 1)
	cfg.EpochInterval = 20 * time.Millisecond
	cfg.DataDir = filepath.Join(dir, "n1")
	n := &localcluster.Node{Program: program, Cfg: cfg, LogPath: filepath.Join(dir, "n1.log"), Events: t.Logf}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(n.LastLog())
		}
	})
	return n
}

// pollEvery is the pause between two looks at what must come.
const pollEvery = 25 * time.Millisecond

// freePorts finds room for so many nodes, a place of its own for every caller.
func freePorts(t testing.TB, nodes int) int {
	t.Helper()
	base, err := localcluster.FreePorts(nodes)
	if err != nil {
		t.Fatal(err)
	}
	return base
}
