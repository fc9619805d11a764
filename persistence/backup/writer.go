package backup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// Source is the log that is backed up.
type Source interface {
	// Entries calls fn with the applied entries from first on, at most to last. It returns
	// ErrGap where the first one is gone, and otherwise fn's error.
	Entries(first, last uint64, fn func(Entry) error) error
	// Snapshot calls fn with a state that is no older than the call, and the entry it is
	// after, whose Data is nil.
	Snapshot(ctx context.Context, fn func(at Entry, state io.Reader) error) error
}

// Prove rebuilds a Store from a base, checks it, and says what it adds up to.
type Prove func(ctx context.Context, state io.Reader) (Facts, error)

// Writer ships one log to one target. It is one goroutine's.
type Writer struct {
	cfg    WriterConfig
	target Target
	source Source

	opened  bool
	shipped uint64 // the newest index at the target
	hash    logHash
	linked  bool // hash is the log's at shipped
	based   uint64
	basedAt time.Time
	since   int64 // bytes of pieces since the newest base
	// batch is the newest batch that was shipped, and the running hash after it: a Raft
	// snapshot ends at a batch.
	batch     uint64
	batchHash logHash
}

// WriterConfig says who writes, and how much.
type WriterConfig struct {
	Cluster string
	Node    string
	// Fence grows with every writer there ever was of the cluster.
	Fence uint64
	Level func() uint16
	Keys  Keys
	Prove Prove
	// PieceBytes is how much a piece holds at most. Raised: fewer objects, and more memory.
	PieceBytes int
	// BaseBytes and BaseEvery are after how much log, or time, a new base is made. Lowered:
	// a restore reads less, and the target holds more.
	BaseBytes int64
	BaseEvery time.Duration
}

// DefaultWriterConfig returns the sizes of a usual archiver.
func DefaultWriterConfig() WriterConfig {
	return WriterConfig{PieceBytes: 16 << 20, BaseBytes: 1 << 30, BaseEvery: 6 * time.Hour}
}

// NewWriter makes the writer of a target. It touches nothing.
func NewWriter(cfg WriterConfig, target Target, source Source) *Writer {
	return &Writer{cfg: cfg, target: target, source: source}
}

const fencePrefix = "fence-"

func isFence(name string) bool { return strings.HasPrefix(name, fencePrefix) }

// Open takes the target over from whoever wrote to it before, and finds where to go on.
// Errors: ErrForeign, ErrFenced.
func (w *Writer) Open(ctx context.Context) error {
	set, err := Load(ctx, w.target)
	if err != nil {
		return err
	}
	if set.Cluster != "" && set.Cluster != w.cfg.Cluster {
		return fmt.Errorf("%w: it holds backups of cluster %s, this is cluster %s; give another --backup-to", ErrForeign, set.Cluster, w.cfg.Cluster)
	}
	if err := w.claim(ctx); err != nil {
		return err
	}
	w.linked = false
	if m := newest(set.Bases, func(*Manifest) bool { return true }); m != nil {
		w.based, w.basedAt, w.shipped = m.Last, m.LastAt, m.Last
		w.hash, w.linked = parseLogHash(m.After)
	}
	for _, m := range set.Pieces {
		if m.Last >= w.shipped {
			w.shipped = m.Last
			w.hash, w.linked = parseLogHash(m.After)
		}
		if m.First > w.based {
			w.since += m.Held.Bytes
		}
	}
	w.opened = true
	return nil
}

// claim writes this writer's fence, an empty object whose name says all, if no newer one is there.
func (w *Writer) claim(ctx context.Context) error {
	own := fmt.Sprintf("%s%s-%020d", fencePrefix, w.cfg.Cluster, w.cfg.Fence)
	list, err := w.target.List(ctx, fencePrefix)
	if err != nil {
		return err
	}
	there := false
	for _, o := range list {
		switch {
		case o.Name == own:
			there = true
		case !strings.HasPrefix(o.Name, fencePrefix+w.cfg.Cluster+"-"):
			return fmt.Errorf("%w: %s is there; give another --backup-to", ErrForeign, o.Name)
		case cmp.Compare(o.Name, own) > 0:
			return fmt.Errorf("%w: %s is newer than %s", ErrFenced, o.Name, own)
		}
	}
	if there {
		return nil
	}
	err = w.target.Put(ctx, own, strings.NewReader(""))
	if errors.Is(err, ErrExists) {
		return nil
	}
	return err
}

