package raftlog_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	"go.uber.org/goleak"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

// stride thins out the damage done to each segment; 1 spoils every byte.
var stride = flag.Int("stride", 311, "spoil every n-th byte of a segment")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const segmentBytes = 4096

func open(dir string) (*raftlog.Log, error) {
	return raftlog.Open(dir, raftlog.Options{SegmentBytes: segmentBytes}, hclog.NewNullLogger())
}

func mustOpen(t testing.TB, dir string) *raftlog.Log {
	t.Helper()
	l, err := open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// entry is what belongs at index.
func entry(index uint64) *raft.Log {
	return &raft.Log{
		Index: index, Term: 1 + index/10, Type: raft.LogCommand,
		Data:       bytes.Repeat([]byte{byte(index)}, 100+int(index)),
		AppendedAt: time.Unix(1_700_000_000, int64(index)),
	}
}

// fill stores entries first to last, three at a time.
func fill(t testing.TB, l *raftlog.Log, first, last uint64) {
	t.Helper()
	if err := l.SetUint64([]byte("CurrentTerm"), entry(last).Term); err != nil {
		t.Fatal(err)
	}
	var batch []*raft.Log
	for index := first; index <= last; index++ {
		batch = append(batch, entry(index))
		if len(batch) == 3 || index == last {
			if err := l.StoreLogs(batch); err != nil {
				t.Fatal(err)
			}
			batch = nil
		}
	}
}

// difference compares the entries of a log with those that belong there.
func difference(l *raftlog.Log, first, last uint64) string {
	if got, err := l.LastIndex(); err != nil || got != last {
		return fmt.Sprintf("last index = %d, %v, want %d", got, err, last)
	}
	for index := first; index <= last; index++ {
		var got raft.Log
		if err := l.GetLog(index, &got); err != nil {
			return err.Error()
		}
		if want := entry(index); !reflect.DeepEqual(&got, want) { // cmp takes a hundred times longer
			return cmp.Diff(&got, want)
		}
	}
	return ""
}

func TestALogKeepsItsEntries(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	fill(t, l, 1, 100)
	if err := l.DeleteRange(1, 30); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if err := l.Verify(30); err != nil {
		t.Fatal(err)
	}
	if diff := difference(l, 31, 100); diff != "" {
		t.Error(diff)
	}
	if err := l.GetLog(30, new(raft.Log)); err != raft.ErrLogNotFound { //nolint:errorlint // Raft compares with ==
		t.Errorf("a removed entry: error = %v, want raft.ErrLogNotFound itself", err)
	}
	fill(t, l, 101, 120)
	if diff := difference(l, 31, 120); diff != "" {
		t.Error(diff)
	}
}

func TestRaftMayReplaceASuffix(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	fill(t, l, 1, 50)
	if err := l.DeleteRange(41, 50); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if err := l.Verify(0); err != nil {
		t.Fatalf("after a suffix was removed: %v", err)
	}
	if diff := difference(l, 1, 40); diff != "" {
		t.Error(diff)
	}
	fill(t, l, 41, 60)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if err := l.Verify(0); err != nil {
		t.Fatal(err)
	}
	if diff := difference(l, 1, 60); diff != "" {
		t.Error(diff)
	}
}

func TestALogBehindItsRaftSnapshotStartsAnew(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	fill(t, l, 1, 50)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if err := l.Verify(80); err != nil {
		t.Fatal(err)
	}
	fill(t, l, 81, 90)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if err := l.Verify(80); err != nil {
		t.Fatal(err)
	}
	if diff := difference(l, 81, 90); diff != "" {
		t.Error(diff)
	}
}

func TestAHoleBetweenRaftSnapshotAndLogIsDamage(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir)
	fill(t, l, 1, 50)
	if err := l.DeleteRange(1, 20); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir)
	if err := l.Verify(15); !errors.Is(err, raftlog.ErrDamaged) {
		t.Errorf("error = %v, want ErrDamaged", err)
	}
}

// spoil is one way to damage a file.
type spoil struct {
	name string
	do   func([]byte) []byte
}

// spoils lists the ways to damage a file of the given size: every byte flipped and
// every length cut to, thinned out by stride.
func spoils(size, stride int) []spoil {
	var list []spoil
	for at := 0; at < size; at += stride {
		list = append(list,
			spoil{fmt.Sprintf("flip byte %d", at), func(b []byte) []byte { b[at] ^= 0x41; return b }},
			spoil{fmt.Sprintf("cut at %d", at), func(b []byte) []byte { return b[:at] }},
		)
	}
	list = append(list, spoil{"remove", func([]byte) []byte { return nil }})
	for at := 0; at+256 <= size; at += 16 * stride {
		list = append(list, spoil{fmt.Sprintf("zero 256 bytes at %d", at), func(b []byte) []byte { clear(b[at : at+256]); return b }})
	}
	return list
}

// TestDamageIsNeverAcceptedInSilence spoils each file in each way. The log then
// either is refused or holds exactly what was stored; the tools that read it
// likewise.
func TestDamageIsNeverAcceptedInSilence(t *testing.T) {
	const last = 60
	whole := t.TempDir()
	l := mustOpen(t, whole)
	fill(t, l, 1, last)
	files := make(map[string][]byte)
	list, err := os.ReadDir(whole) // as a kill -9 would leave it: without Close
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range list {
		if files[f.Name()], err = os.ReadFile(filepath.Join(whole, f.Name())); err != nil {
			t.Fatal(err)
		}
	}
	if len(files) < 5 {
		t.Fatalf("%d files, want mark, meta and three segments", len(files))
	}
	refused, unharmed := 0, 0
	dir := t.TempDir()
	for name, content := range files {
		step := *stride
		if len(content) < segmentBytes {
			step = min(step, 17)
		}
		for _, s := range spoils(len(content), step) {
			if err := os.RemoveAll(dir); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for other, b := range files {
				if other == name {
					b = s.do(bytes.Clone(b))
				}
				if b == nil {
					continue
				}
				if err := os.WriteFile(filepath.Join(dir, other), b, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			var tool uint64
			toolErr := raftlog.Read(dir, dir, 0, func(e *raft.Log) error {
				tool++
				if diff := cmp.Diff(e, entry(tool)); diff != "" {
					t.Errorf("%s: %s: the tool read another entry %d: %s", name, s.name, tool, diff)
				}
				return nil
			})
			if toolErr == nil && tool != last {
				t.Errorf("%s: %s: the tool read %d entries without an error", name, s.name, tool)
			}
			if err := verified(dir, last); errors.Is(err, raftlog.ErrDamaged) {
				refused++
			} else if err != nil {
				t.Errorf("%s: %s: %v", name, s.name, err)
			} else {
				unharmed++
			}
		}
	}
	t.Logf("%d refused, %d unharmed", refused, unharmed)
	if refused == 0 {
		t.Error("nothing was ever refused")
	}
}

// verified opens a log; nil means that it was accepted and is whole.
func verified(dir string, last uint64) error {
	l, err := open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = l.Close() }()
	if err := l.Verify(0); err != nil {
		return err
	}
	if diff := difference(l, 1, last); diff != "" {
		return errors.New("accepted, but " + diff)
	}
	return nil
}
