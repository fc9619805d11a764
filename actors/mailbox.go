package actors

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// mailboxLimitMax is the highest admission limit a spec may ask for.
	mailboxLimitMax = 1 << 20
	// bufferKept is the capacity, in messages, that an idle mailbox may hold on to;
	// larger buffers go round among the mailboxes of the system.
	bufferKept = 128
	// sampleEvery says that one user message in so many is timed: reading the
	// clock costs as much as handling a message.
	sampleEvery = 64
)

// item is a queued message. The zero call marks a tell.
type item struct {
	msg  any
	call handle
}

// kept is a stashed message; counts says that it is a user message.
type kept struct {
	item
	counts bool
}

// door says what a mailbox still lets in.
type door uint8

const (
	doorOpen     door = iota // everything
	doorDraining             // system messages and outcomes of the actor's own work
	doorClosed               // system messages
)

// mode says which lanes are served; the system lane always is.
type mode uint8

const (
	serving  mode = iota // all
	refusing             // the user lane, to be turned away
	held                 // none
)

// mailbox is an actor's bounded queue with three lanes, served in this order:
// system (life cycle), internal (outcomes of the actor's own work, never
// refused), user (refused beyond the limit).
//
// Producers append to a buffer under the lock; the one consumer swaps that
// buffer for its own emptied one and works through it without the lock. So both
// sides pay for the lock once per burst, and order within a lane is kept.
type mailbox struct {
	mu        sync.Mutex
	user      []item
	system    []any
	accepted  uint64 // user messages let in so far
	settled   uint64 // done, as it was at the last swap: spares producers the shared counter
	since     int64  // when user stopped being empty, nanoseconds by the coarse clock
	batchEnd  uint64 // accepted at the last swap
	batchFrom int64  // since, as it was then
	timedSeq  uint64
	timedAt   time.Duration // since began
	limit     uint32
	door      door
	scheduled bool // a worker has the mailbox, or it is in the run queue
	mode      mode

	// urgent tells the consumer that the system or internal lane has something.
	urgent atomic.Bool
	// refused counts user messages not let in, or turned away from the queue.
	refused atomic.Uint64
	// done counts user messages taken and finished; only the consumer writes it.
	done atomic.Uint64
	// inner counts messages of the internal lane likewise.
	inner atomic.Uint64

	slabs *slabs

	// What follows belongs to the consumer.
	batch      []item
	pos        int
	taken      uint64 // user messages taken from batches
	timed      uint64 // sequence of the message to be timed, 0 if none in this batch
	timedSince time.Duration

	// side is what most actors never need; nil until then. It changes under mu, and is
	// atomic because the consumer looks at it without.
	side atomic.Pointer[sideLanes]
}

// sideLanes are the internal lane and the unstashed messages.
type sideLanes struct {
	internal []item // guarded by the mailbox's mu

	// What follows belongs to the consumer.
	outcomes   []item // internal messages taken over
	outcomePos int
	replay     []kept // unstashed messages, served before the batch
}

// began is what sampled times are measured from; differences of them are all
// that is used.
var began = time.Now()

// offer puts a user message in, or says why not. wake tells the caller to
// schedule the actor.
func (m *mailbox) offer(it item, now int64) (why Reason, wake bool) {
	m.mu.Lock()
	if m.door != doorOpen {
		m.mu.Unlock()
		return Stopped, false
	}
	if m.accepted-m.settled >= uint64(m.limit) {
		m.settled = m.done.Load()
		if m.accepted-m.settled >= uint64(m.limit) {
			m.mu.Unlock()
			return MailboxFull, false
		}
	}
	if len(m.user) == 0 {
		m.since = now
	}
	if len(m.user) == cap(m.user) && len(m.user) >= bufferKept {
		m.user = m.slabs.larger(m.user)
	}
	m.user = append(m.user, it)
	m.accepted++
	if measured && m.accepted%sampleEvery == 1 && m.timedSeq == 0 {
		m.timedSeq, m.timedAt = m.accepted, time.Since(began)
	}
	wake = !m.scheduled && m.mode != held
	if wake {
		m.scheduled = true
	}
	m.mu.Unlock()
	return 0, wake
}

