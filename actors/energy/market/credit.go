package market

import "github.com/the-block/bursar/messages"

// Credit is what one accepted reading is worth: kWh that can be settled.
type Credit struct {
	Hash      messages.MeterHash
	Provider  messages.ProviderID
	Minted    uint64
	Left      uint64 // Minted less what was settled
	Timestamp uint64 // the reading's
	MintedAt  uint64
	Epoch     messages.Epoch // when it was minted
	Backfill  bool
	Hold      Hold
}

// Hold says why a credit cannot be settled for now, or ever.
type Hold byte

// The holds.
const (
	HoldNone      Hold = iota + 1
	HoldDisputed       // a dispute about its reading is open
	HoldEscalated      // one was escalated: until another dispute is resolved
	HoldVoid           // one was decided against the provider: what is left is gone
)

// Free reports whether nothing holds the credit. The zero Hold is HoldNone.
func (h Hold) Free() bool { return h == 0 || h == HoldNone }

// CreditStatus is a credit's state as a reader sees it.
type CreditStatus string

// The states of a credit.
const (
	CreditOutstanding CreditStatus = "outstanding"
	CreditDisputed    CreditStatus = "disputed"
	CreditEscalated   CreditStatus = "escalated"
	CreditSettled     CreditStatus = "settled"
	CreditExpired     CreditStatus = "expired"
	CreditVoid        CreditStatus = "void"
)

// Status gives the credit's state in an epoch.
func (c *Credit) Status(s Settings, epoch messages.Epoch) CreditStatus {
	switch {
	case c.Hold == HoldVoid:
		return CreditVoid
	case c.Left == 0:
		return CreditSettled
	case c.Hold == HoldDisputed:
		return CreditDisputed
	case c.Hold == HoldEscalated:
		return CreditEscalated
	case c.expired(s, epoch):
		return CreditExpired
	}
	return CreditOutstanding
}

// payableFrom is the first epoch in which the credit can be settled: at once, after the
// challenge of a backfilled one, or after the wait of batch mode.
func (c *Credit) payableFrom(s Settings) messages.Epoch {
	var wait messages.Epoch
	if c.Backfill {
		wait = s.ChallengeEpochs
	}
	if s.Batch {
		wait = max(wait, s.TimeoutEpochs)
	}
	return addEpochs(c.Epoch, wait)
}

// expired holds for a credit that is older than the timeout. One that had to wait
// first is as old as it has been payable.
func (c *Credit) expired(s Settings, epoch messages.Epoch) bool {
	return s.TimeoutEpochs > 0 && epoch > addEpochs(c.payableFrom(s), s.TimeoutEpochs)
}

// addEpochs adds without wrapping around.
func addEpochs(a, b messages.Epoch) messages.Epoch {
	if sum := a + b; sum >= a {
		return sum
	}
	return ^messages.Epoch(0)
}
