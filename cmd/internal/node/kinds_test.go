package node_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/values"
)

// What the counters of these tests are told.
type (
	add   struct{ N int }
	get   struct{}
	total struct {
		Sum  int
		Path string
	}
	relay struct{ Key string }
	crash struct{}
)

// tally adds up what it is told.
type tally struct {
	cluster *kinds.Cluster
	sum     int
}

func (c *tally) Receive(ctx *actors.Context, msg any) error {
	switch m := msg.(type) {
	case add:
		c.sum += m.N
		ctx.Reply(c.total(ctx))
	case get:
		ctx.Reply(c.total(ctx))
	case relay: // asks another counter, wherever that is
		asker := ctx.Replier()
		c.cluster.Go(time.Now().Add(5*time.Second), kinds.Address{Kind: "counter", Key: m.Key}, get{}, func(reply any, err error) {
			if err != nil {
				reply = err
			}
			asker.Reply(reply)
		})
	case crash:
		panic("as it was told")
	}
	return nil
}

func (c *tally) total(ctx *actors.Context) total { return total{c.sum, ctx.Self().Path()} }

func counters(tb testing.TB) []kinds.Kind {
	tb.Helper()
	codec, err := values.New(add{}, get{}, total{}, relay{}, crash{})
	mustDo(tb, err)
	return []kinds.Kind{{Name: "counter", Codec: codec, New: func(s *kinds.Seat) actors.Actor {
		return &tally{cluster: s.Cluster}
	}}}
}

func at(key string) kinds.Address { return kinds.Address{Kind: "counter", Key: key} }

// treeOf lists the paths of a node's own counters.
func treeOf(t *testing.T, m *member) (paths []string) {
	t.Helper()
	for _, row := range must(t, dial(t, m), "actors.tree", object{"path": "/kinds/counter"})["actors"].([]any) {
		if path := row.(object)["path"].(string); strings.HasPrefix(path, "/kinds/counter/") {
			paths = append(paths, path)
		}
	}
	return paths
}

func TestActorsOfAKindOfOnesOwnAreReachedFromEveryNode(t *testing.T) {
	members := startThreeWith(t, counters(t))
	for i := range 60 {
		to := at(fmt.Sprintf("key-%d", i))
		for _, m := range members { // each tells 1, and the next one sees it
			mustDo(t, m.node.Cluster().Tell(t.Context(), to, add{1}))
		}
		for _, m := range members {
			got, err := kinds.Ask[total](t.Context(), m.node.Cluster(), to, get{})
			if want := (total{3, "/kinds/counter/" + to.Key}); err != nil || got != want {
				t.Fatalf("%s at %s: %v, %v, want %v", to.Key, m.cfg.Name, got, err, want)
			}
		}
	}
	seen := make(map[string]bool)
	for _, m := range members {
		for _, path := range treeOf(t, m) {
			if seen[path] {
				t.Errorf("%s is on two nodes", path)
			}
			seen[path] = true
		}
	}
	if len(seen) != 60 {
		t.Errorf("%d actors in the trees, want 60", len(seen))
	}
	// An actor reaches another, and every answer is one that its sender can act on.
	if got, err := kinds.Ask[total](t.Context(), members[2].node.Cluster(), at("key-1"), relay{"key-2"}); err != nil || got.Sum != 3 {
		t.Errorf("by way of another: %v, %v", got, err)
	}
	codeOf := func(err error) messages.Code {
		var refusal *messages.Error
		if !errors.As(err, &refusal) {
			t.Fatalf("%v is no refusal", err)
		}
		return refusal.Code
	}
	for _, m := range members {
		for _, c := range []struct {
			to   kinds.Address
			msg  any
			want messages.Code
		}{
			{kinds.Address{Kind: "nothing", Key: "a"}, get{}, messages.CodeNotFound},
			{at("a/b"), get{}, messages.CodeValidationFailed},
			{at(""), get{}, messages.CodeValidationFailed},
			{at("a"), 5, messages.CodeValidationFailed},
			{at("a"), crash{}, messages.CodeInternal},
		} {
			if _, err := m.node.Cluster().Ask(t.Context(), c.to, c.msg); codeOf(err) != c.want {
				t.Errorf("%v to %v: %v, want %v", c.msg, c.to, err, c.want)
			}
		}
	}
}

