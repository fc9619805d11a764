package persistence_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/persistence"
)

// disk is a log that takes a while for each entry, one after the other: an fsync and
// something for each transaction. stands, if any, keeps it from going on until closed.
type disk struct {
	fsync, each time.Duration
	entries     chan *slowEntry
	stands      atomic.Pointer[chan struct{}]
}

// newDisk settles 51,000 transactions a second in full entries of 20 ms.
func newDisk() *disk {
	return &disk{fsync: 4 * time.Millisecond, each: 16 * time.Millisecond / 1024, entries: make(chan *slowEntry, 64)}
}

const diskCapacity = 51_000

func (d *disk) Apply(entry []byte) persistence.Future {
	var l slowLog
	l.Apply(entry)
	d.entries <- l.entries[0]
	return l.entries[0]
}

func (d *disk) run() {
	for e := range d.entries {
		if stands := d.stands.Load(); stands != nil {
			<-*stands
		}
		time.Sleep(d.fsync + d.each*time.Duration(len(e.stamps)))
		e.commit()
	}
}

// callers proposes at a rate, whatever the answers do, and notes how long the admitted wait.
type callers struct {
	t       *testing.T
	journal *persistence.Journal

	mu      sync.Mutex
	took    []time.Duration
	refused int
	advice  time.Duration // the longest
	queued  int64         // the most
	failed  int
	again   atomic.Bool // who is answered comes again
}

func (c *callers) Committed(outcomes []persistence.Outcome) {
	c.mu.Lock()
	for _, o := range outcomes {
		if o.Err != nil {
			c.failed++
		}
		c.took = append(c.took, time.Since(time.Unix(0, int64(o.Token))))
	}
	c.mu.Unlock()
	for range outcomes {
		if c.again.Load() {
			c.one()
		}
	}
}

// one comes.
func (c *callers) one() {
	now := time.Now()
	err := c.journal.Propose(persistence.Proposal{
		Txn: &persistence.Txn{}, Deadline: now.Add(5 * time.Second), Received: now, Sink: c, Token: uint64(now.UnixNano()),
	})
	var overload *persistence.OverloadError
	c.mu.Lock()
	defer c.mu.Unlock()
	c.queued = max(c.queued, c.journal.Stats().Queued.Load())
	switch {
	case errors.As(err, &overload):
		c.refused++
		c.advice = max(c.advice, overload.RetryAfter)
	case err != nil:
		c.t.Error(err)
	}
}

// stay has n callers come, each again as soon as it is answered, for a while.
func (c *callers) stay(n int, while time.Duration) {
	c.again.Store(true)
	for range n {
		c.one()
	}
	time.Sleep(while)
	c.again.Store(false)
}

// come has perSecond callers a second come for a while, some each millisecond.
func (c *callers) come(perSecond int, while time.Duration) {
	owed := 0.0
	for range int(while / time.Millisecond) {
		for owed += float64(perSecond) / 1000; owed >= 1; owed-- {
			c.one()
		}
		time.Sleep(time.Millisecond)
	}
}

// forget begins to note anew.
func (c *callers) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.took, c.refused = nil, 0
}

// measured gives what was noted since the last time, once all is answered.
func (c *callers) measured() (p99 time.Duration, n int) {
	time.Sleep(time.Second)
	synctest.Wait()
	n = len(c.took)
	slices.Sort(c.took)
	if n > 0 {
		p99 = c.took[n*99/100]
	}
	c.took = nil
	return p99, n
}

// at runs a journal on a disk in virtual time, with callers before it.
func at(t *testing.T, d func() *disk, test func(*callers, *disk)) {
	synctest.Test(t, func(t *testing.T) {
		disk := d()
		journal, err := persistence.NewJournal(persistence.DefaultJournalConfig(), disk)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- journal.Run(context.Background()) }()
		go disk.run()
		test(&callers{t: t, journal: journal}, disk)
		journal.Close()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		close(disk.entries)
	})
}

