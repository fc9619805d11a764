package cluster_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/internal/raftlog"
	"github.com/the-block/bursar/persistence"
)

// lone is a lone voter with journal and Store, on a disk that may fail.
type lone struct {
	*cluster.Consensus
	journal *persistence.Journal
	store   *persistence.Store
	fatal   chan error
	cancel  context.CancelFunc
	ended   chan error // twice
}

// openLone opens a node. Its log is on disk, its Store in dir on the machine's own.
func openLone(dir string, disk raftlog.Disk, network cluster.Network) (*lone, error) {
	return openLoneWith(dir, disk, network, cluster.Skip{})
}

// openLoneWith is openLone for a node that passes over an entry.
func openLoneWith(dir string, disk raftlog.Disk, network cluster.Network, skip cluster.Skip) (*lone, error) {
	store, err := persistence.Open(filepath.Join(dir, "store"), persistence.DefaultStoreConfig())
	if err != nil {
		return nil, err
	}
	n := &lone{store: store, fatal: make(chan error, 1), ended: make(chan error, 2)}
	cfg := testConfig(dir).OnDisk(disk)
	cfg.RaftAddr = "n1:9002"
	cfg.TrailingLogs, cfg.Skip = 8, skip
	n.Consensus, err = cluster.OpenConsensus(cfg, cluster.ForFSM(persistence.NewFSM(store)), network,
		func(err error) { n.fatal <- err }, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if n.journal, err = persistence.NewJournal(persistence.DefaultJournalConfig(), n); err != nil {
		return nil, err
	}
	var ctx context.Context
	ctx, n.cancel = context.WithCancel(context.Background())
	go func() { n.ended <- n.Run(ctx) }()
	go func() { n.ended <- n.journal.Run(ctx) }()
	return n, nil
}

// awaitReady returns the error that ended the node first, if one did.
func (n *lone) awaitReady() error {
	for {
		state, changed := n.Watch()
		if state.Ready {
			return nil
		}
		select {
		case <-changed:
		case err := <-n.fatal:
			n.fatal <- err
			return err
		case <-time.After(30 * time.Second):
			return errors.New("the node does not get ready")
		}
	}
}

// end stops a node, which may be broken.
func (n *lone) end() {
	n.cancel()
	_, _ = <-n.ended, <-n.ended
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	_ = n.Close(ctx)
	_ = n.store.Close()
}

// numberedTxn is a transaction that appends its number, and fills a segment soon.
func numberedTxn(number uint64) *persistence.Txn {
	value := make([]byte, 700)
	binary.BigEndian.PutUint64(value, number)
	return &persistence.Txn{
		Appends:   []persistence.Append{{Table: 1, Tag: 1, Value: value}},
		RequestID: fmt.Sprintf("request-%d", number), PayloadHash: [16]byte{1},
	}
}

// ledger is what a client knows: which of its transactions were acknowledged, and
// under which row.
type ledger struct {
	acknowledged map[uint64]uint64
	next         uint64
	doubt        []uint64 // handed over without an answer
	anonymous    bool     // transactions have no request id
}

const inFlight = 8

// commit proposes most transactions, those in doubt first, until one is not acknowledged.
func (l *ledger) commit(n *lone, most int) error {
	sink := make(replies, inFlight)
	flying := make(map[uint64]bool)
	defer func() {
		l.doubt = l.doubt[:0]
		for number := range flying {
			l.doubt = append(l.doubt, number)
		}
	}()
	retry := append([]uint64(nil), l.doubt...)
	for _, number := range retry {
		flying[number] = true
	}
	propose := func() error {
		var number uint64
		if len(retry) > 0 {
			number, retry = retry[0], retry[1:]
		} else {
			number = l.next
			l.next++
		}
		flying[number] = true
		txn := numberedTxn(number)
		if l.anonymous {
			txn.RequestID = ""
		}
		return n.journal.Propose(persistence.Proposal{Txn: txn, Sink: sink, Token: number})
	}
	proposed, answered := 0, 0
	for answered < most {
		for proposed < min(most, answered+inFlight) {
			if err := propose(); err != nil {
				return err
			}
			proposed++
		}
		o := <-sink
		if o.Err != nil {
			return o.Err
		}
		if o.Result.Status != persistence.Committed && o.Result.Status != persistence.Duplicate {
			return fmt.Errorf("transaction %d: %s", o.Token, o.Result.Status)
		}
		answered++
		delete(flying, o.Token)
		l.acknowledged[o.Token] = o.Result.First
	}
	return nil
}

// check holds a Store against what was acknowledged: each there, none twice.
func (l *ledger) check(store *persistence.Store) error {
	seen := make(map[uint64]uint64)
	for row := uint64(1); row <= store.Last(1); row++ {
		value, ok, err := store.Get(persistence.RecordKey(1, row))
		if err != nil || !ok {
			return fmt.Errorf("row %d: %t, %w", row, ok, err)
		}
		number := binary.BigEndian.Uint64(value.Data)
		if other, twice := seen[number]; twice {
			return fmt.Errorf("transaction %d is in rows %d and %d", number, other, row)
		}
		if number >= l.next {
			return fmt.Errorf("row %d holds transaction %d, which nobody proposed", row, number)
		}
		seen[number] = row
	}
	for number, row := range l.acknowledged {
		if seen[number] != row {
			return fmt.Errorf("transaction %d was acknowledged in row %d, and is in row %d", number, row, seen[number])
		}
	}
	return nil
}
