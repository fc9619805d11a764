package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

// The patience of the cluster on this machine.
const (
	startTimeout = 20 * time.Second // from a process's start to its node being ready
	stopTimeout  = 15 * time.Second // from SIGTERM to SIGKILL
	pollEvery    = 25 * time.Millisecond
	restartPause = 300 * time.Millisecond
)

// member is one node of the cluster on this machine: a process of this program.
type member struct {
	cfg     node.Config
	logPath string
	events  func(format string, args ...any)
	pid     atomic.Int64 // of the process that runs now
}

// run keeps the node's process going until ctx ends, then ends it. A process that
// dies once it was ready is started again; one that never gets ready is an error.
func (m *member) run(ctx context.Context, ready func()) error {
	for first := true; ; first = false {
		began := time.Now()
		process, err := m.start()
		if err != nil {
			return err
		}
		if err := m.awaitReady(ctx, process); err != nil {
			m.stop(process)
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("node %s did not get ready: %w\n%s", m.cfg.Name, err, m.lastLog())
		}
		took := time.Since(began).Round(time.Millisecond)
		if first {
			m.events("%s is ready after %s, process %d", m.cfg.Name, took, process.pid)
			ready()
		} else {
			m.events("%s is ready again after %s, process %d", m.cfg.Name, took, process.pid)
		}
		select {
		case <-ctx.Done():
			m.stop(process)
			return nil
		case <-process.ended:
			m.events("%s died: %v; starting it again", m.cfg.Name, process.err)
		}
		if !wait(ctx, restartPause) {
			return nil
		}
	}
}

// checkPorts reports the first of the node's ports that another program has, so that
// its answers are not taken for our node's.
func (m *member) checkPorts(ctx context.Context) error {
	var lc net.ListenConfig
	for offset := node.PortRPC; offset <= node.PortActors; offset++ {
		listener, err := lc.Listen(ctx, "tcp", m.cfg.Address(offset))
		if err != nil {
			return fmt.Errorf("%w; does a node run already? --base-port takes other ports", err)
		}
		listener.Close()
	}
	return nil
}

// process is a started node. ended is closed when it is over, err says how.
type process struct {
	pid   int
	ended chan struct{}
	err   error
}

// start starts the process in a group of its own, so that Ctrl-C on the terminal
// reaches only us and nodes end in our order.
func (m *member) start() (*process, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	logFile, err := os.OpenFile(m.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()                         // the process has its own
	command := exec.Command(program, m.args()...) //nolint:noctx // it outlives ctx: stop ends it in order
	command.Env = withoutSettings(os.Environ())
	command.Stdout, command.Stderr = logFile, logFile
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	m.pid.Store(int64(command.Process.Pid))
	p := &process{pid: command.Process.Pid, ended: make(chan struct{})}
	go func() {
		p.err = command.Wait()
		if p.err == nil {
			p.err = errors.New("it ended by itself")
		}
		close(p.ended)
	}()
	return p, nil
}

func (m *member) args() []string {
	return []string{
		"node", "--name", string(m.cfg.Name), "--role", string(m.cfg.Role), "--listen", m.cfg.Listen,
		"--base-port", fmt.Sprint(m.cfg.BasePort), "--bootstrap-expect", fmt.Sprint(m.cfg.BootstrapExpect),
		"--data", m.cfg.DataDir, "--epoch-interval", m.cfg.EpochInterval.String(), "--timing", m.cfg.Timing,
	}
}

// withoutSettings is the environment less what would change a node's settings.
func withoutSettings(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return strings.HasPrefix(entry, envPrefix)
	})
}

// stop ends the process by its id: first asked, then killed.
func (m *member) stop(p *process) {
	_ = syscall.Kill(p.pid, syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		m.events("%s did not end within %s and is killed", m.cfg.Name, stopTimeout)
		_ = syscall.Kill(p.pid, syscall.SIGKILL)
		<-p.ended
	}
}

// awaitReady returns when the node serves, or the reason it does not.
func (m *member) awaitReady(ctx context.Context, p *process) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	var last error
	for {
		ready, reason, err := readiness(ctx, m.cfg.Address(node.PortHTTP))
		switch {
		case err == nil && ready:
			return nil
		case err != nil && last == nil:
			last = err
		case err == nil:
			last = errors.New(reason)
		}
		select {
		case <-p.ended:
			return p.err
		default:
		}
		if !wait(ctx, pollEvery) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}

// lastLog is the end of the node's log, for an error that happened before anybody
// could look.
func (m *member) lastLog() string {
	text, err := os.ReadFile(m.logPath)
	if err != nil {
		return ""
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	lines = lines[max(0, len(lines)-8):]
	return "the end of " + filepath.Clean(m.logPath) + ":\n  " + strings.Join(lines, "\n  ")
}

// wait returns false if ctx ends first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
