package authority

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"slices"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// action is what approvals may be needed for, and what it moves; an empty one is none.
func (a *Authority) action(m *messages.Method, params messages.Params) (action string, amount messages.Amount) {
	switch p := params.(type) {
	case *messages.SubmitDisbursementParams:
		if messages.BypassesVote(p) {
			return "pay_without_vote", p.Payload.Disbursement.Amount
		}
	case *messages.PlanParams:
		for i := range p.Items {
			if p.Items[i].Payload.Proposal == nil {
				action = "pay_without_vote"
				amount = min(amount+p.Items[i].Payload.Disbursement.Amount, messages.AmountMax)
			}
		}
		return action, amount
	case *messages.AccrueParams:
		return "accrue", p.Amount
	case *messages.RollbackParams:
		if amount, executed := a.cfg.Executed(p.ID); executed {
			return "rollback_executed", amount
		}
	}
	return actions[m.Name], 0
}

// actions are those that a method alone tells.
var actions = map[string]string{
	messages.MethodSkipIntent:      "skip_intent",
	messages.MethodUnpause:         "resume",
	messages.MethodResume:          "resume",
	messages.MethodForceOpen:       "force_breaker",
	messages.MethodForceClose:      "force_breaker",
	messages.MethodReset:           "force_breaker",
	messages.MethodSettingsSet:     "settings",
	messages.MethodSetPolicy:       "settings",
	messages.MethodEnergySettings:  "settings",
	messages.MethodOperatorsAdd:    "operators",
	messages.MethodOperatorsRotate: "operators",
	messages.MethodOperatorsRevoke: "operators",
	messages.MethodEpochAdvance:    "epoch_advance",
}

// Holds reports whether a signed call waits for more approvals than its author's. One that
// was carried out before does not: it is told what it was told.
func (a *Authority) Holds(m *messages.Method, p messages.Params, requestID string) bool {
	action, amount := a.action(m, p)
	if action == "" {
		return false
	}
	needs := false
	_, err := a.look(func(s *State, v *persistence.View) {
		if k, _ := s.Need(action, amount); k > 1 {
			_, done := v.Request(requestID)
			needs = !done
		}
	})
	return needs || err != nil // Hold tells the error
}

// Hold keeps a signed call that needs more approvals than its author's, and answers how
// many it has and needs. held is false if it needs none any more.
func (a *Authority) Hold(ctx context.Context, r durable.Request, m *messages.Method, p messages.Params) (result messages.Result, held bool, refusal *messages.Error) {
	signed := r.By.Signed
	action, amount := a.action(m, p)
	s, err := a.State()
	if err != nil {
		return nil, true, durable.ErrorOf(err)
	}
	if k, _ := s.Need(action, amount); k <= 1 {
		return nil, false, nil
	}
	hash := sha256.Sum256(signed.Envelope)
	// The call's own request id is its execution's.
	r.ID, r.Hash = "~held "+hex.EncodeToString(hash[:24]), [16]byte(hash[:16])
	result, refusal = a.commit(ctx, &r, a.recallHeld, func(s *State, v *persistence.View) (*change, *messages.Error) {
		k, role := s.Need(action, amount)
		now := a.now()
		if v.Counter(CounterWaiting) >= messages.PendingMax {
			return nil, durable.Overloaded("10,000 calls wait for approvals, the most there may be; withdraw some")
		}
		if n := s.holders(roleOf(role), now); n < k {
			return nil, illegal("%s needs %d approvals, and %d operators could give one", action, k, n)
		}
		info := messages.PendingInfo{
			Method: m.Name, Action: action, Amount: amount, Operator: signed.Operator, Reason: messages.ReasonOf(p), RequestHash: hash[:],
			Approved: []string{signed.Operator}, Need: k, Role: role,
			CreatedAt: now, ExpiresAt: now + messages.ApprovalSeconds, Envelope: signed.Envelope,
		}
		have := uint64(len(s.Approvals(info.Approved, role, now)))
		return &change{
			aside: true, append: []persistence.Append{{Table: TablePending, Tag: tagWaiting, Value: encode(0, &info), Slots: indexSlot}},
			adds: []persistence.Add{{Counter: CounterWaiting, Delta: 1, Max: messages.PendingMax}},
			result: func(first uint64) messages.Result {
				return &messages.ApproveResult{Pending: first, Have: have, Need: k, State: "waiting"}
			},
		}, nil
	})
	return result, true, refusal
}

