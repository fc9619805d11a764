package persistence

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/tidwall/buntdb"
)

// Store is the projection of the log: rows by key, counters with their history,
// owners of shards, remembered request ids. Only the FSM writes it. Its methods may
// be called from any goroutine.
//
// Its file is not a record of anything: it carries no checksum and tears under a
// crash. It exists so that a snapshot can be streamed from it, and is wiped at Open.
type Store struct {
	cfg StoreConfig
	dir string

	// mu is held by the FSM for the time of a batch, and by each View.
	mu         sync.RWMutex
	db         *buntdb.DB
	path       string
	generation int
	derived    *derived
	applied    atomic.Uint64 // written under mu
	owners     atomic.Uint64 // version of derived.owners, written under mu
	// checkpoints is written under mu.
	checkpoints checkpoints

	recent      *recent
	announce    announcer
	compactions sync.WaitGroup
	compacting  atomic.Bool
	stats       StoreStats
}

const (
	fileWord = "projection-"
)

// Open gives an empty Store with its file in dir, which it makes if need be. What an
// earlier Store left there is removed: the caller restores a snapshot and replays the
// log.
func Open(dir string, cfg StoreConfig) (*Store, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if err := wipe(dir); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	s := &Store{
		cfg:     cfg,
		dir:     dir,
		derived: newDerived(&cfg),
		recent:  newRecent(cfg.RecentChanges, cfg.RecentBytes),
	}
	s.announce.init()
	s.path = s.file(0)
	var err error
	if s.db, err = openProjection(s.path); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// Close ends all reading and writing. The file stays until the next Open.
func (s *Store) Close() error {
	s.mu.Lock()
	err := s.db.Close()
	s.mu.Unlock()
	s.announce.close()
	s.compactions.Wait()
	if errors.Is(err, buntdb.ErrDatabaseClosed) {
		return ErrClosed
	}
	return err
}

// Applied is the index of the newest entry whose effects are readable.
func (s *Store) Applied() uint64 { return s.applied.Load() }

// Wait returns once the entry at index is applied and readable. It returns ctx's
// error, or ErrClosed.
func (s *Store) Wait(ctx context.Context, index uint64) error {
	for {
		moved := s.announce.moved()
		if s.applied.Load() >= index {
			return nil
		}
		select {
		case <-moved:
		case <-s.announce.closed:
			return ErrClosed
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Subscribe has fn called with the applied index after each entry and each restore,
// on the FSM's goroutine: fn must not block and must not call the FSM. cancel ends it;
// a call under way may still finish after it.
func (s *Store) Subscribe(fn func(applied uint64)) (cancel func()) {
	return s.announce.subscribe(fn)
}

// Changes gives, in log order, the rows that the entries after index after changed:
// whole entries, at least one if there is one, until there are most changes or more.
// The index of the last is where to go on. ok is false if changes after that index are
// no longer kept, or were never seen because a snapshot was restored: the consumer
// notes Applied, rebuilds from the Store, and follows from there.
//
// Counters and owners appear too; Change.Counter and Change.Ownership read them.
func (s *Store) Changes(after uint64, most int) (changes []Change, ok bool) {
	return s.recent.since(after, most)
}

// Stats counts what the FSM did.
func (s *Store) Stats() *StoreStats { return &s.stats }

func (s *Store) file(generation int) string {
	return filepath.Join(s.dir, fmt.Sprintf("%s%d.db", fileWord, generation))
}

func wipe(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), fileWord) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// openProjection opens buntdb on a file, without its background work: nothing in the
// Store expires, syncing a file nobody trusts is waste, and compaction is ours to time.
func openProjection(path string) (*buntdb.DB, error) {
	db, err := buntdb.Open(path)
	if err != nil {
		return nil, err
	}
	config := buntdb.Config{SyncPolicy: buntdb.Never, AutoShrinkDisabled: true}
	if err := db.SetConfig(config); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}
