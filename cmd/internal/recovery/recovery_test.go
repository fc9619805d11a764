package recovery_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/cmd/internal/recovery"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
	"github.com/the-block/bursar/persistence/backup"
)

// lone is a running node, a complete system, and a client of it.
type lone struct {
	*client.Client
	t    *testing.T
	cfg  node.Config
	stop func()
}

func config(t *testing.T, data string) node.Config {
	t.Helper()
	base, err := localcluster.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	cfg := node.DefaultConfig()
	cfg.BasePort, cfg.DataDir, cfg.EpochInterval = base, data, 50*time.Millisecond
	cfg.BackupInterval = time.Second
	return cfg
}

func start(t *testing.T, cfg node.Config) *lone {
	t.Helper()
	n, err := node.Open(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	l := &lone{t: t, cfg: cfg, Client: client.New(client.Config{Addrs: []string{cfg.Address(node.PortRPC)}, Within: 30 * time.Second})}
	var over bool
	l.stop = func() {
		if over {
			return
		}
		over = true
		l.Close()
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(l.stop)
	return l
}

func (l *lone) ask(method string, params messages.Params, result messages.Result) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), 30*time.Second)
	defer cancel()
	if err := l.Call(ctx, method, params, result); err != nil {
		l.t.Fatalf("%s: %v", method, err)
	}
}

// submit submits payments from first on, and gives the id of the last.
func (l *lone) submit(n int) (last messages.DisbursementID) {
	l.t.Helper()
	for i := range n {
		var result messages.SubmitDisbursementResult
		params := &messages.SubmitDisbursementParams{Payload: messages.Payload{Disbursement: messages.Disbursement{
			Destination: fmt.Sprintf("tb1payee%d", i), Amount: 10, Memo: "m", ScheduledEpoch: 1,
		}}}
		l.ask(messages.MethodSubmitDisbursement, params, &result)
		last = result.ID
	}
	return last
}

// until waits until holds.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within a minute", what)
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-t.Context().Done():
			t.Fatal(what)
		}
	}
}

func (l *lone) state(id messages.DisbursementID) messages.State {
	var result messages.GetDisbursementResult
	l.ask(messages.MethodGetDisbursement, &messages.IDParams{ID: id}, &result)
	return result.Disbursement.Status.State
}

func (l *lone) paid(id messages.DisbursementID) bool {
	state := l.state(id)
	return state == messages.Executed || state == messages.Finalized
}

func load(t *testing.T, dir string) (*backup.Reader, *backup.Set) {
	t.Helper()
	set, err := backup.Load(t.Context(), backup.Dir(dir))
	if err != nil {
		t.Fatal(err)
	}
	return &backup.Reader{Target: backup.Dir(dir), Inspect: check.Facts}, set
}

func voter(cfg node.Config) cluster.Voter {
	return cluster.Voter{Node: cfg.Name, Addr: cfg.Address(node.PortRaft)}
}

