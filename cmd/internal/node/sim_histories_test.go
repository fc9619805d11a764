package node_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"math/rand/v2"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/clustertest"
)

// calm runs three whole nodes without clients or faults, and has test do something to
// them once all vote and are ready.
func calm(t *testing.T, test func(t *testing.T, w *simWorld)) {
	dir := simDir(t)
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld(1, "", dir, 3)
		w.clients = newSimClients(w)
		w.clients.start(0)
		for _, m := range w.members {
			if err := m.start(); err != nil {
				t.Fatal(err)
			}
		}
		w.await(t, "all vote", w.allVote)
		for _, m := range w.members {
			w.await(t, string(m.name)+" is ready", func() bool { return m.node.Load().Ready() == nil })
		}
		test(t, w)
		close(w.clients.stopped)
		w.end(rand.New(rand.NewPCG(1, 1)))
	})
}

// await waits for a condition.
func (w *simWorld) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for range 600 {
		if holds() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Errorf("never: %s", what)
}

// TestANodeOfAnotherHistoryStops: its state is another than the others', by a fault that
// nobody has thought of. It stops and says from which entry on, and the others go on,
// whether it led them or not.
func TestANodeOfAnotherHistoryStops(t *testing.T) {
	for _, leads := range []bool{true, false} {
		calm(t, func(t *testing.T, w *simWorld) {
			var odd *simMember
			for _, m := range w.members {
				if m.node.Load().Leads() == leads {
					odd = m
				}
			}
			odd.errs.Store(true)
			w.await(t, string(odd.name)+" halts", func() bool { return odd.node.Load().Halted() != nil })
			why := odd.node.Load().Halted()
			if !errors.Is(why, cluster.ErrDiverged) || !strings.Contains(why.Error(), "from entry") {
				t.Errorf("%s halts because of %v", odd.name, why)
			}
			w.await(t, string(odd.name)+" says so", func() bool {
				err := odd.node.Load().Ready()
				return err != nil && strings.Contains(err.Error(), "halted: two histories")
			})
			for _, m := range w.members {
				if m == odd {
					continue
				}
				n := m.node.Load()
				w.await(t, string(m.name)+" goes on", func() bool { return n.Ready() == nil })
				applied := n.Store().Applied()
				w.await(t, "epochs come", func() bool { return n.Store().Applied() > applied+3 })
				if n.Halted() != nil {
					t.Errorf("%s has halted too: %v", m.name, n.Halted())
				}
			}
		})
	}
}

// TestAnOldDirectoryPutBackHalts: the others know of a later start of it, by the log.
func TestAnOldDirectoryPutBackHalts(t *testing.T) {
	calm(t, func(t *testing.T, w *simWorld) {
		m := w.members[1]
		files := m.disk.Files()
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
		if err := m.start(); err != nil {
			t.Fatal(err)
		}
		w.await(t, "it votes again", func() bool { return w.allVote() && m.node.Load().Ready() == nil })
		time.Sleep(5 * time.Second) // epochs
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
		m.disk = clustertest.NewDisk()
		for path, content := range files {
			m.disk = m.disk.WithFile(path, content)
		}
		if err := m.start(); err != nil {
			t.Fatal(err)
		}
		w.await(t, "it halts", func() bool { return m.node.Load().Halted() != nil })
		if why := m.node.Load().Halted(); !errors.Is(why, cluster.ErrOldCopy) {
			t.Errorf("it halts because of %v", why)
		}
		if err := m.stop(); err != nil {
			t.Fatal(err)
		}
		if err := m.replaceDisk(); err != nil {
			t.Fatal(err)
		}
		if err := m.start(); err != nil {
			t.Fatal(err)
		}
		w.await(t, "with an empty directory it votes again", w.allVote)
	})
}
