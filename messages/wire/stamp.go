package wire

import (
	"crypto/rand"
	"encoding/hex"

	"strconv"
)

// stamp makes up a request id: 128 random bits in hex, which never repeat in practice.
func stamp() string {
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // it never fails
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
