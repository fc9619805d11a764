package payout

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// Sent is a nonce that the chain has taken. It is kept until the transaction on it is
// final, and for SentKept nonces beyond: a chain that loses it is sent the same bytes
// again, which are signed anew, for signing is deterministic.
type Sent struct {
	Nonce uint64
	// Kind is Pay, or Fill for a null transaction of either origin.
	Kind Kind
	ID   messages.DisbursementID
	// Hash names the transaction of ours that was sent. On a null transaction's nonce
	// another may be confirmed.
	Hash disbursement.Hash

	unknown bool // the chain has said that it does not know a null transaction
}

// SentKept is how many nonces below the newest final one can be sent again.
const SentKept = 10_000

// A Sent is stored under its nonce:
//
//	0  version, 1
//	1  kind
//	2  disbursement id BE64
//	10 hash, 32 bytes
const (
	sentVersion = 1
	sentBytes   = 42
)

// AppendSent appends the encoding of s, but for its nonce, to dst.
func AppendSent(dst []byte, s *Sent) []byte {
	dst = append(dst, sentVersion, byte(s.Kind))
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.ID))
	return append(dst, s.Hash[:]...)
}

// DecodeSent reads what AppendSent wrote under a nonce. Error: ErrIntent.
func DecodeSent(nonce uint64, data []byte) (Sent, error) {
	if len(data) != sentBytes || data[0] != sentVersion {
		return Sent{}, fmt.Errorf("%w: %d bytes of a sent one", ErrIntent, len(data))
	}
	s := Sent{Nonce: nonce, Kind: Kind(data[1]), ID: messages.DisbursementID(binary.BigEndian.Uint64(data[2:]))}
	if s.Kind != Pay && s.Kind != Fill || nonce == 0 || nonce > math.MaxInt64 {
		return Sent{}, fmt.Errorf("%w: sent nonce %d, %s", ErrIntent, nonce, s.Kind)
	}
	copy(s.Hash[:], data[10:])
	return s, nil
}

// Sent is what stays of an intent whose nonce is taken, as do records it.
func (i *Intent) Sent(do Do) Sent {
	s := Sent{Nonce: i.Nonce, Kind: Fill, ID: i.ID, Hash: i.Hash}
	switch {
	case i.Kind == Pay:
		s.Kind = Pay
	case i.Kind == Skip && do == Execute: // the payment won
		s.Kind, s.Hash = Pay, i.Rival
	}
	return s
}

// Question asks whether the transaction is final. Any other may have taken the nonce of a
// null transaction: of one that the chain does not know it is asked what did.
func (s *Sent) Question() Question {
	q := Question{Ask: Confirm, Intent: Intent{Nonce: s.Nonce, Kind: s.Kind, ID: s.ID, Hash: s.Hash}}
	if s.unknown {
		q.Ask = Watch
	}
	return q
}

// Settled says how many of the oldest sent are final, by the answers to their questions,
// and the first that the chain does not have any more, nil if none is known to be lost.
// Nothing behind one that is not final is.
func Settled(sent []Sent, answers []Answer) (final int, lost *Sent) {
	for n, a := range answers[:min(len(answers), len(sent))] {
		s := &sent[n]
		switch a.Verdict {
		case Final, Taken:
			if final == n {
				final++
			}
		case Unknown, Free:
			if s.Kind == Pay || s.unknown {
				s.unknown = false
				return final, s
			}
			s.unknown = true
			return final, nil
		case Unclear, Accepted, Refused, NonceUsed, Known:
		}
	}
	return final, nil
}
