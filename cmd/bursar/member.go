package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

// The patience of the cluster on this machine.
const (
	startTimeout = time.Minute      // from the first start to the node being ready
	startTell    = 5 * time.Second  // between two words about why a node is not ready yet
	stopTimeout  = 15 * time.Second // from SIGTERM to SIGKILL
	pollEvery    = 25 * time.Millisecond
	restartPause = 100 * time.Millisecond
	deathsMax    = 5
)

// member is one node of the cluster on this machine: a process of this program. Its
// methods may be called from any goroutine.
type member struct {
	program string // the file to run
	cfg     node.Config
	logPath string
	events  func(format string, args ...any)
	// fell is told when the node falls out, by an order or by itself; it may be nil.
	fell func(m *member, how fate, at time.Time)
	pid  atomic.Int64 // of the process that runs now, or ran last

	mu      sync.Mutex
	process *process // nil before the first start
	fate    fate
	back    chan struct{} // closed when a node that was ended on purpose is to run again
}

// run keeps the node's process going until ctx ends, then ends it. A process that dies
// by itself is started again, one that was ended on purpose when it is brought back.
// One that does not get ready the first time, or dies deathsMax times before it is, is
// an error.
func (m *member) run(ctx context.Context, ready func()) error {
	again := ""
	for deaths := 0; ; {
		began := time.Now()
		process, err := m.start()
		if err != nil {
			return err
		}
		err = m.awaitReady(ctx, process, again == "")
		back := m.ended() // nil unless it was ended on purpose
		switch deaths++; {
		case ctx.Err() != nil:
			m.stop(process)
			return nil
		case err != nil && back == nil && (again == "" || deaths == deathsMax):
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
		if ctx.Err() != nil || !m.comeBack(ctx, err) {
			return nil
		}
	}
}

// comeBack waits after the end of the process until it is to be started again, and
// returns false if ctx ends first.
func (m *member) comeBack(ctx context.Context, err error) bool {
	if back := m.ended(); back != nil {
		select {
		case <-back:
			return true
		case <-ctx.Done():
			return false
		}
	}
	m.events("%s died: %v; starting it again", m.cfg.Name, err)
	m.tell(died, time.Now())
	return wait(ctx, restartPause)
}

func (m *member) tell(how fate, at time.Time) {
	if m.fell != nil {
		m.fell(m, how, at)
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

// process is a started node. ended is closed when it is over, end
// says when and err how.
type process struct {
	pid   int
	self  *os.Process
	leash io.WriteCloser // its end ends the node
	ended chan struct{}
	end   time.Time
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
	leash, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	m.pid.Store(int64(command.Process.Pid))
	p := &process{pid: command.Process.Pid, self: command.Process, leash: leash, ended: make(chan struct{})}
	m.mu.Lock()
	m.process, m.fate = p, alone
	m.mu.Unlock()
	go func() {
		p.err, p.end = command.Wait(), time.Now()
		if p.err == nil {
			p.err = errors.New("it ended by itself")
		}
		close(p.ended)
	}()
	return p, nil
}

func (m *member) args() []string {
	return []string{
		"node", "--leash", "--name", string(m.cfg.Name), "--role", string(m.cfg.Role), "--listen", m.cfg.Listen,
		"--base-port", fmt.Sprint(m.cfg.BasePort), "--bootstrap-expect", fmt.Sprint(m.cfg.BootstrapExpect),
		"--join", strings.Join(m.cfg.Join, ","),
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

// stop ends the process unless it has ended: first asked, then killed.
func (m *member) stop(p *process) {
	select {
	case <-p.ended:
		return
	default:
	}
	_ = p.self.Signal(syscall.SIGTERM) // it may be ending by itself
	_ = p.self.Signal(syscall.SIGCONT) // a paused one hears nothing
	select {
	case <-p.ended:
	case <-time.After(stopTimeout):
		m.events("%s did not end within %s and is killed", m.cfg.Name, stopTimeout)
		_ = p.self.Signal(syscall.SIGKILL)
		<-p.ended
	}
}

// awaitReady returns when the node serves, or the reason it does not. Only the first
// start is limited in time: later a node may have to wait for others to come back.
func (m *member) awaitReady(ctx context.Context, p *process, first bool) error {
	if first {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	began, told := time.Now(), time.Now()
	last := errors.New("it does not answer")
	for {
		ready, reason, err := readiness(ctx, m.cfg.Address(node.PortHTTP))
		switch {
		case err == nil && ready:
			return nil
		case err == nil:
			last = errors.New(reason)
		}
		if first && time.Since(told) >= startTell {
			m.events("%s is not ready after %s: %v", m.cfg.Name, time.Since(began).Round(time.Second), last)
			told = time.Now()
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
