package treasury_test

import (
	"context"
	"sync"
	"time"

	"github.com/the-block/bursar/persistence"
)

// fate is what a log does with an entry.
type fate int

const (
	// commits it and says so.
	commits fate = iota
	// declines it, certainly: ErrUnavailable.
	declines
	// loses it on the way: ErrUnknown, and it never commits.
	loses
	// mumbles: it commits, and the answer is ErrUnknown.
	mumbles
	// dawdles: ErrUnknown at once, and it commits before the next entry that is taken.
	dawdles
)

// memoryLog is a log in memory that outlives crashes. It applies entries in order, on
// a goroutine of its own, and does to them what it is told.
type memoryLog struct {
	mu      sync.Mutex
	entries [][]byte // committed
	late    [][]byte // dawdled: to be committed with the next
	next    func() fate
	delay   time.Duration
	tell    time.Duration // after which the proposer hears of a commit
	held    bool
	queue   []*pending
	fsm     *persistence.FSM // nil while the node is down
	moved   chan struct{}    // of capacity 1: something to do
	grown   chan struct{}    // closed and replaced at each commit
	taken   int              // entries that were proposed
}

// pending is an entry on its way.
type pending struct {
	entry   []byte
	fate    fate
	done    chan struct{}
	results []persistence.Result
	err     error
	index   uint64 // at which it was committed
}

func (p *pending) Done() <-chan struct{}                  { return p.done }
func (p *pending) Applied() <-chan struct{}               { return p.done }
func (p *pending) Results() ([]persistence.Result, error) { return p.results, p.err }

func newMemoryLog() *memoryLog {
	return &memoryLog{next: func() fate { return commits }, grown: make(chan struct{})}
}

// attach replays the log into an empty machine and takes entries for it.
func (l *memoryLog) attach(fsm *persistence.FSM) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, l.late...)
	l.late = nil
	for i, entry := range l.entries {
		if _, err := fsm.Apply(uint64(i+1), entry); err != nil {
			return err
		}
	}
	l.fsm, l.moved = fsm, make(chan struct{}, 1)
	return nil
}

// detach is the moment of a crash: what is on its way is committed or not, and nobody
// is told.
func (l *memoryLog) detach(commit bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.queue {
		if commit && (p.fate == commits || p.fate == mumbles) {
			l.entries = append(append(l.entries, l.late...), p.entry)
			l.late = nil
		}
		p.err = persistence.ErrUnknown
		close(p.done)
	}
	l.queue, l.fsm, l.held = nil, nil, false
}

// Apply implements persistence.Log.
func (l *memoryLog) Apply(entry []byte) persistence.Future {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken++
	p := &pending{entry: entry, done: make(chan struct{}), fate: declines}
	if l.fsm != nil {
		p.fate = l.next()
	}
	if p.fate == declines {
		p.err = persistence.ErrUnavailable
		close(p.done)
		return p
	}
	l.queue = append(l.queue, p)
	l.ring()
	return p
}

func (l *memoryLog) ring() {
	select {
	case l.moved <- struct{}{}:
	default:
	}
}

// run applies what comes until ctx ends.
func (l *memoryLog) run(ctx context.Context) {
	for {
		select {
		case <-l.moved:
		case <-ctx.Done():
			return
		}
		for {
			l.mu.Lock()
			delay := l.delay
			l.mu.Unlock()
			if delay > 0 {
				time.Sleep(delay)
			}
			if !l.step() {
				break
			}
		}
	}
}

// step settles the oldest entry on its way; false if there is none to settle.
func (l *memoryLog) step() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.queue) == 0 || l.fsm == nil || l.held {
		return false
	}
	p := l.queue[0]
	l.queue = l.queue[1:]
	defer time.AfterFunc(l.tell, func() { close(p.done) })
	switch p.fate {
	case commits:
		p.results, p.err = l.commit(p.entry)
		p.index = uint64(len(l.entries))
		return true
	case mumbles:
		if _, p.err = l.commit(p.entry); p.err != nil {
			return true
		}
	case dawdles:
		l.late = append(l.late, p.entry)
	case loses, declines:
	}
	p.err = persistence.ErrUnknown
	return true
}

func (l *memoryLog) commit(entry []byte) (results []persistence.Result, err error) {
	for _, entry := range append(l.late, entry) {
		l.entries = append(l.entries, entry)
		if results, err = l.fsm.Apply(uint64(len(l.entries)), entry); err != nil {
			return nil, err
		}
	}
	l.late = nil
	close(l.grown)
	l.grown = make(chan struct{})
	return results, nil
}

// last is the index of the newest entry.
func (l *memoryLog) last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.entries))
}

// after gives the entry at index+1, or what is closed once there is one.
func (l *memoryLog) after(index uint64) (entry []byte, grown <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if index < uint64(len(l.entries)) {
		return l.entries[index], nil
	}
	return nil, l.grown
}

// set changes the log's behaviour under its lock.
func (l *memoryLog) set(change func(*memoryLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(l)
	if l.moved != nil {
		l.ring()
	}
}

// fates makes the next entries meet the given fates, and all others commit.
func (l *memoryLog) fates(list ...fate) {
	l.set(func(l *memoryLog) {
		l.next = func() fate {
			if len(list) == 0 {
				return commits
			}
			f := list[0]
			list = list[1:]
			return f
		}
	})
}

// always makes every entry meet one fate.
func (l *memoryLog) always(f fate) { l.set(func(l *memoryLog) { l.next = func() fate { return f } }) }

// hold keeps entries on their way until release.
func (l *memoryLog) hold()    { l.set(func(l *memoryLog) { l.held = true }) }
func (l *memoryLog) release() { l.set(func(l *memoryLog) { l.held = false }) }
