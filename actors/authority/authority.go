package authority

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Config is what the authority of a node needs to know.
type Config struct {
	// Node is the name under which this node takes calls.
	Node messages.NodeID
	// Cluster gives the cluster's id.
	Cluster func() string
	// Wall is the node's clock.
	Wall func() time.Time
	// Open takes an envelope apart.
	Open func(envelope []byte) (*messages.Method, messages.Params, *messages.Envelope, *messages.Error)
	// Call makes a call in a caller's name, and gives its encoded result.
	Call func(ctx context.Context, m *messages.Method, p messages.Params, requestID string, as messages.Caller) ([]byte, *messages.Error)
	// Executed tells what a disbursement has paid, if it is executed.
	Executed func(id messages.DisbursementID) (amount messages.Amount, executed bool)
}

// Authority is one node's part in saying who may do what.
type Authority struct {
	cfg     Config
	store   *persistence.Store
	journal durable.Journal
	// state is the newest that was read.
	state atomic.Pointer[State]
}

// New returns a node's authority.
func New(cfg Config, store *persistence.Store, journal durable.Journal) *Authority {
	return &Authority{cfg: cfg, store: store, journal: journal}
}

func (a *Authority) now() uint64 { return uint64(a.cfg.Wall().Unix()) }

// State gives the state by what this node's Store has applied. It must not be changed.
func (a *Authority) State() (s *State, err error) {
	_, err = a.look(func(now *State, _ *persistence.View) { s = now })
	return s, err
}

