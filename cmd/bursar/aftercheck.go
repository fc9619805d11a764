package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// aftercheck rebuilds the books of every node of a crew from its own disk, after all
// have ended, and holds them against what callers were told and against one another.
type aftercheck struct {
	crew    crew
	ledger  *ledger
	index   uint64 // that all nodes had applied at the end
	scratch string
}

// kept is what one node kept.
type kept struct {
	name     string
	digest   [32]byte
	index    uint64
	books    *rebuild
	missing  int // acknowledged submissions that are not there as they were acknowledged
	firstBad string
}

// errCheck is returned when a node did not keep what it had promised.
var errCheck = errors.New("the check failed")

// run checks all nodes and tells what it found.
func (a *aftercheck) run(ctx context.Context, tell func(format string, args ...any)) error {
	index, err := a.common()
	if err != nil {
		return err
	}
	all := make([]kept, len(a.crew))
	for i, m := range a.crew {
		if all[i], err = a.look(ctx, m, index); err != nil {
			return fmt.Errorf("check %s: %w", m.cfg.Name, err)
		}
	}
	verdicts := []func([]kept) (string, bool){a.booksBalance, a.nothingLost, a.nothingTwice, a.allTheSame}
	failed := false
	lines := make([]string, 0, len(verdicts))
	for _, verdict := range verdicts {
		text, ok := verdict(all)
		mark := "✓"
		if !ok {
			mark, failed = "✗", true
		}
		lines = append(lines, fmt.Sprintf("  %s %s", mark, text))
	}
	tell("CHECK of what is on the disks of %s, rebuilt from their logs up to index %s:\n%s",
		names(all), group(index), strings.Join(lines, "\n"))
	if failed {
		return errCheck
	}
	return nil
}

// common is the index to compare at: a Raft snapshot that a node took since then is all
// that is left of its log before.
func (a *aftercheck) common() (uint64, error) {
	index := a.index
	for _, m := range a.crew {
		newest, err := cluster.ReadSnapshot(m.cfg.DataDir, func(cluster.SnapshotInfo, io.Reader) error { return nil })
		if err != nil {
			return 0, fmt.Errorf("check %s: %w", m.cfg.Name, err)
		}
		index = max(index, newest.Index)
	}
	return index, nil
}

// look rebuilds a node's books.
func (a *aftercheck) look(ctx context.Context, m *member, index uint64) (k kept, err error) {
	dir, err := os.MkdirTemp(a.scratch, "check-")
	if err != nil {
		return k, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	k = kept{name: string(m.cfg.Name), books: &rebuild{data: filepath.Clean(m.cfg.DataDir), to: index, progress: io.Discard}}
	err = k.books.inspect(ctx, dir, func(store *persistence.Store) (err error) {
		if k.digest, k.index, err = store.Digest(); err != nil {
			return err
		}
		return a.compare(&k, store)
	})
	return k, err
}

// compare looks for each acknowledged submission: the request must have made one record,
// the one that the caller was told, with what the caller had asked for.
func (a *aftercheck) compare(k *kept, store *persistence.Store) error {
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	for request, want := range a.ledger.taken {
		found, ok, err := store.Request(request)
		if err != nil {
			return err
		}
		var fault string
		switch {
		case !ok:
			fault = "is not there"
		case found.First != uint64(want.id) || found.Count != 1:
			fault = fmt.Sprintf("made %d records from %d on", found.Count, found.First)
		default:
			fault, err = wrongly(store, want)
		}
		if err != nil {
			return err
		}
		if fault != "" {
			k.missing++
			k.firstBad = fmt.Sprintf("%s: request %s, acknowledged as disbursement %d, %s", k.name, request, want.id, fault)
		}
	}
	return nil
}

func (a *aftercheck) booksBalance(all []kept) (string, bool) {
	for i := range all {
		if err := verdict(&all[i].books.books, false); err != nil {
			return fmt.Sprintf("the books of %s are wrong: %v", all[i].name, err), false
		}
	}
	b := &all[0].books.books
	return fmt.Sprintf("the books balance: accruals %s = treasury %s + accounts %s",
		group(uint64(b.Accruals)), group(uint64(b.Treasury)), group(uint64(b.Accounts))), b.Accruals == b.Treasury+b.Accounts
}

func (a *aftercheck) nothingLost(all []kept) (string, bool) {
	a.ledger.mu.Lock()
	defer a.ledger.mu.Unlock()
	if a.ledger.fault != nil {
		return a.ledger.fault.Error(), false
	}
	for i := range all {
		if all[i].missing > 0 {
			return fmt.Sprintf("%d acknowledged submissions are not as they were acknowledged; %s", all[i].missing, all[i].firstBad), false
		}
	}
	ids := make(map[messages.DisbursementID]string, len(a.ledger.taken))
	for request, t := range a.ledger.taken {
		if other, twice := ids[t.id]; twice {
			return fmt.Sprintf("disbursement %d was acknowledged to %s and to %s", t.id, request, other), false
		}
		ids[t.id] = request
	}
	text := fmt.Sprintf("all %s acknowledged submissions are there, each once, on every node", group(uint64(len(ids))))
	if a.ledger.beyond > 0 {
		text += fmt.Sprintf(" (%s more were not remembered)", group(uint64(a.ledger.beyond)))
	}
	return text, true
}

// nothingTwice relies on the audit, which found each nonce used once, without gaps.
func (a *aftercheck) nothingTwice(all []kept) (string, bool) {
	for i := range all {
		if all[i].books.books.FaultCount > 0 {
			return "whether something was executed twice cannot be told from wrong books", false
		}
	}
	return fmt.Sprintf("none was executed twice: %s payments, as many nonces, no gap between them",
		group(all[0].books.books.Payments)), true
}

func (a *aftercheck) allTheSame(all []kept) (string, bool) {
	if len(all) == 1 {
		return fmt.Sprintf("%s holds rows with the digest %x", all[0].name, all[0].digest[:8]), true
	}
	for i := range all[1:] {
		if one, other := &all[0], &all[i+1]; one.digest != other.digest || one.index != other.index {
			return fmt.Sprintf("%s at index %d has the digest %x, %s at index %d has %x",
				one.name, one.index, one.digest[:8], other.name, other.index, other.digest[:8]), false
		}
	}
	return fmt.Sprintf("%s hold the same rows: digest %x", names(all), all[0].digest[:8]), true
}

func names(all []kept) string {
	list := make([]string, 0, len(all))
	for i := range all {
		list = append(list, all[i].name)
	}
	return strings.Join(list, ", ")
}

// wrongly says how a record differs from what was acknowledged, "" if it does not.
func wrongly(store *persistence.Store, want acknowledged) (string, error) {
	value, ok, err := store.Get(persistence.RecordKey(treasury.TableDisbursements, uint64(want.id)))
	if err != nil || !ok {
		return "has no record", err
	}
	record, err := disbursement.DecodeRecord(value.Data)
	if err != nil {
		return "", fmt.Errorf("disbursement %d: %w", want.id, err)
	}
	if d := &record.Payload.Disbursement; d.Destination != want.destination || d.Amount != want.amount {
		return fmt.Sprintf("pays %d to %s, not %d to %s", d.Amount, d.Destination, want.amount, want.destination), nil
	}
	return "", nil
}
