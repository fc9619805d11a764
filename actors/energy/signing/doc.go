// Package signing says what an energy oracle signs and judges its signatures:
// Ed25519 by the rule of ZIP-215, alone and in batches alike, over a BLAKE3 hash.
//
// Plain Ed25519 leaves it open whether a signature that differs from a good one by a
// point of small order is good; implementations, and batches and single checks of one
// implementation, disagree. ZIP-215 fixes it (multiply by the cofactor, take every
// encoding of a point), so a batch answers as its parts would.
//
// The package is pure: what randomness a batch needs is an argument.
package signing
