package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
)

// pythonPage is the page whose program is run.
const pythonPage = "../../docs/how-to/python-client.md"

func TestTheDocumentedPythonClientWorks(t *testing.T) {
	python := findPython(t)
	program := filepath.Join(t.TempDir(), "client.py")
	if err := os.WriteFile(program, []byte(codeOf(t, pythonPage, "python")), 0o600); err != nil {
		t.Fatal(err)
	}
	address := startNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, program, address).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, want := range []string{
		"refused as it must be: missing_dependency",
		"disbursement 1 is finalized\n",
		"disbursement 2 is finalized\n",
		"balance: 5700\n",
	} {
		if !strings.Contains(string(out), want) {
			t.Errorf("the client did not print %q but:\n%s", want, out)
		}
	}
}

// energyPage is the page whose oracle is run.
const energyPage = "../../docs/how-to/python-oracle.md"

func TestTheDocumentedPythonOracleWorks(t *testing.T) {
	python := findPython(t)
	program := filepath.Join(t.TempDir(), "oracle.py")
	if err := os.WriteFile(program, []byte(codeOf(t, energyPage, "python")), 0o600); err != nil {
		t.Fatal(err)
	}
	address := startNode(t)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, python, program, address).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	const want = "registered as energy-0x00000000\ncredit: 1000\ncredit: 250\nrefused as it must be: nonce_replay worth 1000\n" +
		"refused as it must be: signature_invalid\nrefused as it must be: provider_inactive\nsold for 1250 fee True\n"
	if string(out) != want {
		t.Errorf("the oracle printed\n%swant\n%s", out, want)
	}
}

// findPython finds an interpreter that has msgpack and cryptography. Where there is none the test is
// skipped, unless REQUIRE_PYTHON is set, as make check does.
func findPython(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		if exec.CommandContext(t.Context(), name, "-c", "import msgpack, cryptography").Run() == nil {
			return name
		}
	}
	const missing = "no Python with msgpack and cryptography here; on Debian: apt-get install python3-msgpack python3-cryptography"
	if os.Getenv("REQUIRE_PYTHON") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// codeOf returns the only fenced block of the language in a page.
func codeOf(t *testing.T, page, language string) string {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "```"+language+"\n")
	if len(parts) != 2 {
		t.Fatalf("%s has %d blocks of %s, want 1", page, len(parts)-1, language)
	}
	code, _, _ := strings.Cut(parts[1], "```")
	return code
}

// startNode runs a node with short epochs as a process of its own until the test
// ends, and returns its address.
func startNode(t *testing.T) string {
	t.Helper()
	n := testNode(t)
	n.Cfg.EpochInterval = 50 * time.Millisecond
	p, err := n.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !p.Stop(syscall.SIGINT, 20*time.Second, syscall.SIGKILL) || p.Err != nil {
			t.Errorf("the node ended with %v", p.Err)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !n.AwaitReady(ctx) {
		t.Fatal("the node did not get ready")
	}
	return n.Cfg.Address(node.PortRPC)
}

// The end of a terminal, and of whoever reads the log, does not end a node.
func TestANodeOutlivesItsTerminalAndWhoReadsItsLog(t *testing.T) {
	t.Parallel()
	n := testNode(t)
	command := exec.Command(n.Program, "node", "--base-port", strconv.Itoa(n.Cfg.BasePort), "--data", n.Cfg.DataDir)
	log, err := command.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Signal(os.Interrupt)
		if err := command.Wait(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := log.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if !n.AwaitReady(ctx) {
		t.Fatal("it did not get ready when nobody read its log any more")
	}
	if err := command.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	nodes := (&target{addr: n.Cfg.Address(node.PortRPC)}).connect()
	defer nodes.Close()
	mustCall(ctx, t, nodes, messages.MethodAccrue, &messages.AccrueParams{Amount: 1, Options: messages.Options{RequestID: "a"}}, nil)
}
