package localcluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
)

// How long the cluster on this machine is waited for.
const (
	startTimeout = time.Minute      // from the first start to the node being ready
	startTell    = 5 * time.Second  // between two words about why a node is not ready yet
	stopTimeout  = 15 * time.Second // from SIGTERM to SIGKILL
	pollEvery    = 25 * time.Millisecond
	restartPause = 100 * time.Millisecond
	deathsMax    = 5
)

// Node is one node of the cluster on this machine: a process of the program. Its fields
// are set before it runs.
type Node struct {
	Program string // the file to run
	Cfg     node.Config
	LogPath string
	Events  func(format string, args ...any)
	// Fell is told when the node falls out, by an order or by itself; it may be nil.
	Fell func(n *Node, how Fate, at time.Time)
	pid  atomic.Int64 // of the process that runs now, or ran last

	mu      sync.Mutex
	process *Process // nil before the first start
	fate    Fate
	back    chan struct{} // closed when a node that was ended on purpose is to run again
}

// Run keeps the node's process going until ctx ends, then ends it. A process that dies
// by itself is started again, one that was ended on purpose when it is brought back.
// One that does not get ready the first time, or dies deathsMax times before it is, is
// an error.
func (n *Node) Run(ctx context.Context, ready func()) error {
	again := ""
	for deaths := 0; ; {
		began := time.Now()
		process, err := n.Start()
		if err != nil {
			return err
		}
		err = n.awaitReady(ctx, process, again == "")
		back := n.ended() // nil unless it was ended on purpose
		switch deaths++; {
		case ctx.Err() != nil:
			n.stop(process)
			return nil
		case err != nil && back == nil && (again == "" || deaths == deathsMax):
			n.stop(process)
			return fmt.Errorf("node %s did not get ready: %w\n%s", n.Cfg.Name, err, n.LastLog())
		case err == nil:
			n.Events("%s is ready%s after %s, process %d",
				n.Cfg.Name, again, time.Since(began).Round(time.Millisecond), process.PID)
			if again == "" {
				ready()
			}
			deaths, again = 0, " again"
			select {
			case <-process.Ended:
				err = process.how()
			case <-ctx.Done():
			}
		}
		n.stop(process)
		if ctx.Err() != nil || !n.comeBack(ctx, err) {
			return nil
		}
	}
}

// comeBack waits after the end of the process until it is to be started again, and
// returns false if ctx ends first.
func (n *Node) comeBack(ctx context.Context, err error) bool {
	if back := n.ended(); back != nil {
		select {
		case <-back:
			return true
		case <-ctx.Done():
			return false
		}
	}
	n.Events("%s died: %v; starting it again", n.Cfg.Name, err)
	n.tell(Died, time.Now())
	return Wait(ctx, restartPause)
}

func (n *Node) tell(how Fate, at time.Time) {
	if n.Fell != nil {
		n.Fell(n, how, at)
	}
}

// Start starts the node's process once, without keeping it going.
func (n *Node) Start() (*Process, error) {
	p, err := Start(Spec{Program: n.Program, Args: n.args(), LogPath: n.LogPath, Leash: true})
	if err != nil {
		return nil, err
	}
	n.pid.Store(int64(p.PID))
	n.mu.Lock()
	defer n.mu.Unlock()
	n.process, n.fate = p, Untouched
	return p, nil
}

func (n *Node) args() []string {
	return []string{
		"node", "--leash", "--name", string(n.Cfg.Name), "--role", string(n.Cfg.Role), "--listen", n.Cfg.Listen,
		"--base-port", fmt.Sprint(n.Cfg.BasePort), "--bootstrap-expect", fmt.Sprint(n.Cfg.BootstrapExpect),
		"--join", strings.Join(n.Cfg.Join, ","),
		"--data", n.Cfg.DataDir, "--epoch-interval", n.Cfg.EpochInterval.String(), "--timing", n.Cfg.Timing,
		fmt.Sprintf("--fault-injection=%t", n.Cfg.FaultInjection),
	}
}

// stop ends the process unless it has ended: first asked, then killed.
func (n *Node) stop(p *Process) {
	if !p.Stop(syscall.SIGTERM, stopTimeout, syscall.SIGKILL) {
		n.Events("%s did not end within %s and is killed", n.Cfg.Name, stopTimeout)
	}
}

// awaitReady returns when the node serves, or the reason it does not. Only the first
// start is limited in time: later a node may have to wait for others to come back.
func (n *Node) awaitReady(ctx context.Context, p *Process, first bool) error {
	if first {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, startTimeout)
		defer cancel()
	}
	began, told := time.Now(), time.Now()
	last := errors.New("it does not answer")
	for {
		ready, reason, err := n.Ready(ctx)
		switch {
		case err == nil && ready:
			return nil
		case err == nil:
			last = errors.New(reason)
		}
		if first && time.Since(told) >= startTell {
			n.Events("%s is not ready after %s: %v", n.Cfg.Name, time.Since(began).Round(time.Second), last)
			told = time.Now()
		}
		select {
		case <-p.Ended:
			return p.how()
		default:
		}
		if !Wait(ctx, pollEvery) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		}
	}
}

// PID is of the process that runs now, or ran last.
func (n *Node) PID() int64 { return n.pid.Load() }

// LastLog is the end of the node's log.
func (n *Node) LastLog() string { return Tail(n.LogPath, 8) }

// Ready asks the node's /readyz, and gives what it says.
func (n *Node) Ready(ctx context.Context) (ready bool, reason string, err error) {
	status, body, err := Fetch(ctx, http.DefaultClient, "http://"+n.Cfg.Address(node.PortHTTP)+"/readyz")
	return status == http.StatusOK, strings.TrimSpace(body), err
}

// AwaitReady returns false if ctx ends before the node is ready.
func (n *Node) AwaitReady(ctx context.Context) bool {
	for {
		if ready, _, err := n.Ready(ctx); err == nil && ready {
			return true
		}
		if !Wait(ctx, pollEvery) {
			return false
		}
	}
}

// pageBytesMax is the most that is read of a node's page.
const pageBytesMax = 4 << 20

// Fetch reads one of a node's pages.
func Fetch(ctx context.Context, client *http.Client, url string) (status int, body string, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	answer, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, pageBytesMax))
	return answer.StatusCode, string(text), err
}

// Wait returns false if ctx ends first.
func Wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
