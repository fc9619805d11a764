package market

import (
	"fmt"
	"math/bits"

	"github.com/the-block/bursar/messages"
)

// Order asks to settle part of a credit.
type Order struct {
	Buyer string
	KWh   uint64
	Hash  messages.MeterHash
}

// Check judges an order by itself.
func (o Order) Check() *messages.Error {
	if err := checkText("buyer", o.Buyer, BuyerBytesMax); err != nil {
		return err
	}
	if o.KWh == 0 {
		return invalid("kwh must be above 0")
	}
	return nil
}

// Receipt is a committed settlement. Its id is the log's to give.
type Receipt struct {
	Provider  messages.ProviderID
	Buyer     string
	KWh       uint64
	Price     messages.Amount
	Fee       messages.Amount
	Slash     messages.Amount
	Hash      messages.MeterHash
	SettledAt uint64
	Epoch     messages.Epoch
}

// Slash is a row of the slashings: a settlement that took from the stake, or a failure
// of the provider, of amount 0.
type Slash struct {
	Provider messages.ProviderID
	Reason   SlashReason
	Amount   messages.Amount
	Hash     messages.MeterHash
	Buyer    string
	At       uint64
	Epoch    messages.Epoch
}

// SlashReason says why a slash row was written.
type SlashReason byte

// The reasons.
const (
	SlashQuorum     SlashReason = iota + 1 // a settlement below the quorum
	SlashExpiry                            // of a credit that had expired
	SlashConflict                          // of a reading that nobody knows
	SlashSettlement                        // a settlement that committed: it takes from the stake
)

var slashReasons = [...]string{SlashQuorum: "quorum", SlashExpiry: "expiry", SlashConflict: "conflict",
	SlashSettlement: "settlement"}

// String gives the reason as it is written on the wire.
func (r SlashReason) String() string { return nameOf(slashReasons[:], int(r)) }

// ParseSlashReason reads a reason.
func ParseSlashReason(name string) (SlashReason, *messages.Error) {
	i := find(slashReasons[:], name)
	if i < 0 {
		return 0, invalid("status must be quorum, expiry, conflict or settlement")
	}
	return SlashReason(i), nil
}

// Settlement is what becomes of an order.
type Settlement struct {
	// Provider is the provider afterwards.
	Provider Provider
	// Credit is the credit afterwards, of a settlement.
	Credit Credit
	// Receipt is that of a settlement.
	Receipt Receipt
	// Slash is the row to be written, nil if none is.
	Slash *Slash
	// Refusal says why nothing was settled. Where Slash is set too, the failure is kept:
	// provider and row are stored, and no money moves.
	Refusal *messages.Error
}

// Terms are what a settlement is judged under.
type Terms struct {
	Settings Settings
	FeeBPS   uint64 // as published for the epoch
	At       Moment
	// Blames says that a failure counts in the provider's reputation: the caller is an
	// operator. A buyer's word alone would let it ruin whom it likes.
	Blames bool
}

// Settle decides about an order; credit is nil if nobody knows its meter_hash. The
// first check that fails answers.
func (p Provider) Settle(o Order, credit *Credit, t Terms) Settlement {
	switch {
	case t.Settings.Rehearsal:
		return p.refuse(messages.Errorf(messages.CodeRehearsal, "the market is in rehearsal: no trade is settled"))
	case o.KWh > p.Available:
		return p.refuse(short(o, p.Available, "capacity", "%s has %d kWh of its capacity left to sell", p.ID, p.Available))
	case credit == nil || credit.Provider != p.ID:
		return p.fail(o, t, SlashConflict, conflict("no reading of %s has the meter_hash %x", p.ID, o.Hash))
	case !credit.Hold.Free():
		return p.refuse(conflict("the reading %x is held: %s", o.Hash, credit.Status(t.Settings, t.At.Epoch)))
	case t.At.Epoch < credit.payableFrom(t.Settings):
		return p.refuse(conflict("the reading %x can be settled from epoch %d on, now is %d",
			o.Hash, credit.payableFrom(t.Settings), t.At.Epoch))
	case !reaches(o.KWh, p.Capacity, t.Settings.QuorumPPM):
		return p.fail(o, t, SlashQuorum, messages.Errorf(messages.CodeQuorumFailed,
			"%d kWh of %d are below the quorum of %d ppm", o.KWh, p.Capacity, t.Settings.QuorumPPM))
	case credit.expired(t.Settings, t.At.Epoch):
		return p.fail(o, t, SlashExpiry, conflict("the reading %x of epoch %d has expired", o.Hash, credit.Epoch))
	case o.KWh > credit.Left:
		return p.refuse(short(o, credit.Left, "credit", "the reading %x minted %d kWh, of which %d are left", o.Hash, credit.Minted, credit.Left))
	}
	price, ok := multiply(o.KWh, uint64(p.Price))
	if !ok {
		return p.refuse(invalid("%d kWh at %d each are more than %d", o.KWh, p.Price, messages.AmountMax))
	}
	return p.settle(o, *credit, price, t)
}

