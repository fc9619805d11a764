package node_test

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/cmd/internal/node"
)

// joined is a stream from behind a cable to a listener of the machine.
func joined(t *testing.T, network cluster.Network) (inside, outside net.Conn) {
	t.Helper()
	listener, err := cluster.TCP{}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if inside, err = network.Dial(t.Context(), listener.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if outside, err = listener.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { inside.Close(); outside.Close() })
	return inside, outside
}

// hears reports whether a byte goes from one end to the other.
func hears(t *testing.T, from, to net.Conn) error {
	t.Helper()
	if _, err := from.Write([]byte{7}); err != nil {
		return err
	}
	if err := to.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
		return err
	}
	_, err := to.Read(make([]byte, 1))
	return err
}

func TestAPulledCableLosesBytesAndTellsNobody(t *testing.T) {
	cable, network, _ := node.NewCable()
	inside, outside := joined(t, network)
	if err := errors.Join(hears(t, inside, outside), hears(t, outside, inside)); err != nil {
		t.Fatal(err)
	}
	cable.Pull()
	for _, err := range []error{hears(t, inside, outside), hears(t, outside, inside)} {
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("through a pulled cable: %v, want silence", err)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := network.Dial(short, outside.LocalAddr().String()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a dial through a pulled cable: %v, want no answer", err)
	}
	cable.Mend()
	if err := hears(t, inside, outside); err == nil {
		t.Error("a stream that has lost bytes goes on")
	}
	inside, outside = joined(t, network)
	if err := errors.Join(hears(t, inside, outside), hears(t, outside, inside)); err != nil {
		t.Errorf("after the cut: %v", err)
	}
	inside.Close()
}

func TestADialWaitsForTheEndOfACut(t *testing.T) {
	cable, network, _ := node.NewCable()
	listener, err := cluster.TCP{}.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	cable.Pull()
	dialed := make(chan error, 1)
	go func() {
		conn, err := network.Dial(t.Context(), listener.Addr().String())
		if err == nil {
			err = conn.Close()
		}
		dialed <- err
	}()
	cable.Mend()
	if err := <-dialed; err != nil {
		t.Error(err)
	}
	if open := cable.Streams(); open != 0 {
		t.Errorf("%d closed streams are kept", open)
	}
}

func TestAPulledCableLosesPackets(t *testing.T) {
	cable, _, gossip := node.NewCable()
	inside, err := gossip.ListenPacket("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inside.Close()
	outside, err := membership.Sockets{}.ListenPacket("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	send := func(from, to net.PacketConn, text string) {
		t.Helper()
		if _, err := from.WriteTo([]byte(text), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
	}
	receive := func(from net.PacketConn) (string, error) {
		t.Helper()
		buffer := make([]byte, 16)
		if err := from.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, _, err := from.ReadFrom(buffer)
		return string(buffer[:n]), err
	}
	cable.Pull()
	send(inside, outside, "lost")
	send(outside, inside, "lost")
	for _, conn := range []net.PacketConn{inside, outside} {
		if got, err := receive(conn); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("received %q, %v through a pulled cable", got, err)
		}
	}
	cable.Mend()
	send(inside, outside, "whole")
	send(outside, inside, "whole")
	for _, conn := range []net.PacketConn{inside, outside} {
		if got, err := receive(conn); got != "whole" {
			t.Errorf("received %q, %v after the cut", got, err)
		}
	}
}