// A breaker that an operator forces open on one node shuts the actor for every node.
func TestAnActorOfAKindOfOnesOwnCanBeHeld(t *testing.T) {
	members := startThreeWith(t, counters(t))
	operator := dial(t, members[1])
	must(t, operator, "supervision.force_open", object{"path": "/kinds/counter/held", "reason": "a test"})
	for _, m := range members {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		for { // the force reaches each node with the log
			_, err := m.node.Cluster().Ask(ctx, at("held"), get{})
			var refusal *messages.Error
			if errors.As(err, &refusal) && refusal.Code == messages.CodeCircuitOpen {
				break
			}
			if ctx.Err() != nil {
				t.Fatalf("%s: %v", m.cfg.Name, err)
			}
		}
		if _, err := m.node.Cluster().Ask(ctx, at("other"), get{}); err != nil {
			t.Errorf("another actor: %v", err)
		}
	}
	if _, err := operator.call(t, "supervision.force_open", object{"path": "/kinds/nothing/held", "reason": "a test"}); err == nil {
		t.Error("an actor of a kind that there is not can be forced")
	}
}

// An actor whose node stops is made anew on another one, and none of those who ask it
// meanwhile sees an error: the shard is handed over first.
func TestActorsMoveWithTheirShard(t *testing.T) {
	members := startThreeWith(t, counters(t))
	observer := members[2]
	var moving []kinds.Address
	for i := range 30 {
		to := at(fmt.Sprintf("key-%d", i))
		mustDo(t, observer.node.Cluster().Tell(t.Context(), to, add{1}))
		moving = append(moving, to)
	}
	lost := len(treeOf(t, members[1]))
	if lost == 0 {
		t.Fatal("the replica owns none of the actors")
	}
	mustDo(t, members[1].stop())
	sums := 0
	for _, to := range moving {
		got, err := kinds.Ask[total](t.Context(), observer.node.Cluster(), to, get{})
		mustDo(t, err)
		sums += got.Sum
	}
	if sums != len(moving)-lost {
		t.Errorf("the sums add up to %d; %d of %d actors began anew", sums, lost, len(moving))
	}
}

// Compare BenchmarkCall of cluster/peers, and Tell and Ask on one node in package actors.
func BenchmarkKinds(b *testing.B) {
	members := startThreeWith(b, counters(b))
	here, there := keyOn(b, members[0], true), keyOn(b, members[0], false)
	cluster := members[0].node.Cluster()
	for name, to := range map[string]kinds.Address{"here": here, "across": there} {
		b.Run("ask/"+name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, err := cluster.Ask(b.Context(), to, get{})
				mustDo(b, err)
			}
		})
		for _, tell := range []bool{false, true} {
			b.Run(fmt.Sprintf("256InFlight/%s/tell=%v", name, tell), func(b *testing.B) {
				slots := make(chan struct{}, 256)
				b.ReportAllocs()
				for n := 1; b.Loop(); n++ {
					// A tell is answered before it is handled. An ask now and then keeps what
					// waits below 256 + 512, under the 1,024 of the mailbox.
					if tell && n%512 == 0 {
						_, err := cluster.Ask(b.Context(), to, get{})
						mustDo(b, err)
					}
					slots <- struct{}{}
					done := func(err error) {
						if err != nil {
							b.Error(err)
						}
						<-slots
					}
					deadline := time.Now().Add(time.Minute)
					if tell {
						cluster.GoTell(deadline, to, add{1}, done)
					} else {
						cluster.Go(deadline, to, get{}, func(_ any, err error) { done(err) })
					}
				}
				for range cap(slots) {
					slots <- struct{}{}
				}
			})
		}
	}
}

// keyOn finds a counter that is, or is not, on a node.
func keyOn(b *testing.B, m *member, on bool) kinds.Address {
	b.Helper()
	for i := range 1000 {
		to := at(fmt.Sprintf("probe-%v-%d", on, i))
		mustDo(b, m.node.Cluster().Tell(b.Context(), to, add{1}))
		if _, here := m.node.Loaded(to.String()); here == on {
			return to
		}
	}
	b.Fatal("no such key")
	return kinds.Address{}
}
