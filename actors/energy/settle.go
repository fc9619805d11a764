package energy

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Settle sells part of a credit.
type Settle struct {
	about
	Order market.Order

	credit *stored // nil if nobody knows the reading
}

// newSettle makes the command of a call.
func newSettle(r durable.Request, p *messages.SettleParams) *Settle {
	return &Settle{about: aboutProvider(r, p.Provider), Order: market.Order{Buyer: p.Buyer, KWh: p.KWh, Hash: p.Hash}}
}

// Recall implements durable.Command: a repeat is told by its receipt.
func (*Settle) Recall([]byte) (any, bool) { return nil, false }

// RecallRow implements durable.Appending.
func (*Settle) RecallRow(store *persistence.Store, first uint64) (any, bool) {
	row, ok, err := store.Get(persistence.RecordKey(TableReceipts, first))
	if err != nil || !ok {
		return nil, false
	}
	receipt, err := market.DecodeReceipt(row.Data)
	if err != nil {
		return nil, false
	}
	return &messages.SettleResult{Receipt: receiptView(first, &receipt), Duplicate: true}, true
}

func (c *Settle) reads(v *persistence.View) (err error) {
	c.credit, err = readCredit(v, c.Order.Hash)
	return err
}

func (c *Settle) decide(o *oracle, s *scene) (none durable.Change, _ *messages.Error) {
	if refusal := c.Order.Check(); refusal != nil {
		return none, refusal
	}
	if s.published == nil {
		return none, messages.Errorf(messages.CodeUnavailable, "not done: the market has published no fee yet")
	}
	var credit *market.Credit
	if c.credit != nil {
		credit = &c.credit.Credit
	}
	out := s.provider.Settle(c.Order, credit, market.Terms{
		Settings: s.settings, FeeBPS: s.published.FeeBPS, At: s.at, Blames: c.isOperator(),
	})
	switch {
	case out.Refusal != nil && out.Slash == nil:
		return none, out.Refusal
	case out.Refusal != nil:
		return c.failed(o, s, &out), nil
	case int64(messages.AmountMax)-s.treasury < int64(out.Receipt.Fee)+int64(out.Receipt.Slash):
		return none, messages.Errorf(messages.CodeValidationFailed, "all accruals together would exceed %d", messages.AmountMax)
	}
	return c.settled(o, s, &out), nil
}

// failed keeps a failure: the row, and the provider if it is blamed. The caller is
// refused.
func (c *Settle) failed(o *oracle, s *scene, out *market.Settlement) durable.Change {
	return durable.Change{
		Refused: true,
		Txn: &persistence.Txn{
			Conditions: []persistence.Condition{s.unchanged()},
			Writes:     []persistence.Write{providerWrite(&out.Provider)},
			Appends:    []persistence.Append{slashAppend(out.Slash)},
		},
		Done: func(persistence.Result) {
			o.stats.slashed(out.Slash.Reason)
			c.Fail(out.Refusal)
		},
	}
}

// settled carries a settlement out: provider, credit, receipt and the treasury's part are
// one Txn, which the settings and the fee it was decided under must outlive.
func (c *Settle) settled(o *oracle, s *scene, out *market.Settlement) durable.Change {
	credit := *c.credit
	credit.Credit = out.Credit
	txn := &persistence.Txn{
		Conditions: []persistence.Condition{s.unchanged(), c.credit.unchanged(), s.same, s.since},
		Writes:     []persistence.Write{providerWrite(&out.Provider), creditWrite(&credit)},
		Appends:    []persistence.Append{{Table: TableReceipts, Tag: 1, Value: market.AppendReceipt(nil, &out.Receipt)}},
	}
	if out.Slash != nil {
		txn.Appends = append(txn.Appends, slashAppend(out.Slash))
	}
	for _, amount := range []messages.Amount{out.Receipt.Fee, out.Receipt.Slash} {
		if amount > 0 {
			adds := rows.AccrualAdds(amount)
			txn.Adds = append(txn.Adds, adds[:]...)
		}
	}
	return durable.Change{Txn: txn, Done: func(r persistence.Result) {
		if out.Slash != nil {
			o.stats.slashed(out.Slash.Reason)
		}
		c.Reply(&messages.SettleResult{Receipt: receiptView(r.First, &out.Receipt)})
	}}
}

func slashAppend(s *market.Slash) persistence.Append {
	return persistence.Append{Table: TableSlashes, Tag: byte(s.Reason), Value: market.AppendSlash(nil, s)}
}
