package cluster_test

import (
	"errors"
	"strings"
	"syscall"
	"testing"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog/raftlogtest"
)

// TestWhatTheSystemRefusesIsNoDamage: opening a directory ends in the words of the error,
// with a cure, whichever file is concerned.
func TestWhatTheSystemRefusesIsNoDamage(t *testing.T) {
	dir := t.TempDir()
	disk, books, sum := wholeNode(t, dir)
	changes := 0
	count := disk.Kill()
	count.Strike = func(op raftlogtest.Op) error {
		changes = op.Number
		return nil
	}
	if err := serve(dir, count, books, sum); err != nil {
		t.Fatal(err)
	}
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EACCES, syscall.EROFS, syscall.EMFILE, syscall.EFBIG, syscall.EDQUOT} {
		for at := 1; at <= min(changes, 8); at++ {
			refusing := disk.Kill()
			refusing.Strike = func(op raftlogtest.Op) error {
				if op.Number >= at {
					return errno
				}
				return nil
			}
			err := serve(dir, refusing, books, sum)
			if !errors.Is(err, errno) || errors.Is(err, cluster.ErrDamaged) || cluster.Cure(err) == "" || strings.Contains(err.Error(), "restore a backup") {
				t.Errorf("change %d ends in %v: %v", at, errno, err)
			}
		}
	}
}
