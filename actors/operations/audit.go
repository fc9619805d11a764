package operations

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// auditPage is the longest page: the Store lets one look touch 1,000 rows, and the
// counter is one.
const auditPage = persistence.ViewRowsMax - 1

// rowOverhead is about what a row takes in a reply beside its texts.
const rowOverhead = 96

// Audit answers one page of the rows that this package wrote, newest first, for as long as
// the log has no audit tree. Its cursor is the number of
// the row above the page.
func (o *Operations) Audit(p messages.Page) (*messages.AuditResult, *messages.Error) {
	result := &messages.AuditResult{}
	err := o.store.View(func(v *persistence.View) error {
		result.AppliedIndex = v.Applied()
		newest := uint64(v.Counter(CounterAudit))
		oldest := uint64(1)
		if newest > AuditMax {
			oldest = newest - AuditMax + 1
		}
		above := newest + 1
		if p.Cursor != 0 {
			above = min(above, uint64(p.Cursor))
		}
		if above <= oldest {
			return nil
		}
		var broken error
		size := 0
		err := v.Scan(auditKey(oldest), auditKey(above), true, int(min(p.Limit, auditPage)),
			func(key persistence.Key, value persistence.Value) bool {
				if size += len(value.Data) + rowOverhead; size > messages.ReplyMax {
					return false
				}
				var r row
				if r, broken = decodeRow(value.Tag, value.Data); broken != nil {
					return false
				}
				id, _ := key.Number()
				shown := messages.AuditRow{ID: id}
				r.describe(&shown)
				result.Rows = append(result.Rows, shown)
				return true
			})
		if n := len(result.Rows); n > 0 && result.Rows[n-1].ID > oldest {
			result.NextCursor = messages.Cursor(result.Rows[n-1].ID)
		}
		if err == nil {
			err = broken
		}
		return err
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	return result, nil
}

// Describe completes a row of the audit by the row of TableAudit that it stands for.
func Describe(tag byte, data []byte, into *messages.AuditRow) error {
	r, err := decodeRow(tag, data)
	if err == nil {
		r.describe(into)
	}
	return err
}

func (r *row) describe(into *messages.AuditRow) {
	into.At, into.Who, into.What = uint64(r.at.Unix()), r.who, r.action.String()
	into.Path, into.Node, into.Detail = r.path, r.node, r.detail
}

// auditID is the number by which admin.audit lists a row of TableAudit: that of its leaf,
// once there are leaves.
func (o *Operations) auditID(id uint64) uint64 {
	leaf := uint64(0)
	err := o.store.View(func(v *persistence.View) error {
		leaf = v.LeafOf(auditKey(id))
		return nil
	})
	if err != nil || leaf == 0 {
		return id
	}
	return leaf
}
