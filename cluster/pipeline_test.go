package cluster_test

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
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
			_, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1, Entries: []*raft.Log{{Index: 1}}}, new(raft.AppendEntriesResponse))
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

// TestAPipelineThatEndsIsHeardByWhoListens: a goroutine of Raft's that ends with the disk
// closes its pipeline, and tells nobody else. Who waits for the next answer would wait for
// ever, and Raft for him when it shuts down.
func TestAPipelineThatEndsIsHeardByWhoListens(t *testing.T) {
	for _, unheard := range []bool{false, true} {
		t.Run(fmt.Sprintf("an answer is unheard: %t", unheard), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFabric()
				near, far := transportOn(t, f, "n1:9002"), transportOn(t, f, "n2:9002")
				inner, err := near.AppendEntriesPipeline("n2", "n2:9002")
				if err != nil {
					t.Fatal(err)
				}
				p := cluster.NewPipeline(inner)
				if unheard {
					if _, err := p.AppendEntries(&raft.AppendEntriesRequest{Term: 1, Entries: []*raft.Log{{Index: 1}}}, new(raft.AppendEntriesResponse)); err != nil {
						t.Fatal(err)
					}
					rpc := <-far.Consumer()
					rpc.Respond(&raft.AppendEntriesResponse{Term: 1, Success: true}, nil)
					synctest.Wait()
				}
				if err := p.Close(); err != nil {
					t.Error(err)
				}
				// It must not count as a sign of life of the voter: that is what a newer term is.
				if last := <-p.Consumer(); last.Response().Success || last.Response().Term <= last.Request().Term {
					t.Errorf("the last answer is %+v to %+v", last.Response(), last.Request())
				}
			})
		})
	}
}

// sentAppends is a pipeline that notes how many entries it sends and what they commit.
type sentAppends struct{ sent [][2]uint64 }

func (s *sentAppends) AppendEntries(r *raft.AppendEntriesRequest, _ *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	s.sent = append(s.sent, [2]uint64{uint64(len(r.Entries)), r.LeaderCommitIndex})
	return nil, nil
}

func (s *sentAppends) Consumer() <-chan raft.AppendFuture { return nil }

func (s *sentAppends) Close() error { return nil }

func TestAVoterIsToldWhatIsNewAndRemindedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var voter sentAppends
		p := cluster.NewPipeline(&voter)
		tell := func(entries int, commit uint64) {
			t.Helper()
			request := &raft.AppendEntriesRequest{Entries: slices.Repeat([]*raft.Log{{}}, entries), LeaderCommitIndex: commit}
			if _, err := p.AppendEntries(request, new(raft.AppendEntriesResponse)); err != nil {
				t.Error(err)
			}
		}
		later := func() { time.Sleep(5 * time.Millisecond) } // when Raft repeats itself
		tell(0, 0)                                           // the first, whatever it says
		later()
		tell(0, 0)
		tell(2, 0) // entries
		tell(1, 0)
		later()
		tell(0, 3) // a commit
		for range 19 {
			later()
			tell(0, 3) // nothing new: one in 50 ms
		}
		tell(0, 3) // at once: somebody waits for an answer
		later()
		tell(0, 4)
		want := [][2]uint64{{0, 0}, {2, 0}, {1, 0}, {0, 3}, {0, 3}, {0, 3}, {0, 4}}
		if diff := cmp.Diff(voter.sent, want); diff != "" {
			t.Errorf("sent, entries and commit (-got +want):\n%s", diff)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}

// TestALeaderOfTheLastTermSendsNothingOfThisOne: its log has gone on under the next.
func TestALeaderOfTheLastTermSendsNothingOfThisOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFabric()
		near, far := transportOn(t, f, "n1:9002"), transportOn(t, f, "n2:9002")
		inner, err := near.AppendEntriesPipeline("n2", "n2:9002")
		if err != nil {
			t.Fatal(err)
		}
		p := cluster.NewPipeline(inner)
		request := &raft.AppendEntriesRequest{Term: 4, PrevLogEntry: 6, PrevLogTerm: 4, Entries: []*raft.Log{{Index: 7, Term: 4}, {Index: 8, Term: 5}}}
		if _, err := p.AppendEntries(request, new(raft.AppendEntriesResponse)); err == nil {
			t.Error("an entry of term 5 was sent in term 4")
		}
		time.Sleep(time.Second)
		select {
		case rpc := <-far.Consumer():
			t.Errorf("the voter was sent %+v", rpc.Command)
		default:
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
}
