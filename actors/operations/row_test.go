package operations_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/supervision"
	"github.com/the-block/bursar/supervision/breaker"
)

var someForce = supervision.Force{
	Path: "/treasury/executor", State: breaker.ForcedOpen, By: "ada", At: time.UnixMilli(0x0102030405),
}

// The bytes are what stands in Raft snapshots: they stay readable for ever.
func TestRowsAreTheseBytes(t *testing.T) {
	row := operations.NewRow(1, someForce, "n1", "x")
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"audit": {row.Encode(), "01 0000000102030405 03 616461 02 6e31 12 2f74726561737572792f6578656375746f72 01 78"},
		"force": {operations.EncodeForce(someForce), "01 0000000102030405 03 616461"},
	} {
		if got := hex.EncodeToString(c.got); got != strings.ReplaceAll(c.want, " ", "") {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestRowsSurviveTheirBytes(t *testing.T) {
	row := operations.NewRow(4, someForce, "n1", "panic, 5 times")
	got, err := operations.DecodeRow(4, row.Encode())
	if diff := cmp.Diff(got, row, cmp.AllowUnexported(operations.Row{})); diff != "" || err != nil {
		t.Errorf("%v, got -, want +\n%s", err, diff)
	}
	force, err := operations.DecodeForce(operations.ForceKey(someForce.Path), 1, operations.EncodeForce(someForce))
	if diff := cmp.Diff(force, someForce); diff != "" || err != nil {
		t.Errorf("%v, got -, want +\n%s", err, diff)
	}
}

func TestTextsThatAreTooLongAreCut(t *testing.T) {
	long := someForce
	long.By = strings.Repeat("a", 300)
	row := operations.NewRow(1, long, "n1", "")
	got, err := operations.DecodeRow(1, row.Encode())
	long.By = long.By[:255]
	want := operations.NewRow(1, long, "n1", "")
	if diff := cmp.Diff(got, want, cmp.AllowUnexported(operations.Row{})); diff != "" || err != nil {
		t.Errorf("%v, got -, want +\n%s", err, diff)
	}
}

func TestAForceOfAnotherActionIsDamage(t *testing.T) {
	for _, tag := range []byte{0, 3, 4, 5} {
		if f, err := operations.DecodeForce(operations.ForceKey("/a"), tag, operations.EncodeForce(someForce)); err == nil {
			t.Errorf("tag %d: %+v, want an error", tag, f)
		}
	}
}

// FuzzRows: whatever the bytes, they are refused or they are what encoding gives.
func FuzzRows(f *testing.F) {
	row := operations.NewRow(1, someForce, "n1", "x")
	for _, b := range [][]byte{nil, {1}, row.Encode(), append(row.Encode(), 0), row.Encode()[:20], operations.EncodeForce(someForce)} {
		f.Add(byte(1), b)
	}
	f.Fuzz(func(t *testing.T, tag byte, b []byte) {
		if r, err := operations.DecodeRow(tag, b); err == nil && !bytes.Equal(r.Encode(), b) {
			t.Errorf("read as %+v, written as %x", r, r.Encode())
		}
		key := persistence.NameKey(operations.TableForces, "/a")
		if force, err := operations.DecodeForce(key, tag, b); err == nil && !bytes.Equal(operations.EncodeForce(force), b) {
			t.Errorf("read as %+v, written as %x", force, operations.EncodeForce(force))
		}
	})
}
