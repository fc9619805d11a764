package treasury

import (
	"context"
	"fmt"
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
	index uint64 // the model stands for it
}

// catchUp advances the model to what the Store has applied.
func (f *follower) catchUp(ctx context.Context) error {
	for applied := f.t.projection.Applied(); f.index < applied; {
		changes, ok := f.t.projection.Changes(f.index, followMax)
		if !ok {
			return f.rebuild(ctx)
		}
		f.index = lastIndex(changes, applied)
		w, err := f.t.model.advance(f.index, changes, time.Now())
		if err != nil {
			return err
		}
		w.executor = w.executor || moveFunds(changes)
		if err := f.settle(w); err != nil {
			return err
		}
	}
	return nil
}

// lastIndex is where to go on after changes; at applied if there are none up to it.
func lastIndex(changes []persistence.Change, applied uint64) uint64 {
	if len(changes) == 0 {
		return applied
	}
	return changes[len(changes)-1].Index
}

// settle checks the books and wakes whoever has work.
func (f *follower) settle(w wakes) error {
	books, err := readBooks(f.t.projection)
	if err != nil {
		return err
	}
	if err := books.check(); err != nil {
		return err
	}
	f.t.wake(w)
	return nil
}

// moveFunds reports whether the treasury's balance changed. Two looks at the balance
// would not do: an outflow and an accrual between them can leave less than before, and
// still more than the executor has seen.
func moveFunds(changes []persistence.Change) bool {
	for i := range changes {
		if name, _, ok := changes[i].Counter(); ok && name == CounterTreasury {
			return true
		}
	}
	return false
}

// rebuild paints a new picture from the Store and shows it once it is whole. Those who
// ask meanwhile see the old one, or wait.
func (f *follower) rebuild(ctx context.Context) error {
	shards := f.t.cfg.GraphShards
	p := painter{store: f.t.projection, shards: shards, picture: newPicture(shards)}
	for {
		whole, err := p.page()
		switch {
		case err != nil:
			return fmt.Errorf("build the read model: %w", err)
		case ctx.Err() != nil:
			return nil
		case whole:
			p.graph.Advance(p.index)
			f.index = p.index
			return f.settle(f.t.model.replace(p.picture))
		}
	}
}

// painter fills a picture from a Store that goes on changing. It reads page by page,
// and after each page follows the changes of what it has read so far, so that a page
// and the entries of its time are all it ever has to catch up with.
type painter struct {
	*picture
	store  *persistence.Store
	shards int
	begun  bool
	index  uint64 // what was read so far is true for it
	last   uint64 // the highest id read
}

// page reads one more page. whole says that there was none: the picture is whole.
func (p *painter) page() (whole bool, err error) {
	w := wakes{now: time.Now()} // the work of an unfinished picture wakes nobody
	var records []persistence.Change
	var index uint64
	var epoch messages.Epoch
	from, to := persistence.RecordKey(TableDisbursements, p.last+1), persistence.TableEnd(TableDisbursements)
	err = p.store.View(func(v *persistence.View) error {
		index, epoch = v.Applied(), messages.Epoch(v.Counter(CounterEpoch))
		return v.Scan(from, to, false, persistence.ViewRowsMax-1, func(key persistence.Key, value persistence.Value) bool {
			records = append(records, persistence.Change{Index: index, Key: key, Value: value})
			return true
		})
	})
	if err != nil {
		return false, err
	}
	if err := p.follow(index, &w); err != nil || p.index < index {
		return false, err
	}
	p.turn(epoch, &w)
	for i := range records {
		if err := p.change(&records[i], &w); err != nil {
			return false, err
		}
		p.last, _ = records[i].Key.Number()
	}
	return len(records) == 0, nil
}

// follow carries the changes up to index into what was read so far. Of what was not
// read yet the pages to come tell.
func (p *painter) follow(index uint64, w *wakes) error {
	if !p.begun {
		p.begun, p.index = true, index
	}
	for p.index < index {
		changes, ok := p.store.Changes(p.index, followMax)
		if !ok { // too slow: from the beginning
			*p = painter{store: p.store, shards: p.shards, picture: newPicture(p.shards)}
			return nil
		}
		p.index = lastIndex(changes, index)
		for i := range changes {
			number, _ := changes[i].Key.Number()
			if changes[i].Index > index { // of the next page's time
				p.index = index
				break
			}
			if changes[i].Key.Table() == TableDisbursements && number > p.last {
				continue
			}
			if err := p.change(&changes[i], w); err != nil {
				return err
			}
		}
	}
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

// wake tells the actors that have work. One on standby looks for itself when it
// becomes active.
func (t *Treasury) wake(w wakes) {
	if w.executor {
		w.shard(t.cfg.ExecutorShard())
	}
	for shard := range w.shards {
		if t.Owns(shard) {
			t.tell(shard, wake{})
		}
	}
}
