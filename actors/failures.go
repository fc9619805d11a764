package actors

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const (
	// failuresKept is how many failures a node remembers, failuresOfOne how many of one
	// actor: the newest.
	failuresKept  = 256
	failuresOfOne = 5
	// stackBytesMax is how much of a stack is kept: its beginning.
	stackBytesMax = 4 << 10
	// stackEvery is the least time between two stacks of one kind in the log.
	stackEvery = time.Minute
)

// Failure is one failure of an actor.
type Failure struct {
	At   time.Time
	Path string
	Err  string
	// Message is the Go type of the message in hand; "" if it failed in Start or Stop.
	Message string
	// Where and Stack say where it panicked; "" for an error.
	Where string
	Stack string
}

// crash is the failure of an actor that panicked, or ended its goroutine.
type crash struct {
	error
	where, stack string
}

func (c *crash) Unwrap() error { return c.error }

// crashed makes a failure of what recover returned. It is called while the stack of the
// panic is there.
func crashed(reason any) *crash {
	stack := debug.Stack()
	if len(stack) > stackBytesMax {
		stack = stack[:stackBytesMax]
	}
	return &crash{error: asError(reason), where: panicked(), stack: string(stack)}
}

// panicked is the place of the newest panic: file:line of the first frame below the
// runtime's.
func panicked() string {
	pcs := make([]uintptr, 64)
	frames := runtime.CallersFrames(pcs[:runtime.Callers(1, pcs)])
	begun := false
	for {
		f, more := frames.Next()
		inRuntime := strings.HasPrefix(f.Function, "runtime.")
		switch {
		case f.Function == "runtime.gopanic" || f.Function == "runtime.Goexit":
			begun = true
		case begun && !inRuntime:
			return fmt.Sprintf("%s:%d", f.File, f.Line)
		}
		if !more {
			return ""
		}
	}
}

// failures keeps the newest failures, oldest first.
type failures struct {
	mu   sync.Mutex
	list []Failure
}

func (f *failures) add(one Failure) {
	f.mu.Lock()
	defer f.mu.Unlock()
	drop, same := 0, 0 // which to let go: the actor's oldest if it has its share, else the oldest
	for i := len(f.list) - 1; i >= 0; i-- {
		if f.list[i].Path == one.Path {
			if same++; same == failuresOfOne {
				drop = i
				break
			}
		}
	}
	if same == failuresOfOne || len(f.list) == failuresKept {
		f.list = append(f.list[:drop], f.list[drop+1:]...)
	}
	f.list = append(f.list, one)
}

// Failures gives an actor's last failures, newest first, as far as they are remembered:
// five of one actor, 256 of all.
func (s *System) Failures(path string) (list []Failure) {
	s.failures.mu.Lock()
	defer s.failures.mu.Unlock()
	for i := len(s.failures.list) - 1; i >= 0; i-- {
		if s.failures.list[i].Path == path {
			list = append(list, s.failures.list[i])
		}
	}
	return list
}

// stackDue reports whether a stack of this kind may be logged at now, and takes it that
// it is.
func (k *kind) stackDue(now time.Time) bool {
	last := k.stackAt.Load()
	return (last == 0 || now.UnixNano()-last >= int64(stackEvery)) && k.stackAt.CompareAndSwap(last, now.UnixNano())
}
