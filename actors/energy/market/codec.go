package market

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/the-block/bursar/messages"
)

// Stored records: a version byte, 1, then the fields in the order of their append
// function. Numbers are varints of encoding/binary, text is a varint of its length and
// its bytes, hashes and keys are their bytes. docs/storage.md draws them.
const recordVersion = 1

// ErrRecord is returned when stored bytes are not a record of the kind asked for.
var ErrRecord = errors.New("market: not a record")

const (
	flagSuspended = 1 << iota
	flagUnsigned
	providerFlags = 1<<iota - 1
)

// AppendProvider appends the encoding of p to dst. Its number is the key's.
func AppendProvider(dst []byte, p *Provider) []byte {
	var flags byte
	if p.Suspended {
		flags |= flagSuspended
	}
	if p.Unsigned {
		flags |= flagUnsigned
	}
	dst = append(dst, recordVersion, flags)
	dst = append(dst, p.Key[:]...)
	dst = appendText(dst, p.Owner)
	dst = appendText(dst, p.Jurisdiction)
	dst = appendText(dst, p.Meter)
	dst = appendNumbers(dst, uint64(p.Price), p.Capacity, p.Available, uint64(p.Stake), p.RegisteredAt,
		p.Readings, p.LastKWh, p.LastTime, p.LastNonce, p.LastSeen, p.Minted, p.Settled, p.BlamedNonce)
	r := &p.Reputation
	dst = appendNumbers(dst, r.Delivery.For, r.Delivery.Against, r.Meter.For, r.Meter.Against,
		r.Latency.For, r.Latency.Against, r.Capacity.For, r.Capacity.Against, r.Observations)
	dst = append(dst, p.History.next, p.History.n)
	return appendNumbers(dst, p.History.rates[:p.History.n]...)
}

// DecodeProvider reads what AppendProvider wrote.
func DecodeProvider(id messages.ProviderID, b []byte) (Provider, error) {
	p := Provider{ID: id}
	d := decoder{rest: b}
	d.version()
	flags := d.byte()
	d.bytes(p.Key[:])
	d.text(&p.Owner, OwnerBytesMax)
	d.text(&p.Jurisdiction, JurisdictionBytesMax)
	d.text(&p.Meter, MeterBytesMax)
	d.numbers((*uint64)(&p.Price), &p.Capacity, &p.Available, (*uint64)(&p.Stake), &p.RegisteredAt,
		&p.Readings, &p.LastKWh, &p.LastTime, &p.LastNonce, &p.LastSeen, &p.Minted, &p.Settled, &p.BlamedNonce)
	r := &p.Reputation
	d.numbers(&r.Delivery.For, &r.Delivery.Against, &r.Meter.For, &r.Meter.Against,
		&r.Latency.For, &r.Latency.Against, &r.Capacity.For, &r.Capacity.Against, &r.Observations)
	p.History.next, p.History.n = d.byte(), d.byte()
	d.check(flags <= providerFlags && p.History.n <= historyLen && p.History.next < historyLen &&
		p.Available <= p.Capacity)
	p.Suspended, p.Unsigned = flags&flagSuspended != 0, flags&flagUnsigned != 0
	if d.failed {
		return Provider{}, d.end("provider")
	}
	for i := range p.History.n {
		d.numbers(&p.History.rates[i])
	}
	return p, d.end("provider")
}

// AppendCredit appends the encoding of c to dst.
func AppendCredit(dst []byte, c *Credit) []byte {
	hold := byte(c.Hold)
	if c.Backfill {
		hold |= backfillBit
	}
	dst = append(dst, recordVersion, hold)
	dst = append(dst, c.Hash[:]...)
	return appendNumbers(dst, uint64(c.Provider), c.Minted, c.Left, c.Timestamp, c.MintedAt, uint64(c.Epoch))
}

const backfillBit = 0x80

