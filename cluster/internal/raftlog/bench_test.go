package raftlog_test

import (
	"fmt"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// BenchmarkStoreLog is the floor under every durable change: one entry, one fsync.
func BenchmarkStoreLog(b *testing.B) {
	for _, size := range []int{256, 32 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("bytes=%d", size), func(b *testing.B) {
			l, err := raftlog.Open(b.TempDir(), raftlog.Options{SegmentBytes: 64 << 20}, hclog.NewNullLogger())
			if err != nil {
				b.Fatal(err)
			}
			data := make([]byte, size)
			b.SetBytes(int64(size))
			b.ResetTimer()
			for i := range b.N {
				e := &raft.Log{Index: uint64(i) + 1, Term: 1, Type: raft.LogCommand, Data: data}
				if err := l.StoreLog(e); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			if err := l.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}
