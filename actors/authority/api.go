package authority

import (
	"context"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// API binds each method about who may do what to what carries it out.
func (a *Authority) API() []durable.Binding {
	return []durable.Binding{
		changes(messages.MethodOperatorsAdd, a.Add),
		changes(messages.MethodOperatorsRotate, a.Rotate),
		changes(messages.MethodOperatorsRevoke, a.Revoke),
		durable.Reads(messages.MethodOperatorsList, func(p *messages.PageParams) (*messages.OperatorsResult, *messages.Error) {
			return a.List(p.Page)
		}),
		changes(messages.MethodApprovalsApprove, a.Approve),
		changes(messages.MethodWithdraw, a.Withdraw),
		durable.Reads(messages.MethodApprovalsList, func(p *messages.PageParams) (*messages.PendingListResult, *messages.Error) {
			return a.Pending(p.Page)
		}),
		durable.Reads(messages.MethodApprovalsGet, a.Get),
		changes(messages.MethodSetPolicy, a.SetPolicy),
		durable.Reads(messages.MethodPolicy, func(*messages.NoParams) (*messages.PoliciesResult, *messages.Error) {
			s, err := a.State()
			if err != nil {
				return nil, durable.ErrorOf(err)
			}
			return s.policies(), nil
		}),
		changes(messages.MethodSettingsSet, a.Set),
		durable.Reads(messages.MethodSettingsGet, func(*messages.NoParams) (*messages.SettingsResult, *messages.Error) {
			s, err := a.State()
			if err != nil {
				return nil, durable.ErrorOf(err)
			}
			return &messages.SettingsResult{Settings: messages.Settings{Signatures: s.Signatures}}, nil
		}),
		changes(messages.MethodPause, a.Pause),
		changes(messages.MethodUnpause, a.Unpause),
		durable.Works(messages.MethodAuthCall, func(context.Context, *durable.Request, *messages.AuthCallParams) (*messages.AuthCallResult, *messages.Error) {
			return nil, messages.Errorf(messages.CodeInternal, "a signed call was not opened where it arrived")
		}),
	}
}

func changes[P messages.Params](method string, do func(context.Context, *durable.Request, P) (messages.Result, *messages.Error)) durable.Binding {
	return durable.Works(method, do)
}

var operatorReply = durable.Reply[messages.OperatorResult]{
	Kind: "operator", Repeat: func(r *messages.OperatorResult) { r.Duplicate = true },
}

func recallOperator(_ uint64, reply []byte) (messages.Result, bool) {
	return recalled(operatorReply.Recall(reply))
}

// by names who changes the authority, as it is kept.
func by(r *durable.Request) string {
	if s := r.By.Signed; s != nil {
		return s.Operator
	}
	return r.Who
}

// operatorChange writes an operator's row.
func operatorChange(o *messages.OperatorInfo, index uint64, version uint64, tag byte, result *messages.OperatorResult) *change {
	w := persistence.Write{Key: operatorKey(o.Name), Tag: tag, Value: encode(index, o)}
	c := &change{also: []persistence.Condition{persistence.VersionIs(w.Key, version)}}
	if version == 0 {
		c.also[0], w.Slots = persistence.Absent(w.Key), indexSlot
	}
	c.writes = []persistence.Write{w}
	c.result = func(uint64) messages.Result { return result }
	kept := *result
	kept.Added = nil // the reply that is remembered is short
	c.reply = operatorReply.Encode(&kept)
	return c
}

// Add adds an operator.
func (a *Authority) Add(ctx context.Context, r *durable.Request, p *messages.AddOperatorParams) (messages.Result, *messages.Error) {
	return a.commit(ctx, r, recallOperator, func(s *State, _ *persistence.View) (*change, *messages.Error) {
		info, refusal := s.Add(p, r.By.Signed, by(r), a.now())
		if refusal != nil {
			return nil, refusal
		}
		c := operatorChange(&info, 0, 0, tagActive, &messages.OperatorResult{Name: info.Name, State: info.State, KeyID: info.KeyID})
		if len(info.Votes) > 0 {
			c.votes = true
			c.adds = []persistence.Add{{Counter: CounterElectorate, Delta: 1, Max: operatorsMax}}
		}
		return c, nil
	})
}

// Rotate gives an operator another key.
func (a *Authority) Rotate(ctx context.Context, r *durable.Request, p *messages.RotateOperatorParams) (messages.Result, *messages.Error) {
	return a.commit(ctx, r, recallOperator, func(s *State, _ *persistence.View) (*change, *messages.Error) {
		info, refusal := s.Rotate(p, r.By.Signed, a.now())
		if refusal != nil {
			return nil, refusal
		}
		o := s.Operators[p.Name]
		return operatorChange(&info, o.Index, o.Version, tagActive, &messages.OperatorResult{Name: info.Name, State: info.State, KeyID: info.KeyID}), nil
	})
}

// Revoke ends what an operator may do.
func (a *Authority) Revoke(ctx context.Context, r *durable.Request, p *messages.RevokeOperatorParams) (messages.Result, *messages.Error) {
	if refusal := messages.CheckReason(p.Reason); refusal != nil {
		return nil, refusal
	}
	return a.commit(ctx, r, recallOperator, func(s *State, _ *persistence.View) (*change, *messages.Error) {
		added, refusal := s.Revoke(p.Name, r.By.Signed, a.now())
		if refusal != nil {
			return nil, refusal
		}
		o := s.Operators[p.Name]
		info := o.OperatorInfo
		info.State = "revoked"
		return operatorChange(&info, o.Index, o.Version, tagRevoked,
			&messages.OperatorResult{Name: info.Name, State: info.State, KeyID: info.KeyID, Added: added}), nil
	})
}

// List lists the operators by name.
func (a *Authority) List(page messages.Page) (*messages.OperatorsResult, *messages.Error) {
	result := &messages.OperatorsResult{}
	index, err := a.look(func(s *State, _ *persistence.View) {
		names := s.Names()
		from := min(uint64(page.Cursor), uint64(len(names)))
		to := min(from+page.Limit, uint64(len(names)))
		if to < uint64(len(names)) {
			result.NextCursor = messages.Cursor(to)
		}
		for _, name := range names[from:to] {
			o := *s.Operators[name]
			if !o.Revoked && !o.active(a.now()) {
				o.State = "expired"
			}
			result.Operators = append(result.Operators, o.OperatorInfo)
		}
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	result.AppliedIndex = index
	return result, nil
}

// policies lists the policies in the order of the actions.
func (s *State) policies() *messages.PoliciesResult {
	r := &messages.PoliciesResult{}
	for _, action := range messages.PolicyActions {
		if p, ok := s.Policies[action]; ok {
			r.Policies = append(r.Policies, p)
		}
	}
	return r
}

// SetPolicy says how many approvals an action needs.
func (a *Authority) SetPolicy(ctx context.Context, r *durable.Request, p *messages.SetPolicyParams) (messages.Result, *messages.Error) {
	return a.commit(ctx, r, a.recallNow(func(s *State) messages.Result {
		result := s.policies()
		result.Duplicate = true
		return result
	}), func(s *State, _ *persistence.View) (*change, *messages.Error) {
		policy, refusal := s.SetPolicy(p.Policy, r.By.Signed, a.now())
		if refusal != nil {
			return nil, refusal
		}
		return a.ruleChange(rulePolicy+policy.Action, &policy, func(s *State) messages.Result { return s.policies() }), nil
	})
}

// Set changes the settings.
func (a *Authority) Set(ctx context.Context, r *durable.Request, p *messages.SettingsParams) (messages.Result, *messages.Error) {
	settings := &messages.SettingsResult{Settings: p.Settings}
	return a.commit(ctx, r, func(uint64, []byte) (messages.Result, bool) {
		return &messages.SettingsResult{Settings: p.Settings, Duplicate: true}, true
	}, func(s *State, _ *persistence.View) (*change, *messages.Error) {
		if refusal := s.Set(p.Settings, r.By.Signed, a.now()); refusal != nil {
			return nil, refusal
		}
		return a.ruleChange(ruleSignatures, settings, func(*State) messages.Result { return settings }), nil
	})
}

// ruleChange writes a single row; the answer is what the state says once it is applied.
func (a *Authority) ruleChange(name string, value messages.Result, answer func(*State) messages.Result) *change {
	return &change{
		writes: []persistence.Write{{Key: ruleKey(name), Tag: 1, Value: encode(0, value)}},
		result: func(uint64) messages.Result { return a.answerNow(answer) },
		reply:  []byte{},
	}
}

func (a *Authority) answerNow(answer func(*State) messages.Result) messages.Result {
	s, err := a.State()
	if err != nil {
		s = &State{}
	}
	return answer(s)
}

// recallNow answers a repeat with what is so now.
func (a *Authority) recallNow(answer func(*State) messages.Result) recall {
	return func(uint64, []byte) (messages.Result, bool) { return a.answerNow(answer), true }
}

// paused lists what is paused.
func (s *State) paused(duplicate bool) *messages.PauseResult {
	r := &messages.PauseResult{Duplicate: duplicate}
	for _, scope := range messages.PauseScopes {
		if p, ok := s.Pauses[scope]; ok {
			r.Paused = append(r.Paused, p)
		}
	}
	return r
}

// Pause stops something at once.
func (a *Authority) Pause(ctx context.Context, r *durable.Request, p *messages.PauseParams) (messages.Result, *messages.Error) {
	if refusal := messages.CheckReason(p.Reason); refusal != nil {
		return nil, refusal
	}
	return a.commit(ctx, r, a.recallNow(func(s *State) messages.Result { return s.paused(true) }), func(s *State, v *persistence.View) (*change, *messages.Error) {
		if p.Until != 0 && p.Until <= a.now() {
			return nil, invalid("params.until: %d has passed", p.Until)
		}
		info := messages.PauseInfo{Scope: p.Scope, Who: by(r), Reason: p.Reason, Since: a.now(), Until: p.Until}
		if before, ok := s.Pauses[p.Scope]; ok {
			info.Since = before.Since
		}
		c := a.ruleChange(rulePause+p.Scope, &info, func(s *State) messages.Result { return s.paused(false) })
		c.adds = setCounter(v, p.Scope, 1)
		return c, nil
	})
}

// setCounter makes the counter of a scope that number.
func setCounter(v *persistence.View, scope string, to int64) []persistence.Add {
	name := CounterPaused(scope)
	return []persistence.Add{{Counter: name, Delta: to - v.Counter(name), Min: to, Max: to}}
}

// Unpause ends a pause.
func (a *Authority) Unpause(ctx context.Context, r *durable.Request, p *messages.UnpauseParams) (messages.Result, *messages.Error) {
	if refusal := messages.CheckReason(p.Reason); refusal != nil {
		return nil, refusal
	}
	return a.commit(ctx, r, a.recallNow(func(s *State) messages.Result { return s.paused(true) }), func(s *State, v *persistence.View) (*change, *messages.Error) {
		if _, ok := s.Pauses[p.Scope]; !ok {
			return nil, illegal("%s is not paused", p.Scope)
		}
		return a.unpausing(v, p.Scope), nil
	})
}

// unpausing ends a pause.
func (a *Authority) unpausing(v *persistence.View, scope string) *change {
	return &change{
		deletes: []persistence.Key{ruleKey(rulePause + scope)}, adds: setCounter(v, scope, 0), reply: []byte{},
		result: func(uint64) messages.Result {
			return a.answerNow(func(s *State) messages.Result { return s.paused(false) })
		},
	}
}

// Tend ends the pauses whose time has passed. Any node may, at any time.
func (a *Authority) Tend(ctx context.Context) error {
	s, err := a.State()
	if err != nil {
		return err
	}
	for _, scope := range messages.PauseScopes {
		if p, ok := s.Pauses[scope]; !ok || p.Until == 0 || p.Until > a.now() {
			continue
		}
		r := &durable.Request{Stamped: true}
		_, refusal := a.commit(ctx, r, nil, func(s *State, v *persistence.View) (*change, *messages.Error) {
			if p, ok := s.Pauses[scope]; !ok || p.Until == 0 || p.Until > a.now() {
				return nil, illegal("ended already")
			}
			return a.unpausing(v, scope), nil
		})
		if refusal != nil && refusal.Code != messages.CodeInvalidTransition {
			return refusal
		}
	}
	return nil
}