// A cluster is lost with its disk. What was shipped comes back as another cluster, in which
// nothing is paid until an operator says so, and then each payment once.
func TestABackupBecomesANewClusterThatRests(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := config(t, filepath.Join(dir, "old"))
	cfg.Role = node.RoleObserver // archives at once
	cfg.BackupTo = "file:" + filepath.Join(dir, "backup")
	old := start(t, cfg)
	old.ask(messages.MethodAccrue, &messages.AccrueParams{Amount: 1000}, &messages.AccrueResult{})
	last := old.submit(5)
	until(t, "paid", func() bool { return old.paid(last) })
	var made messages.BackupResult
	until(t, "an archiver", func() bool {
		var list messages.BackupsResult
		old.ask(messages.MethodBackups, &messages.NoParams{}, &list)
		return list.Archiver != ""
	})
	params := &messages.BackupParams{}
	params.DeadlineMS = 30_000
	old.ask(messages.MethodBackup, params, &made)
	later := old.submit(3)
	until(t, "paid", func() bool { return old.paid(later) })
	var status messages.ClusterStatusResult
	old.ask(messages.MethodClusterStatus, &messages.NoParams{}, &status)
	until(t, "shipped", func() bool {
		_, set := load(t, filepath.Join(dir, "backup"))
		return set.Newest() >= status.AppliedIndex
	})
	old.stop()

	reader, set := load(t, filepath.Join(dir, "backup"))
	plan, err := set.Plan(backup.Point{})
	if err != nil {
		t.Fatal(err)
	}
	fresh := config(t, filepath.Join(dir, "new"))
	restore := recovery.Restore{Reader: reader, Plan: plan, Data: fresh.DataDir, Voter: voter(fresh), DryRun: true}
	if _, err := restore.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(fresh.DataDir); !os.IsNotExist(err) {
		t.Errorf("a dry run makes a directory: %v", err)
	}
	base, err := localcluster.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	drilled, err := (&recovery.Drill{Reader: reader, Plan: plan, Scratch: dir, BasePort: base}).Run(ctx)
	if err != nil || drilled.Paid != later+1 || drilled.RTO < drilled.Took {
		t.Errorf("the drill gave %+v, %v", drilled, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 2 {
		t.Errorf("the drill leaves %v, %v", left, err)
	}
	restore.DryRun = false
	result, err := restore.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if result.Index < status.AppliedIndex || result.Cluster == set.Cluster {
		t.Errorf("restored %+v of cluster %s, whose index was %d", result, set.Cluster, status.AppliedIndex)
	}
	if _, err := restore.Run(t.Context()); err == nil {
		t.Error("a directory in use is restored into")
	}
	// The old cluster's backup is not the new one's to write to.
	fresh.Role, fresh.BackupTo = node.RoleObserver, cfg.BackupTo
	restored := start(t, fresh)
	waits := restored.submit(1)
	until(t, "it rests", func() bool {
		var x messages.ExecutorResult
		restored.ask(messages.MethodExecutor, &messages.NoParams{}, &x)
		return strings.Contains(x.LastError, "gov.treasury.resume")
	})
	if waits != later+1 || restored.paid(waits) {
		t.Errorf("disbursement %d is %s", waits, restored.state(waits))
	}
	var resumed messages.ResumeResult
	restored.ask(messages.MethodResume, &messages.ResumeParams{Reason: "the ledger is the log"}, &resumed)
	if !resumed.Resumed {
		t.Error("nothing rested")
	}
	until(t, "paid after the rest", func() bool { return restored.paid(waits) })
	restored.ask(messages.MethodResume, &messages.ResumeParams{Reason: "again"}, &resumed)
	if resumed.Resumed {
		t.Error("it rests a second time")
	}
	var balance messages.BalanceResult
	restored.ask(messages.MethodBalance, &messages.NoParams{}, &balance)
	if balance.Balance != 1000-9*10 {
		t.Errorf("balance = %d", balance.Balance)
	}
	restored.stop()
	if _, set := load(t, filepath.Join(dir, "backup")); len(set.Faults) > 0 || set.Cluster != plan.Cluster {
		t.Errorf("the new cluster wrote to the old one's backup: %v", set.Faults)
	}
}

// A damaged backup leaves nothing behind.
func TestADamagedBackupIsNotRestored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := config(t, filepath.Join(dir, "old"))
	cfg.Role, cfg.BackupTo = node.RoleObserver, "file:"+filepath.Join(dir, "backup")
	old := start(t, cfg)
	old.ask(messages.MethodAccrue, &messages.AccrueParams{Amount: 1000}, &messages.AccrueResult{})
	until(t, "a base and a piece", func() bool {
		_, set := load(t, filepath.Join(dir, "backup"))
		return len(set.Bases) > 0 && len(set.Pieces) > 0
	})
	old.stop()
	reader, set := load(t, filepath.Join(dir, "backup"))
	plan, err := set.Plan(backup.Point{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*backup.Manifest{plan.Base, plan.Pieces[len(plan.Pieces)-1]} {
		path := filepath.Join(dir, "backup", m.Object)
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		whole[len(whole)/2] ^= 1
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
		restore := recovery.Restore{Reader: reader, Plan: plan, Data: filepath.Join(dir, "new"), Voter: voter(cfg)}
		if _, err := restore.Run(t.Context()); !errors.Is(err, backup.ErrDamaged) || !strings.Contains(err.Error(), m.Object) {
			t.Errorf("%s is damaged, and the restore says %v", m.Object, err)
		}
		whole[len(whole)/2] ^= 1
		if err := os.WriteFile(path, whole, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// The one disk that is left goes on as a cluster of its own, with all that it holds.
func TestASurvivorGoesOnAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cfg := config(t, filepath.Join(dir, "data"))
	old := start(t, cfg)
	old.ask(messages.MethodAccrue, &messages.AccrueParams{Amount: 1000}, &messages.AccrueResult{})
	last := old.submit(5)
	until(t, "paid", func() bool { return old.paid(last) })
	recover := recovery.Recover{
		Data: cfg.DataDir, Aside: filepath.Join(dir, "aside"), Voter: voter(cfg), Why: "recovered from the disk of n1 alone",
	}
	if _, err := recover.Run(t.Context()); !errors.Is(err, cluster.ErrInUse) {
		t.Errorf("a running node is recovered: %v", err)
	}
	old.stop()
	before, err := cluster.ReadIdentity(cfg.DataDir)
	if err != nil {
		t.Fatal(err)
	}
	result, err := recover.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	aside, err := cluster.ReadIdentity(recover.Aside)
	if err != nil || aside != before {
		t.Errorf("kept aside is %+v, %v; it was %+v", aside, err, before)
	}
	now, err := cluster.ReadIdentity(cfg.DataDir)
	if err != nil || now.Cluster != result.Cluster || now.Cluster == before.Cluster || now.Node != before.Node {
		t.Errorf("the directory is %+v, %v; it was %+v", now, err, before)
	}
	alone := start(t, cfg)
	waits := alone.submit(1)
	if waits != last+1 {
		t.Errorf("the next id is %d after %d", waits, last)
	}
	alone.ask(messages.MethodResume, &messages.ResumeParams{Reason: "the ledger is the log"}, &messages.ResumeResult{})
	until(t, "paid", func() bool { return alone.paid(waits) })
	alone.stop()
	verdict, err := check.Dirs(t.Context(), []check.Dir{{Name: "n1", Data: cfg.DataDir}}, 0, dir, new(check.Ledger))
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdict.Verdicts() {
		if !v.Kept {
			t.Error(v.Text)
		}
	}
}
