package treasury

import (
	"encoding/binary"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Command is a request about one disbursement that exists or may exist: a vote, a
// rollback, the next step. Its disbursement's own actor carries it out.
type Command interface {
	request() *Request
	target() messages.DisbursementID
	// decide turns the request into what shall be committed, or refuses it.
	decide(e *entity, r stored, facts disbursement.Facts) (decision, *messages.Error)
}

// decision is what a command wants to have committed.
type decision struct {
	move disbursement.Move
	// before, if not 0, is an epoch that the treasury's clock must not have reached
	// at the commit: a vote's deadline, the end of a rollback window.
	before messages.Epoch
	// due says that the move is one that epochs bring about.
	due bool
	// claim, if not empty, is a row that must not exist, and exists from then on.
	claim persistence.Key
	// result answers the command once it is committed.
	result commandResult
}

// commandResult is an answer that is remembered with its request id.
type commandResult interface {
	// remember encodes the answer, in at most persistence.ReplyBytesMax bytes.
	remember() []byte
	// answer gives the result as the caller sees it.
	answer(duplicate bool) any
}

// Vote counts a vote.
type Vote struct {
	Request
	ID   messages.DisbursementID
	Vote disbursement.Vote
}

// Rollback cancels a disbursement, or takes an executed one back.
type Rollback struct {
	Request
	ID       messages.DisbursementID
	Reversal disbursement.Reversal

	// verified says that the chain has confirmed Reversal.ReversingTx: VerifyReversal.
	verified bool
}

// Queue takes a disbursement's next step now. One that awaits its execution is the
// executor's to take: see Execute.
type Queue struct {
	Request
	ID messages.DisbursementID
}

func (c *Vote) request() *Request     { return &c.Request }
func (c *Rollback) request() *Request { return &c.Request }
func (c *Queue) request() *Request    { return &c.Request }

func (c *Vote) target() messages.DisbursementID     { return c.ID }
func (c *Rollback) target() messages.DisbursementID { return c.ID }
func (c *Queue) target() messages.DisbursementID    { return c.ID }

func (c *Vote) decide(e *entity, r stored, facts disbursement.Facts) (decision, *messages.Error) {
	record, refusal := disbursement.CastVote(r.record, c.Vote, facts)
	if refusal != nil {
		return decision{}, refusal
	}
	return decision{
		move:   disbursement.Move{Record: record, From: record.State, To: record.State},
		before: record.VoteDeadlineEpoch,
		result: &voteResult{
			id:        r.id,
			operators: record.Approval(messages.Operators),
			builders:  record.Approval(messages.Builders),
		},
	}, nil
}

func (c *Rollback) decide(e *entity, r stored, facts disbursement.Facts) (decision, *messages.Error) {
	payee, err := e.store.Counter(CounterAccount(r.record.Payload.Disbursement.Destination))
	if err != nil {
		return decision{}, errorOf(err)
	}
	facts.Payee = messages.Amount(payee)
	move, refusal := disbursement.Rollback(r.record, facts, c.Reversal)
	if refusal != nil {
		return decision{}, refusal
	}
	d := decision{move: move, result: &transitionResult{r.id, move.To}}
	if d.claim, refusal = c.claim(e, &r); refusal != nil {
		return decision{}, refusal
	}
	if end, ok := disbursement.DueEpoch(r.record); ok && move.From == messages.Executed {
		d.before = end
	}
	return d, nil
}

func (c *Queue) decide(e *entity, r stored, facts disbursement.Facts) (decision, *messages.Error) {
	move, refusal := disbursement.Queue(r.record, facts)
	if refusal != nil {
		return decision{}, refusal
	}
	return decision{move: move, due: true, result: &transitionResult{r.id, move.To}}, nil
}

// transitionResult answers what moved a disbursement.
type transitionResult struct {
	id    messages.DisbursementID
	state messages.State
}

func (t *transitionResult) remember() []byte { return []byte{byte(t.state)} }

func (t *transitionResult) answer(duplicate bool) any {
	return &messages.TransitionResult{ID: t.id, State: t.state, Duplicate: duplicate}
}

// voteResult answers a vote: what each house approves after it.
type voteResult struct {
	id                  messages.DisbursementID
	operators, builders messages.PPM
}

func (v *voteResult) remember() []byte {
	b := binary.BigEndian.AppendUint64(nil, uint64(v.operators))
	return binary.BigEndian.AppendUint64(b, uint64(v.builders))
}

func (v *voteResult) answer(duplicate bool) any {
	return &messages.VoteResult{ID: v.id, OperatorsPPM: v.operators, BuildersPPM: v.builders, Duplicate: duplicate}
}

// recall reads what remember wrote; nil for bytes of neither kind.
func recall(id messages.DisbursementID, reply []byte) commandResult {
	switch len(reply) {
	case 1:
		return &transitionResult{id, messages.State(reply[0])}
	case 16:
		return &voteResult{
			id:        id,
			operators: messages.PPM(binary.BigEndian.Uint64(reply)),
			builders:  messages.PPM(binary.BigEndian.Uint64(reply[8:])),
		}
	}
	return nil
}

// repeat answers a request that was committed before, from what is remembered.
func repeat(r *Request, id messages.DisbursementID, reply []byte) {
	if result := recall(id, reply); result != nil {
		r.Reply(result.answer(true))
		return
	}
	r.Fail(messages.Errorf(messages.CodeInternal, "the first result of this request_id cannot be read"))
}

// answerRepeat answers a request whose id was committed before, and reports
// whether it was. The owner looks before it decides: what was right to do then may
// be wrong now.
func (d *deps) answerRepeat(r *Request, id messages.DisbursementID) (bool, error) {
	if r.Stamped {
		return false, nil
	}
	first, ok, err := d.store.Request(r.ID)
	if err != nil || !ok {
		return false, err
	}
	if first.PayloadHash != r.Hash {
		r.Fail(requestIDConflict())
		return true, nil
	}
	repeat(r, id, first.Reply)
	return true, nil
}

// unmet names the lowest of a record's dependencies that is not final, 0 if all are.
func (d *deps) unmet(ids []messages.DisbursementID) (messages.DisbursementID, error) {
	for _, id := range ids {
		value, ok, err := d.store.Get(recordKey(id))
		if err != nil {
			return 0, err
		}
		if !ok || messages.State(value.Tag) != messages.Finalized {
			return id, nil
		}
	}
	return 0, nil
}

func notFound(id messages.DisbursementID) *messages.Error {
	return messages.Errorf(messages.CodeNotFound, "there is no disbursement %d", id)
}
