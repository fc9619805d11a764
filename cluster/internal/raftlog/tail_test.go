package raftlog_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// files reads every file of a directory.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := make(map[string][]byte)
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if all[f.Name()], err = os.ReadFile(filepath.Join(dir, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// lay writes files into a new directory.
func lay(t *testing.T, all map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range all {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// goesOn opens a log that must hold entries up to last, and appends to it twice.
func goesOn(t *testing.T, dir string, last uint64) error {
	t.Helper()
	for range 2 {
		l, err := open(dir)
		if err != nil {
			return err
		}
		if err := l.Verify(0); err != nil {
			return fmt.Errorf("%w, %w", err, l.Close())
		}
		if diff := difference(l, 1, last); diff != "" {
			t.Errorf("up to %d: %s", last, diff)
		}
		for range 3 {
			last++
			if err := l.StoreLog(entry(last)); err != nil {
				t.Errorf("append entry %d: %v", last, err)
			}
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// TestACrashWhileASegmentIsSealedCostsNothing crashes at each point of the write that
// seals a segment, and after it, before the list of segments says so.
func TestACrashWhileASegmentIsSealedCostsNothing(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	if err := l.SetUint64([]byte("CurrentTerm"), 100); err != nil {
		t.Fatal(err)
	}
	var before, after map[string][]byte
	var last uint64 // the entry that sealed the first segment
	for len(after) == 0 || len(after) == len(before) {
		before = files(t, dir)
		last++
		if err := l.StoreLog(entry(last)); err != nil {
			t.Fatal(err)
		}
		if err := l.DeleteRange(0, 0); err != nil { // waits for a rotation to end
			t.Fatal(err)
		}
		after = files(t, dir)
	}
	var name string // of the segment
	for n := range before {
		if filepath.Ext(n) == ".wal" {
			name = n
		}
	}
	sealed := bytes.TrimRight(after[name], "\x00")
	begun := len(bytes.TrimRight(before[name], "\x00"))
	step := min(*stride, 5)
	for cut := begun; cut <= len(sealed); cut = max(cut+1, min(cut+step, len(sealed))) {
		torn := make([]byte, len(after[name]))
		copy(torn, sealed[:cut])
		crashed := map[string][]byte{"meta": before["meta"], "mark": before["mark"], name: torn}
		want := last - 1
		if cut == len(sealed) {
			want = last
		}
		if err := goesOn(t, lay(t, crashed), want); err != nil {
			t.Fatalf("cut at %d of %d: %v", cut, len(sealed), err)
		}
	}
	t.Logf("the sealing write has %d bytes", len(sealed)-begun)
}
