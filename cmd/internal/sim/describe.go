package sim

import (
	"fmt"
	"strings"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// describe tells a Txn and its verdict in one line.
func describe(t *persistence.Txn, r *persistence.Result) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	if t.RequestID != "" {
		add("%q", t.RequestID)
	}
	for _, f := range t.Fences {
		add("shard %d under %d", f.Shard, f.Fence)
	}
	for _, a := range t.Assigns {
		add("shard %d to %s, fence %d", a.Shard, a.Owner, a.From+1)
	}
	for i := range t.Appends {
		add("new %d", r.First+uint64(i))
	}
	for _, w := range t.Writes {
		number, _ := w.Key.Number()
		switch w.Key.Table() {
		case rows.TableDisbursements:
			add("%d becomes %s", number, stateName(w.Tag))
		case rows.TableIntents:
			add("intent %d", number)
		default:
			add("%s", w.Key.Name())
		}
	}
	for _, key := range t.Deletes {
		number, _ := key.Number()
		add("intent %d goes", number)
	}
	for _, a := range t.Adds {
		add("%s %+d", a.Counter, a.Delta)
	}
	switch r.Status {
	case persistence.Refused:
		add("(%s %d)", r.Failed.Kind, r.Failed.Position)
		if r.Failed.Kind == persistence.FailedCondition {
			add("%s", t.Conditions[r.Failed.Position].Text(
				func(k persistence.Key) string {
					number, _ := k.Number()
					return fmt.Sprintf("%c%d", byte(k.Table()), number)
				},
				func(_ persistence.Table, tag byte) string { return stateName(tag) },
			))
		}
	case persistence.Fenced:
		add("(shard %d has fence %d)", r.Shard, r.Newest)
	case persistence.Committed, persistence.Duplicate, persistence.Conflict:
	}
	return strings.Join(parts, ", ")
}

func stateName(tag byte) string {
	if tag == disbursement.TagStaged {
		return "staged"
	}
	return messages.State(tag).String()
}
