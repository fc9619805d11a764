package durable

import (
	"context"
	"fmt"

	"github.com/the-block/bursar/persistence"
)

// followMax is how many changes a follower takes at a time, and so how long a read model
// is locked.
const followMax = 4096

// pageMax is how many rows a rebuild reads at a time: what one look at the Store may
// touch, less what Draft.At reads beside them.
const pageMax = persistence.ViewRowsMax - 16

// ReadModel is what a node keeps in memory of a domain's rows, as a projection of the log.
type ReadModel interface {
	// Advance carries the changes of the log up to index into what is shown.
	Advance(index uint64, changes []persistence.Change) error
	// Draft makes an empty model that nobody sees yet.
	Draft() Draft
}

// Draft is a read model that is being built from a Store which goes on changing.
type Draft interface {
	// At is told of each page that is read; it may read up to 16 rows of what belongs to no
	// page, such as counters.
	At(v *persistence.View)
	// Change carries a row that was read, or a change of the log, into the draft.
	Change(c *persistence.Change) error
	// Show puts the draft, which is true for index, in the place of what was shown.
	Show(index uint64) error
}

// Follower carries the Store's changes into a read model, in log order. It follows the
// Store's ring of recent changes, and builds the model anew when it was too slow for that.
// It belongs to one goroutine.
type Follower struct {
	Store *persistence.Store
	// Tables are read to build the model, in ascending order.
	Tables []persistence.Table
	Model  ReadModel

	begun bool
	index uint64 // the model stands for it
}

// Run builds the model and advances it until ctx ends. An error means that the model, or
// the Store itself, cannot be believed any more: the node must stop.
func (f *Follower) Run(ctx context.Context) error {
	if err := f.CatchUp(ctx); err != nil {
		return err
	}
	for {
		if err := f.Store.Wait(ctx, f.index+1); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("follow the log: %w", err)
		}
		if err := f.CatchUp(ctx); err != nil {
			return err
		}
	}
}

// CatchUp advances the model to what the Store has applied. The first time it builds it.
func (f *Follower) CatchUp(ctx context.Context) error {
	if !f.begun {
		f.begun = true
		return f.rebuild(ctx)
	}
	for applied := f.Store.Applied(); f.index < applied; {
		changes, ok := f.Store.Changes(f.index, followMax)
		if !ok {
			return f.rebuild(ctx)
		}
		f.index = lastIndex(changes, applied)
		if err := f.Model.Advance(f.index, changes); err != nil {
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

// rebuild builds a new model from the Store and shows it once it is whole. Those who ask
// meanwhile see the old one, or wait.
func (f *Follower) rebuild(ctx context.Context) error {
	b := f.builder()
	for {
		whole, err := b.page()
		switch {
		case err != nil:
			return fmt.Errorf("build the read model: %w", err)
		case ctx.Err() != nil:
			return nil
		case whole:
			f.index = b.index
			return b.draft.Show(b.index)
		}
	}
}

func (f *Follower) builder() *builder { return &builder{f: f, draft: f.Model.Draft()} }

// builder fills a draft page by page, and after each page follows the changes of what it
// has read so far, so that a page and the entries of its time are all it ever has to
// catch up with.
type builder struct {
	f     *Follower
	draft Draft
	begun bool
	index uint64 // what was read so far is true for it
	table int    // that is being read
	last  persistence.Key
}

// page reads one more page. whole says that there was none: the draft is whole.
func (b *builder) page() (whole bool, err error) {
	if b.table == len(b.f.Tables) {
		return true, nil
	}
	var rows []persistence.Change
	var index uint64
	table := b.f.Tables[b.table]
	from := max(persistence.NameKey(table, ""), b.last+"\x00")
	err = b.f.Store.View(func(v *persistence.View) error {
		index = v.Applied()
		b.draft.At(v)
		return v.Scan(from, persistence.TableEnd(table), false, pageMax, func(key persistence.Key, value persistence.Value) bool {
			rows = append(rows, persistence.Change{Index: index, Key: key, Value: value})
			return true
		})
	})
	if err != nil {
		return false, err
	}
	if err := b.follow(index); err != nil || b.index < index {
		return false, err
	}
	for i := range rows {
		if err := b.draft.Change(&rows[i]); err != nil {
			return false, err
		}
		b.last = rows[i].Key
	}
	if len(rows) == 0 {
		b.table++
	}
	return false, nil
}

// follow carries the changes up to index into what was read so far. Of what was not
// read yet the pages to come tell.
func (b *builder) follow(index uint64) error {
	if !b.begun {
		b.begun, b.index = true, index
	}
	for b.index < index {
		changes, ok := b.f.Store.Changes(b.index, followMax)
		if !ok { // too slow: from the beginning
			*b = *b.f.builder()
			return nil
		}
		b.index = lastIndex(changes, index)
		for i := range changes {
			if changes[i].Index > index { // of the next page's time
				b.index = index
				break
			}
			if b.unread(changes[i].Key) {
				continue
			}
			if err := b.draft.Change(&changes[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// unread reports whether a key is one that a page to come reads.
func (b *builder) unread(key persistence.Key) bool {
	if key <= b.last {
		return false
	}
	for _, table := range b.f.Tables[b.table:] {
		if key.Table() == table {
			return true
		}
	}
	return false
}