// TestFlood: ten times what the disk can do comes for two seconds.
func TestFlood(t *testing.T) {
	at(t, newDisk, func(c *callers, _ *disk) {
		c.stay(4096, 2*time.Second)
		usual, served := c.measured()
		if c.refused > 0 || served < diskCapacity*2*95/100 {
			t.Errorf("%d served and %d refused within capacity", served, c.refused)
		}
		c.come(10*diskCapacity, 2*time.Second)
		flooded, admitted := c.measured()
		t.Logf("p99 %s at capacity, %s of %d admitted and %d refused in the flood, %d queued at most, advice %s",
			usual, flooded, admitted, c.refused, c.queued, c.advice)
		if admitted < diskCapacity*2*95/100 {
			t.Errorf("%d admitted: the disk stood idle in the flood", admitted)
		}
		if admitted+c.refused != 10*diskCapacity*2 {
			t.Errorf("%d admitted and %d refused of %d", admitted, c.refused, 10*diskCapacity*2)
		}
		if counted := c.journal.Stats().Overloaded.Load(); counted != uint64(c.refused) {
			t.Errorf("%d refusals counted as %d", c.refused, counted)
		}
		if flooded > 2*usual {
			t.Errorf("p99 of the admitted is %s, at capacity %s", flooded, usual)
		}
		if c.queued > 8192 {
			t.Errorf("%d queued, want the few that are always taken", c.queued)
		}
		if c.advice > time.Second {
			t.Errorf("advice to come again in %s", c.advice)
		}
	})
}

// TestFloodIsOverAtOnce: a tenth of a second after a flood everything is as usual.
func TestFloodIsOverAtOnce(t *testing.T) {
	at(t, newDisk, func(c *callers, _ *disk) {
		c.come(diskCapacity/2, time.Second)
		usual, _ := c.measured()
		c.come(10*diskCapacity, time.Second)
		time.Sleep(200 * time.Millisecond)
		c.forget()
		c.come(diskCapacity/2, time.Second)
		after, _ := c.measured()
		if c.refused > 0 || after > usual*3/2 {
			t.Errorf("after a flood %d are refused and p99 is %s, before it %s", c.refused, after, usual)
		}
	})
}

// TestBurstsAreServed: at low load everything that comes at once is taken, whatever the
// pace of the few before it seemed to be.
func TestBurstsAreServed(t *testing.T) {
	at(t, newDisk, func(c *callers, _ *disk) {
		c.come(200, time.Second)
		for range 5 {
			c.come(4_096_000, time.Millisecond) // 4,096 at once
			time.Sleep(300 * time.Millisecond)
		}
		if _, n := c.measured(); c.refused > 0 || n != 200+5*4096 {
			t.Errorf("%d refused, %d served", c.refused, n)
		}
	})
}

// TestDiskThatStands: while nothing is settled, no more than a few entries' worth waits;
// then it goes on.
func TestDiskThatStands(t *testing.T) {
	at(t, newDisk, func(c *callers, d *disk) {
		stands := make(chan struct{})
		c.come(diskCapacity/2, time.Second)
		usual, _ := c.measured()
		d.stands.Store(&stands)
		c.queued = 0
		c.come(diskCapacity/2, 2*time.Second)
		if most := int64(4096 + diskCapacity/1000); c.queued > most {
			t.Errorf("%d queued on a disk that stands, want at most %d", c.queued, most)
		}
		if c.refused == 0 {
			t.Error("nobody is refused")
		}
		close(stands)
		time.Sleep(300 * time.Millisecond)
		c.forget()
		c.come(diskCapacity/2, time.Second)
		if after, _ := c.measured(); c.refused > 0 || after > usual*3/2 {
			t.Errorf("once it goes on %d are refused and p99 is %s, before %s", c.refused, after, usual)
		}
		if c.failed > 0 {
			t.Errorf("%d failed", c.failed)
		}
	})
}
