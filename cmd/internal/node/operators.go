package node

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/messages"
)

// openOperations makes the part through which operators act on actors.
func (n *Node) openOperations() (err error) {
	n.operations, err = operations.New(operations.Config{
		Node: n.cfg.Name, FaultInjection: n.cfg.FaultInjection, Known: n.canHave,
		Kinds: append(n.kinds.Names(), "disbursement"), // those that may come later
	}, n.system, n.store, n.journal)
	return err
}

// canHave reports whether there can be an actor with this path: one that is loaded, one of
// the program's kinds, or that of a disbursement there is.
func (n *Node) canHave(path string) bool {
	if _, loaded := n.system.Lookup(path); loaded {
		return true
	}
	if to, below := kindAt(path); below {
		return n.kinds.CanHave(to)
	}
	_, text, _ := strings.Cut(path, "/disbursement-")
	id, err := strconv.ParseUint(text, 10, 64)
	if err != nil || id == 0 || id > n.store.Last(treasury.TableDisbursements) {
		return false
	}
	return path == fmt.Sprintf("/treasury/shard-%02d/disbursement-%d", id%uint64(n.treasury.Config().GraphShards), id)
}

// operators are the answers of the methods by which operators act on actors.
func (n *Node) operators() map[string]answer {
	onPath := func(do func(context.Context, operations.Caller, string) (*messages.ForceResult, *messages.Error)) answer {
		return operate(n, func(ctx context.Context, c operations.Caller, p *messages.PathParams) (*messages.ForceResult, *messages.Error) {
			return do(ctx, c, p.Path)
		})
	}
	transfer := operate(n, n.transferLeader)
	transfer.byLeader = true
	return map[string]answer{
		messages.MethodForceOpen:      onPath(n.operations.ForceOpen),
		messages.MethodForceClose:     onPath(n.operations.ForceClosed),
		messages.MethodReset:          onPath(n.operations.Reset),
		messages.MethodInject:         operate(n, n.operations.Inject),
		messages.MethodClusterDrain:   operate(n, n.drain),
		messages.MethodTransferLeader: transfer,
		messages.MethodAudit: query(func(p *messages.PageParams) (*messages.AuditResult, *messages.Error) {
			return n.operations.Audit(p.Page)
		}),
	}
}

// operate is the answer of a method that waits for the log. Each call has a worker of
// its own, so that no other waits with it.
func operate[P messages.Params, R any](n *Node, do func(context.Context, operations.Caller, P) (R, *messages.Error)) answer {
	one := func(attempts []*attempt) {
		a := attempts[0]
		c := a.call
		ctx, cancel := context.WithDeadline(context.Background(), c.Deadline)
		defer cancel()
		result, refusal := do(ctx, operations.Caller{
			Who: c.Peer.Addr, RequestID: c.RequestID, Stamped: c.Stamped, Hash: c.Method.PayloadHash(c.Params),
		}, c.Params.(P))
		if refusal != nil {
			a.Fail(refusal)
			return
		}
		a.Reply(result)
	}
	return answer{takes: takes[P], order: func(a *attempt) { work(n.service, []*attempt{a}, one) }}
}
