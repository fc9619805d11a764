package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
	"github.com/the-block/bursar/persistence"
)

var (
	millionRecords = flag.Int("records", 0, "how many disbursements TestManyRecords stores; 0 skips it")
	millionDir     = flag.String("records-dir", "", "where TestManyRecords keeps them for another run")
)

// TestManyRecords stores many disbursements, half of them paid, four tenths open, a
// tenth rolled back, and measures what they cost: the time from kill -9 to ready, the
// memory, a Raft snapshot and what stalls beside it, and pages of lists. It judges
// nothing: bench/results/persistence.md holds what it said.
func TestManyRecords(t *testing.T) {
	if *millionRecords == 0 {
		t.Skip("a measurement that takes minutes and judges nothing: -records 1000000 runs it")
	}
	m := testNode(t)
	m.Cfg.EpochInterval = 10 * time.Second
	if *millionDir != "" {
		m.Cfg.DataDir = filepath.Join(*millionDir, "n1")
	}
	if _, err := os.Stat(m.Cfg.DataDir); err != nil {
		fill(t, m.Cfg.DataDir, *millionRecords)
	}
	measureStart(t, m)
	measureSnapshots(t, m.Cfg.DataDir)
	measureStart(t, m)
	measureStart(t, m)
}

// measureStart starts the node on what an earlier one has left, and kills it.
func measureStart(t *testing.T, m *localcluster.Node) {
	began := time.Now()
	p, err := m.Start()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = syscall.Kill(p.PID, syscall.SIGKILL)
		<-p.Ended
	}()
	link := client.New(client.Config{Addrs: []string{m.Cfg.Address(node.PortRPC)}})
	defer link.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if !m.AwaitReady(ctx) {
		t.Fatalf("not ready after %s\n%s", time.Since(began), m.LastLog())
	}
	t.Logf("from start to ready: %s; memory then %s", time.Since(began).Round(time.Millisecond), memory(t, p.PID))
	lists := map[string]*messages.DisbursementsParams{
		"status rolled_back": {Status: "rolled_back"},
		"status scheduled":   {Status: messages.FilterScheduled},
		"destination":        {Destination: "tb1payee77"},
		"epoch":              {Epoch: messages.Range{Min: 1_000_077, Max: 1_000_077}},
		"amount":             {Amount: messages.Range{Min: 40, Max: 40}},
	}
	for name, params := range lists {
		params.Limit = 64
		took := make([]time.Duration, 50)
		rows := 0
		for i := range took {
			asked := time.Now()
			var page messages.DisbursementsResult
			mustCall(ctx, t, link, messages.MethodDisbursements, params, &page)
			took[i], rows = time.Since(asked), len(page.Disbursements)
		}
		slices.Sort(took)
		t.Logf("page of %d by %s, the whole call: median %s, slowest of 50 %s", rows, name, took[25], took[49])
	}
	t.Logf("memory at the end %s", memory(t, p.PID))
}

// memory tells the resident memory of a process, now and at its highest.
func memory(t *testing.T, pid int) string {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	var parts []string
	for line := range strings.Lines(string(status)) {
		if strings.HasPrefix(line, "VmRSS") || strings.HasPrefix(line, "VmHWM") {
			parts = append(parts, strings.Join(strings.Fields(line), " "))
		}
	}
	return strings.Join(parts, ", ")
}

// proposer is a node without actors: log, Store and journal.
type proposer struct {
	t         *testing.T
	consensus *cluster.Consensus
	journal   *persistence.Journal
	slots     chan struct{} // of proposals in flight
	stop      func()
}

