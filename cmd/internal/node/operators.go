package node

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/actors/treasury/rows"
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
	if err != nil || id == 0 || id > n.store.Last(rows.TableDisbursements) {
		return false
	}
	return path == fmt.Sprintf("/treasury/shard-%02d/disbursement-%d", id%uint64(n.treasury.Config().GraphShards), id)
}
