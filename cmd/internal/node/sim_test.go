package node_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

var (
	simSeed  = flag.Uint64("seed", 0, "simulate this seed alone, and tell its trace")
	simSeeds = flag.Uint64("seeds", 10, "how many seeds to simulate")
	simFirst = flag.Uint64("first", 1, "the first of them")
)

// simStorm is how long faults come in one run.
const simStorm = 12 * time.Second

// TestSimulation runs whole nodes in virtual time, on networks and disks in memory: the
// seed says what befalls them, and then all must be well.
func TestSimulation(t *testing.T) {
	first, count := *simFirst, *simSeeds
	if *simSeed != 0 {
		first, count = *simSeed, 1
	}
	for seed := first; seed < first+count; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			w, err := simulate(t, seed, simSound)
			if err != nil {
				t.Errorf("%v\nthe end of its trace:\n%s\nrepeat it, until it fails again:\n"+
					"  go test ./cmd/internal/node -run TestSimulation -seed %d -count 200 -failfast    or    make sim-nodes SEED=%d COUNT=200",
					err, w.tail(400), seed, seed)
			} else if *simSeed != 0 {
				t.Logf("%s", w.tail(simTraceMax))
			}
		})
	}
}

// TestSimulationFindsWhatIsMissing checks the check: with one defence taken out, some
// seed must end in a finding.
func TestSimulationFindsWhatIsMissing(t *testing.T) {
	const most = 100
	for _, mutant := range []simMutant{simNoSync, simNoFencing} {
		t.Run(string(mutant), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= most; seed++ {
				if _, err := simulate(t, seed, mutant); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("%d seeds do not show that there is no %s", most, mutant)
		})
	}
}

// tail is the end of the trace.
func (w *simWorld) tail(lines int) string {
	return strings.Join(w.trace[max(0, len(w.trace)-lines):], "\n")
}

// simulate runs one seed.
func simulate(t *testing.T, seed uint64, mutant simMutant) (w *simWorld, err error) {
	dir := simDir(t)
	func() {
		defer func() {
			if cause := recover(); cause != nil {
				w.problem("%v\n%s", cause, left()) // goroutines were left, or all of them waited
			}
		}()
		synctest.Test(t, func(*testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			nodes := 3
			if rng.IntN(5) == 0 {
				nodes = 5
			}
			w = newSimWorld(seed, mutant, dir, nodes)
			w.run(rng)
		})
	}()
	if err = w.err(); err == nil {
		err = w.clients.linearizable()
	}
	return w, err
}

// left lists the goroutines of bubbles.
func left() string {
	stacks := make([]byte, 16<<20)
	all := strings.Split(string(stacks[:runtime.Stack(stacks, true)]), "\n\n")
	return strings.Join(slices.DeleteFunc(all, func(stack string) bool {
		head, _, _ := strings.Cut(stack, "\n")
		return !strings.Contains(head, "synctest bubble")
	}), "\n\n")
}

// simDir is a folder for the Stores' files, in memory where there is such a thing.
func simDir(t *testing.T) string {
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "bursar-nodes-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// run lets the nodes form a cluster, has clients call them in a storm of faults, and
// checks what is left when it is over.
func (w *simWorld) run(rng *rand.Rand) {
	w.clients = newSimClients(w)
	w.clients.start(1 + rng.IntN(simClientsMax))
	for _, m := range w.members {
		if err := m.start(); err != nil {
			w.problem("%s does not start: %v", m.name, err)
			close(w.clients.stopped)
			w.end(rng)
			return
		}
	}
	if rng.IntN(4) > 0 { // the others are in trouble while they form
		time.Sleep(3 * time.Second)
	}
	var storm sync.WaitGroup
	for i, faults := range [][]simFault{netFaults, hostFaults} {
		g := &simGremlin{w: w, rng: rand.New(rand.NewPCG(w.seed, 10+uint64(i))), end: time.Now().Add(simStorm)}
		storm.Go(func() { g.work(faults) })
	}
	storm.Wait()
	w.tell("", "the storm is over")
	w.net.HealAll()
	w.settle()
	if w.err() == nil {
		w.check()
	}
	w.end(rng)
}

// end stops all nodes at once, and lets what outlives them end.
func (w *simWorld) end(rng *rand.Rand) {
	var ends sync.WaitGroup
	for _, m := range w.running() {
		late := time.Duration(rng.Int64N(int64(50 * time.Millisecond)))
		ends.Go(func() {
			time.Sleep(late)
			if err := m.stop(); err != nil {
				w.problem("stop %s: %v", m.name, err)
			}
		})
	}
	ends.Wait()
	close(w.clients.over)
	w.clients.done.Wait()
	time.Sleep(3 * time.Second) // a goroutine of buntdb ends a second after its database
}
