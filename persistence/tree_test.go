package persistence_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/persistence"
)

// treeOf gives size and root of a Store's audit tree.
func treeOf(t interface{ Fatal(...any) }, s *persistence.Store) (size uint64, root persistence.TreeHash) {
	inTree(t, s, func(tree *persistence.Tree) (err error) {
		size = tree.Size()
		root, err = tree.Root(size)
		return err
	})
	return size, root
}

func inTree(t interface{ Fatal(...any) }, s *persistence.Store, look func(*persistence.Tree) error) {
	if err := s.View(func(v *persistence.View) error { return look(v.Tree()) }); err != nil {
		t.Fatal(err)
	}
}

// note is one audited row of a few bytes.
func note(i int) *persistence.Txn {
	return &persistence.Txn{
		Level: persistence.LevelAudit,
		Notes: []persistence.Append{{Table: audited, Tag: byte(i), Value: fmt.Append(nil, "row ", i)}},
	}
}

// leafOfNote is the leaf of the i-th note, written at an index.
func leafOfNote(i int, index uint64) []byte {
	l := persistence.Leaf{
		Number: uint64(i + 1), Index: index, Key: persistence.RecordKey(audited, uint64(i+1)),
		Tag: byte(i), Version: 1, Data: fmt.Append(nil, "row ", i),
	}
	return persistence.AppendLeaf(nil, &l)
}

// grow fills a tree with n notes, in entries of up to size.
func grow(t interface{ Fatal(...any) }, f *persistence.FSM, n, size int) (leaves [][]byte) {
	for len(leaves) < n {
		var txns []*persistence.Txn
		index := f.Store().Applied() + 1
		for range min(size, n-len(leaves)) {
			leaves = append(leaves, leafOfNote(len(leaves), index))
			txns = append(txns, note(len(leaves)-1))
		}
		mustApply(t, f, index, entryOf(t, txns...))
	}
	return leaves
}

