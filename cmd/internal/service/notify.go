package service

import (
	"context"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// Supervisor is the systemd that started this process; the zero value is none, and what is
// told to it is told to nobody.
type Supervisor struct {
	socket   string
	watchdog time.Duration // between two signs of life at most; 0 if nobody waits for them
}

// FromEnvironment is the supervisor that getenv names. The variables are for the process
// with this id alone, and not for its children.
func FromEnvironment(getenv func(string) string, pid int) (Supervisor, error) {
	s := Supervisor{socket: getenv("NOTIFY_SOCKET")}
	if s.socket == "" {
		return s, nil
	}
	if !strings.HasPrefix(s.socket, "/") && !strings.HasPrefix(s.socket, "@") {
		return Supervisor{}, fmt.Errorf("NOTIFY_SOCKET %q is no path of a socket", s.socket)
	}
	if of := getenv("WATCHDOG_PID"); of != "" && of != strconv.Itoa(pid) {
		return s, nil
	}
	if text := getenv("WATCHDOG_USEC"); text != "" {
		usec, err := strconv.ParseUint(text, 10, 50)
		if err != nil {
			return Supervisor{}, fmt.Errorf("WATCHDOG_USEC %q is no number of microseconds", text)
		}
		s.watchdog = time.Duration(usec) * time.Microsecond
	}
	return s, nil
}

// Tell sends one message of sd_notify(3).
func (s Supervisor) Tell(ctx context.Context, message string) error {
	if s.socket == "" {
		return nil
	}
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "unixgram", s.socket)
	if err != nil {
		return fmt.Errorf("tell the supervisor of services: %w", err)
	}
	defer conn.Close()
	if deadline, ok := ctx.Deadline(); ok {
		if err := conn.SetWriteDeadline(deadline); err != nil {
			return err
		}
	}
	if _, err = conn.Write([]byte(message)); err != nil {
		return fmt.Errorf("tell the supervisor of services: %w", err)
	}
	return nil
}

// Watched is a process that can say how it is.
type Watched interface {
	// Moves returns nil if the process still makes progress.
	Moves(ctx context.Context) error
	// Ready returns nil if it serves, else why not.
	Ready() error
}

// tellEvery is how often the supervisor hears how a process is that no watchdog watches.
const tellEvery = 10 * time.Second

// Watch tells the supervisor that w is there, then, until ctx ends, how it is and, as long as
// it moves, that it lives: three times in each span of the watchdog. A process that only
// waits for others lives; one that does not move is said so and started again by the supervisor. The
// first error is given to failed, which is called once at most.
func (s Supervisor) Watch(ctx context.Context, w Watched, failed func(error)) {
	if s.socket == "" {
		return
	}
	every := tellEvery
	if s.watchdog > 0 {
		every = s.watchdog / 3
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	said := func(message string) {
		ctx, cancel := context.WithTimeout(ctx, every)
		defer cancel()
		if err := s.Tell(ctx, message); err != nil && failed != nil {
			failed(err)
			failed = nil
		}
	}
	message := "READY=1\n"
	for {
		said(message + s.sign(ctx, w, every))
		message = ""
		select {
		case <-ctx.Done():
			s.stopping(failed)
			return
		case <-tick.C:
		}
	}
}

// stopping tells that the process is about to end, and may take its time for it: systemd
// waits for a sign of life no more then.
func (s Supervisor) stopping(failed func(error)) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := s.Tell(ctx, "STOPPING=1\nSTATUS=stopping"); err != nil && failed != nil {
		failed(err)
	}
}

// sign is what is told of w now.
func (s Supervisor) sign(ctx context.Context, w Watched, within time.Duration) string {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := w.Moves(ctx); err != nil {
		return "STATUS=does not move: " + line(err)
	}
	status := "STATUS=ready"
	if err := w.Ready(); err != nil {
		status = "STATUS=not ready: " + line(err)
	}
	if s.watchdog > 0 {
		status += "\nWATCHDOG=1"
	}
	return status
}

// line is the text of an error in one line.
func line(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// Environment is FromEnvironment of this process.
func Environment() (Supervisor, error) { return FromEnvironment(os.Getenv, os.Getpid()) }