// BaseDue reports whether a base is to be made before anything else is shipped.
func (w *Writer) BaseDue(now time.Time) bool {
	return w.based == 0 || w.since >= w.cfg.BaseBytes || now.Sub(w.basedAt) >= w.cfg.BaseEvery
}

// Shipped is the newest index at the target.
func (w *Writer) Shipped() uint64 { return w.shipped }

// Ship writes the entries up to last that are not at the target yet, in pieces, and gives
// their manifests. Error: ErrGap where the log no longer holds the next one: only a base
// goes on then.
func (w *Writer) Ship(ctx context.Context, last uint64) (made []*Manifest, err error) {
	if err := w.claim(ctx); err != nil {
		return nil, err
	}
	for w.shipped < last {
		m, err := w.piece(ctx, last)
		if err != nil || m == nil {
			return made, err
		}
		made = append(made, m)
	}
	return made, nil
}

var errFull = errors.New("the piece is full")

// piece ships the next entries, as many as fit; nil if there are none.
func (w *Writer) piece(ctx context.Context, last uint64) (*Manifest, error) {
	m := &Manifest{Kind: Piece, First: w.shipped + 1, Level: w.cfg.Level()}
	if w.linked {
		m.Before = w.hash.String()
	}
	hash, batch, batchHash := w.hash, w.batch, w.batchHash
	body := []byte(pieceMagic)
	err := w.source.Entries(m.First, last, func(e Entry) error {
		if len(body) >= w.cfg.PieceBytes {
			return errFull
		}
		if !e.Batch {
			e.Data = nil
		}
		if m.Last == 0 {
			m.FirstTerm, m.FirstAt = e.Term, e.At.UTC()
		}
		m.Last, m.LastTerm, m.LastAt = e.Index, e.Term, e.At.UTC()
		at := len(body)
		body = appendEntry(body, &e)
		hash = hash.next(body[at:])
		if e.Batch {
			batch, batchHash = e.Index, hash
		}
		return ctx.Err()
	})
	if err != nil && !errors.Is(err, errFull) || m.Last == 0 {
		return nil, err
	}
	m.After = hash.String()
	var object bytes.Buffer
	m.Stored, m.Held, err = w.cfg.Keys.seal(&object, func(to io.Writer) error {
		_, err := to.Write(body)
		return err
	})
	if err == nil {
		err = w.put(ctx, m, &object)
	}
	if err != nil {
		return nil, err
	}
	w.shipped, w.hash, w.linked, w.batch, w.batchHash = m.Last, hash, true, batch, batchHash
	w.since += m.Held.Bytes
	return m, nil
}

// put writes an object that is sealed, reads it back, and writes its manifest.
func (w *Writer) put(ctx context.Context, m *Manifest, object io.Reader) error {
	w.sign(m)
	if err := w.target.Put(ctx, m.Object, object); err != nil {
		return fmt.Errorf("write %s: %w", m.Object, err)
	}
	if err := w.readBack(ctx, m); err != nil {
		return err
	}
	return w.publish(ctx, m)
}

func (w *Writer) sign(m *Manifest) {
	m.Version, m.Cluster, m.Node, m.Fence = formatVersion, w.cfg.Cluster, w.cfg.Node, w.cfg.Fence
	m.Encrypted = len(w.cfg.Keys.Recipients) > 0
	m.Object = m.stem() + "-" + strings.ToLower(rand.Text()[:8]) + objectSuffix
}

// readBack reads what is at the target now, and holds it against what was written. What is
// encrypted for somebody else is not decrypted.
func (w *Writer) readBack(ctx context.Context, m *Manifest) error {
	r, err := w.target.Open(ctx, m.Object)
	if err != nil {
		return fmt.Errorf("read back %s: %w", m.Object, err)
	}
	there := newCounted()
	_, err = io.Copy(there, r)
	if err = errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("read back %s: %w", m.Object, err)
	}
	if got := there.extent(); got != m.Stored {
		return fmt.Errorf("%w: %s reads back as %d bytes with the hash %.12s, written were %d with %.12s: the target lies about what it stores",
			ErrDamaged, m.Object, got.Bytes, got.SHA256, m.Stored.Bytes, m.Stored.SHA256)
	}
	return nil
}

