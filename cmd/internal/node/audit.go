package node

import (
	"github.com/the-block/bursar/actors/audit"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// openAudit makes the part that shows and proves what was changed.
func (n *Node) openAudit() error {
	key, err := audit.OpenKey(n.cfg.DataDir)
	if err != nil {
		return err
	}
	n.audit = audit.New(audit.Config{
		Node: n.cfg.Name, Key: key, Cluster: n.consensus.ClusterID, Concerns: concerns, Before: n.operations.Audit,
	}, n.store)
	return nil
}

// concerns reports whether a signed call names a disbursement.
func concerns(call *messages.AuditRow, id messages.DisbursementID) bool {
	_, p, _, err := wire.Open(call.Envelope)
	if err != nil {
		return false
	}
	named, ok := messages.DisbursementOf(p)
	return ok && named == id
}
