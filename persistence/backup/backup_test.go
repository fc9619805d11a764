package backup_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/persistence/backup"
)

// Whatever is shipped in which order, each index from the first base on is restored to the
// very Store that was there.
func TestEveryIndexIsRestoredAsItWas(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorld(t)
		w.write(3)
		w.open(1)
		first := w.base().Last
		fence := uint64(1)
		for range rapid.IntRange(1, 8).Draw(r, "steps") {
			w.write(rapid.IntRange(1, 6).Draw(r, "entries"))
			switch rapid.IntRange(0, 3).Draw(r, "step") {
			case 0:
				w.base()
			case 1:
				fence++
				w.open(fence) // another node goes on
				w.ship()
			default:
				w.ship()
			}
		}
		w.ship()
		last := uint64(len(w.entries))
		for index := first; index <= last; index++ {
			got, err := w.restore(backup.Point{Index: index})
			if err != nil {
				r.Fatalf("index %d: %v", index, err)
			}
			if got.Index != index || got.Facts.Digest != w.digests[index] {
				r.Fatalf("index %d is restored as %d with digest %.8s, want %.8s", index, got.Index, got.Facts.Digest, w.digests[index])
			}
		}
		got, err := w.verify()
		if err != nil || got.Index != last || got.Facts.Digest != w.digests[last] {
			r.Fatalf("verify gave %+v, %v; want index %d", got, err, last)
		}
		if got, err := w.restore(backup.Point{}); err != nil || got.Index != last {
			r.Fatalf("the newest point is %+v, %v; want index %d", got, err, last)
		}
	})
}

// small is a backup of two bases and two pieces.
func small(t testing.TB) *world {
	w := newWorld(t)
	w.write(3)
	w.open(1)
	w.base()
	w.write(3)
	w.ship()
	w.write(2)
	w.base()
	return w
}

func TestEachFlippedByteIsNoticed(t *testing.T) {
	w := small(t)
	if _, err := w.verify(); err != nil {
		t.Fatal(err)
	}
	for _, name := range w.names() {
		whole := w.bytes(name)
		for i := range whole {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 0x20
			w.replace(name, flipped)
			_, err := w.verify()
			if err == nil {
				t.Fatalf("byte %d of %s is flipped, and nothing noticed", i, name)
			}
			if stem := strings.TrimSuffix(strings.TrimSuffix(name, ".zst"), ".json"); !strings.Contains(err.Error(), stem) {
				t.Fatalf("byte %d of %s is flipped, and the error does not name it: %v", i, name, err)
			}
		}
		w.replace(name, whole)
	}
}

func TestEachCutOrGrownObjectIsNoticed(t *testing.T) {
	w := small(t)
	for _, name := range w.names() {
		whole := w.bytes(name)
		if len(whole) == 0 {
			continue // a fence says all by its name
		}
		for _, other := range [][]byte{whole[:len(whole)-1], append(bytes.Clone(whole), 0), {}} {
			w.replace(name, other)
			if _, err := w.verify(); err == nil {
				t.Errorf("%s has %d of %d bytes, and nothing noticed", name, len(other), len(whole))
			}
		}
		w.replace(name, whole)
	}
}

// Of a piece or a base, the object may be lost, or its manifest, or both.
func TestWhatIsMissingIsNamed(t *testing.T) {
	w := small(t)
	for _, name := range w.names() {
		if strings.HasPrefix(name, "fence-") {
			continue
		}
		whole := w.bytes(name)
		if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
			t.Fatal(err)
		}
		set := w.load()
		_, verifyErr := w.verify()
		_, err := w.restore(backup.Point{Index: 6})
		oldBase := strings.HasSuffix(name, ".json") && strings.HasPrefix(name, "base-") && set.Bases[0].Last > 3
		switch {
		case strings.HasSuffix(name, ".zst") && verifyErr == nil:
			t.Errorf("%s is missing, and nothing noticed", name)
		case oldBase && !errors.Is(err, backup.ErrGap):
			t.Errorf("%s is missing, and index 6 is restored: %v", name, err)
		}
		w.replace(name, whole)
	}
}

