package node

import "syscall"

const (
	// filesOwn is how many files a node itself may have open: log, links, gossip, pages.
	filesOwn = 128
	// filesReserve stays free, so that whoever looks after a node full of callers is served.
	filesReserve = 64
	// callersLeast are served whatever the limit.
	callersLeast = 16
)

// callersFor is how many connections of callers a node may take that may have so many
// files open. They would have the log's next segment and the pages refused else.
func callersFor(files uint64, most int) int {
	if files >= uint64(most)+filesOwn+filesReserve {
		return most
	}
	return max(int(files)-filesOwn-filesReserve, callersLeast)
}

// filesMax is how many files this process may have open; it cannot tell if false.
func filesMax() (uint64, bool) {
	var limit syscall.Rlimit
	err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit)
	return limit.Cur, err == nil
}
