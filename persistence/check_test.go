package persistence_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/persistence"
)

// TestWhatIsCheckedCanBeApplied spoils entries, with and without a right checksum: what
// passes the check is applied, and what does not is not.
func TestWhatIsCheckedCanBeApplied(t *testing.T) {
	dir := t.TempDir()
	var whole []byte
	for _, txn := range []*persistence.Txn{
		{
			RequestID: "request", PayloadHash: [16]byte{7}, Reply: []byte("reply"), StampedAt: 5,
			Appends: []persistence.Append{{Table: 1, Tag: 2, Value: make([]byte, 16), Slots: []persistence.Slot{{Offset: 8}}}},
			Adds:    []persistence.Add{{Counter: "counter", Delta: 3, Max: 9, Row: &persistence.Row{Event: 1, Reference: 4}}},
		},
		{
			Conditions: []persistence.Condition{persistence.Absent(persistence.RecordKey(2, 9))},
			Writes:     []persistence.Write{{Key: persistence.NameKey(2, "name"), Tag: 1, Value: []byte("value")}},
			Deletes:    []persistence.Key{persistence.NameKey(2, "other")},
			Assigns:    []persistence.Assign{{Shard: 3, Owner: "n1"}},
		},
	} {
		b, err := persistence.AppendTxn(nil, txn)
		if err != nil {
			t.Fatal(err)
		}
		whole = append(binary.AppendUvarint(whole, uint64(len(b))), b...)
	}
	whole = append([]byte{0xb1, 2}, whole...)
	passed, refused := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		body := bytes.Clone(whole)
		for range rapid.IntRange(0, 3).Draw(t, "changes") {
			at := rapid.IntRange(0, len(body)-1).Draw(t, "at")
			body[at] = rapid.Byte().Draw(t, "byte")
		}
		body = body[:len(body)-rapid.SampledFrom([]int{0, 0, 0, 1, 9}).Draw(t, "cut")]
		sum := crc32.Checksum(body, crc32.MakeTable(crc32.Castagnoli))
		if rapid.IntRange(0, 9).Draw(t, "checksum") == 0 {
			sum++
		}
		entry := binary.BigEndian.AppendUint32(body, sum)
		store, err := persistence.Open(dir, persistence.DefaultStoreConfig())
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		checked := persistence.CheckEntry(entry)
		_, applied := persistence.NewFSM(store).Apply(1, entry)
		if (checked == nil) != (applied == nil) {
			t.Fatalf("checked: %v, applied: %v", checked, applied)
		}
		if checked == nil {
			passed++
			return
		}
		refused++
		known := errors.Is(checked, persistence.ErrCorrupt) || errors.Is(checked, persistence.ErrInvalid) || errors.Is(checked, persistence.ErrUnsupported)
		if !known {
			t.Fatalf("refused for %v", checked)
		}
	})
	if passed == 0 || refused == 0 {
		t.Errorf("%d passed, %d refused", passed, refused)
	}
}
