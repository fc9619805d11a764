package authority

import (
	"crypto/ed25519"
	"fmt"

	"github.com/the-block/bursar/actors/energy/signing"
	"github.com/the-block/bursar/messages"
)

func unauthorized(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeUnauthorized, format, args...)
}

func invalid(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeValidationFailed, format, args...)
}

func illegal(format string, args ...any) *messages.Error {
	return messages.Errorf(messages.CodeInvalidTransition, format, args...)
}

// Verify judges a signed call as it arrived at now, in Unix seconds, at a node of cluster:
// the operator who has signed it, or what is wrong.
func (s *State) Verify(c *messages.Signed, cluster string, now uint64) (*Operator, *messages.Error) {
	o := s.Operators[c.Operator]
	switch {
	case c.Cluster != cluster:
		return nil, unauthorized("the envelope is for the cluster %q, this is %q", c.Cluster, cluster)
	case c.ExpiresAt <= now:
		return nil, unauthorized("the envelope has expired %d s ago (expires_at); sign it anew", now-c.ExpiresAt)
	case c.ExpiresAt > now+messages.ExpiresAheadMax:
		return nil, unauthorized("the envelope's expires_at lies %d s ahead, at most %d are allowed", c.ExpiresAt-now, messages.ExpiresAheadMax)
	case o == nil:
		return nil, unauthorized("there is no operator %q; an admin adds one with operators.add", c.Operator)
	case o.Revoked:
		return nil, unauthorized("the operator %s is revoked", o.Name)
	case now >= o.NotAfter:
		return nil, unauthorized("the key of %s has expired (not_after); an admin gives it another with operators.rotate", o.Name)
	case !ed25519.Verify(o.Key[:], signedBytes(c.Envelope), c.Signature):
		return nil, unauthorized("the signature is not one of %s's key %s over this envelope", o.Name, o.KeyID)
	}
	return o, nil
}

// signedBytes is what an operator signs.
func signedBytes(envelope []byte) []byte {
	return append([]byte(messages.CallPrefix), envelope...)
}

// Sign signs an envelope.
func Sign(key ed25519.PrivateKey, envelope []byte) (signature messages.Signature) {
	copy(signature[:], ed25519.Sign(key, signedBytes(envelope)))
	return signature
}

// Admit judges whether a caller who has not signed may make a call that needs a role.
func (s *State) Admit(method string, need messages.Role) *messages.Error {
	if s.Signatures == "required" && need > messages.Submitter {
		return unauthorized("%s must be signed by an operator: the setting signatures is required; see bursar keygen and --sign-with", method)
	}
	return nil
}

// door judges who may change the authority itself: an operator who signs and is an admin,
// or whoever adds the first one.
func (s *State) door(by *messages.Signed, what string) *messages.Error {
	if by == nil && len(s.Operators) > 0 {
		return unauthorized("%s must be signed by an admin: there are operators, and the door for the first one is shut; use --sign-with", what)
	}
	return nil
}

