package treasury_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// seat is one node's end of a log that several nodes share: a verdict is known as soon
// as an entry is committed, and this node's Store shows it a moment later.
type seat struct {
	log *memoryLog
	lag atomic.Int64 // how long an entry takes to get here

	fsm   *persistence.FSM
	tasks sync.WaitGroup
}

func (s *seat) attach(fsm *persistence.FSM) { s.fsm = fsm }

// run applies what is committed until ctx ends.
func (s *seat) run(ctx context.Context) error {
	defer s.tasks.Wait()
	for index := uint64(0); ; {
		entry, grown := s.log.after(index)
		if entry != nil {
			time.Sleep(time.Duration(s.lag.Load()))
			index++
			if _, err := s.fsm.Apply(index, entry); err != nil {
				return err
			}
			continue
		}
		select {
		case <-grown:
		case <-ctx.Done():
			return nil
		}
	}
}

// Apply implements persistence.Log.
func (s *seat) Apply(entry []byte) persistence.Future {
	f := &remote{pending: s.log.Apply(entry).(*pending), applied: make(chan struct{})}
	s.tasks.Go(func() {
		defer close(f.applied)
		<-f.done
		if f.err == nil {
			_ = s.fsm.Store().Wait(context.Background(), f.index)
		}
	})
	return f
}

// remote is an entry that another node leads through the log.
type remote struct {
	*pending
	applied chan struct{}
}

func (f *remote) Applied() <-chan struct{} { return f.applied }

