package check

import (
	"context"
	"errors"
	"fmt"
	"os"

	trail "github.com/the-block/bursar/actors/audit"
	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/treasury/audit"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/backup"
)

// Facts says what a Store at rest adds up to. Its error names what is wrong in the books.
func Facts(ctx context.Context, store *persistence.Store) (backup.Facts, error) {
	digest, _, err := store.Digest()
	if err != nil {
		return backup.Facts{}, err
	}
	books, err := audit.Books(ctx, store)
	if err != nil {
		return backup.Facts{}, err
	}
	market, err := energy.Audit(ctx, store)
	if err = errors.Join(err, books.Err(), market.Err()); err != nil {
		return backup.Facts{}, fmt.Errorf("the books are wrong: %w", err)
	}
	return backup.Facts{
		Digest: fmt.Sprintf("%x", digest), Rows: uint64(store.Stats().Rows.Load()),
		Disbursements: books.Disbursements, Treasury: uint64(books.Treasury),
	}, nil
}

// InScratch makes a Store in a temporary directory in dir for as long as do takes.
func InScratch(dir string, do func(*persistence.FSM) error) (err error) {
	scratch, err := os.MkdirTemp(dir, "bursar-check-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	cfg := persistence.DefaultStoreConfig()
	cfg.Columns = rows.Columns()
	cfg.Audited = trail.Keys()
	store, err := persistence.Open(scratch, cfg)
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }() // its file goes with the directory
	return do(persistence.NewFSM(store))
}
