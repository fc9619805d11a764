package actors_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// recorder is a transport that keeps what it is given.
type recorder struct{ frames chan []byte }

func (r recorder) Send(_ messages.NodeID, frame []byte) error {
	select {
	case r.frames <- bytes.Clone(frame):
	default: // nobody looks
	}
	return nil
}

// lonely is a node with a link to one that the test plays.
func lonely(t testing.TB) (*actors.System, *actors.Remote, chan []byte) {
	t.Helper()
	s := newSystem(t)
	frames := make(chan []byte, 64)
	r, err := s.Join(actors.DefaultRemoteConfig(), "one", notes(t), recorder{frames})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.LinkUp("two"); err != nil {
		t.Fatal(err)
	}
	spawn(t, s, spec("echo", echo))
	return s, r, frames
}

// frame makes a frame by hand.
func frame(stream, sequence uint64, entries ...string) []byte {
	b := []byte{1}
	for _, v := range []uint64{stream, sequence, 0, 0} {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return append(b, strings.Join(entries, "")...)
}

// part makes an entry by hand.
func part(op byte, body string) string {
	return string(append(binary.AppendUvarint([]byte{op}, uint64(len(body))), body...))
}

func TestFramesThatAreNoneAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, r, frames := lonely(t)
		hello := part(2, "\x07\x00\x05/echo\x01hello")
		if err := r.Receive("two", frame(1, 1, hello)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		var sent []byte // a grant, and the answer
		for len(frames) > 0 {
			sent = append(sent, <-frames...)
		}
		if !bytes.HasSuffix(sent, []byte(part(3, "\x07\x01hello"))) {
			t.Errorf("what it sent is % x", sent)
		}
		stream := byte(10)
		for name, bad := range map[string][]byte{
			"nothing":                     {},
			"a header cut short":          frame(1, 2)[:32],
			"another version":             append([]byte{2}, frame(1, 2)[1:]...),
			"an entry without a length":   frame(1, 1, "\x01"),
			"a length beyond the frame":   frame(1, 1, "\x01\x7f/echo"),
			"a length beyond all numbers": frame(1, 1, "\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
			"a path beyond the entry":     frame(1, 1, part(1, "\x40/echo")),
			"a path too long":             frame(1, 1, part(1, "\xc0\xff\x01"+strings.Repeat("a", 0x7fc0)+"\x01")),
			"a kind too large":            frame(1, 1, part(1, "\x05/echo\xff\xff\x7f")),
			"a failure without a class":   frame(1, 1, part(4, "\x07")),
			"an end without a reason":     frame(1, 1, part(7, "\x07")),
			"a frame too large":           frame(1, 1, strings.Repeat(part(1, "\x05/nope\x01x"), 1<<17)),
		} {
			if len(bad) > 16 { // a stream of its own, which nothing is wrong with until then
				stream++
				bad[8] = stream
			}
			if err := r.Receive("two", bad); !errors.Is(err, actors.ErrBadFrame) {
				t.Errorf("%s: %v, want a bad frame", name, err)
			}
		}
		if err := r.Receive("two", frame(100, 1, part(99, "what a later version says"), hello)); err != nil {
			t.Errorf("an entry of a later version: %v", err)
		}
		for i := range 100 {
			err := r.Receive(messages.NodeID(strings.Repeat("n", i+1)), frame(1, 1))
			if i > 70 && !errors.Is(err, actors.ErrBadRef) {
				t.Errorf("node %d: %v, want too many", i, err)
			}
		}
	})
}

// What a node sends beyond what it was granted ends its stream.
func TestMoreThanWasGrantedIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s, r, _ := lonely(t)
		stuck := spec("stuck", func(*actors.Context, any) error { <-release; return nil })
		stuck.MailboxLimit = 1
		spawn(t, s, stuck)
		many := strings.Repeat(part(1, "\x06/stuck\x01"+strings.Repeat("x", 1000)), 60)
		var err error
		frames := uint64(0)
		for err == nil && frames < 100 {
			frames++
			err = r.Receive("two", frame(1, frames, many))
			synctest.Wait()
		}
		if !errors.Is(err, actors.ErrBadFrame) || frames*60_000 > 2<<20 {
			t.Errorf("after %d frames of 60 kB: %v, want a bad frame after the window of 1 MiB", frames, err)
		}
		close(release)
	})
}

func TestCodecsAreToldApart(t *testing.T) {
	var c actors.Codecs
	put := func(b []byte, n note) []byte { return append(b, n.text...) }
	get := func(b []byte) (note, error) { return note{string(b)}, nil }
	if err := actors.Register(&c, 1, put, get); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"a number twice": actors.Register(&c, 1, func(b []byte, _ count) []byte { return b }, func([]byte) (count, error) { return 0, nil }),
		"a type twice":   actors.Register(&c, 2, put, get),
		"number 0":       actors.Register(&c, 0, func(b []byte, _ count) []byte { return b }, func([]byte) (count, error) { return 0, nil }),
		"an interface":   actors.Register(&c, 3, func(b []byte, _ any) []byte { return b }, func([]byte) (any, error) { return nil, nil }),
	} {
		if !errors.Is(err, actors.ErrCodec) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestASystemJoinsOnceAndOnlyWithSoundLimits(t *testing.T) {
	s := newSystem(t)
	if _, err := s.RefOn("two", "/a"); !errors.Is(err, actors.ErrNotJoined) {
		t.Errorf("a ref before joining: %v", err)
	}
	if _, err := s.Join(actors.RemoteConfig{}, "one", notes(t), recorder{}); err == nil {
		t.Error("a configuration of zeros was taken")
	}
	if _, err := s.Join(actors.DefaultRemoteConfig(), "one", notes(t), recorder{}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Join(actors.DefaultRemoteConfig(), "one", notes(t), recorder{}); err == nil {
		t.Error("it joined twice")
	}
}

// FuzzReceive feeds a node what another may send. Nothing must make it fail, and what it
// answers must be frames that another node can read.
func FuzzReceive(f *testing.F) {
	f.Add(frame(1, 1, part(1, "\x05/echo\x01hello"), part(2, "\x07\x00\x00\x01again")))
	f.Add(frame(1, 1, part(2, "\x07\x8f\x4e\x05/echo\x02\x2a"), part(5, "\x08\x05/echo"), part(6, "\x08")))
	f.Add(frame(1, 1, part(3, "\x07\x01x"), part(4, "\x07\x01\x01\x64"), part(4, "\x07\x02\x81\xa4code\xd1\x85\x0a"), part(7, "\x08\x02")))
	f.Add(frame(1, 1, part(2, "\x01\x00\x02/x\x01"), part(2, "\x01\x00\x05/echo\x09"), part(2, "\x01\x00\x05/echo\x01explosive")))
	f.Add(frame(1, 1, part(4, "\x07\x02\xdf\xff\xff\xff\xff"), "\x01\xff\xff\xff\xff\x0f"))
	f.Add(frame(0, 0))
	_, r, frames := lonely(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if err := r.Receive("two", b); err != nil && !errors.Is(err, actors.ErrBadFrame) {
			t.Errorf("receive: %v", err)
		}
		for {
			select {
			case answer := <-frames:
				if err := r.Receive("three", answer); err != nil {
					t.Errorf("this node cannot read its own frame % x: %v", answer, err)
				}
			default:
				return
			}
		}
	})
}
