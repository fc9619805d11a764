// Package raftlogtest provides a disk in memory that crashes, fails and forgets as
// real ones do.
package raftlogtest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/raft-wal/types"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// ErrOff is returned by every call after a crash.
var ErrOff = errors.New("the machine is off")

// Crash is the error with which Disk.Strike turns the machine off in the middle of a
// call. Of a write, Done bytes take place; any other call takes place if Done is not 0.
type Crash struct{ Done int }

func (c Crash) Error() string { return fmt.Sprintf("crash after %d", c.Done) }

// Op is a call that changes the disk.
type Op struct {
	Number int // from 1
	Kind   Kind
	Name   string
	Bytes  int // of a write
}

// Kind is what a call does.
type Kind string

// The calls that change a disk.
const (
	Create Kind = "create"
	Write  Kind = "write"
	Sync   Kind = "sync"
	Rename Kind = "rename"
	Delete Kind = "delete"
)

// Disk is a disk in memory. It is configured before it is used.
type Disk struct {
	// Strike is asked before each change. An error fails the call, without effect;
	// a Crash turns the machine off. It may block, as a disk that hangs does.
	Strike func(Op) error
	// Lies makes Sync return at once, as a disk does that has its cache for memory.
	Lies bool

	mu    sync.Mutex
	off   bool
	ops   int
	files map[string]*file // by path
}

// file is what programs see, and what a power loss would leave.
type file struct {
	content []byte
	durable []byte
	named   bool // the name is durable
}

// New gives an empty disk.
func New() *Disk { return &Disk{files: make(map[string]*file)} }

// Kill gives the disk as the next process finds it after this one was killed: all
// that was written is there.
func (d *Disk) Kill() *Disk {
	next := New()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	for path, f := range d.files {
		next.files[path] = &file{bytes.Clone(f.content), bytes.Clone(f.durable), f.named}
	}
	return next
}

// sectorBytes is what a disk writes at once.
const sectorBytes = 512

// PowerLoss gives the disk as it is found after a power loss: of what was not synced,
// each sector and each new name is there or not, by chance.
func (d *Disk) PowerLoss(rng *rand.Rand) *Disk {
	next := New()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.off = true
	for _, path := range slices.Sorted(maps.Keys(d.files)) {
		f := d.files[path]
		if !f.named && rng.IntN(2) == 0 {
			continue
		}
		left := f.afterPowerLoss(rng)
		next.files[path] = &file{left, bytes.Clone(left), true}
	}
	return next
}

func (f *file) afterPowerLoss(rng *rand.Rand) []byte {
	left := bytes.Clone(f.durable)
	for at := 0; at < len(f.content); at += sectorBytes {
		end := min(at+sectorBytes, len(f.content))
		if end <= len(left) && bytes.Equal(left[at:end], f.content[at:end]) || rng.IntN(2) == 0 {
			continue
		}
		if len(left) < end {
			left = append(left, make([]byte, end-len(left))...)
		}
		copy(left[at:end], f.content[at:end])
	}
	return left
}

// Files gives the content of each file by its path.
func (d *Disk) Files() map[string][]byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make(map[string][]byte, len(d.files))
	for path, f := range d.files {
		all[path] = bytes.Clone(f.content)
	}
	return all
}

// WithFile gives a copy of the disk on which one file holds content; nil removes it.
func (d *Disk) WithFile(path string, content []byte) *Disk {
	next := d.Kill()
	if content == nil {
		delete(next.files, path)
	} else {
		next.files[path] = &file{bytes.Clone(content), bytes.Clone(content), true}
	}
	return next
}

// Ops is how many changes were asked for.
func (d *Disk) Ops() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.ops
}

