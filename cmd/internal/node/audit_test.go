package node_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/the-block/bursar/actors/audit/receipt"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// bytesThatCame are bytes that came.
func bytesThatCame(c caller, v any) []byte {
	if _, isWeb := c.(*web); isWeb {
		b, _ := hex.DecodeString(v.(string))
		return b
	}
	return []byte(v.(string))
}

func binaries(c caller, v any) (list []receipt.Hex) {
	for _, b := range v.([]any) {
		list = append(list, bytesThatCame(c, b))
	}
	return list
}

// receiptOf makes a receipt of what admin.audit answers.
func receiptOf(c caller, id int64, answer object) *receipt.Receipt {
	r := &receipt.Receipt{Format: receipt.Format, Disbursement: uint64(id), Note: answer["note"].(string), Key: answer["key"].(string)}
	for _, v := range answer["rows"].([]any) {
		row := v.(object)
		kept := receipt.Row{Number: uint64(integer(row["id"])), LeafHash: bytesThatCame(c, row["leaf_hash"]), Proof: binaries(c, row["proof"])}
		if row["leaf"] != nil {
			kept.Leaf = bytesThatCame(c, row["leaf"])
		}
		r.Rows = append(r.Rows, kept)
	}
	return r
}

func awaitAudit(t *testing.T, c caller) {
	t.Helper()
	eventually(t, "the log is audited", func() bool {
		return integer(must(t, c, "cluster.status", object{})["feature_level"]) >= int64(persistence.LevelAudit)
	})
}

// TestTheAuditProvesAVote: over both wires the audit gives a payment with the signed vote, a
// proof of each that holds, and goes on where it was after a restart, with the same key.
func TestTheAuditProvesAVote(t *testing.T) {
	connect := map[string]func(*member) caller{
		"msgpack": func(m *member) caller { return dial(t, m) },
		"json":    func(m *member) caller { return &web{m} },
	}
	for name, connect := range connect {
		t.Run(name, func(t *testing.T) {
			m := start(t)
			first := proveAVote(t, connect(m))
			if err := m.stop(); err != nil {
				t.Fatal(err)
			}
			c := connect(restart(t, m.cfg))
			advance(t, c)
			submit(t, c, direct(1))
			old, err := receipt.OpenCheckpoint(first["note"].(string), []string{first["key"].(string)})
			if err != nil {
				t.Fatal(err)
			}
			answer := must(t, c, "admin.audit", object{"since": old.Size, "limit": 1})
			if answer["key"] != first["key"] {
				t.Errorf("the key is %v, was %v", answer["key"], first["key"])
			}
			now, err := receipt.OpenCheckpoint(answer["note"].(string), []string{first["key"].(string)})
			if err != nil {
				t.Fatal(err)
			}
			if err := receipt.Extends(now, old, binaries(c, answer["since_proof"])); err != nil || now.Size <= old.Size {
				t.Errorf("from %d to %d: %v", old.Size, now.Size, err)
			}
			again := must(t, c, "admin.checkpoint", object{"size": old.Size})
			if same, err := receipt.ReadCheckpoint(again["note"].(string)); err != nil || same != old {
				t.Errorf("the old checkpoint is %+v now, was %+v, %v", same, old, err)
			}
		})
	}
}

// proveAVote has bob vote and checks the receipt. It gives the checkpoint.
func proveAVote(t *testing.T, c caller) object {
	awaitAudit(t, c)
	ann, bob := newPerson("ann"), newPerson("bob")
	must(t, c, "operators.add", object{"name": "ann", "key": ann.public(c), "roles": []string{"operator", "admin"}, "not_after": inAYear()})
	votes := []object{{"house": "operators", "weight_ppm": 600_000}}
	ann.does(t, c, "operators.add", object{"name": "bob", "key": bob.public(c), "roles": []string{"voter"}, "votes": votes, "not_after": inAYear()})
	id := submit(t, c, proposed())
	must(t, c, "gov.treasury.queue_disbursement", object{"id": id})
	bob.does(t, c, "gov.treasury.vote", object{"id": id, "house": "operators", "voter": "bob", "weight_ppm": 600_000, "approve": true})

	answer := must(t, c, "admin.audit", object{"id": id, "leaves": true})
	r := receiptOf(c, id, answer)
	r.Operators = map[string]receipt.Hex{"bob": receipt.Hex(bob.key[32:])}
	p, err := r.Check([]string{r.Key})
	if err != nil {
		t.Fatal(err)
	}
	if p.Record.State != messages.Voting || len(p.Record.Votes) != 1 || p.Record.Votes[0].Voter != "bob" || p.Earlier != 2 {
		t.Errorf("proven: %+v", p)
	}
	if len(p.Votes) != 1 || p.Votes[0].Voter != "bob" || !strings.HasPrefix(p.Votes[0].Who, "bob (key ") {
		t.Errorf("votes: %+v", p.Votes)
	}
	if len(p.Calls) != 1 || !p.Calls[0].Checked || p.Calls[0].Who != "bob" || p.Calls[0].Path != "gov.treasury.vote" {
		t.Errorf("calls: %+v", p.Calls)
	}
	var newest, oldest []int64
	for order, ids := range map[string]*[]int64{"newest": &newest, "oldest": &oldest} {
		for params := (object{"order": order, "limit": 2}); ; {
			page := must(t, c, "admin.audit", params)
			for _, row := range page["rows"].([]any) {
				*ids = append(*ids, integer(row.(object)["id"]))
			}
			if page["next_cursor"] == nil {
				break
			}
			params["cursor"] = page["next_cursor"]
		}
	}
	for i := range newest {
		if want := int64(i + 1); oldest[i] != want || newest[len(newest)-1-i] != want || len(oldest) != len(newest) {
			t.Fatalf("oldest first %v, newest first %v", oldest, newest)
		}
	}
	must(t, c, "gov.treasury.accrue", object{"amount": 5})
	row := must(t, c, "admin.audit", object{"path": "gov.treasury.accrue"})["rows"].([]any)[0].(object)
	if row["who"] != "loopback" || row["what"] != "call" || row["node"] != "n1" || row["envelope"] != nil {
		t.Errorf("a call that nobody signed: %v", row)
	}
	checkpoint := must(t, c, "admin.checkpoint", object{})
	refused(t, c, validationFailed, "validation_failed", "admin.audit", object{"proof_for": 1_000_000}, "params.proof_for", "not 1000000 yet")
	refused(t, c, validationFailed, "validation_failed", "admin.audit", object{"since": 1_000_000}, "params.since")
	refused(t, c, notFound, "not_found", "admin.checkpoint", object{"size": 1_000_000}, "not 1000000 yet")
	refused(t, c, validationFailed, "validation_failed", "admin.audit", object{"order": "sideways"}, "newest", "oldest")
	return checkpoint
}
