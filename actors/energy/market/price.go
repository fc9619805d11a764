package market

import (
	"math/big"
	"math/bits"
)

// Sum adds up numbers of 64 bits without overflow.
type Sum struct{ hi, lo uint64 }

// Add adds n.
func (s *Sum) Add(n uint64) {
	var carry uint64
	s.lo, carry = bits.Add64(s.lo, n, 0)
	s.hi += carry
}

// Sub takes n away; it must have been added.
func (s *Sum) Sub(n uint64) {
	var borrow uint64
	s.lo, borrow = bits.Sub64(s.lo, n, 0)
	s.hi -= borrow
}

// Uint64 gives the sum, or the greatest number where it is larger.
func (s Sum) Uint64() uint64 {
	if s.hi > 0 {
		return 1<<64 - 1
	}
	return s.lo
}

func (s Sum) big() *big.Int {
	b := new(big.Int).SetUint64(s.hi)
	return b.Or(b.Lsh(b, 64), new(big.Int).SetUint64(s.lo))
}

// PriceWindow is how long a settlement counts in price and volume, in seconds.
const PriceWindow = 3600

// Prices is the window of the last hour's settlements: what the price and the volume of
// the market are made from. It takes one slot a second, however many settle in it. The
// zero Prices is empty.
type Prices struct {
	slots  [PriceWindow]slot
	newest uint64 // the latest second that was seen
	kwh    Sum
	value  Sum
}

type slot struct{ kwh, value Sum }

// Add takes in a settlement. One that is older than the window is not news. Which of
// two comes first makes no difference, for as long as both are in the window.
func (p *Prices) Add(settledAt, kwh, value uint64) {
	p.advance(settledAt)
	if settledAt+PriceWindow <= p.newest {
		return
	}
	s := &p.slots[settledAt%PriceWindow]
	s.kwh.Add(kwh)
	s.value.Add(value)
	p.kwh.Add(kwh)
	p.value.Add(value)
}

// At gives the volume-weighted price, rounded half up, and the volume of the hour up to
// now. With no settlement in it both are 0.
func (p *Prices) At(now uint64) (price, volume uint64) {
	p.advance(now)
	if p.kwh == (Sum{}) {
		return 0, 0
	}
	kwh := p.kwh.big()
	twice := new(big.Int).Lsh(p.value.big(), 1)
	twice.Add(twice, kwh)
	twice.Quo(twice, kwh.Lsh(kwh, 1))
	return twice.Uint64(), p.kwh.Uint64() // no price is above the highest of its parts
}

// advance empties the slots of the seconds that come into the window.
func (p *Prices) advance(now uint64) {
	if now <= p.newest {
		return
	}
	if now-p.newest >= PriceWindow {
		*p = Prices{newest: now}
		return
	}
	for p.newest < now {
		p.newest++
		s := &p.slots[p.newest%PriceWindow]
		p.kwh.subSum(s.kwh)
		p.value.subSum(s.value)
		*s = slot{}
	}
}

func (s *Sum) subSum(o Sum) {
	var borrow uint64
	s.lo, borrow = bits.Sub64(s.lo, o.lo, 0)
	s.hi, _ = bits.Sub64(s.hi, o.hi, borrow)
}
