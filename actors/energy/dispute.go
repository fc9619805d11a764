package energy

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// FlagDispute raises a dispute about a reading.
type FlagDispute struct {
	about
	Hash messages.MeterHash
	Flag market.Flag

	credit *stored
}

// newFlagDispute makes the command of a call. The provider is whose reading it is: see
// reported.
func newFlagDispute(r durable.Request, provider messages.ProviderID, p *messages.FlagDisputeParams) (*FlagDispute, *messages.Error) {
	kind, refusal := market.ParseDisputeType(p.Type)
	if refusal != nil {
		return nil, refusal
	}
	return &FlagDispute{about: aboutProvider(r, provider), Hash: p.Hash,
		Flag: market.Flag{Type: kind, Reason: p.Reason, Reporter: p.Reporter}}, nil
}

// Recall implements durable.Command: a repeat is told by its row.
func (*FlagDispute) Recall([]byte) (any, bool) { return nil, false }

// RecallRow implements durable.Appending.
func (*FlagDispute) RecallRow(_ *persistence.Store, first uint64) (any, bool) {
	return &messages.FlagDisputeResult{Dispute: first, Duplicate: true}, true
}

func (c *FlagDispute) reads(v *persistence.View) (err error) {
	c.credit, err = readCredit(v, c.Hash)
	return err
}

func (c *FlagDispute) decide(o *oracle, s *scene) (none durable.Change, _ *messages.Error) {
	var credit *market.Credit
	if c.credit != nil {
		credit = &c.credit.Credit
	}
	dispute, held, refusal := market.Raise(c.Flag, c.Hash, credit, s.at)
	if refusal != nil {
		return none, refusal
	}
	after := *c.credit
	after.Credit = held
	return durable.Change{
		Txn: &persistence.Txn{
			Conditions: []persistence.Condition{c.credit.unchanged()},
			Writes:     []persistence.Write{creditWrite(&after)},
			Appends:    []persistence.Append{{Table: TableDisputes, Tag: byte(dispute.Status), Value: market.AppendDispute(nil, &dispute)}},
		},
		Done: func(r persistence.Result) {
			o.stats.raised[c.Flag.Type].Add(1)
			c.Reply(&messages.FlagDisputeResult{Dispute: r.First})
		},
	}, nil
}

// resolveReply is how the end of a dispute is remembered.
var resolveReply = durable.Reply[messages.ResolveDisputeResult]{
	Kind: "resolve", Repeat: func(r *messages.ResolveDisputeResult) { r.Duplicate = true },
}

// ResolveDispute ends a dispute.
type ResolveDispute struct {
	about
	ID      uint64
	Verdict market.Verdict

	dispute market.Dispute
	version uint64
	credit  *stored
}

// newResolveDispute makes the command of a call. The provider is whose reading it is: see
// disputed.
func newResolveDispute(r durable.Request, provider messages.ProviderID, p *messages.ResolveDisputeParams) (*ResolveDispute, *messages.Error) {
	outcome, refusal := market.ParseOutcome(p.Outcome)
	if refusal != nil {
		return nil, refusal
	}
	return &ResolveDispute{about: aboutProvider(r, provider), ID: p.Dispute,
		Verdict: market.Verdict{Outcome: outcome, Resolver: p.Resolver, Note: p.Note}}, nil
}

// Recall implements durable.Command.
func (*ResolveDispute) Recall(reply []byte) (any, bool) {
	result, ok := resolveReply.Recall(reply)
	return result, ok
}

func (c *ResolveDispute) reads(v *persistence.View) (err error) {
	if c.dispute, c.version, err = readDispute(v, c.ID); err != nil || c.version == 0 {
		return err
	}
	c.credit, err = readCredit(v, c.dispute.Hash)
	return err
}

// readDispute reads a dispute; its version is 0 if there is none.
func readDispute(v *persistence.View, number uint64) (d market.Dispute, version uint64, err error) {
	row, ok := v.Get(disputeKey(number))
	if !ok {
		return d, 0, nil
	}
	d, err = market.DecodeDispute(row.Data)
	return d, row.Version, err
}

func (c *ResolveDispute) decide(o *oracle, s *scene) (none durable.Change, _ *messages.Error) {
	if c.version == 0 || c.credit == nil {
		return none, noDispute(c.ID)
	}
	dispute, credit, refusal := c.dispute.Resolve(c.Verdict, c.credit.Credit, s.at)
	if refusal != nil {
		return none, refusal
	}
	after := *c.credit
	after.Credit = credit
	result := &messages.ResolveDisputeResult{Dispute: c.ID, Status: dispute.Status.String()}
	return durable.Change{
		Txn: &persistence.Txn{
			Conditions: []persistence.Condition{c.credit.unchanged(), persistence.VersionIs(disputeKey(c.ID), c.version)},
			Writes: []persistence.Write{creditWrite(&after), {
				Key: disputeKey(c.ID), Tag: byte(dispute.Status), Value: market.AppendDispute(nil, &dispute),
			}},
		},
		Reply: resolveReply.Encode(result),
		Done: func(persistence.Result) {
			o.stats.resolved(&dispute)
			c.Base().Reply(result)
		},
	}, nil
}

func noDispute(number uint64) *messages.Error {
	return messages.Errorf(messages.CodeNotFound, "there is no dispute %d", number)
}

// reported gives the provider whose reading has a meter_hash; the Store must be as for
// Command.
func (e *Energy) reported(hash messages.MeterHash) (id messages.ProviderID, refusal *messages.Error) {
	var c *stored
	err := e.host.Store.View(func(v *persistence.View) (err error) {
		c, err = readCredit(v, hash)
		return err
	})
	switch {
	case err != nil:
		return 0, durable.ErrorOf(err)
	case c == nil:
		return 0, messages.Errorf(messages.CodeSettlementConflict, "no reading has the meter_hash %x", hash)
	}
	return c.Provider, nil
}

// disputed gives the provider whose reading a dispute is about; the Store must be as for
// Command.
func (e *Energy) disputed(number uint64) (id messages.ProviderID, refusal *messages.Error) {
	var d market.Dispute
	var version uint64
	err := e.host.Store.View(func(v *persistence.View) (err error) {
		d, version, err = readDispute(v, number)
		return err
	})
	switch {
	case err != nil:
		return 0, durable.ErrorOf(err)
	case version == 0:
		return 0, noDispute(number)
	}
	return d.Provider, nil
}
