package cluster_test

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

var (
	powerSeeds = flag.Int("seeds", 100, "how many series of power losses are tried")
	powerSeed  = flag.Int("seed", -1, "try this series only")
)

// powerLosses is how often the power goes in one series.
const powerLosses = 3

// losePower has a node commit transactions while the power goes again and again, at
// a moment that seed decides, in the middle of a start, a write or a Raft snapshot.
func losePower(dir string, seed int, lies, anonymous bool) error {
	rng := rand.New(rand.NewPCG(uint64(seed), 1))
	books := &ledger{acknowledged: make(map[uint64]uint64), anonymous: anonymous}
	disk := raftlogtest.New()
	for range powerLosses {
		at, done := 1+rng.IntN(250), rng.IntN(600)
		disk.Lies = lies
		disk.Strike = func(op raftlogtest.Op) error {
			if op.Number == at {
				return raftlogtest.Crash{Done: done}
			}
			return nil
		}
		n, err := openLone(dir, disk, fabricPort{newFabric(), "n1:9002", nil})
		if err == nil {
			work(n, books)
			n.end()
		} else if disk.Ops() < at {
			return fmt.Errorf("open: %w", err)
		}
		disk = disk.PowerLoss(rng)
	}
	n, err := openLone(dir, disk, fabricPort{newFabric(), "n1:9002", nil})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer n.end()
	if err := n.awaitReady(); err != nil {
		return err
	}
	if err := books.check(n.store); err != nil {
		return err
	}
	return books.commit(n, inFlight+1) // it goes on
}

// work commits until the power goes or it has done enough.
func work(n *lone, books *ledger) {
	if n.awaitReady() != nil {
		return
	}
	for range 4 {
		if books.commit(n, 30) != nil || n.Snapshot(context.Background()) != nil {
			return
		}
	}
}

func TestPowerLossLosesNothingAcknowledged(t *testing.T) {
	first, last := 0, *powerSeeds
	if *powerSeed >= 0 {
		first, last = *powerSeed, *powerSeed+1
	}
	dir := t.TempDir()
	for seed := first; seed < last; seed++ {
		if err := losePower(dir, seed, false, false); err != nil {
			t.Errorf("%v; again: go test ./cluster -run %s -seed %d", err, t.Name(), seed)
		}
	}
}

// TestPowerLossWithoutFsyncOrRequestIDs checks the check: on a disk that only says that
// it has synced, something is lost, and who repeats what is in doubt without a request
// id does it twice.
func TestPowerLossWithoutFsyncOrRequestIDs(t *testing.T) {
	t.Run("fsync", func(t *testing.T) { wantLoss(t, true, false) })
	t.Run("request ids", func(t *testing.T) { wantLoss(t, false, true) })
}

func wantLoss(t *testing.T, lies, anonymous bool) {
	dir := t.TempDir()
	for seed := range 50 {
		if err := losePower(dir, seed, lies, anonymous); err != nil {
			t.Logf("seed %d: %v", seed, err)
			return
		}
	}
	t.Error("the power losses do not show that it is missing")
}
