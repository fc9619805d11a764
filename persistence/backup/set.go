package backup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
)

// Set is what a target holds, as its manifests say.
type Set struct {
	Cluster string
	// Bases and Pieces are in the order of the log.
	Bases, Pieces []*Manifest
	// Faults name what is damaged, missing or foreign.
	Faults []error
	// Gaps say which indexes were never shipped: no restore ends there.
	Gaps []Gap

	listed  map[string]Object
	dropped []string // objects without a manifest
}

// Gap is a run of indexes that the backup does not lead to.
type Gap struct{ After, Before uint64 }

// Load reads all manifests of a target. Faults are in the Set; the error is that of reading.
func Load(ctx context.Context, target Target) (*Set, error) {
	list, err := target.List(ctx, "")
	if err != nil {
		return nil, err
	}
	s := &Set{listed: make(map[string]Object, len(list))}
	for _, o := range list {
		s.listed[o.Name] = o
	}
	manifests, err := s.read(ctx, target, list)
	if err != nil {
		return nil, err
	}
	named := make(map[string]bool)
	for _, m := range manifests {
		if m != nil {
			named[m.Object] = true
			s.add(m)
		}
	}
	s.lookForStrangers(list, named)
	s.sort()
	s.Gaps = s.gaps()
	return s, nil
}

// readersMax is how many manifests are read at a time: a store far away answers each late.
const readersMax = 16

// read reads the manifests of a listing, in its order; nil for what is none.
func (s *Set) read(ctx context.Context, target Target, list []Object) ([]*Manifest, error) {
	manifests, faults := make([]*Manifest, len(list)), make([]error, len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(readersMax)
	for i, o := range list {
		if !strings.HasSuffix(o.Name, manifestSuffix) {
			continue
		}
		group.Go(func() error {
			m, err := readManifest(ctx, target, o.Name)
			switch {
			case errors.Is(err, ErrMissing): // removed meanwhile
			case errors.Is(err, ErrDamaged):
				faults[i] = err
			default:
				manifests[i] = m
				return err
			}
			return nil
		})
	}
	err := group.Wait()
	for _, fault := range faults {
		if fault != nil {
			s.Faults = append(s.Faults, fault)
		}
	}
	return manifests, err
}

func readManifest(ctx context.Context, target Target, name string) (*Manifest, error) {
	r, err := target.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(r, manifestBytesMax))
	if err = errors.Join(err, r.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return decodeManifest(name, b)
}

func (s *Set) add(m *Manifest) {
	switch {
	case s.Cluster == "":
		s.Cluster = m.Cluster
	case s.Cluster != m.Cluster:
		s.Faults = append(s.Faults, fmt.Errorf("%w: %s is of cluster %s, others are of cluster %s", ErrForeign, m.name(), m.Cluster, s.Cluster))
		return
	}
	switch object, there := s.listed[m.Object]; {
	case !there:
		s.Faults = append(s.Faults, fmt.Errorf("%w: %s is missing", ErrDamaged, m.Object))
	case object.Bytes != m.Stored.Bytes:
		s.Faults = append(s.Faults, fmt.Errorf("%w: %s has %d bytes, %d were written", ErrDamaged, m.Object, object.Bytes, m.Stored.Bytes))
	}
	if m.Kind == Base {
		s.Bases = append(s.Bases, m)
	} else {
		s.Pieces = append(s.Pieces, m)
	}
}

// lookForStrangers finds objects that no manifest names: one that was being written is
// dropped later, all else does not belong here.
func (s *Set) lookForStrangers(list []Object, named map[string]bool) {
	for _, o := range list {
		switch {
		case strings.HasSuffix(o.Name, manifestSuffix), named[o.Name], isFence(o.Name):
		case isObject(o.Name):
			s.dropped = append(s.dropped, o.Name)
		default:
			s.Faults = append(s.Faults, fmt.Errorf("%w: %s is no object of a backup", ErrForeign, o.Name))
		}
	}
}

func isObject(name string) bool {
	return strings.HasSuffix(name, objectSuffix) && (strings.HasPrefix(name, string(Base)+"-") || strings.HasPrefix(name, string(Piece)+"-"))
}

func (s *Set) sort() {
	order := func(a, b *Manifest) int { return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Last, b.Last)) }
	slices.SortFunc(s.Bases, order)
	slices.SortFunc(s.Pieces, order)
}

