package persistence

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Journal gathers the Txns of many proposers into log entries: one fsync and one round
// for all of them. While InFlight entries are on their way the next one fills itself;
// there is no waiting for company. An entry is in flight until its verdicts are certain;
// those that must wait for this node's Store wait outside.
//
// Every accepted proposal gets exactly one Outcome.
type Journal struct {
	cfg   JournalConfig
	log   Log
	stats JournalStats

	mu     sync.Mutex
	queue  queue
	pace   pace
	closed bool
	wake   chan struct{} // of capacity 1
}

// NewJournal gives a journal that proposes to log.
func NewJournal(cfg JournalConfig, log Log) (*Journal, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	return &Journal{cfg: cfg, log: log, wake: make(chan struct{}, 1)}, nil
}

// Stats counts what the journal did.
func (j *Journal) Stats() *JournalStats { return &j.stats }

// Propose queues p and returns at once. It keeps nothing of p.Txn. An error means that
// there will be no Outcome: ErrInvalid and ErrTooLarge for the Txn, ErrOverloaded, or
// ErrClosed.
func (j *Journal) Propose(p Proposal) error {
	if p.Txn == nil || p.Sink == nil {
		return invalid("proposal without transaction or sink")
	}
	txn, err := AppendTxn(make([]byte, 0, encodedHint), p.Txn)
	if err != nil {
		return err
	}
	q := queued{txn: txn, deadline: p.Deadline, sink: p.Sink, token: p.Token, early: p.Early}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	now := time.Now()
	a := arrival{priority: p.Priority, size: len(txn), deadline: p.Deadline, received: p.Received, now: now}
	if err := j.queue.admit(&j.cfg, &j.pace, a); err != nil {
		j.stats.Overloaded.Add(1)
		return err
	}
	if j.queue.len() == 0 {
		j.pace.begins(now)
	}
	if p.Priority == Low {
		j.queue.low.push(q)
	} else {
		j.queue.high.push(q)
	}
	j.note()
	j.ring()
	return nil
}

// Admit tells what Propose would answer now to a caller's proposal of high priority and
// ordinary size: nil, ErrClosed, or an OverloadError. It costs much less than deciding and
// encoding what is then refused. received and deadline are those of a Proposal.
func (j *Journal) Admit(received, deadline time.Time) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		return ErrClosed
	}
	a := arrival{priority: High, size: encodedHint, deadline: deadline, received: received, now: time.Now()}
	err := j.queue.admit(&j.cfg, &j.pace, a)
	if err != nil {
		j.stats.Overloaded.Add(1)
	}
	return err
}

// encodedHint is the size of an ordinary Txn.
const encodedHint = 512

// note mirrors the queue in the stats, under mu.
func (j *Journal) note() {
	j.stats.Queued.Store(int64(j.queue.len()))
	j.stats.QueuedBytes.Store(int64(j.queue.bytes()))
}

func (j *Journal) ring() {
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// Close refuses new proposals and lets Run return once all accepted ones have their
// outcome.
func (j *Journal) Close() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	j.ring()
}

// entry is a batch on its way.
type entry struct {
	items   []queued
	future  Future
	since   time.Time
	backlog bool // more was waiting than fitted
}

// Run proposes and delivers until Close was called and everything accepted is settled.
// If ctx ends first, what waits ends as ErrUnavailable, what is in flight or not yet
// applied here as ErrUnknown, and Run returns ctx's error.
func (j *Journal) Run(ctx context.Context) error {
	var flight []*entry // oldest first
	var lag lagging
	for {
		for len(flight) < j.cfg.InFlight && lag.txns < j.cfg.LagTxns {
			e := j.propose()
			if e == nil {
				break
			}
			flight = append(flight, e)
		}
		j.stats.InFlight.Store(int64(len(flight)))
		j.stats.Lagging.Store(int64(lag.txns))
		var done <-chan struct{}
		if len(flight) > 0 {
			done = flight[0].future.Done()
		} else if lag.txns == 0 && j.drained() {
			return nil
		}
		select {
		case <-done:
			j.answer(flight[0], &lag)
			flight = append(flight[:0], flight[1:]...)
		case <-lag.applied():
			lag.deliver()
		case <-j.wake:
		case <-ctx.Done():
			j.failFlight(flight, &lag)
			return ctx.Err()
		}
	}
}

