package node

import (
	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/actors/treasury/rows"
)

// openOperations makes the part through which operators act on actors.
func (n *Node) openOperations() (err error) {
	n.operations, err = operations.New(operations.Config{
		Node: n.cfg.Name, FaultInjection: n.cfg.FaultInjection, Known: n.canHave,
		Kinds: append(n.kinds.Names(), "disbursement", "oracle"), // those that may come later
	}, n.system, n.store, n.journal)
	return err
}

// canHave reports whether there can be an actor with this path: one that is loaded, one of
// the program's kinds, or that of a disbursement or an oracle there is.
func (n *Node) canHave(path string) bool {
	if _, loaded := n.system.Lookup(path); loaded {
		return true
	}
	if to, below := kindAt(path); below {
		return n.kinds.CanHave(to)
	}
	if n.energy.CanHave(path) {
		return true
	}
	id, ok := n.treasury.DisbursementAt(path)
	return ok && uint64(id) <= n.store.Last(rows.TableDisbursements)
}