// gaps are the runs of indexes between the first piece and the newest object that no piece
// holds.
func (s *Set) gaps() (list []Gap) {
	if len(s.Pieces) == 0 {
		return nil
	}
	reached := s.Pieces[0].First - 1
	for _, m := range s.Pieces {
		if m.First > reached+1 {
			list = append(list, Gap{After: reached, Before: m.First})
		}
		reached = max(reached, m.Last)
	}
	return list
}

// newest gives the last of a sorted list that lasts is true for.
func newest(list []*Manifest, holds func(*Manifest) bool) *Manifest {
	for i := len(list) - 1; i >= 0; i-- {
		if holds(list[i]) {
			return list[i]
		}
	}
	return nil
}

// Newest is the newest index that the backup leads to, 0 for none.
func (s *Set) Newest() uint64 {
	p, err := s.Plan(Point{})
	if err != nil {
		return 0
	}
	return p.Index
}

// Bytes is how much is stored.
func (s *Set) Bytes() (n int64) {
	for _, m := range slices.Concat(s.Bases, s.Pieces) {
		n += m.Stored.Bytes
	}
	return n
}

// Point is what is to be restored: the state after the entry Index, or before the first
// entry after At; the newest there is if both are zero.
type Point struct {
	Index uint64
	At    time.Time
}

// Plan is what it takes to restore one point.
type Plan struct {
	Cluster string
	Base    *Manifest
	Pieces  []*Manifest
	// Index is the last entry, 0 where only the entries' times tell: the first one after At
	// ends it.
	Index uint64
	At    time.Time
}

// Plan finds the base and the pieces that lead to a point. What is damaged on the way is an
// error, as is a gap: nothing older is restored in silence.
func (s *Set) Plan(to Point) (*Plan, error) {
	for _, fault := range s.Faults {
		if errors.Is(fault, ErrForeign) {
			return nil, fault
		}
	}
	if len(s.Bases) == 0 {
		return nil, errors.Join(append([]error{ErrEmpty}, s.Faults...)...)
	}
	p := &Plan{Cluster: s.Cluster, At: to.At, Base: newest(s.Bases, func(m *Manifest) bool {
		return (to.Index == 0 || m.Last <= to.Index) && (to.At.IsZero() || !m.LastAt.After(to.At))
	})}
	if p.Base == nil {
		first := s.Bases[0]
		return nil, fmt.Errorf("%w: the oldest base is of index %d, made at %s; nothing before it can be restored",
			ErrGap, first.Last, first.LastAt.Format(time.RFC3339))
	}
	reached := p.Base.Last
	for _, m := range s.Pieces {
		if m.Last <= reached || m.First > reached+1 || to.Index > 0 && reached >= to.Index {
			continue
		}
		p.Pieces = append(p.Pieces, m)
		reached = m.Last
		if !to.At.IsZero() && m.FirstAt.After(to.At) {
			break
		}
	}
	return p, s.fits(p, to, reached)
}

// fits fixes where the plan ends, and refuses one that what is damaged cuts short.
func (s *Set) fits(p *Plan, to Point, reached uint64) error {
	if to.Index > reached {
		return s.because(fmt.Errorf("%w: the backup leads to index %d, not to %d", ErrGap, reached, to.Index))
	}
	for _, m := range s.Pieces {
		if m.First > reached+1 && to.Index == 0 && (to.At.IsZero() || !m.FirstAt.After(to.At)) {
			return s.because(fmt.Errorf("%w: entries %d to %d are missing, those from %d on are there; --index %d restores what is before the gap",
				ErrGap, reached+1, m.First-1, m.First, reached))
		}
	}
	if to.At.IsZero() {
		if p.Index = to.Index; p.Index == 0 {
			p.Index = reached
		}
	}
	for _, m := range append([]*Manifest{p.Base}, p.Pieces...) {
		if object, there := s.listed[m.Object]; !there || object.Bytes != m.Stored.Bytes {
			return s.because(fmt.Errorf("%w: %s is missing or cut", ErrDamaged, m.Object))
		}
	}
	// A damaged manifest may be that of the newest piece, which nothing else tells of.
	if to.Index == 0 && (to.At.IsZero() || !p.end().After(to.At)) {
		for _, fault := range s.Faults {
			return fmt.Errorf("%w; --index %d restores what does not need it", fault, reached)
		}
	}
	return nil
}

// end is the time of the last entry that the plan has at hand.
func (p *Plan) end() time.Time {
	if len(p.Pieces) == 0 {
		return p.Base.LastAt
	}
	return p.Pieces[len(p.Pieces)-1].LastAt
}

// because adds what is damaged to why a plan cannot be carried out.
func (s *Set) because(err error) error { return errors.Join(append([]error{err}, s.Faults...)...) }
