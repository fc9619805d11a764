package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// loggedEntry is an entry of the log with the domain's names for what it says.
type loggedEntry struct {
	Index        uint64      `json:"index"`
	Term         uint64      `json:"term"`
	Kind         string      `json:"kind"`
	AppendedAt   time.Time   `json:"appended_at,omitzero"`
	Bytes        int         `json:"bytes"`
	Transactions []loggedTxn `json:"transactions,omitempty"`
	// Fault is why no node can apply the entry, and Data how it begins.
	Fault string `json:"fault,omitempty"`
	Data  []byte `json:"data,omitempty"`
}

// loggedTxn is one transaction. StampedAt is the proposer's clock, in Unix
// milliseconds.
type loggedTxn struct {
	RequestID  string         `json:"request_id,omitempty"`
	StampedAt  int64          `json:"stamped_at_ms,omitempty"`
	Level      uint16         `json:"feature_level,omitempty"`
	Fences     []loggedFence  `json:"fences,omitempty"`
	Assigns    []loggedAssign `json:"assigns,omitempty"`
	Conditions []string       `json:"conditions,omitempty"`
	Deletes    []string       `json:"deletes,omitempty"`
	Appends    []loggedRow    `json:"appends,omitempty"`
	Writes     []loggedRow    `json:"writes,omitempty"`
	Adds       []loggedAdd    `json:"adds,omitempty"`
}

type loggedFence struct {
	Shard messages.ShardID `json:"shard"`
	Fence messages.Fence   `json:"fence"`
}

type loggedAssign struct {
	Shard messages.ShardID `json:"shard"`
	Owner messages.NodeID  `json:"owner"`
	Fence messages.Fence   `json:"fence"` // the new one
}

// loggedRow is a row written or appended. The fields from Destination on are those
// of a disbursement.
type loggedRow struct {
	Row         string                    `json:"row"`
	Tag         string                    `json:"tag"`
	Bytes       int                       `json:"bytes"`
	Destination string                    `json:"destination,omitempty"`
	Amount      messages.Amount           `json:"amount,omitempty"`
	DependsOn   []messages.DisbursementID `json:"depends_on,omitempty"`
	Nonce       uint64                    `json:"nonce,omitempty"`
	Reason      string                    `json:"reason,omitempty"`
}

type loggedAdd struct {
	Counter   string `json:"counter"`
	Delta     int64  `json:"delta"`
	Event     string `json:"event,omitempty"`
	Reference uint64 `json:"reference,omitempty"`
}

func logTxn(t *persistence.Txn) loggedTxn {
	logged := loggedTxn{RequestID: t.RequestID, StampedAt: t.StampedAt, Level: t.Level}
	for _, f := range t.Fences {
		logged.Fences = append(logged.Fences, loggedFence(f))
	}
	for _, a := range t.Assigns {
		logged.Assigns = append(logged.Assigns, loggedAssign{a.Shard, a.Owner, a.From + 1})
	}
	for _, c := range t.Conditions {
		logged.Conditions = append(logged.Conditions, c.Text(keyName, tagName))
	}
	for _, key := range t.Deletes {
		logged.Deletes = append(logged.Deletes, keyName(key))
	}
	for i := range t.Appends {
		a := &t.Appends[i]
		logged.Appends = append(logged.Appends, logRow("new "+tableName(a.Table), a.Table, a.Tag, a.Value))
	}
	for i := range t.Notes {
		a := &t.Notes[i]
		logged.Appends = append(logged.Appends, logRow("note "+tableName(a.Table), a.Table, a.Tag, a.Value))
	}
	for i := range t.Writes {
		w := &t.Writes[i]
		logged.Writes = append(logged.Writes, logRow(keyName(w.Key), w.Key.Table(), w.Tag, w.Value))
	}
	for _, a := range t.Adds {
		add := loggedAdd{Counter: a.Counter, Delta: a.Delta}
		if a.Row != nil {
			add.Event, add.Reference = disbursement.Event(a.Row.Event).String(), a.Row.Reference
		}
		logged.Adds = append(logged.Adds, add)
	}
	return logged
}

