package sim

import (
	"slices"
	"time"

	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/persistence"
)

const (
	heartbeatEvery = 30 * time.Millisecond
	electionMin    = 120 * time.Millisecond
	electionMax    = 300 * time.Millisecond
	leaseMax       = 400 * time.Millisecond // without a majority a leader gives up
	snapshotEvery  = 48                     // entries
	sendMax        = 16                     // entries in one message
)

// entry is one entry of the log. It never changes.
type entry struct {
	term uint64
	*batch
}

// batch is what an entry carries: the bytes that are applied, and what they were made
// from, for the monitor.
type batch struct {
	uid  uint64
	data []byte
	txns []*persistence.Txn
}

// moves reports whether owners may be others after the entry: it gives shards away, or
// notes a node's start.
func (b *batch) moves() bool {
	for _, t := range b.txns {
		if len(t.Assigns) > 0 {
			return true
		}
		for i := range t.Writes {
			if t.Writes[i].Key.Table() == ownership.TableNodes {
				return true
			}
		}
	}
	return false
}

// saved is what a disk holds.
type saved struct {
	term  uint64
	voted int // -1 for nobody
	// log holds the entries behind base, the last one that the snapshot covers.
	log      []entry
	base     uint64
	baseTerm uint64
	snapshot []byte
}

func (s *saved) last() uint64 { return s.base + uint64(len(s.log)) }

// termAt gives the term of an entry; ok is false if it is not kept.
func (s *saved) termAt(index uint64) (term uint64, ok bool) {
	switch {
	case index == s.base:
		return s.baseTerm, true
	case index < s.base || index > s.last():
		return 0, false
	}
	return s.log[index-s.base-1].term, true
}

// from gives up to sendMax entries from index on.
func (s *saved) from(index uint64) []entry {
	list := s.log[index-s.base-1:]
	return slices.Clip(list[:min(len(list), sendMax)])
}

type role byte

const (
	follower role = iota
	candidate
	leading
)

// raft is one node's part in the consensus. What it says to others it says only once
// its disk has what the word stands for.
type raft struct {
	n *node
	saved
	disk disk

	role      role
	leader    int // -1 if not known
	commit    uint64
	votes     [nodesMax]bool
	next      [nodesMax]uint64
	match     [nodesMax]uint64
	heard     [nodesMax]time.Duration // from whom, when last
	boots     [nodesMax]int           // the incarnation that was heard
	deadline  time.Duration           // when a follower campaigns
	leadSince time.Duration
}

// newRaft begins with what a disk holds.
func newRaft(n *node, on saved) *raft {
	on.log = slices.Clone(on.log)
	r := &raft{n: n, saved: on, leader: -1, commit: on.base}
	r.disk = disk{r: r, saved: on}
	r.disk.log = slices.Clone(on.log)
	r.resetDeadline()
	return r
}

func (r *raft) resetDeadline() {
	r.deadline = r.n.w.now + r.n.w.between(electionMin, electionMax)
}

// tick does what time brings.
func (r *raft) tick() {
	w := r.n.w
	switch {
	case r.role != leading && w.now >= r.deadline:
		r.campaign()
	case r.role == leading && !r.heardMajority():
		r.n.note("gives up the lead of term %d: no majority", r.term)
		r.follow(r.term, -1)
	case r.role == leading:
		r.sendAll()
	}
}

func (r *raft) heardMajority() bool {
	count, w := 1, r.n.w
	for i := range w.nodes {
		if i != r.n.id && w.now-max(r.heard[i], r.leadSince) < leaseMax {
			count++
		}
	}
	return count > len(w.nodes)/2
}

// follow makes the node a follower in a term.
func (r *raft) follow(term uint64, leader int) {
	if term > r.term {
		r.term, r.voted = term, -1
		r.disk.write(nil)
	}
	if r.leader != leader && r.leader >= 0 {
		r.n.leaderChanged()
	}
	r.role, r.leader = follower, leader
}

