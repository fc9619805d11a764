package peers_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// childEnv makes the test program a node instead: one that tells its address and runs
// until its input ends.
const childEnv = "BURSAR_PEERS_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		beChild()
		return
	}
	goleak.VerifyTestMain(m)
}

func beChild() {
	m := &member{name: "n2", cluster: "c", log: new(journal), holds: true}
	if err := m.open(options{cfg: peers.DefaultConfig(), boot: uint64(os.Getpid()), network: tcp{}}); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	go func() { _ = m.Run(context.Background()) }()
	fmt.Println(m.Addr())
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// child is a node in a process of its own.
type child struct {
	cmd   *exec.Cmd
	stdin io.Closer
	addr  string
}

func startChild(t *testing.T) *child {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return &child{cmd: cmd, stdin: stdin, addr: strings.TrimSpace(addr)}
}

func (c *child) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// end waits for a process that was killed or whose input has ended.
func (c *child) end() {
	_ = c.stdin.Close()
	_ = c.cmd.Wait()
}

func TestAProcessThatIsStoppedOrKilledIsDown(t *testing.T) {
	n2 := startChild(t)
	n1 := start(t, nil, "n1", func(o *options) { o.network = tcp{} })
	defer n1.end()
	n1.Set([]peers.Peer{{Node: "n2", Addr: n2.addr}})
	n1.awaits("n2", true)
	for _, blow := range []syscall.Signal{syscall.SIGSTOP, syscall.SIGKILL} {
		lost := make(chan error, 1)
		n1.Go("n2", messages.MethodNodePropose, &messages.NodeProposeParams{}, func(r wire.Reply) { lost <- r.Err })
		n2.signal(t, blow)
		t.Logf("%v: noticed after %v", blow, n1.awaits("n2", false).Round(time.Millisecond))
		if err := <-lost; codeOf(err) != messages.CodeOutcomeUnknown && codeOf(err) != messages.CodeUnavailable {
			t.Errorf("%v: in flight: %v", blow, err)
		}
		if blow == syscall.SIGSTOP {
			n2.signal(t, syscall.SIGCONT)
			n1.awaits("n2", true)
		}
	}
	n2.end()
	boot := n1.status("n2").Boot
	again := startChild(t)
	n1.Set([]peers.Peer{{Node: "n2", Addr: again.addr, Boot: boot + 1}})
	n1.awaits("n2", true)
	if n1.status("n2").Boot == boot {
		t.Error("the new start has the old number")
	}
	again.end()
}