// settle carries out an order that passed every check.
func (p Provider) settle(o Order, credit Credit, price messages.Amount, t Terms) Settlement {
	receipt := Receipt{
		Provider: p.ID, Buyer: o.Buyer, KWh: o.KWh, Hash: o.Hash,
		Price: price, Fee: share(price, t.FeeBPS), Slash: min(p.Stake, share(price, t.Settings.SlashingBPS)),
		SettledAt: t.At.Seconds(), Epoch: t.At.Epoch,
	}
	credit.Left -= o.KWh
	p.Available -= o.KWh
	p.Stake -= receipt.Slash
	p.Settled += o.KWh
	p.Reputation.Delivery.Add(Whole)
	p.Reputation.Capacity.Add(roominess(p.Available, p.Capacity))
	p.Reputation.Observations++
	p.Suspended = p.Suspended || p.Reputation.Suspends()
	s := Settlement{Provider: p, Credit: credit, Receipt: receipt}
	if receipt.Slash > 0 {
		s.Slash = p.row(o, t, SlashSettlement, receipt.Slash)
	}
	return s
}

// short refuses to settle more than there is. Its code is that of a provider which cannot
// serve; what is short of what is told beside it.
func short(o Order, left uint64, of, format string, args ...any) *messages.Error {
	return inactive("too little %s: %d kWh were to be settled, and %s", of, o.KWh, fmt.Sprintf(format, args...)).
		With("short_of", of).With("left_kwh", left)
}

func (p Provider) refuse(err *messages.Error) Settlement {
	return Settlement{Provider: p, Refusal: err}
}

// fail refuses an order in a way that is kept.
func (p Provider) fail(o Order, t Terms, reason SlashReason, err *messages.Error) Settlement {
	s := Settlement{Slash: p.row(o, t, reason, 0), Refusal: err}
	if t.Blames {
		p.Reputation.Delivery.Add(0)
		p.Reputation.Observations++
		p.Suspended = p.Suspended || p.Reputation.Suspends()
	}
	s.Provider = p
	return s
}

func (p *Provider) row(o Order, t Terms, reason SlashReason, amount messages.Amount) *Slash {
	return &Slash{Provider: p.ID, Reason: reason, Amount: amount, Hash: o.Hash, Buyer: o.Buyer,
		At: t.At.Seconds(), Epoch: t.At.Epoch}
}

// roominess is Whole if what is available is within 20 % of the capacity, else 0.
func roominess(available, capacity uint64) uint64 {
	if reaches(available, capacity, 800_000) {
		return Whole
	}
	return 0
}

// reaches reports whether part is at least ppm of whole.
func reaches(part, whole uint64, ppm messages.PPM) bool {
	hi, lo := bits.Mul64(part, uint64(messages.PPMMax))
	wantHi, wantLo := bits.Mul64(whole, uint64(ppm))
	return hi > wantHi || hi == wantHi && lo >= wantLo
}

// multiply gives a product that is an Amount.
func multiply(a, b uint64) (product messages.Amount, ok bool) {
	hi, lo := bits.Mul64(a, b)
	return messages.Amount(lo), hi == 0 && lo <= uint64(messages.AmountMax)
}

// share gives bps ten-thousandths of an amount, rounded down; bps is at most BPSMax.
func share(amount messages.Amount, bps uint64) messages.Amount {
	hi, lo := bits.Mul64(uint64(amount), bps)
	quotient, _ := bits.Div64(hi, lo, BPSMax)
	return messages.Amount(quotient)
}