// recallHeld answers a call that was held before with how it stands now.
func (a *Authority) recallHeld(first uint64, _ []byte) (messages.Result, bool) {
	var result *messages.ApproveResult
	_, err := a.look(func(s *State, v *persistence.View) {
		if p, ok, err := pendingAt(v, first); ok && err == nil {
			result = p.stands(s, a.now())
			result.Duplicate = true
		}
	})
	return result, err == nil && result != nil
}

// pending is a call that waits, as its row says.
type pending struct {
	messages.PendingInfo
	version uint64
	tag     byte
}

func pendingAt(v *persistence.View, id uint64) (p pending, ok bool, err error) {
	value, ok := v.Get(pendingKey(id))
	if !ok {
		return p, false, nil
	}
	_, err = decode(value.Data, &p.PendingInfo)
	p.ID, p.version, p.tag = id, value.Version, value.Tag
	return p, true, err
}

// state is the word for how it stands.
func (p *pending) state(now uint64) string {
	switch {
	case p.tag == tagDone:
		return "done"
	case p.tag == tagWithdrawn:
		return "withdrawn"
	case now >= p.ExpiresAt:
		return "expired"
	}
	return "waiting"
}

// stands is how it stands.
func (p *pending) stands(s *State, now uint64) *messages.ApproveResult {
	return &messages.ApproveResult{
		Pending: p.ID, Have: uint64(len(s.Approvals(p.Approved, p.Role, now))), Need: p.needs(s), State: p.state(now),
	}
}

// needs is how many approvals it needs: as many as when it was asked for, and more if the
// policy asks for more by now.
func (p *pending) needs(s *State) uint64 {
	k, _ := s.Need(p.Action, p.Amount)
	return max(p.Need, k)
}

// waits refuses what is not waiting any more.
func (p *pending) waits(now uint64) *messages.Error {
	if state := p.state(now); state != "waiting" {
		return illegal("call %d is %s", p.ID, state)
	}
	return nil
}

func notPending(id uint64) *messages.Error {
	return messages.Errorf(messages.CodeNotFound, "no call waits under the number %d; see approvals.list", id)
}

var approveReply = durable.Reply[messages.ApproveResult]{
	Kind: "approval", Repeat: func(r *messages.ApproveResult) { r.Duplicate = true },
}

func recallApproval(_ uint64, reply []byte) (messages.Result, bool) {
	return recalled(approveReply.Recall(reply))
}

// recalled makes a result of a typed one.
func recalled[R any](r *R, ok bool) (messages.Result, bool) { return messages.Result(r), ok }

// Approve counts an approval. The last that is needed carries the call out.
func (a *Authority) Approve(ctx context.Context, r *durable.Request, p *messages.ApproveParams) (messages.Result, *messages.Error) {
	by := r.By.Signed
	if by == nil {
		return nil, unauthorized("%s must be signed by an operator; use --sign-with", messages.MethodApprovalsApprove)
	}
	var call *pending
	var as *messages.Signed
	var refusal *messages.Error
	if _, err := a.look(func(s *State, v *persistence.View) { call, as, refusal = a.complete(s, v, by, p) }); err != nil {
		return nil, durable.ErrorOf(err)
	}
	switch {
	case refusal != nil:
		return nil, refusal
	case as != nil:
		return a.carryOut(ctx, call, as)
	}
	return a.commit(ctx, r, recallApproval, func(s *State, v *persistence.View) (*change, *messages.Error) {
		call, as, refusal := a.complete(s, v, by, p)
		switch {
		case refusal != nil:
			return nil, refusal
		case as != nil: // somebody else's came in between
			return nil, durable.Overloaded("another approval came at the same moment")
		}
		call.Approved = append(call.Approved, by.Operator)
		return call.rewritten(s, a.now(), tagWaiting), nil
	})
}

