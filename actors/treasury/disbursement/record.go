package disbursement

import (
	"github.com/the-block/bursar/messages"
)

// TagStaged is the Tag of a record with a staged intent. All other Tags are the
// byte of the record's state.
const TagStaged = byte(messages.RolledBack) + 1

// Hash is the SHA-256 of a transaction. The zero value is no transaction.
type Hash [32]byte

// Record is everything stored about one disbursement but its id, which is the
// key it is stored under. Times are Unix seconds.
//
// Of the fields that belong to a state, those the record has not reached are
// zero; those it has left are kept.
type Record struct {
	State messages.State
	// Staged is set while an intent of this record is with the submitter: State
	// is what it was before, and only the intent's outcome moves it.
	Staged bool
	// Payload is what was submitted. Proposal.Deps is nil: Deps stands for it.
	Payload messages.Payload
	// Deps are the canonical dependencies, ascending. In a plan that is not yet
	// committed the last of them may be placeholders, which sort after every id.
	Deps []messages.DisbursementID

	CreatedAt    uint64
	CreatedEpoch messages.Epoch

	VoteDeadlineEpoch messages.Epoch // voting: votes count before it
	Votes             []Vote
	ActivationEpoch   messages.Epoch // queued: when the timelock ends
	ReadyEpoch        messages.Epoch // timelocked: from when on it may be executed
	ExecutedEpoch     messages.Epoch // executed: the rollback window starts here

	// Nonce and TxHash name the transaction that pays, or was last tried.
	Nonce  uint64
	TxHash Hash
	// Outside says that an outside chain took the transaction: the record is final only
	// when that chain has confirmed it.
	Outside bool

	Reason string // rolled_back: why
	// Root is the disbursement whose rollback started the cascade that took this
	// one along; 0 if it was not a cascade.
	Root messages.DisbursementID
	// ReversingTx names the outside transfer that returned the amount.
	ReversingTx string

	// Transitions holds every state entered, draft first, State last.
	Transitions []Transition
}

// Transition is one step of a life.
type Transition struct {
	State messages.State
	At    uint64
	Epoch messages.Epoch // the treasury's, as its proposer knew it
	// Index is the position in the log of the entry that committed it; 0 until it is.
	Index uint64
	Node  messages.NodeID // who proposed it
}

// New gives the draft that a checked payload starts as. deps are its canonical
// dependencies as Check gives them, with whatever a plan adds.
func New(p messages.Payload, deps []messages.DisbursementID, f Facts) Record {
	if p.Proposal != nil {
		proposal := *p.Proposal
		proposal.Deps = nil
		p.Proposal = &proposal
	}
	return Record{
		State:        messages.Draft,
		Payload:      p,
		Deps:         deps,
		CreatedAt:    f.Now,
		CreatedEpoch: f.Epoch,
		Transitions:  []Transition{{State: messages.Draft, At: f.Now, Epoch: f.Epoch, Node: f.Node}},
	}
}

// Tag is the byte the Store keeps beside the record's value.
func (r *Record) Tag() byte {
	if r.Staged {
		return TagStaged
	}
	return byte(r.State)
}

// TreasuryInitiated reports whether there was no proposal.
func (r *Record) TreasuryInitiated() bool { return r.Payload.Proposal == nil }

// AwaitsExecution reports whether the next step is the executor's.
func (r *Record) AwaitsExecution() bool {
	return !r.Staged && (r.State == messages.Timelocked || r.State == messages.Draft && r.TreasuryInitiated())
}

// AwaitsChain reports whether the record is paid by a transaction that the outside chain
// can still lose. confirmed is its newest nonce that is final.
func (r *Record) AwaitsChain(confirmed uint64) bool {
	return r.State == messages.Executed && r.Outside && r.Nonce > confirmed
}

// RollbackWindow is how many epochs an execution can be rolled back.
func (r *Record) RollbackWindow() messages.Epoch {
	if p := r.Payload.Proposal; p != nil {
		return p.RollbackWindowEpochs
	}
	return messages.DefaultRollbackWindowEpochs
}

// Entered gives the transition into a state, if there was one.
func (r *Record) Entered(state messages.State) (Transition, bool) {
	for _, t := range r.Transitions {
		if t.State == state {
			return t, true
		}
	}
	return Transition{}, false
}

// PriorTx is the transaction that had paid a disbursement that was rolled back.
func (r *Record) PriorTx() (Hash, bool) {
	_, executed := r.Entered(messages.Executed)
	return r.TxHash, executed && r.State == messages.RolledBack
}

// RootOr is the root that a cascade through this record names: its own root, or
// the record itself, whose id is given.
func (r *Record) RootOr(id messages.DisbursementID) messages.DisbursementID {
	if r.Root != 0 {
		return r.Root
	}
	return id
}
