package chaos_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
)

var records = flag.Int("records", 100_000, "how many records the cluster holds when TestLostDisk takes a disk away")

const (
	catchUpMost = 30 * time.Second
	// serveLeast is which part of their throughput the others keep while a node catches up.
	serveLeast = 0.7
	// ratePeriod is how long the throughput is measured.
	ratePeriod = 10 * time.Second
	// failoverRest is for the clients to get over the death of a node.
	failoverRest = 3 * time.Second
)

// TestLostDisk takes a node's disk away and gives it an empty one.
func TestLostDisk(t *testing.T) {
	needs(t, "full")
	f := newFleet(t)
	f.launch()
	l := f.startLoad()
	f.fill(l, *records)
	for _, n := range []*node{f.nodes[1], f.nodes[0]} { // a replica, then the one that leads and pays
		f.awaitWhole()
		f.shunned.Store(n) // it is the others' service that is measured
		usual := l.rate(ratePeriod)
		n.kill()
		f.must(os.RemoveAll(n.data))
		others := f.others(n)
		f.awaitServing(others)
		time.Sleep(failoverRest)
		begun, count := time.Now(), l.done.Load()
		n.start()
		took := f.awaitReborn(n, others)
		time.Sleep(time.Until(begun.Add(ratePeriod / 2))) // for a rate that means something
		meanwhile := float64(l.done.Load()-count) / time.Since(begun).Seconds()
		f.shunned.Store(nil)
		f.say("%s lost its disk: caught up and a voter after %s, meanwhile %.0f calls/s, before %.0f/s",
			n.name, took.Round(time.Millisecond), meanwhile, usual)
		if took > catchUpMost {
			f.Errorf("%s caught up after %s, the bar is %s", n.name, took, catchUpMost)
		}
		if meanwhile < serveLeast*usual {
			f.Errorf("while %s caught up %.0f calls/s were served, before %.0f/s; the bar is %.0f %%", n.name, meanwhile, usual, 100*serveLeast)
		}
	}
	f.awaitHealed()
	f.check(l)
}

// awaitReborn waits until a node with an empty disk, which counts as a voter still, has
// lost its vote, has caught up and has been given a vote again.
func (f *fleet) awaitReborn(n *node, others []*node) time.Duration {
	f.Helper()
	begun := time.Now()
	for _, want := range []uint64{2, 3} {
		f.await(2*catchUpMost, fmt.Sprintf("%d voters, while %s comes back", want, n.name), func() error {
			s, err := others[0].status()
			if err == nil && s.Voters != want {
				err = fmt.Errorf("%d vote by the word of %s", s.Voters, others[0].name)
			}
			return err
		})
	}
	f.await(catchUpMost, n.name+" has caught up", func() error {
		s, err := n.status()
		leading, other := others[0].status()
		if err = errors.Join(err, other); err == nil && s.AppliedIndex+200 < leading.AppliedIndex {
			err = fmt.Errorf("it has applied %d of %d", s.AppliedIndex, leading.AppliedIndex)
		}
		return err
	})
	return time.Since(begun)
}

// awaitServing waits until all of the given nodes serve.
func (f *fleet) awaitServing(nodes []*node) {
	f.Helper()
	for _, n := range nodes {
		n.awaitReady()
	}
}

// rate is how many calls end in a second.
func (l *load) rate(period time.Duration) float64 {
	before := l.done.Load()
	time.Sleep(period)
	return float64(l.done.Load()-before) / period.Seconds()
}

// The size of a plan, and how many are submitted at the same time.
const (
	planItems = 500
	planners  = 4
)

// fill has the cluster pay until it holds a number of records, and waits until all are
// final.
func (f *fleet) fill(l *load, most int) {
	f.Helper()
	begun := time.Now()
	var next atomic.Int64
	var all sync.WaitGroup
	for range planners {
		all.Go(func() {
			c := newCaller(f, f.nodes...)
			defer c.close()
			for {
				n := int(next.Add(1))
				if n*planItems > most {
					return
				}
				l.plan(c, n)
			}
		})
	}
	all.Wait()
	f.say("%d records submitted within %s", most, time.Since(begun).Round(time.Millisecond))
}

// plan submits a plan of payments.
func (l *load) plan(c *caller, n int) {
	params := new(messages.PlanParams)
	params.RequestID = fmt.Sprintf("plan-%d", n)
	for i := range planItems {
		p := payment{requestID: fmt.Sprintf("plan-%d-%d", n, i), destination: "tb1plan", amount: 1}
		params.Items = append(params.Items, messages.PlanItem{Ref: p.requestID, Payload: messages.Payload{
			Disbursement: messages.Disbursement{Destination: p.destination, Amount: p.amount, Memo: p.requestID, ScheduledEpoch: 1},
		}})
	}
	l.mu.Lock()
	for i := range params.Items {
		l.asked[params.Items[i].Ref] = true
	}
	l.mu.Unlock()
	var result messages.SubmitPlanResult
	if err := l.call(c, messages.MethodSubmitPlan, params, &result); err != nil {
		l.fault("plan %d: %v", n, err)
		return
	}
	l.ledger.Note(params, &result)
}

// TestFullDisk lets the disk of a node fill up: it stops and says why, the others go on,
// and with room again it catches up.
func TestFullDisk(t *testing.T) {
	needs(t, "full")
	if os.Geteuid() != 0 {
		t.Skip("a small file system needs root")
	}
	f := newFleet(t)
	n := f.nodes[1]
	f.must(os.Mkdir(n.data, 0o755))
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=256m", "chaos", n.data).CombinedOutput(); err != nil {
		t.Skipf("no small file system here: %v: %s", err, out)
	}
	t.Cleanup(func() {
		n.kill()
		if out, err := exec.Command("umount", n.data).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", n.data, err, out)
		}
	})
	n.mayEnd, n.expects = true, []string{"no space left on device"}
	f.launch()
	l := f.startLoad()
	f.awaitWhole()
	filler := filepath.Join(n.data, "filler")
	f.fillDisk(filler)
	begun := time.Now()
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	f.fill(l, 100_000) // until the log needs its next segment
	select {
	case <-p.Ended:
	case <-time.After(startWithin):
		f.Fatalf("%s goes on with a full disk", n.name)
	}
	f.say("its disk full, %s ended after %s: %v\n%s", n.name, time.Since(begun).Round(time.Millisecond), p.Err, n.lastLog(3))
	n.mustSay("no space left on device")
	f.awaitServing(f.others(n))
	f.must(os.Remove(filler))
	n.start()
	f.awaitHealed()
	f.check(l)
}

// fillDisk writes a file until there is no room left.
func (f *fleet) fillDisk(path string) {
	f.Helper()
	file, err := os.Create(path)
	f.must(err)
	defer file.Close()
	for chunk := make([]byte, 64<<10); err == nil; {
		_, err = file.Write(chunk)
	}
}
