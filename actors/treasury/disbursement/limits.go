package disbursement

// The limits of one submission. Together they keep the largest acceptable
// payload under 512 KiB, half of the largest request.
const (
	// MemoBytesMax is the longest memo that is stored, and the longest that is
	// looked at for dependencies. A longer one is refused as memo_too_long.
	MemoBytesMax = 8192
	// TxMemoBytesMax is how much of the memo the paying transaction carries.
	TxMemoBytesMax = 1024
	// DependenciesMax is how many distinct dependencies a disbursement has at
	// most, and how many items of a memo's list are looked at. More are refused
	// as too_many_dependencies.
	DependenciesMax = 100

	// The rest is refused as validation_failed, naming the field. A destination names
	// a counter of the Store, whose names are short.
	DestinationBytesMax    = 120
	TitleBytesMax          = 1024
	SummaryBytesMax        = 16 * 1024
	AttachmentsMax         = 64
	AttachmentNameBytesMax = 256
	AttachmentURIBytesMax  = 2048
	ReceiptsMax            = 1000
	ReceiptAccountBytesMax = DestinationBytesMax
)

// The limits of what comes later in a life; each is validation_failed when hit.
const (
	// VotesMax is how many votes, one for each house and voter, a record keeps.
	VotesMax = 1000
	// VoterBytesMax bounds a voter's name.
	VoterBytesMax = 128
	// ReasonBytesMax bounds the reason given for a rollback. A submitter's own
	// reason is cut to it instead: it is an answer from outside, not a request.
	ReasonBytesMax = 1024
	// ReversingTxBytesMax bounds the hash of a reversing transfer as text.
	ReversingTxBytesMax = 128
)
