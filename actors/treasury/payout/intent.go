package payout

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// InFlightMax is how many intents may be in flight at once. More are staged when
// some are done.
const InFlightMax = 1024

// Kind says what an intent is for.
type Kind byte

// The kinds of intents.
const (
	// Pay pays a disbursement.
	Pay Kind = iota + 1
	// Fill takes a nonce that came free, with a null transaction, so that those above
	// it can be confirmed. Its disbursement is rolled back already.
	Fill
	// Skip is a null transaction against a payment on the same nonce that may yet be
	// confirmed. Its disbursement stays staged until one of the two is.
	Skip
	// Resend sends bytes again that the chain had taken and may have lost. It is never
	// stored: whoever orders it can order it again.
	Resend
)

// String names the kind in logs.
func (k Kind) String() string {
	switch k {
	case Pay:
		return "pay"
	case Fill:
		return "fill"
	case Skip:
		return "skip"
	case Resend:
		return "resend"
	}
	return fmt.Sprintf("kind(%d)", byte(k))
}

// Intent is a transaction that shall take a nonce.
type Intent struct {
	Nonce uint64
	Kind  Kind
	// ID is the disbursement that is paid (Pay), that shall not be paid (Skip), or
	// that left the nonce free (Fill).
	ID messages.DisbursementID
	// Raw are the bytes to send, Hash names them.
	Raw  []byte
	Hash disbursement.Hash
	// Rival is the payment that Skip is against, Reason why it was given up.
	Rival  disbursement.Hash
	Reason string
	// Tries is how often the chain gave no clear answer in a row.
	Tries int
}

// An intent is stored under its nonce, in version 1, or in version 2 if it was tried
// without a clear answer:
//
//	 0  version, 1 or 2
//	 1  kind
//	 2  disbursement id BE64
//	10  hash, 32 bytes
//	42  rival, 32 bytes
//	74  length of reason BE16
//	 …  tries, 1 byte above 0, only in version 2
//	 …  reason
//	 …  transaction, to the end
const (
	intentVersion = 1
	intentTried   = 2
	intentFixed   = 76
)

// ErrIntent is returned for bytes that are no stored intent.
var ErrIntent = errors.New("payout: not a stored intent")

// AppendIntent appends the encoding of i, but for its nonce, to dst. A reason longer
// than disbursement.ReasonBytesMax is cut.
func AppendIntent(dst []byte, i *Intent) []byte {
	reason := i.Reason[:min(len(i.Reason), disbursement.ReasonBytesMax)]
	version := byte(intentVersion)
	if i.Tries > 0 {
		version = intentTried
	}
	dst = append(dst, version, byte(i.Kind))
	dst = binary.BigEndian.AppendUint64(dst, uint64(i.ID))
	dst = append(dst, i.Hash[:]...)
	dst = append(dst, i.Rival[:]...)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(reason)))
	if version == intentTried {
		dst = append(dst, byte(min(i.Tries, math.MaxUint8)))
	}
	dst = append(dst, reason...)
	return append(dst, i.Raw...)
}

// DecodeIntent reads what AppendIntent wrote under a nonce. Error: ErrIntent.
func DecodeIntent(nonce uint64, data []byte) (Intent, error) {
	if len(data) < intentFixed || data[0] != intentVersion && data[0] != intentTried {
		return Intent{}, fmt.Errorf("%w: %d bytes", ErrIntent, len(data))
	}
	i := Intent{Nonce: nonce, Kind: Kind(data[1]), ID: messages.DisbursementID(binary.BigEndian.Uint64(data[2:]))}
	if i.Kind < Pay || i.Kind > Skip || nonce == 0 || nonce > math.MaxInt64 {
		return Intent{}, fmt.Errorf("%w: nonce %d, %s", ErrIntent, nonce, i.Kind)
	}
	copy(i.Hash[:], data[10:])
	copy(i.Rival[:], data[42:])
	rest := data[intentFixed:]
	if data[0] == intentTried {
		if len(rest) == 0 || rest[0] == 0 {
			return Intent{}, fmt.Errorf("%w: version 2 without tries", ErrIntent)
		}
		i.Tries, rest = int(rest[0]), rest[1:]
	}
	n := int(binary.BigEndian.Uint16(data[74:]))
	if n > len(rest) || n > disbursement.ReasonBytesMax {
		return Intent{}, fmt.Errorf("%w: a reason of %d bytes", ErrIntent, n)
	}
	i.Reason = string(rest[:n])
	i.Raw = append([]byte(nil), rest[n:]...)
	return i, nil
}
