package energy

import (
	"crypto/rand"
	"fmt"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// verifier judges the signatures of all readings that reach this node, whatever their
// shards: those that wait are one batch, which costs a third of judging each alone. Then it
// hands them on to their shards.
type verifier struct {
	deps
	self durable.Ref

	keys    keys
	batch   signing.Batch
	waiting []*Report
	claims  []signing.Claim
}

func newVerifier(d deps) *verifier { return &verifier{deps: d, keys: newKeys()} }

// judge says that the signatures of the readings that wait are to be judged. It stands
// behind them in the mailbox, so that a burst is one batch and a single reading does not
// wait.
type judge struct{}

// waitingMax is how many reports are collected; then they are judged at once.
const waitingMax = 512

// Start implements durable.Actor.
func (v *verifier) Start(ctx durable.Context) error {
	v.self = ctx.Self()
	return nil
}

// FailPending implements durable.Actor.
func (v *verifier) FailPending() {
	for _, r := range v.waiting {
		r.Fail(messages.Errorf(messages.CodeUnavailable, "not done: the judge of signatures restarts"))
	}
	v.waiting = nil
}

// Drained implements durable.Actor.
func (v *verifier) Drained() bool { return len(v.waiting) == 0 }

// Receive implements durable.Actor.
func (v *verifier) Receive(_ durable.Context, msg any) error {
	switch msg := msg.(type) {
	case *Report:
		v.waiting = append(v.waiting, msg)
		if len(v.waiting) == 1 && v.self.Tell(judge{}) != nil || len(v.waiting) >= waitingMax {
			return v.judge()
		}
	case judge:
		return v.judge()
	case keyChanged:
		delete(v.keys.ready, msg.provider)
	default:
		return fmt.Errorf("judge of signatures: unknown message %T", msg)
	}
	return nil
}

// judge judges the signatures of all that wait as one batch, and hands them on. Those of a
// provider that this node does not know yet are its actor's to judge.
func (v *verifier) judge() error {
	claims := v.claims[:0]
	for _, r := range v.waiting {
		key, err := v.keys.of(v.host.Store, r.provider)
		if err != nil {
			return err
		}
		if key == nil {
			continue
		}
		r.key = key.Public()
		for i := range r.readings {
			reading := &r.readings[i].Reading
			claims = append(claims, signing.Claim{Key: key, Digest: signing.ReadingDigest(reading), Signature: &reading.Signature})
		}
	}
	good := v.batch.Verify(claims, rand.Reader)
	clear(claims)
	v.claims = claims
	for i, r := range v.waiting {
		if r.key != (messages.PublicKey{}) {
			for i := range r.readings {
				r.readings[i].Signed, good = good[0], good[1:]
			}
		}
		if err := v.host.Send(v.shardOf(r.provider), r); err != nil {
			r.Undelivered(err)
		}
		v.waiting[i] = nil
	}
	v.waiting = v.waiting[:0]
	return nil
}

// keysMax bounds the keys that are kept ready, 1.5 KiB each.
const keysMax = 32 << 10

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

// keyChanged says that the key that is kept of a provider is not in force any more.
type keyChanged struct{ provider messages.ProviderID }
