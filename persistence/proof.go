package persistence

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// KeptLeaf is what the tree keeps of a leaf.
type KeptLeaf struct {
	Number uint64
	Hash   TreeHash
	Index  uint64 // of the entry of the log
	// Previous is the number of the leaf before it with the same key; 0 for none.
	Previous uint64
	Key      Key
	// Bytes are the leaf's, as long as its row is as it was then; nil once the row was
	// written anew or deleted.
	Bytes []byte
}

// Tree reads the audit tree at the index of a View. It reads each block once.
type Tree struct {
	v      *View
	leaves map[uint64][]treeLeaf
	hashes map[Key][]TreeHash
}

// Tree gives the audit tree.
func (v *View) Tree() *Tree {
	return &Tree{v: v, leaves: make(map[uint64][]treeLeaf), hashes: make(map[Key][]TreeHash)}
}

// Size is the number of leaves.
func (t *Tree) Size() uint64 { return t.v.Last(tableTree) }

// Root is the root of the first size leaves.
func (t *Tree) Root(size uint64) (TreeHash, error) {
	if err := t.within(size); err != nil {
		return TreeHash{}, err
	}
	return tlog.TreeHash(int64(size), t)
}

// Prove gives the proof that the leaf of a number is one of the first size: the hashes of
// RFC 6962, section 2.1.1.
func (t *Tree) Prove(number, size uint64) ([]TreeHash, error) {
	if err := t.within(size); err != nil {
		return nil, err
	}
	if number == 0 || number > size {
		return nil, fmt.Errorf("%w: leaf %d of %d", ErrInvalid, number, size)
	}
	return tlog.ProveRecord(int64(size), int64(number-1), t)
}

// ProveExtends gives the proof that the first old leaves are the first of size: the hashes
// of RFC 6962, section 2.1.2. It is empty for an old of 0.
func (t *Tree) ProveExtends(old, size uint64) ([]TreeHash, error) {
	if err := t.within(size); err != nil {
		return nil, err
	}
	switch {
	case old > size:
		return nil, fmt.Errorf("%w: a tree of %d leaves does not extend one of %d", ErrInvalid, size, old)
	case old == 0:
		return nil, nil
	}
	return tlog.ProveTree(int64(size), int64(old), t)
}

func (t *Tree) within(size uint64) error {
	if size > t.Size() {
		return fmt.Errorf("%w: %d leaves, the tree has %d", ErrInvalid, size, t.Size())
	}
	return nil
}

// Leaf gives the leaf of a number, with its bytes.
func (t *Tree) Leaf(number uint64) (k KeptLeaf, ok bool) {
	if k, ok = t.Kept(number); ok {
		k.Bytes = t.bytes(&k)
	}
	return k, ok
}

// Kept gives the leaf of a number, without its bytes.
func (t *Tree) Kept(number uint64) (k KeptLeaf, ok bool) {
	if number == 0 || number > t.Size() {
		return k, false
	}
	leaves, err := t.block((number - 1) / TreeBlock)
	if err != nil {
		t.v.fail(err)
		return k, false
	}
	l := &leaves[(number-1)%TreeBlock]
	return KeptLeaf{Number: number, Hash: l.hash, Index: l.index, Previous: l.previous, Key: Key(l.key)}, true
}

// bytes gives a leaf's bytes, if its row is still there.
func (t *Tree) bytes(k *KeptLeaf) []byte {
	l := Leaf{Number: k.Number, Index: k.Index, Key: k.Key}
	if k.Key.Table() == tableHistory {
		name := k.Key.Name()
		at := len(name) - 8
		rows := t.v.History(name[:at], beUint64(name[at:])+1, 1)
		if len(rows) == 0 {
			return nil
		}
		l.Tag, l.Data = rows[0].Event, appendHistoryRow(nil, &rows[0])
		return AppendLeaf(nil, &l)
	}
	stored, ok := t.v.get(k.Key)
	if !ok {
		return nil
	}
	r, err := parseRow(stored)
	if err != nil || r.leaf != k.Number {
		return nil
	}
	l.Tag, l.Version, l.Data = r.tag, r.version, []byte(r.data)
	return AppendLeaf(nil, &l)
}

// LeafOf gives the number of the leaf of a row as it is now; 0 if it has none.
func (v *View) LeafOf(key Key) uint64 {
	stored, ok := v.get(key)
	if !ok {
		return 0
	}
	r, err := parseRow(stored)
	if err != nil {
		v.fail(err)
	}
	return r.leaf
}

func (t *Tree) block(n uint64) ([]treeLeaf, error) {
	if leaves, ok := t.leaves[n]; ok {
		return leaves, nil
	}
	stored, ok := t.v.get(treeKey(0, n))
	if !ok {
		return nil, t.missing(0, n)
	}
	leaves, err := parseTreeLeaves(stored)
	if err == nil && uint64(len(leaves)) != min(TreeBlock, t.Size()-n*TreeBlock) {
		err = errTreeBlock(len(stored))
	}
	t.leaves[n] = leaves
	return leaves, err
}

func (t *Tree) nodes(level int, n uint64) ([]TreeHash, error) {
	key := treeKey(level, n)
	if hashes, ok := t.hashes[key]; ok {
		return hashes, nil
	}
	var hashes []TreeHash
	if level == 0 {
		leaves, err := t.block(n)
		if err != nil {
			return nil, err
		}
		hashes = hashesOf(leaves)
	} else {
		stored, ok := t.v.get(key)
		if !ok {
			return nil, t.missing(level, n)
		}
		var err error
		if hashes, err = parseTreeHashes(stored); err != nil {
			return nil, err
		}
	}
	t.hashes[key] = hashes
	return hashes, nil
}

func (t *Tree) missing(level int, n uint64) error {
	if t.v.err != nil {
		return t.v.err
	}
	return fmt.Errorf("%w: the audit tree lacks block %d of level %d", ErrCorrupt, n, level)
}

// ReadHashes gives nodes of the tree by the numbers that package tlog has for them.
func (t *Tree) ReadHashes(indexes []int64) ([]TreeHash, error) {
	out := make([]TreeHash, len(indexes))
	for i, index := range indexes {
		above, n := tlog.SplitStoredHashIndex(index)
		level, height := above/treeBits, above%treeBits
		first := uint64(n) << height
		nodes, err := t.nodes(level, first/TreeBlock)
		if err != nil {
			return nil, err
		}
		from := int(first % TreeBlock)
		if from+1<<height > len(nodes) {
			return nil, t.missing(level, first/TreeBlock)
		}
		out[i] = treeRoot(nodes[from : from+1<<height])
	}
	return out, nil
}
