package alertdrill

import (
	"context"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// files sets how many files n1 may have open, as a part of how many it has.
func files(ctx context.Context, t *Trial, times float64) error {
	pid := int(t.cluster[0].PID())
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		return err
	}
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &limit); err != nil {
		return err
	}
	limit.Cur = min(uint64(float64(len(open))*times), limit.Max)
	return unix.Prlimit(pid, unix.RLIMIT_NOFILE, &limit, nil)
}

// fewFiles leaves n1 room for a tenth more than it has open.
func fewFiles(ctx context.Context, t *Trial) error { return files(ctx, t, 1.1) }

func manyFiles(ctx context.Context, t *Trial) error { return files(ctx, t, 100) }
