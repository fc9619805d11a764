package disbursement

import "github.com/the-block/bursar/messages"

// The limits of one submission.
const (
	// MemoBytesMax is the longest memo that is stored, and the longest that is
	// looked at for dependencies. A longer one is refused as memo_too_long.
	MemoBytesMax = messages.MemoMax
	// TxMemoBytesMax is how much of the memo the paying transaction carries.
	TxMemoBytesMax = 1024
	// DependenciesMax is how many distinct dependencies a disbursement has at
	// most, and how many items of a memo's list are looked at. More are refused
	// as too_many_dependencies.
	DependenciesMax = messages.DependenciesMax

	// The rest is refused as validation_failed, naming the field.
	DestinationBytesMax    = messages.DestinationMax
	TitleBytesMax          = messages.TitleMax
	SummaryBytesMax        = messages.SummaryMax
	AttachmentsMax         = messages.AttachmentsMax
	AttachmentNameBytesMax = messages.AttachmentNameMax
	AttachmentURIBytesMax  = messages.AttachmentURIMax
	ReceiptsMax            = messages.ReceiptsMax
	ReceiptAccountBytesMax = messages.ReceiptAccountMax
)

// The limits of what comes later in a life; each is validation_failed when hit.
const (
	// VotesMax is how many votes, one for each house and voter, a record keeps.
	VotesMax = messages.VotesMax
	// VoterBytesMax bounds a voter's name.
	VoterBytesMax = messages.VoterMax
	// ReasonBytesMax bounds the reason given for a rollback. A submitter's own
	// reason is cut to it instead: it is an answer from outside, not a request.
	ReasonBytesMax = messages.ReasonMax
	// ReversingTxBytesMax bounds the hash of a reversing transfer as text.
	ReversingTxBytesMax = messages.ReversingTxMax
)
