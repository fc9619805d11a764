package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/the-block/bursar/persistence"
)

// Restored is what a restore has made of a Store.
type Restored struct {
	Index, Term uint64
	At          time.Time // of the last entry
	Entries     uint64    // carried out after the base
	Hash        string    // the log's running hash after it, "" where it was not shipped
	Facts       Facts     // of the Store
}

// Inspect says what a Store at rest adds up to, and checks it.
type Inspect func(ctx context.Context, store *persistence.Store) (Facts, error)

// Reader reads what a target holds.
type Reader struct {
	Target  Target
	Keys    Keys
	Inspect Inspect
	// Progress, if not nil, is told how many bytes of how many were read.
	Progress func(done, total int64)

	done, total int64
}

// Restore carries out a plan. Each byte is checked before it counts: at an error the FSM is
// not to be used.
func (r *Reader) Restore(ctx context.Context, p *Plan, fsm *persistence.FSM) (*Restored, error) {
	r.done, r.total = 0, p.Base.Stored.Bytes
	for _, m := range p.Pieces {
		r.total += m.Stored.Bytes
	}
	w := &walk{reader: r, fsm: fsm, until: p.Index, at: p.At}
	if err := w.begin(ctx, p.Base); err != nil {
		return nil, err
	}
	for _, m := range p.Pieces {
		if err := w.piece(ctx, m); errors.Is(err, errEnough) {
			break
		} else if err != nil {
			return nil, err
		}
	}
	if p.Index > 0 && w.out.Index != p.Index {
		return nil, fmt.Errorf("%w: entries %d to %d are missing", ErrGap, w.out.Index+1, p.Index)
	}
	facts, err := r.Inspect(ctx, fsm.Store())
	w.out.Facts = facts
	if w.linked {
		w.out.Hash = w.hash.String()
	}
	return &w.out, err
}

// errEnough ends a walk where it is to end.
var errEnough = errors.New("that is enough")

// walk follows the log from a base through pieces.
type walk struct {
	reader *Reader
	fsm    *persistence.FSM
	until  uint64    // last entry to carry out; 0 for no limit
	at     time.Time // an entry after it ends the walk; zero for no limit

	hash   logHash
	linked bool
	out    Restored
}

// begin restores a base and holds the Store against what its manifest says.
func (w *walk) begin(ctx context.Context, m *Manifest) error {
	err := w.reader.read(ctx, m, func(content io.Reader) error { return w.fsm.Restore(content) })
	if err != nil {
		return err
	}
	if applied := w.fsm.Store().Applied(); applied != m.Last {
		return fmt.Errorf("%w: %s holds the state of index %d, not of %d", ErrDamaged, m.Object, applied, m.Last)
	}
	if err := w.compare(ctx, m); err != nil {
		return err
	}
	w.hash, w.linked = parseLogHash(m.After)
	w.out.Index, w.out.Term, w.out.At = m.Last, m.LastTerm, m.LastAt
	return nil
}

// compare holds the Store against a base's manifest.
func (w *walk) compare(ctx context.Context, m *Manifest) error {
	facts, err := w.reader.Inspect(ctx, w.fsm.Store())
	if err != nil {
		return fmt.Errorf("%s: %w", m.Object, err)
	}
	if m.Facts == nil || facts != *m.Facts {
		return fmt.Errorf("%w: at index %d the Store has the digest %.12s, %s says %+v", ErrDamaged, m.Last, facts.Digest, m.name(), m.Facts)
	}
	return nil
}

// piece carries out the entries of a piece that the Store does not have yet.
func (w *walk) piece(ctx context.Context, m *Manifest) error {
	var content []byte
	err := w.reader.read(ctx, m, func(r io.Reader) (err error) {
		content, err = io.ReadAll(r)
		return err
	})
	if err != nil {
		return err
	}
	return w.entries(ctx, m, content)
}

