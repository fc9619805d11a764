package sim

import (
	"slices"
	"time"
)

const (
	syncMin  = 100 * time.Microsecond
	syncCalm = 2 * time.Millisecond
)

// disk holds what a node would find again after a loss of power. What is written is
// on it only when a sync has returned; until then all, some or nothing of it may be.
type disk struct {
	r *raft
	saved

	pending bool     // something is written and not on the disk
	first   uint64   // the first entry that differs; 0 for everything
	waiting []func() // for the next sync to return
	syncing bool
	hang    time.Duration // no sync returns before that instant
}

func (d *disk) dirty() bool { return d.pending }

// changed notes that the log differs from index on; 0 stands for the snapshot too.
func (d *disk) changed(index uint64) {
	if !d.pending || index < d.first {
		d.first = index
	}
	d.pending = true
}

// write has the raft's state synced, and calls then when it is on the disk.
func (d *disk) write(then func()) {
	if last := d.saved.last() + 1; !d.pending {
		d.first, d.pending = max(last, 1), true
	}
	if d.r.n.w.mutant == NoSync { // says it is done, and does it some day
		if then != nil {
			then()
		}
		then = nil
	}
	if then != nil {
		d.waiting = append(d.waiting, then)
	}
	d.sync()
}

func (d *disk) sync() {
	if d.syncing {
		return
	}
	d.syncing = true
	w, n, boot := d.r.n.w, d.r.n, d.r.n.boot
	wait := w.between(syncMin, syncCalm)
	if d.r.n.w.mutant == NoSync {
		wait = w.between(100*time.Millisecond, time.Second)
	}
	if hung := d.hang - w.now; hung > 0 {
		wait += hung
	}
	w.after(wait, func() {
		n.deliver(func(n *node) {
			if n.boot == boot {
				d.synced()
			}
		})
	})
}

// synced is the return of a sync: what was written by then is on the disk.
func (d *disk) synced() {
	d.syncing = false
	d.keep(d.r.last())
	d.pending = false
	waiting := d.waiting
	d.waiting = nil
	for _, then := range waiting {
		then()
	}
}

// keep brings the disk to the raft's state, with its log up to an entry.
func (d *disk) keep(last uint64) {
	r := d.r
	d.term, d.voted = r.term, r.voted
	if d.first == 0 || d.base != r.base {
		d.base, d.baseTerm, d.snapshot = r.base, r.baseTerm, r.snapshot
		d.log = slices.Clone(r.log[:last-r.base])
		return
	}
	from := min(d.first, d.saved.last()+1, last+1) - d.base - 1
	d.log = append(d.log[:from], r.log[from:last-r.base]...)
}

// lose is a loss of power or a kill: what is found again is what was synced, and
// perhaps some of what was written since, in the order in which it was.
func (d *disk) lose() saved {
	w := d.r.n.w
	if d.pending && d.first > 0 && d.base == d.r.base && w.chance(0.5) {
		if from, last := d.first-1, d.r.last(); last >= from {
			d.keep(from + w.Uint64N(last-from+1))
		}
	}
	return d.saved
}
