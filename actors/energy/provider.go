package energy

import (
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy/market"
	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// providerReply is how the answer to a change of a provider is remembered.
var providerReply = durable.Reply[messages.ProviderResult]{
	Kind: "provider", Repeat: func(r *messages.ProviderResult) { r.Duplicate = true },
}

// about is what commands about one provider share.
type about struct {
	durable.Request
	Provider messages.ProviderID
}

func (c *about) target() messages.ProviderID { return c.Provider }

// Recall implements durable.Command.
func (*about) Recall(reply []byte) (any, bool) {
	result, ok := providerReply.Recall(reply)
	return result, ok
}

func (*about) reads(*persistence.View) error { return nil }

// write is the change of a provider's record alone.
func (c *about) write(s *scene, p *market.Provider) durable.Change {
	result := &messages.ProviderResult{Provider: c.Provider}
	return durable.Change{
		Txn: &persistence.Txn{
			Conditions: []persistence.Condition{s.unchanged()},
			Writes:     []persistence.Write{providerWrite(p)},
		},
		Reply: providerReply.Encode(result),
		Done:  func(persistence.Result) { c.Reply(result) },
	}
}

func (c *about) isOperator() bool { return c.By.Roles.Has(messages.Operator) }

// Update changes what a provider asks and offers.
type Update struct {
	about
	Change market.Change
}

// aboutProvider makes what a command is about. It is told from reports, which have no request
// id, by having one, even where the ingress made it up.
func aboutProvider(r durable.Request, id messages.ProviderID) about {
	r.Stamped = false
	return about{r, id}
}

// newUpdate makes the command of a call.
func newUpdate(r durable.Request, p *messages.UpdateProviderParams) *Update {
	c := &Update{about: aboutProvider(r, p.Provider), Change: market.Change{StakeAdd: p.StakeAdd}}
	if p.Price != 0 {
		c.Change.Price = &p.Price
	}
	if p.Capacity != 0 {
		c.Change.Capacity = &p.Capacity
	}
	return c
}

func (c *Update) decide(_ *oracle, s *scene) (none durable.Change, _ *messages.Error) {
	if !c.isOperator() && (c.By.Name == "" || c.By.Name != s.provider.Owner) {
		return none, messages.Errorf(messages.CodeUnauthorized,
			"%s is changed by its owner's certificate, or by an operator", c.Provider)
	}
	p, refusal := s.provider.Apply(c.Change)
	if refusal != nil {
		return none, refusal
	}
	return c.write(s, &p), nil
}

// RotateKey replaces a provider's key.
type RotateKey struct {
	about
	Key       messages.PublicKey
	Signature []byte
}

// newRotateKey makes the command of a call.
func newRotateKey(r durable.Request, p *messages.RotateKeyParams) *RotateKey {
	return &RotateKey{about: aboutProvider(r, p.Provider), Key: p.Key, Signature: p.Signature}
}

func (c *RotateKey) decide(o *oracle, s *scene) (none durable.Change, _ *messages.Error) {
	if _, err := signing.NewKey(c.Key); err != nil {
		return none, messages.Errorf(messages.CodeValidationFailed, "public_key: %v", err)
	}
	if refusal := c.authorized(s); refusal != nil {
		return none, refusal
	}
	p := s.provider
	p.Key = c.Key
	change := c.write(s, &p)
	done := change.Done
	change.Done = func(r persistence.Result) {
		_ = o.verifier.TellInternal(keyChanged{c.Provider})
		done(r)
	}
	return change, nil
}

// authorized wants the present key's signature, or an operator who gives none.
func (c *RotateKey) authorized(s *scene) *messages.Error {
	if len(c.Signature) == 0 && c.isOperator() {
		return nil
	}
	bad := messages.Errorf(messages.CodeSignatureInvalid,
		"the signature is not good under the present key of %s, and an operator would give none", c.Provider)
	if len(c.Signature) != len(messages.Signature{}) {
		return bad
	}
	key, err := signing.NewKey(s.provider.Key)
	if err != nil {
		return durable.ErrorOf(err)
	}
	if signature := messages.Signature(c.Signature); !key.Verify(signing.RotationDigest(c.Provider, c.Key), &signature) {
		return bad
	}
	return nil
}

// Reinstate lets a suspended provider report again.
type Reinstate struct{ about }

// newReinstate makes the command of a call.
func newReinstate(r durable.Request, p *messages.ProviderParams) *Reinstate {
	return &Reinstate{aboutProvider(r, p.Provider)}
}

func (c *Reinstate) decide(_ *oracle, s *scene) (none durable.Change, _ *messages.Error) {
	if !s.provider.Suspended {
		return none, messages.Errorf(messages.CodeProviderInactive, "%s is not suspended", c.Provider)
	}
	p := s.provider.Reinstate()
	return c.write(s, &p), nil
}
