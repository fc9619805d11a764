package raftlog

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
	"github.com/hashicorp/raft-wal/types"
)

// A Raft snapshot is one file, named after its term and index in hexadecimal:
//
//	0   8  magic, the last byte is the version
//	8   4  length m of the description
//	12  4  CRC-32C of the description
//	16  m  description: Raft's SnapshotMeta as JSON
//	..  s  state
//	-12 8  length s of the state
//	-4  4  CRC-32C of the state
//
// It is written beside its place, fsynced, renamed and the directory fsynced: a
// file with the final name is whole. raft's FileSnapshotStore is not used: it
// covers the state by a checksum but not the description (index, term, voters),
// falls back to an older snapshot in silence, never removes what a crash left half
// written, and reads each state twice.
const (
	snapshotSuffix    = ".snap"
	snapshotTempName  = "incoming-%d" + tempSuffix // an own one and a leader's may arrive together
	snapshotHeadBytes = 16
	snapshotTailBytes = 12
	// snapshotSyncBytes is how much of a snapshot is written between two fsyncs: the
	// log's own wait behind what is not on the disk yet.
	snapshotSyncBytes = 4 << 20
	// descriptionBytesMax bounds what a damaged length makes us read.
	descriptionBytesMax = 1 << 20
)

var snapshotMagic = [8]byte{'b', 'u', 'r', 's', 'n', 'a', 'p', 1}

// Snapshots keeps Raft snapshots in a directory. It implements raft.SnapshotStore.
type Snapshots struct {
	disk    Disk
	dir     string
	retain  int
	created atomic.Uint64
	naming  sync.Mutex
	extent  atomic.Pointer[extent]
	// Note, if it is set before the first snapshot, is told durably of each before it gets
	// its name, and of the newest that is there by then.
	Note func(next, newest SnapshotID) error
}

// OpenSnapshots opens or creates the directory, and removes what a crash left half
// written. The newest retain snapshots are kept.
// disk nil is the disk of the machine.
func OpenSnapshots(dir string, retain int, disk Disk) (*Snapshots, error) {
	if disk == nil {
		disk = OSDisk()
	}
	if err := disk.MakeDir(dir); err != nil {
		return nil, err
	}
	if err := removeUnfinished(disk, dir); err != nil {
		return nil, err
	}
	return &Snapshots{disk: disk, dir: dir, retain: retain}, nil
}

// OpenNewestSnapshot opens the newest snapshot in dir, nil for none. Unlike
// OpenSnapshots it changes nothing and may run beside the process that does.
func OpenNewestSnapshot(dir string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	s := &Snapshots{disk: OSDisk(), dir: dir}
	names, err := s.names()
	if err != nil || len(names) == 0 {
		return nil, nil, err
	}
	file, err := s.open(names[0])
	if err != nil {
		return nil, nil, err
	}
	return file.meta, file, nil
}

// extent is the index of a Raft snapshot and the size of its state.
type extent struct {
	index uint64
	size  int64
}

// Extent is the index of the newest Raft snapshot and the size of its state, as Newest or
// the end of the last one has found them.
func (s *Snapshots) Extent() (index uint64, size int64) {
	if e := s.extent.Load(); e != nil {
		return e.index, e.size
	}
	return 0, 0
}

// Newest identifies the newest Raft snapshot.
func (s *Snapshots) Newest() (SnapshotID, error) {
	names, err := s.names()
	if err != nil || len(names) == 0 {
		return SnapshotID{}, err
	}
	file, err := s.open(names[0])
	if err != nil {
		return SnapshotID{}, err
	}
	s.extent.Store(&extent{file.meta.Index, file.meta.Size})
	return SnapshotID{file.meta.Index, file.meta.Term, file.want}, file.Close()
}

