package cluster_test

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster"
)

// streamLayer is Raft's on a fabric.
type streamLayer struct {
	net.Listener
	port fabricPort
}

func (s streamLayer) Dial(addr raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return s.port.Dial(ctx, string(addr))
}

// transportOn is Raft's own transport.
func transportOn(t *testing.T, f *fabric, addr string) *raft.NetworkTransport {
	port := fabricPort{f, addr, nil}
	listener, err := port.Listen(addr)
	if err != nil {
		t.Fatal(err)
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: streamLayer{listener, port}, MaxPool: 1, MaxRPCsInFlight: 2, Timeout: time.Second,
	})
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

// TestAPipelineThatIsRefusedTakesNothingMore: Raft listens to no answer after the first
// no, and would wait for ever to send what it has.
func TestAPipelineThatIsRefusedTakesNothingMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		near, far := transportOn(t, f, "n1:9002"), transportOn(t, f, "n2:9002")
		over := make(chan struct{})
		defer close(over)
		go func() {
			for {
				select {
				case rpc := <-far.Consumer():
					rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: false}, nil)
				case <-over:
					return
				}
			}
		}()
		inner, err := near.AppendEntriesPipeline("n2", "n2:9002")
		if err != nil {
			t.Fatal(err)
		}
		p := cluster.NewPipeline(inner)
		send := func() error {
			_, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1, PrevLogEntry: 1}, new(raft.AppendEntriesResponse))
			return err
		}
		if err := send(); err != nil {
			t.Fatal(err)
		}
		if answer := <-p.Consumer(); answer.Response().Success {
			t.Error("a request that was refused counts as a success")
		}
		sent := 0
		for send() == nil {
			if sent++; sent > 10 {
				t.Fatal("requests are taken whose answers nobody hears")
			}
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