// offerInternal puts an outcome of the actor's own work in.
func (m *mailbox) offerInternal(it item) (why Reason, wake bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.door == doorClosed {
		return Stopped, false
	}
	side := m.lanes()
	side.internal = append(side.internal, it)
	m.urgent.Store(true)
	wake = !m.scheduled && m.mode == serving
	m.scheduled = m.scheduled || wake
	return 0, wake
}

// hasInternal reports whether an outcome waits. The caller holds mu.
func (m *mailbox) hasInternal() bool {
	side := m.side.Load()
	return side != nil && len(side.internal) > 0
}

// lanes gives the side lanes, made if need be. The caller holds mu.
func (m *mailbox) lanes() *sideLanes {
	side := m.side.Load()
	if side == nil {
		side = &sideLanes{}
		m.side.Store(side)
	}
	return side
}

// offerSystem puts a life cycle message in; it is always taken.
func (m *mailbox) offerSystem(msg any) (wake bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.system = append(m.system, msg)
	m.urgent.Store(true)
	wake = !m.scheduled
	m.scheduled = true
	return wake
}

// takeUrgent hands the consumer the waiting system messages and moves the
// waiting outcomes to where next finds them.
func (m *mailbox) takeUrgent() []any {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.urgent.Store(false)
	system := m.system
	m.system = nil
	if side := m.side.Load(); side != nil && len(side.internal) > 0 {
		side.refill()
	}
	return system
}

// refill moves the internal lane behind the outcomes not yet served.
func (s *sideLanes) refill() {
	if s.outcomePos == len(s.outcomes) {
		s.outcomes, s.internal = s.internal, s.outcomes[:0]
		s.outcomePos = 0
		return
	}
	s.outcomes = append(s.outcomes, s.internal...)
	clear(s.internal)
	s.internal = s.internal[:0]
}

// next gives the consumer its next message: outcomes, then unstashed, then user
// messages. counted says that the message counts as a user message.
func (m *mailbox) next() (it item, counted, ok bool) {
	if it, ok = m.outcome(); ok {
		return it, false, true
	}
	if m.pos == len(m.batch) && m.swap() {
		// An outcome that was told before these messages is served before them.
		if it, ok = m.outcome(); ok {
			return it, false, true
		}
	}
	return m.nextUser()
}

// outcome is the next of the outcomes taken over.
func (m *mailbox) outcome() (it item, ok bool) {
	s := m.side.Load()
	if s == nil || s.outcomePos == len(s.outcomes) {
		return item{}, false
	}
	it, s.outcomes[s.outcomePos] = s.outcomes[s.outcomePos], item{}
	s.outcomePos++
	return it, true
}

// nextUser is next without outcomes, save stashed ones.
func (m *mailbox) nextUser() (it item, counted, ok bool) {
	if s := m.side.Load(); s != nil && len(s.replay) > 0 {
		k := s.replay[0]
		s.replay[0] = kept{}
		if s.replay = s.replay[1:]; len(s.replay) == 0 {
			s.replay = nil
		}
		return k.item, k.counts, true
	}
	if m.pos == len(m.batch) && !m.swap() {
		return item{}, false, false
	}
	it, m.batch[m.pos] = m.batch[m.pos], item{}
	m.pos++
	m.taken++
	return it, true, true
}

// unstash puts messages before all other user messages.
func (m *mailbox) unstash(stash []kept) {
	m.mu.Lock()
	side := m.lanes()
	m.mu.Unlock()
	side.replay = append(stash, side.replay...)
}

// swap trades the worked-off batch for what producers have put in since, outcomes
// included.
func (m *mailbox) swap() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.user) == 0 {
		return false
	}
	m.batch, m.user = m.user, m.batch[:0]
	m.pos = 0
	if m.hasInternal() {
		m.side.Load().refill()
	}
	m.settled = m.done.Load()
	m.batchEnd, m.batchFrom = m.accepted, m.since
	m.timed, m.timedSince, m.timedSeq = m.timedSeq, m.timedAt, 0
	return true
}

