package messages

import "github.com/the-block/bursar/messages/internal/pack"

// WireLimits bound every message before anything is decoded from it: 1 MiB, 32
// levels, and elements enough for a plan of PlanItemsMax items that each have 100
// dependencies.
var WireLimits = pack.Limits{Bytes: 1 << 20, Depth: 32, Elements: 1 << 18}

// PeerLimits are WireLimits between nodes: 9 MiB, enough for the longest entry of the
// log and what is around it.
var PeerLimits = pack.Limits{Bytes: 9 << 20, Depth: 32, Elements: 1 << 18}

// The limits of messages, beside those of the wire. What exceeds one is
// validation_failed unless it says otherwise.
const (
	// RequestIDMax is the longest request_id in bytes.
	RequestIDMax = 64
	// DefaultDeadlineMS is how long a call may take, in milliseconds, where it does
	// not say; DeadlineMSMax is the longest, more is taken for that.
	DefaultDeadlineMS = 5_000
	DeadlineMSMax     = 60_000
	// PlanItemsMax is the most items of a plan.
	PlanItemsMax = 1_000
	// RefMax is the longest ref of a plan's item in bytes, so that the ids of a
	// whole plan fit one reply.
	RefMax = 128
	// IDsMax is the most disbursements a question about the graph may name. A
	// proposal's deps are judged by the treasury, after its fields.
	IDsMax = 10_000
	// The limits of a submission, in bytes and elements. Together they keep the largest
	// acceptable payload under 512 KiB, half of the largest request. A destination names
	// a counter of the Store, whose names are short.
	MemoMax           = 8_192
	DependenciesMax   = 100
	DestinationMax    = 120
	TitleMax          = 1_024
	SummaryMax        = 16 << 10
	AttachmentsMax    = 64
	AttachmentNameMax = 256
	AttachmentURIMax  = 2_048
	ReceiptsMax       = 1_000
	ReceiptAccountMax = DestinationMax
	// What comes later in a life, in bytes. VotesMax is how many votes, one for each
	// house and voter, a record keeps: it is read and written whole.
	// CastsMax is how many were cast at most, each that a later one replaced among them.
	VotesMax       = 1_000
	CastsMax       = 10_000
	VoterMax       = 128
	ReasonMax      = 1_024
	AuditReasonMax = 255
	// PathBeginningMax is the longest beginning of a path that the audit is searched for.
	PathBeginningMax = 255
	ReversingTxMax   = 128
	// DefaultLimit is a page's length where the call does not say, LimitMax the
	// longest; a higher limit is taken for that.
	DefaultLimit = 100
	LimitMax     = 1_000
	// IDsPerReply is both for lists of bare ids: as many as fit a reply on either
	// wire, up to ids of nine digits.
	IDsPerReply = 40_000
	// ReplyMax is where a list in a reply stops, in bytes, and next_cursor begins.
	ReplyMax = 512 << 10
)
