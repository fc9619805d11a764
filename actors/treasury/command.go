package treasury

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Command is a request about one disbursement that exists or may exist: a vote, a
// rollback, the next step. Its disbursement's own actor carries it out.
type Command interface {
	durable.Command
	target() messages.DisbursementID
	// decide turns the request into what shall be committed, or refuses it.
	decide(e *entity, r rows.Stored, facts disbursement.Facts) (decision, *messages.Error)
}

// decision is what a command wants to have committed.
type decision struct {
	move disbursement.Move
	// before, if not 0, is an epoch that the treasury's clock must not have reached
	// at the commit: a vote's deadline, the end of a rollback window.
	before messages.Epoch
	// also must hold at the commit.
	also []persistence.Condition
	// due says that the move is one that epochs bring about.
	due bool
	// claim, if not empty, is a row that must not exist, and exists from then on.
	claim persistence.Key
	// beside is written with the record.
	beside []persistence.Write
	// result answers the command once it is committed; reply is how it is remembered.
	result any
	reply  []byte
}

// disbursements is the kind of the disbursements' own actors.
var disbursements = durable.Kind{Name: "disbursement", Idle: 30 * time.Second, QueueMax: 256, TriesMax: 16}

// entity is one disbursement as its own actor sees it.
type entity struct {
	deps
	id        messages.DisbursementID
	recovered bool // its record was read
}

// The names that make up the path of a disbursement's actor.
const (
	rootName     = "treasury"
	entityPrefix = "disbursement-"
)

func shardName(shard messages.ShardID) string { return fmt.Sprintf("shard-%02d", shard) }

func entityName(id messages.DisbursementID) string {
	return entityPrefix + strconv.FormatUint(uint64(id), 10)
}

// DisbursementAt is the disbursement whose actor has a path, if it is one of those,
// whether or not there is such a disbursement.
func (t *Treasury) DisbursementAt(path string) (messages.DisbursementID, bool) {
	number, err := strconv.ParseUint(path[strings.LastIndexByte(path, '-')+1:], 10, 64)
	id := messages.DisbursementID(number)
	return id, err == nil && id > 0 && path == "/"+rootName+"/"+shardName(t.ShardOf(id))+"/"+entityName(id)
}

// Decide implements durable.Entity.
func (e *entity) Decide(commands []durable.Command) (none durable.Change, err error) {
	c := commands[0].(Command)
	r := c.Base()
	record, ok, err := e.load(e.id)
	if !e.recovered {
		e.recovered = err == nil
		e.stats.Recovered(err)
	}
	switch {
	case err != nil:
		return none, err
	case !ok:
		r.Fail(rows.NotFound(e.id))
		return none, nil
	}
	if queue, ok := c.(*Queue); ok && record.Record.AwaitsExecution() {
		// The executor's to do, and it refuses where it is not active.
		e.host.SendRequest(e.cfg.ExecutorShard(), &executor.Execute{Request: *r, ID: queue.ID})
		return none, nil
	}
	facts, err := e.facts()
	if err != nil {
		return none, err
	}
	d, refusal := c.decide(e, record, facts)
	if refusal != nil {
		r.Fail(refusal)
		return none, nil
	}
	return durable.Change{Txn: d.txn(&record), Reply: d.reply, Done: func(persistence.Result) {
		e.count(c, &d)
		r.Reply(d.result)
	}}, nil
}

// txn carries the decision about a record out.
func (d *decision) txn(r *rows.Stored) *persistence.Txn {
	txn := rows.MoveTxn(rows.Write{ID: r.ID, Version: r.Version, Move: d.move})
	if d.before != 0 {
		txn.Conditions = append(txn.Conditions, rows.EpochBefore(d.before))
	}
	txn.Conditions = append(txn.Conditions, d.also...)
	if d.claim != "" {
		txn.Conditions = append(txn.Conditions, persistence.Absent(d.claim))
		txn.Writes = append(txn.Writes, persistence.Write{Key: d.claim})
	}
	txn.Writes = append(txn.Writes, d.beside...)
	return txn
}

// count counts a command that was carried out.
func (e *entity) count(c Command, d *decision) {
	if d.move.Transition() {
		e.stats.Stepped(d.move.To, d.due)
	}
	if s, ok := c.(*step); ok && !s.due {
		e.stats.RolledBackDependencies.Add(1)
	}
}

// transition is the decision for a move that a caller asked for.
func transition(id messages.DisbursementID, move disbursement.Move) decision {
	result := &messages.TransitionResult{ID: id, State: move.To}
	return decision{move: move, result: result, reply: rows.TransitionReply.Encode(result)}
}

// Vote counts a vote.
type Vote struct {
	durable.Request
	ID     messages.DisbursementID
	Vote   disbursement.Vote
	Reason string
}

func (c *Vote) target() messages.DisbursementID { return c.ID }

// Recall implements durable.Command.
func (c *Vote) Recall(reply []byte) (any, bool) { return recallVote(c.ID, reply) }

