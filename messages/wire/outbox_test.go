package wire_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/messages/wire"
)

// What goes into an outbox comes out of it: the urgent first, the rest in order, nothing
// torn, and what has not begun to leave is known.
func TestAnOutboxKeepsOrderAndCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var (
			out      wire.Outbox
			waiting  [][]byte // in order
			urgent   [][]byte
			segments []uint64 // of waiting
			next     byte
		)
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				next++
				m := bytes.Repeat([]byte{next}, rapid.IntRange(1, 90_000).Draw(t, "bytes"))
				segments = append(segments, out.Add(m))
				waiting = append(waiting, m)
			},
			"hurry": func(t *rapid.T) {
				next++
				m := bytes.Repeat([]byte{next}, rapid.IntRange(1, 10).Draw(t, "bytes"))
				out.Hurry(m)
				urgent = append(urgent, m)
			},
			"take": func(t *rapid.T) {
				if len(urgent)+len(waiting) == 0 {
					t.Skip("empty")
				}
				batch, told := out.Take()
				from := &urgent
				if len(urgent) == 0 {
					from = &waiting
				}
				if told != len(urgent) {
					t.Fatalf("%d told, want %d", told, len(urgent))
				}
				for len(batch) > 0 && len(*from) > 0 {
					m := (*from)[0]
					if !bytes.HasPrefix(batch, m) {
						t.Fatalf("message %d is torn or out of order", m[0])
					}
					batch, *from = batch[len(m):], (*from)[1:]
				}
				if len(batch) > 0 {
					t.Fatalf("%d bytes too many", len(batch))
				}
			},
			"": func(t *rapid.T) {
				held := 0
				for _, m := range slices.Concat(urgent, waiting) {
					held += len(m)
				}
				if out.Bytes() != held {
					t.Fatalf("%d bytes, want %d", out.Bytes(), held)
				}
				left := len(segments) - len(waiting)
				for i, s := range segments {
					if out.Begun(s) != (i < left) {
						t.Fatalf("message %d of %d, %d of which have left: begun %v", i, len(segments), left, out.Begun(s))
					}
				}
			},
		})
	})
}