// park gives the mailbox back when there is nothing to serve and reports whether
// it did; if not, the consumer goes on.
func (m *mailbox) park() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	user := len(m.user) > 0 || m.pos < len(m.batch)
	internal := false
	if s := m.side.Load(); s != nil {
		user = user || len(s.replay) > 0
		internal = len(s.internal) > 0 || s.outcomePos < len(s.outcomes)
	}
	switch {
	case len(m.system) > 0, m.mode != held && user, m.mode == serving && internal:
		return false
	case !user && !internal:
		m.shrink()
	}
	m.scheduled = false
	return true
}

// slabs are the buffers of mailboxes that had a burst and are idle again. The
// garbage collector takes those that nobody wants.
type slabs struct{ pool sync.Pool }

// give takes a buffer in; all its messages have been cleared.
func (s *slabs) give(buffer []item) {
	buffer = buffer[:0]
	s.pool.Put(&buffer)
}

// larger moves the messages of a full buffer to a larger one, if there is one.
func (s *slabs) larger(full []item) []item {
	found, ok := s.pool.Get().(*[]item)
	if !ok || cap(*found) <= len(full) {
		return full
	}
	moved := (*found)[:len(full)]
	copy(moved, full)
	return moved
}

// shrink lets go of the memory of a burst; the mailbox is empty.
func (m *mailbox) shrink() {
	if cap(m.batch) > bufferKept {
		m.slabs.give(m.batch)
		m.batch, m.pos = nil, 0
	}
	if cap(m.user) > bufferKept {
		m.slabs.give(m.user)
		m.user = nil
	}
	if s := m.side.Load(); s != nil && cap(s.outcomes)+cap(s.internal) > bufferKept {
		m.side.Store(nil)
	}
}

func (m *mailbox) setMode(to mode) {
	m.mu.Lock()
	m.mode = to
	m.mu.Unlock()
}

// shut narrows the door; it never widens it.
func (m *mailbox) shut(to door) {
	m.mu.Lock()
	m.door = max(m.door, to)
	m.mu.Unlock()
}

// shutIfIdle starts draining only if no message waits, so that a passivated
// actor loses none.
func (m *mailbox) shutIfIdle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.accepted != m.done.Load() || m.hasInternal() || m.door != doorOpen {
		return false
	}
	if s := m.side.Load(); s != nil && s.outcomePos < len(s.outcomes) {
		return false
	}
	m.door = doorDraining
	return true
}

// empty closes the mailbox and gives up all that waits, in order.
func (m *mailbox) empty() []item {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.door = doorClosed
	var left []item
	if s := m.side.Load(); s != nil {
		left = append(left, s.outcomes[s.outcomePos:]...)
		left = append(left, s.internal...)
		for _, k := range s.replay {
			left = append(left, k.item)
		}
	}
	left = append(left, m.batch[m.pos:]...)
	left = append(left, m.user...)
	m.side.Store(nil)
	m.batch, m.pos, m.user = nil, 0, nil
	return left
}

// handled counts the messages of both lanes that are finished.
func (m *mailbox) handled() uint64 { return m.done.Load() + m.inner.Load() }

// load is a mailbox as others see it.
type load struct {
	depth          int    // accepted and not finished
	accepted, done uint64 // user messages
	handled        uint64 // those that are done, and internal ones
	refused        uint64
	since          int64 // no waiting message is older, by the coarse clock; 0 if none waits
}

func (m *mailbox) load() load {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.loadHeld()
}

// loadHeld is load for whoever holds mu.
func (m *mailbox) loadHeld() load {
	done := m.done.Load()
	l := load{
		depth: int(m.accepted - done), accepted: m.accepted, done: done, handled: done + m.inner.Load(),
		refused: m.refused.Load(),
	}
	switch {
	case done < m.batchEnd:
		l.since = m.batchFrom
	case l.depth > 0:
		l.since = m.since
	}
	return l
}