func (c *Vote) decide(e *entity, r rows.Stored, facts disbursement.Facts) (decision, *messages.Error) {
	if refusal := e.electorate(c, &r.Record); refusal != nil {
		return decision{}, refusal
	}
	record, refusal := disbursement.CastVote(r.Record, c.Vote, facts)
	if refusal != nil {
		return decision{}, refusal
	}
	if r.Version >= disbursement.CastsMax {
		return decision{}, messages.Errorf(messages.CodeValidationFailed,
			"votes were cast and changed %d times, no more are taken", disbursement.CastsMax)
	}
	cast := disbursement.Cast{Vote: c.Vote, At: facts.Now, Node: facts.Node, Who: c.By.By(c.Who), Reason: c.Reason}
	result := &messages.VoteResult{
		ID: r.ID, OperatorsPPM: record.Approval(messages.Operators), BuildersPPM: record.Approval(messages.Builders),
	}
	return decision{
		move:   disbursement.Move{Record: record, From: record.State, To: record.State},
		before: record.VoteDeadlineEpoch,
		beside: []persistence.Write{{Key: rows.CastKey(r.ID, r.Version), Value: disbursement.AppendCast(nil, &cast)}},
		also:   c.entitled(),
		result: result, reply: voteReply.Encode(result),
	}, nil
}

// electorate judges whether the caller may vote so.
func (e *entity) electorate(c *Vote, r *disbursement.Record) *messages.Error {
	if e.cfg.Electorate == nil {
		return nil
	}
	began, _ := r.Entered(messages.Voting)
	return e.cfg.Electorate(c.By.Signed, c.Vote.House, c.Vote.Voter, c.Vote.WeightPPM, began.Index)
}

// entitled must hold of a vote that nobody has signed: no votes are registered. One that is
// signed carries the right of its operator.
func (c *Vote) entitled() []persistence.Condition {
	if c.By.Signed != nil {
		return nil
	}
	return []persistence.Condition{persistence.CounterBelow(authority.CounterElectorate, 1)}
}

// Rollback cancels a disbursement, or takes an executed one back.
type Rollback struct {
	durable.Request
	ID       messages.DisbursementID
	Reversal disbursement.Reversal

	// verified says that the chain has confirmed Reversal.ReversingTx: VerifyReversal.
	verified bool
}

func (c *Rollback) target() messages.DisbursementID { return c.ID }

// Recall implements durable.Command.
func (c *Rollback) Recall(reply []byte) (any, bool) { return rows.RecallTransition(c.ID, reply) }

func (c *Rollback) decide(e *entity, r rows.Stored, facts disbursement.Facts) (decision, *messages.Error) {
	payee, err := e.host.Store.Counter(rows.CounterAccount(r.Record.Payload.Disbursement.Destination))
	if err != nil {
		return decision{}, durable.ErrorOf(err)
	}
	facts.Payee = messages.Amount(payee)
	move, refusal := disbursement.Rollback(r.Record, facts, c.Reversal)
	if refusal != nil {
		return decision{}, refusal
	}
	d := transition(r.ID, move)
	if d.claim, refusal = c.claim(e, &r); refusal != nil {
		return decision{}, refusal
	}
	if end, ok := disbursement.DueEpoch(r.Record); ok && move.From == messages.Executed {
		d.before = end
	}
	return d, nil
}

// Queue takes a disbursement's next step now. One that awaits its execution is the
// executor's to take: see Execute.
type Queue struct {
	durable.Request
	ID messages.DisbursementID
}

func (c *Queue) target() messages.DisbursementID { return c.ID }

// Recall implements durable.Command.
func (c *Queue) Recall(reply []byte) (any, bool) { return rows.RecallTransition(c.ID, reply) }

func (c *Queue) decide(_ *entity, r rows.Stored, facts disbursement.Facts) (decision, *messages.Error) {
	move, refusal := disbursement.Queue(r.Record, facts)
	if refusal != nil {
		return decision{}, refusal
	}
	d := transition(r.ID, move)
	d.due = true
	return d, nil
}

// voteReply is how the answer to a vote is kept with its request id.
var voteReply = durable.Reply[messages.VoteResult]{
	Kind: "vote", Repeat: func(r *messages.VoteResult) { r.Duplicate = true },
}

// oldVoteBytes is how long the answer to a vote was before replies bore the name of their
// kind: what each house approves after it.
const oldVoteBytes = 16

// recallVote reads the remembered answer to a vote.
func recallVote(id messages.DisbursementID, reply []byte) (any, bool) {
	if len(reply) == oldVoteBytes {
		return &messages.VoteResult{
			ID:           id,
			OperatorsPPM: messages.PPM(binary.BigEndian.Uint64(reply)),
			BuildersPPM:  messages.PPM(binary.BigEndian.Uint64(reply[8:])),
			Duplicate:    true,
		}, true
	}
	result, ok := voteReply.Recall(reply)
	return result, ok
}
