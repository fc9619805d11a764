package cluster

import (
	"errors"
	"syscall"
)

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
