package wire

import (
	"sync/atomic"

	"github.com/the-block/bursar/messages"
)

// Outcome is how a request ended.
type Outcome byte

// The outcomes: a rejection is an answer, a failure is not.
const (
	OK      Outcome = iota // a result
	Refused                // an error that decides: nothing was done
	Failed                 // internal or outcome_unknown
	outcomes
)

// String gives the metric's label.
func (o Outcome) String() string {
	switch o {
	case OK:
		return "ok"
	case Refused:
		return "refused"
	case Failed:
		return "failed"
	default:
		return "other"
	}
}

func outcomeOf(err *messages.Error) Outcome {
	switch {
	case err == nil:
		return OK
	case err.Code == messages.CodeInternal || err.Code == messages.CodeOutcomeUnknown:
		return Failed
	default:
		return Refused
	}
}

// other labels what is in no list.
const other = "other"

// Metrics are a Server's counters, safe to read at any time. Use NewMetrics.
type Metrics struct {
	// InFlight is the number of calls handed to the Handler and not answered yet.
	InFlight atomic.Int64
	// Connections is the number of open MessagePack connections, Accepted how many
	// there have been, TurnedAway how many were one too many.
	Connections atomic.Int64
	Accepted    atomic.Uint64
	TurnedAway  atomic.Uint64
	// CutOff counts connections ended for a reader too slow, Malformed those ended
	// for bytes that are no message.
	CutOff    atomic.Uint64
	Malformed atomic.Uint64
	// BytesIn and BytesOut count MessagePack bytes.
	BytesIn  atomic.Uint64
	BytesOut atomic.Uint64

	table    *messages.Table
	requests [][outcomes]atomic.Uint64 // by Method.Index; the last is other
	codes    []messages.Code
	refusals map[messages.Code]*atomic.Uint64
	unlisted atomic.Uint64
}

// NewMetrics returns counters at zero, for a Server made by New.
func NewMetrics() *Metrics { return newMetrics(messages.PublicTable()) }

// NewPeerMetrics returns counters at zero, for a Server made by NewPeer.
func NewPeerMetrics() *Metrics { return newMetrics(messages.PeerTable()) }

func newMetrics(t *messages.Table) *Metrics {
	m := &Metrics{
		table:    t,
		requests: make([][outcomes]atomic.Uint64, len(t.Methods())+1),
		codes:    messages.Codes(),
		refusals: make(map[messages.Code]*atomic.Uint64),
	}
	for _, code := range m.codes {
		m.refusals[code] = new(atomic.Uint64)
	}
	return m
}

// Requests tells every counter of requests: by method ("other" for unknown ones) and
// outcome.
func (m *Metrics) Requests(tell func(method string, o Outcome, n uint64)) {
	for i := range m.requests {
		name := other
		if i < len(m.table.Methods()) {
			name = m.table.Methods()[i].Name
		}
		for o := OK; o < outcomes; o++ {
			tell(name, o, m.requests[i][o].Load())
		}
	}
}

// Refusals tells every counter of errors by code; 0 stands for those in no list.
func (m *Metrics) Refusals(tell func(code messages.Code, n uint64)) {
	for _, code := range m.codes {
		tell(code, m.refusals[code].Load())
	}
	tell(0, m.unlisted.Load())
}

// count records one answered request; method is nil for an unknown one.
func (m *Metrics) count(method *messages.Method, err *messages.Error) {
	i := len(m.requests) - 1
	if method != nil {
		i = method.Index()
	}
	m.requests[i][outcomeOf(err)].Add(1)
	if err == nil {
		return
	}
	if c, ok := m.refusals[err.Code]; ok {
		c.Add(1)
	} else {
		m.unlisted.Add(1)
	}
}
