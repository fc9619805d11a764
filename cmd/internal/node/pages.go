package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/monitoring"
	"github.com/the-block/bursar/supervision/breaker"
)

// openPages binds the HTTP port. The pages answer once everything they show exists.
func (n *Node) openPages(ctx context.Context) error {
	cfg := monitoring.DefaultConfig()
	cfg.Addr = n.cfg.Address(PortHTTP)
	cfg.Debug = n.cfg.Debug
	if n.identity != nil {
		cfg.TLS = n.identity.ServerConfig()
		cfg.MayRead = func(r *http.Request) bool { return wire.ProvesRole(r.TLS) }
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

// sources are where the pages get what they show.
func (n *Node) sources() monitoring.Sources {
	return monitoring.Sources{
		Node: monitoring.Node{
			Name: n.cfg.Name, Role: string(n.cfg.Role), Version: Version, Started: n.started,
			RPCAddr: n.cfg.Address(PortRPC),
		},
		Ready:    n.Ready,
		Figures:  n.figures(),
		Treasury: n.treasuryPage,
		Executor: n.executorPage,
		Market:   n.marketPage,
		Latest:   n.latestPayments,
		Work:     n.workPage,
		Cluster:  n.clusterPage,
	}
}

func (n *Node) marketPage() monitoring.Market {
	state, refusal := n.energy.State(&messages.MarketStateParams{Page: messages.Page{Limit: 1}})
	if refusal != nil {
		return monitoring.Market{}
	}
	return monitoring.Market{
		Node: state.Node, Price: state.Price, VolumeKWh: state.Volume, FeeBPS: state.FeeBPS,
		Providers: state.ProvidersCount, Active: state.OraclesActive, Disputes: state.DisputesPending,
	}
}

func (n *Node) treasuryPage() monitoring.Treasury {
	model := n.treasury.Model()
	page := monitoring.Treasury{
		Epoch: model.Epoch(), AppliedIndex: model.Index(), States: make(map[messages.State]uint64),
	}
	if balance, err := n.store.Counter(rows.CounterTreasury); err == nil {
		page.Balance = messages.Amount(balance)
	}
	for _, state := range messages.States() {
		page.States[state] = uint64(model.InState(state))
	}
	return page
}

// executorPage tells of who pays. That an operator has forced the executor's breaker open
// is known everywhere, all else where it runs.
func (n *Node) executorPage() monitoring.Executor {
	shard := n.treasury.ExecutorShard()
	owner, _ := n.routes.owner(shard)
	page := monitoring.Executor{Node: owner, Here: n.treasury.Owns(shard)}
	state := n.treasury.Breaker()
	if state != breaker.Closed && (page.Here || state.Forced()) {
		page.Breaker, page.Trouble = state.String(), "the executor's breaker is "+state.String()
	}
	if !page.Here {
		return page
	}
	result, refusal := n.treasury.Executor()
	if refusal != nil {
		return page
	}
	page.Due = int(result.Due)
	switch {
	case page.Trouble != "" && result.LastError != "":
		page.Trouble += ": " + result.LastError
	case page.Trouble != "":
	case result.PausedID != nil:
		page.Trouble = fmt.Sprintf("paused at %d: %s", *result.PausedID, result.PausedReason)
	default:
		page.Trouble = result.LastError
	}
	return page
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
			ID: d.ID, Destination: d.Destination, Amount: d.Amount, Note: disbursement.Note(d.Memo),
			State: d.Status.State, Reason: d.Status.Reason,
		}
		if d.Proposal != nil {
			payments[i].Note = d.Proposal.Title
		}
		if found, refusal := n.treasury.Get(d.ID); refusal == nil {
			for _, w := range found.WaitingFor {
				payments[i].Waiting = append(payments[i].Waiting, w.Text(time.Now()))
			}
		}
	}
	return payments
}

func (n *Node) workPage() monitoring.Work {
	stats := n.journal.Stats()
	page := monitoring.Work{
		InFlight: int(n.metrics.InFlight.Load()), Commits: stats.Txns.Load(), Batches: stats.Batches.Load(),
	}
	for i := range n.metrics.Methods {
		page.Requests += n.metrics.Methods[i].Asked()
	}
	return page
}

func (n *Node) clusterPage() monitoring.Cluster {
	state := n.consensus.State()
	return monitoring.Cluster{Leader: state.Leader, IsLeader: state.Leading, Nodes: n.memberFigures()}
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
			node.Linked, node.RTT, node.ClockOffset = s.Linked, s.RTT, s.ClockOffset
		}
		nodes = append(nodes, node)
	}
	return nodes
}
