package audit

import (
	"encoding/hex"
	"fmt"
	"strconv"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// describe completes a row from the leaf that it stands for: its key and entry, and tag and
// data of the row as it is in the Store now, which may be a newer one.
type describe func(l *persistence.Leaf, row *messages.AuditRow) error

// kind is one kind of rows that are leaves.
type kind struct {
	key      persistence.Key // the beginning of theirs
	describe describe
}

// kinds are what is audited. Another list needs another feature level of package
// persistence, for all nodes must hash the same.
var kinds = []kind{
	{table(rows.TableDisbursements), payment},
	{table(rows.TableCasts), vote},
	{table(rows.TableSettings), named("binding")},
	{table(operations.TableAudit), func(l *persistence.Leaf, row *messages.AuditRow) error {
		return operations.Describe(l.Tag, l.Data, row)
	}},
	{table(authority.TableCalls), func(l *persistence.Leaf, row *messages.AuditRow) error {
		return authority.DescribeCall(l.Data, row)
	}},
	{table(authority.TableOperators), named("operator")},
	{table(authority.TablePending), numbered("approval")},
	{table(authority.TableRules), named("rule")},
	{table(energy.TableReceipts), settlement},
	{table(energy.TableSlashes), slash},
	{table(energy.TableDisputes), dispute},
	{energy.SettingsKey, named("settings")},
}

func table(t persistence.Table) persistence.Key { return persistence.NameKey(t, "") }

// Keys are the beginnings of the keys whose rows are leaves, for a Store's configuration.
func Keys() (keys []persistence.Key) {
	for _, k := range kinds {
		keys = append(keys, k.key)
	}
	return keys
}

// describeLeaf says in words what a leaf is.
func describeLeaf(l *persistence.Leaf, row *messages.AuditRow) error {
	if counter, h, ok := l.HistoryLeaf(); ok {
		row.At, row.What, row.Path = uint64(h.StampedAt/1000), disbursement.Event(h.Event).String(), counter
		row.Detail = fmt.Sprintf("%+d, then %d", h.Delta, h.After)
		return nil
	}
	for _, k := range kinds {
		if len(l.Key) >= len(k.key) && l.Key[:len(k.key)] == k.key {
			return k.describe(l, row)
		}
	}
	return fmt.Errorf("audit: nothing is known of leaf %d with key %x", l.Number, string(l.Key))
}

// named describes rows under names of which no more is told: their leaves tell all.
func named(what string) describe {
	return func(l *persistence.Leaf, row *messages.AuditRow) error {
		row.What, row.Path = what, what+"/"+l.Key.Name()
		return nil
	}
}

// numbered is the same for rows under numbers.
func numbered(what string) describe {
	return func(l *persistence.Leaf, row *messages.AuditRow) error {
		number, _ := l.Key.Number()
		row.What, row.Path = what, what+"/"+strconv.FormatUint(number, 10)
		return nil
	}
}

// unmoved is what happened to a disbursement that left it in its state: a vote, or the
// payment's being on its way.
const unmoved = "change"

func payment(l *persistence.Leaf, row *messages.AuditRow) error {
	id, _ := l.Key.Number()
	r, err := disbursement.DecodeRecord(l.Data)
	if err != nil {
		return fmt.Errorf("audit: disbursement %d: %w", id, err)
	}
	d := &r.Payload.Disbursement
	row.What, row.Path = unmoved, fmt.Sprint("disbursement/", id)
	row.Detail = fmt.Sprintf("%d to %s", d.Amount, d.Destination)
	for _, t := range r.Transitions {
		if t.Index == l.Index {
			row.What, row.At, row.Node = t.State.String(), t.At, string(t.Node)
		}
	}
	return nil
}

func vote(l *persistence.Leaf, row *messages.AuditRow) error {
	id, _ := rows.CastOf(l.Key)
	c, err := disbursement.DecodeCast(l.Data)
	if err != nil {
		return fmt.Errorf("audit: a vote on disbursement %d: %w", id, err)
	}
	row.At, row.Who, row.What, row.Path, row.Node = c.At, c.Who, "vote", fmt.Sprint("disbursement/", id), string(c.Node)
	row.Detail = c.String()
	return nil
}

func settlement(l *persistence.Leaf, row *messages.AuditRow) error {
	r, err := market.DecodeReceipt(l.Data)
	if err != nil {
		return err
	}
	_ = numbered("settlement")(l, row)
	row.At, row.Who = r.SettledAt, r.Buyer
	row.Detail = fmt.Sprintf("%d kWh of %s for %d, fee %d, slash %d, meter_hash %s", r.KWh, r.Provider, r.Price, r.Fee, r.Slash, hex.EncodeToString(r.Hash[:]))
	return nil
}

func slash(l *persistence.Leaf, row *messages.AuditRow) error {
	s, err := market.DecodeSlash(l.Data)
	if err != nil {
		return err
	}
	_ = numbered("slash")(l, row)
	row.At, row.Detail = s.At, fmt.Sprintf("%s: %d of %s", s.Reason, s.Amount, s.Provider)
	return nil
}

func dispute(l *persistence.Leaf, row *messages.AuditRow) error {
	d, err := market.DecodeDispute(l.Data)
	if err != nil {
		return err
	}
	_ = numbered("dispute")(l, row)
	row.At, row.Who, row.Detail = d.RaisedAt, d.Reporter, d.Reason
	if d.Resolver != "" {
		row.At, row.Who, row.Detail = d.ResolvedAt, d.Resolver, d.Note
	}
	return nil
}