// publish writes the manifest and reads it back.
func (w *Writer) publish(ctx context.Context, m *Manifest) error {
	sealed, err := m.encode()
	if err != nil {
		return err
	}
	if err := w.target.Put(ctx, m.name(), bytes.NewReader(sealed)); err != nil && !errors.Is(err, ErrExists) {
		return fmt.Errorf("write %s: %w", m.name(), err)
	}
	there, err := readManifest(ctx, w.target, m.name())
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	if there.SHA256 != m.SHA256 {
		return fmt.Errorf("%w: %s was written by %s meanwhile", ErrFenced, m.name(), there.Node)
	}
	return nil
}

// Base writes a base of what the log holds now, and the pieces before it. What it holds is
// proven: the Store is rebuilt from what is sent, while it is sent, and the object is read back.
func (w *Writer) Base(ctx context.Context) (made *Manifest, err error) {
	if err := w.claim(ctx); err != nil {
		return nil, err
	}
	err = w.source.Snapshot(ctx, func(at Entry, state io.Reader) error {
		m := &Manifest{
			Kind: Base, First: at.Index, Last: at.Index, FirstTerm: at.Term, LastTerm: at.Term,
			FirstAt: at.At.UTC(), LastAt: at.At.UTC(), Level: w.cfg.Level(),
		}
		if w.based == m.Last {
			return w.again(ctx, m, &made)
		}
		if err := w.lead(ctx, m); err != nil {
			return err
		}
		if err := w.sendBase(ctx, m, state); err != nil {
			return err
		}
		made = m
		return nil
	})
	if err != nil {
		return nil, err
	}
	w.based, w.basedAt, w.since = made.Last, time.Now(), 0
	if made.Last > w.shipped {
		w.shipped, w.linked, w.hash = made.Last, false, logHash{}
		w.hash, w.linked = parseLogHash(made.After)
	}
	return made, nil
}

// again reads the base back that is there already.
func (w *Writer) again(ctx context.Context, m *Manifest, made **Manifest) error {
	m.Cluster = w.cfg.Cluster
	there, err := readManifest(ctx, w.target, m.name())
	if err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	*made = there
	return w.readBack(ctx, there)
}

// lead ships the log up to a base, so that the running hash there is known. A log that no
// longer holds it begins anew with the base.
func (w *Writer) lead(ctx context.Context, m *Manifest) error {
	if w.based > 0 {
		if _, err := w.Ship(ctx, m.Last); err != nil && !errors.Is(err, ErrGap) {
			return err
		}
	}
	switch {
	case w.shipped == m.Last && w.linked:
		m.After = w.hash.String()
	case w.batch == m.Last && w.batch > 0:
		m.After = w.batchHash.String()
	}
	return nil
}

// errSending is what a proof sees of a base that is not sent to its end.
var errSending = errors.New("the base was not sent")

// sendBase streams a state to the target and proves the very bytes that were sent.
func (w *Writer) sendBase(ctx context.Context, m *Manifest, state io.Reader) error {
	proof, proving := io.Pipe()
	type proven struct {
		facts Facts
		err   error
	}
	done := make(chan proven, 1)
	go func() {
		facts, err := w.cfg.Prove(ctx, proof)
		_ = proof.CloseWithError(cmp.Or(err, io.ErrClosedPipe)) // it reads nothing more
		done <- proven{facts, err}
	}()
	w.sign(m)
	object, sealing := io.Pipe()
	sealed := make(chan error, 1)
	go func() {
		var err error
		m.Stored, m.Held, err = w.cfg.Keys.seal(sealing, func(to io.Writer) error {
			_, err := io.Copy(io.MultiWriter(to, proving), state)
			return err
		})
		if err == nil {
			_ = proving.Close()
		} else {
			_ = proving.CloseWithError(fmt.Errorf("%w: %w", errSending, err))
		}
		_ = sealing.CloseWithError(err)
		sealed <- err
	}()
	err := w.target.Put(ctx, m.Object, object)
	_ = object.CloseWithError(cmp.Or(err, io.ErrClosedPipe)) // nobody reads it any more
	sealErr := <-sealed
	result := <-done
	if result.err != nil && !errors.Is(result.err, errSending) {
		return fmt.Errorf("the base of index %d cannot be rebuilt: %w", m.Last, result.err)
	}
	if err = errors.Join(err, sealErr); err != nil {
		return fmt.Errorf("write %s: %w", m.Object, err)
	}
	m.Facts = &result.facts
	if err := w.readBack(ctx, m); err != nil {
		return err
	}
	return w.publish(ctx, m)
}