// neverVersion is that of no row: a call with it is answered if it is remembered, and cannot be
// carried out.
const neverVersion = math.MaxUint64

// complete judges an approval. With it the call is complete if as is not nil: that is in
// whose name it is carried out. So it is for one that was carried out with it.
func (a *Authority) complete(s *State, v *persistence.View, by *messages.Signed, p *messages.ApproveParams) (*pending, *messages.Signed, *messages.Error) {
	call, ok, err := pendingAt(v, p.ID)
	now := a.now()
	switch mine := slices.Contains(call.Approved, by.Operator); {
	case err != nil:
		return nil, nil, durable.ErrorOf(err)
	case !ok:
		return nil, nil, notPending(p.ID)
	case string(p.RequestHash[:]) != string(call.RequestHash):
		return nil, nil, invalid("params.request_hash: call %d is another: its envelope's SHA-256 is %x", p.ID, call.RequestHash)
	case mine && call.tag == tagDone:
		return &call, &messages.Signed{Operator: call.Operator, Envelope: call.Envelope, Version: neverVersion}, nil
	case mine:
		return nil, nil, illegal("%s has approved call %d already; each operator counts once", by.Operator, p.ID)
	}
	if refusal := call.waits(now); refusal != nil {
		return nil, nil, refusal
	}
	approved := append(slices.Clone(call.Approved), by.Operator)
	counting := s.Approvals(approved, call.Role, now)
	author := s.Operators[call.Operator]
	switch {
	case !slices.Contains(counting, by.Operator):
		return nil, nil, unauthorized("approving %s needs the role %s, which %s does not have", call.Action, call.Role, by.Operator)
	case author == nil || !author.active(now):
		return nil, nil, illegal("%s, who asked for call %d, is an active operator no more", call.Operator, p.ID)
	case uint64(len(counting)) < call.needs(s):
		return &call, nil, nil
	}
	as := &messages.Signed{
		Operator: author.Name, KeyID: author.KeyID, Version: author.Version, Envelope: call.Envelope,
		Granted: call.ID, GrantedVersion: call.version,
	}
	for _, name := range counting {
		as.By = append(as.By, messages.Approver{Operator: name, Version: s.Operators[name].Version})
	}
	done := call.PendingInfo
	done.ID, done.Approved = 0, approved
	as.GrantedRow = encode(0, &done)
	return &call, as, nil
}

// grant marks a call that waited as done, once.
func (a *Authority) grant(c *messages.Signed, right *durable.Right) {
	right.Conditions = append(right.Conditions, persistence.Unchanged(pendingKey(c.Granted), c.GrantedVersion))
	right.Writes = []persistence.Write{{Key: pendingKey(c.Granted), Tag: tagDone, Value: c.GrantedRow}}
	right.Adds = []persistence.Add{{Counter: CounterWaiting, Delta: -1, Max: messages.PendingMax}}
}

// carryOut makes the call that has all its approvals.
func (a *Authority) carryOut(ctx context.Context, call *pending, as *messages.Signed) (messages.Result, *messages.Error) {
	m, p, envelope, refusal := a.cfg.Open(call.Envelope)
	if refusal != nil {
		return nil, refusal
	}
	s, err := a.State()
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	caller := messages.Caller{Name: as.Operator, Signed: as}
	if o := s.Operators[as.Operator]; o != nil {
		caller.Roles = o.RoleSet()
	}
	if refusal := messages.Allowed(m, p, caller); refusal != nil {
		return nil, refusal
	}
	result, refusal := a.cfg.Call(ctx, m, p, envelope.RequestID, caller)
	if refusal != nil {
		return nil, refusal
	}
	need := call.needs(s)
	return &messages.ApproveResult{Pending: call.ID, Have: need, Need: need, State: "done", Result: result, Duplicate: call.tag == tagDone}, nil
}

