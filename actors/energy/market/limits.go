package market

// Limits of what a caller may say. They keep records small enough that a page of a
// thousand fits in a reply.
const (
	OwnerBytesMax        = 120
	JurisdictionBytesMax = 32
	MeterBytesMax        = 128
	BuyerBytesMax        = 120
	ReasonBytesMax       = 256
	NoteBytesMax         = 1024
	// ReadingsMax is how many readings a caller may hand in at a time.
	ReadingsMax = 256
)

// SkewMax is how far a reading's timestamp may be from now, in seconds, either way.
const SkewMax = 300
