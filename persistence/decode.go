package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/the-block/bursar/messages"
)

// DecodeTxn reads the bytes AppendTxn wrote. Values in the result share data.
func DecodeTxn(data []byte) (*Txn, error) {
	t := new(Txn)
	var d decoder
	if err := d.txn(t, data, string(data)); err != nil {
		return nil, err
	}
	return t, nil
}

// DecodeBatch checks a log entry and gives the bytes of its Txns, which share data.
// It returns ErrCorrupt for an entry whose checksum or framing does not hold and
// ErrUnsupported for one in a layout this program does not know.
func DecodeBatch(data []byte) ([][]byte, error) {
	b, err := openBatch(data)
	if err != nil {
		return nil, err
	}
	txns := make([][]byte, 0, b.count)
	for b.next() {
		txns = append(txns, b.txn)
	}
	return txns, b.err
}

// batch walks the Txns of a log entry.
type batch struct {
	count int
	rest  []byte
	left  int
	txn   []byte // the present Txn
	at    int    // where it begins in the entry
	err   error
}

func openBatch(data []byte) (batch, error) {
	if len(data) < 2+crc32.Size || len(data) > entryBytesMax {
		return batch{}, fmt.Errorf("%w: entry of %d bytes", ErrCorrupt, len(data))
	}
	body := data[:len(data)-crc32.Size]
	want := binary.BigEndian.Uint32(data[len(body):])
	if got := crc32.Checksum(body, castagnoli); got != want {
		return batch{}, fmt.Errorf("%w: entry has checksum %08x, its bytes give %08x", ErrCorrupt, want, got)
	}
	if body[0] != batchFormat {
		return batch{}, fmt.Errorf("%w: entry format %#x", ErrUnsupported, body[0])
	}
	count, n := binary.Uvarint(body[1:])
	if n <= 0 || count > BatchTxnsMax {
		return batch{}, fmt.Errorf("%w: entry of %d transactions", ErrCorrupt, count)
	}
	return batch{count: int(count), left: int(count), rest: body[1+n:], at: 1 + n}, nil
}

// next moves to the next Txn; after the last, err says whether the framing held.
func (b *batch) next() bool {
	if b.left == 0 {
		if len(b.rest) > 0 {
			b.err = fmt.Errorf("%w: %d bytes after the last transaction", ErrCorrupt, len(b.rest))
		}
		return false
	}
	size, n := binary.Uvarint(b.rest)
	if n <= 0 || size > uint64(len(b.rest)-n) {
		b.err = fmt.Errorf("%w: transaction %d is cut off", ErrCorrupt, b.count-b.left)
		return false
	}
	b.at += len(b.txn) + n
	b.txn, b.rest = b.rest[n:n+int(size)], b.rest[n+int(size):]
	b.left--
	return true
}

// decoder reads Txns, one after the other, into slices it uses again, and Results.
// Strings of a decoded Txn share text, bytes share data: both live as long as the caller
// says.
type decoder struct {
	what string // is decoded, for errors
	data []byte
	text string
	at   int
	err  error

	slots []Slot
	rows  []Row
}

// txn decodes data, whose copy as a string is text, into t.
func (d *decoder) txn(t *Txn, data []byte, text string) error {
	d.what, d.data, d.text, d.at, d.err = "transaction", data, text, 0, nil
	d.slots, d.rows = d.slots[:0], d.rows[:0]
	kind := d.byte()
	if kind != txnKind && kind != txnNotedKind && d.err == nil {
		return fmt.Errorf("%w: transaction kind %#x", ErrUnsupported, kind)
	}
	t.Keep = Keep(d.byte())
	t.StampedAt = d.varint()
	t.Level = uint16(d.below(1 << 16))
	d.request(t)
	d.fences(t)
	d.assigns(t)
	d.conditions(t)
	d.adds(t)
	t.Deletes = t.Deletes[:0]
	for range d.count(DeletesMax) {
		t.Deletes = append(t.Deletes, Key(d.string()))
	}
	d.writes(t)
	t.Appends = d.appends(t.Appends[:0], AppendsMax)
	t.Notes = t.Notes[:0]
	if kind == txnNotedKind {
		if t.Notes = d.appends(t.Notes, NotesMax); len(t.Notes) == 0 {
			d.fail("no notes")
		}
	}
	if d.err == nil && d.at != len(d.data) {
		d.fail("bytes after the end")
	}
	if d.err != nil {
		return d.err
	}
	return t.validate()
}

func (d *decoder) request(t *Txn) {
	t.RequestID = d.string()
	t.PayloadHash, t.Reply = [16]byte{}, nil
	if t.RequestID != "" {
		copy(t.PayloadHash[:], d.advance(len(t.PayloadHash)))
		t.Reply = d.bytes()
	}
}

