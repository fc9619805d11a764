package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/the-block/bursar/cluster/internal/raftlog"
	"github.com/the-block/bursar/messages"
)

// What a data directory holds.
const (
	lockFile     = "lock"
	logDir       = "log"
	snapshotsDir = "snapshots"
)

// Keys beside Raft's own in the log's stable store.
var (
	keyNode    = []byte("bursar.node")
	keyCluster = []byte("bursar.cluster")
	keyLife    = []byte(raftlog.KeyLife)
	keyBoot    = []byte(raftlog.KeyBoot)
	keyVoting  = []byte("bursar.voting")
	keyPromise = []byte("bursar.promise")
	keyDisks   = []byte("bursar.disks")
)

// LockDir makes this process the only one that uses dir, for as long as the file
// stays open. The kernel frees it however the process ends. Error: ErrInUse.
func LockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := os.ReadFile(path) // only to name it
		return nil, errors.Join(fmt.Errorf("%w: another bursar process (pid %s) uses %s; stop it, or name another directory with --data",
			ErrInUse, strings.TrimSpace(string(owner)), dir), file.Close())
	}
	if err == nil {
		err = file.Truncate(0)
	}
	if err == nil {
		_, err = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), file.Close())
	}
	return file, nil
}

// claimNode records the node's name in a new data directory and refuses another
// name afterwards: a node that took over another's log would vote twice.
func claimNode(log *raftlog.Log, dir string, node messages.NodeID) error {
	owner, err := log.Get(keyNode)
	if err != nil {
		return err
	}
	switch {
	case len(owner) == 0:
		return log.Set(keyNode, []byte(node))
	case string(owner) != string(node):
		return fmt.Errorf("%w: %s belongs to node %q, not %q; start it under that name, or name another directory",
			ErrForeign, dir, owner, node)
	}
	return nil
}

// CheckDir reports a data directory that was used and lacks all that tells how far: the
// log, its mark and the Raft snapshots. It is called before the projection, which says
// that it was used, is removed.
func CheckDir(cfg Config) error {
	disk := cfg.disk
	if disk == nil {
		disk = raftlog.OSDisk()
	}
	for _, dir := range []string{filepath.Join(cfg.Dir, logDir), filepath.Join(cfg.Dir, snapshotsDir), cfg.Dir} {
		held, err := raftlog.Holds(disk, dir)
		if err != nil || held {
			return err
		}
	}
	used, err := filepath.Glob(filepath.Join(cfg.Dir, "store", "*"))
	if err != nil {
		return err
	}
	for _, path := range append(used, filepath.Join(cfg.Dir, "peers")) {
		info, err := os.Stat(path)
		if err == nil && info.Size() > 0 {
			return explain(cfg.Dir, fmt.Errorf("%w: %s says that %s was used, but its log, its mark and its raft snapshots are missing",
				ErrDamaged, path, cfg.Dir))
		}
	}
	return nil
}

// cures are what to do about an error of the operating system, none of which is damage.
var cures = []struct {
	errno syscall.Errno
	cure  string
}{
	{syscall.ENOSPC, "the disk is full: make room there, then start the node again"},
	{syscall.EDQUOT, "the disk quota is used up: raise it or make room, then start the node again"},
	{syscall.EFBIG, "a file is larger than the file system or ulimit -f allows: raise the limit, then start the node again"},
	{syscall.EACCES, "the user that runs the node may not read or write there: give it the directory (chown -R)"},
	{syscall.EPERM, "the user that runs the node may not do this there: look after owner and flags of the files (lsattr)"},
	{syscall.EROFS, "the file system is mounted read-only, often after an error of the disk: see the kernel's log, mount it anew"},
	{syscall.EMFILE, "the node may not open more files: raise ulimit -n (LimitNOFILE in systemd), then start it again"},
	{syscall.ENFILE, "the machine has no more files to open: end what holds them or raise fs.file-max"},
	{syscall.ENOLCK, "the file system cannot lock files: use a local disk, not one of a network without locks"},
	{syscall.EIO, "the disk refuses: see the kernel's log and SMART; start the node on a disk that works"},
}

// Cure says in words what to do about an error of a data directory that is no damage; ""
// where there is nothing to say.
func Cure(err error) string {
	for _, c := range cures {
		if errors.Is(err, c.errno) {
			return c.cure
		}
	}
	return ""
}