// group is several nodes' treasuries on one log. It lives in a bubble.
type group struct {
	t     testing.TB
	log   *memoryLog
	judge *persistence.Store
	nodes []*world

	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

func newGroup(t testing.TB, names ...messages.NodeID) *group {
	t.Helper()
	g := &group{t: t, log: newMemoryLog()}
	judge, err := persistence.Open(t.TempDir(), persistence.DefaultStoreConfig())
	if err != nil {
		t.Fatal(err)
	}
	g.judge = judge
	if err := g.log.attach(persistence.NewFSM(judge)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g.cancel = cancel
	g.tasks.Go(func() { g.log.run(ctx) })
	for _, name := range names {
		w := newWorld(t, func(w *world) {
			w.cfg.Node, w.log, w.seat = name, g.log, &seat{log: g.log}
		})
		g.nodes = append(g.nodes, w)
		g.tasks.Go(func() { g.keep(ctx, w) })
	}
	for shard := range g.nodes[0].cfg.Shards() {
		g.move(messages.ShardID(shard), g.nodes[0])
	}
	return g
}

// keep tells a node what it owns whenever its Store says something else, and now and
// then what it said before.
func (g *group) keep(ctx context.Context, w *world) {
	var before map[messages.ShardID]messages.Fence
	for index := uint64(1); w.store.Wait(ctx, index) == nil; index = w.store.Applied() + 1 {
		owned := make(map[messages.ShardID]messages.Fence)
		for i := range w.cfg.Shards() {
			if owner := w.store.Owner(messages.ShardID(i)); owner.Owner == w.cfg.Node {
				owned[messages.ShardID(i)] = owner.Fence
			}
		}
		w.Own(owned)
		if index%5 == 0 {
			w.Own(before)
			w.Own(owned)
		}
		before = owned
	}
}

// move makes a node the owner of a shard.
func (g *group) move(shard messages.ShardID, to *world) {
	g.t.Helper()
	entry := persistence.AppendBatch(nil, g.encode(&persistence.Txn{Assigns: []persistence.Assign{{
		Shard: shard, Owner: to.cfg.Node, From: g.judge.Owner(shard).Fence,
	}}}))
	<-g.log.Apply(entry).Done()
}

func (g *group) encode(txn *persistence.Txn) []byte {
	g.t.Helper()
	b, err := persistence.AppendTxn(nil, txn)
	if err != nil {
		g.t.Fatal(err)
	}
	return b
}

// owner is the node that owns a shard, as far as one of the nodes knows.
func (g *group) owner(shard messages.ShardID, says *world) *world {
	for _, w := range g.nodes {
		if w.cfg.Node == says.store.Owner(shard).Owner {
			return w
		}
	}
	return says
}

// errand is a request that is made at the owner of a shard until the answer is certain.
type errand struct {
	what  string
	shard func(*world) messages.ShardID
	ask   func(w *world, hows ...how) *reply
}

// insist does what a router does: it asks whom it believes to be the owner, and again
// while nothing is certain.
func (g *group) insist(e errand, id string) (any, *messages.Error) {
	for try := 0; ; try++ {
		asker := g.nodes[try%len(g.nodes)]
		got, err := e.ask(g.owner(e.shard(asker), asker), as(id), within(2*time.Second)).wait()
		switch {
		case err == nil || !uncertain(err):
			return got, err
		case err.Code == messages.CodeInternal:
			g.t.Errorf("%s: %v", e.what, err)
		case try == 10_000:
			g.t.Errorf("%s gets no certain answer: %v", e.what, err)
			return got, err
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// must insists on a result.
func must[R any](g *group, e errand, id string) R {
	g.t.Helper()
	got, err := g.insist(e, id)
	if err != nil {
		g.t.Fatalf("%s: %v", e.what, err)
	}
	return got.(R)
}

func submitting(p messages.Payload) errand {
	return errand{"submit",
		func(w *world) messages.ShardID { return w.IngressShard("any") },
		func(w *world, hows ...how) *reply { return w.submit(p, hows...) }}
}

func accruing(amount messages.Amount) errand {
	return errand{"accrue",
		func(w *world) messages.ShardID { return w.IngressShard("any") },
		func(w *world, hows ...how) *reply { return w.accrue(amount, hows...) }}
}

func advancing() errand {
	return errand{"advance",
		func(w *world) messages.ShardID { return w.ClockShard() },
		func(w *world, hows ...how) *reply { return w.advance(hows...) }}
}

func queueing(id messages.DisbursementID) errand {
	return errand{"queue",
		func(w *world) messages.ShardID { return w.QueueShard(id) },
		func(w *world, hows ...how) *reply { return w.queue(id, hows...) }}
}

func executing(id messages.DisbursementID) errand {
	return errand{"execute",
		func(w *world) messages.ShardID { return w.ExecutorShard() },
		func(w *world, hows ...how) *reply { return w.execute(id, hows...) }}
}

func rolling(id messages.DisbursementID) errand {
	return errand{"rollback",
		func(w *world) messages.ShardID { return w.ShardOf(id) },
		func(w *world, hows ...how) *reply { return w.rollback(id, "no longer wanted", hows...) }}
}

func voting(id messages.DisbursementID, v disbursement.Vote) errand {
	return errand{"vote",
		func(w *world) messages.ShardID { return w.ShardOf(id) },
		func(w *world, hows ...how) *reply { return w.vote(id, v, hows...) }}
}

// quiet lets all that goes on by itself come to rest.
func (g *group) quiet() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

// end looks at the books of every node and stops all.
func (g *group) end() {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	g.quiet()
	for _, w := range g.nodes {
		w.check()
	}
	g.cancel()
	for _, w := range g.nodes {
		w.Own(nil)
	}
	for _, w := range g.nodes {
		w.ok(w.Stop(ctx))
		w.cancel()
	}
	g.tasks.Wait()
	for _, w := range g.nodes {
		w.down(ctx)
	}
	if err := g.judge.Close(); err != nil {
		g.t.Error(err)
	}
	time.Sleep(2 * time.Second)
}

func TestShardsMoveBetweenNodesUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "n1", "n2")
		g.log.set(func(l *memoryLog) { l.delay = time.Millisecond })
		g.nodes[1].seat.lag.Store(int64(3 * time.Millisecond))
		must[*messages.AccrueResult](g, accruing(1_000_000), "grant")
		must[*messages.EpochResult](g, advancing(), "first")

		stop := make(chan struct{})
		moved := 0
		g.tasks.Go(func() {
			random := rand.New(rand.NewPCG(1, 2))
			for {
				select {
				case <-stop:
					return
				case <-time.After(time.Duration(random.IntN(20)) * time.Millisecond):
					g.move(messages.ShardID(random.IntN(g.nodes[0].cfg.Shards())), g.nodes[random.IntN(2)])
					moved++
				}
			}
		})
		var callers sync.WaitGroup
		for c := range 8 {
			callers.Go(func() {
				for i := range 60 {
					name := fmt.Sprintf("life-%d-%d", c, i)
					p := payment(10, 1)
					if i%3 == 0 {
						p = proposal(10, 1)
					}
					id := must[*messages.SubmitDisbursementResult](g, submitting(p), name).ID
					switch i % 6 {
					case 0: // a proposal, to be opened and voted on
						g.insist(queueing(id), name+"-open")
						g.insist(voting(id, ayes(messages.Operators, "ada", 500_000)), name+"-ada")
						g.insist(voting(id, ayes(messages.Builders, "bob", 400_000)), name+"-bob")
					case 1:
						g.insist(executing(id), name+"-now")
					case 2:
						g.insist(rolling(id), name+"-no")
					case 4:
						g.insist(queueing(id), name+"-pay")
					case 5:
						g.insist(advancing(), name+"-epoch")
					}
				}
			})
		}
		callers.Wait()
		close(stop)
		g.finish()
		if moved < 20 {
			t.Errorf("only %d shards were moved", moved)
		}
		g.end()
	})
}

// finish lets all lives come to their ends: whatever was taken as work and not done
// would stay behind.
func (g *group) finish() {
	g.t.Helper()
	for i := range 8 {
		must[*messages.EpochResult](g, advancing(), fmt.Sprint("finish-", i))
		g.quiet()
	}
	for _, w := range g.nodes {
		w.reach()
		final := w.Model().InState(messages.Finalized) + w.Model().InState(messages.RolledBack)
		if last := int(w.store.Last(rows.TableDisbursements)); final != last {
			g.t.Errorf("%s: of %d lives %d have ended", w.cfg.Node, last, final)
		}
	}
}

func TestNoOrderOfMovesBreaksThePromises(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		seed := rapid.Uint64().Draw(rt, "seed")
		moves := rapid.SliceOfN(rapid.Uint16(), 5, 60).Draw(rt, "moves")
		fates := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 20).Draw(rt, "fates")
		lag := rapid.IntRange(0, 40).Draw(rt, "lag")
		var failures []string
		synctest.Test(t, func(t *testing.T) {
			seen := &recorder{TB: t}
			g := newGroup(seen, "n1", "n2")
			defer func() {
				if cause := recover(); cause != nil && cause != any(abort{}) {
					panic(cause)
				}
				failures = seen.failures
			}()
			g.scenario(seed, moves, fates, lag)
			g.end()
		})
		if len(failures) > 0 {
			rt.Fatalf("%d failures, the first: %s", len(failures), failures[0])
		}
	})
}

