package membership_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"
)

func TestGarbageFromStrangersHarmsNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		stranger := w.network.Host("10.0.0.66")
		socket, err := stranger.ListenPacket("10.0.0.66:9001")
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		to := &net.UDPAddr{IP: net.ParseIP(ipOf("n1")), Port: 9001}
		chance := rand.New(rand.NewPCG(7, 7))
		for kind := range 256 {
			for size := range 40 {
				b := make([]byte, 1+size*size/8)
				for i := range b {
					b[i] = byte(chance.Uint32())
				}
				b[0] = byte(kind)
				if _, err := socket.WriteTo(b, to); err != nil {
					t.Fatal(err)
				}
				if size%8 == 0 {
					babble(w.T, stranger, b)
				}
			}
			time.Sleep(10 * time.Millisecond)
		}
		for _, n := range []*node{n1, n2, n3} {
			n.awaitView(allAlive, 10*time.Second)
		}
		if got := n1.lines.count("\n"); got > 100 {
			t.Errorf("n1 says %d lines", got)
		}
	})
}

// babble says b to n1 over a stream and hangs up once it has been answered.
func babble(t *testing.T, from interface {
	Dial(context.Context, string) (net.Conn, error)
}, b []byte) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	conn, err := from.Dial(ctx, gossipAt("n1"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Millisecond))
	_, _ = conn.Write(b)
	_, _ = io.Copy(io.Discard, conn)
}

func TestStreamsThatHangAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		stranger := w.network.Host("10.0.0.66")
		var open []net.Conn
		for range 200 {
			conn, err := stranger.Dial(w.Context(), gossipAt("n1"))
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, conn)
		}
		time.Sleep(time.Second)
		closed := 0
		for _, conn := range open {
			_ = conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			if _, err := conn.Read(make([]byte, 1)); errors.Is(err, io.EOF) {
				closed++
			}
		}
		if closed < 200-64 {
			t.Errorf("of 200 silent streams %d were closed", closed)
		}
		for _, n := range []*node{n1, n2, n3} {
			if n.view() != allAlive {
				t.Errorf("it sees %s", n.view())
			}
		}
		for _, conn := range open {
			conn.Close()
		}
	})
}
