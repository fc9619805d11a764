package sim_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/sim"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "run this seed alone, and tell its trace")
	seedCount = flag.Uint64("seeds", 200, "how many seeds to run")
	firstSeed = flag.Uint64("first", 1, "the first of them")
	progress  = flag.Bool("progress", false, "print how far it is")
)

// memory gives a folder for the Stores' files, in memory where there is such a thing.
func memory(t testing.TB) string {
	t.Helper()
	base := "/dev/shm"
	if info, err := os.Stat(base); err != nil || !info.IsDir() {
		base = ""
	}
	dir, err := os.MkdirTemp(base, "bursar-sim-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

func TestModel(t *testing.T) {
	if *oneSeed != 0 {
		tellSeed(t, *oneSeed)
		return
	}
	total := runSeeds(t, *firstSeed, *seedCount)
	if total.Acknowledged == 0 || total.Unknown == 0 || total.Refused == 0 || total.Executed+total.Finalized == 0 {
		t.Errorf("the runs show too little: %+v", total)
	}
	t.Logf("%d seeds: %+v", *seedCount, total)
}

// tellSeed runs one seed aloud.
func tellSeed(t *testing.T, seed uint64) {
	var trace bytes.Buffer
	report, err := sim.Run(sim.Config{Seed: seed, Dir: memory(t), Trace: &trace})
	t.Logf("seed %d: %+v\n%s", seed, report, trace.String())
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
}

// runSeeds runs seeds on all processors and adds up what they saw.
func runSeeds(t *testing.T, first, count uint64) (total sim.Report) {
	var mu sync.Mutex
	var workers sync.WaitGroup
	var next, done atomic.Uint64
	began := time.Now()
	defer debug.SetGCPercent(debug.SetGCPercent(1000)) // the worlds are small and short-lived
	for range runtime.GOMAXPROCS(0) {
		dir := memory(t)
		workers.Go(func() {
			for {
				seed := first + next.Add(1) - 1
				if seed >= first+count || t.Failed() {
					return
				}
				report, err := sim.Run(sim.Config{Seed: seed, Dir: dir})
				mu.Lock()
				add(&total, report)
				if err != nil {
					failSeed(t, seed, dir, err)
				}
				if n := done.Add(1); *progress && (n%1000 == 0 || n == count) {
					rate := float64(n) / time.Since(began).Seconds()
					fmt.Printf("%6d of %d seeds, %.0f/s\n", n, count, rate)
				}
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	return total
}

// traceLines is how much of a failed run's trace is shown with it.
const traceLines = 60

// failSeed shows how a seed ended, and the command that repeats it.
func failSeed(t *testing.T, seed uint64, dir string, err error) {
	var trace bytes.Buffer
	_, again := sim.Run(sim.Config{Seed: seed, Dir: dir, Trace: &trace})
	if again == nil || again.Error() != err.Error() {
		t.Errorf("seed %d does not repeat: %v, then %v", seed, err, again)
	}
	lines := strings.Split(strings.TrimSpace(trace.String()), "\n")
	t.Errorf("seed %d: %v\nthe end of its trace:\n%s\nrepeat it, with the whole trace:\n"+
		"  go test ./cmd/internal/sim -run Model -v -seed %d    or    make sim SEED=%d",
		seed, err, strings.Join(lines[max(0, len(lines)-traceLines):], "\n"), seed, seed)
}

func add(total *sim.Report, r sim.Report) {
	total.Calls += r.Calls
	total.Acknowledged += r.Acknowledged
	total.Refused += r.Refused
	total.Unknown += r.Unknown
	total.Entries += r.Entries
	total.Executed += r.Executed
	total.Finalized += r.Finalized
	total.RolledBack += r.RolledBack
	total.Elections += r.Elections
}

// TestSeedsThatFailedBefore runs the seeds that once ended in a finding.
func TestSeedsThatFailedBefore(t *testing.T) {
	for _, seed := range []uint64{
		1,   // the rollback window of an outside payment had no time in it
		49,  // an entry came when all was believed to be at rest
		616, // a follower confirmed a snapshot that its disk did not have
	} {
		if _, err := sim.Run(sim.Config{Seed: seed, Dir: memory(t)}); err != nil {
			t.Errorf("seed %d: %v", seed, err)
		}
	}
}

// TestSeedsRepeat runs seeds twice: a run that depends on anything but its seed would
// be no use.
func TestSeedsRepeat(t *testing.T) {
	for seed := range uint64(10) {
		first, err := sim.Run(sim.Config{Seed: seed, Dir: memory(t)})
		second, again := sim.Run(sim.Config{Seed: seed, Dir: memory(t)})
		if first != second || !errors.Is(again, err) && err != nil {
			t.Errorf("seed %d: %+v, %v; then %+v, %v", seed, first, err, second, again)
		}
	}
}

// TestTheCheckFindsWhatIsMissing checks the check: with one defence taken out, some
// seed must end in a finding.
func TestTheCheckFindsWhatIsMissing(t *testing.T) {
	const most = 200
	for _, mutant := range sim.Mutants() {
		t.Run(strings.ReplaceAll(mutant.String(), " ", "_"), func(t *testing.T) {
			t.Parallel()
			dir := memory(t)
			for seed := uint64(1); seed <= most; seed++ {
				if _, err := sim.Run(sim.Config{Seed: seed, Mutant: mutant, Dir: dir}); err != nil {
					t.Logf("seed %d: %v", seed, err)
					return
				}
			}
			t.Errorf("%d seeds do not show that there is %s", most, mutant)
		})
	}
}
