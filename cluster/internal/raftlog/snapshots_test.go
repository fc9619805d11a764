package raftlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"

	"github.com/the-block/bursar/cluster/internal/raftlog"
)

var voters = raft.Configuration{Servers: []raft.Server{{ID: "n1", Address: "127.0.0.1:9002"}}}

// take writes a snapshot of state at index.
func take(t testing.TB, s *raftlog.Snapshots, index uint64, state []byte) string {
	t.Helper()
	sink, err := s.Create(raft.SnapshotVersionMax, index, 1, voters, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sink.Write(state); err != nil {
		t.Fatal(err)
	}
	if err := sink.Close(); err != nil {
		t.Fatal(err)
	}
	return sink.ID()
}

func openSnapshots(t testing.TB, dir string) *raftlog.Snapshots {
	t.Helper()
	s, err := raftlog.OpenSnapshots(dir, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// newest reads the newest snapshot's state.
func newest(s *raftlog.Snapshots) (*raft.SnapshotMeta, []byte, error) {
	list, err := s.List()
	if err != nil || len(list) == 0 {
		return nil, nil, err
	}
	meta, r, err := s.Open(list[0].ID)
	if err != nil {
		return nil, nil, err
	}
	state, err := io.ReadAll(r)
	return meta, state, errors.Join(err, r.Close())
}

func TestTheNewestSnapshotsAreKept(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir)
	for index := uint64(8); index <= 18; index += 2 {
		take(t, s, index, fmt.Append(nil, "state at ", index))
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 2 {
		t.Errorf("%d files, %v, want 2", len(files), err)
	}
	meta, state, err := newest(openSnapshots(t, dir))
	if err != nil || string(state) != "state at 18" || meta.Index != 18 || len(meta.Configuration.Servers) != 1 {
		t.Errorf("newest = %+v, %q, %v, want that at 18", meta, state, err)
	}
}

func TestAnUnfinishedSnapshotLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir)
	for _, cancel := range []bool{true, false} {
		sink, err := s.Create(raft.SnapshotVersionMax, 5, 1, voters, 1, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
		if cancel {
			if err := sink.Cancel(); err != nil {
				t.Fatal(err)
			}
			continue
		}
		s = openSnapshots(t, dir) // as after a crash
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 0 {
		t.Errorf("%d files, %v, want none", len(files), err)
	}
}

func TestADamagedSnapshotIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := openSnapshots(t, dir)
	state := bytes.Repeat([]byte("state"), 40)
	path := filepath.Join(dir, take(t, s, 7, state)+".snap")
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, sp := range spoils(len(whole), 1) {
		b := sp.do(bytes.Clone(whole))
		if b == nil {
			continue // that it is gone shows in the log, which has a hole then
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, got, err := newest(s); !errors.Is(err, raftlog.ErrDamaged) {
			t.Errorf("%s: error = %v, want ErrDamaged", sp.name, err)
		} else if len(got) >= len(state) {
			t.Errorf("%s: the whole state was handed out before its end was checked", sp.name)
		}
	}
}