// look shows the state, and the Store at the same index.
func (a *Authority) look(see func(*State, *persistence.View)) (index uint64, err error) {
	err = a.store.View(func(v *persistence.View) (err error) {
		index = v.Applied()
		change, _ := v.Get(ruleKey(ruleChange))
		s := a.state.Load()
		if s == nil || s.Version != change.Version {
			if s, err = read(v); err != nil {
				return err
			}
			a.state.Store(s)
		}
		see(s, v)
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("read who may do what: %w", err)
	}
	return index, nil
}

// Verify judges a signed call and gives its caller, with the roles it has.
func (a *Authority) Verify(c *messages.Signed) (messages.Caller, *messages.Error) {
	s, err := a.State()
	if err != nil {
		return messages.Caller{}, durable.ErrorOf(err)
	}
	if level := a.store.Level(); level < persistence.LevelNotes {
		return messages.Caller{}, messages.Errorf(messages.CodeUnavailable,
			"not done: not every node understands signed calls yet (feature level %d of %d); upgrade them all", level, persistence.LevelNotes)
	}
	o, refusal := s.Verify(c, a.cfg.Cluster(), a.now())
	if refusal != nil {
		return messages.Caller{}, refusal
	}
	signed := *c
	signed.Version, signed.KeyID = o.Version, o.KeyID
	return messages.Caller{Roles: o.RoleSet(), Name: o.Name, Signed: &signed}, nil
}

// Guard is what the calls of one burst are judged by, as long as they are not signed.
type Guard struct {
	authority *Authority
	state     *State
	now       uint64
}

// Guard gives the state that holds now.
func (a *Authority) Guard() (Guard, *messages.Error) {
	s, err := a.State()
	if err != nil {
		return Guard{}, durable.ErrorOf(err)
	}
	return Guard{authority: a, state: s, now: a.now()}, nil
}

// Admit judges a call that changes something: one that nobody has signed, and one whose
// matter is paused.
func (g Guard) Admit(m *messages.Method, p messages.Params, c messages.Caller) *messages.Error {
	if c.Signed == nil && g.state.Signatures == "required" {
		if refusal := g.state.Admit(m.Name, messages.Needed(m, p, c)); refusal != nil {
			return refusal
		}
	}
	if c.Signed == nil && len(g.state.Policies) > 0 { // else whoever does not sign needs nobody's approval
		action, amount := g.authority.action(m, p)
		if k, _ := g.state.Need(action, amount); k > 1 {
			return unauthorized("%s needs %d approvals here (%s), so it must be signed by an operator; see bursar keygen and --sign-with", m.Name, k, action)
		}
	}
	if len(g.state.Pauses) == 0 {
		return nil
	}
	for _, scope := range stoppedBy(m, p) {
		if pause, ok := g.state.Pauses[scope]; ok && (pause.Until == 0 || pause.Until > g.now) {
			return messages.Errorf(messages.CodeUnavailable, "not done: %s; an operator ends it with admin.unpause", pauseText(pause)).
				With("paused", scope)
		}
	}
	return nil
}

// stoppedBy are the scopes of which a call waits for each to be unpaused.
func stoppedBy(m *messages.Method, p messages.Params) []string {
	switch m.Name {
	case messages.MethodExecuteDisbursement:
		return []string{ScopeExecutor, ScopeTreasury}
	case messages.MethodQueueDisbursement:
		return []string{ScopeTreasury}
	case messages.MethodSubmitDisbursement, messages.MethodSubmitPlan:
		if messages.BypassesVote(p) {
			return []string{ScopeTreasury}
		}
	case messages.MethodSubmitReading, messages.MethodSubmitReadings, messages.MethodSettle:
		return []string{ScopeMarket}
	}
	return nil
}

// Vote judges who votes; see State.Vote.
func (a *Authority) Vote(by *messages.Signed, house messages.House, voter string, weight messages.PPM, began uint64) *messages.Error {
	s, err := a.State()
	if err != nil {
		return durable.ErrorOf(err)
	}
	return s.Vote(by, house, voter, weight, began, a.now())
}

// Right is what a signed call needs at its commit, and the note that is kept of it.
func (a *Authority) Right(c *messages.Signed, method, requestID string, reason string) durable.Right {
	if c == nil {
		return durable.Right{}
	}
	row := messages.AuditRow{
		At: a.now(), Who: c.Operator, What: "call", Path: method, Node: string(a.cfg.Node), Detail: reason,
		KeyID: c.KeyID, RequestID: requestID, Envelope: c.Envelope, Signature: c.Signature,
	}
	right := durable.Right{Conditions: []persistence.Condition{persistence.Unchanged(operatorKey(c.Operator), c.Version)}}
	if c.Granted != 0 {
		for _, by := range c.By {
			row.ApprovedBy = append(row.ApprovedBy, by.Operator)
			if by.Operator != c.Operator {
				right.Conditions = append(right.Conditions, persistence.Unchanged(operatorKey(by.Operator), by.Version))
			}
		}
		a.grant(c, &right)
	}
	right.Notes = noteOf(&row)
	return right
}

// Note is what is kept of a change that an operator makes without signing it: who it was, as
// far as the node knows. It needs nothing at its commit.
func (a *Authority) Note(who, method, requestID, reason string) durable.Right {
	if a.store.Level() < persistence.LevelNotes {
		return durable.Right{}
	}
	row := messages.AuditRow{At: a.now(), Who: who, What: "call", Path: method, Node: string(a.cfg.Node), Detail: reason, RequestID: requestID}
	return durable.Right{Notes: noteOf(&row)}
}

func noteOf(row *messages.AuditRow) []persistence.Append {
	return []persistence.Append{{Table: TableCalls, Tag: 1, Value: encode(0, row), Slots: indexSlot}}
}

// change is what shall be done to the authority.
type change struct {
	writes  []persistence.Write
	deletes []persistence.Key
	adds    []persistence.Add
	append  []persistence.Append
	also    []persistence.Condition
	// votes says that votes are registered, perhaps the first.
	votes bool
	// aside says that it changes nothing of State.
	aside bool
	// result answers it, by the number of what was appended; reply is how that is
	// remembered where nothing is.
	result func(first uint64) messages.Result
	reply  []byte
}

// recall reads what is remembered of a change: its reply, or the first row it appended.
type recall func(first uint64, reply []byte) (messages.Result, bool)

// commit decides on the state and has the decision committed. Whoever loses a race decides
// anew, until the caller gives up. A decision without a change is one already made.
func (a *Authority) commit(ctx context.Context, r *durable.Request, recall recall,
	decide func(*State, *persistence.View) (*change, *messages.Error),
) (messages.Result, *messages.Error) {
	for {
		var txn *persistence.Txn
		var c *change
		var refusal *messages.Error
		var first persistence.Remembered
		var repeated bool
		index, err := a.look(func(s *State, v *persistence.View) {
			if !r.Stamped {
				first, repeated = v.Request(r.ID)
			}
			if repeated {
				return
			}
			if c, refusal = decide(s, v); refusal == nil {
				txn = a.txn(s, r, c)
			}
		})
		switch {
		case err != nil:
			return nil, durable.ErrorOf(err)
		case repeated:
			return again(r, first.PayloadHash, first.First, first.Reply, recall)
		case refusal != nil:
			return nil, refusal
		}
		result, err := persistence.Commit(ctx, a.journal, persistence.Proposal{Txn: txn, Priority: persistence.High})
		if refusal := durable.RefusalOf(persistence.Outcome{Result: result, Err: err}); refusal != nil {
			return nil, refusal
		}
		switch result.Status {
		case persistence.Committed:
			_ = a.store.Wait(ctx, result.Index) // it is done, even if the caller has left
			return c.result(result.First), nil
		case persistence.Duplicate:
			return again(r, r.Hash, result.First, result.Reply, recall)
		default:
		}
		if err := a.store.Wait(ctx, index+1); err != nil { // somebody was faster
			return nil, durable.ErrorOf(err)
		}
	}
}

// again answers a repeat from what is remembered.
func again(r *durable.Request, hash [16]byte, first uint64, reply []byte, recall recall) (messages.Result, *messages.Error) {
	if hash == r.Hash {
		if result, ok := recall(first, reply); ok {
			return result, nil
		}
	}
	return nil, durable.RequestIDConflict()
}

// txn carries out a change, provided that nothing of the state has changed.
func (a *Authority) txn(s *State, r *durable.Request, c *change) *persistence.Txn {
	txn := &persistence.Txn{Writes: c.writes, Deletes: c.deletes, Adds: c.adds, Appends: c.append, Conditions: c.also, StampedAt: a.cfg.Wall().UnixMilli()}
	key := ruleKey(ruleChange)
	same := persistence.VersionIs(key, s.Version)
	if s.Version == 0 {
		same = persistence.Absent(key)
	}
	txn.Conditions = append(txn.Conditions, same)
	if !c.aside {
		mark := persistence.Write{Key: key, Tag: 1, Value: binary.BigEndian.AppendUint64(nil, s.Electorate)}
		if c.votes && s.Electorate == 0 {
			mark.Slots = indexSlot
		}
		txn.Writes = append(txn.Writes, mark)
	}
	r.Remember(txn, c.reply)
	return txn
}
