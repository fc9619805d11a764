package energy

import (
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/monitoring/metrics"
)

// Stats counts what this node's part of the market did: each thing once in the cluster, by
// the node whose actor committed it.
type Stats struct {
	Readings      atomic.Uint64     `metric:"energy_readings_total" help:"Readings that were accepted. Sum over nodes."`
	Invalid       atomic.Uint64     `metric:"oracle_submission_errors_total{reason=invalid_reading}" help:"Readings that were refused, by reason: a nonce, meter, time or value that does not follow (invalid_reading), a timestamp too far from now, a provider that is not known or suspended (authorization_failed), a bad signature. Sum over nodes."`
	Stale         atomic.Uint64     `metric:"oracle_submission_errors_total{reason=stale_timestamp}"`
	Unauthorized  atomic.Uint64     `metric:"oracle_submission_errors_total{reason=authorization_failed}"`
	BadSignature  atomic.Uint64     `metric:"oracle_submission_errors_total{reason=bad_signature}"`
	InclusionLag  metrics.Histogram `metric:"oracle_inclusion_lag_seconds" help:"Time from a reading's timestamp to its being committed; backfill is not counted." le:"-7..9"`
	DisputeEnds   metrics.Histogram `metric:"energy_dispute_resolution_seconds" help:"Time from a dispute's being raised to its end." le:"0..20"`
	SlashQuorum   atomic.Uint64     `metric:"energy_slashing_total{reason=quorum}" help:"Rows of the slashings: settlements that took from a stake (settlement), and failed ones of amount 0. Sum over nodes."`
	SlashExpiry   atomic.Uint64     `metric:"energy_slashing_total{reason=expiry}"`
	SlashConflict atomic.Uint64     `metric:"energy_slashing_total{reason=conflict}"`
	SlashSettled  atomic.Uint64     `metric:"energy_slashing_total{reason=settlement}"`

	raised [market.OtherDispute + 1]atomic.Uint64
	ended  [market.DisputeSlashed + 1]atomic.Uint64
}

// Figures are what a scrape is told of the market.
type Figures struct {
	*Stats
	Raised   []raisedFigures `max:"4"`
	Resolved []endedFigures  `max:"3"`
	State
}

// State is the market as this node's read model has it.
type State struct {
	Price     messages.Amount `metric:"energy_market_price_current" help:"Price of a kWh, by the volume of the last hour's settlements. Every node has it: take max over nodes."`
	VolumeKWh uint64          `metric:"energy_market_volume_current" help:"kWh settled within the last hour. Every node has it: take max over nodes."`
	Active    uint64          `metric:"oracle_active_count" help:"Oracles that have reported within their interval and are not suspended. Every node has it: take max over nodes."`
	Disputes  uint64          `metric:"energy_disputes_pending" help:"Disputes that are open. Every node has it: take max over nodes."`
	Providers uint64          `metric:"energy_providers_count" help:"Providers that are registered. Every node has it: take max over nodes."`
	TradedKWh uint64          `metric:"energy_kwh_traded_total" help:"kWh settled, ever. Every node has it: take max over nodes."`
}

type raisedFigures struct {
	Type   market.DisputeType `label:"type"`
	Raised uint64             `metric:"energy_disputes_raised_total" help:"Disputes raised, by type. Sum over nodes."`
}

type endedFigures struct {
	Outcome  market.DisputeStatus `label:"outcome"`
	Resolved uint64               `metric:"energy_disputes_resolved_total" help:"Disputes ended, by outcome. Sum over nodes."`
}

// Figures reads what a scrape is told.
func (e *Energy) Figures() *Figures {
	f := &Figures{Stats: e.stats, State: e.state()}
	for kind := market.LowReading; kind <= market.OtherDispute; kind++ {
		f.Raised = append(f.Raised, raisedFigures{kind, e.stats.raised[kind].Load()})
	}
	for outcome := market.DisputeResolved; outcome <= market.DisputeSlashed; outcome++ {
		f.Resolved = append(f.Resolved, endedFigures{outcome, e.stats.ended[outcome].Load()})
	}
	return f
}

// accepted counts a reading, by the clock that accepted it.
func (s *Stats) accepted(r *market.Reading, at market.Moment) {
	s.Readings.Add(1)
	if !r.Backfill {
		s.InclusionLag.ObserveTime(max(time.Duration(at.MS-int64(r.Timestamp)*1000)*time.Millisecond, 0))
	}
}

// refused counts a reading that was not accepted.
func (s *Stats) refused(err *messages.Error) {
	switch err.Code {
	case messages.CodeTimestampSkew:
		s.Stale.Add(1)
	case messages.CodeProviderInactive:
		s.Unauthorized.Add(1)
	case messages.CodeSignatureInvalid:
		s.BadSignature.Add(1)
	default:
		s.Invalid.Add(1)
	}
}

// slashed counts a row of the slashings.
func (s *Stats) slashed(reason market.SlashReason) {
	switch reason {
	case market.SlashQuorum:
		s.SlashQuorum.Add(1)
	case market.SlashExpiry:
		s.SlashExpiry.Add(1)
	case market.SlashConflict:
		s.SlashConflict.Add(1)
	case market.SlashSettlement:
		s.SlashSettled.Add(1)
	}
}

// resolved counts the end of a dispute.
func (s *Stats) resolved(d *market.Dispute) {
	s.ended[d.Status].Add(1)
	s.DisputeEnds.ObserveTime(time.Duration(d.ResolvedAt-min(d.RaisedAt, d.ResolvedAt)) * time.Second)
}
