package durable

import (
	"crypto/rand"
	"encoding/binary"
	"time"
)

// Machine is what a node has of time and chance.
type Machine struct {
	// Wall is what the node's clock shows, and what is written down; anybody may set it.
	Wall func() time.Time
	// Steady is nobody's to set: deadlines, rests and breakers go by it.
	Steady func() time.Time
	// After calls do once d has passed, on any goroutine.
	After func(d time.Duration, do func())
	// Chance draws from [0, 1).
	Chance func() float64
}

// ThisMachine is the machine that the process runs on.
func ThisMachine() Machine {
	return Machine{
		Wall: time.Now, Steady: time.Now,
		After: func(d time.Duration, do func()) { time.AfterFunc(d, do) },
		Chance: func() float64 {
			var b [8]byte
			_, _ = rand.Read(b[:]) // it never fails
			return float64(binary.LittleEndian.Uint64(b[:])>>11) / (1 << 53)
		},
	}
}