// Add judges a new operator.
func (s *State) Add(p *messages.AddOperatorParams, by *messages.Signed, who string, now uint64) (messages.OperatorInfo, *messages.Error) {
	none := messages.OperatorInfo{}
	if refusal := s.door(by, messages.MethodOperatorsAdd); refusal != nil {
		return none, refusal
	}
	roles := messages.RolesOf(p.Roles)
	switch {
	case p.Name == "":
		return none, invalid("params.name: empty")
	case s.Operators[p.Name] != nil:
		return none, illegal("there is an operator %s, or was: a name is given once, for good", p.Name)
	case len(s.Operators) >= operatorsMax:
		return none, invalid("there are %d operators, no more are kept", operatorsMax)
	case len(p.Roles) == 0:
		return none, invalid("params.roles: none")
	case len(s.Operators) == 0 && !roles.Has(messages.Admin):
		return none, invalid("params.roles: the first operator must be an admin, or nobody could add the second")
	case len(p.Votes) > 0 && !roles.Has(messages.Voter):
		return none, invalid("params.votes: %s is no voter; give it the role", p.Name)
	case p.NotAfter <= now:
		return none, invalid("params.not_after: %d has passed", p.NotAfter)
	}
	if refusal := s.judgeKey(p.Key); refusal != nil {
		return none, refusal
	}
	for i, v := range p.Votes {
		switch {
		case v.WeightPPM == 0:
			return none, invalid("params.votes[%d].weight_ppm: 0", i)
		case i > 0 && v.House == p.Votes[0].House:
			return none, invalid("params.votes[%d].house: %s is there twice", i, v.House)
		case s.registered(v.House)+v.WeightPPM > messages.PPMMax:
			return none, invalid("params.votes[%d].weight_ppm: the registered weights of the %s would add up to %d, at most %d are allowed",
				i, v.House, s.registered(v.House)+v.WeightPPM, messages.PPMMax)
		}
	}
	return messages.OperatorInfo{
		Name: p.Name, Key: p.Key, KeyID: messages.KeyID(p.Key), Roles: p.Roles, Votes: p.Votes,
		NotAfter: p.NotAfter, State: "active", AddedBy: who,
	}, nil
}

// judgeKey refuses a key by which anybody could sign, and one that somebody has.
func (s *State) judgeKey(key messages.PublicKey) *messages.Error {
	if err := signing.CheckKey(key); err != nil {
		return invalid("params.key: %v", err)
	}
	for _, o := range s.Operators {
		if o.Key == key {
			return invalid("params.key: it is the key of %s; each operator has one of its own", o.Name)
		}
	}
	return nil
}

// active finds an operator who is not revoked.
func (s *State) notRevoked(name string) (*Operator, *messages.Error) {
	o := s.Operators[name]
	switch {
	case o == nil:
		return nil, messages.Errorf(messages.CodeNotFound, "there is no operator %q", name)
	case o.Revoked:
		return nil, illegal("the operator %s is revoked, for good", name)
	}
	return o, nil
}

// Rotate judges an operator's new key.
func (s *State) Rotate(p *messages.RotateOperatorParams, by *messages.Signed, now uint64) (messages.OperatorInfo, *messages.Error) {
	none := messages.OperatorInfo{}
	if refusal := s.door(by, messages.MethodOperatorsRotate); refusal != nil {
		return none, refusal
	}
	o, refusal := s.notRevoked(p.Name)
	if refusal == nil {
		refusal = s.judgeKey(p.Key)
	}
	if refusal != nil {
		return none, refusal
	}
	info := o.OperatorInfo
	info.Key, info.KeyID = p.Key, messages.KeyID(p.Key)
	if p.NotAfter != 0 {
		info.NotAfter = p.NotAfter
	}
	switch admin := by != nil && by.Operator != p.Name; {
	case info.NotAfter <= now:
		return none, invalid("params.not_after: %d has passed", info.NotAfter)
	case !admin && info.NotAfter > o.NotAfter:
		return none, unauthorized("only another operator, an admin, makes a key good for longer (not_after)")
	}
	return info, nil
}

// Revoke judges the end of an operator, and lists those it has added who can still act.
func (s *State) Revoke(name string, by *messages.Signed, now uint64) (added []string, refusal *messages.Error) {
	if refusal := s.door(by, messages.MethodOperatorsRevoke); refusal != nil {
		return nil, refusal
	}
	o, refusal := s.notRevoked(name)
	if refusal != nil {
		return nil, refusal
	}
	rest := s.without(name)
	if refusal := rest.reachable(now); refusal != nil {
		return nil, illegal("without %s %s", name, refusal.Message)
	}
	for _, other := range s.Names() {
		if c := s.Operators[other]; c.AddedBy == o.Name && c.active(now) && len(added) < 100 {
			added = append(added, other)
		}
	}
	return added, nil
}

