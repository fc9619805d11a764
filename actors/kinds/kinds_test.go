package kinds_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/values"
)

// What the actors of these tests are told.
type (
	add   struct{ N int }
	never struct{} // is not replied
	sleep struct{ For time.Duration }
	big   struct{ Bytes []byte }
	deny  struct{}
)

// adder replies the sum so far.
type adder struct{ sum int }

func (a *adder) Receive(ctx *actors.Context, msg any) error {
	switch m := msg.(type) {
	case add:
		a.sum += m.N
		ctx.Reply(a.sum)
	case never:
		ctx.Replier()
	case sleep:
		asker := ctx.Replier()
		time.AfterFunc(m.For, func() { asker.Reply(a.sum) })
	case big:
		ctx.Reply(m)
	case deny:
		ctx.Reply(messages.Errorf(messages.CodeInvalidTransition, "not now"))
	}
	return nil
}

// here is a Router for a lone node: it delivers at once.
type here struct{ kinds *kinds.Kinds }

func (h *here) Route(p *messages.SendParams, deadline time.Time, done func([]byte, *messages.Error)) {
	h.kinds.Deliver(p, deadline, replier(done))
}

type replier func([]byte, *messages.Error)

func (r replier) Reply(result any)         { r(result.(*messages.SendResult).Reply, nil) }
func (r replier) Fail(err *messages.Error) { r(nil, err) }

const shards = 64

// every is all shards under one fence.
func every(fence messages.Fence) map[messages.ShardID]messages.Fence {
	owned := make(map[messages.ShardID]messages.Fence, shards)
	for s := range messages.ShardID(shards) {
		owned[s] = fence
	}
	return owned
}

