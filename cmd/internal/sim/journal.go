package sim

import (
	"slices"
	"time"

	"github.com/the-block/bursar/persistence"
)

const (
	lingerMax   = 2 * time.Millisecond
	proposalMax = 400 * time.Millisecond // without word, the outcome is unknown
)

// journal takes a node's proposals, has them put into the log by whoever leads, and
// brings back what became of them.
type journal struct {
	n       *node
	queue   []proposal
	flushed bool // a flush is on its way
	sent    []*sending
	// owed are batches of others in this leader's log, by their uid: who is to be told.
	owed map[uint64]int
}

// proposal is one Txn on its way. done, if not nil, is told the outcome; else
// the sink is.
type proposal struct {
	txn   *persistence.Txn
	sink  persistence.Sink
	token uint64
	early bool // a yes may be told before this node has applied it
	told  bool
	done  func(persistence.Outcome)
}

// sending is a batch that was given to a leader.
type sending struct {
	uid       uint64
	at        time.Duration
	proposals []proposal
	// index and results are what the leader has told; the outcome waits until this node
	// has applied that far.
	index   uint64
	results []persistence.Result
}

func newJournal(n *node) journal { return journal{n: n, owed: make(map[uint64]int)} }

// Propose implements durable.Journal.
func (j *journal) Propose(p persistence.Proposal) error {
	j.add(proposal{txn: p.Txn, sink: p.Sink, token: p.Token, early: p.Early})
	return nil
}

// own proposes for the node itself.
func (j *journal) own(txn *persistence.Txn, done func(persistence.Outcome)) {
	j.add(proposal{txn: txn, done: done})
}

func (j *journal) add(p proposal) {
	j.n.stamp(p.txn)
	j.queue = append(j.queue, p)
	if j.flushed {
		return
	}
	j.flushed = true
	n, boot := j.n, j.n.boot
	n.w.after(n.w.between(0, lingerMax), func() {
		n.deliver(func(n *node) {
			if n.boot == boot {
				n.journal.flush()
			}
		})
	})
}

// flush makes one batch of what waits and gives it to the leader, if one is known.
func (j *journal) flush() {
	n := j.n
	j.flushed = false
	s := &sending{uid: n.w.monitor.number(), at: n.w.now, proposals: j.queue}
	j.queue = nil
	if n.raft.leader < 0 {
		j.end(s, persistence.Outcome{Err: persistence.ErrUnavailable})
		return
	}
	b, err := n.w.batch(s)
	if err != nil {
		n.w.fail("%s proposes what the log cannot hold: %w", n.name, err)
		return
	}
	j.sent = append(j.sent, s)
	if n.raft.role == leading {
		n.raft.append(b)
		return
	}
	from := n.id
	// A call is made once: its transport does not say it twice.
	n.w.send(n.id, n.raft.leader, false, func(leader *node) {
		if leader.raft.role != leading {
			leader.refuse(from, b.uid)
			return
		}
		leader.journal.owed[b.uid] = from
		leader.raft.append(b)
	})
}

// refuse tells a node that its batch was certainly not taken.
func (n *node) refuse(to int, uid uint64) {
	n.w.send(n.id, to, false, func(n *node) {
		if s := n.journal.remove(uid); s != nil {
			n.journal.end(s, persistence.Outcome{Err: persistence.ErrUnavailable})
		}
	})
}

// batch makes the log's bytes. What a mutant leaves out is left out here, and only
// here: the monitor knows what should be there.
func (w *world) batch(s *sending) (*batch, error) {
	b := &batch{uid: s.uid}
	encoded := make([][]byte, 0, len(s.proposals))
	for _, p := range s.proposals {
		data, err := persistence.AppendTxn(nil, w.mutant.mutate(p.txn))
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, data)
		b.txns = append(b.txns, p.txn)
	}
	b.data = persistence.AppendBatch(nil, encoded...)
	return b, nil
}

// applied is told of every entry that this node has applied.
func (j *journal) applied(uid, index uint64, results []persistence.Result) {
	if to, owed := j.owed[uid]; owed {
		delete(j.owed, uid)
		j.n.w.send(j.n.id, to, false, func(n *node) { n.journal.told(uid, index, results) })
	}
	if j.n.raft.role == leading {
		j.told(uid, index, results)
	}
}

// told notes a verdict.
func (j *journal) told(uid, index uint64, results []persistence.Result) {
	for _, s := range slices.Clone(j.sent) {
		if s.uid != uid {
			continue
		}
		s.index, s.results = index, results
		for i := range s.proposals {
			if p := &s.proposals[i]; p.early && results[i].Status == persistence.Committed {
				j.answer(p, persistence.Outcome{Result: results[i]})
			}
		}
	}
	j.outcomes()
}

// outcomes passes on the verdicts that this node's Store shows.
func (j *journal) outcomes() {
	for i := 0; i < len(j.sent); {
		s := j.sent[i]
		if s.index == 0 || j.n.fsm.Store().Applied() < s.index {
			i++
			continue
		}
		j.remove(s.uid)
		for k := range s.proposals {
			j.answer(&s.proposals[k], persistence.Outcome{Result: s.results[k]})
		}
	}
}

// tick gives up what nobody has answered.
func (j *journal) tick() {
	for len(j.sent) > 0 && j.n.w.now-j.sent[0].at > proposalMax {
		s := j.sent[0]
		j.remove(s.uid)
		j.end(s, persistence.Outcome{Err: persistence.ErrUnknown})
	}
}

// failPending gives up what was sent to a leader that leads no more, at once.
func (j *journal) failPending() {
	sent := j.sent
	j.sent = nil
	for _, s := range sent {
		j.end(s, persistence.Outcome{Err: persistence.ErrUnknown})
	}
}

func (j *journal) end(s *sending, o persistence.Outcome) {
	for i := range s.proposals {
		j.answer(&s.proposals[i], o)
	}
}

// answer tells an outcome, once.
func (j *journal) answer(p *proposal, o persistence.Outcome) {
	if p.told {
		return
	}
	p.told = true
	if p.done != nil {
		p.done(o)
		return
	}
	o.Token = p.token
	p.sink.Committed([]persistence.Outcome{o})
}

// remove takes a batch from those that were sent; nil if it is not among them.
func (j *journal) remove(uid uint64) *sending {
	for i, s := range j.sent {
		if s.uid == uid {
			j.sent = append(j.sent[:i:i], j.sent[i+1:]...)
			return s
		}
	}
	return nil
}
