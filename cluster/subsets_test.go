package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

// TestADirectoryWithoutItsLogIsRefused: the Raft snapshot alone is a history that was
// left long ago.
func TestADirectoryWithoutItsLogIsRefused(t *testing.T) {
	for _, lost := range []string{"log/", "log/meta", "log/0", "snapshots/", "mark"} {
		t.Run(lost, func(t *testing.T) {
			dir := t.TempDir()
			disk, books, sum := wholeNode(t, dir)
			disk = disk.Kill()
			for path := range disk.Files() {
				if strings.HasPrefix(relative(dir, path), lost) {
					disk = disk.WithFile(path, nil)
				}
			}
			for range 2 { // a refusal leaves what it was made for
				wantRefused(t, "", dir, serve(dir, disk, books, sum))
				disk = disk.Kill()
			}
		})
	}
}

func relative(dir, path string) string {
	return strings.TrimPrefix(path, dir+string(filepath.Separator))
}

// wantRefused expects words that say what is wrong, and the three ways on.
func wantRefused(t *testing.T, what, dir string, err error) {
	t.Helper()
	if !errors.Is(err, cluster.ErrDamaged) {
		t.Errorf("%s: %v, want ErrDamaged", what, err)
		return
	}
	for _, words := range []string{"bring back what " + dir, "keep " + dir + " aside", "restore a backup"} {
		if !strings.Contains(err.Error(), words) {
			t.Errorf("%s: %q does not say %q", what, err, words)
		}
	}
}

// content is the files of a data directory by their place in it.
type content map[string]string

func contentOf(dir string, disk *raftlogtest.Disk) content {
	c := make(content)
	for path, b := range disk.Files() {
		c[relative(dir, path)] = string(b)
	}
	return c
}

// groups are the parts of a data directory of which any may be missing or old.
var groups = []func(name string) bool{
	func(name string) bool { return strings.HasSuffix(name, ".wal") },
	func(name string) bool { return name == "log/meta" },
	func(name string) bool { return name == "mark" },
	func(name string) bool { return strings.HasPrefix(name, "snapshots/") },
}

// TestAnySubsetOfFilesIsHeldTogether puts every combination of present, missing, empty,
// cut, older and foreign files into a data directory. Each is refused, with words, or has
// all that was acknowledged. Only a whole copy, in which all files agree, cannot be told
// here; other nodes tell it.
func TestAnySubsetOfFilesIsHeldTogether(t *testing.T) {
	dir := t.TempDir()
	h := newHistoryOnDisk(t, dir)
	refused, served := 0, 0
	states := []string{"present", "missing", "empty", "cut", "older", "old", "foreign"}
	combination := make([]string, len(groups))
	var try func(group int)
	try = func(group int) {
		if group < len(groups) {
			for _, state := range states {
				combination[group] = state
				try(group + 1)
			}
			return
		}
		files := make(content)
		for i, part := range groups {
			maps.Copy(files, h.state(combination[i], part))
		}
		if h.isWhole(files) {
			return
		}
		disk := raftlogtest.New()
		for name, b := range files {
			disk = disk.WithFile(filepath.Join(dir, name), []byte(b))
		}
		what := fmt.Sprintf("segments %s, meta %s, mark %s, snapshots %s", combination[0], combination[1], combination[2], combination[3])
		if err := serve(dir, disk, h.books, h.sum); err != nil {
			wantRefused(t, what, dir, err)
			refused++
		} else {
			served++
		}
	}
	try(0)
	t.Logf("%d combinations refused, %d served all that was acknowledged", refused, served)
	if refused == 0 || served == 0 {
		t.Error("the table tries only one of both")
	}
}

// historyOnDisk is a data directory at several times, and another cluster's.
type historyOnDisk struct {
	books *ledger
	sum   uint64
	at    map[string]content
}

func newHistoryOnDisk(t *testing.T, dir string) *historyOnDisk {
	t.Helper()
	h := &historyOnDisk{at: make(map[string]content)}
	foreign, _, _ := wholeNodeFrom(t, dir, 10_000)
	h.at["foreign"] = contentOf(dir, foreign)
	disk, books, _ := wholeNode(t, dir)
	h.at["old"] = contentOf(dir, disk)
	disk = disk.Kill()
	n, err := openLone(dir, disk, fabricPort{newFabric(), "n1:9002", nil})
	if err != nil {
		t.Fatal(err)
	}
	if err := n.awaitReady(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(books.commit(n, 150), n.Snapshot(context.Background()), books.commit(n, 40)); err != nil {
		t.Fatal(err)
	}
	h.at["older"] = contentOf(dir, disk)
	if err := books.commit(n, 40); err != nil {
		t.Fatal(err)
	}
	h.sum, _ = n.store.Checksum()
	n.end()
	h.books, h.at["present"] = books, contentOf(dir, disk)
	return h
}

// state gives the files of a part as they are in that state.
func (h *historyOnDisk) state(state string, part func(string) bool) content {
	files := make(content)
	from := h.at[state]
	if from == nil {
		from = h.at["present"]
	}
	for name, b := range from {
		if !part(name) || state == "missing" {
			continue
		}
		switch state {
		case "empty":
			b = ""
		case "cut":
			b = b[:len(b)/3]
		}
		files[name] = b
	}
	return files
}

// isWhole reports whether all files are of one directory at one time, or none is there.
func (h *historyOnDisk) isWhole(files content) bool {
	for state, whole := range h.at {
		if state != "present" && maps.Equal(files, whole) {
			return true
		}
	}
	return len(files) == 0
}