func codec(t *testing.T) kinds.Codec {
	t.Helper()
	c, err := values.New(0, add{}, never{}, sleep{}, big{}, deny{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// lone runs a scenario on one node that owns everything, in virtual time.
func lone(t *testing.T, change func(*kinds.Kind), scenario func(*testing.T, *actors.System, *kinds.Kinds)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		system, err := actors.New(actors.DefaultConfig(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := system.Stop(context.Background()); err != nil {
				t.Error(err)
			}
		}()
		kind := kinds.Kind{Name: "adder", Codec: codec(t), New: func(*kinds.Seat) actors.Actor { return new(adder) }}
		if change != nil {
			change(&kind)
		}
		router := new(here)
		if router.kinds, err = kinds.New([]kinds.Kind{kind}, shards, system, router); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		router.kinds.Own(every(1))
		scenario(t, system, router.kinds)
	})
}

func at(key string) kinds.Address { return kinds.Address{Kind: "adder", Key: key} }

func sum(t *testing.T, k *kinds.Kinds, key string, n int) int {
	t.Helper()
	got, err := kinds.Ask[int](t.Context(), k.Cluster(), at(key), add{n})
	if err != nil {
		t.Errorf("%s: %v", key, err)
	}
	return got
}

func codeOf(err error) messages.Code {
	var refusal *messages.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	return 0
}

func TestAnActorIsLoadedAtItsFirstMessageAndKeepsItsState(t *testing.T) {
	lone(t, nil, func(t *testing.T, system *actors.System, k *kinds.Kinds) {
		if _, loaded := system.Lookup("/kinds/adder/ada"); loaded {
			t.Error("loaded before its first message")
		}
		if err := k.Cluster().Tell(t.Context(), at("ada"), add{2}); err != nil {
			t.Error(err)
		}
		if got := sum(t, k, "ada", 3); got != 5 {
			t.Errorf("ada has %d, want 5", got)
		}
		if got := sum(t, k, "bob", 1); got != 1 {
			t.Errorf("bob has %d, want 1", got)
		}
	})
}

// Another node may have had the shard in between: what is in memory is old then.
func TestAnActorEndsWithTheFenceOfItsShard(t *testing.T) {
	lone(t, nil, func(t *testing.T, system *actors.System, k *kinds.Kinds) {
		sum(t, k, "ada", 7)
		sum(t, k, "bob", 7)
		owned := every(1)
		owned[kinds.ShardOf(at("ada"), shards)] = 3
		k.Own(owned)
		synctest.Wait()
		if ada, bob := sum(t, k, "ada", 1), sum(t, k, "bob", 1); ada != 1 || bob != 8 {
			t.Errorf("ada has %d, want 1; bob has %d, want 8", ada, bob)
		}
		k.Own(nil)
		synctest.Wait()
		if _, loaded := system.Lookup("/kinds/adder/bob"); loaded {
			t.Error("an actor outlives the ownership of its shard")
		}
		if err := k.Cluster().Tell(t.Context(), at("bob"), add{1}); codeOf(err) != messages.CodeUnavailable {
			t.Errorf("a shard that is not owned: %v, want unavailable", err)
		}
	})
}

func TestMessagesOfOneSenderArriveInTheirOrder(t *testing.T) {
	lone(t, func(k *kinds.Kind) {
		k.New = func(*kinds.Seat) actors.Actor { return new(ordered) }
	}, func(t *testing.T, _ *actors.System, k *kinds.Kinds) {
		for i := range 500 { // the first of them load the actor
			k.Cluster().GoTell(time.Now().Add(time.Minute), at("ada"), add{i}, func(err error) {
				if err != nil {
					t.Error(err)
				}
			})
		}
		if next := sum(t, k, "ada", 500); next != 501 {
			t.Errorf("%d came in order, want 501", next)
		}
	})
}

// ordered counts messages that come in order.
type ordered struct{ next int }

func (o *ordered) Receive(ctx *actors.Context, msg any) error {
	if msg.(add).N == o.next {
		o.next++
	}
	ctx.Reply(o.next)
	return nil
}

func TestEveryAskIsAnsweredByItsDeadline(t *testing.T) {
	lone(t, nil, func(t *testing.T, _ *actors.System, k *kinds.Kinds) {
		for _, c := range []struct {
			msg  any
			took time.Duration
			code messages.Code
		}{
			{sleep{time.Second}, time.Second, 0},
			{sleep{time.Minute}, 2 * time.Second, messages.CodeOutcomeUnknown},
			{never{}, 2 * time.Second, messages.CodeOutcomeUnknown},
			{deny{}, 0, messages.CodeInvalidTransition},
		} {
			begun := time.Now()
			answers := 0
			k.Cluster().Go(begun.Add(2*time.Second), at("ada"), c.msg, func(_ any, err error) {
				answers++
				if took := time.Since(begun); codeOf(err) != c.code || took != c.took {
					t.Errorf("%#v: %v after %v, want %v after %v", c.msg, err, took, c.code, c.took)
				}
			})
			time.Sleep(time.Hour)
			synctest.Wait()
			if answers != 1 {
				t.Errorf("%#v: %d answers", c.msg, answers)
			}
		}
	})
}

// A message whose sender has given up is not begun.
func TestWhatCameTooLateIsSkipped(t *testing.T) {
	lone(t, nil, func(t *testing.T, system *actors.System, k *kinds.Kinds) {
		sum(t, k, "ada", 1)
		if err := system.Inject(actors.Fault{Path: "/kinds/adder/ada", Mode: actors.FaultStall, Delay: time.Minute, Times: 1}); err != nil {
			t.Fatal(err)
		}
		if err := k.Cluster().Tell(t.Context(), at("ada"), add{10}); err != nil { // stalls
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := k.Cluster().Ask(ctx, at("ada"), add{100}); err == nil {
			t.Error("answered by an actor that stalls")
		}
		time.Sleep(time.Hour)
		if got := sum(t, k, "ada", 1000); got != 1011 {
			t.Errorf("got %d, want 1011", got)
		}
	})
}

func TestWhatCannotBeSentIsRefused(t *testing.T) {
	lone(t, nil, func(t *testing.T, _ *actors.System, k *kinds.Kinds) {
		for name, c := range map[string]struct {
			to  kinds.Address
			msg any
		}{
			"a type the codec has not": {at("ada"), "text"},
			"too long":                 {at("ada"), big{make([]byte, kinds.MessageBytesMax)}},
			"no key":                   {at(""), add{}},
			"a slash in the key":       {at("a/b"), add{}},
			"a line end in the key":    {at("a\n"), add{}},
			"a key too long":           {at(strings.Repeat("k", 129)), add{}},
		} {
			if _, err := k.Cluster().Ask(t.Context(), c.to, c.msg); codeOf(err) != messages.CodeValidationFailed {
				t.Errorf("%s: %v, want validation_failed", name, err)
			}
		}
		if err := k.Cluster().Tell(t.Context(), kinds.Address{Kind: "none", Key: "a"}, add{}); codeOf(err) != messages.CodeNotFound {
			t.Errorf("an unknown kind: %v, want not_found", err)
		}
	})
}

// faulty is a codec whose Decode does what the test wants.
type faulty struct {
	kinds.Codec
	decode func([]byte) (any, error)
}

func (f faulty) Decode(b []byte) (any, error) { return f.decode(b) }

func TestACodecThatPanicsHarmsNobody(t *testing.T) {
	for name, decode := range map[string]func([]byte) (any, error){
		"panics": func([]byte) (any, error) { panic("decode") },
		"fails":  func([]byte) (any, error) { return nil, errors.New("decode") },
	} {
		lone(t, func(k *kinds.Kind) { k.Codec = faulty{k.Codec, decode} }, func(t *testing.T, _ *actors.System, k *kinds.Kinds) {
			if err := k.Cluster().Tell(t.Context(), at("ada"), add{1}); codeOf(err) != messages.CodeValidationFailed {
				t.Errorf("%s: %v, want validation_failed", name, err)
			}
		})
	}
}

func TestAFullMailboxRefusesAndFailuresStaySmall(t *testing.T) {
	lone(t, func(k *kinds.Kind) { k.MailboxLimit = 3 }, func(t *testing.T, system *actors.System, k *kinds.Kinds) {
		if err := system.Inject(actors.Fault{Path: "/kinds/adder/ada", Mode: actors.FaultStall, Delay: time.Minute, Times: 1}); err != nil {
			t.Fatal(err)
		}
		refused := 0
		for range 5 {
			if codeOf(k.Cluster().Tell(t.Context(), at("ada"), add{1})) == messages.CodeOverloaded {
				refused++
			}
		}
		if refused != 2 {
			t.Errorf("%d refused of 5 for a mailbox of 3, want 2", refused)
		}
		if err := system.Inject(actors.Fault{Path: "/kinds/adder/bob", Mode: actors.FaultPanic, Times: 1}); err != nil {
			t.Fatal(err)
		}
		if _, err := k.Cluster().Ask(t.Context(), at("bob"), add{1}); codeOf(err) != messages.CodeInternal {
			t.Errorf("an actor that panics: %v, want internal", err)
		}
		if got := sum(t, k, "bob", 4); got != 4 {
			t.Errorf("made anew it has %d, want 4", got)
		}
	})
}

func TestKindsThatCannotBeAreRefused(t *testing.T) {
	actor := func(*kinds.Seat) actors.Actor { return new(adder) }
	var many []kinds.Kind
	for i := range kinds.KindsMax + 1 {
		many = append(many, kinds.Kind{Name: fmt.Sprintf("k%d", i), New: actor, Codec: codec(t)})
	}
	for want, list := range map[string][]kinds.Kind{
		"17 are more than 16":                 many,
		`"Counter" is not 1 to 32 lower-case`: {{Name: "Counter", New: actor, Codec: codec(t)}},
		"two of the name k0":                  {many[0], many[0]},
		"counter needs New and Codec":         {{Name: "counter", New: actor}},
	} {
		if _, err := kinds.New(list, shards, nil, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// Nodes of different versions must agree where an actor lives.
func TestTheShardOfAnAddressNeverChanges(t *testing.T) {
	for to, want := range map[kinds.Address]messages.ShardID{
		{Kind: "counter", Key: "ada"}: 0, {Kind: "counter", Key: "bob"}: 31, {Kind: "c", Key: "é"}: 31,
	} {
		if got := kinds.ShardOf(to, shards); got != want {
			t.Errorf("%v is of shard %d, want %d", to, got, want)
		}
	}
}