// The checks of RFC 9162, section 2.1.3.2 and 2.1.4.2, word for word: a verifier that has
// nothing in common with what makes the proofs.
func included(hash persistence.TreeHash, number, size uint64, proof []persistence.TreeHash, root persistence.TreeHash) bool {
	if number == 0 || number > size {
		return false
	}
	fn, sn, r := number-1, size-1, hash
	for _, p := range proof {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			r = node(p, r)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			r = node(r, p)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && r == root
}

func extends(first, second uint64, before, after persistence.TreeHash, proof []persistence.TreeHash) bool {
	if first == second {
		return len(proof) == 0 && before == after
	}
	if first&(first-1) == 0 {
		proof = slices.Concat([]persistence.TreeHash{before}, proof)
	}
	if len(proof) == 0 {
		return false
	}
	fn, sn := first-1, second-1
	for fn&1 == 1 {
		fn, sn = fn>>1, sn>>1
	}
	fr, sr := proof[0], proof[0]
	for _, c := range proof[1:] {
		if sn == 0 {
			return false
		}
		if fn&1 == 1 || fn == sn {
			fr, sr = node(c, fr), node(c, sr)
			for fn&1 == 0 && fn != 0 {
				fn, sn = fn>>1, sn>>1
			}
		} else {
			sr = node(sr, c)
		}
		fn, sn = fn>>1, sn>>1
	}
	return sn == 0 && fr == before && sr == after
}

func node(left, right persistence.TreeHash) persistence.TreeHash {
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}

// TestTreeAgainstTheRFC holds roots, proofs of leaves and proofs between sizes of random
// trees against the definitions, over blocks and their ends, and after a snapshot.
func TestTreeAgainstTheRFC(t *testing.T) {
	sizes := []int{1, 2, 63, 64, 65, 127, 128, 129, 700, 1023, 1024, 1025, 32*64 - 1, 32*64 + 33}
	rapid.Check(t, func(rt *rapid.T) {
		fsm := openFSM(t)
		n := rapid.SampledFrom(sizes).Draw(rt, "leaves")
		leaves := grow(rt, fsm, n, rapid.SampledFrom([]int{64, 97, 512, 1000}).Draw(rt, "an entry"))
		if rapid.Bool().Draw(rt, "restored") {
			other := openFSM(t)
			if err := other.Restore(bytes.NewReader(snapshotOf(rt, fsm))); err != nil {
				rt.Fatal(err)
			}
			fsm = other
			leaves = append(leaves, leafOfNote(n, fsm.Store().Applied()+1))
			mustApply(rt, fsm, fsm.Store().Applied()+1, entryOf(rt, note(n)))
			n++
		}
		size := rapid.IntRange(1, n).Draw(rt, "size")
		old := rapid.IntRange(1, size).Draw(rt, "old size")
		number := rapid.IntRange(1, size).Draw(rt, "leaf")
		inTree(rt, fsm.Store(), func(tree *persistence.Tree) error {
			roots := map[int]persistence.TreeHash{}
			for _, s := range []int{size, old, n} {
				root, err := tree.Root(uint64(s))
				if err != nil {
					return err
				}
				if want := naiveRoot(leaves[:s]); root != want {
					rt.Fatalf("root of %d leaves is %x, want %x", s, root[:], want[:])
				}
				roots[s] = root
			}
			leaf, ok := tree.Leaf(uint64(number))
			if !ok || !bytes.Equal(leaf.Bytes, leaves[number-1]) || leaf.Hash != persistence.LeafHash(leaf.Bytes) {
				rt.Fatalf("leaf %d is %x, want %x", number, leaf.Bytes, leaves[number-1])
			}
			proof, err := tree.Prove(uint64(number), uint64(size))
			if err != nil {
				return err
			}
			if !included(leaf.Hash, uint64(number), uint64(size), proof, roots[size]) {
				rt.Fatalf("the proof of leaf %d in %d does not hold", number, size)
			}
			if err := tlog.CheckRecord(proof, int64(size), roots[size], int64(number-1), leaf.Hash); err != nil {
				rt.Fatalf("leaf %d in %d: %v", number, size, err)
			}
			extension, err := tree.ProveExtends(uint64(old), uint64(size))
			if err != nil {
				return err
			}
			if !extends(uint64(old), uint64(size), roots[old], roots[size], extension) {
				rt.Fatalf("the proof from %d to %d does not hold", old, size)
			}
			// One flipped bit anywhere, and nothing holds.
			if len(proof) > 0 {
				at := rapid.IntRange(0, len(proof)*256-1).Draw(rt, "bit")
				proof[at/256][at%256/8] ^= 1 << (at % 8)
				if included(leaf.Hash, uint64(number), uint64(size), proof, roots[size]) {
					rt.Fatal("a changed proof holds")
				}
			}
			return nil
		})
	})
}

// TestTreeBeyondIsRefused: sizes and leaves that are not there.
func TestTreeBeyondIsRefused(t *testing.T) {
	fsm := openFSM(t)
	grow(t, fsm, 70, 70)
	inTree(t, fsm.Store(), func(tree *persistence.Tree) error {
		for what, ask := range map[string]func() error{
			"root":       func() error { _, err := tree.Root(71); return err },
			"no leaf":    func() error { _, err := tree.Prove(0, 70); return err },
			"leaf":       func() error { _, err := tree.Prove(70, 69); return err },
			"size":       func() error { _, err := tree.Prove(1, 71); return err },
			"extends":    func() error { _, err := tree.ProveExtends(70, 69); return err },
			"everything": func() error { _, err := tree.ProveExtends(1, math.MaxUint64); return err },
		} {
			if err := ask(); !errors.Is(err, persistence.ErrInvalid) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, ok := tree.Leaf(71); ok {
			t.Error("leaf 71 of 70")
		}
		if p, err := tree.ProveExtends(0, 70); err != nil || len(p) > 0 {
			t.Errorf("from nothing: %v, %v", p, err)
		}
		return nil
	})
}

// TestLeavesOfARow: the row that was there before the tree is its first leaf. Each write of a row is a leaf that names the one before; the bytes are
// there for the newest. A counter's row that refers to nothing is one too.
func TestLeavesOfARow(t *testing.T) {
	fsm := openFSM(t)
	key := persistence.RecordKey(audited, 1)
	write := func(tag byte) *persistence.Txn {
		return &persistence.Txn{Writes: []persistence.Write{{Key: key, Tag: tag, Value: []byte{tag}}}}
	}
	before := write(1)
	before.Adds = []persistence.Add{{Counter: "treasury", Delta: 5, Max: 100, Row: &persistence.Row{Event: 1}}}
	mustApply(t, fsm, 1, entryOf(t, before))
	mustApply(t, fsm, 2, entryOf(t, &persistence.Txn{Level: persistence.LevelAudit}, write(2)))
	income := write(3)
	income.Adds = []persistence.Add{
		{Counter: "treasury", Delta: 7, Max: 100, Row: &persistence.Row{Event: 4}},
		{Counter: "treasury", Delta: -1, Max: 100, Row: &persistence.Row{Event: 4, Reference: 9}},
	}
	income.StampedAt = 77
	mustApply(t, fsm, 3, entryOf(t, income, &persistence.Txn{Writes: []persistence.Write{{Key: persistence.RecordKey(2, 1)}}}))
	var previous []uint64
	inTree(t, fsm.Store(), func(tree *persistence.Tree) error {
		if tree.Size() != 4 {
			t.Fatalf("%d leaves, want 4", tree.Size())
		}
		for n := uint64(1); n <= 4; n++ {
			leaf, _ := tree.Leaf(n)
			previous = append(previous, leaf.Previous)
			if kept := leaf.Bytes != nil; kept != (n > 2) {
				t.Errorf("leaf %d is kept: %t", n, kept)
			}
		}
		leaf, _ := tree.Leaf(4)
		parsed, err := persistence.ParseLeaf(leaf.Bytes)
		if err != nil {
			return err
		}
		counter, row, ok := parsed.HistoryLeaf()
		want := persistence.HistoryRow{Seq: 2, Delta: 7, After: 12, StampedAt: 77, Event: 4}
		if !ok || counter != "treasury" || row != want {
			t.Errorf("%q %+v %t, want %+v", counter, row, ok, want)
		}
		return nil
	})
	if !slices.Equal(previous, []uint64{0, 1, 2, 0}) {
		t.Errorf("leaves before: %v", previous)
	}
	err := fsm.Store().View(func(v *persistence.View) error {
		if n := v.LeafOf(key); n != 3 {
			t.Errorf("the row is leaf %d, want 3", n)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestParseLeaf takes any bytes, and gives back those that AppendLeaf makes.
func TestParseLeaf(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOf(rapid.Byte()).Draw(t, "bytes")
		if rapid.Bool().Draw(t, "plausible") {
			head := make([]byte, 28)
			head[0] = 1
			binary.BigEndian.PutUint16(head[26:], uint16(rapid.IntRange(0, 12).Draw(t, "key")))
			b = slices.Concat(head, b)
		}
		l, err := persistence.ParseLeaf(b)
		if err == nil && !bytes.Equal(persistence.AppendLeaf(nil, &l), b) {
			t.Fatalf("%x", b)
		}
		if err != nil && !errors.Is(err, persistence.ErrCorrupt) {
			t.Fatal(err)
		}
	})
}
