package localcluster

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Spec is a process to start.
type Spec struct {
	Program string
	Args    []string
	// LogPath is the file that what it writes is added to.
	LogPath string
	// Leash gives it a standard input whose end is its end, for orders.
	Leash bool
	// Attr is how it is started; nil puts it in a group of its own, so that Ctrl-C on the
	// terminal reaches only us.
	Attr *syscall.SysProcAttr
}

// Process is a process that was started. Ended is closed when it is over; then End says
// when and Err how, which is nil for an exit code of 0.
type Process struct {
	PID   int
	Ended chan struct{}
	End   time.Time
	Err   error

	self  *os.Process
	leash io.WriteCloser
}

// Start starts a process, without the environment's settings of a node. It outlives
// whoever starts it, unless it has a leash: Stop ends it.
func Start(spec Spec) (*Process, error) {
	logFile, err := os.OpenFile(spec.LogPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()                               // the process has its own
	command := exec.Command(spec.Program, spec.Args...) //nolint:noctx // Stop ends it in order
	command.Env = Environ()
	command.Stdout, command.Stderr = logFile, logFile
	if command.SysProcAttr = spec.Attr; spec.Attr == nil {
		command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
	p := &Process{Ended: make(chan struct{})}
	if spec.Leash {
		if p.leash, err = command.StdinPipe(); err != nil {
			return nil, err
		}
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	p.self, p.PID = command.Process, command.Process.Pid
	go func() {
		p.Err, p.End = command.Wait(), time.Now()
		close(p.Ended)
	}()
	return p, nil
}

// Environ is our environment less what would change a node's settings.
func Environ() []string {
	return slices.DeleteFunc(os.Environ(), func(entry string) bool { return strings.HasPrefix(entry, "BURSAR_") })
}

// Over reports whether the process has ended.
func (p *Process) Over() bool {
	select {
	case <-p.Ended:
		return true
	default:
		return false
	}
}

// Signal sends a signal.
func (p *Process) Signal(s os.Signal) error { return p.self.Signal(s) }

// Stop ends the process unless it has ended: first asked by a signal, then, when it has
// not ended within a time, by another. It reports whether the first one did.
func (p *Process) Stop(first syscall.Signal, within time.Duration, then syscall.Signal) bool {
	if p.Over() {
		return true
	}
	_ = p.Signal(first)           // it may be ending by itself
	_ = p.Signal(syscall.SIGCONT) // a paused one hears nothing
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.Ended:
		return true
	case <-timer.C:
		_ = p.Signal(then)
		<-p.Ended
		return false
	}
}

// Tail is the end of a log, for an error that happened before anybody could look.
func Tail(logPath string, count int) string {
	text, err := os.ReadFile(logPath)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-count):]
	return "the end of " + filepath.Clean(logPath) + ":\n  " + strings.Join(lines, "\n  ")
}

var errEnded = errors.New("it ended by itself")

// how says how the process ended: an exit code of 0 was not asked for either.
func (p *Process) how() error {
	if p.Err == nil {
		return errEnded
	}
	return p.Err
}
