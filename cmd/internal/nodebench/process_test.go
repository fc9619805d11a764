package nodebench_test

import (
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/bench"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/localcluster/localclustertest"
)

var (
	nodeProgram = flag.String("node", "", "the bursar program to measure; built from ./cmd/bursar if empty")
	nodeFlags   = flag.String("node-flags", "", "more flags of every node, such as --debug to profile it")
)

// built is the folder of the programs that are measured.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if built, err = os.MkdirTemp("", "bench"); err != nil {
			fmt.Println(err)
			return 1
		}
		defer os.RemoveAll(built)
		return m.Run()
	}())
}

// program is the bursar program, built when it is first needed.
var program = sync.OnceValues(func() (string, error) {
	if *nodeProgram != "" {
		return *nodeProgram, nil
	}
	out := filepath.Join(built, "bursar")
	return out, localclustertest.Build(out)
})

// build builds the module in a folder.
func build(dir string) (string, error) {
	out := filepath.Join(built, filepath.Base(dir))
	command := exec.Command("go", "build", "-o", out, ".")
	command.Dir = dir
	if text, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, text)
	}
	return out, nil
}

// process is one that is started, ended and started again, and ended with the test.
type process struct {
	spec localcluster.Spec
	now  *localcluster.Process // nil while none runs
}

func newProcess(tb testing.TB, program string, args ...string) *process {
	tb.Helper()
	p := &process{spec: localcluster.Spec{Program: program, Args: args, LogPath: filepath.Join(tb.TempDir(), "log")}}
	tb.Cleanup(func() {
		if err := p.end(syscall.SIGINT); err != nil && !interrupted(err) {
			tb.Errorf("%s: %v\n%s", program, err, localcluster.Tail(p.spec.LogPath, 100))
		}
	})
	return p
}

// start runs the process until end, or the end of the test.
func (p *process) start(tb testing.TB) {
	tb.Helper()
	var err error
	if p.now, err = localcluster.Start(p.spec); err != nil {
		tb.Fatal(err)
	}
}

// end waits for the process after a signal, if it runs.
func (p *process) end(signal syscall.Signal) error {
	if p.now == nil {
		return nil
	}
	ended := p.now
	p.now = nil
	if ended.Stop(signal, time.Hour, syscall.SIGKILL); signal == syscall.SIGKILL {
		return nil
	}
	return ended.Err
}

// interrupted reports whether a process ended by the signal, as one does that takes no
// notice of it.
func interrupted(err error) bool {
	failed := new(exec.ExitError)
	if !errors.As(err, &failed) {
		return false
	}
	status, ok := failed.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGINT
}

// node is a `bursar node` of its own, in a process of its own.
type node struct {
	*process
	base int
	dir  string
}

// newNode prepares a node on an empty directory.
func newNode(tb testing.TB, base int, flags ...string) *node {
	tb.Helper()
	program, err := program()
	if err != nil {
		tb.Fatal(err)
	}
	dir := filepath.Join(tb.TempDir(), "data")
	args := append([]string{"node", "--data", dir, "--base-port", strconv.Itoa(base)}, flags...)
	args = append(args, strings.Fields(*nodeFlags)...)
	return &node{process: newProcess(tb, program, args...), base: base, dir: dir}
}

// startNode runs a lone node until the test ends.
func startNode(tb testing.TB, flags ...string) *node {
	tb.Helper()
	n := newNode(tb, freePorts(tb, 1), flags...)
	n.start(tb)
	n.awaitReady(tb)
	return n
}

// rpc, gossip and http are addresses of the node.
func (n *node) rpc() string    { return n.port(0) }
func (n *node) gossip() string { return n.port(1) }
func (n *node) http() string   { return "http://" + n.port(3) }

func (n *node) port(offset int) string { return fmt.Sprintf("127.0.0.1:%d", n.base+offset) }

func (n *node) awaitReady(tb testing.TB) {
	tb.Helper()
	await(tb, time.Minute, func() error {
		_, err := n.get(tb, "/readyz")
		return err
	})
}

// await asks until there is no error.
func await(tb testing.TB, within time.Duration, ask func() error) {
	tb.Helper()
	for deadline := time.Now().Add(within); ; {
		err := ask()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// freePorts finds room for so many nodes.
func freePorts(tb testing.TB, nodes int) int {
	tb.Helper()
	base, err := localcluster.FreePorts(nodes)
	if err != nil {
		tb.Fatal(err)
	}
	return base
}

func (n *node) get(tb testing.TB, path string) (string, error) {
	status, body, err := localcluster.Fetch(tb.Context(), http.DefaultClient, n.http()+path)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%d: %s", status, strings.TrimSpace(body))
	}
	return body, err
}

// metric gives a metric's value, 0 if there is none.
func (n *node) metric(tb testing.TB, name string) float64 {
	tb.Helper()
	page, err := n.get(tb, "/metrics")
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(page) {
		if rest, ok := strings.CutPrefix(line, name+" "); ok {
			value, _ := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			return value
		}
	}
	return 0
}

// resident is the process's memory in MiB, and processor the time it has used.
func (n *node) resident(tb testing.TB) float64 {
	return n.metric(tb, "process_resident_memory_bytes") / (1 << 20)
}

func (n *node) processor(tb testing.TB) time.Duration {
	return time.Duration(n.metric(tb, "process_cpu_seconds_total") * float64(time.Second))
}

// run makes a load and fails the test if it cannot.
func (n *node) run(tb testing.TB, cfg bench.Config) *bench.Result {
	tb.Helper()
	return run(tb, cfg, n)
}

// run makes a load that nodes share.
func run(tb testing.TB, cfg bench.Config, nodes ...*node) *bench.Result {
	tb.Helper()
	for _, n := range nodes {
		cfg.Addrs = append(cfg.Addrs, n.rpc())
	}
	cfg.Connections = max(cfg.Connections, len(nodes))
	result, err := bench.Run(tb.Context(), cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return result
}
