package treasury

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// followMax is how many changes the follower takes at a time, and so how long it
// holds the model's lock.
const followMax = 4096

// Follow builds the read model from the Store and advances it until ctx ends. It
// owns the model's write side. An error means that the model, or the Store itself,
// cannot be believed any more: the node must stop.
func (t *Treasury) Follow(ctx context.Context) error {
	f := follower{t: t}
	if err := f.rebuild(ctx); err != nil {
		return err
	}
	for {
		if err := t.projection.Wait(ctx, f.index+1); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the log: %w", err)
		}
		if err := f.catchUp(ctx); err != nil {
			return err
		}
	}
}

// follower carries the Store's changes into the model.
type follower struct {
	t     *Treasury
	index uint64
	funds int64
	pages []page // of the last rebuild, while changes of its time come in
}

// page says that the records up to last were read at index.
type page struct {
	last  uint64
	index uint64
}

// rebuild reads every record into a new model. The Store goes on meanwhile: a page
// is true for the index it was read at, and changes up to that index are passed
// over for its records when they come.
func (f *follower) rebuild(ctx context.Context) error {
	f.index = f.t.projection.Applied()
	f.pages = nil
	f.t.model.reset()
	var last uint64
	for {
		records, index, err := f.t.readPage(last)
		if err != nil {
			return fmt.Errorf("build the read model: %w", err)
		}
		if err := ctx.Err(); err != nil {
			return nil
		}
		if len(records) == 0 {
			break
		}
		if _, err := f.t.model.advance(f.index, 0, records, time.Now()); err != nil {
			return err
		}
		last, _ = records[len(records)-1].Key.Number()
		f.pages = append(f.pages, page{last, index})
	}
	return f.settle(nil)
}

// readPage reads the records after last, as changes, and the index they are true for.
func (t *Treasury) readPage(last uint64) (records []persistence.Change, index uint64, err error) {
	from, to := persistence.RecordKey(TableDisbursements, last+1), persistence.TableEnd(TableDisbursements)
	err = t.projection.View(func(v *persistence.View) error {
		index = v.Applied()
		return v.Scan(from, to, false, persistence.ViewRowsMax, func(key persistence.Key, value persistence.Value) bool {
			records = append(records, persistence.Change{Index: index, Key: key, Value: value})
			return true
		})
	})
	return records, index, err
}

// catchUp advances the model to what the Store has applied.
func (f *follower) catchUp(ctx context.Context) error {
	for applied := f.t.projection.Applied(); f.index < applied; {
		changes, ok := f.t.projection.Changes(f.index, followMax)
		if !ok {
			return f.rebuild(ctx)
		}
		if len(changes) == 0 { // entries that changed nothing
			f.index = applied
		} else {
			f.index = changes[len(changes)-1].Index
		}
		if err := f.settle(f.fresh(changes)); err != nil {
			return err
		}
	}
	return nil
}

// fresh leaves out what a rebuild has read already.
func (f *follower) fresh(changes []persistence.Change) []persistence.Change {
	if len(f.pages) == 0 || len(changes) == 0 {
		return changes
	}
	if changes[0].Index > f.pages[len(f.pages)-1].index {
		f.pages = nil
		return changes
	}
	kept := changes[:0:0]
	for _, c := range changes {
		if !f.known(c) {
			kept = append(kept, c)
		}
	}
	return kept
}

func (f *follower) known(c persistence.Change) bool {
	number, _ := c.Key.Number()
	i := sort.Search(len(f.pages), func(i int) bool { return f.pages[i].last >= number })
	return c.Key.Table() == TableDisbursements && i < len(f.pages) && c.Index <= f.pages[i].index
}

// settle advances the model to the follower's index, checks the books and wakes
// whoever has work.
func (f *follower) settle(changes []persistence.Change) error {
	books, err := readBooks(f.t.projection)
	if err != nil {
		return err
	}
	if err := books.check(); err != nil {
		return err
	}
	w, err := f.t.model.advance(f.index, books.epoch, changes, time.Now())
	if err != nil {
		return err
	}
	w.executor = w.executor || books.treasury > f.funds
	f.funds = books.treasury
	f.t.wake(w)
	return nil
}

// books are the totals of all money, read at one index.
type books struct {
	index                        uint64
	treasury, accounts, accruals int64
	epoch                        messages.Epoch
}

func readBooks(store *persistence.Store) (b books, err error) {
	err = store.View(func(v *persistence.View) error {
		b = books{
			index:    v.Applied(),
			treasury: v.Counter(CounterTreasury),
			accounts: v.Counter(CounterAccounts),
			accruals: v.Counter(CounterAccruals),
			epoch:    messages.Epoch(v.Counter(CounterEpoch)),
		}
		return nil
	})
	return b, err
}

// check holds I2 at run time: all that came in is in the treasury or in an account.
func (b books) check() error {
	if b.treasury < 0 || b.accounts < 0 || b.treasury+b.accounts != b.accruals {
		return fmt.Errorf("the books do not balance at index %d: treasury %d + accounts %d, accruals %d",
			b.index, b.treasury, b.accounts, b.accruals)
	}
	return nil
}

// wake tells the actors that have work.
func (t *Treasury) wake(w wakes) {
	for shard := range w.shards {
		_ = t.shards[shard].TellInternal(wake{})
	}
	if w.executor {
		_ = t.executor.TellInternal(wake{})
	}
}
