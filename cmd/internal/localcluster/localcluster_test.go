package localcluster_test

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/localcluster"
)

func TestWhatWasNotDoneCannotBeTakenBack(t *testing.T) {
	m := new(localcluster.Node)
	for _, err := range []error{m.Do(localcluster.Killed), m.BringBack()} {
		if err == nil {
			t.Error("an order to a node that never ran was carried out")
		}
	}
}

func TestAProcessIsAskedToEndAndThenKilled(t *testing.T) {
	start := func(script string) *localcluster.Process {
		t.Helper()
		spec := localcluster.Spec{
			Program: "/bin/sh", Args: []string{"-c", script}, LogPath: filepath.Join(t.TempDir(), "log"), Leash: true,
		}
		p, err := localcluster.Start(spec)
		if err != nil {
			t.Fatal(err)
		}
		for { // until its trap is set
			if text, err := os.ReadFile(spec.LogPath); err == nil && len(text) > 0 {
				return p
			}
			localcluster.Wait(t.Context(), time.Millisecond)
		}
	}
	obeys := start("trap 'exit 0' TERM; echo up; read end")
	if !obeys.Stop(syscall.SIGTERM, time.Minute, syscall.SIGKILL) || obeys.Err != nil || !obeys.Over() {
		t.Errorf("one that obeys ended with %v", obeys.Err)
	}
	deaf := start("trap '' TERM; echo up; read end")
	if deaf.Stop(syscall.SIGTERM, 10*time.Millisecond, syscall.SIGKILL) || deaf.Err == nil {
		t.Error("one that does not hear was not killed")
	}
}

func TestEveryCallerGetsPortsOfItsOwn(t *testing.T) {
	seen := make(map[int]bool)
	for range 20 {
		base, err := localcluster.FreePorts(3)
		if err != nil || seen[base] {
			t.Fatalf("base port %d, %v", base, err)
		}
		seen[base] = true
	}
}

// Ports that another process was given are passed over, though nobody listens on them.
func TestPortsOfOthersArePassedOver(t *testing.T) {
	free, err := localcluster.FreePorts(1)
	if err != nil {
		t.Fatal(err)
	}
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	dir := filepath.Join(tmp, "bursar-ports")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	taken, err := os.Create(filepath.Join(tmp, "taken")) // under many names
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if err := syscall.Flock(int(taken.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for base := 12_000; base < 32_000; base += localcluster.PortStep {
		if base != free {
			if err := os.Link(taken.Name(), filepath.Join(dir, strconv.Itoa(base))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := localcluster.FreePorts(1); err != nil || got != free {
		t.Errorf("got %d, %v, want %d", got, err, free)
	}
}
