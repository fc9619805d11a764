package messages

import (
	"strconv"
	"strings"
)

// ProviderID numbers an energy provider, an oracle, in the order of registration:
// 0, 1, 2 ... On the wire, and in what an oracle signs, it is its text.
type ProviderID uint64

const providerPrefix = "energy-0x"

// String gives the id as it is written everywhere: energy-0x00000000.
func (id ProviderID) String() string { return string(id.Append(nil)) }

// Append appends what String gives.
func (id ProviderID) Append(b []byte) []byte {
	b = append(b, providerPrefix...)
	for limit := uint64(1) << 28; limit > max(uint64(id), 1); limit >>= 4 {
		b = append(b, '0')
	}
	return strconv.AppendUint(b, uint64(id), 16)
}

// ParseProviderID reads what String wrote, and nothing else.
func ParseProviderID(text string) (id ProviderID, ok bool) {
	digits, ok := strings.CutPrefix(text, providerPrefix)
	if !ok {
		return 0, false
	}
	number, err := strconv.ParseUint(digits, 16, 64)
	id = ProviderID(number)
	return id, err == nil && id.String() == text
}

// MeterHash names a reading, and so the credit that it minted.
type MeterHash [32]byte

// PublicKey is an Ed25519 public key, Signature an Ed25519 signature.
type (
	PublicKey [32]byte
	Signature [64]byte
)

// Reading is what an oracle says of its meter, with its signature.
type Reading struct {
	Provider  ProviderID
	Meter     string
	KWh       uint64 // cumulative: the register, not what was used since the last one
	Timestamp uint64 // Unix seconds
	Nonce     uint64 // rises from reading to reading
	Signature Signature
}