func (j *Journal) drained() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.closed && j.queue.len() == 0
}

// propose hands the next entry to the log; nil if nothing waits.
func (j *Journal) propose() *entry {
	for {
		items, backlog := j.nextItems()
		if len(items) == 0 {
			return nil
		}
		now := time.Now()
		items = j.expire(items, now)
		if len(items) == 0 {
			continue
		}
		j.stats.Txns.Add(uint64(len(items)))
		j.stats.Batches.Add(1)
		j.stats.Batch.Observe(float64(len(items)))
		return &entry{items: items, future: j.log.Apply(encode(items)), since: now, backlog: backlog}
	}
}

// nextItems gives the proposals of the next entry, and whether more are left.
func (j *Journal) nextItems() (items []queued, backlog bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	items = j.queue.next(&j.cfg)
	j.note()
	return items, j.queue.len() > 0
}

func encode(items []queued) []byte {
	txns := make([][]byte, len(items))
	size := batchOverheadMax
	for i := range items {
		txns[i] = items[i].txn
		size += len(items[i].txn) + 4
	}
	return AppendBatch(make([]byte, 0, size), txns...)
}

// expire settles the proposals whose deadline has passed and gives the others.
func (j *Journal) expire(items []queued, now time.Time) []queued {
	live, late := items[:0], []queued(nil)
	for _, q := range items {
		if !q.deadline.IsZero() && now.After(q.deadline) {
			late = append(late, q)
		} else {
			live = append(live, q)
		}
	}
	if len(late) > 0 {
		j.fail(late, fmt.Errorf("%w: deadline passed in the journal's queue", ErrUnavailable))
	}
	return live
}

// answer tells what an entry that is done came to, or leaves to lag what must wait for
// this node's Store.
func (j *Journal) answer(e *entry, lag *lagging) {
	results, err := e.future.Results()
	now := time.Now()
	j.stats.Commit.ObserveTime(now.Sub(e.since))
	j.mu.Lock()
	j.pace.settled(len(e.items), e.backlog && err == nil, now)
	j.mu.Unlock()
	switch {
	case err == nil && len(results) == len(e.items):
		lag.hold(e, results)
	case err == nil:
		j.fail(e.items, fmt.Errorf("%w: %d results for %d transactions", ErrUnknown, len(results), len(e.items)))
	case errors.Is(err, ErrUnavailable), errors.Is(err, ErrUnknown):
		j.fail(e.items, err)
	default:
		j.fail(e.items, fmt.Errorf("%w: %w", ErrUnknown, err))
	}
}

// fail settles items with err, which is ErrUnavailable or ErrUnknown.
func (j *Journal) fail(items []queued, err error) {
	if errors.Is(err, ErrUnavailable) {
		j.stats.Unavailable.Add(uint64(len(items)))
	} else {
		j.stats.Unknown.Add(uint64(len(items)))
	}
	deliver(items, func(int) (Result, error) { return Result{}, err })
}

// failFlight answers everything when there is no time to drain.
func (j *Journal) failFlight(flight []*entry, lag *lagging) {
	for _, e := range flight {
		if closed(e.future.Done()) {
			j.answer(e, lag)
		} else {
			j.fail(e.items, fmt.Errorf("%w: journal stopped", ErrUnknown))
		}
	}
	lag.deliver()
	if items := lag.release(); len(items) > 0 {
		j.fail(items, fmt.Errorf("%w: journal stopped before this node's store showed the commit", ErrUnknown))
	}
	j.mu.Lock()
	j.closed = true
	var waiting []queued
	for j.queue.high.len() > 0 {
		waiting = append(waiting, j.queue.high.pop())
	}
	for j.queue.low.len() > 0 {
		waiting = append(waiting, j.queue.low.pop())
	}
	j.note()
	j.mu.Unlock()
	j.stats.InFlight.Store(0)
	j.stats.Lagging.Store(0)
	if len(waiting) > 0 {
		j.fail(waiting, fmt.Errorf("%w: journal stopped", ErrUnavailable))
	}
}
