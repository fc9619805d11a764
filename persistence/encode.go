package persistence

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// The first bytes of a batch and of a Txn name their layout. A new layout takes a
// new number; a program that does not know a number stops (ErrUnsupported).
const (
	batchFormat byte = 0xb1
	txnKind     byte = 0x01
	// txnNotedKind is a txnKind with the list of its Notes at the end; there is one or more.
	txnNotedKind byte = 0x02
)

// Limits of a batch, the payload of one log entry. A Txn over BatchBytesMax is a
// batch of its own.
const (
	BatchTxnsMax  = 1 << 10
	BatchBytesMax = 1 << 20

	batchOverheadMax = 1 + binary.MaxVarintLen64 + crc32.Size
	entryBytesMax    = TxnBytesMax + batchOverheadMax + binary.MaxVarintLen64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendTxn appends t's bytes to dst. It returns ErrInvalid (wrapped, with the rule)
// or ErrTooLarge for a Txn that must not enter the log.
func AppendTxn(dst []byte, t *Txn) ([]byte, error) {
	if err := t.validate(); err != nil {
		return nil, err
	}
	start := len(dst)
	kind := txnKind
	if len(t.Notes) > 0 {
		kind = txnNotedKind
	}
	dst = append(dst, kind, byte(t.Keep))
	dst = binary.AppendVarint(dst, t.StampedAt)
	dst = binary.AppendUvarint(dst, uint64(t.Level))
	dst = appendRequest(dst, t)
	dst = appendFences(dst, t.Fences)
	dst = appendAssigns(dst, t.Assigns)
	dst = appendConditions(dst, t.Conditions)
	dst = appendAdds(dst, t.Adds)
	dst = binary.AppendUvarint(dst, uint64(len(t.Deletes)))
	for _, key := range t.Deletes {
		dst = appendString(dst, string(key))
	}
	dst = appendWrites(dst, t.Writes)
	dst = appendAppends(dst, t.Appends)
	if len(t.Notes) > 0 {
		dst = appendAppends(dst, t.Notes)
	}
	if n := len(dst) - start; n > TxnBytesMax {
		return nil, fmt.Errorf("%w: %d of at most %d bytes", ErrTooLarge, n, TxnBytesMax)
	}
	return dst, nil
}

func appendRequest(dst []byte, t *Txn) []byte {
	dst = appendString(dst, t.RequestID)
	if t.RequestID == "" {
		return dst
	}
	dst = append(dst, t.PayloadHash[:]...)
	return appendBytes(dst, t.Reply)
}

func appendFences(dst []byte, fences []ShardFence) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(fences)))
	for _, f := range fences {
		dst = binary.AppendUvarint(dst, uint64(f.Shard))
		dst = binary.AppendUvarint(dst, uint64(f.Fence))
	}
	return dst
}

func appendAssigns(dst []byte, assigns []Assign) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(assigns)))
	for _, a := range assigns {
		dst = binary.AppendUvarint(dst, uint64(a.Shard))
		dst = appendString(dst, string(a.Owner))
		dst = binary.AppendUvarint(dst, uint64(a.From))
	}
	return dst
}

func appendConditions(dst []byte, conditions []Condition) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(conditions)))
	for _, c := range conditions {
		dst = append(dst, byte(c.kind))
		dst = appendString(dst, string(c.key))
		switch c.kind {
		case conditionExists, conditionAbsent:
		case conditionVersionIs, conditionUnchanged, conditionCounterBelow, conditionCounterAtLeast:
			dst = binary.BigEndian.AppendUint64(dst, c.n)
		case conditionTagIn, conditionTagNotIn:
			dst = appendString(dst, c.tags)
		}
	}
	return dst
}

func appendAdds(dst []byte, adds []Add) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(adds)))
	for _, a := range adds {
		dst = appendString(dst, a.Counter)
		dst = binary.AppendVarint(dst, a.Delta)
		dst = binary.AppendVarint(dst, a.Min)
		dst = binary.AppendVarint(dst, a.Max)
		if a.Row == nil {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1, a.Row.Event)
		dst = binary.BigEndian.AppendUint64(dst, a.Row.Reference)
	}
	return dst
}

func appendWrites(dst []byte, writes []Write) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(writes)))
	for i := range writes {
		w := &writes[i]
		dst = appendString(dst, string(w.Key))
		dst = appendSlots(dst, w.KeySlots)
		dst = append(dst, w.Tag)
		dst = appendBytes(dst, w.Value)
		dst = appendSlots(dst, w.Slots)
	}
	return dst
}

func appendAppends(dst []byte, appends []Append) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(appends)))
	for i := range appends {
		a := &appends[i]
		dst = append(dst, byte(a.Table), a.Tag)
		dst = appendBytes(dst, a.Value)
		dst = appendSlots(dst, a.Slots)
	}
	return dst
}

func appendSlots(dst []byte, slots []Slot) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(slots)))
	for _, s := range slots {
		dst = binary.AppendUvarint(dst, uint64(s.Offset))
		dst = binary.BigEndian.AppendUint16(dst, s.Number)
	}
	return dst
}

func appendString(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// AppendBatch appends to dst the log entry that holds the given encoded Txns, in
// their order. A batch without Txns is valid: it applies as an index and nothing else.
func AppendBatch(dst []byte, txns ...[]byte) []byte {
	start := len(dst)
	dst = append(dst, batchFormat)
	dst = binary.AppendUvarint(dst, uint64(len(txns)))
	for _, t := range txns {
		dst = appendBytes(dst, t)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}
