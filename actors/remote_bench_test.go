package actors_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// parcel is a message of 128 bytes. The receiver gives it back.
type parcel struct {
	number uint64
	rest   [120]byte
}

var parcels = sync.Pool{New: func() any { return new(parcel) }}

const kindParcel = 100

func parcelCodecs(tb testing.TB) *actors.Codecs {
	tb.Helper()
	var c actors.Codecs
	err := actors.Register(&c, kindParcel, func(b []byte, p *parcel) []byte {
		return append(binary.BigEndian.AppendUint64(b, p.number), p.rest[:]...)
	}, func(b []byte) (*parcel, error) {
		if len(b) != 128 {
			return nil, errors.New("a parcel has 128 bytes")
		}
		p := parcels.Get().(*parcel)
		p.number = binary.BigEndian.Uint64(b)
		copy(p.rest[:], b[8:])
		return p, nil
	})
	if err != nil {
		tb.Fatal(err)
	}
	return &c
}

// tcp is a transport over one real connection between two nodes.
type tcp struct {
	conn net.Conn
	b    []byte
}

// Send implements actors.Transport.
func (t *tcp) Send(_ messages.NodeID, frame []byte) error {
	t.b = append(binary.BigEndian.AppendUint32(t.b[:0], uint32(len(frame))), frame...)
	_, err := t.conn.Write(t.b)
	return err
}

// read hands frames on until the connection ends.
func (t *tcp) read(from messages.NodeID, r *actors.Remote) {
	in := bufio.NewReaderSize(t.conn, 128<<10)
	var head [4]byte
	var frame []byte
	for {
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return
		}
		n := int(binary.BigEndian.Uint32(head[:]))
		frame = slices.Grow(frame[:0], n)[:n]
		if _, err := io.ReadFull(in, frame); err != nil {
			return
		}
		if err := r.Receive(from, frame); err != nil {
			panic(err)
		}
	}
}

// twoNodes joins two systems by a TCP connection over the loopback.
func twoNodes(tb testing.TB, codecs *actors.Codecs, tune ...func(*actors.Config)) (one, two *actors.System, r1, r2 *actors.Remote) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	defer listener.Close()
	dialled, err := net.Dial("tcp", listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		tb.Fatal(err)
	}
	var readers sync.WaitGroup
	tb.Cleanup(func() { // after the systems have stopped
		dialled.Close()
		accepted.Close()
		readers.Wait()
	})
	one, two = newSystem(tb, tune...), newSystem(tb, tune...)
	t1, t2 := &tcp{conn: dialled}, &tcp{conn: accepted}
	if r1, err = one.Join(actors.DefaultRemoteConfig(), "one", codecs, t1); err != nil {
		tb.Fatal(err)
	}
	if r2, err = two.Join(actors.DefaultRemoteConfig(), "two", codecs, t2); err != nil {
		tb.Fatal(err)
	}
	if err := errors.Join(r1.LinkUp("two"), r2.LinkUp("one")); err != nil {
		tb.Fatal(err)
	}
	readers.Go(func() { t1.read("two", r1) })
	readers.Go(func() { t2.read("one", r2) })
	return one, two, r1, r2
}

func refOn(tb testing.TB, s *actors.System, node messages.NodeID, path string) actors.Ref {
	tb.Helper()
	ref, err := s.RefOn(node, path)
	if err != nil {
		tb.Fatal(err)
	}
	return ref
}

// sink counts parcels and holds them against the order they were sent in.
type sink struct {
	next, end uint64
	done      chan error
}

func (s *sink) Receive(_ *actors.Context, msg any) error {
	p, ok := msg.(*parcel)
	if !ok || p.number != s.next {
		s.done <- fmt.Errorf("got %v, want number %d", msg, s.next)
		return nil
	}
	parcels.Put(p)
	if s.next++; s.next == s.end {
		s.done <- nil
	}
	return nil
}

// BenchmarkTellAcross sends 128 bytes from one node to the other over TCP: all arrive, in
// order, through mailboxes of the default limit.
func BenchmarkTellAcross(b *testing.B) {
	for _, targets := range []int{1, 64} {
		b.Run(fmt.Sprintf("actors=%d", targets), func(b *testing.B) {
			one, two, r1, _ := twoNodes(b, parcelCodecs(b))
			done := make(chan error, targets)
			refs := make([]actors.Ref, targets)
			for i := range refs {
				end := uint64(b.N/targets + 1)
				spawn(b, two, actors.Spec{Name: fmt.Sprint(i), Kind: "sink", New: func() actors.Actor { return &sink{end: end, done: done} }})
				refs[i] = refOn(b, one, "two", fmt.Sprintf("/%d", i))
			}
			b.SetBytes(128)
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			p, waits := new(parcel), 0
			for round := range uint64(b.N/targets + 1) {
				p.number = round
				for _, ref := range refs {
					for ref.Tell(p) != nil {
						waits++
						time.Sleep(100 * time.Microsecond)
					}
				}
			}
			for range refs {
				if err := <-done; err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			s := r1.Stats()[0]
			b.ReportMetric(float64(s.Sent)/float64(s.SentFrames), "messages/frame")
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds()/1e6, "M/s")
		})
	}
}

// BenchmarkAskAcross asks an actor of the other node, over TCP.
func BenchmarkAskAcross(b *testing.B) {
	for _, callers := range []int{1, 64, 1024} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			one, two, _, _ := twoNodes(b, parcelCodecs(b))
			spawn(b, two, spec("echo", echo))
			ref := refOn(b, one, "two", "/echo")
			ctx, cancel := context.WithTimeout(context.Background(), time.Hour)
			defer cancel()
			took := make([]time.Duration, b.N)
			var at atomic.Int64
			b.ReportAllocs()
			b.ResetTimer()
			defer cpu(b)()
			call(b.N, callers, func(int) {
				began := time.Now()
				p, err := actors.Ask[*parcel](ctx, ref, &parcel{})
				if err != nil {
					panic(err)
				}
				took[at.Add(1)-1] = time.Since(began)
				parcels.Put(p)
			})
			b.StopTimer()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
		})
	}
}
