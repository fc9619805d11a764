package signing

import (
	"fmt"
	"io"

	"github.com/oasisprotocol/curve25519-voi/curve"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"

	"github.com/the-block/bursar/messages"
)

// zip215 is the rule by which every signature is judged.
var zip215 = &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}

// Key is an oracle's public key, made ready for many checks: about 1.4 KiB that halve
// the work of each. It never changes, so it may be shared.
type Key struct {
	public   messages.PublicKey
	expanded *ed25519.ExpandedPublicKey
}

// NewKey makes a public key ready. It refuses bytes that are no point of the curve.
// ZIP-215 takes points of small order too: who registers one has a key without a
// secret, and harms itself only.
func NewKey(public messages.PublicKey) (*Key, error) {
	expanded, err := ed25519.NewExpandedPublicKey(public[:])
	if err != nil {
		return nil, fmt.Errorf("public key %x is not a point of Ed25519's curve", public[:4])
	}
	return &Key{public: public, expanded: expanded}, nil
}

// Public gives the key's bytes.
func (k *Key) Public() messages.PublicKey { return k.public }

// Verify judges one signature.
func (k *Key) Verify(digest Digest, signature *messages.Signature) bool {
	return ed25519.VerifyExpandedWithOptions(k.expanded, digest[:], signature[:], zip215)
}

// Batch judges many signatures at once. The zero Batch is empty and ready; it may be
// used again and again, by one goroutine at a time.
type Batch struct{ inner *ed25519.BatchVerifier }

// batchMax is how many are judged together. Beyond it the work per signature no longer
// falls, and one bad signature costs that every one is judged alone.
const batchMax = 64

// Claim is one signature to be judged.
type Claim struct {
	Key       *Key
	Digest    Digest
	Signature *messages.Signature
}

// Verify judges each claim and says of each whether it is good: ok[i] is for claims[i].
// It takes batchMax of them together; where such a part fails, each of it is judged
// alone, which names the culprits. random must not be foreseeable by who signs: with
// it, bad signatures could be made to cancel one another out.
func (b *Batch) Verify(claims []Claim, random io.Reader) (ok []bool) {
	ok = make([]bool, 0, len(claims))
	for len(claims) > 0 {
		part := claims[:min(len(claims), batchMax)]
		claims = claims[len(part):]
		ok = b.verifyPart(ok, part, random)
	}
	return ok
}

func (b *Batch) verifyPart(ok []bool, part []Claim, random io.Reader) []bool {
	if len(part) == 1 {
		return append(ok, part[0].Key.Verify(part[0].Digest, part[0].Signature))
	}
	if b.inner == nil {
		b.inner = ed25519.NewBatchVerifierWithCapacity(batchMax)
	}
	for i := range part {
		c := &part[i]
		b.inner.AddExpandedWithOptions(c.Key.expanded, c.Digest[:], c.Signature[:], zip215)
	}
	_, valid := b.inner.Verify(random)
	b.inner.Reset()
	return append(ok, valid...)
}

// CheckKey refuses bytes that are no point of the curve, and the points of small order:
// for those a signature can be made by anybody.
func CheckKey(public messages.PublicKey) error {
	var packed curve.CompressedEdwardsY
	var point curve.EdwardsPoint
	if _, err := packed.SetBytes(public[:]); err != nil {
		return err
	}
	if _, err := point.SetCompressedY(&packed); err != nil {
		return fmt.Errorf("public key %x is not a point of Ed25519's curve", public[:4])
	}
	if point.IsSmallOrder() {
		return fmt.Errorf("public key %x is of small order: anybody could sign under it", public[:4])
	}
	return nil
}
