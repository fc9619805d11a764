package node

import (
	"context"
	"errors"
	"net"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/graph"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/cluster/placement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/monitoring"
	"github.com/the-block/bursar/persistence"
)

// openPages binds the HTTP port. The pages answer once everything they show exists.
func (n *Node) openPages(ctx context.Context) error {
	cfg := monitoring.DefaultConfig()
	cfg.Addr = n.cfg.Address(PortHTTP)
	cfg.Debug = n.cfg.Debug
	if n.identity != nil {
		cfg.TLS = n.identity.ServerConfig()
	}
	pages, err := monitoring.New(cfg, n.sources(), n.log)
	if err != nil {
		return err
	}
	n.pages = pages
	if !n.around.pages {
		return nil
	}
	if err := pages.Listen(ctx); err != nil {
		return err
	}
	n.parts.onStop("http port", func(context.Context) error {
		over, cancel := context.WithCancel(context.Background())
		cancel()
		// It closes the port if it was never served, and finds it closed otherwise.
		if err := pages.Run(over); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// sources are where the pages get their figures from.
func (n *Node) sources() monitoring.Sources {
	return monitoring.Sources{
		Node: monitoring.Node{
			Name: n.cfg.Name, Role: string(n.cfg.Role), Version: Version, Started: n.started,
			RPCAddr: n.cfg.Address(PortRPC),
		},
		Ready:    n.Ready,
		Treasury: n.treasuryFigures,
		Executor: n.executorFigures,
		Latest:   n.latestPayments,
		RPC:      n.rpcFigures,
		Journal:  n.journalFigures,
		Cluster:  n.clusterFigures,
		Actors:   n.actorFigures,
		Breakers: n.breakerFigures,
	}
}

func (n *Node) treasuryFigures() monitoring.Treasury {
	model, stats := n.treasury.Model(), n.treasury.Stats()
	figures := monitoring.Treasury{
		Epoch: model.Epoch(), AppliedIndex: model.Index(),
		States: make(map[messages.State]uint64), Entered: make(map[messages.State]uint64),
		ExecutionErrors: stats.ExecutionErrors(), DependencyFailures: stats.DependencyFailures(),
	}
	figures.Recoveries, figures.RecoveriesFailed = stats.Recoveries()
	if result, refusal := n.treasury.Balance(); refusal == nil {
		figures.Balance = result.Balance
	}
	for _, state := range messages.States() {
		figures.States[state] = uint64(model.InState(state))
		figures.Entered[state] = stats.Transitions(state)
	}
	return figures
}

func (n *Node) executorFigures() (monitoring.Executor, bool) {
	if !n.treasury.Owns(n.treasury.ExecutorShard()) {
		return monitoring.Executor{}, false
	}
	stats := n.treasury.Stats()
	return monitoring.Executor{
		BreakerState:     monitoring.BreakerState(n.treasury.Breaker().Gauge()),
		BreakerFailures:  stats.BreakerFailures(),
		BreakerSuccesses: stats.BreakerSuccesses(),
		InFlight:         n.treasury.Model().InState(graph.Staged) + stats.Paying(),
		Lag:              histogram(stats.Lag()),
		Tick:             histogram(stats.Tick()),
	}, true
}

// latestPayments lists the newest disbursements for the page.
func (n *Node) latestPayments(most int) []monitoring.Payment {
	result, refusal := n.treasury.List(&messages.DisbursementsParams{Page: messages.Page{Limit: uint64(most)}})
	if refusal != nil {
		return nil
	}
	payments := make([]monitoring.Payment, len(result.Disbursements))
	for i, row := range result.Disbursements {
		d := &row.Disbursement
		payments[i] = monitoring.Payment{
			ID: d.ID, Destination: d.Destination, Amount: d.Amount, Memo: d.Memo,
			State: d.Status.State, Reason: d.Status.Reason,
		}
	}
	return payments
}

func (n *Node) rpcFigures() monitoring.RPC {
	figures := monitoring.RPC{
		Methods: methodFigures(n.metrics), Refusals: make(map[messages.Code]uint64),
		InFlight: int(n.metrics.InFlight.Load()), Connections: int(n.metrics.Connections.Load()),
	}
	n.metrics.Refusals(func(code messages.Code, count uint64) { figures.Refusals[code] = count })
	return figures
}

// methodFigures shows what was asked of a server, by method.
func methodFigures(metrics *wire.Metrics) []monitoring.Method {
	var methods []monitoring.Method
	at := make(map[string]int)
	metrics.Requests(func(method string, o wire.Outcome, count uint64) {
		i, known := at[method]
		if !known {
			i = len(methods)
			at[method] = i
			methods = append(methods, monitoring.Method{Name: method})
		}
		switch o {
		case wire.OK:
			methods[i].OK = count
		case wire.Refused:
			methods[i].Refused = count
		case wire.Failed:
			methods[i].Failed = count
		}
	})
	return methods
}

func (n *Node) journalFigures() monitoring.Journal {
	stats := n.journal.Stats()
	batch, commit := log2(&stats.Batch, 1), log2(&stats.Commit, 1e-6)
	var batches uint64
	for _, c := range batch.Counts {
		batches += c
	}
	return monitoring.Journal{
		Txns: uint64(batch.Sum), Batches: batches,
		Overloaded: stats.Overloaded.Load(), Unavailable: stats.Unavailable.Load(), Unknown: stats.Unknown.Load(),
		Queued: int(stats.Queued.Load()), QueuedBytes: int(stats.QueuedBytes.Load()), Lagging: int(stats.Lagging.Load()),
		BatchTxns: batch, CommitSeconds: commit,
	}
}

// histogram shows the treasury's histogram.
func histogram(d *treasury.Durations) monitoring.Histogram {
	bounds, counts, sum := d.Buckets()
	return monitoring.Histogram{Bounds: bounds, Counts: counts, Sum: sum}
}

// log2 shows persistence's histogram, whose bucket i holds values up to 2^i, with
// its unit turned into scale.
func log2(h *persistence.Histogram, scale float64) monitoring.Histogram {
	counts, sum := h.Buckets()
	shown := monitoring.Histogram{Counts: counts[:], Sum: float64(sum) * scale}
	for i := range len(counts) - 1 {
		shown.Bounds = append(shown.Bounds, float64(uint64(1)<<i)*scale)
	}
	return shown
}

func (n *Node) clusterFigures() monitoring.Cluster {
	state := n.consensus.State()
	figures := monitoring.Cluster{
		Leader: state.Leader, IsLeader: state.Leading, Term: state.Term,
		AppliedIndex: n.store.Applied(), LastIndex: n.consensus.LastIndex(), Voters: int(n.voters()),
		Nodes: n.memberFigures(), Moves: make(map[string]uint64), Fenced: n.store.Stats().Verdicts(persistence.Fenced),
		Peers: peerFigures(n.peers.Metrics()),
	}
	for _, cause := range []placement.Cause{placement.Orphaned, placement.Drained, placement.Rebalanced} {
		figures.Moves[cause.String()] = n.keeper.Moves(cause)
	}
	return figures
}

// memberFigures shows the nodes, as cluster.members tells them, with their links.
func (n *Node) memberFigures() []monitoring.Member {
	found, refusal := n.members()
	if refusal != nil {
		return nil // the Store's own goroutine reports it
	}
	var nodes []monitoring.Member
	for _, m := range found.Members {
		node := monitoring.Member{
			Name: messages.NodeID(m.Name), Role: m.Role, State: m.State, Version: m.Version, HTTP: m.HTTP,
			Self: m.Name == string(n.cfg.Name), Leader: m.Leader, Voter: m.Voter, Shards: int(m.Shards),
		}
		if s, known := n.peers.Status(node.Name); known {
			node.Linked, node.Links, node.RTT, node.ClockOffset = s.Linked, s.Links, s.RTT, s.ClockOffset
		}
		nodes = append(nodes, node)
	}
	return nodes
}

// peerFigures shows what other nodes asked of this one.
func peerFigures(metrics *wire.Metrics) monitoring.Peers {
	return monitoring.Peers{
		Methods: methodFigures(metrics), InFlight: int(metrics.InFlight.Load()), Connections: int(metrics.Connections.Load()),
		BytesIn: metrics.BytesIn.Load(), BytesOut: metrics.BytesOut.Load(),
	}
}

// actorFigures shows the actors by kind, the busiest by themselves, and the rest: what
// is left of the kinds' sums, actors that have ended included.
func (n *Node) actorFigures() monitoring.Actors {
	sample := n.busiest()
	var figures monitoring.Actors
	for _, k := range n.system.Stats().Kinds {
		figures.Kinds = append(figures.Kinds, monitoring.Kind{
			Name: k.Kind, Active: int(k.Active), Messages: k.Messages, Depth: sample.depths[k.Kind], Rejected: k.Refused,
			Restarts: k.Restarts, DeadLetters: k.DeadLetters, Wait: durations(k.Wait), Processing: durations(k.Turn),
		})
		figures.Rest.Messages += k.Messages
		figures.Rest.Depth += sample.depths[k.Kind]
		figures.Rest.ProcessingSeconds += k.Turn.Estimate().Seconds()
	}
	for _, b := range sample.busy[:min(monitoring.BusiestMax, len(sample.busy))] {
		actor := monitoring.Actor{
			Path: b.Path, Depth: b.Depth, Messages: b.Total, ProcessingSeconds: b.Turns.Seconds(),
		}
		figures.Busiest = append(figures.Busiest, actor)
		figures.Rest.Messages -= min(figures.Rest.Messages, actor.Messages) // a kind may lag by what is under way
		figures.Rest.Depth -= actor.Depth
		figures.Rest.ProcessingSeconds = max(0, figures.Rest.ProcessingSeconds-actor.ProcessingSeconds)
	}
	return figures
}

// durations shows the runtime's histogram, whose bucket i holds what took less than
// 2^i microseconds.
func durations(d actors.Durations) monitoring.Histogram {
	shown := monitoring.Histogram{Counts: d.Counts[:], Sum: d.Sum.Seconds()}
	for i := range len(d.Counts) - 1 {
		shown.Bounds = append(shown.Bounds, float64(uint64(1)<<i)*1e-6)
	}
	return shown
}
