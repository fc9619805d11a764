package persistence

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"
)

// The audit tree. From feature level LevelAudit on every audited row that is written,
// and every row of a counter's history that refers to no record, is a leaf of a
// Merkle tree as RFC 6962 hashes it. Leaves are numbered from 1, in the order of the log;
// the first are the audited rows that were there when the level was reached.
//
// What is kept of the tree are blocks of 32: of leaves, which tell hash and key of each, and
// of the roots of 32, 32^2, 32^3 ... leaves. Every node of the tree is at most 31 hashes
// away from one of them. Only the last block of each size is not full, and is written once
// an entry; a full one never changes.
const (
	// TreeBlock is how many leaves, or roots, one row holds.
	TreeBlock = 32
	// treeBits is the logarithm of TreeBlock: a block's root is so many levels above it.
	treeBits = 5
	// treeLevels is how many sizes of blocks there may be: 32^9 leaves are enough.
	treeLevels = 9

	// TreeHashBytes is how long a TreeHash is.
	TreeHashBytes = sha256.Size
)

// TreeHash is the hash of a leaf or of a node of the tree.
type TreeHash = tlog.Hash

// Leaf is what a leaf says.
type Leaf struct {
	Number  uint64 // 1, 2, 3 ...
	Index   uint64 // of the entry of the log that wrote the row
	Key     Key
	Tag     byte   // the row's; of a row of a history its event
	Version uint64 // the row's; 0 of a row of a history
	Data    []byte
}

// leafVersion is the first byte of a leaf.
const leafVersion = 1

// leafHead is how long a leaf is without key and data.
const leafHead = 1 + 8 + 8 + 8 + 1 + 2

// AppendLeaf appends the bytes of a leaf:
//
//	version 1 (= 1) | number 8 | index 8 | row's version 8 | tag 1 | length of key 2 | key | data
func AppendLeaf(dst []byte, l *Leaf) []byte {
	dst = append(dst, leafVersion)
	dst = binary.BigEndian.AppendUint64(dst, l.Number)
	dst = binary.BigEndian.AppendUint64(dst, l.Index)
	dst = binary.BigEndian.AppendUint64(dst, l.Version)
	dst = append(dst, l.Tag)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(l.Key)))
	dst = append(dst, l.Key...)
	return append(dst, l.Data...)
}

// ParseLeaf reads what AppendLeaf wrote.
func ParseLeaf(b []byte) (l Leaf, err error) {
	if len(b) < leafHead || b[0] != leafVersion {
		return l, fmt.Errorf("%w: a leaf of %d bytes that begins with %x", ErrCorrupt, len(b), b[:min(len(b), 1)])
	}
	l.Number, l.Index, l.Version = binary.BigEndian.Uint64(b[1:]), binary.BigEndian.Uint64(b[9:]), binary.BigEndian.Uint64(b[17:])
	l.Tag = b[25]
	end := leafHead + int(binary.BigEndian.Uint16(b[26:]))
	if end > len(b) || end == leafHead {
		return l, fmt.Errorf("%w: the key of a leaf is cut off", ErrCorrupt)
	}
	l.Key, l.Data = Key(b[leafHead:end]), b[end:]
	return l, nil
}

// HistoryLeaf takes the leaf of a row of a history apart; ok is false for other leaves.
func (l *Leaf) HistoryLeaf() (counter string, row HistoryRow, ok bool) {
	name := l.Key.Name()
	if l.Key.Table() != tableHistory || len(name) < 8 {
		return "", HistoryRow{}, false
	}
	at := len(name) - 8
	row, err := parseHistoryRow(string(l.Data), 0, beUint64(name[at:]))
	return name[:at], row, err == nil
}

// historyLeafKey names one row of a counter's history.
func historyLeafKey(name string, seq uint64) Key {
	b := append(make([]byte, 0, 1+len(name)+8), byte(tableHistory))
	b = append(b, name...)
	return Key(binary.BigEndian.AppendUint64(b, seq))
}

// treeLeaf is what a block keeps of a leaf:
//
//	hash 32 | index uvarint | number of the leaf before it with its key uvarint, 0 for none | key string
type treeLeaf struct {
	hash     TreeHash
	index    uint64
	previous uint64
	key      string
}

