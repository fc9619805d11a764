package actors

import (
	"slices"
	"sync"
	"time"
)

// sight is what the watchdog saw of a worker. It stays the same only while the
// worker is in one message, or in one Start, Stop or Drained.
type sight struct {
	cell *cell
	runs uint64
	done uint64
}

// Stall is an actor that has been in one message for longer than
// Config.StallAfter.
type Stall struct {
	Path  string
	Kind  string
	Since time.Time // good to half of Config.StallAfter
}

// stalls are those the watchdog saw at its last look.
type stalls struct {
	mu  sync.Mutex
	all map[*worker]Stall
}

// Stalled lists the actors that are stuck in one message, the longest first.
func (s *System) Stalled() []Stall {
	s.stalls.mu.Lock()
	defer s.stalls.mu.Unlock()
	out := make([]Stall, 0, len(s.stalls.all))
	for _, stall := range s.stalls.all {
		out = append(out, stall)
	}
	slices.SortFunc(out, func(a, b Stall) int { return a.Since.Compare(b.Since) })
	return out
}

// watch keeps the coarse clock and looks for workers that are stuck in one
// message.
func (s *System) watch() {
	tick := time.NewTicker(s.cfg.StallAfter / 2)
	defer tick.Stop()
	for {
		select {
		case <-s.halt:
			return
		case now := <-tick.C:
			s.coarse.Store(now.Sub(s.began).Nanoseconds())
			s.pool.each(func(w *worker) { s.inspect(w, now) })
			s.forgetEnded(now)
		}
	}
}

// inspect compares a worker with how it was at the last look.
func (s *System) inspect(w *worker, now time.Time) {
	var saw sight
	if c := w.running.Load(); c != nil {
		saw = sight{cell: c, runs: w.runs.Load(), done: c.box.handled()}
	}
	if saw.cell == nil || saw != w.seen {
		s.unstall(w, now)
		w.seen, w.seenFrom = saw, now
		return
	}
	if !w.reported && now.Sub(w.seenFrom) >= s.cfg.StallAfter/2 {
		w.reported = true
		s.stall(w, saw.cell)
	}
}

// stall reports a stuck actor and gives its worker's place to another.
func (s *System) stall(w *worker, c *cell) {
	s.stalls.mu.Lock()
	if s.stalls.all == nil {
		s.stalls.all = make(map[*worker]Stall)
	}
	s.stalls.all[w] = Stall{Path: c.path(), Kind: c.kind.name, Since: w.seenFrom}
	s.stalls.mu.Unlock()
	s.pool.standIn(w)
	c.emit(EventStalled, nil)
}

// forgetEnded drops the stalls of workers that ended in their message.
func (s *System) forgetEnded(now time.Time) {
	s.stalls.mu.Lock()
	var ended []*worker
	for w := range s.stalls.all {
		if !s.pool.has(w) {
			ended = append(ended, w)
		}
	}
	s.stalls.mu.Unlock()
	for _, w := range ended {
		s.unstall(w, now)
	}
}

func (s *System) unstall(w *worker, now time.Time) {
	if !w.reported {
		return
	}
	w.reported = false
	s.stalls.mu.Lock()
	delete(s.stalls.all, w)
	s.stalls.mu.Unlock()
	c := w.seen.cell
	s.publish(Event{At: now, What: EventUnstalled, Path: c.path(), Kind: c.kind.name, Took: now.Sub(w.seenFrom)})
}
