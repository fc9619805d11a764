package energy

import (
	"maps"
	"slices"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
)

// API binds each method of the market to what carries it out.
func (e *Energy) API() []durable.Binding {
	register := durable.Orders(messages.MethodRegisterProvider, func(*messages.RegisterProviderParams) messages.ShardID { return 0 },
		func(r durable.Request, p *messages.RegisterProviderParams) {
			e.Register(&Register{Request: r, Registration: market.Registration{
				Owner: p.Owner, Jurisdiction: p.Jurisdiction, Meter: p.Meter, Key: p.Key, Price: p.Price,
				Capacity: p.Capacity, Stake: p.Stake,
			}})
		})
	register.Shard = func(requestID string, _ messages.Params) messages.ShardID { return e.IngressShard(requestID) }
	readings := durable.Unconfirmed(durable.Orders(messages.MethodSubmitReadings, func(p *messages.SubmitReadingsParams) messages.ShardID {
		if len(p.Readings) == 0 {
			return e.cfg.Market
		}
		return e.ShardOf(p.Readings[0].Provider)
	}, func(r durable.Request, p *messages.SubmitReadingsParams) {
		e.Readings(r, p.Readings, p.Backfill, false)
	}))
	readings.Split = e.splitReadings
	return []durable.Binding{
		register,
		onProvider(e, messages.MethodUpdateProvider, func(p *messages.UpdateProviderParams) messages.ProviderID { return p.Provider },
			func(r durable.Request, p *messages.UpdateProviderParams) Command { return newUpdate(r, p) }),
		onProvider(e, messages.MethodRotateKey, func(p *messages.RotateKeyParams) messages.ProviderID { return p.Provider },
			func(r durable.Request, p *messages.RotateKeyParams) Command { return newRotateKey(r, p) }),
		onProvider(e, messages.MethodReinstate, func(p *messages.ProviderParams) messages.ProviderID { return p.Provider },
			func(r durable.Request, p *messages.ProviderParams) Command { return newReinstate(r, p) }),
		onProvider(e, messages.MethodSettle, func(p *messages.SettleParams) messages.ProviderID { return p.Provider },
			func(r durable.Request, p *messages.SettleParams) Command { return newSettle(r, p) }),
		onReading(e, messages.MethodFlagDispute,
			func(p *messages.FlagDisputeParams) (messages.ProviderID, *messages.Error) { return e.reported(p.Hash) },
			func(r durable.Request, id messages.ProviderID, p *messages.FlagDisputeParams) (Command, *messages.Error) {
				return newFlagDispute(r, id, p)
			}),
		onReading(e, messages.MethodResolveDispute,
			func(p *messages.ResolveDisputeParams) (messages.ProviderID, *messages.Error) {
				return e.disputed(p.Dispute)
			},
			func(r durable.Request, id messages.ProviderID, p *messages.ResolveDisputeParams) (Command, *messages.Error) {
				return newResolveDispute(r, id, p)
			}),
		durable.Unconfirmed(durable.Orders(messages.MethodSubmitReading, func(p *messages.SubmitReadingParams) messages.ShardID { return e.ShardOf(p.Provider) },
			func(r durable.Request, p *messages.SubmitReadingParams) {
				e.Readings(r, []messages.Reading{p.Reading}, false, true)
			})),
		readings,
		durable.Orders(messages.MethodEnergySettings, func(*messages.EnergySettingsParams) messages.ShardID { return e.cfg.Market },
			e.orderSettings),

		durable.Reads(messages.MethodMarketState, e.State),
		durable.Walks(messages.MethodReceipts, e.Receipts),
		durable.Walks(messages.MethodCredits, e.Credits),
		durable.Walks(messages.MethodSlashes, e.Slashes),
		durable.Walks(messages.MethodDisputes, e.Disputes),
	}
}

// onProvider binds a method about one provider.
func onProvider[P messages.Params](e *Energy, method string, id func(P) messages.ProviderID, command func(durable.Request, P) Command) durable.Binding {
	return durable.Orders(method, func(p P) messages.ShardID { return e.ShardOf(id(p)) },
		func(r durable.Request, p P) { e.Command(command(r, p)) })
}

// onReading binds a method about one reading, whose provider the Store tells. One that is
// not known yet is refused by whoever owns any shard.
func onReading[P messages.Params](e *Energy, method string, provider func(P) (messages.ProviderID, *messages.Error),
	command func(durable.Request, messages.ProviderID, P) (Command, *messages.Error)) durable.Binding {
	return durable.Orders(method, func(p P) messages.ShardID {
		id, _ := provider(p)
		return e.ShardOf(id)
	}, func(r durable.Request, p P) {
		id, refusal := provider(p)
		if refusal != nil {
			r.Fail(refusal)
			return
		}
		c, refusal := command(r, id, p)
		if refusal != nil {
			r.Fail(refusal)
			return
		}
		e.Command(c)
	})
}

// orderSettings reads the settings, or has them set.
func (e *Energy) orderSettings(r durable.Request, p *messages.EnergySettingsParams) {
	if p.Sets() {
		e.Set(&SetSettings{Request: r, Params: p})
		return
	}
	result, refusal := e.Settings()
	if refusal != nil {
		r.Fail(refusal)
		return
	}
	r.Reply(result)
}

// splitReadings makes a call for each node that owns some of the readings' providers.
func (e *Energy) splitReadings(params messages.Params, owner func(messages.ShardID) messages.NodeID) (parts []messages.Params, join func([]durable.Answer) messages.Result) {
	p := params.(*messages.SubmitReadingsParams)
	at := make(map[messages.NodeID][]int)
	for i := range p.Readings {
		node := owner(e.ShardOf(p.Readings[i].Provider))
		at[node] = append(at[node], i)
	}
	if len(at) < 2 {
		return nil, nil
	}
	nodes := slices.Sorted(maps.Keys(at))
	for _, node := range nodes {
		part := &messages.SubmitReadingsParams{Backfill: p.Backfill}
		for _, i := range at[node] {
			part.Readings = append(part.Readings, p.Readings[i])
		}
		parts = append(parts, part)
	}
	return parts, func(answers []durable.Answer) messages.Result {
		whole := &messages.SubmitReadingsResult{Outcomes: make([]messages.ReadingOutcome, len(p.Readings))}
		for k, a := range answers {
			part, _ := a.Result.(*messages.SubmitReadingsResult)
			for j, i := range at[nodes[k]] {
				if a.Err == nil && part != nil && j < len(part.Outcomes) {
					whole.Outcomes[i] = part.Outcomes[j]
				} else {
					whole.Outcomes[i].Error = a.Err
				}
			}
		}
		return whole
	}
}
