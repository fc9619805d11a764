package payout

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// Transaction is what a chain's transaction says. A null transaction takes its nonce
// and moves nothing: all but Account and Nonce are zero.
type Transaction struct {
	// Account is the ed25519 public key of who pays and signs.
	Account [ed25519.PublicKeySize]byte
	Nonce   uint64
	// ID is the disbursement, for the payee's books.
	ID          messages.DisbursementID
	Amount      messages.Amount
	Destination string
	Memo        string
}

// Null reports whether the transaction pays nothing.
func (t *Transaction) Null() bool { return t.Amount == 0 }

// A transaction on the wire:
//
//	 0  "bursar-tx" 02
//	10  account, 32 bytes
//	42  nonce BE64
//	50  disbursement id BE64
//	58  amount BE64
//	66  length of destination BE16 | destination
//	 …  length of memo BE16 | memo
//	 …  ed25519 signature over all before it, 64 bytes
//
// Its hash is the SHA-256 of all of it.
const (
	txMagic = "bursar-tx\x02"
	txFixed = len(txMagic) + ed25519.PublicKeySize + 3*8

	// TxBytesMax is the longest transaction there is.
	TxBytesMax = txFixed + 2 + disbursement.DestinationBytesMax + 2 + disbursement.TxMemoBytesMax + ed25519.SignatureSize
)

// ErrTransaction is returned for bytes that are no signed transaction.
var ErrTransaction = errors.New("payout: not a signed transaction")

// Signer makes the treasury's transactions. It never shows its key.
type Signer struct{ key ed25519.PrivateKey }

// NewSigner signs with a private key of ed25519.PrivateKeySize bytes.
func NewSigner(key ed25519.PrivateKey) (*Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("payout: a key of %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	return &Signer{key}, nil
}

// String is the account, so that neither fmt nor a log shows the key.
func (s *Signer) String() string { return s.Account() }

// GoString is String.
func (s *Signer) GoString() string { return s.Account() }

// Account is the treasury's own address on the chain.
func (s *Signer) Account() string { return AccountOf(s.account()) }

func (s *Signer) account() (key [ed25519.PublicKeySize]byte) {
	copy(key[:], s.key[ed25519.PrivateKeySize-ed25519.PublicKeySize:])
	return key
}

// AccountOf is the address that belongs to a public key.
func AccountOf(key [ed25519.PublicKeySize]byte) string { return "tb1" + hex.EncodeToString(key[:]) }

// Pay makes the intent to pay a disbursement under a nonce. The same arguments
// always give the same bytes.
func (s *Signer) Pay(id messages.DisbursementID, nonce uint64, r *disbursement.Record) Intent {
	d := &r.Payload.Disbursement
	return s.intent(Pay, id, &Transaction{
		Account: s.account(), Nonce: nonce, ID: id,
		Amount: d.Amount, Destination: d.Destination, Memo: disbursement.CutMemo(d.Memo),
	})
}

// Fill makes the intent to take a nonce that id left free.
func (s *Signer) Fill(id messages.DisbursementID, nonce uint64) Intent {
	return s.intent(Fill, id, &Transaction{Account: s.account(), Nonce: nonce})
}

// Skip makes the intent to take the nonce of a payment before it does.
func (s *Signer) Skip(pay *Intent, reason string) Intent {
	i := s.intent(Skip, pay.ID, &Transaction{Account: s.account(), Nonce: pay.Nonce})
	i.Rival, i.Reason = pay.Hash, reason
	return i
}

func (s *Signer) intent(kind Kind, id messages.DisbursementID, tx *Transaction) Intent {
	raw := s.Sign(tx)
	return Intent{Nonce: tx.Nonce, Kind: kind, ID: id, Raw: raw, Hash: sha256.Sum256(raw)}
}

// Sign gives a transaction's bytes. Account must be the signer's own.
func (s *Signer) Sign(t *Transaction) []byte {
	b := make([]byte, 0, txFixed+2+len(t.Destination)+2+len(t.Memo)+ed25519.SignatureSize)
	b = append(b, txMagic...)
	b = append(b, t.Account[:]...)
	b = binary.BigEndian.AppendUint64(b, t.Nonce)
	b = binary.BigEndian.AppendUint64(b, uint64(t.ID))
	b = binary.BigEndian.AppendUint64(b, uint64(t.Amount))
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.Destination)))
	b = append(b, t.Destination...)
	b = binary.BigEndian.AppendUint16(b, uint16(len(t.Memo)))
	b = append(b, t.Memo...)
	return append(b, ed25519.Sign(s.key, b)...)
}

// ParseTransaction reads a transaction and checks its signature. Error: ErrTransaction.
func ParseTransaction(raw []byte) (Transaction, disbursement.Hash, error) {
	var t Transaction
	refuse := func(what string) (Transaction, disbursement.Hash, error) {
		return Transaction{}, disbursement.Hash{}, fmt.Errorf("%w: %s", ErrTransaction, what)
	}
	if len(raw) > TxBytesMax || len(raw) < txFixed || string(raw[:len(txMagic)]) != txMagic {
		return refuse("its beginning or its length")
	}
	copy(t.Account[:], raw[len(txMagic):])
	numbers := raw[len(txMagic)+len(t.Account):]
	t.Nonce = binary.BigEndian.Uint64(numbers)
	t.ID = messages.DisbursementID(binary.BigEndian.Uint64(numbers[8:]))
	t.Amount = messages.Amount(binary.BigEndian.Uint64(numbers[16:]))
	var ok bool
	rest := raw[txFixed:]
	if t.Destination, rest, ok = cutText16(rest); !ok {
		return refuse("its destination")
	}
	if t.Memo, rest, ok = cutText16(rest); !ok || len(rest) != ed25519.SignatureSize {
		return refuse("its memo or its end")
	}
	if !ed25519.Verify(t.Account[:], raw[:len(raw)-len(rest)], rest) {
		return refuse("its signature")
	}
	return t, sha256.Sum256(raw), nil
}

// cutText16 takes a text with its length before it off the front of b.
func cutText16(b []byte) (text string, rest []byte, ok bool) {
	if len(b) < 2 {
		return "", nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > len(b)-2 {
		return "", nil, false
	}
	return string(b[2 : 2+n]), b[2+n:], true
}
