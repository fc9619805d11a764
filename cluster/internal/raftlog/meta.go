package raftlog

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"maps"
	"slices"
	"sync"

	"github.com/hashicorp/raft-wal/segment"
	"github.com/hashicorp/raft-wal/types"
)

// metaFile holds the list of segments, Raft's term and its vote.
const metaFile = "meta"

// metaMagic begins the file; its last byte is the version of what follows: four
// bytes CRC-32C of the rest, then the rest, a JSON object.
var metaMagic = [8]byte{'b', 'u', 'r', 'm', 'e', 't', 'a', 1}

// metaState is everything the meta file says.
type metaState struct {
	types.PersistentState
	Stable map[string][]byte
	// Writes counts how often the file was written, and Reached is the last entry that was
	// durable then: an older copy of either this file or the log is told by the other.
	Writes, Reached uint64
}

// Values that the mark repeats.
const (
	// KeyLife is where the identity of the data directory is kept.
	KeyLife = "bursar.life"
	// KeyBoot is where the newest start in the directory is kept, eight bytes little-endian.
	KeyBoot = "bursar.boot"
)

func (s *metaState) life() string { return string(s.Stable[KeyLife]) }

func (s *metaState) boot() uint64 { return termOf(s.Stable[KeyBoot]) }

// meta implements raft-wal's MetaStore in one small file that is replaced whole
// (write, fsync, rename, fsync of the directory). It is written when a segment is
// sealed and a few times in an election.
type meta struct {
	// mark hears of each write once it is durable.
	mark *highWater

	disk Disk

	mu    sync.Mutex
	dir   string
	state metaState
}

// Load reads the file in dir; a missing one is an empty state.
func (m *meta) Load(dir string) (types.PersistentState, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dir = dir
	state, err := readMeta(m.disk, dir)
	if err != nil {
		return types.PersistentState{}, err
	}
	m.state = state
	return state.PersistentState, nil
}

func (m *meta) CommitState(s types.PersistentState) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.state
	next.PersistentState = s
	next.Segments = slices.Clone(s.Segments)
	for i := range next.Segments {
		next.Segments[i].Codec = codecID // see filer
	}
	return m.replaceLocked(next)
}

func (m *meta) GetStable(key []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Stable[string(key)], nil
}

func (m *meta) SetStable(key, value []byte) error {
	m.mu.Lock()
	next := m.state
	next.Stable = maps.Clone(m.state.Stable)
	if next.Stable == nil {
		next.Stable = make(map[string][]byte)
	}
	next.Stable[string(key)] = append([]byte(nil), value...)
	defer m.mu.Unlock()
	return m.replaceLocked(next)
}

// again writes the file anew: it says how far the log has reached by now.
func (m *meta) again() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.state.Writes == 0 {
		return nil
	}
	return m.replaceLocked(m.state)
}

func (m *meta) Close() error { return nil }

// term is Raft's current term as last stored.
func (m *meta) term() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return termOf(m.state.Stable[keyCurrentTerm])
}

// reached is the last entry that was durable when the file was last written.
func (m *meta) reached() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.state.Reached
}

// segmentOf names the file that holds an entry.
func (m *meta) segmentOf(index uint64) string {
	m.mu.Lock()
	defer m.mu.Unlock()
	name := metaFile
	for _, info := range m.state.Segments {
		if info.BaseIndex <= index {
			name = segment.FileName(info)
		}
	}
	return name
}

func (m *meta) replaceLocked(next metaState) error {
	next.Writes, next.Reached = m.state.Writes+1, m.mark.mark().index
	body, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("encode %s: %w", metaFile, err)
	}
	file := append([]byte(nil), metaMagic[:]...)
	file = binary.LittleEndian.AppendUint32(file, crc32.Checksum(body, castagnoli))
	file = append(file, body...)
	if err := replaceFile(m.disk, m.dir, metaFile, file); err != nil {
		return fmt.Errorf("replace %s: %w", metaFile, err)
	}
	m.state = next
	return m.mark.meta(&next)
}

// readMeta reads a meta file without opening the log.
func readMeta(disk Disk, dir string) (metaState, error) {
	file, err := readFile(disk, dir, metaFile)
	if errors.Is(err, fs.ErrNotExist) {
		return metaState{}, nil
	}
	if err != nil {
		return metaState{}, err
	}
	head := len(metaMagic) + crc32.Size
	if len(file) < head || [8]byte(file[:8]) != metaMagic {
		return metaState{}, fmt.Errorf("%w: %s is not a meta file of this version", ErrDamaged, metaFile)
	}
	body := file[head:]
	if crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(file[len(metaMagic):]) {
		return metaState{}, fmt.Errorf("%w: %s: %w", ErrDamaged, metaFile, errChecksum)
	}
	var state metaState
	if err := json.Unmarshal(body, &state); err != nil {
		return metaState{}, fmt.Errorf("%w: %s: %w", ErrDamaged, metaFile, err)
	}
	return state, nil
}

// keyCurrentTerm is where Raft keeps its term, eight bytes little-endian.
const keyCurrentTerm = "CurrentTerm"

func termOf(value []byte) uint64 {
	if len(value) != 8 {
		return 0
	}
	return binary.LittleEndian.Uint64(value)
}

// filer makes raft-wal v0.4.2 record our codec in the segments it creates. It
// always records its own, and then refuses to open them with another; meta corrects
// the same in the list of segments.
type filer struct{ *segment.Filer }

// Create makes a new segment file.
func (f filer) Create(info types.SegmentInfo) (types.SegmentWriter, error) {
	info.Codec = codecID
	return f.Filer.Create(info)
}

// Open opens a sealed segment; an error names it.
func (f filer) Open(info types.SegmentInfo) (types.SegmentReader, error) {
	r, err := f.Filer.Open(info)
	return r, named(info, err)
}

// RecoverTail opens the unsealed segment; an error names it.
func (f filer) RecoverTail(info types.SegmentInfo) (types.SegmentWriter, error) {
	w, err := f.Filer.RecoverTail(info)
	return w, named(info, err)
}

func named(info types.SegmentInfo, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", segment.FileName(info), err)
}
