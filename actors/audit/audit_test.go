package audit_test

import (
	"crypto/ed25519"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/audit"
	"github.com/the-block/bursar/actors/audit/receipt"
	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// world is an audit of a Store, and the log that fills it.
type world struct {
	*testing.T
	audit *audit.Audit
	log   *persistencetest.Log
	store *persistence.Store
}

func newWorld(t *testing.T) *world {
	cfg := persistence.DefaultStoreConfig()
	cfg.Audited = audit.Keys()
	store, err := persistence.Open(t.TempDir(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	key, err := audit.OpenKey(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	a := audit.New(audit.Config{
		Node: "n1", Key: key, Cluster: func() string { return "abc" },
		Concerns: func(call *messages.AuditRow, id messages.DisbursementID) bool { return call.Detail == fmt.Sprint(id) },
		Before: func(messages.Page) (*messages.AuditResult, *messages.Error) {
			return &messages.AuditResult{Rows: []messages.AuditRow{{ID: 77}}}, nil
		},
	}, store)
	return &world{t, a, persistencetest.NewLog(persistence.NewFSM(store)), store}
}

func (w *world) commit(txns ...*persistence.Txn) {
	w.Helper()
	results, err := w.log.Commit(txns...)
	if err != nil {
		w.Fatal(err)
	}
	for i, r := range results {
		if r.Status != persistence.Committed {
			w.Fatalf("transaction %d: %+v", i, r)
		}
	}
}

func (w *world) raise() { w.commit(&persistence.Txn{Level: persistence.LevelAudit}) }

// ask pages through admin.audit.
func (w *world) ask(p messages.AuditParams) (list []messages.AuditRow) {
	w.Helper()
	for {
		page, refusal := w.audit.Rows(&p)
		if refusal != nil {
			w.Fatal(refusal)
		}
		list = append(list, page.Rows...)
		if page.NextCursor == 0 {
			return list
		}
		p.Cursor = page.NextCursor
	}
}

var casts uint64

// payment writes disbursement id anew, with a vote if it is the seventh, and as a signed call if so.
func payment(id messages.DisbursementID, signed bool) *persistence.Txn {
	r := disbursement.New(messages.Payload{Disbursement: messages.Disbursement{Destination: "tb1alice", Amount: 5, ScheduledEpoch: 1}}, nil, disbursement.Facts{Node: "n1", Now: 99})
	txn := &persistence.Txn{Writes: []persistence.Write{{Key: rows.RecordKey(id), Tag: 1, Value: disbursement.AppendRecord(nil, &r), Slots: rows.IndexSlot}}}
	if id == 7 {
		cast := disbursement.Cast{Vote: disbursement.Vote{House: messages.Operators, Voter: "bob"}}
		casts++
		txn.Writes = append(txn.Writes, persistence.Write{Key: rows.CastKey(id, casts), Value: disbursement.AppendCast(nil, &cast)})
	}
	if signed {
		call := messages.AuditRow{Who: "ann", What: "call", Path: "a.method", Detail: fmt.Sprint(id)}
		b, err := messages.AppendResult(make([]byte, 8), &call)
		if err != nil {
			panic(err)
		}
		txn.Notes = []persistence.Append{{Table: authority.TableCalls, Tag: 1, Value: b}}
	}
	return txn
}

var all = messages.Page{Limit: messages.LimitMax}

// TestRowsOfOnePayment: its leaves lie apart in a large tree, each of its calls behind it,
// and pages of them hold, proven or not, in spite of the Store's bound for one look.
func TestRowsOfOnePayment(t *testing.T) {
	w := newWorld(t)
	w.raise()
	const writes, apart = 200, 300
	var others []*persistence.Txn
	for i := range apart {
		others = append(others, payment(messages.DisbursementID(1000+i), false))
	}
	calls := 0
	for i := range writes {
		w.commit(append([]*persistence.Txn{payment(8, true), payment(7, i%3 == 0)}, others...)...)
		if i%3 == 0 {
			calls++
		}
	}
	newest := uint64(0)
	err := w.store.View(func(v *persistence.View) error { newest = v.LeafOf(rows.RecordKey(7)); return nil })
	if err != nil {
		t.Fatal(err)
	}
	for _, leaves := range []bool{false, true} {
		got := w.ask(messages.AuditParams{Page: all, ID: 7, Leaves: leaves})
		if len(got) != 2*writes+calls {
			t.Fatalf("%d rows, want %d and as many votes and %d calls", len(got), writes, calls)
		}
		for i, row := range got {
			if row.Path != "disbursement/7" && (row.Path != "a.method" || row.Detail != "7" || got[i+2].Index != row.Index) {
				t.Fatalf("row %d of it: %+v", i, row)
			}
		}
		// Only the newest of the record is there in full; calls are never written anew.
		for i, row := range got {
			if kept := row.Leaf != nil; leaves && kept != (row.What == "call" || row.What == "vote" || row.ID == newest) {
				t.Fatalf("row %d of it: %+v", i, row)
			}
		}
	}
}

// TestEveryRowOfALargeAuditIsListedAndProven: all pages, both ways, each proof.
func TestEveryRowOfALargeAuditIsListedAndProven(t *testing.T) {
	w := newWorld(t)
	w.raise()
	for range 5 {
		var txns []*persistence.Txn
		for i := range 300 {
			txns = append(txns, payment(messages.DisbursementID(i+1000), false))
		}
		w.commit(txns...)
	}
	checkpoint, refusal := w.audit.Checkpoint(&messages.CheckpointParams{})
	if refusal != nil {
		t.Fatal(refusal)
	}
	note, err := receipt.OpenCheckpoint(checkpoint.Note, []string{checkpoint.Key})
	if err != nil || note.Origin != "bursar/abc" || note.Size != 1500 || string(note.Root[:]) != string(checkpoint.Root) {
		t.Fatalf("%+v, %v", note, err)
	}
	newest := w.ask(messages.AuditParams{Page: all})
	oldest := w.ask(messages.AuditParams{Page: all, Order: messages.OldestFirst, Leaves: true, ProofFor: note.Size})
	if len(newest) != 1500 || len(oldest) != 1500 {
		t.Fatalf("%d and %d rows", len(newest), len(oldest))
	}
	for i := range oldest {
		if oldest[i].ID != uint64(i+1) || newest[1499-i].ID != uint64(i+1) {
			t.Fatalf("row %d is %d and %d", i, oldest[i].ID, newest[1499-i].ID)
		}
		r := receipt.Receipt{Format: receipt.Format, Disbursement: uint64(i%300 + 1000), Note: checkpoint.Note}
		row := receipt.Row{Number: oldest[i].ID, LeafHash: oldest[i].LeafHash, Leaf: oldest[i].Leaf}
		for _, h := range oldest[i].Proof {
			row.Proof = append(row.Proof, h)
		}
		r.Rows = append(r.Rows, row)
		_, err := r.Check([]string{checkpoint.Key})
		if whole := i >= 1200; whole && err != nil || !whole && (err == nil || !strings.Contains(err.Error(), "has no row of disbursement")) {
			t.Fatalf("row %d: %v", i, err)
		}
	}
}

// TestWhatBecameOfARow: one that was dropped leaves its hash, an accrual is told, and what was
// there before the tree is its beginning.
func TestWhatBecameOfARow(t *testing.T) {
	w := newWorld(t)
	key := persistence.RecordKey(operations.TableAudit, 1)
	w.commit(payment(1, false))
	if got := w.ask(messages.AuditParams{Page: all}); len(got) != 1 || got[0].ID != 77 {
		t.Errorf("before the tree: %+v", got)
	}
	if _, refusal := w.audit.Checkpoint(&messages.CheckpointParams{}); refusal == nil || refusal.Code != messages.CodeUnavailable {
		t.Errorf("a checkpoint before the tree: %v", refusal)
	}
	w.raise()
	adds := rows.AccrualAdds(500)
	w.commit(&persistence.Txn{Adds: adds[:], StampedAt: 3_000, Writes: []persistence.Write{{Key: key, Value: []byte("a row")}}})
	w.commit(&persistence.Txn{Deletes: []persistence.Key{key}})
	var got []string
	for _, row := range w.ask(messages.AuditParams{Page: all, Order: messages.OldestFirst, Leaves: true}) {
		got = append(got, fmt.Sprintf("%s %s %s %t", row.What, row.Path, row.Detail, row.Leaf != nil))
	}
	want := []string{"change disbursement/1 5 to tb1alice true", "dropped 6f0000000000000001  false", "accrual treasury +500, then 500 true"}
	if len(got) != len(want) {
		t.Fatalf("%q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d is %q, want %q", i+1, got[i], want[i])
		}
	}
	if some := w.ask(messages.AuditParams{Page: all, Path: "disbursement/"}); len(some) != 1 || some[0].ID != 1 {
		t.Errorf("by path: %+v", some)
	}
}

// TestTheKeyOfANode is made once, readable by nobody else, and not replaced where it is damaged.
func TestTheKeyOfANode(t *testing.T) {
	dir := t.TempDir()
	first, err := audit.OpenKey(dir)
	if err != nil {
		t.Fatal(err)
	}
	again, err := audit.OpenKey(dir)
	if err != nil || !first.Equal(again) {
		t.Errorf("the second time: %v", err)
	}
	path := filepath.Join(dir, "checkpoint.key")
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := audit.OpenKey(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
		t.Errorf("a damaged key: %v", err)
	}
	if len(first) != ed25519.PrivateKeySize {
		t.Errorf("a key of %d bytes", len(first))
	}
}
