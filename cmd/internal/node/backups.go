package node

import (
	"context"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// backup answers admin.backup: the log says that a base is wanted, and the answer comes when
// the archiver has read it back.
func (n *Node) backup(ctx context.Context, r *durable.Request, _ *messages.BackupParams) (*messages.BackupResult, *messages.Error) {
	row, ok, err := n.store.Get(archiverKey)
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	if !ok || len(row.Data) == 0 {
		return nil, messages.Errorf(messages.CodeInvalidTransition, "no node archives; start one, or more, with --backup-to URL")
	}
	txn := &persistence.Txn{Writes: []persistence.Write{{Key: wantedKey}}}
	r.Identify(txn, persistence.KeepRecent)
	result, err := persistence.Commit(ctx, n.journal, persistence.Proposal{Txn: txn})
	if refusal := durable.RefusalOf(persistence.Outcome{Result: result, Err: err}); refusal != nil {
		return nil, refusal
	}
	wanted, _, err := n.store.Get(wantedKey)
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	for {
		applied := n.store.Applied()
		state, _, err := n.archived()
		if err != nil {
			return nil, messages.Errorf(messages.CodeInternal, "%v", err)
		}
		if state.Done >= wanted.Version && len(state.Bases) > 0 {
			b := state.Bases[len(state.Bases)-1]
			return &messages.BackupResult{Target: state.Target, Base: baseInfo(b), Duplicate: result.Status == persistence.Duplicate}, nil
		}
		if n.store.Wait(ctx, applied+1) != nil {
			return nil, messages.Errorf(messages.CodeOutcomeUnknown,
				"the base was asked for, and is not there yet: admin.backups tells, and the log of %s if it cannot be made", string(row.Data))
		}
	}
}

// backups answers admin.backups.
func (n *Node) backups(*messages.NoParams) (*messages.BackupsResult, *messages.Error) {
	state, _, err := n.archived()
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	row, _, err := n.store.Get(archiverKey)
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	last, err := n.verified()
	if err != nil {
		return nil, messages.Errorf(messages.CodeInternal, "%v", err)
	}
	r := &messages.BackupsResult{Archiver: string(row.Data), Target: state.Target, VerifiedIndex: last.Index}
	if !last.At.IsZero() {
		r.VerifiedAt = uint64(last.At.Unix())
	}
	for _, b := range state.Bases {
		r.Bases = append(r.Bases, baseInfo(b))
	}
	return r, nil
}

func baseInfo(b basesLine) messages.BaseInfo {
	return messages.BaseInfo{Index: b.Index, At: uint64(b.At.Unix()), Stored: uint64(b.Stored), Held: uint64(b.Held), Digest: b.Digest}
}