// rewritten is the change by which the row of a call becomes what it says now.
func (p *pending) rewritten(s *State, now uint64, tag byte) *change {
	info := p.PendingInfo
	info.ID = 0
	p.tag = tag
	result := p.stands(s, now)
	c := &change{
		aside: true, also: []persistence.Condition{persistence.VersionIs(pendingKey(p.ID), p.version)},
		writes: []persistence.Write{{Key: pendingKey(p.ID), Tag: tag, Value: encode(0, &info)}},
		result: func(uint64) messages.Result { return result }, reply: approveReply.Encode(result),
	}
	if tag != tagWaiting {
		c.adds = []persistence.Add{{Counter: CounterWaiting, Delta: -1, Max: messages.PendingMax}}
	}
	return c
}

// Withdraw takes a call back, as its author, or one's own approval of it. One that has
// expired anybody may clear away.
func (a *Authority) Withdraw(ctx context.Context, r *durable.Request, p *messages.WithdrawParams) (messages.Result, *messages.Error) {
	by := r.By.Signed
	if by == nil {
		return nil, unauthorized("%s must be signed by an operator; use --sign-with", messages.MethodWithdraw)
	}
	return a.commit(ctx, r, recallApproval, func(s *State, v *persistence.View) (*change, *messages.Error) {
		call, ok, err := pendingAt(v, p.ID)
		now := a.now()
		switch {
		case err != nil:
			return nil, durable.ErrorOf(err)
		case !ok:
			return nil, notPending(p.ID)
		case call.tag != tagWaiting:
			return nil, illegal("call %d is %s", p.ID, call.state(now))
		case call.Operator == by.Operator || now >= call.ExpiresAt:
			return call.rewritten(s, now, tagWithdrawn), nil
		case !slices.Contains(call.Approved, by.Operator):
			return nil, unauthorized("%s has neither asked for call %d nor approved it", by.Operator, p.ID)
		}
		call.Approved = slices.DeleteFunc(call.Approved, func(name string) bool { return name == by.Operator })
		return call.rewritten(s, now, tagWaiting), nil
	})
}

// Pending lists the calls that wait, oldest first.
func (a *Authority) Pending(page messages.Page) (*messages.PendingListResult, *messages.Error) {
	result := &messages.PendingListResult{}
	size := 0
	index, err := a.look(func(_ *State, v *persistence.View) {
		last := v.Last(TablePending)
		for id, seen := uint64(page.Cursor)+1, 0; id <= last; id, seen = id+1, seen+1 {
			if uint64(len(result.Pending)) == page.Limit || size > messages.ReplyMax || seen == persistence.ViewRowsMax/2 {
				result.NextCursor = messages.Cursor(id - 1)
				return
			}
			p, ok, err := pendingAt(v, id)
			if err != nil || !ok || p.tag != tagWaiting {
				continue
			}
			p.State, p.Envelope = p.state(a.now()), nil
			result.Pending = append(result.Pending, p.PendingInfo)
			size += 256
		}
	})
	if err != nil {
		return nil, durable.ErrorOf(err)
	}
	result.AppliedIndex = index
	return result, nil
}

// Get gives one call that waits, or waited.
func (a *Authority) Get(p *messages.PendingParams) (*messages.PendingResult, *messages.Error) {
	result := &messages.PendingResult{}
	found := false
	index, err := a.look(func(_ *State, v *persistence.View) {
		var call pending
		if call, found, _ = pendingAt(v, p.ID); found {
			call.State = call.state(a.now())
			result.Pending = call.PendingInfo
		}
	})
	switch {
	case err != nil:
		return nil, durable.ErrorOf(err)
	case !found:
		return nil, notPending(p.ID)
	}
	result.AppliedIndex = index
	return result, nil
}