func TestAMissingPieceInBetweenIsAGap(t *testing.T) {
	w := newWorld(t)
	w.write(3)
	w.open(1)
	w.base()
	for range 3 {
		w.write(2)
		w.ship()
	}
	for _, name := range w.names() {
		if strings.HasPrefix(name, "piece-alpha-00000000000000000006") {
			if err := os.Remove(filepath.Join(w.dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, err := w.restore(backup.Point{Index: 5}); err != nil || got.Index != 5 {
		t.Errorf("what is before the gap gives %+v, %v", got, err)
	}
	for _, point := range []backup.Point{{}, {Index: 7}, {Index: 9}, {At: begin.Add(time.Hour)}} {
		if _, err := w.restore(point); !errors.Is(err, backup.ErrGap) {
			t.Errorf("restoring %+v gave %v, want %v", point, err, backup.ErrGap)
		}
	}
	if _, err := w.verify(); !errors.Is(err, backup.ErrGap) {
		t.Errorf("verify gave %v, want %v", err, backup.ErrGap)
	}
}

func TestObjectsThatChangedPlacesAreNoticed(t *testing.T) {
	w := newWorld(t)
	w.write(3)
	w.open(1)
	w.base()
	w.write(2)
	w.ship()
	w.write(2)
	w.ship()
	names := w.names()
	for _, a := range names {
		for _, b := range names {
			if a >= b || filepath.Ext(a) != filepath.Ext(b) || strings.HasPrefix(a, "fence-") || strings.HasPrefix(b, "fence-") {
				continue
			}
			was, other := w.bytes(a), w.bytes(b)
			w.replace(a, other)
			w.replace(b, was)
			if _, err := w.verify(); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("%s and %s changed places: %v", a, b, err)
			}
			w.replace(a, was)
			w.replace(b, other)
		}
	}
}

func TestAnotherClustersObjectsAreRefused(t *testing.T) {
	w := small(t)
	cfg := backup.DefaultWriterConfig()
	cfg.Cluster, cfg.Fence, cfg.Level = "beta", 9, func() uint16 { return 1 }
	if err := backup.NewWriter(cfg, w.target, w).Open(t.Context()); !errors.Is(err, backup.ErrForeign) {
		t.Errorf("a writer of another cluster opens the target: %v", err)
	}
	w.replace("holiday.jpg", []byte("sun"))
	if _, err := w.restore(backup.Point{}); !errors.Is(err, backup.ErrForeign) || !strings.Contains(err.Error(), "holiday.jpg") {
		t.Errorf("with a stranger's file the restore says %v", err)
	}
}

func TestAWriterStopsWhenAnotherCame(t *testing.T) {
	w := small(t)
	first := w.writer
	w.write(2)
	w.open(2)
	if _, err := first.Ship(t.Context(), uint64(len(w.entries))); !errors.Is(err, backup.ErrFenced) {
		t.Errorf("the writer of before ships: %v", err)
	}
	if _, err := first.Base(t.Context()); !errors.Is(err, backup.ErrFenced) {
		t.Errorf("the writer of before makes a base: %v", err)
	}
	w.ship()
	if _, err := w.verify(); err != nil {
		t.Error(err)
	}
}

// Two writers that do not see each other's fence ship the same committed entries.
func TestTwoWritersAtOnceDoNoHarm(t *testing.T) {
	w := small(t)
	w.write(4)
	one := w.writer
	two := w.open(1) // the same fence: nothing keeps them apart
	if _, err := one.Ship(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	if _, err := two.Ship(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Ship(t.Context(), 12); err != nil {
		t.Fatal(err)
	}
	if got, err := w.verify(); err != nil || got.Index != 12 {
		t.Errorf("verify gave %+v, %v", got, err)
	}
	if got, err := w.restore(backup.Point{Index: 11}); err != nil || got.Facts.Digest != w.digests[11] {
		t.Errorf("restore gave %+v, %v", got, err)
	}
}

// lying stores something else than it was given, and says that all is well.
type lying struct {
	backup.Dir
	lie func(name string, b []byte) []byte
}

func (l lying) Put(ctx context.Context, name string, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	return l.Dir.Put(ctx, name, bytes.NewReader(l.lie(name, b)))
}

func TestATargetThatLiesIsFoundOut(t *testing.T) {
	flip := func(b []byte) []byte {
		b = bytes.Clone(b)
		b[len(b)/2] ^= 1
		return b
	}
	for name, lie := range map[string]func(string, []byte) []byte{
		"an object is flipped": func(name string, b []byte) []byte {
			if strings.HasSuffix(name, ".zst") {
				return flip(b)
			}
			return b
		},
		"an object is cut": func(name string, b []byte) []byte {
			if strings.HasSuffix(name, ".zst") {
				return b[:len(b)/2]
			}
			return b
		},
		"a manifest is flipped": func(name string, b []byte) []byte {
			if strings.HasSuffix(name, ".json") {
				return flip(b)
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.write(3)
			w.target = lying{backup.Dir(w.dir), lie}
			w.open(1)
			if m, err := w.writer.Base(t.Context()); !errors.Is(err, backup.ErrDamaged) {
				t.Errorf("the base is taken for good: %+v, %v", m, err)
			}
			if got := w.writer.Shipped(); got != 0 {
				t.Errorf("shipped up to %d", got)
			}
		})
	}
}

func TestALogThatWasCutGoesOnWithABase(t *testing.T) {
	w := small(t)
	w.write(6)
	w.cut = 11
	if _, err := w.writer.Ship(t.Context(), 14); !errors.Is(err, backup.ErrGap) {
		t.Fatalf("ship gave %v", err)
	}
	w.base()
	w.write(2)
	w.ship()
	set := w.load()
	if want := []backup.Gap{{After: 8, Before: 15}}; !slices.Equal(set.Gaps, want) {
		t.Errorf("gaps = %v, want %v", set.Gaps, want)
	}
	if got, err := w.restore(backup.Point{}); err != nil || got.Index != 16 || got.Facts.Digest != w.digests[16] {
		t.Errorf("the newest point is %+v, %v", got, err)
	}
	if _, err := w.restore(backup.Point{Index: 12}); !errors.Is(err, backup.ErrGap) {
		t.Errorf("an index within the gap: %v", err)
	}
	if _, err := w.verify(); err != nil {
		t.Error(err)
	}
}

// A clock that jumps ahead ends a restore early, never late.
func TestATimeEndsBeforeTheFirstLaterEntry(t *testing.T) {
	w := newWorld(t)
	w.write(3)
	w.open(1)
	w.base()
	w.write(5)
	w.entries[5].At = begin.Add(time.Hour) // index 6, and back again
	w.ship()
	for _, c := range []struct {
		at   time.Duration
		want uint64
	}{{4 * time.Second, 4}, {4*time.Second + time.Millisecond, 4}, {5 * time.Second, 5}, {8 * time.Second, 5}, {2 * time.Hour, 8}} {
		got, err := w.restore(backup.Point{At: begin.Add(c.at)})
		if err != nil || got.Index != c.want || got.Facts.Digest != w.digests[c.want] {
			t.Errorf("at %s: %+v, %v; want index %d", c.at, got, err, c.want)
		}
	}
	if _, err := w.restore(backup.Point{At: begin}); !errors.Is(err, backup.ErrGap) {
		t.Errorf("before the first base: %v", err)
	}
}

func TestOnlyTheKeyOpensWhatIsEncrypted(t *testing.T) {
	own, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	w.write(3)
	if err := w.keys.ParseRecipient(own.Recipient().String()); err != nil {
		t.Fatal(err)
	}
	w.open(1)
	w.base()
	w.write(3)
	w.ship()
	if _, err := w.restore(backup.Point{}); !errors.Is(err, backup.ErrKey) {
		t.Errorf("without a key: %v", err)
	}
	w.keys.Identities = []age.Identity{other}
	if _, err := w.restore(backup.Point{}); !errors.Is(err, backup.ErrKey) {
		t.Errorf("with another key: %v", err)
	}
	if err := w.keys.ReadIdentities(strings.NewReader("# mine\n" + own.String() + "\n")); err != nil {
		t.Fatal(err)
	}
	if got, err := w.restore(backup.Point{}); err != nil || got.Facts.Digest != w.digests[6] {
		t.Errorf("with the key: %+v, %v", got, err)
	}
	for _, name := range w.names() {
		if !strings.HasSuffix(name, ".zst") {
			continue
		}
		whole := w.bytes(name)
		for i := range whole {
			flipped := bytes.Clone(whole)
			flipped[i] ^= 1
			w.replace(name, flipped)
			if _, err := w.verify(); err == nil {
				t.Fatalf("byte %d of %s is flipped, and nothing noticed", i, name)
			}
		}
		w.replace(name, whole)
	}
}

// What is kept is enough for every moment of the last 48 hours, and older points thin out.
func TestPruningKeepsWhatKeptPointsNeed(t *testing.T) {
	w := newWorld(t)
	w.write(3)
	w.open(1)
	w.base()
	var last time.Time
	for day := range 190 {
		for hour := 0; hour < 24; hour += 16 {
			w.write(1)
			e := &w.entries[len(w.entries)-1]
			last = begin.AddDate(0, 0, day).Add(time.Duration(hour) * time.Hour)
			e.At = last
			if e.Batch {
				w.base()
			} else {
				w.ship()
			}
		}
	}
	now := last.Add(time.Minute)
	retention := backup.DefaultRetention()
	if _, err := backup.Prune(t.Context(), w.target, retention.Superfluous(w.load(), now)); err != nil {
		t.Fatal(err)
	}
	set := w.load()
	if len(set.Faults) > 0 {
		t.Fatalf("pruning leaves %v", set.Faults)
	}
	for i := range w.entries {
		if e := &w.entries[i]; now.Sub(e.At) <= 48*time.Hour {
			if got, err := w.restore(backup.Point{Index: e.Index}); err != nil || got.Facts.Digest != w.digests[e.Index] {
				t.Errorf("index %d of %s ago: %+v, %v", e.Index, now.Sub(e.At), got, err)
			}
		}
	}
	days := make(map[time.Time]int)
	for _, b := range set.Bases {
		if age := now.Sub(b.LastAt); age > retention.Daily {
			t.Errorf("a base of %s ago is kept", age)
		} else if age > retention.Hourly {
			days[b.LastAt.Truncate(24*time.Hour)]++
		}
	}
	for day, n := range days {
		if n != 1 {
			t.Errorf("%d bases of %s are kept", n, day)
		}
	}
	if len(days) < 100 {
		t.Errorf("%d old days are kept", len(days))
	}
	if again := retention.Superfluous(set, now); len(again) > 0 {
		t.Errorf("pruned again it removes %v", again)
	}
	if _, err := w.verify(); err != nil {
		t.Errorf("what is kept does not hold: %v", err)
	}
}

func TestNothingIsPrunedWhileAnythingIsDamaged(t *testing.T) {
	w := small(t)
	name := w.load().Bases[0].Object
	w.replace(name, nil)
	if got := backup.DefaultRetention().Superfluous(w.load(), begin.AddDate(5, 0, 0)); got != nil {
		t.Errorf("removes %v", got)
	}
}

// A writer that ends between an object and its manifest leaves what nobody counts.
func TestWhatWasNotFinishedIsLeftOutAndRemovedLater(t *testing.T) {
	w := small(t)
	stray := "piece-alpha-00000000000000000009-00000000000000000010-abcdefgh.zst"
	w.replace(stray, []byte("half"))
	if _, err := w.verify(); err != nil {
		t.Fatal(err)
	}
	set := w.load()
	if got := backup.DefaultRetention().Superfluous(set, time.Now()); slices.Contains(got, stray) {
		t.Error("it is removed while it may still be written")
	}
	if got := backup.DefaultRetention().Superfluous(set, time.Now().Add(7*time.Hour)); !slices.Contains(got, stray) {
		t.Error("it is never removed")
	}
}

func TestATargetIsNeverWrittenOver(t *testing.T) {
	d := backup.Dir(filepath.Join(t.TempDir(), "new"))
	if err := d.Put(t.Context(), "a", strings.NewReader("one")); err != nil {
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "a", strings.NewReader("two")); !errors.Is(err, backup.ErrExists) {
		t.Errorf("err = %v", err)
	}
	broken := io.MultiReader(strings.NewReader("half"), iotest{})
	if err := d.Put(t.Context(), "b", broken); err == nil {
		t.Error("half an object is put")
	}
	list, err := d.List(t.Context(), "")
	if err != nil || len(list) != 1 || list[0].Name != "a" || list[0].Bytes != 3 {
		t.Errorf("list = %v, %v", list, err)
	}
	if _, err := d.Open(t.Context(), "b"); !errors.Is(err, backup.ErrMissing) {
		t.Errorf("open gave %v", err)
	}
}

type iotest struct{}

func (iotest) Read([]byte) (int, error) { return 0, errors.New("the source failed") }