// logRow tells a row. A disbursement that cannot be decoded is told by its size: the
// log is whole all the same, and 'bursar verify' judges what it says.
func logRow(name string, table persistence.Table, tag byte, value []byte) loggedRow {
	row := loggedRow{Row: name, Tag: tagName(table, tag), Bytes: len(value)}
	if table != rows.TableDisbursements {
		return row
	}
	if r, err := disbursement.DecodeRecord(value); err == nil {
		d := &r.Payload.Disbursement
		row.Destination, row.Amount, row.DependsOn, row.Nonce, row.Reason = d.Destination, d.Amount, r.Deps, r.Nonce, r.Reason
	}
	return row
}

func tableName(t persistence.Table) string {
	if t == rows.TableDisbursements {
		return "disbursement"
	}
	if name := energy.TableName(t); name != "" {
		return name
	}
	return fmt.Sprintf("row of table %#x", byte(t))
}

// keyName names a row: its table and number, or the bytes behind the table.
func keyName(k persistence.Key) string {
	if n, ok := k.Number(); ok {
		return fmt.Sprintf("%s %d", tableName(k.Table()), n)
	}
	return fmt.Sprintf("%s %q", tableName(k.Table()), k.Name())
}

// tagName names the state that a tag stands for.
func tagName(t persistence.Table, tag byte) string {
	switch {
	case t != rows.TableDisbursements:
		return fmt.Sprintf("tag %d", tag)
	case tag == disbursement.TagStaged:
		return "staged"
	}
	return messages.State(tag).String()
}

// text writes a transaction below its entry.
func (t *loggedTxn) text(b *strings.Builder, number int) {
	fmt.Fprintf(b, "  %d", number)
	if t.RequestID != "" {
		fmt.Fprintf(b, "  request %s", t.RequestID)
	}
	if t.StampedAt != 0 {
		fmt.Fprintf(b, "  stamped %s", time.UnixMilli(t.StampedAt).UTC().Format("15:04:05.000"))
	}
	for _, f := range t.Fences {
		fmt.Fprintf(b, "  shard %d under fence %d", f.Shard, f.Fence)
	}
	b.WriteByte('\n')
	line := func(format string, args ...any) { fmt.Fprintf(b, "     "+format+"\n", args...) }
	if t.Level != 0 {
		line("feature level %d", t.Level)
	}
	for _, c := range t.Conditions {
		line("if     %s", c)
	}
	for _, a := range t.Assigns {
		line("assign shard %d to %s under fence %d", a.Shard, a.Owner, a.Fence)
	}
	for _, key := range t.Deletes {
		line("delete %s", key)
	}
	for i := range t.Appends {
		line("append %s", t.Appends[i].text())
	}
	for i := range t.Writes {
		line("write  %s", t.Writes[i].text())
	}
	for _, a := range t.Adds {
		line("add    %s", a.text())
	}
}

func (r *loggedRow) text() string {
	text := fmt.Sprintf("%s: %s", r.Row, r.Tag)
	if r.Destination != "" {
		text += fmt.Sprintf(", %d to %s", uint64(r.Amount), r.Destination)
	}
	if len(r.DependsOn) > 0 {
		text += fmt.Sprintf(", after %s", idList(r.DependsOn))
	}
	if r.Nonce > 0 {
		text += fmt.Sprintf(", nonce %d", r.Nonce)
	}
	if r.Reason != "" {
		text += ", " + r.Reason
	}
	return fmt.Sprintf("%s (%d B)", text, r.Bytes)
}

// idList joins ids. One that the commit assigns is told by its place in the
// transaction.
func idList(ids []messages.DisbursementID) string {
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		if slot := uint64(id) - persistence.SlotID(0); uint64(id) >= persistence.SlotID(0) {
			texts = append(texts, fmt.Sprintf("record %d of this transaction", slot+1))
			continue
		}
		texts = append(texts, fmt.Sprint(uint64(id)))
	}
	return strings.Join(texts, ", ")
}

func (a *loggedAdd) text() string {
	text := fmt.Sprintf("%s %+d", a.Counter, a.Delta)
	switch {
	case a.Event != "" && a.Reference != 0:
		text += fmt.Sprintf(" (%s, disbursement %d)", a.Event, a.Reference)
	case a.Event != "":
		text += fmt.Sprintf(" (%s)", a.Event)
	}
	return text
}