func (d *decoder) fences(t *Txn) {
	t.Fences = t.Fences[:0]
	for range d.count(FencesMax) {
		shard := messages.ShardID(d.below(1 << 16))
		t.Fences = append(t.Fences, ShardFence{shard, messages.Fence(d.uvarint())})
	}
}

func (d *decoder) assigns(t *Txn) {
	t.Assigns = t.Assigns[:0]
	for range d.count(AssignsMax) {
		shard := messages.ShardID(d.below(1 << 16))
		owner := messages.NodeID(d.string())
		t.Assigns = append(t.Assigns, Assign{shard, owner, messages.Fence(d.uvarint())})
	}
}

func (d *decoder) conditions(t *Txn) {
	t.Conditions = t.Conditions[:0]
	for range d.count(ConditionsMax) {
		c := Condition{kind: conditionKind(d.byte()), key: Key(d.string())}
		switch c.kind {
		case conditionExists, conditionAbsent:
		case conditionVersionIs, conditionUnchanged, conditionCounterBelow, conditionCounterAtLeast:
			c.n = d.uint64()
		case conditionTagIn, conditionTagNotIn:
			c.tags = d.string()
		default:
			d.unsupported("condition kind", byte(c.kind))
		}
		t.Conditions = append(t.Conditions, c)
	}
}

func (d *decoder) adds(t *Txn) {
	t.Adds = t.Adds[:0]
	for range d.count(AddsMax) {
		a := Add{Counter: d.string(), Delta: d.varint(), Min: d.varint(), Max: d.varint()}
		switch has := d.byte(); has {
		case 0:
		case 1:
			d.rows = append(d.rows, Row{Event: d.byte(), Reference: d.uint64()})
			a.Row = &d.rows[len(d.rows)-1]
		default:
			d.unsupported("history row kind", has)
		}
		t.Adds = append(t.Adds, a)
	}
}

func (d *decoder) writes(t *Txn) {
	t.Writes = t.Writes[:0]
	for range d.count(WritesMax) {
		w := Write{Key: Key(d.string()), KeySlots: d.slotList()}
		w.Tag, w.Value, w.Slots = d.byte(), d.bytes(), d.slotList()
		t.Writes = append(t.Writes, w)
	}
}

func (d *decoder) appends(list []Append, most int) []Append {
	for range d.count(most) {
		a := Append{Table: Table(d.byte()), Tag: d.byte(), Value: d.bytes(), Slots: d.slotList()}
		list = append(list, a)
	}
	return list
}

func (d *decoder) slotList() []Slot {
	n := d.count(SlotsMax)
	if n == 0 {
		return nil
	}
	start := len(d.slots)
	for range n {
		s := Slot{Offset: uint32(d.below(1 << 32))}
		if b := d.advance(2); b != nil {
			s.Number = binary.BigEndian.Uint16(b)
		}
		d.slots = append(d.slots, s)
	}
	return d.slots[start:len(d.slots):len(d.slots)]
}

// count reads the length of a list. Each item takes a byte or more, so a count
// beyond the bytes left is refused before anything is allocated for it.
func (d *decoder) count(most int) int {
	n := d.uvarint()
	if n > uint64(most) || n > uint64(len(d.data)-d.at) {
		d.fail("list too long")
		return 0
	}
	return int(n)
}

func (d *decoder) below(limit uint64) uint64 {
	n := d.uvarint()
	if n >= limit {
		d.fail("number too large")
		return 0
	}
	return n
}

func (d *decoder) uvarint() uint64 {
	if d.at < len(d.data) && d.data[d.at] < 0x80 {
		d.at++
		return uint64(d.data[d.at-1])
	}
	v, n := binary.Uvarint(d.data[d.at:])
	if n <= 0 {
		d.fail("cut off")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data[d.at:])
	if n <= 0 {
		d.fail("cut off")
		return 0
	}
	d.at += n
	return v
}

func (d *decoder) byte() byte {
	b := d.advance(1)
	if b == nil {
		return 0
	}
	return b[0]
}

func (d *decoder) uint64() uint64 {
	b := d.advance(8)
	if b == nil {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func (d *decoder) string() string {
	n := d.count(len(d.data))
	d.at += n
	return d.text[d.at-n : d.at]
}

func (d *decoder) bytes() []byte {
	n := d.count(len(d.data))
	return d.advance(n)
}

// advance gives the next n bytes, nil if there are fewer.
func (d *decoder) advance(n int) []byte {
	if n > len(d.data)-d.at {
		d.fail("cut off")
		return nil
	}
	d.at += n
	return d.data[d.at-n : d.at : d.at]
}

// fail notes the first fault and ends the decoding: what follows reads nothing.
func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s, byte %d: %s", ErrCorrupt, d.what, d.at, what)
	}
	d.at = len(d.data)
}

func (d *decoder) unsupported(what string, kind byte) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s %#x", ErrUnsupported, what, kind)
	}
	d.at = len(d.data)
}