// DecodeCredit reads what AppendCredit wrote.
func DecodeCredit(b []byte) (c Credit, err error) {
	d := decoder{rest: b}
	d.version()
	hold := d.byte()
	d.bytes(c.Hash[:])
	d.numbers((*uint64)(&c.Provider), &c.Minted, &c.Left, &c.Timestamp, &c.MintedAt, (*uint64)(&c.Epoch))
	c.Hold, c.Backfill = Hold(hold&^backfillBit), hold&backfillBit != 0
	d.check(c.Hold <= HoldVoid && c.Left <= c.Minted)
	return c, d.end("credit")
}

// AppendReceipt appends the encoding of r to dst.
func AppendReceipt(dst []byte, r *Receipt) []byte {
	dst = append(dst, recordVersion)
	dst = append(dst, r.Hash[:]...)
	dst = appendText(dst, r.Buyer)
	return appendNumbers(dst, uint64(r.Provider), r.KWh, uint64(r.Price), uint64(r.Fee), uint64(r.Slash),
		r.SettledAt, uint64(r.Epoch))
}

// DecodeReceipt reads what AppendReceipt wrote.
func DecodeReceipt(b []byte) (r Receipt, err error) {
	d := decoder{rest: b}
	d.version()
	d.bytes(r.Hash[:])
	d.text(&r.Buyer, BuyerBytesMax)
	d.numbers((*uint64)(&r.Provider), &r.KWh, (*uint64)(&r.Price), (*uint64)(&r.Fee), (*uint64)(&r.Slash),
		&r.SettledAt, (*uint64)(&r.Epoch))
	return r, d.end("receipt")
}

// AppendSlash appends the encoding of s to dst.
func AppendSlash(dst []byte, s *Slash) []byte {
	dst = append(dst, recordVersion, byte(s.Reason))
	dst = append(dst, s.Hash[:]...)
	dst = appendText(dst, s.Buyer)
	return appendNumbers(dst, uint64(s.Provider), uint64(s.Amount), s.At, uint64(s.Epoch))
}

// DecodeSlash reads what AppendSlash wrote.
func DecodeSlash(b []byte) (s Slash, err error) {
	d := decoder{rest: b}
	d.version()
	s.Reason = SlashReason(d.byte())
	d.bytes(s.Hash[:])
	d.text(&s.Buyer, BuyerBytesMax)
	d.numbers((*uint64)(&s.Provider), (*uint64)(&s.Amount), &s.At, (*uint64)(&s.Epoch))
	d.check(s.Reason >= SlashQuorum && s.Reason <= SlashSettlement)
	return s, d.end("slash")
}

// AppendDispute appends the encoding of x to dst.
func AppendDispute(dst []byte, x *Dispute) []byte {
	dst = append(dst, recordVersion, byte(x.Type), byte(x.Status))
	dst = append(dst, x.Hash[:]...)
	dst = appendText(dst, x.Reason)
	dst = appendText(dst, x.Reporter)
	dst = appendText(dst, x.Resolver)
	dst = appendText(dst, x.Note)
	return appendNumbers(dst, uint64(x.Provider), x.RaisedAt, x.ResolvedAt)
}

// DecodeDispute reads what AppendDispute wrote.
func DecodeDispute(b []byte) (x Dispute, err error) {
	d := decoder{rest: b}
	d.version()
	x.Type, x.Status = DisputeType(d.byte()), DisputeStatus(d.byte())
	d.bytes(x.Hash[:])
	d.text(&x.Reason, ReasonBytesMax)
	d.text(&x.Reporter, OwnerBytesMax)
	d.text(&x.Resolver, OwnerBytesMax)
	d.text(&x.Note, NoteBytesMax)
	d.numbers((*uint64)(&x.Provider), &x.RaisedAt, &x.ResolvedAt)
	d.check(x.Type >= LowReading && x.Type <= OtherDispute && x.Status >= DisputeOpen && x.Status <= DisputeSlashed)
	return x, d.end("dispute")
}