// List describes the newest snapshot only: Raft tries those it is shown one after
// the other, and an older one is no stand-in for a damaged one, because the log
// between them is gone.
func (s *Snapshots) List() ([]*raft.SnapshotMeta, error) {
	names, err := s.names()
	if err != nil || len(names) == 0 {
		return nil, err
	}
	file, err := s.open(names[0])
	if err != nil {
		return nil, err
	}
	return []*raft.SnapshotMeta{file.meta}, file.Close()
}

// Open opens a snapshot for reading. The reader verifies what it reads and fails
// with ErrDamaged before it hands out the last of it.
func (s *Snapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	file, err := s.open(id + snapshotSuffix)
	if err != nil {
		return nil, nil, err
	}
	return file.meta, file, nil
}

// Create begins a snapshot.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, voters raft.Configuration,
	votersIndex uint64, _ raft.Transport,
) (raft.SnapshotSink, error) {
	meta := raft.SnapshotMeta{
		Version: version, ID: fmt.Sprintf("%016x-%016x", term, index), Index: index, Term: term,
		Configuration: voters, ConfigurationIndex: votersIndex,
	}
	description, err := json.Marshal(meta)
	if err != nil {
		return nil, err
	}
	temp := fmt.Sprintf(snapshotTempName, s.created.Add(1))
	file, err := s.disk.Create(s.dir, temp, 0)
	if err != nil {
		return nil, err
	}
	sink := &sink{store: s, id: meta.ID, index: index, term: term, temp: temp, file: file, w: bufio.NewWriterSize(io.NewOffsetWriter(file, 0), 256<<10)}
	head := append([]byte(nil), snapshotMagic[:]...)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(description)))
	head = binary.LittleEndian.AppendUint32(head, crc32.Checksum(description, castagnoli))
	if _, err := sink.w.Write(append(head, description...)); err != nil {
		return nil, errors.Join(err, sink.Cancel())
	}
	return sink, nil
}

// names lists the snapshot files, newest first.
func (s *Snapshots) names() ([]string, error) {
	names, err := files(s.disk, s.dir)
	if err != nil {
		return nil, err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, snapshotSuffix) })
	slices.Sort(names)
	slices.Reverse(names)
	return names, nil
}

// open reads and verifies the description of a snapshot file.
func (s *Snapshots) open(name string) (*snapshotReader, error) {
	size, err := s.disk.Size(s.dir, name)
	if err != nil {
		return nil, err
	}
	file, err := s.disk.OpenReader(s.dir, name)
	if err != nil {
		return nil, err
	}
	r := &snapshotReader{file: file, content: io.NewSectionReader(file, 0, size), name: name}
	if err := r.readDescription(strings.TrimSuffix(name, snapshotSuffix)); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return r, nil
}

// reap removes all but the newest snapshots.
func (s *Snapshots) reap() error {
	names, err := s.names()
	if err != nil {
		return err
	}
	for _, name := range names[min(s.retain, len(names)):] {
		if err := s.disk.Delete(s.dir, name); err != nil {
			return err
		}
	}
	return nil
}

// snapshotReader reads the state of one snapshot.
type snapshotReader struct {
	file    types.ReadableFile
	content *io.SectionReader
	name    string
	meta    *raft.SnapshotMeta
	left    int64  // bytes of state not yet read
	sum     uint32 // CRC-32C of those read
	want    uint32
}

