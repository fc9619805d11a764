package market

import "github.com/the-block/bursar/messages"

// Limits of what a caller may say: those of the messages, which keep records small
// enough that a page of them fits in a reply.
const (
	OwnerBytesMax        = messages.OwnerMax
	JurisdictionBytesMax = messages.JurisdictionMax
	MeterBytesMax        = messages.MeterMax
	BuyerBytesMax        = messages.BuyerMax
	ReasonBytesMax       = messages.DisputeTextMax
	NoteBytesMax         = messages.NoteMax
)

// SkewMax is how far a reading's timestamp may be from now, in seconds, either way.
const SkewMax = 300