const (
	flagFeeFixed = 1 << iota
	flagBatch
	flagRehearsal
	settingsFlags = 1<<iota - 1
)

// AppendSettings appends the encoding of s to dst.
func AppendSettings(dst []byte, s *Settings) []byte {
	var flags byte
	set := func(flag byte, on bool) {
		if on {
			flags |= flag
		}
	}
	set(flagFeeFixed, s.FeeFixed)
	set(flagBatch, s.Batch)
	set(flagRehearsal, s.Rehearsal)
	dst = append(dst, recordVersion, flags)
	return appendNumbers(dst, uint64(s.MinStake), s.FeeBPS, uint64(s.QuorumPPM), uint64(s.TimeoutEpochs),
		s.SlashingBPS, s.BackfillWindow, uint64(s.ChallengeEpochs), s.ReportInterval)
}

// DecodeSettings reads what AppendSettings wrote.
func DecodeSettings(b []byte) (s Settings, err error) {
	d := decoder{rest: b}
	d.version()
	flags := d.byte()
	d.numbers((*uint64)(&s.MinStake), &s.FeeBPS, (*uint64)(&s.QuorumPPM), (*uint64)(&s.TimeoutEpochs),
		&s.SlashingBPS, &s.BackfillWindow, (*uint64)(&s.ChallengeEpochs), &s.ReportInterval)
	d.check(flags <= settingsFlags)
	s.FeeFixed, s.Batch, s.Rehearsal = flags&flagFeeFixed != 0, flags&flagBatch != 0, flags&flagRehearsal != 0
	return s, d.end("settings")
}

// Published is what the market's owner publishes for an epoch.
type Published struct {
	Epoch     messages.Epoch
	FeeBPS    uint64
	Price     messages.Amount // when it was published
	VolumeKWh uint64
}

// AppendPublished appends the encoding of p to dst.
func AppendPublished(dst []byte, p *Published) []byte {
	return appendNumbers(append(dst, recordVersion), uint64(p.Epoch), p.FeeBPS, uint64(p.Price), p.VolumeKWh)
}

// DecodePublished reads what AppendPublished wrote.
func DecodePublished(b []byte) (p Published, err error) {
	d := decoder{rest: b}
	d.version()
	d.numbers((*uint64)(&p.Epoch), &p.FeeBPS, (*uint64)(&p.Price), &p.VolumeKWh)
	return p, d.end("published fee")
}

func appendNumbers(dst []byte, numbers ...uint64) []byte {
	for _, n := range numbers {
		dst = binary.AppendUvarint(dst, n)
	}
	return dst
}

func appendText(dst []byte, text string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(text)))
	return append(dst, text...)
}

// decoder takes a record apart. After the first fault it reads zeros.
type decoder struct {
	rest   []byte
	failed bool
}

func (d *decoder) check(ok bool) { d.failed = d.failed || !ok }

func (d *decoder) version() { d.check(d.byte() == recordVersion) }

func (d *decoder) byte() byte {
	if d.failed || len(d.rest) == 0 {
		d.failed = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *decoder) bytes(to []byte) {
	if d.failed || len(d.rest) < len(to) {
		d.failed = true
		return
	}
	copy(to, d.rest)
	d.rest = d.rest[len(to):]
}

func (d *decoder) numbers(to ...*uint64) {
	for _, n := range to {
		v, size := binary.Uvarint(d.rest)
		if d.failed || size <= 0 {
			d.failed = true
			return
		}
		*n, d.rest = v, d.rest[size:]
	}
}

func (d *decoder) text(to *string, limit int) {
	var n uint64
	d.numbers(&n)
	if d.failed || n > uint64(limit) || n > uint64(len(d.rest)) {
		d.failed = true
		return
	}
	*to, d.rest = string(d.rest[:n]), d.rest[n:]
}

func (d *decoder) end(what string) error {
	if d.failed || len(d.rest) > 0 {
		return fmt.Errorf("%w: %s", ErrRecord, what)
	}
	return nil
}