func (r *snapshotReader) readDescription(id string) error {
	damaged := func(what string) error { return fmt.Errorf("%w: %s: %s", ErrDamaged, r.name, what) }
	size := r.content.Size()
	var head [snapshotHeadBytes]byte
	if size < snapshotHeadBytes+snapshotTailBytes {
		return damaged("too short")
	}
	if _, err := io.ReadFull(r.content, head[:]); err != nil {
		return err
	}
	length := int64(binary.LittleEndian.Uint32(head[8:]))
	state := size - snapshotHeadBytes - length - snapshotTailBytes
	if [8]byte(head[:8]) != snapshotMagic || length > descriptionBytesMax || state < 0 {
		return damaged("not a raft snapshot of this version")
	}
	description := make([]byte, length)
	if _, err := io.ReadFull(r.content, description); err != nil {
		return err
	}
	var tail [snapshotTailBytes]byte
	if _, err := r.content.ReadAt(tail[:], size-snapshotTailBytes); err != nil {
		return err
	}
	r.meta = new(raft.SnapshotMeta)
	switch {
	case crc32.Checksum(description, castagnoli) != binary.LittleEndian.Uint32(head[12:]):
		return damaged("the description fails its checksum")
	case json.Unmarshal(description, r.meta) != nil || r.meta.ID != id:
		return damaged("the description is of another snapshot")
	case binary.LittleEndian.Uint64(tail[:]) != uint64(state):
		return damaged("it is cut short")
	}
	r.meta.Size, r.left, r.want = state, state, binary.LittleEndian.Uint32(tail[8:])
	if state == 0 && r.want != 0 {
		return damaged("the state fails its checksum")
	}
	return nil
}

// Read hands out state, and withholds the last of it if the whole is damaged: a
// follower that is sent it then lacks bytes and refuses it.
func (r *snapshotReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	n, err := r.content.Read(p[:min(int64(len(p)), r.left)])
	r.sum = crc32.Update(r.sum, castagnoli, p[:n])
	r.left -= int64(n)
	switch {
	case err == io.EOF && n == 0:
		return 0, fmt.Errorf("%w: %s: it is cut short", ErrDamaged, r.name)
	case r.left == 0 && n > 0 && r.sum != r.want:
		return 0, fmt.Errorf("%w: %s: the state fails its checksum", ErrDamaged, r.name)
	}
	return n, err
}

func (r *snapshotReader) Close() error { return r.file.Close() }

// sink writes one snapshot.
type sink struct {
	store *Snapshots
	id    string
	index uint64
	term  uint64
	temp  string // the file's name until it is whole
	file  types.WritableFile
	w     *bufio.Writer
	size  uint64
	sum   uint32
	done  bool
	// unsynced is what was written since the last fsync.
	unsynced int
}

func (s *sink) ID() string { return s.id }

func (s *sink) Write(p []byte) (int, error) {
	n, err := s.w.Write(p)
	s.sum = crc32.Update(s.sum, castagnoli, p[:n])
	s.size += uint64(n)
	if s.unsynced += n; err == nil && s.unsynced >= snapshotSyncBytes {
		s.unsynced = 0
		err = errors.Join(s.w.Flush(), s.file.Sync())
	}
	return n, err
}

// Close makes the snapshot durable and gives it its name.
func (s *sink) Close() error {
	if s.done {
		return nil
	}
	tail := binary.LittleEndian.AppendUint64(nil, s.size)
	tail = binary.LittleEndian.AppendUint32(tail, s.sum)
	_, err := s.w.Write(tail)
	err = errors.Join(err, s.w.Flush())
	if err == nil {
		err = s.file.Sync()
	}
	if err != nil {
		return errors.Join(fmt.Errorf("write raft snapshot %s: %w", s.id, err), s.Cancel())
	}
	s.done = true
	if err := s.file.Close(); err != nil {
		return err
	}
	return s.store.name(s)
}

// name gives a snapshot that is written its name.
func (s *Snapshots) name(written *sink) error {
	s.naming.Lock()
	defer s.naming.Unlock()
	if s.Note != nil {
		newest, err := s.Newest()
		if err == nil {
			err = s.Note(SnapshotID{written.index, written.term, written.sum}, newest)
		}
		if err != nil {
			return err
		}
	}
	if err := s.disk.Rename(s.dir, written.temp, written.id+snapshotSuffix); err != nil {
		return err
	}
	s.extent.Store(&extent{written.index, int64(written.size)})
	return s.reap()
}

// Cancel removes what was written.
func (s *sink) Cancel() error {
	if s.done {
		return nil
	}
	s.done = true
	return errors.Join(s.file.Close(), s.store.disk.Delete(s.store.dir, s.temp))
}

var _ raft.SnapshotStore = (*Snapshots)(nil)
