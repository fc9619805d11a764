package market

import "github.com/the-block/bursar/messages"

// Dispute says that a reading is doubted. Its id is the log's to give.
type Dispute struct {
	Hash     messages.MeterHash
	Provider messages.ProviderID
	Type     DisputeType
	Reason   string
	Reporter string
	RaisedAt uint64
	Status   DisputeStatus

	Resolver   string
	Note       string
	ResolvedAt uint64
}

// ReporterMarket is the reporter of a dispute that the market raised by itself.
const ReporterMarket = "~market"

// DisputeType says what is doubted.
type DisputeType byte

// The types.
const (
	LowReading DisputeType = iota + 1
	OutlierDetected
	ConsensusGap
	OtherDispute
)

var disputeTypes = [...]string{LowReading: "low_reading", OutlierDetected: "outlier_detected",
	ConsensusGap: "consensus_gap", OtherDispute: "other"}

// String gives the type as it is written on the wire.
func (t DisputeType) String() string { return nameOf(disputeTypes[:], int(t)) }

// ParseDisputeType reads a type.
func ParseDisputeType(name string) (DisputeType, *messages.Error) {
	i := find(disputeTypes[:], name)
	if i < 0 {
		return 0, invalid("type must be low_reading, outlier_detected, consensus_gap or other")
	}
	return DisputeType(i), nil
}

// DisputeStatus is a dispute's state: open, or its outcome.
type DisputeStatus byte

// The states.
const (
	DisputeOpen DisputeStatus = iota + 1
	DisputeResolved
	DisputeEscalated
	DisputeSlashed
)

var disputeStatuses = [...]string{DisputeOpen: "open", DisputeResolved: "resolved",
	DisputeEscalated: "escalated", DisputeSlashed: "slashed"}

// String gives the state as it is written on the wire.
func (s DisputeStatus) String() string { return nameOf(disputeStatuses[:], int(s)) }

// ParseOutcome reads an outcome.
func ParseOutcome(name string) (DisputeStatus, *messages.Error) {
	i := find(disputeStatuses[:], name)
	if i <= int(DisputeOpen) {
		return 0, invalid("outcome must be resolved, escalated or slashed")
	}
	return DisputeStatus(i), nil
}

// ParseDisputeStatus reads a state.
func ParseDisputeStatus(name string) (DisputeStatus, *messages.Error) {
	i := find(disputeStatuses[:], name)
	if i < 0 {
		return 0, invalid("status must be open, resolved, escalated or slashed")
	}
	return DisputeStatus(i), nil
}

// Flag is what raises a dispute.
type Flag struct {
	Type     DisputeType
	Reason   string
	Reporter string
}

// Raise opens a dispute about a credit, nil if nobody knows its meter_hash, and gives
// the credit as it is held from now on. One dispute of a reading is open at a time.
func Raise(f Flag, hash messages.MeterHash, credit *Credit, at Moment) (Dispute, Credit, *messages.Error) {
	if err := checkText("reason", f.Reason, ReasonBytesMax); err != nil {
		return Dispute{}, Credit{}, err
	}
	if err := checkText("reporter", f.Reporter, OwnerBytesMax); err != nil {
		return Dispute{}, Credit{}, err
	}
	if credit == nil {
		return Dispute{}, Credit{}, conflict("no reading has the meter_hash %x", hash)
	}
	if credit.Hold == HoldDisputed {
		return Dispute{}, Credit{}, conflict("a dispute about the reading %x is open", hash)
	}
	if credit.Hold == HoldVoid {
		return Dispute{}, Credit{}, conflict("the reading %x was decided: its credit is void", hash)
	}
	held := *credit
	held.Hold = HoldDisputed
	return Dispute{Hash: hash, Provider: credit.Provider, Type: f.Type, Reason: f.Reason, Reporter: f.Reporter,
		RaisedAt: at.Seconds(), Status: DisputeOpen}, held, nil
}

// Verdict is what ends a dispute.
type Verdict struct {
	Outcome  DisputeStatus
	Resolver string
	Note     string
}

// Resolve ends an open dispute and gives the credit as it is afterwards: free, held
// until another dispute about it is resolved, or void. No outcome moves money; what
// is void was never settled.
func (d Dispute) Resolve(v Verdict, credit Credit, at Moment) (Dispute, Credit, *messages.Error) {
	if err := checkText("resolver", v.Resolver, OwnerBytesMax); err != nil {
		return d, credit, err
	}
	if len(v.Note) > 0 {
		if err := checkText("note", v.Note, NoteBytesMax); err != nil {
			return d, credit, err
		}
	}
	if d.Status != DisputeOpen {
		return d, credit, conflict("the dispute is %s already", d.Status)
	}
	switch v.Outcome {
	case DisputeResolved:
		credit.Hold = HoldNone
	case DisputeEscalated:
		credit.Hold = HoldEscalated
	case DisputeSlashed:
		credit.Hold = HoldVoid
	case DisputeOpen:
		return d, credit, invalid("outcome must be resolved, escalated or slashed")
	}
	d.Status, d.Resolver, d.Note, d.ResolvedAt = v.Outcome, v.Resolver, v.Note, at.Seconds()
	return d, credit, nil
}

func nameOf(names []string, i int) string {
	if i < 1 || i >= len(names) {
		return "unknown"
	}
	return names[i]
}

// find gives the number of a name, -1 if there is none; number 0 has no name.
func find(names []string, name string) int {
	for i := 1; i < len(names); i++ {
		if names[i] == name {
			return i
		}
	}
	return -1
}
