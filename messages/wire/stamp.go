package wire

import (
	"encoding/hex"
	"math/rand/v2"
	"strconv"
)

// stamp makes up a request id: 128 random bits in hex. The generator is seeded by the
// system and never repeats in practice; it keeps no secret.
func stamp() string {
	var raw [16]byte
	hi, lo := rand.Uint64(), rand.Uint64()
	for i := range 8 {
		raw[i], raw[8+i] = byte(hi>>(8*i)), byte(lo>>(8*i))
	}
	return hex.EncodeToString(raw[:])
}

// clip quotes what a stranger sent, short enough for an error.
func clip(b []byte) string {
	const longest = 64
	if len(b) > longest {
		b = b[:longest]
	}
	return strconv.Quote(string(b))
}
