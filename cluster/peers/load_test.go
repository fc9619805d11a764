package peers_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/cluster/clustertest"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

func TestAFloodToAFrozenNodeIsBoundedAndAnswered(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		network.Freeze("n2")
		cfg := peers.DefaultConfig()
		params := &messages.NodeProposeParams{Entry: make([]byte, 100_000)}
		var codes sync.Map
		var asked, answered atomic.Int64
		ask := func() messages.Code {
			code := messages.Code(-1) // not yet
			asked.Add(1)
			n1.Go("n2", messages.MethodNodePropose, params, func(r wire.Reply) {
				answered.Add(1)
				code = codeOf(r.Err)
				codes.Store(code, true)
			})
			return code
		}
		accepted := 0
		for ask() != messages.CodeOverloaded {
			accepted++
		}
		if held := accepted * len(params.Entry); held < cfg.OutBytesMax || held > cfg.OutBytesMax+(4<<20) {
			t.Errorf("%d bytes were taken", held)
		}
		if took := n1.awaits("n2", false); took > cfg.DownAfter {
			t.Errorf("noticed after %v", took)
		}
		synctest.Wait()
		if asked.Load() != answered.Load() {
			t.Errorf("%d calls, %d answers", asked.Load(), answered.Load())
		}
		for _, code := range []messages.Code{messages.CodeOutcomeUnknown, messages.CodeUnavailable, messages.CodeOverloaded} {
			if _, ok := codes.Load(code); !ok {
				t.Errorf("no call was answered %v", code)
			}
		}
		network.Thaw("n2")
		n1.awaits("n2", true)
	})
}

func TestCallsInFlightAreBounded(t *testing.T) {
	pair(t, func(t *testing.T, _ *clustertest.Network, n1, n2 *member) {
		n2.hold()
		var results [3]int // in flight, fine, overloaded
		var mu sync.Mutex
		most := peers.DefaultConfig().InFlightMax
		for range most + 10 {
			n1.Go("n2", messages.MethodNodeReadIndex, nil, func(r wire.Reply) {
				mu.Lock()
				defer mu.Unlock()
				if r.Err == nil {
					results[1]++
				} else if codeOf(r.Err) == messages.CodeOverloaded {
					results[2]++
				}
			})
		}
		time.Sleep(10 * time.Second) // pings are refused too, which is no death
		n2.release()
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if !n1.status("n2").Up {
			t.Error("down")
		}
		if results[1] < most-1 || results[1]+results[2] != most+10 { // a ping may be one of them
			t.Errorf("%d fine, %d overloaded", results[1], results[2])
		}
	})
}

func TestTheLongestEntryPassesAndALongerOneHarmsNobody(t *testing.T) {
	pair(t, func(t *testing.T, _ *clustertest.Network, n1, _ *member) {
		entry := bytes.Repeat([]byte("entry of "), 8<<20/9)
		changed := n1.Watch()
		for range 3 {
			var result messages.NodeProposeResult
			err := n1.ask("n2", messages.MethodNodePropose, &messages.NodeProposeParams{Entry: entry}, &result)
			if err != nil || !bytes.Equal(result.Results, entry) {
				t.Errorf("%d bytes came back, %v", len(result.Results), err)
			}
		}
		err := n1.ask("n2", messages.MethodNodePropose, &messages.NodeProposeParams{Entry: make([]byte, 9<<20)}, nil)
		if codeOf(err) != messages.CodeValidationFailed {
			t.Errorf("more than 9 MiB: %v", err)
		}
		if err := n1.ask("n2", messages.MethodNodeReadIndex, nil, nil); err != nil {
			t.Errorf("afterwards: %v", err)
		}
		select {
		case <-changed:
			t.Error("the link was lost")
		default:
		}
	})
}

// A node that is busy with large messages is not taken for a dead one.
func TestPingsDoNotWaitBehindWhatIsToBeSent(t *testing.T) {
	pair(t, func(t *testing.T, network *clustertest.Network, n1, n2 *member) {
		network.SetCalm(clustertest.Weather{DelayMin: 100 * time.Millisecond, DelayMax: 100 * time.Millisecond}) // 1 MiB each 100 ms: 10 MB/s
		changed := n1.Watch()
		var waiting sync.WaitGroup
		for range 6 {
			waiting.Add(1)
			n1.Go("n2", messages.MethodNodePropose, &messages.NodeProposeParams{Entry: make([]byte, 8<<20)}, func(r wire.Reply) {
				defer waiting.Done()
				if r.Err != nil {
					t.Errorf("got %v", r.Err)
				}
			})
		}
		began := time.Now()
		waiting.Wait()
		if took := time.Since(began); took < 5*peers.DefaultConfig().DownAfter {
			t.Errorf("took %v: too quick to tell", took)
		}
		select {
		case <-changed:
			t.Errorf("the link was lost: %v", n1.status("n2").Err)
		default:
		}
	})
}

// tcp is the plain network.
type tcp struct{}

func (tcp) Listen(string) (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

func (tcp) Dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr)
}

// overTCP runs a test with two nodes that are linked over loopback.
func overTCP(t testing.TB, test func(n1, n2 *member)) {
	plain := func(o *options) {
		o.network = tcp{}
		o.cfg.DownAfter = 10 * time.Second // a busy machine is no subject here
	}
	n1, n2 := start(t, nil, "n1", plain), start(t, nil, "n2", plain)
	defer n1.end()
	defer n2.end()
	n1.Set([]peers.Peer{{Node: "n2", Addr: n2.Addr().String()}})
	n2.Set([]peers.Peer{{Node: "n1", Addr: n1.Addr().String()}})
	n1.awaits("n2", true)
	n2.awaits("n1", true)
	test(n1, n2)
}

func TestAStormOfConnectionsThatAreKilledLeavesNothing(t *testing.T) {
	overTCP(t, func(n1, n2 *member) {
		greeting := string(hello("n9"))
		call := "\x94\x00\x02\xafnode.read_index\x91\x80"
		n2.hold()
		var storm sync.WaitGroup
		for i := range 300 {
			storm.Go(func() {
				nc, err := net.Dial("tcp", n2.Addr().String())
				if err != nil {
					t.Error(err)
					return
				}
				_ = nc.(*net.TCPConn).SetLinger(0) // closing resets, as a kill does
				_, _ = nc.Write([]byte(greeting + call)[:i%(len(greeting)+len(call)+1)])
				if i%2 == 0 {
					_ = nc.SetReadDeadline(time.Now().Add(time.Millisecond))
					_, _ = io.Copy(io.Discard, nc)
				}
				_ = nc.Close()
			})
		}
		storm.Wait()
		n2.release()
		for end := time.Now().Add(20 * time.Second); n2.Metrics().Connections.Load() != 1; {
			if time.Now().After(end) {
				t.Fatalf("%d connections are left", n2.Metrics().Connections.Load())
			}
			n2.release()
		}
		if err := n1.ask("n2", messages.MethodNodeReadIndex, nil, nil); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	})
}
