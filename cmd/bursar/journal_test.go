package main

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/persistence"
)

// bursar carries out one command line and returns what it says.
func bursar(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code = run(t.Context(), streams{strings.NewReader(""), &stdout, &stderr}, args)
	return code, stdout.String(), stderr.String()
}

// commit has transactions committed in a data directory, each as an entry of its own.
func commit(t *testing.T, dir string, txns ...*persistence.Txn) {
	t.Helper()
	store, err := persistence.Open(filepath.Join(dir, "store"), persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	cfg := cluster.DefaultConfig()
	cfg.Node, cfg.Dir, cfg.RaftAddr = "n1", dir, "127.0.0.1:0"
	consensus, err := cluster.OpenConsensus(cfg, cluster.ForFSM(persistence.NewFSM(store)), cluster.TCP{},
		func(err error) { t.Error(err) }, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- consensus.Run(ctx) }()
	for state, changed := consensus.Watch(); !state.Ready; state, changed = consensus.Watch() {
		<-changed
	}
	for _, txn := range txns {
		encoded, err := persistence.AppendTxn(nil, txn)
		if err != nil {
			t.Fatal(err)
		}
		future := consensus.Apply(persistence.AppendBatch(nil, encoded))
		<-future.Done()
		if results, err := future.Results(); err != nil || results[0].Status != persistence.Committed {
			t.Fatal(results, err)
		}
	}
	cancel()
	if err := errors.Join(<-ended, consensus.Close(context.Background()), store.Close()); err != nil {
		t.Fatal(err)
	}
}

// income is a transaction as an accrual makes it.
func income(amount int64) *persistence.Txn {
	add := func(counter string, row *persistence.Row) persistence.Add {
		return persistence.Add{Counter: counter, Delta: amount, Max: 1 << 62, Row: row}
	}
	return &persistence.Txn{Adds: []persistence.Add{
		add(rows.CounterTreasury, &persistence.Row{Event: 1}), add(rows.CounterAccruals, nil),
	}}
}

func TestDamageInTheLogIsNamed(t *testing.T) {
	dir := t.TempDir()
	commit(t, dir, income(100), income(20), income(3))
	segments, err := filepath.Glob(filepath.Join(dir, "log", "*.wal"))
	if err != nil || len(segments) != 1 {
		t.Fatal(segments, err)
	}
	whole, err := os.ReadFile(segments[0])
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Clone(whole)
	damaged[bytes.Index(damaged, []byte("accruals"))] ^= 1 // in the first of the three
	if err := os.WriteFile(segments[0], damaged, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{{"journal", "dump"}, {"journal", "verify"}, {"verify"}} {
		code, out, errs := bursar(t, append(command, "--data", dir)...)
		if code != exitFailed {
			t.Errorf("%v: exit code %d, want %d: %s", command, code, exitFailed, out)
		}
		for _, want := range []string{filepath.Base(segments[0]), "entry ", "checksum does not match", "keep " + dir + " aside"} {
			if !strings.Contains(errs, want) {
				t.Errorf("%v: says %q, want %q in it", command, errs, want)
			}
		}
	}
	if err := os.WriteFile(segments[0], whole, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errs := bursar(t, "verify", "--data", dir); code != exitDone {
		t.Errorf("the whole log: exit code %d, %s", code, errs)
	}
}

func TestVerifyFindsMoneyFromNowhere(t *testing.T) {
	dir := t.TempDir()
	commit(t, dir, income(100))
	code, out, errs := bursar(t, "verify", "--data", dir)
	if code != exitDone || !strings.Contains(out, "treasury       100") {
		t.Fatalf("exit code %d, %s%s", code, out, errs)
	}
	forged := income(7)
	forged.Adds = forged.Adds[:1] // the accrual is nowhere written down
	commit(t, dir, forged)
	code, _, errs = bursar(t, "verify", "--data", dir)
	if code != exitFailed || !strings.Contains(errs, "accruals of 107, the counter says 100") || !strings.Contains(errs, "more, --all") {
		t.Errorf("exit code %d, %s", code, errs)
	}
	code, _, errs = bursar(t, "verify", "--data", dir, "--all")
	if code != exitFailed || strings.Contains(errs, "--all") || strings.Count(errs, "\n") < 2 {
		t.Errorf("--all: exit code %d, %s", code, errs)
	}
}

func TestJournalTailFollows(t *testing.T) {
	dir := t.TempDir()
	commit(t, dir, income(1), income(2))
	ctx, cancel := context.WithCancel(t.Context())
	lines := make(chan string, 100)
	ended := make(chan int, 1)
	go func() {
		std := streams{strings.NewReader(""), writerFunc(func(p []byte) { lines <- string(p) }), os.Stderr}
		ended <- run(ctx, std, []string{"journal", "tail", "--data", dir, "-n", "1", "--follow"})
	}()
	if first := <-lines; !strings.Contains(first, "treasury +2") || strings.Contains(first, "treasury +1 ") {
		t.Errorf("begins with %s", first)
	}
	commit(t, dir, income(77))
	for !strings.Contains(<-lines, "treasury +77") {
	}
	cancel()
	if code := <-ended; code != exitDone {
		t.Errorf("exit code %d", code)
	}
}

type writerFunc func([]byte)

func (w writerFunc) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}
