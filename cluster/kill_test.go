package cluster_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/persistence"
)

// killDir names the directory of the process that TestNothingAcknowledgedIsLostToAKill
// starts, and kills.
const killDir = "CLUSTER_TEST_KILL_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		os.Exit(commitForever(dir))
	}
	verifyNoLeaks(m)
}

// commitForever commits entries, ten in flight, and prints each that is acknowledged.
func commitForever(dir string) int {
	cfg := testConfig(dir)
	cfg.SnapshotBytes, cfg.TrailingLogs = 64<<10, 16
	machine := &journalled{}
	c, err := cluster.OpenConsensus(cfg, machine, cluster.TCP{}, func(err error) { panic(err) }, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println("open:", err)
		return 1
	}
	go func() { _ = c.Run(context.Background()) }()
	for state, changed := c.Watch(); !state.Ready; state, changed = c.Watch() {
		<-changed
	}
	type flight struct {
		entry string
		persistence.Future
	}
	flying := make(chan flight, 10)
	go func() {
		for i := len(machine.all()); ; i++ {
			entry := fmt.Sprintf("%d %s", i, strings.Repeat("x", i%5000))
			flying <- flight{entry, c.Apply([]byte(entry))}
		}
	}()
	for f := range flying {
		<-f.Done()
		if _, err := f.Results(); err != nil {
			fmt.Println("apply:", err)
			return 1
		}
		number, _, _ := strings.Cut(f.entry, " ")
		fmt.Println("acknowledged", number)
	}
	return 0
}

func TestNothingAcknowledgedIsLostToAKill(t *testing.T) {
	dir := t.TempDir()
	rng := rand.New(rand.NewPCG(1, 2))
	acknowledged := -1
	for round := range 8 {
		child := exec.CommandContext(t.Context(), os.Args[0])
		child.Env = append(os.Environ(), killDir+"="+dir)
		child.Stderr = os.Stderr
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		left := 1 + rng.IntN(150)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			var number int
			if _, err := fmt.Sscanf(lines.Text(), "acknowledged %d", &number); err != nil {
				t.Fatalf("round %d: %s", round, lines.Text())
			}
			acknowledged = max(acknowledged, number)
			if left--; left == 0 {
				if err := child.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		var killed *exec.ExitError
		if err := child.Wait(); !errors.As(err, &killed) || killed.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("round %d: the process ended by itself: %v", round, err)
		}
	}
	cfg := testConfig(dir)
	n := start(t, cfg, cluster.TCP{})
	n.ready(t)
	entries := n.machine.all()
	for i, e := range entries {
		if want := fmt.Sprintf("%d ", i); !strings.HasPrefix(e, want) {
			t.Fatalf("entry %d is %.20q", i, e)
		}
	}
	if len(entries) <= acknowledged {
		t.Errorf("%d entries, but number %d was acknowledged", len(entries), acknowledged)
	}
	t.Logf("%d entries, the last acknowledged was %d", len(entries), acknowledged)
}
