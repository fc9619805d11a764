package persistencetest

import (
	"sync"

	"github.com/the-block/bursar/persistence"
)

// Log is a log of one node in memory. It keeps no entries: each is applied as it comes.
type Log struct {
	mu    sync.Mutex
	fsm   *persistence.FSM
	index uint64
	down  error
}

// NewLog gives a log that applies to fsm, going on from what fsm has applied.
func NewLog(fsm *persistence.FSM) *Log {
	return &Log{fsm: fsm, index: fsm.Store().Applied()}
}

// Fail makes the following entries end with err without being applied; nil ends that.
func (l *Log) Fail(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = err
}

// Apply applies entry and gives a future that is done, or that ends with the error
// given to Fail.
func (l *Log) Apply(entry []byte) persistence.Future {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down != nil {
		return done{err: l.down}
	}
	l.index++
	results, err := l.fsm.Apply(l.index, entry)
	return done{results: results, err: err}
}

type done struct {
	results []persistence.Result
	err     error
}

var ended = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

func (d done) Done() <-chan struct{}                  { return ended }
func (d done) Applied() <-chan struct{}               { return ended }
func (d done) Results() ([]persistence.Result, error) { return d.results, d.err }

// Commit applies txns as one entry and gives their results.
func (l *Log) Commit(txns ...*persistence.Txn) ([]persistence.Result, error) {
	encoded := make([][]byte, 0, len(txns))
	for _, t := range txns {
		b, err := persistence.AppendTxn(nil, t)
		if err != nil {
			return nil, err
		}
		encoded = append(encoded, b)
	}
	return l.Apply(persistence.AppendBatch(nil, encoded...)).Results()
}
