package node_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
)

// parcel is a message of 128 bytes. The receiver gives it back.
type parcel struct {
	number uint64
	rest   [120]byte
}

var parcels = sync.Pool{New: func() any { return new(parcel) }}

func parcelCodecs(b *testing.B) *actors.Codecs {
	b.Helper()
	codecs := new(actors.Codecs)
	mustDo(b, actors.Register(codecs, 1,
		func(b []byte, p *parcel) []byte {
			return append(binary.BigEndian.AppendUint64(b, p.number), p.rest[:]...)
		},
		func(b []byte) (*parcel, error) {
			if len(b) != 128 {
				return nil, errors.New("a parcel has 128 bytes")
			}
			p := parcels.Get().(*parcel)
			p.number = binary.BigEndian.Uint64(b)
			copy(p.rest[:], b[8:])
			return p, nil
		}))
	return codecs
}

// taker holds parcels against the order they were sent in, until the last has come.
type taker struct {
	next, end uint64
	done      chan error
}

func (c *taker) Receive(_ *actors.Context, msg any) error {
	p := msg.(*parcel)
	if p.number != c.next {
		c.done <- fmt.Errorf("parcel %d came, want %d", p.number, c.next)
		c.next = p.number
	}
	parcels.Put(p)
	if c.next++; c.next == c.end {
		c.done <- nil
	}
	return nil
}

// BenchmarkTellNode tells actors of another node 128 bytes each, over the link that whole
// nodes have: each must come, in order, through queues and mailboxes of the default size.
func BenchmarkTellNode(b *testing.B) {
	members := startThreeWith(b, parcelCodecs(b))
	names := 0
	for _, targets := range []int{1, 64} {
		b.Run(fmt.Sprintf("actors=%d", targets), func(b *testing.B) {
			rounds := uint64(b.N/targets + 1)
			done := make(chan error, targets)
			refs := make([]actors.Ref, targets)
			for i := range refs {
				names++
				name := fmt.Sprintf("taker-%d", names)
				_, err := members[1].node.Actors().Spawn(actors.Spec{
					Name: name, New: func() actors.Actor { return &taker{end: rounds, done: done} },
				})
				mustDo(b, err)
				refs[i], err = members[0].node.Actors().RefOn("n2", "/"+name)
				mustDo(b, err)
			}
			p := new(parcel)
			b.SetBytes(128)
			b.ReportAllocs()
			b.ResetTimer()
			for p.number = range rounds {
				for _, ref := range refs {
					for ref.Tell(p) != nil { // the queue to the other node is full
						time.Sleep(100 * time.Microsecond)
					}
				}
			}
			for range refs {
				mustDo(b, <-done)
			}
			b.ReportMetric(float64(rounds*uint64(targets))/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}
