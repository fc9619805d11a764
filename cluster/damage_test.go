package cluster_test

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

var damages = flag.Int("damages", 30, "how often each file of a data directory is flipped, and cut; 0 for every byte")

// wholeNode is a node's data directory with everything in it: a Raft snapshot before
// the newest, several segments, and what the client knows of it all.
func wholeNode(t *testing.T, dir string) (*raftlogtest.Disk, *ledger, uint64) {
	t.Helper()
	return wholeNodeFrom(t, dir, 0)
}

// wholeNodeFrom is wholeNode with transactions numbered from first on.
func wholeNodeFrom(t *testing.T, dir string, first uint64) (*raftlogtest.Disk, *ledger, uint64) {
	t.Helper()
	disk := raftlogtest.New()
	books := &ledger{acknowledged: make(map[uint64]uint64), next: first}
	n, err := openLone(dir, disk, fabricPort{newFabric(), "n1:9002", nil})
	if err != nil {
		t.Fatal(err)
	}
	defer n.end()
	if err := n.awaitReady(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := errors.Join(books.commit(n, 100), n.Snapshot(context.Background())); err != nil {
			t.Fatal(err)
		}
	}
	if err := books.commit(n, 150); err != nil {
		t.Fatal(err)
	}
	sum, _ := n.store.Checksum()
	return disk, books, sum
}

// TestDamageIsFoundBeforeAnythingIsServed flips and cuts each file of a data directory
// and starts the node on it. It refuses and says what to do, or serves exactly what
// was acknowledged: what was damaged is not needed any more.
func TestDamageIsFoundBeforeAnythingIsServed(t *testing.T) {
	dir := t.TempDir()
	disk, books, sum := wholeNode(t, dir)
	disk = disk.Kill()
	files := disk.Files()
	refused := make(map[string]int)
	rng := rand.New(rand.NewPCG(1, 10))
	for _, path := range slices.Sorted(maps.Keys(files)) {
		name := strings.TrimPrefix(path, dir+string(filepath.Separator))
		spoil := func(what string, content []byte) {
			err := serve(dir, disk.WithFile(path, content), books, sum)
			switch {
			case errors.Is(err, cluster.ErrDamaged) && strings.Contains(err.Error(), "keep "+dir+" aside"):
				refused[name]++
				if !strings.Contains(err.Error(), filepath.Base(name)) && !strings.Contains(err.Error(), "entr") {
					t.Errorf("%s, %s: neither file nor entry is named: %v", name, what, err)
				}
			case err != nil:
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
		spoil("removed", nil)
		for _, at := range places(rng, len(files[path])) {
			content := bytes.Clone(files[path])
			content[at] ^= 1 << rng.IntN(8)
			spoil(fmt.Sprintf("byte %d flipped", at), content)
			spoil(fmt.Sprintf("cut at %d", at), files[path][:at:at])
		}
	}
	t.Logf("refused: %v", refused)
	for _, name := range []string{"log/meta", "mark", "snapshots/"} {
		if !slices.ContainsFunc(slices.Collect(maps.Keys(refused)), func(file string) bool { return strings.HasPrefix(file, name) }) {
			t.Errorf("no damage to %s was ever refused", name)
		}
	}
}

// places picks offsets of a file: the first and last bytes, and some between.
func places(rng *rand.Rand, size int) (offsets []int) {
	if *damages == 0 || size <= *damages {
		for at := range size {
			offsets = append(offsets, at)
		}
		return offsets
	}
	offsets = []int{0, size - 1}
	for len(offsets) < *damages {
		offsets = append(offsets, rng.IntN(size))
	}
	return offsets
}

// serve starts a node and holds what it serves against what it should.
func serve(dir string, disk *raftlogtest.Disk, books *ledger, sum uint64) error {
	n, err := openLone(dir, disk, fabricPort{newFabric(), "n1:9002", nil})
	if err != nil {
		return err
	}
	defer n.end()
	if err := n.awaitReady(); err != nil {
		return err
	}
	if got, _ := n.store.Checksum(); got != sum {
		return fmt.Errorf("the rows have checksum %016x, want %016x", got, sum)
	}
	return books.check(n.store)
}

// TestLeftoversAreNotTrusted: neither a projection from an earlier life nor a lock
// file of nonsense says anything.
func TestLeftoversAreNotTrusted(t *testing.T) {
	dir := t.TempDir()
	disk, books, sum := wholeNode(t, dir)
	projections, err := filepath.Glob(filepath.Join(dir, "store", "projection-*.db"))
	if err != nil || len(projections) == 0 {
		t.Fatal(projections, err)
	}
	for _, path := range append(projections, filepath.Join(dir, "lock")) {
		if err := os.WriteFile(path, []byte("*3\r\n$3\r\nset\r\n nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := serve(dir, disk.Kill(), books, sum); err != nil {
		t.Error(err)
	}
}