func (r *raft) campaign() {
	r.follow(r.term+1, -1)
	r.role, r.voted = candidate, r.n.id
	r.votes = [nodesMax]bool{}
	r.resetDeadline()
	term, last := r.term, r.last()
	lastTerm, _ := r.termAt(last)
	r.n.note("campaigns in term %d", term)
	r.disk.write(func() {
		if r.term != term || r.role != candidate {
			return
		}
		r.ballot(r.n.id, term)
		for i := range r.n.w.nodes {
			if i != r.n.id {
				r.n.w.send(r.n.id, i, true, func(n *node) { n.raft.ask(r.n.id, term, last, lastTerm) })
			}
		}
	})
}

// ask is a candidate's request for a vote.
func (r *raft) ask(from int, term, last, lastTerm uint64) {
	if term > r.term {
		if r.role == leading {
			r.n.note("is deposed by term %d", term)
		}
		r.follow(term, -1)
	}
	own, _ := r.termAt(r.last())
	fresh := lastTerm > own || lastTerm == own && last >= r.last()
	if term < r.term || !fresh || r.voted != -1 && r.voted != from {
		return
	}
	r.voted = from
	r.resetDeadline()
	me := r.n.id
	r.disk.write(func() {
		r.n.w.send(me, from, true, func(n *node) { n.raft.ballot(me, term) })
	})
}

// ballot counts a vote.
func (r *raft) ballot(from int, term uint64) {
	if r.role != candidate || r.term != term {
		return
	}
	r.votes[from] = true
	count := 0
	for _, yes := range r.votes {
		if yes {
			count++
		}
	}
	if count > len(r.n.w.nodes)/2 {
		r.lead()
	}
}

func (r *raft) lead() {
	r.n.note("leads term %d", r.term)
	r.role, r.leader, r.leadSince = leading, r.n.id, r.n.w.now
	r.match = [nodesMax]uint64{}
	r.heard = [nodesMax]time.Duration{}
	for i := range r.next {
		r.next[i] = r.last() + 1
	}
	r.n.w.monitor.leads(r.n.w, r.n.id, r.term)
	r.append(&batch{data: emptyEntry})
}

var emptyEntry = persistence.AppendBatch(nil)

// append takes a batch into the leader's log.
func (r *raft) append(b *batch) {
	r.log = append(r.log, entry{r.term, b})
	term, index := r.term, r.last()
	r.disk.write(func() {
		if r.role == leading && r.term == term {
			r.match[r.n.id] = max(r.match[r.n.id], index)
			r.advance()
		}
	})
	r.sendAll()
}

func (r *raft) sendAll() {
	for i := range r.n.w.nodes {
		if i != r.n.id {
			r.sendTo(i)
		}
	}
}

// sendTo sends a follower what it lacks, or a heartbeat.
func (r *raft) sendTo(to int) {
	me, term, commit, w := r.n.id, r.term, r.commit, r.n.w
	if r.next[to] <= r.base {
		base, baseTerm, snapshot := r.base, r.baseTerm, r.snapshot
		w.send(me, to, true, func(n *node) { n.raft.install(me, term, base, baseTerm, snapshot) })
		return
	}
	before := r.next[to] - 1
	beforeTerm, _ := r.termAt(before)
	entries := r.from(r.next[to])
	w.send(me, to, true, func(n *node) { n.raft.appendEntries(me, term, before, beforeTerm, entries, commit) })
}

// heed notes that a leader speaks; false if it is none any more.
func (r *raft) heed(from int, term uint64) bool {
	if term < r.term {
		r.answer(from, term, false, 0)
		return false
	}
	r.follow(term, from)
	r.resetDeadline()
	return true
}

