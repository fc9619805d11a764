package node_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/the-block/bursar/cluster"
)

// TestADirectoryThatLacksFilesIsRefused removes and empties parts of the directory of a
// node that has paid. It starts with less than it acknowledged in no case, and a second
// try is refused as the first.
func TestADirectoryThatLacksFilesIsRefused(t *testing.T) {
	m := start(t)
	submit(t, dial(t, m), direct(1))
	advance(t, dial(t, m))
	if err := m.stop(); err != nil {
		t.Fatal(err)
	}
	whole := t.TempDir()
	if err := os.CopyFS(whole, os.DirFS(m.cfg.DataDir)); err != nil {
		t.Fatal(err)
	}
	for _, lost := range []string{"log", "log/meta", "log/*.wal", "mark", "log mark", "log mark snapshots", "log/meta mark", "log/*.wal mark"} {
		for _, empty := range []bool{false, true} {
			if err := errors.Join(os.RemoveAll(m.cfg.DataDir), os.CopyFS(m.cfg.DataDir, os.DirFS(whole))); err != nil {
				t.Fatal(err)
			}
			for _, part := range strings.Fields(lost) {
				lose(t, filepath.Join(m.cfg.DataDir, part), empty)
			}
			for range 2 {
				n, err := begin(m.cfg)
				if err == nil {
					n.end()
					<-n.ended
				}
				if !errors.Is(err, cluster.ErrDamaged) || !strings.Contains(err.Error(), "bring back what "+m.cfg.DataDir) {
					t.Errorf("without %s, emptied %t: %v, want ErrDamaged and the ways on", lost, empty, err)
				}
			}
		}
	}
}

// lose removes the files that a pattern matches, and what is in them if they are
// directories; or it empties them.
func lose(t *testing.T, pattern string, empty bool) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		switch info, statErr := os.Stat(path); {
		case statErr != nil:
			err = statErr
		case !empty:
			err = os.RemoveAll(path)
		case info.IsDir():
			err = errors.Join(os.RemoveAll(path), os.Mkdir(path, 0o700))
		default:
			err = os.Truncate(path, 0)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}
