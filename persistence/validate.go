package persistence

import (
	"fmt"

	"github.com/the-block/bursar/messages"
)

// validate holds t against every rule that does not depend on the Store. What passes
// can be applied without an error on any node.
func (t *Txn) validate() error {
	for _, count := range [...]struct {
		what   string
		n, max int
	}{
		{"fences", len(t.Fences), FencesMax},
		{"conditions", len(t.Conditions), ConditionsMax},
		{"writes", len(t.Writes), WritesMax},
		{"deletes", len(t.Deletes), DeletesMax},
		{"adds", len(t.Adds), AddsMax},
		{"appends", len(t.Appends), AppendsMax},
		{"notes", len(t.Notes), NotesMax},
		{"assigns", len(t.Assigns), AssignsMax},
		{"request id bytes", len(t.RequestID), RequestIDBytesMax},
		{"reply bytes", len(t.Reply), ReplyBytesMax},
	} {
		if count.n > count.max {
			return invalid("%d %s, at most %d", count.n, count.what, count.max)
		}
	}
	if t.Keep > KeepForever {
		return invalid("keep %d", t.Keep)
	}
	for i := range t.Fences {
		if t.Fences[i].Fence == 0 {
			return invalid("fence %d of shard %d is 0", i, t.Fences[i].Shard)
		}
	}
	if err := t.validateAssigns(); err != nil {
		return err
	}
	return t.validateRows()
}

func (t *Txn) validateAssigns() error {
	if len(t.Assigns) == 0 {
		return nil
	}
	seen := make(map[messages.ShardID]bool, len(t.Assigns))
	for i := range t.Assigns {
		a := &t.Assigns[i]
		if n := len(a.Owner); n == 0 || n > OwnerBytesMax {
			return invalid("assign %d: owner of %d bytes", i, n)
		}
		if seen[a.Shard] {
			return invalid("assign %d: shard %d twice", i, a.Shard)
		}
		seen[a.Shard] = true
	}
	return nil
}

func (t *Txn) validateRows() error {
	for i := range t.Conditions {
		if err := t.Conditions[i].validate(); err != nil {
			return invalid("condition %d: %w", i, err)
		}
	}
	for i := range t.Adds {
		if err := t.Adds[i].validate(len(t.Appends)); err != nil {
			return invalid("add %d: %w", i, err)
		}
	}
	for i, key := range t.Deletes {
		if err := validKey(key); err != nil {
			return invalid("delete %d: %w", i, err)
		}
	}
	for i := range t.Writes {
		w := &t.Writes[i]
		if err := validKey(w.Key); err != nil {
			return invalid("write %d: %w", i, err)
		}
		// The table byte is not a place for a number: it must stay the caller's.
		for _, s := range w.KeySlots {
			if s.Offset == 0 {
				return invalid("write %d: key slot over the table byte", i)
			}
		}
		if err := validSlots(w.KeySlots, len(w.Key), len(t.Appends)); err != nil {
			return invalid("write %d: key %w", i, err)
		}
		if err := validSlots(w.Slots, len(w.Value), len(t.Appends)); err != nil {
			return invalid("write %d: %w", i, err)
		}
	}
	if err := validAppends("append", t.Appends, len(t.Appends)); err != nil {
		return err
	}
	return validAppends("note", t.Notes, len(t.Appends))
}

func validAppends(what string, list []Append, appends int) error {
	for i := range list {
		a := &list[i]
		if a.Table == 0 || a.Table >= tableReserved {
			return invalid("%s %d: table %#x", what, i, byte(a.Table))
		}
		if err := validSlots(a.Slots, len(a.Value), appends); err != nil {
			return invalid("%s %d: %w", what, i, err)
		}
	}
	return nil
}

func (c *Condition) validate() error {
	switch c.kind {
	case conditionExists, conditionAbsent, conditionVersionIs, conditionUnchanged:
		return validKey(c.key)
	case conditionTagIn, conditionTagNotIn:
		if len(c.tags) == 0 || len(c.tags) > TagsMax {
			return fmt.Errorf("%d tags", len(c.tags))
		}
		return validKey(c.key)
	case conditionCounterBelow, conditionCounterAtLeast:
		return validCounter(string(c.key))
	}
	return fmt.Errorf("kind %d", c.kind)
}

func (a *Add) validate(appends int) error {
	if a.Row != nil && a.Row.Reference >= slotIDBase {
		if k := a.Row.Reference - slotIDBase; k >= uint64(appends) {
			return fmt.Errorf("reference to slot %d of %d", k, appends)
		}
	}
	return validCounter(a.Counter)
}

func validKey(key Key) error {
	if key.Table() == 0 || key.Table() >= tableReserved {
		return fmt.Errorf("key in table %#x", byte(key.Table()))
	}
	if len(key) > KeyBytesMax {
		return fmt.Errorf("key of %d bytes, at most %d", len(key), KeyBytesMax)
	}
	return nil
}

func validCounter(name string) error {
	if name == "" || len(name) > CounterBytesMax {
		return fmt.Errorf("counter name of %d bytes", len(name))
	}
	return nil
}

func validSlots(slots []Slot, size, appends int) error {
	if len(slots) > SlotsMax {
		return fmt.Errorf("slots: %d, at most %d", len(slots), SlotsMax)
	}
	for _, s := range slots {
		if uint64(s.Offset)+8 > uint64(size) {
			return fmt.Errorf("slot at %d of %d bytes", s.Offset, size)
		}
		if s.Number != SlotIndex && int(s.Number) >= appends {
			return fmt.Errorf("slot for append %d of %d", s.Number, appends)
		}
	}
	return nil
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrInvalid, fmt.Errorf(format, args...))
}

// CheckEntry reports whether every node can apply an entry: checksum and framing hold, and
// each of its Txns is whole, keeps the rules and limits of its form, and asks for no
// feature level that this program does not know. What fails here is never to be in a log.
func CheckEntry(data []byte) error {
	b, err := openBatch(data)
	if err != nil {
		return err
	}
	var d decoder
	var t Txn
	text := string(data)
	for n := 0; b.next(); n++ {
		if err := d.txn(&t, b.txn, text[b.at:b.at+len(b.txn)]); err != nil {
			return fmt.Errorf("transaction %d: %w", n, err)
		}
		if t.Level > LevelMax {
			return fmt.Errorf("transaction %d: %w: feature level %d, this program knows up to %d", n, ErrUnsupported, t.Level, LevelMax)
		}
	}
	return b.err
}