// scenario submits, pays and rolls back while shards move and the log is not well.
func (g *group) scenario(seed uint64, moves []uint16, fates []int, lag int) {
	g.t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	g.log.set(func(l *memoryLog) { l.delay = time.Millisecond })
	must[*messages.AccrueResult](g, accruing(200), "grant") // soon used up
	must[*messages.EpochResult](g, advancing(), "first")
	for _, w := range g.nodes {
		w.seat.lag.Store(int64(random.IntN(lag+1)) * int64(time.Millisecond))
	}
	var list []fate
	for _, f := range fates {
		list = append(list, fate(f), commits)
	}
	g.log.fates(list...)
	var errands sync.WaitGroup
	for i, m := range moves {
		name := fmt.Sprint("errand-", i)
		n := random.IntN(100)
		var dep []messages.DisbursementID
		if last := g.judge.Last(rows.TableDisbursements); last > 0 && n%3 == 0 {
			dep = append(dep, messages.DisbursementID(last))
		}
		errands.Go(func() {
			got, err := g.insist(submitting(payment(messages.Amount(n+1), messages.Epoch(n%3+1), dep...)), name)
			if err != nil {
				return // its dependency was rolled back
			}
			id := got.(*messages.SubmitDisbursementResult).ID
			switch n % 5 {
			case 0:
				g.insist(rolling(id), name+"-no")
			case 1:
				g.insist(executing(id), name+"-now")
			case 2:
				g.insist(queueing(id), name+"-pay")
			case 3:
				g.insist(advancing(), name+"-epoch")
			}
		})
		g.move(messages.ShardID(int(m)%g.nodes[0].cfg.Shards()), g.nodes[int(m>>8)%2])
		time.Sleep(time.Duration(random.IntN(30)) * time.Millisecond)
	}
	errands.Wait()
	g.log.always(commits)
	time.Sleep(5 * time.Minute) // breakers close
	must[*messages.AccrueResult](g, accruing(100_000), "more")
	g.finish()
}