// appendEntries is a leader's entries, which follow the entry before.
func (r *raft) appendEntries(from int, term, before, beforeTerm uint64, entries []entry, commit uint64) {
	if !r.heed(from, term) {
		return
	}
	if before < r.base { // the snapshot covers some of them
		skip := min(r.base-before, uint64(len(entries)))
		entries, before = entries[skip:], before+skip
		if before < r.base {
			r.confirm(from, term, before)
			return
		}
		beforeTerm = r.baseTerm
	}
	if own, ok := r.termAt(before); !ok || own != beforeTerm {
		r.answer(from, term, false, min(r.last(), before-1))
		return
	}
	for i, e := range entries {
		index := before + 1 + uint64(i)
		if own, ok := r.termAt(index); ok && own == e.term {
			continue
		}
		if index <= r.commit {
			r.n.w.fail("%s overwrites entry %d, which it knew to be committed", r.n.name, index)
			return
		}
		r.log = append(slices.Clip(r.log[:index-r.base-1]), entries[i:]...)
		r.disk.changed(index)
		break
	}
	newest := before + uint64(len(entries))
	r.durably(func() {
		if r.term == term {
			r.answer(from, term, true, newest)
			r.commitTo(min(commit, newest))
		}
	})
}

// durably does something when all that was written is on the disk.
func (r *raft) durably(do func()) {
	if r.disk.dirty() {
		r.disk.write(do)
	} else {
		do()
	}
}

// confirm tells the leader of a term that the log goes along with its own up to index.
func (r *raft) confirm(to int, term, index uint64) {
	r.durably(func() {
		if r.term == term {
			r.answer(to, term, true, index)
		}
	})
}

// answer tells the leader how far the follower's log goes along with its own; if it
// does not, where to try.
func (r *raft) answer(to int, term uint64, ok bool, index uint64) {
	me, own, boot := r.n.id, r.term, r.n.boot
	r.n.w.send(me, to, true, func(n *node) { n.raft.answered(me, boot, term, own, ok, index) })
}

func (r *raft) answered(from, boot int, term, newest uint64, ok bool, index uint64) {
	if newest > r.term {
		r.follow(newest, -1)
		return
	}
	if r.role != leading || term != r.term {
		return
	}
	r.heard[from], r.boots[from] = r.n.w.now, max(r.boots[from], boot)
	if !ok {
		if next := max(r.match[from]+1, min(index+1, r.next[from])); next != r.next[from] {
			r.next[from] = next
			r.sendTo(from)
		}
		return
	}
	r.match[from] = max(r.match[from], index)
	r.next[from] = max(r.next[from], r.match[from]+1)
	r.advance()
	if r.next[from] <= r.last() && index > 0 && index+1 == r.next[from] {
		r.sendTo(from)
	}
}

// advance commits what a majority has, if it is of this term.
func (r *raft) advance() {
	match := r.match
	sorted := match[:len(r.n.w.nodes)]
	slices.Sort(sorted)
	index := sorted[(len(sorted)-1)/2]
	if term, ok := r.termAt(index); ok && term == r.term && index > r.commit {
		r.commitTo(index)
	}
}

func (r *raft) commitTo(index uint64) {
	if index > r.commit {
		r.commit = index
		r.n.applySoon()
	}
}

// install is a leader's snapshot.
func (r *raft) install(from int, term, base, baseTerm uint64, snapshot []byte) {
	if !r.heed(from, term) {
		return
	}
	if base <= r.commit {
		r.confirm(from, term, base)
		return
	}
	r.n.note("takes a snapshot at %d from n%d", base, from+1)
	if own, ok := r.termAt(base); ok && own == baseTerm {
		r.log = slices.Clone(r.log[base-r.base:])
	} else {
		r.log = nil
	}
	r.base, r.baseTerm, r.snapshot = base, baseTerm, snapshot
	r.disk.changed(0)
	r.n.restore(snapshot)
	r.commit = base
	r.confirm(from, term, base)
}

// compact lets a snapshot stand for the entries that are applied.
func (r *raft) compact(applied uint64, snapshot []byte) {
	term, ok := r.termAt(applied)
	if !ok {
		return
	}
	r.log = slices.Clone(r.log[applied-r.base:])
	r.base, r.baseTerm, r.snapshot = applied, term, snapshot
	r.disk.changed(0)
	r.disk.write(nil)
}
