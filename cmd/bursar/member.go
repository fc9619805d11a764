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
	restartPause = 100 * time.Millisecond
	deathsMax    = 5
)

// member is one node of the cluster on this machine: a process of this program.
type member struct {
	program string // the file to run
	cfg     node.Config
	logPath string
	events  func(format string, args ...any)
	pid     atomic.Int64 // of the process that runs now
}

// run keeps the node's process going until ctx ends, then ends it. A process that
// dies is started again; one that does not get ready the first time, or deathsMax
// times in a row, is an error.
func (m *member) run(ctx context.Context, ready func()) error {
	began, again := time.Now(), ""
	for deaths := 0; ; {
		process, err := m.start()
		if err != nil {
			return err
		}
		err = m.awaitReady(ctx, process)
		switch deaths++; {
		case ctx.Err() != nil:
			m.stop(process)
			return nil
		case err != nil && (again == "" || deaths == deathsMax):
			m.stop(process)
			return fmt.Errorf("node %s did not get ready: %w\n%s", m.cfg.Name, err, m.lastLog())
		case err == nil:
			m.events("%s is ready%s after %s, process %d",
				m.cfg.Name, again, time.Since(began).Round(time.Millisecond), process.pid)
			if again == "" {
				ready()
			}
			deaths, again = 0, " again"
			err = process.wait(ctx)
		}
		m.stop(process)
		if ctx.Err() != nil {
			return nil
		}
		m.events("%s died: %v; starting it again", m.cfg.Name, err)
		began = time.Now()
		if !wait(ctx, restartPause) {
			return nil
		}
	}
}

// checkPorts reports the first of the node's ports that another program has, so that
// its answers are not taken for our node's.
func (m *member) checkPorts(ctx context.Context) error {
	for offset := node.PortRPC; offset <= node.PortActors; offset++ {
		addr := m.cfg.Address(offset)
		err := checkPort(ctx, addr, offset == node.PortGossip)
		if errors.Is(err, syscall.EADDRINUSE) {
			return fmt.Errorf("%s of %s, %s, is in use; does a node run already? End it, or take other ports with --base-port",
				portNames[offset], m.cfg.Name, addr)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var portNames = [...]string{
	node.PortRPC: "the rpc port", node.PortGossip: "the gossip port", node.PortRaft: "the raft port",
	node.PortHTTP: "the http port", node.PortActors: "the actors' port",
}

// checkPort takes a port for a moment, also for packets where the node needs these.
func checkPort(ctx context.Context, addr string, packets bool) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	listener.Close()
	if !packets {
		return nil
	}
	conn, err := lc.ListenPacket(ctx, "udp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}

// process is a started node. ended is closed when it is over, err says how.
type process struct {
	pid   int
	ended chan struct{}
	err   error
}

// wait returns how the process ended, or nothing if ctx ended first.
func (p *process) wait(ctx context.Context) error {
	select {
	case <-p.ended:
		return p.err
	case <-ctx.Done():
		return nil
	}
}

// start starts the process in a group of its own, so that Ctrl-C on the terminal
// reaches only us and nodes end in our order.
func (m *member) start() (*process, error) {
	logFile, err := os.OpenFile(m.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer logFile.Close()                           // the process has its own
	command := exec.Command(m.program, m.args()...) //nolint:noctx // it outlives ctx: stop ends it in order
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
		fmt.Sprintf("--fault-injection=%t", m.cfg.FaultInjection),
	}
}

// withoutSettings is the environment less what would change a node's settings.
func withoutSettings(environ []string) []string {
	return slices.DeleteFunc(slices.Clone(environ), func(entry string) bool {
		return strings.HasPrefix(entry, envPrefix)
	})
}

// stop ends the process by its id unless it has ended: first asked, then killed.
func (m *member) stop(p *process) {
	select {
	case <-p.ended:
		return
	default:
	}
	_ = syscall.Kill(p.pid, syscall.SIGTERM) // it may be ending by itself
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
