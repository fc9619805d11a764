package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/show"
	"github.com/the-block/bursar/cmd/internal/terminal"
)

// TestTheDemoSettlesThoughItsNodeIsKilled plays the whole demo as people see it,
// kills the node in the middle, and ends it by Ctrl-C.
func TestTheDemoSettlesThoughItsNodeIsKilled(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("bursar") // TestMain puts it on the path
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), program, "dev", "--base-port", strconv.Itoa(freePorts(t, 3)), "--load", "50", "--calm", "--for", "90s")
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) } // it ends its node
	command.WaitDelay = 20 * time.Second
	command.Env = append(command.Environ(), "TMPDIR="+t.TempDir())
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var seen strings.Builder
	next := func(pattern string) []string {
		t.Helper()
		for wanted := regexp.MustCompile(pattern); lines.Scan(); {
			seen.WriteString(lines.Text() + "\n")
			if found := wanted.FindStringSubmatch(lines.Text()); found != nil {
				return found
			}
		}
		t.Fatalf("%q never came:\n%s", pattern, seen.String())
		return nil
	}
	pid, err := strconv.Atoi(next(`^n1 is ready after .*, process (\d+)$`)[1])
	if err != nil {
		t.Fatal(err)
	}
	next(`finalized [1-9]`)
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next(`^n1 died: signal: killed; starting it again$`)
	next(`^all is settled at epoch`)
	next(`^  \d+ payments are final, \d+ missed their quorum, \d+ failed with what they waited for`)
	sums := next(`^  accrued (.*) = balance (.*) \+ paid (.*)$`)
	if amountOf(t, sums[1]) != amountOf(t, sums[2])+amountOf(t, sums[3]) {
		t.Errorf("the sums do not add up: %v", sums)
	}
	next(`live load of 50/s, .* [1-9]\d* payments/s`)
	if err := command.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	next(`^CHECK of what is on the disks of n1, n2, n3, rebuilt from their logs up to index`)
	next(`^  ✓ the books balance`)
	next(`^  ✓ all [1-9][0-9,]* acknowledged submissions are there, each once, on every node$`)
	next(`^  ✓ none was executed twice`)
	next(`^  ✓ n1, n2, n3 hold the same rows`)
	next(`^ended after .*; the data is removed$`)
	if cost := regexp.MustCompile(`(?m)n1, .*, was dead[;:] .* executed \d.* after it$`); !cost.MatchString(seen.String()) {
		t.Errorf("what it cost was not told:\n%s", seen.String())
	}
	if err := command.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}

func amountOf(t *testing.T, grouped string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(strings.ReplaceAll(grouped, ",", ""), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// What is proposed to be tried next must be commands there are.
func TestHintsAreCommands(t *testing.T) {
	n := testNode(t)
	hints := show.New(terminal.NewDisplay(&strings.Builder{}), localcluster.Cluster{n}, show.Config{Load: 20}).Hints()
	found := regexp.MustCompile(`(?m)^  bin/bursar (.*?)(?:    .*)?$`).FindAllStringSubmatch(hints, -1)
	if len(found) == 0 {
		t.Fatalf("no command in\n%s", hints)
	}
	for _, line := range found {
		command, rest, err := newRoot(streams{}).Find(strings.Fields(line[1]))
		if err != nil || !command.HasParent() {
			t.Errorf("%q is no command: %v", line[1], err)
			continue
		}
		if err := command.ParseFlags(rest); err != nil {
			t.Errorf("%q: %v", line[1], err)
		}
	}
}

// Of runs that were killed nothing is left in the temporary directory; what is in use stays.
func TestLeftoversOfKilledRunsAreRemoved(t *testing.T) {
	tmp := t.TempDir()
	lock := func(names ...string) []*os.File {
		var locks []*os.File
		for _, name := range names {
			file, err := cluster.LockDir(filepath.Join(tmp, name))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { file.Close() })
			locks = append(locks, file)
		}
		return locks
	}
	for _, file := range lock("bursar-dev-killed", "bursar-dev-killed/n1", "bursar-dev-orphans", "other") {
		file.Close()
	}
	lock("bursar-dev-me", "bursar-dev-running", "bursar-dev-orphans/n1")
	if err := os.Mkdir(filepath.Join(tmp, "bursar-dev-beginning"), 0o700); err != nil {
		t.Fatal(err)
	}
	removeLeftovers(filepath.Join(tmp, "bursar-dev-me"))
	var left []string
	entries, err := os.ReadDir(tmp)
	for _, entry := range entries {
		left = append(left, entry.Name())
	}
	want := []string{"bursar-dev-beginning", "bursar-dev-me", "bursar-dev-orphans", "bursar-dev-running", "other"}
	if err != nil || !slices.Equal(left, want) {
		t.Errorf("left are %q, %v, want %q", left, err, want)
	}
}
