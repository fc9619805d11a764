package node

import (
	"context"
	"fmt"
	"slices"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
)

// answer is how one method is answered: bound by its domain, or delivered to an actor of
// the program's kinds.
type answer struct {
	durable.Binding
	// deliver hands a message to an actor, and does not wait.
	deliver func(*attempt)
}

// bind gives each method its answer, in the order of the methods.
func bind(n *Node) ([]answer, error) {
	byName := make(map[string]answer)
	for _, b := range slices.Concat(n.treasury.API(), n.energy.API(), n.operations.API(), n.authority.API(), n.audit.API(), n.api()) {
		byName[b.Method] = answer{Binding: b}
	}
	byName[messages.MethodActorsSend] = answer{deliver: n.deliver, Binding: durable.Binding{
		Takes: func(p messages.Params) bool { _, ok := p.(*messages.SendParams); return ok },
		Shard: func(_ string, p messages.Params) messages.ShardID { return n.kinds.Shard(p.(*messages.SendParams)) },
	}}
	methods := messages.CarriedTable().Methods()
	list := make([]answer, len(methods))
	for _, m := range methods {
		a, ok := byName[m.Name]
		switch {
		case !ok:
			return nil, fmt.Errorf("method %s is bound to nothing", m.Name)
		case !a.Takes(m.NewParams()):
			return nil, fmt.Errorf("method %s has other parameters than it is bound with", m.Name)
		}
		list[m.Index()] = a
	}
	return list, nil
}

// api binds the methods about the node and the cluster.
func (n *Node) api() []durable.Binding {
	transfer := durable.Works(messages.MethodTransferLeader,
		func(ctx context.Context, r *durable.Request, p *messages.TransferParams) (*messages.TransferResult, *messages.Error) {
			return n.transferLeader(ctx, p)
		})
	transfer.Leader = true
	return []durable.Binding{
		durable.Tells(messages.MethodClusterStatus, func(*messages.NoParams) (*messages.ClusterStatusResult, *messages.Error) {
			return n.status(), nil
		}),
		durable.Tells(messages.MethodClusterMembers, func(*messages.NoParams) (*messages.ClusterMembersResult, *messages.Error) {
			return n.members()
		}),
		durable.Reads(messages.MethodClusterPlacement, func(*messages.NoParams) (*messages.PlacementResult, *messages.Error) {
			return n.placementOf()
		}),
		durable.Works(messages.MethodClusterDrain, func(ctx context.Context, r *durable.Request, p *messages.DrainParams) (*messages.DrainResult, *messages.Error) {
			return n.drain(ctx, r, p)
		}),
		transfer,
		durable.Works(messages.MethodBackup, func(ctx context.Context, r *durable.Request, p *messages.BackupParams) (*messages.BackupResult, *messages.Error) {
			return n.backup(ctx, r, p)
		}),
		durable.Reads(messages.MethodBackups, n.backups),
		durable.Tells(messages.MethodSupervisionBreakers, n.breakers),
		durable.Tells(messages.MethodActorsTree, n.tree),
		durable.Tells(messages.MethodActorsTop, n.top),
		durable.Tells(messages.MethodActorsGet, n.actor),
		durable.Tells(messages.MethodDiscover, func(*messages.NoParams) (*messages.DiscoverResult, *messages.Error) {
			return messages.Document(), nil
		}),
	}
}

// read answers a call that reads.
func (a *answer) read(to interface {
	Reply(messages.Result)
	Fail(*messages.Error)
}, p messages.Params) {
	result, refusal := a.Read(p)
	if refusal != nil {
		to.Fail(refusal)
		return
	}
	to.Reply(result)
}
