package signing

import (
	"crypto/ed25519"
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Signer signs as an oracle. It holds a secret: it is never printed.
type Signer struct{ private ed25519.PrivateKey }

// NewSigner makes a signer of the 32 bytes of an Ed25519 seed (RFC 8032).
func NewSigner(seed [ed25519.SeedSize]byte) Signer {
	return Signer{private: ed25519.NewKeyFromSeed(seed[:])}
}

// Format keeps the secret out of whatever prints a Signer, under any verb.
func (Signer) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("signer")) }

// Public gives the public key.
func (s Signer) Public() (key messages.PublicKey) {
	copy(key[:], s.private.Public().(ed25519.PublicKey))
	return key
}

// Sign signs a digest.
func (s Signer) Sign(digest Digest) (signature messages.Signature) {
	copy(signature[:], ed25519.Sign(s.private, digest[:]))
	return signature
}

// SignReading fills in the signature of a reading.
func (s Signer) SignReading(r *messages.Reading) { r.Signature = s.Sign(ReadingDigest(r)) }
