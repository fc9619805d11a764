package chaos_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/messages"
)

const (
	startWithin = 30 * time.Second // until a node that was started serves
	stopWithin  = 12 * time.Second // until a node that was asked to stop has ended
	pollEvery   = 10 * time.Millisecond
)

// fleet is three nodes, each a process, and all that belongs to them.
type fleet struct {
	*testing.T
	dir    string // logs, data and certificates
	nodes  []*node
	cables *cables     // nil where the nodes share the loopback device
	secure *tls.Config // of the test's own calls; nil without TLS
	begun  time.Time
	load   *load       // the one under way; nil without
	market bool        // fees come in beside the load
	over   atomic.Bool // nobody waits for outcomes any more
	// shunned is a node that no client of the load calls; nil for none.
	shunned atomic.Pointer[node]
	// attempt bounds one attempt of a client.
	attempt time.Duration
}

// node is one of them.
type node struct {
	fleet   *fleet
	name    string
	role    string
	listen  string
	base    int
	join    []string
	expect  int
	program string
	timing  string
	data    string
	tlsDir  string
	inside  string // its network namespace; "" for that of the test
	logPath string

	// mayEnd says that the node is expected to end by itself.
	mayEnd bool
	// expects are what its log may say of errors.
	expects []string

	mu      sync.Mutex
	process *localcluster.Process // the newest
	asked   *localcluster.Process // the newest that was asked to end
}

var roles = []string{"primary", "replica", "observer"}

// newFleet prepares three nodes on the loopback device.
func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := bareFleet(t)
	base, err := localcluster.FreePorts(len(roles))
	f.must(err)
	for i := range roles {
		f.add("127.0.0.1", base+localcluster.PortStep*i)
	}
	return f
}

func bareFleet(t *testing.T) *fleet {
	t.Helper()
	dir, err := os.MkdirTemp("", "bursar-chaos-")
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{T: t, dir: dir, begun: time.Now(), attempt: callTimeout}
	t.Cleanup(f.close)
	return f
}

// add prepares the next node.
func (f *fleet) add(listen string, base int) *node {
	i := len(f.nodes)
	name := fmt.Sprintf("n%d", i+1)
	n := &node{
		fleet: f, name: name, role: roles[min(i, len(roles)-1)], listen: listen, base: base, expect: len(roles),
		program: program, timing: "default",
		data: filepath.Join(f.dir, name), logPath: filepath.Join(f.dir, name+".log"),
	}
	f.nodes = append(f.nodes, n)
	var join []string
	for _, other := range f.nodes {
		join = append(join, other.addr(1))
	}
	for _, other := range f.nodes {
		other.join = join
	}
	return n
}

// secureWith issues certificates for all nodes and for the test.
func (f *fleet) secureWith(authority string) {
	f.Helper()
	dir := filepath.Join(f.dir, authority)
	f.must(certs.Init(dir, time.Now()))
	year := 365 * 24 * time.Hour
	for _, n := range f.nodes {
		var err error
		n.tlsDir, err = certs.Issue(dir, certs.Request{Name: n.name, Roles: []string{"node"}, Hosts: []string{n.listen}, Valid: year}, time.Now())
		f.must(err)
	}
	own, err := certs.Issue(dir, certs.Request{Name: "chaos", Roles: []string{"operator", "voter"}, Valid: year}, time.Now())
	f.must(err)
	id, err := certs.Load(own, slog.New(slog.DiscardHandler))
	f.must(err)
	f.secure = id.ClientConfig()
}

func (f *fleet) must(err error) {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
}

// launch starts all nodes and returns when all serve.
func (f *fleet) launch() {
	f.Helper()
	for _, n := range f.nodes {
		n.start()
	}
	for _, n := range f.nodes {
		n.awaitReady()
	}
}

// close ends what still runs. What a failed scenario leaves is kept, and the output says
// where it is and how to repeat it.
func (f *fleet) close() {
	f.over.Store(true)
	if f.load != nil {
		f.load.abandon()
	}
	for _, n := range f.nodes {
		n.kill()
	}
	if f.cables != nil {
		f.cables.remove()
	}
	if !f.Failed() && !*keep {
		os.RemoveAll(f.dir)
		return
	}
	f.Logf("logs and data are kept in %s\nrepeat it with: go test ./cmd/internal/chaos -count=1 -v -timeout 60m -live %s -run '^%s$'",
		f.dir, *live, strings.ReplaceAll(f.Name(), "/", "$/^"))
	for _, n := range f.nodes {
		f.Log(n.lastLog(6))
	}
}

// say logs with the time since the scenario began.
func (f *fleet) say(format string, args ...any) {
	f.Helper()
	f.Logf("%6.1fs  %s", time.Since(f.begun).Seconds(), fmt.Sprintf(format, args...))
}

func (f *fleet) node(name string) *node {
	f.Helper()
	i := slices.IndexFunc(f.nodes, func(n *node) bool { return n.name == name })
	if i < 0 {
		f.Fatalf("there is no node %q", name)
	}
	return f.nodes[i]
}

// others are all nodes but one.
func (f *fleet) others(n *node) []*node {
	return slices.DeleteFunc(slices.Clone(f.nodes), func(o *node) bool { return o == n })
}

func (n *node) addr(offset int) string {
	return net.JoinHostPort(n.listen, strconv.Itoa(n.base+offset))
}

