package raftlog

import (
	"bytes"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/raft"
)

// FuzzDecode feeds the codec bytes: it never panics, and what it accepts it draws
// again byte for byte.
func FuzzDecode(f *testing.F) {
	for _, l := range []raft.Log{
		{},
		{Index: 1, Term: 2, Type: raft.LogConfiguration, Data: []byte("data")},
		{Index: 1 << 63, Term: 1 << 63, Extensions: []byte("more"), AppendedAt: time.Unix(0, 1)},
	} {
		var buf bytes.Buffer
		if err := (codec{}).Encode(&l, &buf); err != nil {
			f.Fatal(err)
		}
		var back raft.Log
		if err := (codec{}).Decode(buf.Bytes(), &back); err != nil {
			f.Fatal(err)
		}
		if diff := cmp.Diff(back, l); diff != "" {
			f.Error(diff)
		}
		f.Add(buf.Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var l raft.Log
		if (codec{}).Decode(b, &l) != nil {
			return
		}
		var buf bytes.Buffer
		if err := (codec{}).Encode(&l, &buf); err != nil || !bytes.Equal(buf.Bytes(), b) {
			t.Errorf("drawn again: %x, %v, want %x", buf.Bytes(), err, b)
		}
	})
}