func (w *walk) entries(ctx context.Context, m *Manifest, rest []byte) error {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, m.Object, fmt.Sprintf(format, args...))
	}
	if len(rest) < len(pieceMagic) || string(rest[:len(pieceMagic)]) != pieceMagic {
		return damaged("%v", errShape)
	}
	if err := w.checkChain(m, rest[len(pieceMagic):]); err != nil {
		return err
	}
	rest = rest[len(pieceMagic):]
	for len(rest) > 0 {
		e, own, after, err := cutEntry(rest)
		if err != nil {
			return damaged("%v", err)
		}
		rest = after
		switch {
		case e.Index <= w.out.Index:
			continue
		case e.Index != w.out.Index+1:
			return fmt.Errorf("%w: after entry %d comes entry %d of %s", ErrGap, w.out.Index, e.Index, m.Object)
		case w.until > 0 && e.Index > w.until, !w.at.IsZero() && e.At.After(w.at):
			return errEnough
		}
		if e.Batch {
			if _, err := w.fsm.Apply(e.Index, e.Data); err != nil {
				return fmt.Errorf("%s: %w", m.Object, err)
			}
			w.out.Entries++
		}
		w.hash, w.linked = w.hash.next(own), true
		w.out.Index, w.out.Term = e.Index, e.Term
		if !e.At.IsZero() {
			w.out.At = e.At
		}
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// checkChain holds a piece against its manifest, and against the log before it.
func (w *walk) checkChain(m *Manifest, rest []byte) error {
	damaged := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s: %s", ErrDamaged, m.Object, fmt.Sprintf(format, args...))
	}
	hash, _ := parseLogHash(m.Before)
	next := m.First
	if w.out.Index == m.First-1 {
		if w.linked && m.Before != w.hash.String() {
			return damaged("it does not follow entry %d of this log: the running hash there is %.12s, not %.12s", w.out.Index, w.hash, m.Before)
		}
		w.hash, w.linked = hash, true
	}
	for len(rest) > 0 {
		e, own, after, err := cutEntry(rest)
		if err != nil || e.Index != next {
			return damaged("entry %d is not where it belongs", next)
		}
		hash, rest, next = hash.next(own), after, next+1
		if e.Index != w.out.Index {
			continue
		}
		if w.linked && hash != w.hash {
			return damaged("its entry %d is another than that of this log", e.Index)
		}
		w.hash, w.linked = hash, true
	}
	if next != m.Last+1 || hash.String() != m.After {
		return damaged("its entries do not add up to what its manifest says")
	}
	return nil
}

// read opens an object and has read read what it holds.
func (r *Reader) read(ctx context.Context, m *Manifest, read func(io.Reader) error) error {
	object, err := r.Target.Open(ctx, m.Object)
	if errors.Is(err, ErrMissing) {
		return fmt.Errorf("%w: %s is missing", ErrDamaged, m.Object)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", m.Object, err)
	}
	err = r.Keys.unseal(m, progress{object, r}, read)
	return errors.Join(err, object.Close())
}

// progress tells how far the reader has come.
type progress struct {
	io.Reader
	to *Reader
}

func (p progress) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.to.done += int64(n)
	if p.to.Progress != nil {
		p.to.Progress(p.to.done, p.to.total)
	}
	return n, err
}

// Verify reads everything back: every hash, the chain between pieces, and the Store at every
// base, rebuilt from the oldest one on. What it finds wrong is named, one error joined to the
// other; newest is the newest index that is proven.
func (r *Reader) Verify(ctx context.Context, s *Set, fsm *persistence.FSM) (out *Restored, err error) {
	if len(s.Bases) == 0 {
		return nil, errors.Join(append([]error{ErrEmpty}, s.Faults...)...)
	}
	r.done, r.total = 0, s.Bytes()
	errs := append([]error(nil), s.Faults...)
	w := &walk{reader: r, fsm: fsm}
	if err := w.begin(ctx, s.Bases[0]); err != nil {
		return nil, errors.Join(append(errs, err)...)
	}
	bases, pieces := s.Bases[1:], s.Pieces
	for len(bases) > 0 || len(pieces) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		// A base comes when the walk has reached it, or nothing else leads on.
		if len(bases) > 0 && (bases[0].Last <= w.out.Index || len(pieces) == 0 || pieces[0].First > w.out.Index+1) {
			base := bases[0]
			bases = bases[1:]
			if err := w.meet(ctx, base); err != nil {
				return nil, errors.Join(append(errs, err)...)
			}
			continue
		}
		w.until = 0
		if len(bases) > 0 {
			w.until = bases[0].Last
		}
		m := pieces[0]
		if m.First > w.out.Index+1 {
			return nil, errors.Join(append(errs, fmt.Errorf("%w: entries %d to %d are missing", ErrGap, w.out.Index+1, m.First-1))...)
		}
		err := w.piece(ctx, m)
		if err != nil && !errors.Is(err, errEnough) {
			return nil, errors.Join(append(errs, err)...)
		}
		if !errors.Is(err, errEnough) {
			pieces = pieces[1:]
		}
	}
	if w.out.Facts, err = r.Inspect(ctx, fsm.Store()); err != nil {
		errs = append(errs, err)
	}
	if w.linked {
		w.out.Hash = w.hash.String()
	}
	return &w.out, errors.Join(errs...)
}

// meet checks a base that the walk has reached: it must hold the very Store. One that lies
// beyond a gap is where the walk goes on.
func (w *walk) meet(ctx context.Context, m *Manifest) error {
	if m.Last > w.out.Index {
		return w.begin(ctx, m)
	}
	if m.Last == w.out.Index {
		if err := w.compare(ctx, m); err != nil {
			return err
		}
		if after, ok := parseLogHash(m.After); ok && w.linked && after != w.hash {
			return fmt.Errorf("%w: %s is of another log: the running hash is %.12s there, not %.12s", ErrDamaged, m.name(), m.After, w.hash)
		}
	}
	return w.reader.read(ctx, m, func(content io.Reader) error {
		_, err := io.Copy(io.Discard, content)
		return err
	})
}
