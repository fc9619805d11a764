package raftlog_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files of the present version anew")

// goldenLast is the last entry of the golden log, goldenState the golden snapshot's.
const (
	goldenLast  = 40
	goldenState = "the state at 25"
)

// TestOldDataDirectoriesAreRead reads the files that each released version has written:
// segments, meta, mark (or witness) and a Raft snapshot.
func TestOldDataDirectoriesAreRead(t *testing.T) {
	if *update {
		writeGolden(t, filepath.Join("testdata", "version-1"))
	}
	versions, err := filepath.Glob(filepath.Join("testdata", "version-*"))
	if err != nil || len(versions) == 0 {
		t.Fatal(versions, err)
	}
	for _, version := range versions {
		t.Run(filepath.Base(version), func(t *testing.T) {
			dir := t.TempDir() // opening a log writes into it
			if err := os.CopyFS(dir, os.DirFS(version)); err != nil {
				t.Fatal(err)
			}
			snapshots := openSnapshots(t, filepath.Join(dir, "snapshots"))
			meta, state, err := newest(snapshots)
			if err != nil || string(state) != goldenState || meta.Index != 25 || len(meta.Configuration.Servers) != 1 {
				t.Errorf("raft snapshot %+v, %q, %v", meta, state, err)
			}
			l := mustOpen(t, filepath.Join(dir, "log"))
			if err := l.Verify(25); err != nil {
				t.Fatal(err)
			}
			if diff := difference(l, 21, goldenLast); diff != "" {
				t.Error(diff)
			}
			if node, err := l.Get([]byte("bursar.node")); err != nil || string(node) != "n1" {
				t.Errorf("the node is %q, %v", node, err)
			}
			fill(t, l, goldenLast+1, goldenLast+20) // it goes on
			if diff := difference(l, 21, goldenLast+20); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func writeGolden(t *testing.T, dir string) {
	t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, filepath.Join(dir, "log"))
	if err := l.Set([]byte("bursar.node"), []byte("n1")); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 1, goldenLast)
	take(t, openSnapshots(t, filepath.Join(dir, "snapshots")), 25, []byte(goldenState))
	if err := l.DeleteRange(1, 20); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
