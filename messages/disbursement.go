package messages

// Payload is what a caller submits: who is paid how much and when, and, unless
// the treasury itself initiates it, the proposal to be voted on.
type Payload struct {
	// Proposal is nil for a treasury-initiated disbursement (absent, null or {}
	// on the wire).
	Proposal     *Proposal
	Disbursement Disbursement
}

// Proposal is what the two houses vote on. The windows are in epochs; a decoder
// fills in the defaults for fields that are absent, never for an explicit 0.
type Proposal struct {
	Title                string           `msgpack:"title"`
	Summary              string           `msgpack:"summary"`
	Deps                 []DisbursementID `msgpack:"deps"`
	Attachments          []Attachment     `msgpack:"attachments"`
	Quorum               Quorum           `msgpack:"quorum"`
	VoteWindowEpochs     Epoch            `msgpack:"vote_window_epochs"`
	TimelockEpochs       Epoch            `msgpack:"timelock_epochs"`
	RollbackWindowEpochs Epoch            `msgpack:"rollback_window_epochs"`
}

// Defaults of a proposal's windows, in epochs.
const (
	DefaultVoteWindowEpochs     Epoch = 4
	DefaultTimelockEpochs       Epoch = 2
	DefaultRollbackWindowEpochs Epoch = 1
)

// Attachment points at a document beside a proposal.
type Attachment struct {
	Name string `msgpack:"name"`
	URI  string `msgpack:"uri"`
}

// Quorum is the approval each house must reach, in parts per million.
type Quorum struct {
	OperatorsPPM PPM `msgpack:"operators_ppm"`
	BuildersPPM  PPM `msgpack:"builders_ppm"`
}

// Disbursement is the payment itself.
type Disbursement struct {
	Destination      string
	Amount           Amount
	Memo             string
	ScheduledEpoch   Epoch
	ExpectedReceipts []Receipt
}

// Receipt is one share of a disbursement that its payee is expected to confirm.
type Receipt struct {
	Account string `msgpack:"account"`
	Amount  Amount `msgpack:"amount"`
}
