package energy

import (
	"encoding/binary"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Register asks for a new provider.
type Register struct {
	durable.Request
	Registration market.Registration
}

// Recall implements durable.Command: a repeat is told by its row.
func (*Register) Recall([]byte) (any, bool) { return nil, false }

// RecallRow implements durable.Appending.
func (*Register) RecallRow(_ *persistence.Store, first uint64) (any, bool) {
	return &messages.RegisterProviderResult{Provider: messages.ProviderID(first - 1), Duplicate: true}, true
}

// conditions of a registration, by their place.
const conditionMeterFree = 0

// txn builds the transaction, or refuses for what the request and the settings show.
func (r *Register) txn(s *shard) (*persistence.Txn, *messages.Error) {
	var t terms
	err := s.Store.View(func(v *persistence.View) (err error) {
		t, err = readTerms(v)
		return err
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	if refusal := r.Registration.Check(t.settings); refusal != nil {
		return nil, refusal
	}
	if _, err := signing.NewKey(r.Registration.Key); err != nil {
		return nil, messages.Errorf(messages.CodeValidationFailed, "%v", err)
	}
	p := market.New(0, r.Registration, uint64(s.Wall().Unix()))
	txn := &persistence.Txn{
		Conditions: []persistence.Condition{
			conditionMeterFree: persistence.Absent(meterKey(p.Meter)),
		},
		Appends: []persistence.Append{{Table: TableProviders, Tag: tagActive, Value: market.AppendProvider(nil, &p)}},
		Writes: []persistence.Write{{
			Key: meterKey(p.Meter), Value: binary.BigEndian.AppendUint64(nil, 0), Slots: numberSlot(0),
		}},
	}
	r.Identify(txn, persistence.KeepForever)
	return txn, nil
}

// taken says whose the meter is: a registration that is made again is told its first one.
func (r *Register) taken(store *persistence.Store) *messages.Error {
	refusal := messages.Errorf(messages.CodeValidationFailed,
		"meter_address %q is another provider's", r.Registration.Meter)
	_ = store.View(func(v *persistence.View) error { // what cannot be read is told without the name
		value, ok := v.Get(meterKey(r.Registration.Meter))
		if !ok || len(value.Data) != 8 {
			return nil
		}
		id := messages.ProviderID(binary.BigEndian.Uint64(value.Data) - 1)
		p, _, ok, err := readProvider(v, id)
		if err != nil || !ok || p.Key != r.Registration.Key {
			return err
		}
		refusal = messages.Errorf(messages.CodeValidationFailed,
			"meter_address %q is registered already, by this key: it is %s", r.Registration.Meter, id).
			With("provider_id", id.String())
		return nil
	})
	return refusal
}

func (r *Register) conclude(store *persistence.Store, o persistence.Outcome) {
	if refusal := durable.RefusalOf(o); refusal != nil {
		r.Fail(refusal)
		return
	}
	id := messages.ProviderID(o.Result.First - 1)
	switch o.Result.Status {
	case persistence.Committed, persistence.Duplicate:
		r.Reply(&messages.RegisterProviderResult{Provider: id, Duplicate: o.Result.Status == persistence.Duplicate})
	default:
		r.Fail(r.taken(store))
	}
}