func appendTreeLeaf(dst []byte, l *treeLeaf) []byte {
	dst = append(dst, l.hash[:]...)
	dst = binary.AppendUvarint(dst, l.index)
	dst = binary.AppendUvarint(dst, l.previous)
	return appendString(dst, l.key)
}

// parseTreeLeaves reads a block of leaves.
func parseTreeLeaves(block string) (leaves []treeLeaf, err error) {
	for rest := block; rest != ""; {
		var l treeLeaf
		n := copy(l.hash[:], rest)
		for _, v := range []*uint64{&l.index, &l.previous} {
			var m int
			if *v, m = stringUvarint(rest[n:]); m == 0 {
				return nil, errTreeBlock(len(block))
			}
			n += m
		}
		size, m := stringUvarint(rest[n:])
		if n += m; m == 0 || size > uint64(len(rest)-n) {
			return nil, errTreeBlock(len(block))
		}
		l.key = rest[n : n+int(size)]
		rest = rest[n+int(size):]
		leaves = append(leaves, l)
	}
	return leaves, nil
}

func parseTreeHashes(block string) ([]TreeHash, error) {
	if len(block)%sha256.Size != 0 {
		return nil, errTreeBlock(len(block))
	}
	hashes := make([]TreeHash, len(block)/sha256.Size)
	for i := range hashes {
		copy(hashes[i][:], block[i*sha256.Size:])
	}
	return hashes, nil
}

func errTreeBlock(size int) error {
	return fmt.Errorf("%w: a block of the audit tree of %d bytes", ErrCorrupt, size)
}

