package main

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/the-block/bursar/cmd/internal/localcluster"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bursar": main})
}

// TestScripts runs the scripts of testdata/script against the real program. A script
// that starts nodes finds their free ports from $PORT, $PORT2 and $PORT3 on, and the
// addresses of the first in $BURSAR_ADDR and $HTTP.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"await": await, "kill9": kill9, "gone": gone},
		Setup: func(env *testscript.Env) error {
			port := freePorts(t, 3)
			env.Setenv("PORT", strconv.Itoa(port))
			env.Setenv("PORT2", strconv.Itoa(port+localcluster.PortStep))
			env.Setenv("PORT3", strconv.Itoa(port+2*localcluster.PortStep))
			env.Setenv("BURSAR_ADDR", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			env.Setenv("HTTP", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+3)))
			env.Setenv("TMPDIR", env.WorkDir)
			return nil
		},
	})
}

// kill9 PATTERN kills the one process whose command line matches.
func kill9(ts *testscript.TestScript, _ bool, args []string) {
	pids := processes(ts, args)
	if len(pids) != 1 {
		ts.Fatalf("%d processes match %q", len(pids), args)
	}
	ts.Check(syscall.Kill(pids[0], syscall.SIGKILL))
}

// gone PATTERN waits until no process has a command line that matches.
func gone(ts *testscript.TestScript, _ bool, args []string) {
	for until := time.Now().Add(awaitTimeout); len(processes(ts, args)) > 0; {
		if time.Now().After(until) {
			ts.Fatalf("there still is one that matches %q", args)
		}
		<-time.After(pollEvery)
	}
}

// processes finds processes by their command lines, without a program that a bare system
// may lack.
func processes(ts *testscript.TestScript, args []string) (pids []int) {
	if len(args) != 1 {
		ts.Fatalf("want one pattern")
	}
	pattern := regexp.MustCompile(args[0])
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range all {
		text, _ := os.ReadFile(path) // it may have ended
		if pattern.MatchString(strings.ReplaceAll(string(text), "\x00", " ")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	if len(all) > 0 {
		return pids
	}
	out, err := exec.Command("ps", "-axo", "pid=,command=").Output() // where there is no /proc
	ts.Check(err)
	for line := range strings.Lines(string(out)) {
		if pid, command, _ := strings.Cut(strings.TrimSpace(line), " "); pattern.MatchString(command + " ") {
			n, _ := strconv.Atoi(pid)
			pids = append(pids, n)
		}
	}
	return pids
}

// awaitTimeout is how long a script waits for what must come.
const awaitTimeout = 30 * time.Second

// await PATTERN COMMAND... runs the command again and again until its standard
// output matches the pattern.
func await(ts *testscript.TestScript, negated bool, args []string) {
	if negated || len(args) < 2 {
		ts.Fatalf("usage: await pattern command...")
	}
	pattern := regexp.MustCompile(args[0])
	var out string
	for until := time.Now().Add(awaitTimeout); time.Now().Before(until); {
		_ = ts.Exec(args[1], args[2:]...) // what it says counts, not its exit code
		if out = ts.ReadFile("stdout"); pattern.MatchString(out) {
			return
		}
		<-time.After(pollEvery)
	}
	ts.Fatalf("%s never matched %q; at last it was:\n%s%s", args[1], args[0], out, ts.ReadFile("stderr"))
}
