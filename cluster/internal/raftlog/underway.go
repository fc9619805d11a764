package raftlog

import (
	"sync"
	"time"
)

// underway knows which changes of the disk have begun and not returned.
type underway struct {
	mu    sync.Mutex
	began []time.Time // oldest first; hardly ever more than two
}

// begin notes that a change begins, and gives what is called at its end.
func (u *underway) begin() (end func()) {
	now := time.Now()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.began = append(u.began, now)
	return func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		for i, began := range u.began {
			if began.Equal(now) {
				u.began = append(u.began[:i], u.began[i+1:]...)
				return
			}
		}
	}
}

// oldest is when the oldest of them began, zero for none.
func (u *underway) oldest() time.Time {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.began) == 0 {
		return time.Time{}
	}
	return u.began[0]
}