// StrikeBy sets Strike while the disk is in use.
func (d *Disk) StrikeBy(strike func(Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.Strike = strike
}

// change carries out one change, whole or in part, if nothing strikes it.
func (d *Disk) change(kind Kind, name string, size int, do func(done int) error) error {
	d.mu.Lock()
	d.ops++
	op, strike := Op{d.ops, kind, name, size}, d.Strike
	d.mu.Unlock()
	var struck error
	if strike != nil {
		struck = strike(op)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return ErrOff
	}
	var crash Crash
	if !errors.As(struck, &crash) {
		if struck != nil {
			return struck
		}
		return do(max(size, 1))
	}
	d.off = true
	if crash.Done > 0 {
		if err := do(crash.Done); err != nil {
			return err
		}
	}
	return ErrOff
}

func notThere(name string) error { return &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist} }

// MakeDir does nothing: a directory is there when a file in it is.
func (d *Disk) MakeDir(string) error { return nil }

// ListDir lists the names in dir, sorted.
func (d *Disk) ListDir(dir string) ([]string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.off {
		return nil, ErrOff
	}
	var names []string
	for path := range d.files {
		if name, ok := strings.CutPrefix(path, dir+string(filepath.Separator)); ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Create makes a file of size zeros.
func (d *Disk) Create(dir, name string, size uint64) (types.WritableFile, error) {
	path := filepath.Join(dir, name)
	err := d.change(Create, name, 0, func(int) error {
		if d.files[path] != nil {
			return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
		}
		d.files[path] = &file{content: make([]byte, size)}
		return nil
	})
	return handle{d, path, name}, err
}

// Delete removes a file.
func (d *Disk) Delete(dir, name string) error {
	path := filepath.Join(dir, name)
	d.mu.Lock()
	there := d.files[path] != nil
	d.mu.Unlock()
	if !there {
		return notThere(name)
	}
	return d.change(Delete, name, 0, func(int) error {
		delete(d.files, path)
		return nil
	})
}

// Rename gives a file another name.
func (d *Disk) Rename(dir, from, to string) error {
	return d.change(Rename, to, 0, func(int) error {
		f := d.files[filepath.Join(dir, from)]
		if f == nil {
			return notThere(from)
		}
		delete(d.files, filepath.Join(dir, from))
		f.named = true
		d.files[filepath.Join(dir, to)] = f
		return nil
	})
}

// Size is a file's length.
func (d *Disk) Size(dir, name string) (int64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f := d.files[filepath.Join(dir, name)]
	switch {
	case d.off:
		return 0, ErrOff
	case f == nil:
		return 0, notThere(name)
	}
	return int64(len(f.content)), nil
}

// OpenReader opens a file.
func (d *Disk) OpenReader(dir, name string) (types.ReadableFile, error) {
	return d.OpenWriter(dir, name)
}

// OpenWriter opens a file.
func (d *Disk) OpenWriter(dir, name string) (types.WritableFile, error) {
	if _, err := d.Size(dir, name); err != nil {
		return nil, err
	}
	return handle{d, filepath.Join(dir, name), name}, nil
}

// handle is an open file.
type handle struct {
	disk *Disk
	path string
	name string
}

func (h handle) ReadAt(p []byte, at int64) (int, error) {
	h.disk.mu.Lock()
	defer h.disk.mu.Unlock()
	f := h.disk.files[h.path]
	switch {
	case h.disk.off:
		return 0, ErrOff
	case f == nil:
		return 0, notThere(h.name)
	case at >= int64(len(f.content)):
		return 0, io.EOF
	}
	n := copy(p, f.content[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (h handle) WriteAt(p []byte, at int64) (int, error) {
	err := h.disk.change(Write, h.name, len(p), func(done int) error {
		f := h.disk.files[h.path]
		if f == nil {
			return notThere(h.name)
		}
		done = min(done, len(p))
		if end := int(at) + done; end > len(f.content) {
			f.content = append(f.content, make([]byte, end-len(f.content))...)
		}
		copy(f.content[at:], p[:done])
		return nil
	})
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

func (h handle) Sync() error {
	return h.disk.change(Sync, h.name, 0, func(int) error {
		f := h.disk.files[h.path]
		if f == nil {
			return notThere(h.name)
		}
		if !h.disk.Lies {
			f.durable, f.named = bytes.Clone(f.content), true
		}
		return nil
	})
}

func (h handle) Close() error { return nil }

var _ raftlog.Disk = (*Disk)(nil)
