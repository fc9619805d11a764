package persistence

import "sync"

// announcer tells waiters and subscribers that the applied index moved.
type announcer struct {
	closed chan struct{}
	once   sync.Once

	mu          sync.Mutex
	wake        chan struct{} // closed and replaced at each move
	subscribers []*subscriber
}

type subscriber struct{ fn func(uint64) }

func (a *announcer) init() {
	a.closed = make(chan struct{})
	a.wake = make(chan struct{})
}

func (a *announcer) close() { a.once.Do(func() { close(a.closed) }) }

// moved gives a channel that is closed at the next move.
func (a *announcer) moved() <-chan struct{} {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.wake
}

func (a *announcer) move(applied uint64) {
	a.mu.Lock()
	close(a.wake)
	a.wake = make(chan struct{})
	subscribers := a.subscribers
	a.mu.Unlock()
	for _, s := range subscribers {
		s.fn(applied)
	}
}

// subscribe and its cancel replace the list, so that move may walk the one it saw.
func (a *announcer) subscribe(fn func(uint64)) (cancel func()) {
	added := &subscriber{fn}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.subscribers = append(a.subscribers[:len(a.subscribers):len(a.subscribers)], added)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		var left []*subscriber
		for _, s := range a.subscribers {
			if s != added {
				left = append(left, s)
			}
		}
		a.subscribers = left
	}
}
