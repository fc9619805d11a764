package energy

import (
	"crypto/rand"
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// shard owns the providers whose id is its number modulo the count of shards. It takes
// registrations, judges the signatures of all readings that wait as one batch, and hands
// what is about one provider to that provider's actor, a child.
type shard struct {
	deps
	durable.Seat
	durable.Proposer[*Register]
	durable.Children

	keys    keys
	batch   signing.Batch
	waiting []*Report // for their signatures to be judged
	claims  []signing.Claim
}

func newShard(d deps, id messages.ShardID) *shard {
	seat := d.seat(id)
	return &shard{deps: d, Seat: seat, Children: durable.NewChildren(seat, &oracles), keys: newKeys()}
}

// judge says that the signatures of the readings that wait are to be judged. It stands
// behind them in the mailbox, so that a burst is one batch and a single reading does not
// wait.
type judge struct{}

// waitingMax is how many reports are collected; then they are judged at once.
const waitingMax = 512

// Start implements durable.Actor.
func (s *shard) Start(ctx durable.Context) error {
	s.Attach(s.Host, ctx.Self())
	return nil
}

// FailPending implements durable.Actor.
func (s *shard) FailPending() {
	s.FailProposed(func(r *Register) { r.Fail(durable.OutcomeUnknown()) })
	for _, r := range s.waiting {
		r.Fail(messages.Errorf(messages.CodeUnavailable, "not done: shard %d restarts", s.Shard))
	}
	s.waiting = nil
	s.FailParked()
}

// Drained implements durable.Actor.
func (s *shard) Drained() bool { return s.InFlight() == 0 && len(s.waiting) == 0 && !s.Parked() }

// Receive implements durable.Actor.
func (s *shard) Receive(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case *Report:
		return s.collect(ctx, msg)
	case judge:
		return s.judge(ctx)
	case Command:
		s.forward(ctx, msg)
	case *Register:
		s.admit(msg)
	case durable.Outcomes:
		return s.ApplyOutcomes(msg, func(r *Register, o persistence.Outcome) error {
			r.conclude(o)
			return nil
		})
	case durable.Ended:
		for _, c := range s.Unpark(msg) {
			s.forward(ctx, c.(Command))
		}
	case durable.Activate:
		s.Activate(ctx)
	case keyChanged:
		delete(s.keys.ready, msg.provider)
	default:
		return fmt.Errorf("energy shard %d: unknown message %T", s.Shard, msg)
	}
	return nil
}

// admit proposes a registration.
func (s *shard) admit(r *Register) {
	fence, active := s.Fence()
	if !active {
		r.Fail(durable.NotOwner(s.Shard))
		return
	}
	txn, refusal := r.txn(s)
	if refusal != nil {
		r.Fail(refusal)
		return
	}
	txn.Fences = []persistence.ShardFence{fence}
	s.ProposeFor(&r.Request, persistence.Proposal{Txn: txn}, r)
}

// forward hands a command to its provider's actor. No actor is made for a provider that
// does not exist.
func (s *shard) forward(ctx durable.Context, c Command) {
	id := c.target()
	switch _, active := s.Fence(); {
	case !active:
		c.Base().Fail(durable.NotOwner(s.Shard))
	case uint64(id) >= s.Store.Last(TableProviders):
		refuse(c, market.UnknownProvider(id))
	default:
		s.Forward(ctx, oracleName(id), func() durable.Entity { return &oracle{deps: s.deps, id: id} }, c)
	}
}

// collect keeps a report until the burst it came with is whole.
func (s *shard) collect(ctx durable.Context, r *Report) error {
	if _, active := s.Fence(); !active {
		r.Fail(durable.NotOwner(s.Shard))
		return nil
	}
	s.waiting = append(s.waiting, r)
	if len(s.waiting) == 1 && ctx.Self().Tell(judge{}) != nil || len(s.waiting) >= waitingMax {
		return s.judge(ctx)
	}
	return nil
}

// judge judges the signatures of all that wait as one batch, and hands them on.
func (s *shard) judge(ctx durable.Context) error {
	waiting := s.waiting
	s.waiting = nil
	claims := s.claims[:0]
	for _, r := range waiting {
		key, err := s.keys.of(s.Store, r.provider)
		if err != nil {
			s.waiting = waiting // let go of them as the turn fails
			return err
		}
		if key == nil {
			continue // nobody's: forward refuses it
		}
		r.key = key.Public()
		for i := range r.readings {
			reading := &r.readings[i].Reading
			claims = append(claims, signing.Claim{Key: key, Digest: signing.ReadingDigest(reading), Signature: &reading.Signature})
		}
	}
	good := s.batch.Verify(claims, rand.Reader)
	clear(claims)
	s.claims = claims
	for _, r := range waiting {
		if r.key != (messages.PublicKey{}) {
			for i := range r.readings {
				r.readings[i].Signed, good = good[0], good[1:]
			}
		}
		s.forward(ctx, r)
	}
	return nil
}

// keysMax bounds the keys that a shard keeps ready, 1.5 KiB each.
const keysMax = 2048

// keys are the providers' keys, made ready. One that was changed is found out by the
// provider's actor, which judges again and says so.
type keys struct {
	ready map[messages.ProviderID]*signing.Key
}

func newKeys() keys { return keys{ready: make(map[messages.ProviderID]*signing.Key)} }

// of gives a provider's key, nil if there is no such provider.
func (k *keys) of(store *persistence.Store, id messages.ProviderID) (*signing.Key, error) {
	if key := k.ready[id]; key != nil {
		return key, nil
	}
	var public messages.PublicKey
	found := false
	err := store.View(func(v *persistence.View) error {
		p, _, ok, err := readProvider(v, id)
		public, found = p.Key, ok
		return err
	})
	if err != nil || !found {
		return nil, err
	}
	key, err := signing.NewKey(public)
	if err != nil {
		return nil, fmt.Errorf("provider %s: %w", id, err)
	}
	if len(k.ready) >= keysMax {
		for other := range k.ready { // any one
			delete(k.ready, other)
			break
		}
	}
	k.ready[id] = key
	return key, nil
}

// keyChanged tells a shard that the key it keeps of a provider is not in force any more.
type keyChanged struct{ provider messages.ProviderID }