func (n *node) args() []string {
	args := []string{
		"node", "--name", n.name, "--role", n.role, "--listen", n.listen, "--base-port", strconv.Itoa(n.base),
		"--join", strings.Join(n.join, ","), "--bootstrap-expect", strconv.Itoa(n.expect), "--data", n.data,
		"--epoch-interval", "250ms", "--timing", n.timing,
	}
	if n.tlsDir != "" {
		args = append(args, "--tls-dir", n.tlsDir)
	}
	return args
}

// start starts the node's process. One that ends without being asked to fails the test.
func (n *node) start() *localcluster.Process {
	n.fleet.Helper()
	spec := localcluster.Spec{Program: n.program, Args: n.args(), LogPath: n.logPath, Attr: dieWithUs()}
	if n.inside != "" {
		spec.Program, spec.Args = "ip", append([]string{"netns", "exec", n.inside, n.program}, n.args()...)
	}
	p, err := localcluster.Start(spec)
	n.fleet.must(err)
	n.mu.Lock()
	n.process = p
	n.mu.Unlock()
	go func() {
		<-p.Ended
		n.mu.Lock()
		asked := n.asked == p
		n.mu.Unlock()
		if !asked && !n.mayEnd {
			n.fleet.Errorf("%s ended by itself: %v", n.name, p.Err)
		}
	}()
	return p
}

// signal sends a signal to the node's process. Those that end it are to be sent by ask.
func (n *node) signal(s syscall.Signal) {
	n.mu.Lock()
	p := n.process
	n.mu.Unlock()
	_ = p.Signal(s)
}

// ask asks the process to end and gives it; nil if none runs.
func (n *node) ask(s syscall.Signal) *localcluster.Process {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.process == nil || n.process.Over() {
		return nil
	}
	n.asked = n.process
	_ = n.process.Signal(s) // it may be ending by itself
	return n.process
}

// kill ends the node at once, if it runs.
func (n *node) kill() {
	if p := n.ask(syscall.SIGKILL); p != nil {
		<-p.Ended
	}
}

// stop asks the node to stop and holds it to an orderly end. It gives the time it took.
func (n *node) stop() time.Duration {
	begun := time.Now()
	p := n.ask(syscall.SIGTERM)
	if p == nil {
		return 0
	}
	select {
	case <-p.Ended:
		if p.Err != nil {
			n.fleet.Errorf("%s did not stop in order: %v\n%s", n.name, p.Err, n.lastLog(6))
		}
	case <-time.After(stopWithin):
		n.signal(syscall.SIGQUIT) // its goroutines go to its log
		<-p.Ended
		n.fleet.Errorf("%s had not stopped after %s; its goroutines are in %s", n.name, stopWithin, n.logPath)
	}
	return time.Since(begun)
}

// stopAll stops all nodes at the same moment.
func (f *fleet) stopAll() {
	var all sync.WaitGroup
	for _, n := range f.nodes {
		all.Go(func() { n.stop() })
	}
	all.Wait()
}

// status asks the node itself.
func (n *node) status() (messages.ClusterStatusResult, error) {
	c := newCaller(n.fleet, n)
	defer c.close()
	var result messages.ClusterStatusResult
	err := c.try(0, time.Second, messages.MethodClusterStatus, nil, &result)
	return result, err
}

// awaitReady waits until the node serves, and gives the time that took.
func (n *node) awaitReady() time.Duration {
	n.fleet.Helper()
	begun := time.Now()
	n.fleet.await(startWithin, n.name+" is ready", func() error {
		s, err := n.status()
		if err == nil && !s.Ready {
			err = errors.New(s.Reason)
		}
		return err
	})
	return time.Since(begun)
}

// await asks until there is no error.
func (f *fleet) await(within time.Duration, what string, ask func() error) {
	f.Helper()
	for deadline := time.Now().Add(within); ; {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			f.Fatalf("not within %s: %s: %v", within, what, err)
		}
		time.Sleep(pollEvery)
	}
}

// lastLog is the end of the node's log.
func (n *node) lastLog(lines int) string { return localcluster.Tail(n.logPath, lines) }

// alarming is what no node may ever write into its log.
var alarming = regexp.MustCompile(`(?m)^(panic:|fatal error:|goroutine \d+ \[|.*it hangs after|.*level=ERROR).*$`)

// checkLogs finds what no fault may cause, less what is expected.
func (f *fleet) checkLogs() {
	f.Helper()
	for _, n := range f.nodes {
		text, err := os.ReadFile(n.logPath)
		f.must(err)
		for _, line := range alarming.FindAll(text, -1) {
			if !slices.ContainsFunc(n.expects, func(part string) bool { return strings.Contains(string(line), part) }) {
				f.Errorf("%s says %q", n.name, line)
				break
			}
		}
	}
}

// mustSay waits until the node's log says all of the given parts in one line, and
// prints that line.
func (n *node) mustSay(parts ...string) {
	n.fleet.Helper()
	n.fleet.await(startWithin, fmt.Sprintf("%s says %q", n.name, parts), func() error {
		text, err := os.ReadFile(n.logPath)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(text)) {
			if !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(line, part) }) {
				n.fleet.say("%s says: %s", n.name, strings.TrimSpace(line))
				return nil
			}
		}
		return fmt.Errorf("%s", n.lastLog(5))
	})
}
