package persistence

import "time"

// lowShare: low-priority work may fill one part in lowShare of the queue, and gets at
// least as much of each entry while there is some.
const lowShare = 8

// queued is an encoded proposal.
type queued struct {
	txn      []byte
	deadline time.Time
	sink     Sink
	token    uint64
	early    bool
}

// class is a first-in first-out queue of one priority.
type class struct {
	items []queued
	head  int
	bytes int
}

func (c *class) len() int { return len(c.items) - c.head }

func (c *class) push(q queued) {
	c.items = append(c.items, q)
	c.bytes += len(q.txn)
}

func (c *class) peek() *queued {
	if c.len() == 0 {
		return nil
	}
	return &c.items[c.head]
}

func (c *class) pop() queued {
	q := c.items[c.head]
	c.items[c.head] = queued{}
	c.head++
	c.bytes -= len(q.txn)
	if c.head >= 1024 && c.head > len(c.items)/2 {
		n := copy(c.items, c.items[c.head:])
		clear(c.items[n:])
		c.items, c.head = c.items[:n], 0
	}
	return q
}

// queue is what waits to be proposed.
type queue struct {
	high, low class
	// lowAlone: the last entry was one large low-priority Txn.
	lowAlone bool
}

func (q *queue) len() int   { return q.high.len() + q.low.len() }
func (q *queue) bytes() int { return q.high.bytes + q.low.bytes }

// hasRoom reports whether a Txn of size bytes may be queued.
func (q *queue) hasRoom(cfg *JournalConfig, p Priority, size int) bool {
	if p == Low && (q.low.len() >= cfg.QueueTxns/lowShare || q.low.bytes+size > cfg.QueueBytes/lowShare) {
		return false
	}
	return q.len() < cfg.QueueTxns && q.bytes()+size <= cfg.QueueBytes
}

// shortEntries is how many entries a queue may always fill: with 1,024 Txns each, all that
// one connection may have in flight.
const shortEntries = 4

// arrival is a proposal that asks to join the queue.
type arrival struct {
	priority Priority
	size     int
	deadline time.Time // zero: nobody waits for it
	received time.Time // zero: it did not wait before
	now      time.Time
}

// admit decides whether a may join the queue: nil or an OverloadError. What nobody waits
// for, and low priority, is refused only where there is no room. A caller's is refused as
// well where it would wait for too long, but never while the next few entries hold all that
// is queued, unless callers keep coming late: a burst is not yet a flood.
func (q *queue) admit(cfg *JournalConfig, pace *pace, a arrival) error {
	full := !q.hasRoom(cfg, a.priority, a.size)
	if !full && (a.priority == Low || a.deadline.IsZero()) {
		return nil
	}
	waitMax := cfg.QueueDelayMax
	keepsLate := false
	if !a.received.IsZero() {
		waitMax -= a.now.Sub(a.received)
		keepsLate = pace.late(waitMax < 0, a.received, cfg.QueueDelayMax, a.now)
	}
	isShort := q.len() < shortEntries*cfg.BatchTxns && q.bytes() < shortEntries*cfg.BatchBytes
	if !full && isShort && !keepsLate {
		return nil
	}
	if !a.deadline.IsZero() {
		waitMax = min(waitMax, a.deadline.Sub(a.now))
	}
	ahead := q.ahead(a.priority)
	wait := pace.wait(ahead, a.now)
	if !full && wait <= waitMax {
		return nil
	}
	return &OverloadError{Waiting: ahead, Wait: wait, RetryAfter: retryAfter(wait, cfg.QueueDelayMax)}
}

// ahead is about how many Txns are proposed before one that joins class p now: low
// priority gets its share of each entry while it has work, and high all else.
func (q *queue) ahead(p Priority) int {
	if p == Low {
		return q.len()
	}
	return q.high.len() + min(q.low.len(), q.high.len()/(lowShare-1))
}

// draft is the entry being filled.
type draft struct {
	items             []queued
	bytes             int
	txnsMax, bytesMax int
}

func (d *draft) fits(q *queued) bool {
	return len(d.items) < d.txnsMax && d.bytes+len(q.txn) <= d.bytesMax
}

func (d *draft) add(q queued) {
	d.items = append(d.items, q)
	d.bytes += len(q.txn)
}

// fill moves proposals into d, in order within a class: first the share of low
// priority, then high, then low again where room is left.
func (d *draft) fill(c *class, txns, bytes int) {
	for n, size := 0, 0; n < txns; n++ {
		q := c.peek()
		if q == nil || !d.fits(q) || size+len(q.txn) > bytes {
			return
		}
		size += len(q.txn)
		d.add(c.pop())
	}
}

// next takes the proposals of the next entry, none if nothing waits.
func (q *queue) next(cfg *JournalConfig) []queued {
	if large := q.large(cfg.BatchBytes); large != nil {
		return []queued{large.pop()}
	}
	d := draft{
		items:    make([]queued, 0, min(q.len(), cfg.BatchTxns)),
		txnsMax:  cfg.BatchTxns,
		bytesMax: cfg.BatchBytes,
	}
	d.fill(&q.low, cfg.BatchTxns/lowShare, cfg.BatchBytes/lowShare)
	d.fill(&q.high, cfg.BatchTxns, cfg.BatchBytes)
	d.fill(&q.low, cfg.BatchTxns, cfg.BatchBytes)
	return d.items
}

// large gives the class whose first Txn must be an entry of its own. High priority goes
// first; low priority never has two such entries in a row while high waits.
func (q *queue) large(bytes int) *class {
	low := q.low.peek()
	isLow := low != nil && len(low.txn) > bytes
	high := q.high.peek()
	wait := high != nil && q.lowAlone
	q.lowAlone = false
	switch {
	case high != nil && len(high.txn) > bytes:
		return &q.high
	case isLow && !wait:
		q.lowAlone = true
		return &q.low
	}
	return nil
}
