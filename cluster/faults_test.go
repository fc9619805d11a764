package cluster_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

func TestACutOfAnyLengthHeals(t *testing.T) {
	for _, cut := range []time.Duration{time.Second, 20 * time.Second, 2 * time.Minute} {
		t.Run(cut.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := startTrio(t)
				tr.leader(t, "")
				tr.under(t, 3*time.Second, func(h *history) {
					for _, name := range []messages.NodeID{"n1", "n2", "n3"} { // whoever leads
						time.Sleep(time.Second)
						before := h.count()
						tr.fabric.isolate(addrOf(name), true)
						time.Sleep(cut)
						tr.fabric.isolate(addrOf(name), false)
						if cut > 2*time.Second && h.count() == before {
							t.Errorf("nothing was acknowledged while %s was cut off", name)
						}
						tr.leader(t, "")
					}
				})
			})
		})
	}
}

// TestALeaderThatIsGoneHoldsUpNobody: its link swallows what is handed to it.
func TestALeaderThatIsGoneHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		follower := tr.other(leader)
		tr.fabric.isolate(leader.RaftAddr(), true)
		began := time.Now()
		handed := follower.Apply([]byte("handed over"))
		<-handed.Done()
		if _, err := handed.Results(); !errors.Is(err, persistence.ErrUnknown) {
			t.Errorf("an entry handed to a leader that is gone: error = %v, want ErrUnknown", err)
		}
		waited := follower.Apply([]byte("waited"))
		<-waited.Done()
		if _, err := waited.Results(); err != nil {
			t.Errorf("an entry proposed during the election: %v", err)
		}
		if _, err := follower.ReadIndex(t.Context()); err != nil {
			t.Errorf("a read during the election: %v", err)
		}
		if took := time.Since(began); took > 3*time.Second {
			t.Errorf("served again after %s", took)
		}
	})
}

func TestWithoutAQuorumCallersAreToldSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		alone := tr.other(leader)
		tr.fabric.isolate(alone.RaftAddr(), true)
		alone.until(t, func(s cluster.State) bool { return !s.Ready })
		first := time.Now()
		waited := alone.Apply([]byte("waits"))
		<-waited.Done()
		if _, err := waited.Results(); !errors.Is(err, persistence.ErrUnavailable) || time.Since(first) > 2*time.Second {
			t.Errorf("after %s: error = %v, want ErrUnavailable", time.Since(first), err)
		}
		later := time.Now()
		refused := alone.Apply([]byte("refused"))
		<-refused.Done()
		_, err := refused.Results()
		_, readErr := alone.ReadIndex(t.Context())
		if !errors.Is(err, persistence.ErrUnavailable) || !errors.Is(readErr, persistence.ErrUnavailable) || time.Since(later) > 0 {
			t.Errorf("after %s: errors = %v, %v, want ErrUnavailable", time.Since(later), err, readErr)
		}
		if want := "no quorum since 2 s"; !strings.Contains(err.Error(), want) {
			t.Errorf("error = %q, want %q in it", err, want)
		}
	})
}

// TestABridgeDoesNotUnsettleTheCluster: two nodes do not see each other, the third sees
// both.
func TestABridgeDoesNotUnsettleTheCluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := startTrio(t)
		leader := tr.leader(t, "")
		tr.under(t, 3*time.Second, func(h *history) {
			term := leader.Term()
			tr.fabric.part(leader.RaftAddr(), tr.other(leader).RaftAddr(), true)
			time.Sleep(time.Minute)
			if elections := leader.Term() - term; elections > 3 {
				t.Errorf("%d elections in a minute", elections)
			}
			before := h.count()
			time.Sleep(10 * time.Second)
			if h.count() == before {
				t.Error("nothing is acknowledged")
			}
			tr.fabric.part(leader.RaftAddr(), tr.other(leader).RaftAddr(), false)
		})
	})
}
