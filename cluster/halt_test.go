package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
	"github.com/the-block/bursar/persistence"
)

// TestAHaltLeavesNobodyWaiting: what Raft was asked before a node halts, and what the node is
// asked then, is answered, and the node closes at once.
func TestAHaltLeavesNobodyWaiting(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		synctest.Test(t, func(t *testing.T) {
			n, err := openLone(fmt.Sprint(dir, "/", i), raftlogtest.New(), fabricPort{newFabric(), "n1:9002", nil})
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 { // else it is told while it becomes the leader
				if err := n.awaitReady(); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			var asked sync.WaitGroup
			for range 8 {
				asked.Go(func() { <-n.Apply(persistence.AppendBatch(nil)).Done() })
				asked.Go(func() { _, _ = n.ReadIndex(ctx) })
				asked.Go(func() { _ = n.Snapshot(ctx) })
			}
			n.Diverge("n2")
			asked.Wait()
			if err := ctx.Err(); err != nil {
				t.Errorf("round %d: not all are answered: %v", i, err)
			}
			late := n.Apply(persistence.AppendBatch(nil))
			<-late.Done()
			if _, err := late.Results(); !errors.Is(err, persistence.ErrUnavailable) || !strings.Contains(err.Error(), "halted: ") {
				t.Errorf("what comes later is told %v", err)
			}
			n.cancel()
			_, _ = <-n.ended, <-n.ended
			if err := n.Close(ctx); err != nil {
				t.Error(err)
			}
			_ = n.store.Close()
			time.Sleep(buntdbEnds)
		})
	}
}