// treeKey names a block.
func treeKey(level int, block uint64) Key {
	b := []byte{byte(tableTree), byte(level), 0, 0, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint64(b[2:], block)
	return Key(b)
}

// tree holds the blocks that are not full, of which the next leaf needs to know.
type tree struct {
	// leaves is the last block of leaves, hashes its hashes; roots are the last blocks
	// above it.
	leaves []byte
	levels [treeLevels][]TreeHash
	dirty  [treeLevels]bool
}

// load takes in a block, if it is the last of its level and not full. size is that of the
// whole tree.
func (t *tree) load(key, value string, size uint64) error {
	if len(key) != 10 || key[1] >= treeLevels {
		return fmt.Errorf("%w: a block of the audit tree under %x", ErrCorrupt, key)
	}
	level, block := int(key[1]), beUint64(key[2:])
	nodes := size >> (treeBits * level)
	want := int(nodes % TreeBlock)
	if block > nodes/TreeBlock {
		return fmt.Errorf("%w: block %d of the audit tree at level %d, of %d leaves", ErrCorrupt, block, level, size)
	}
	if block < nodes/TreeBlock {
		return nil
	}
	var err error
	if level > 0 {
		t.levels[level], err = parseTreeHashes(value)
	} else {
		var leaves []treeLeaf
		leaves, err = parseTreeLeaves(value)
		t.leaves, t.levels[0] = []byte(value), hashesOf(leaves)
	}
	if err == nil && len(t.levels[level]) != want {
		err = fmt.Errorf("%w: block %d of the audit tree at level %d has %d of %d", ErrCorrupt, block, level, len(t.levels[level]), want)
	}
	return err
}

func hashesOf(leaves []treeLeaf) []TreeHash {
	hashes := make([]TreeHash, len(leaves))
	for i := range leaves {
		hashes[i] = leaves[i].hash
	}
	return hashes
}

// add appends a leaf, the size-th. Blocks that are full go to put.
func (t *tree) add(l *treeLeaf, size uint64, put func(key, value string) error) error {
	t.leaves = appendTreeLeaf(t.leaves, l)
	h := l.hash
	for level := range t.levels {
		t.levels[level] = append(t.levels[level], h)
		t.dirty[level] = true
		if len(t.levels[level]) < TreeBlock {
			return nil
		}
		size /= TreeBlock
		if err := t.put(level, size-1, put); err != nil {
			return err
		}
		h = treeRoot(t.levels[level])
		t.levels[level] = t.levels[level][:0]
		if level == 0 {
			t.leaves = t.leaves[:0]
		}
	}
	return nil
}

// flush gives the changed blocks that are not full to put; size is that of the whole tree.
func (t *tree) flush(size uint64, put func(key, value string) error) error {
	for level := range t.levels {
		if t.dirty[level] {
			if err := t.put(level, size>>(treeBits*level)/TreeBlock, put); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tree) put(level int, block uint64, put func(key, value string) error) error {
	t.dirty[level] = false
	if level == 0 {
		return put(string(treeKey(0, block)), string(t.leaves))
	}
	value := make([]byte, 0, len(t.levels[level])*sha256.Size)
	for i := range t.levels[level] {
		value = append(value, t.levels[level][i][:]...)
	}
	return put(string(treeKey(level, block)), string(value))
}

// treeRoot adds up hashes, of which there are a power of two.
func treeRoot(hashes []TreeHash) TreeHash {
	var nodes [TreeBlock]TreeHash
	n := copy(nodes[:], hashes)
	for ; n > 1; n /= 2 {
		for i := range n / 2 {
			nodes[i] = nodeHash(&nodes[2*i], &nodes[2*i+1])
		}
	}
	return nodes[0]
}

// LeafHash is the hash of a leaf with these bytes.
func LeafHash(leaf []byte) TreeHash { return tlog.RecordHash(leaf) }

func nodeHash(left, right *TreeHash) TreeHash {
	var b [1 + 2*sha256.Size]byte
	b[0] = 1
	copy(b[1:], left[:])
	copy(b[1+sha256.Size:], right[:])
	return sha256.Sum256(b[:])
}

// leaf makes a leaf of a row that is being written, which has taken its number.
func (f *FSM) leaf(l *Leaf, previous uint64) error {
	f.leafBytes = AppendLeaf(append(f.leafBytes[:0], 0), l)
	kept := treeLeaf{hash: sha256.Sum256(f.leafBytes), index: l.Index, previous: previous, key: string(l.Key)}
	return f.store.derived.tree.add(&kept, l.Number, f.set)
}

// coverOldRows makes leaves of the audited rows that were there before the tree, in the
// order of their keys.
func (f *FSM) coverOldRows() error {
	for _, table := range slices.Sorted(maps.Keys(f.store.derived.audited)) {
		var keys []string
		err := f.tx.AscendGreaterOrEqual("", string([]byte{byte(table)}), func(key, _ string) bool {
			if Table(key[0]) != table {
				return false
			}
			if f.audits(key) {
				keys = append(keys, key)
			}
			return true
		})
		if err != nil {
			return err
		}
		for _, key := range keys {
			if err := f.coverOldRow(key); err != nil {
				return err
			}
		}
	}
	return nil
}

func (f *FSM) coverOldRow(key string) error {
	r, _, err := f.get(Key(key))
	if err != nil {
		return err
	}
	r.leaf = f.number(tableTree)
	f.scratch = append(r.appendHeader(f.scratch[:0]), r.data...)
	if err := f.set(key, string(f.scratch)); err != nil {
		return err
	}
	return f.leaf(&Leaf{Number: r.leaf, Index: f.index, Key: Key(key), Tag: r.tag, Version: r.version, Data: []byte(r.data)}, 0)
}

// audits reports whether the row of a key is a leaf.
func (f *FSM) audits(key string) bool {
	d := f.store.derived
	if d.level < LevelAudit {
		return false
	}
	for _, beginning := range d.audited[Table(key[0])] {
		if strings.HasPrefix(key, beginning) {
			return true
		}
	}
	return false
}

// historyLeaf makes a leaf of a row of a history that refers to no record.
func (f *FSM) historyLeaf(c *counter, r *HistoryRow) error {
	if f.store.derived.level < LevelAudit || r.Reference != 0 {
		return nil
	}
	number := f.number(tableTree)
	return f.leaf(&Leaf{Number: number, Index: f.index, Key: historyLeafKey(c.name, c.rows), Tag: r.Event, Data: appendHistoryRow(nil, r)}, 0)
}