// without is the state in which an operator is revoked.
func (s *State) without(name string) *State {
	rest := *s
	rest.Operators = make(map[string]*Operator, len(s.Operators))
	for n, o := range s.Operators {
		if n != name {
			rest.Operators[n] = o
		}
	}
	return &rest
}

// reachable refuses a state in which nobody could act, or a policy could not be met.
func (s *State) reachable(now uint64) *messages.Error {
	if s.holders(messages.Admin, now) == 0 {
		return illegal("there would be no admin")
	}
	for _, action := range messages.PolicyActions {
		if p, ok := s.Policies[action]; ok {
			if n := s.holders(roleOf(p.Role), now); n < p.K {
				return illegal("the policy of %s could not be met: it needs %d, and %d could approve", action, p.K, n)
			}
		}
	}
	return nil
}

func roleOf(word string) messages.Role {
	return messages.RolesOf([]string{word}) &^ (messages.Reader | messages.Submitter)
}

// SetPolicy judges a new policy.
func (s *State) SetPolicy(p messages.Policy, by *messages.Signed, now uint64) (messages.Policy, *messages.Error) {
	if p.Role == "" {
		p.Role = "operator"
	}
	switch n := s.holders(roleOf(p.Role), now); {
	case by == nil:
		return p, unauthorized("%s must be signed by an admin", messages.MethodSetPolicy)
	case p.K == 0:
		return p, invalid("params.k: 0; 1 asks for nobody beside the author")
	case p.K > n:
		return p, illegal("%d approvals could not be reached: %d active operators have the role %s", p.K, n, p.Role)
	}
	return p, nil
}

// Set judges new settings.
func (s *State) Set(to messages.Settings, by *messages.Signed, now uint64) *messages.Error {
	switch {
	case by == nil:
		return unauthorized("%s must be signed by an admin", messages.MethodSettingsSet)
	case to.Signatures == "required" && s.holders(messages.Admin, now) == 0:
		return illegal("no admin is active")
	}
	return nil
}

// Vote judges who votes: once votes are registered they come from there and from nowhere
// else. began is the entry of the log with which the vote began; an operator whose votes
// were registered later has none in it, unless nobody had.
func (s *State) Vote(by *messages.Signed, house messages.House, voter string, weight messages.PPM, began, now uint64) *messages.Error {
	if s.Electorate == 0 {
		return nil
	}
	if by == nil {
		return unauthorized("votes are registered: a vote must be signed by an operator who has some in the %s", house)
	}
	o := s.Operators[by.Operator]
	switch {
	case o == nil || !o.active(now):
		return unauthorized("%s is no active operator", by.Operator)
	case o.weight(house) == 0:
		return unauthorized("%s has no votes in the %s", o.Name, house)
	case o.Index > began && s.Electorate < began:
		return unauthorized("the votes of %s were registered after this vote had begun", o.Name)
	case voter != o.Name || weight != o.weight(house):
		return unauthorized("%s votes for itself, with %d ppm in the %s: not for %q with %d", o.Name, o.weight(house), house, voter, weight)
	}
	return nil
}

// Need is how many approvals a call needs, and whose count; k of 1 is the author's alone.
func (s *State) Need(action string, amount messages.Amount) (k uint64, role string) {
	p, ok := s.Policies[action]
	if !ok || amount < p.MinAmount {
		return 1, ""
	}
	return p.K, p.Role
}

// Approvals counts whose approvals of a call still count.
func (s *State) Approvals(approved []string, role string, now uint64) (counting []string) {
	for _, name := range approved {
		if o := s.Operators[name]; o != nil && o.active(now) && o.RoleSet().Has(roleOf(role)) {
			counting = append(counting, name)
		}
	}
	return counting
}

// String tells a pause in a sentence.
func pauseText(p messages.PauseInfo) string {
	text := fmt.Sprintf("%s is paused by %s: %s", p.Scope, p.Who, p.Reason)
	if p.Until != 0 {
		text += fmt.Sprintf(" (until %d)", p.Until)
	}
	return text
}
