package chaos_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/localcluster/localclustertest"
	"github.com/the-block/bursar/messages"
)

var together = flag.Int("together", 40, "how often TestStopTogether stops all nodes")

const (
	handoverMost = time.Second            // of an orderly stop
	drainMost    = 200 * time.Millisecond // a node
)

// TestLeave stops nodes of each role in order while clients call all of them.
func TestLeave(t *testing.T) {
	needs(t, "full")
	f := newFleet(t)
	f.launch()
	l := f.startLoad()
	var drains, handovers []time.Duration
	for range 3 {
		for _, n := range f.nodes {
			f.awaitWhole()
			l.forget()
			drains = append(drains, f.drain(n, func() { time.Sleep(200 * time.Millisecond) })) // and the load goes on
			l.mustTake(1, "a drain of "+n.name)
		}
		for _, n := range f.nodes {
			f.awaitWhole()
			l.forget()
			if took, owner := f.leave(n); owner {
				handovers = append(handovers, took)
			}
			l.mustTake(2, n.name+" leaves")
		}
	}
	f.check(l)
	f.distribution("a drain of a node", drains, 0, drainMost)
	f.distribution("from SIGTERM of the executor's node to the next executed disbursement", handovers, 0, handoverMost)
}

// drain drains a node, and ends that when what is to be done meanwhile is done. It gives
// the time the drain took.
func (f *fleet) drain(n *node, meanwhile func()) time.Duration {
	f.Helper()
	c := newCaller(f, f.nodes...)
	defer c.close()
	begun := time.Now()
	var result messages.DrainResult
	c.ask(messages.MethodClusterDrain, &messages.DrainParams{Node: n.name}, &result)
	took := time.Since(begun)
	if result.Shards != 0 {
		f.Errorf("drained, %s has %d shards", n.name, result.Shards)
	}
	meanwhile()
	c.ask(messages.MethodClusterDrain, &messages.DrainParams{Node: n.name, Off: true}, &result)
	f.say("%s is drained within %s", n.name, took.Round(time.Millisecond))
	return took
}

// leave stops a node in order and starts it again. It gives the time until somebody else
// executed, and whether the node had the executor.
func (f *fleet) leave(n *node) (took time.Duration, owner bool) {
	f.Helper()
	owner = f.executor() == n.name
	before := f.newestRow(f.others(n))
	begun := time.Now()
	stopped := make(chan time.Duration, 1)
	go func() { stopped <- n.stop() }()
	took = f.awaitExecution(begun, before, n)
	f.say("%s (%s) leaves within %s; had the executor: %t, the next execution elsewhere after %s", n.name, n.role,
		(<-stopped).Round(time.Millisecond), owner, took.Round(time.Millisecond))
	time.Sleep(500 * time.Millisecond)
	n.start()
	return took, owner
}

// TestStopTogether stops all nodes at the same moment, again and again: nobody is left to
// hand anything over to, and each must end in order all the same.
func TestStopTogether(t *testing.T) {
	needs(t, "full")
	f := newFleet(t)
	f.launch()
	l := f.startLoad()
	var took []time.Duration
	for range *together {
		f.awaitWhole()
		time.Sleep(rand.N(300 * time.Millisecond))
		begun := time.Now()
		f.stopAll()
		took = append(took, time.Since(begun))
		if t.Failed() {
			t.FailNow()
		}
		for _, n := range f.nodes {
			n.start()
		}
	}
	f.check(l)
	f.distribution("three nodes that stop together", took, 0, stopWithin)
}

// TestRollingUpgrade restarts each node with a newer program, one after the other, while
// clients call all of them: versions N and N+1 work together.
func TestRollingUpgrade(t *testing.T) {
	needs(t, "full")
	f := newFleet(t)
	newer := f.rebuilt("newer", map[string]string{
		"cmd/internal/node/node.go": `const Version = ".*"=>const Version = "99.0.0"`,
		"cluster/peers/config.go":   `Protocol    = 1=>Protocol    = 2`,
	})
	f.launch()
	l := f.startLoad()
	for _, n := range f.nodes {
		f.awaitWhole()
		l.forget()
		stopped := n.stop()
		n.program = newer
		n.start()
		ready := n.awaitReady()
		l.mustTake(2, "an upgrade of "+n.name)
		s, err := n.status()
		f.must(err)
		if s.Version != "99.0.0" {
			f.Errorf("%s runs version %s", n.name, s.Version)
		}
		f.say("%s stopped within %s, and runs version %s after %s", n.name, stopped.Round(time.Millisecond), s.Version, ready.Round(time.Millisecond))
	}
	f.awaitWhole()
	f.check(l)
}

// rebuilt builds the program from changed sources: by file, what is replaced by what,
// "expression=>text". The checkout is not touched.
func (f *fleet) rebuilt(name string, changes map[string]string) string {
	f.Helper()
	root, err := filepath.Abs("../../..")
	f.must(err)
	var replace []string
	for file, change := range changes {
		original := file
		if !filepath.IsAbs(file) {
			original = filepath.Join(root, file)
		}
		text, err := os.ReadFile(original)
		f.must(err)
		expression, replacement, _ := strings.Cut(change, "=>")
		pattern := regexp.MustCompile(expression)
		if !pattern.Match(text) {
			f.Fatalf("%s has no %s", file, expression)
		}
		changed := filepath.Join(f.dir, name+"-"+filepath.Base(file))
		f.must(os.WriteFile(changed, pattern.ReplaceAll(text, []byte(replacement)), 0o644))
		replace = append(replace, fmt.Sprintf("%q: %q", original, changed))
	}
	overlay := filepath.Join(f.dir, name+".json")
	f.must(os.WriteFile(overlay, []byte(`{"Replace": {`+strings.Join(replace, ", ")+`}}`), 0o644))
	to := filepath.Join(f.dir, "bursar-"+name)
	f.must(localclustertest.Build(to, "-overlay", overlay))
	return to
}
