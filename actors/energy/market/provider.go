package market

import (
	"github.com/the-block/bursar/messages"
)

// Provider is one energy provider: who it is, what its meter said last, what it has
// left to sell, and what is known of its conduct.
type Provider struct {
	ID           messages.ProviderID
	Owner        string
	Jurisdiction string
	Meter        string // unique among providers
	Key          messages.PublicKey
	Price        messages.Amount // per kWh
	Capacity     uint64          // kWh
	Available    uint64          // kWh not sold yet; Capacity - Available is what was sold
	Stake        messages.Amount
	RegisteredAt uint64
	// Suspended is set when its reputation fell too far, until an operator reinstates it.
	Suspended bool

	Readings    uint64 // accepted ones
	LastKWh     uint64
	LastTime    uint64 // the last reading's timestamp
	LastNonce   uint64
	LastSeen    uint64 // when the last reading was accepted
	Minted      uint64 // kWh of credits, ever
	Settled     uint64 // kWh of settlements, ever
	Reputation  Reputation
	History     History
	Unsigned    bool   // a bad signature was counted since the last accepted reading
	BlamedNonce uint64 // the highest nonce of a signed reading that was refused and counted
}

// Registration is what a new provider says of itself.
type Registration struct {
	Owner        string
	Jurisdiction string
	Meter        string
	Key          messages.PublicKey
	Price        messages.Amount
	Capacity     uint64
	Stake        messages.Amount
}

// Check judges a registration by itself: whether its meter is another's, and whether
// its key is a point of the curve, is not asked here.
func (r Registration) Check(s Settings) *messages.Error {
	if err := checkText("owner", r.Owner, OwnerBytesMax); err != nil {
		return err
	}
	if err := checkCapacity(r.Capacity); err != nil {
		return err
	}
	if err := checkPrice(r.Price); err != nil {
		return err
	}
	if err := checkText("jurisdiction", r.Jurisdiction, JurisdictionBytesMax); err != nil {
		return err
	}
	if err := checkText("meter_address", r.Meter, MeterBytesMax); err != nil {
		return err
	}
	if r.Stake > messages.AmountMax {
		return invalid("stake must be at most %d", messages.AmountMax)
	}
	if r.Stake < s.MinStake {
		return inactive("a stake of %d is below the least of %d", r.Stake, s.MinStake)
	}
	return nil
}

// New makes a provider of a registration that Check let pass.
func New(id messages.ProviderID, r Registration, now uint64) Provider {
	return Provider{
		ID: id, Owner: r.Owner, Jurisdiction: r.Jurisdiction, Meter: r.Meter, Key: r.Key,
		Price: r.Price, Capacity: r.Capacity, Available: r.Capacity, Stake: r.Stake, RegisteredAt: now,
	}
}

// Change is what its owner, or an operator, changes of a provider; 0 or nil leaves as is.
type Change struct {
	Price    *messages.Amount
	Capacity *uint64
	StakeAdd messages.Amount
}

// Apply gives the provider changed. What was sold stays sold: a new capacity moves what
// is available by as much, and cannot be below what was sold.
func (p Provider) Apply(c Change) (Provider, *messages.Error) {
	if c.Price != nil {
		if err := checkPrice(*c.Price); err != nil {
			return p, err
		}
		p.Price = *c.Price
	}
	if c.Capacity != nil {
		sold := p.Capacity - p.Available
		if err := checkCapacity(*c.Capacity); err != nil {
			return p, err
		}
		if *c.Capacity < sold {
			return p, invalid("capacity_kwh of %d is below the %d kWh that are sold", *c.Capacity, sold)
		}
		p.Capacity, p.Available = *c.Capacity, *c.Capacity-sold
	}
	if c.StakeAdd > messages.AmountMax-p.Stake {
		return p, invalid("the stake would be above %d", messages.AmountMax)
	}
	p.Stake += c.StakeAdd
	return p, nil
}

// Reinstate lets a suspended provider report again. Its conduct so far is forgotten, or
// its next mistake would suspend it again.
func (p Provider) Reinstate() Provider {
	p.Suspended = false
	p.Reputation = Reputation{}
	p.Unsigned = false
	return p
}

// Active reports whether the provider has reported within the interval and is not
// suspended.
func (p *Provider) Active(s Settings, now uint64) bool {
	return !p.Suspended && p.Readings > 0 && now <= p.LastSeen+s.ReportInterval
}

func checkCapacity(kwh uint64) *messages.Error {
	if kwh == 0 || kwh > uint64(messages.AmountMax) {
		return invalid("capacity_kwh must be 1 to %d", messages.AmountMax)
	}
	return nil
}

func checkPrice(price messages.Amount) *messages.Error {
	if price == 0 || price > messages.AmountMax {
		return invalid("price_per_kwh must be 1 to %d", messages.AmountMax)
	}
	return nil
}

// Limits of what a caller may say: those of the messages, which keep records small
// enough that a page of them fits in a reply.
const (
	OwnerBytesMax        = messages.OwnerMax
	JurisdictionBytesMax = messages.JurisdictionMax
	MeterBytesMax        = messages.MeterMax
	BuyerBytesMax        = messages.BuyerMax
	ReasonBytesMax       = messages.DisputeTextMax
	NoteBytesMax         = messages.NoteMax
)

// SkewMax is how far a reading's timestamp may be from now, in seconds, either way.
const SkewMax = 300