func openProposer(t *testing.T, dir string) *proposer {
	t.Helper()
	cfg := persistence.DefaultStoreConfig()
	cfg.Columns = rows.Columns()
	store, err := persistence.Open(filepath.Join(dir, "store"), cfg)
	if err != nil {
		t.Fatal(err)
	}
	settings := cluster.DefaultConfig()
	settings.Node, settings.Dir, settings.RaftAddr = "n1", dir, "127.0.0.1:0"
	p := &proposer{t: t, slots: make(chan struct{}, 4096)}
	p.consensus, err = cluster.OpenConsensus(settings, cluster.ForFSM(persistence.NewFSM(store)), cluster.TCP{},
		func(err error) { t.Error(err) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if p.journal, err = persistence.NewJournal(persistence.DefaultJournalConfig(), p.consensus); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 2)
	go func() { ended <- p.consensus.Run(ctx) }()
	go func() { ended <- p.journal.Run(ctx) }()
	p.stop = func() {
		p.journal.Close()
		cancel()
		_, _ = <-ended, <-ended
		if err := errors.Join(p.consensus.Close(context.Background()), store.Close()); err != nil {
			t.Error(err)
		}
	}
	for state, changed := p.consensus.Watch(); !state.Ready; state, changed = p.consensus.Watch() {
		<-changed
	}
	return p
}

// Committed implements persistence.Sink.
func (p *proposer) Committed(outcomes []persistence.Outcome) {
	for _, o := range outcomes {
		if o.Err != nil || o.Result.Status != persistence.Committed {
			p.t.Errorf("record %d: %s %+v, %v", o.Token, o.Result.Status, o.Result.Failed, o.Err)
		}
		<-p.slots
	}
}

func (p *proposer) propose(txn *persistence.Txn, token int) {
	p.slots <- struct{}{}
	if err := p.journal.Propose(persistence.Proposal{Txn: txn, Sink: p, Token: uint64(token)}); err != nil {
		p.t.Fatal(err)
	}
}

// settle waits for every outcome.
func (p *proposer) settle() {
	for range cap(p.slots) {
		p.slots <- struct{}{}
	}
	for range cap(p.slots) {
		<-p.slots
	}
}

// fill makes a data directory of records disbursements.
func fill(t *testing.T, dir string, records int) {
	t.Helper()
	p := openProposer(t, dir)
	defer p.stop()
	began := time.Now()
	p.propose(income(int64(records)*1000), 0)
	p.settle()
	for id := 1; id <= records; id++ {
		p.propose(storedRecord(id), id)
	}
	p.settle()
	took := time.Since(began)
	t.Logf("%d records in %s, %.0f/s, each applied and on disk",
		records, took.Round(time.Millisecond), float64(records)/took.Seconds())
}

// measureSnapshots takes Raft snapshots beside lone proposals, and tells the slowest
// of these and of a thousand before.
func measureSnapshots(t *testing.T, dir string) {
	t.Helper()
	p := openProposer(t, dir)
	defer p.stop()
	probe := func() time.Duration {
		asked := time.Now()
		p.propose(&persistence.Txn{Adds: []persistence.Add{{Counter: "probe", Max: math.MaxInt64}}}, 0)
		p.settle()
		return time.Since(asked)
	}
	var before time.Duration
	for range 1000 {
		before = max(before, probe())
	}
	for range 3 {
		done := make(chan time.Duration, 1)
		go func() {
			began := time.Now()
			if err := p.consensus.Snapshot(context.Background()); err != nil {
				t.Error(err)
			}
			done <- time.Since(began)
		}()
		var beside time.Duration
		probes := 0
		for ended := false; !ended; {
			beside = max(beside, probe())
			probes++
			select {
			case took := <-done:
				t.Logf("raft snapshot in %s; slowest of %d proposals beside it %s, of 1000 before %s",
					took.Round(time.Millisecond), probes, beside.Round(time.Millisecond), before.Round(time.Millisecond))
				ended = true
			default:
			}
		}
	}
}

// storedRecord is a transaction that creates a disbursement in the state that its id
// decides, with all the money that has moved by then.
func storedRecord(id int) *persistence.Txn {
	const now, node = 1_700_000_000, "n1"
	facts := disbursement.Facts{Now: now, Node: node, Epoch: 1, Treasury: messages.AmountMax}
	payload := messages.Payload{Disbursement: messages.Disbursement{
		Destination: fmt.Sprintf("tb1payee%d", id%15_000), Amount: messages.Amount(1 + id%1000),
		Memo: fmt.Sprintf("invoice %d of the treasury's books", id), ScheduledEpoch: 1,
	}}
	var deps []messages.DisbursementID
	if id > 10 && id%3 == 0 {
		deps = []messages.DisbursementID{messages.DisbursementID(id - 10)} // of the same state
	}
	txn := &persistence.Txn{RequestID: fmt.Sprintf("million-%d", id), StampedAt: now * 1000}
	kind := id % 10
	if kind >= 5 {
		payload.Disbursement.ScheduledEpoch = messages.Epoch(1_000_000 + id%1000)
	}
	record := disbursement.New(payload, deps, facts)
	switch {
	case kind < 5:
		record = paid(txn, record, id, facts)
	case kind == 9:
		move, refusal := disbursement.Rollback(record, facts, disbursement.Reversal{Reason: "cancelled"})
		if refusal != nil {
			panic(refusal)
		}
		record = move.Record
	}
	for i := range len(record.Transitions) - 1 {
		record.Transitions[i].Index = 1
	}
	txn.Appends = []persistence.Append{{
		Table: rows.TableDisbursements, Tag: record.Tag(), Value: disbursement.AppendRecord(nil, &record),
		Slots: []persistence.Slot{{Offset: disbursement.IndexOffset, Number: persistence.SlotIndex}},
	}}
	return txn
}

// paid executes and finalizes a record, and adds to txn what that moves.
func paid(txn *persistence.Txn, record disbursement.Record, id int, facts disbursement.Facts) disbursement.Record {
	nonce := uint64(id/10*5 + id%10) // ids with a last digit under 5, from 1
	if id%10 == 0 {
		nonce = uint64(id / 10 * 5)
	}
	_, hash := disbursement.LedgerTx(messages.DisbursementID(id), nonce, record)
	move, refusal := disbursement.Execute(record, facts, disbursement.Intent{Nonce: nonce, TxHash: hash})
	if refusal != nil {
		panic(refusal)
	}
	add := func(counter string, delta int64) {
		txn.Adds = append(txn.Adds, persistence.Add{Counter: counter, Delta: delta, Max: math.MaxInt64})
	}
	add(rows.CounterTreasury, move.Treasury)
	txn.Adds[0].Row = &persistence.Row{Event: byte(move.Event), Reference: uint64(id)}
	add(rows.CounterAccounts, -move.Treasury)
	add(rows.CounterNonce, 1)
	for _, a := range move.Accounts {
		add(rows.CounterAccount(a.Account), a.Delta)
	}
	record = move.Record
	record.State = messages.Finalized
	record.Transitions = append(record.Transitions, disbursement.Transition{State: messages.Finalized, At: facts.Now, Node: facts.Node})
	return record
}
