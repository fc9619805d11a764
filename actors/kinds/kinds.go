package kinds

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// Kinds are the actors of a program's kinds on one node.
type Kinds struct {
	shards  int
	cluster *Cluster
	system  *actors.System
	root    actors.Ref
	owned   atomic.Pointer[fences]
}

// fences are those of the shards that this node owns.
type fences map[messages.ShardID]messages.Fence

// New starts the parents of the given kinds in system; keys are spread over so many
// shards, of which this node owns none until Own.
func New(list []Kind, shards int, system *actors.System, router Router) (*Kinds, error) {
	if err := check(list); err != nil {
		return nil, err
	}
	cluster := &Cluster{kinds: make(map[string]*Kind, len(list)), router: router}
	k := &Kinds{shards: shards, cluster: cluster, system: system}
	k.owned.Store(new(fences))
	if len(list) == 0 {
		return k, nil
	}
	root := actors.Spec{Name: Root[1:], New: func() actors.Actor { return idle{} }}
	for i := range list {
		cluster.kinds[list[i].Name] = &list[i]
		root.Children = append(root.Children, k.parentSpec(&list[i]))
	}
	var err error
	if k.root, err = system.Spawn(root); err != nil {
		return nil, err
	}
	return k, nil
}

// parentSpec describes the parent of a kind's actors.
func (k *Kinds) parentSpec(kind *Kind) actors.Spec {
	return actors.Spec{
		Name: kind.Name, Kind: "kind", MailboxLimit: parentLimit, Supervision: kind.Supervision,
		New: func() actors.Actor { return &parent{kinds: k, kind: kind} },
	}
}

// parentLimit bounds the messages of a kind that wait to be handed to its actors.
const parentLimit = 65_536

// Cluster reaches the actors of all kinds.
func (k *Kinds) Cluster() *Cluster { return k.cluster }

// Names lists the kinds.
func (k *Kinds) Names() []string { return slices.Sorted(maps.Keys(k.cluster.kinds)) }

// CanHave reports whether there can be an actor with this address.
func (k *Kinds) CanHave(to Address) bool {
	_, refusal := k.cluster.kind(to)
	return refusal == nil
}

// Shard is the shard whose owner a message is delivered on.
func (k *Kinds) Shard(p *messages.SendParams) messages.ShardID {
	return ShardOf(Address{p.Kind, p.Key}, k.shards)
}

// Own says which shards this node owns, by which fence. Actors of a shard that it owns no
// more, or anew, finish what they have accepted and end: another node may have had the
// shard in between.
func (k *Kinds) Own(owned map[messages.ShardID]messages.Fence) {
	next := fences(owned)
	k.owned.Store(&next)
	for _, name := range k.Names() {
		_ = k.parent(name).TellInternal(ownersChanged{})
	}
}

// parent is the actor above a kind's, or the zero Ref, which refuses.
func (k *Kinds) parent(kind string) actors.Ref {
	ref, _ := k.system.Lookup(Root + "/" + kind)
	return ref
}

// Replier is who gets the answer to a message: exactly one of both is called, once.
type Replier interface {
	Reply(result any)
	Fail(err *messages.Error)
}

// Deliver gives a message to its actor, which it loads if need be. It does not wait; the
// Replier has its answer at the deadline at the latest.
func (k *Kinds) Deliver(p *messages.SendParams, deadline time.Time, to Replier) {
	kind, refusal := k.cluster.kind(Address{p.Kind, p.Key})
	if refusal != nil {
		to.Fail(refusal)
		return
	}
	msg, err := kind.decode(p.Message)
	if err != nil {
		to.Fail(messages.Errorf(messages.CodeValidationFailed, "/kinds/%s cannot read a message: %v", p.Kind, err))
		return
	}
	a := &answering{kind: kind, to: to}
	giveUp, err := k.parent(p.Kind).AskFunc(delivery{key: p.Key, tell: p.Tell, msg: msg}, a.answer)
	if err != nil {
		to.Fail(refusalOf(err))
		return
	}
	a.until(deadline, giveUp)
}

// Stop lets the actors finish what they have accepted, and ends them.
func (k *Kinds) Stop(ctx context.Context) error { return k.root.Stop(ctx) }

// answering is the way of one answer back.
type answering struct {
	kind     *Kind
	to       Replier
	answered atomic.Bool
	late     atomic.Pointer[time.Timer]
}

// until answers at the deadline if nobody else has.
func (a *answering) until(deadline time.Time, giveUp func() bool) {
	late := time.AfterFunc(time.Until(deadline), func() {
		if giveUp() {
			a.to.Fail(messages.Errorf(messages.CodeOutcomeUnknown, "the actor had the message and has not replied in time"))
		}
	})
	if a.late.Store(late); a.answered.Load() {
		late.Stop()
	}
}

// answer passes on what the actor replied.
func (a *answering) answer(reply any, err error) {
	a.answered.Store(true)
	if late := a.late.Load(); late != nil {
		late.Stop()
	}
	if err != nil {
		a.to.Fail(refusalOf(err))
		return
	}
	if _, told := reply.(accepted); told {
		a.to.Reply(new(messages.SendResult))
		return
	}
	b, err := a.kind.encode(reply)
	if err != nil {
		a.to.Fail(messages.Errorf(messages.CodeOutcomeUnknown, "the actor's reply cannot be sent: %v", err))
		return
	}
	a.to.Reply(&messages.SendResult{Reply: b})
}
