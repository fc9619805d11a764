package wire

import (
	"sync/atomic"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/monitoring/metrics"
)

// Metrics are a Server's counters, safe to read at any time. Use NewMetrics. The families'
// names begin with what whoever exports them puts before.
type Metrics struct {
	InFlight    atomic.Int64  `metric:"in_flight" help:"Requests being answered."`
	Connections atomic.Int64  `metric:"connections" help:"Open MessagePack connections."`
	Accepted    atomic.Uint64 `metric:"connections_total" help:"MessagePack connections that were accepted."`
	TurnedAway  atomic.Uint64 `metric:"connections_ended_total{reason=one_too_many}" help:"MessagePack connections that this side ended: there were too many, the other side read too slowly, or sent bytes that are no message."`
	CutOff      atomic.Uint64 `metric:"connections_ended_total{reason=slow_reader}"`
	Malformed   atomic.Uint64 `metric:"connections_ended_total{reason=malformed}"`
	BytesIn     atomic.Uint64 `metric:"bytes_total{direction=in}" help:"Bytes over MessagePack connections, by direction."`
	BytesOut    atomic.Uint64 `metric:"bytes_total{direction=out}"`

	// Methods are those of the table, by Method.Index, and one for all unknown ones.
	Methods []MethodMetrics `max:"97"`
	// Refusals are those by known codes, and one for all others.
	Refusals []RefusalMetrics `max:"40"`

	byCode map[messages.Code]*RefusalMetrics
}

// MethodMetrics counts the requests for one method. A refusal is an answer: nothing was
// done. A failure is an internal error, or nobody knows what was done.
type MethodMetrics struct {
	Method  string        `label:"method"`
	OK      atomic.Uint64 `metric:"requests_total{outcome=ok}" help:"Requests, by method and outcome."`
	Refused atomic.Uint64 `metric:"requests_total{outcome=refused}"`
	Failed  atomic.Uint64 `metric:"requests_total{outcome=failed}"`
}

// Asked is how many requests there were.
func (m *MethodMetrics) Asked() uint64 { return m.OK.Load() + m.Refused.Load() + m.Failed.Load() }

// RefusalMetrics counts the errors of one code.
type RefusalMetrics struct {
	Code  string        `label:"code"`
	Count atomic.Uint64 `metric:"refusals_total" help:"Refused and failed requests, by the name of the error."`
}

// NewMetrics returns counters at zero, for a Server made by New.
func NewMetrics() *Metrics { return newMetrics(messages.PublicTable()) }

// NewPeerMetrics returns counters at zero, for a Server made by NewPeer.
func NewPeerMetrics() *Metrics { return newMetrics(messages.PeerTable()) }

func newMetrics(t *messages.Table) *Metrics {
	codes := messages.Codes()
	m := &Metrics{
		Methods:  make([]MethodMetrics, len(t.Methods())+1),
		Refusals: make([]RefusalMetrics, len(codes)+1),
		byCode:   make(map[messages.Code]*RefusalMetrics, len(codes)),
	}
	for i, method := range t.Methods() {
		m.Methods[i].Method = method.Name
	}
	m.Methods[len(t.Methods())].Method = metrics.Other
	for i, code := range codes {
		m.Refusals[i].Code = code.String()
		m.byCode[code] = &m.Refusals[i]
	}
	m.Refusals[len(codes)].Code = metrics.Other
	return m
}

// count records one answered request; method is nil for an unknown one.
func (m *Metrics) count(method *messages.Method, err *messages.Error) {
	i := len(m.Methods) - 1
	if method != nil {
		i = method.Index()
	}
	switch {
	case err == nil:
		m.Methods[i].OK.Add(1)
		return
	case err.Code == messages.CodeInternal || err.Code == messages.CodeOutcomeUnknown:
		m.Methods[i].Failed.Add(1)
	default:
		m.Methods[i].Refused.Add(1)
	}
	refusal, known := m.byCode[err.Code]
	if !known {
		refusal = &m.Refusals[len(m.Refusals)-1]
	}
	refusal.Count.Add(1)
}

// tallyStep is the step, in bytes, in which a connection tells the server how much it
// holds: what most connections hold costs no word.
const tallyStep = 16 << 10

// tally keeps one connection's part of a total over all connections.
type tally struct {
	total *atomic.Int64
	told  int
}

// set says that the connection holds n bytes now.
func (t *tally) set(n int) {
	if n = n / tallyStep * tallyStep; n != t.told {
		t.total.Add(int64(n - t.told))
		t.told = n
	}
}
