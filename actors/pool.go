package actors

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// pool runs actors that have messages on a fixed number of workers. An actor
// that has used up its quota goes to the end of the queue, so none starves. A
// worker whose actor blocks is replaced until it comes back.
type pool struct {
	mu      sync.Mutex
	ready   sync.Cond
	queue   ring
	idle    int // workers waiting for ready
	wanted  int // workers that should be serving; blocked ones do not count
	serving int // workers that are
	closed  bool
	workers map[*worker]struct{}

	most  int // bound on serving and blocked workers together
	quota int
	ended sync.WaitGroup
}

// worker is one goroutine of the pool.
type worker struct {
	// running is the actor in hand, nil between two.
	running atomic.Pointer[cell]
	// runs counts actors taken in hand.
	runs atomic.Uint64
	// blocked is set while a stand-in has this worker's place; guarded by pool.mu.
	blocked bool

	// What follows belongs to the watchdog: what it saw at its last look.
	seen     sight
	seenFrom time.Time
	reported bool
}

// ring is a queue of actors that grows by doubling: an actor is in it at most
// once, so the number of actors bounds it.
type ring struct {
	slots      []*cell
	head, size int
}

func (r *ring) push(c *cell) {
	if r.size == len(r.slots) {
		grown := make([]*cell, max(64, 2*len(r.slots)))
		n := copy(grown, r.slots[r.head:])
		copy(grown[n:], r.slots[:r.head])
		r.slots, r.head = grown, 0
	}
	r.slots[(r.head+r.size)&(len(r.slots)-1)] = c
	r.size++
}

func (r *ring) pop() *cell {
	c := r.slots[r.head]
	r.slots[r.head] = nil
	r.head = (r.head + 1) & (len(r.slots) - 1)
	r.size--
	return c
}

func newPool(workers, most, quota int) *pool {
	p := &pool{wanted: workers, most: most, quota: quota, workers: make(map[*worker]struct{})}
	p.ready.L = &p.mu
	return p
}

// start brings the workers up.
func (p *pool) start() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.serving < p.wanted {
		p.hire()
	}
}

// hire starts one worker; p.mu is held.
func (p *pool) hire() {
	w := &worker{}
	p.workers[w] = struct{}{}
	p.serving++
	p.ended.Go(func() { p.serve(w) })
}

// schedule puts an actor in the queue. The caller has marked its mailbox.
func (p *pool) schedule(c *cell) {
	p.mu.Lock()
	p.queue.push(c)
	wake := p.idle > 0
	p.mu.Unlock()
	if wake {
		p.ready.Signal()
	}
}

// yieldEvery is after how many actors a worker lets other goroutines run. Workers
// with work never block, so those they have answered would else wait for the
// scheduler's preemption, 10 ms, wherever there are no more cores than workers.
const yieldEvery = 16

// serve is a worker's life.
func (p *pool) serve(w *worker) {
	defer p.leave(w)
	var last *cell
	for {
		c := p.next(w, last)
		if c == nil {
			return
		}
		if w.runs.Add(1)%yieldEvery == 0 {
			runtime.Gosched()
		}
		w.running.Store(c)
		last = nil
		if c.run(p.quota) {
			last = c
		}
		w.running.Store(nil)
	}
}

// next waits for an actor to run; again, if not nil, goes back to the queue's
// end first. It returns nil when the worker should end.
func (p *pool) next(w *worker, again *cell) *cell {
	p.mu.Lock()
	defer p.mu.Unlock()
	if again != nil {
		p.queue.push(again)
	}
	if w.blocked { // it is back; whoever is one too many leaves
		w.blocked = false
		p.serving++
	}
	for p.queue.size == 0 && !p.closed && p.serving <= p.wanted {
		p.idle++
		p.ready.Wait()
		p.idle--
	}
	if p.serving > p.wanted || p.queue.size == 0 {
		if p.queue.size > 0 && p.idle > 0 {
			p.ready.Signal() // the wake-up this worker consumed
		}
		return nil
	}
	return p.queue.pop()
}

// leave takes an ended worker off the books. A worker that ended inside an
// actor (runtime.Goexit) is replaced and its actor goes on.
func (p *pool) leave(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.workers, w)
	if !w.blocked {
		p.serving--
	}
	c := w.running.Load()
	if c == nil {
		return
	}
	p.queue.push(c)
	if p.serving < p.wanted {
		p.hire()
	}
	p.ready.Signal()
}

// standIn marks a worker as blocked and hires another in its place, unless there
// are too many already.
func (p *pool) standIn(w *worker) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, here := p.workers[w]; !here || w.blocked || p.closed || len(p.workers) >= p.most {
		return
	}
	w.blocked = true
	p.serving--
	p.hire()
}

// close ends the workers once the queue is empty. Blocked ones end when their
// actor returns.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.ready.Broadcast()
}

// wait returns true once all workers have ended, false if given up first.
func (p *pool) wait(giveUp <-chan struct{}) bool {
	ended := make(chan struct{})
	go func() { p.ended.Wait(); close(ended) }()
	select {
	case <-ended:
		return true
	case <-giveUp:
		return false
	}
}

// busy names up to most actors that are in a message.
func (p *pool) busy(most int) []string {
	var names []string
	p.each(func(w *worker) {
		if c := w.running.Load(); c != nil && len(names) < most {
			names = append(names, c.path())
		}
	})
	return names
}

// has reports whether the worker has not ended.
func (p *pool) has(w *worker) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, here := p.workers[w]
	return here
}

// each calls look for every worker.
func (p *pool) each(look func(*worker)) {
	p.mu.Lock()
	all := make([]*worker, 0, len(p.workers))
	for w := range p.workers {
		all = append(all, w)
	}
	p.mu.Unlock()
	for _, w := range all {
		look(w)
	}
}
