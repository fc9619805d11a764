package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/audit"
	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/kinds"
	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/actors/treasury"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/cluster/ownership"
	"github.com/the-block/bursar/cluster/peers"
	"github.com/the-block/bursar/cmd/internal/certs"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
	"github.com/the-block/bursar/monitoring"
	"github.com/the-block/bursar/persistence"
)

// Node is one member of the cluster, assembled.
type Node struct {
	cfg     Config
	log     *slog.Logger
	started time.Time
	parts   *lifecycle

	store      *persistence.Store
	consensus  *cluster.Consensus
	journal    *persistence.Journal
	system     *actors.System
	host       *durable.Host
	treasury   *treasury.Treasury
	energy     *energy.Energy
	operations *operations.Operations
	authority  *authority.Authority
	audit      *audit.Audit
	wire       *wire.Server
	metrics    *wire.Metrics
	listener   net.Listener
	pages      *monitoring.Server
	service    *service
	keeper     *ownership.Keeper
	peers      *peers.Peers
	kinds      *kinds.Kinds
	archiver   *archiver
	membership *membership.Membership
	// identity proves who this node is; nil without TLS.
	identity *certs.Identity
	around   surroundings
	// network carries streams between nodes, gossip their packets.
	network cluster.Network
	gossip  membership.Network
	cut     *cut // between these and the others; nil unless Severable
	// boot tells this start of the node from every other; see cluster.Consensus.
	boot   uint64
	routes routes
	// progress knows which nodes follow the log; reown has the owned shards looked at.
	progress progress
	reown    chan struct{}
	// forming says what a node without a cluster waits for; nil once it has one.
	forming atomic.Pointer[string]
	// heart is the actor that Moves asks; nil before.
	heart *actors.Ref
	// differing counts the nodes whose state is another at the same index.
	differing atomic.Int64
	// served says that the node has been ready; stopping that it is on its way down, and
	// withdrawn that the others do without it.
	served, stopping, withdrawn atomic.Bool
}

// Open binds the ports, opens log and Store, and assembles the node. The node does
// nothing until Run. What Open has opened is closed again if it fails.
func Open(ctx context.Context, cfg Config, log *slog.Logger) (*Node, error) {
	return openIn(ctx, onMachine(), cfg, log)
}

func openIn(ctx context.Context, around surroundings, cfg Config, log *slog.Logger) (*Node, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	n := &Node{cfg: cfg, log: log, started: time.Now(), parts: newLifecycle(log),
		around: around, network: around.network, gossip: around.gossip, reown: make(chan struct{}, 1)}
	if err := n.identify(); err != nil {
		return nil, err
	}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.parts.stop())
	}
	return n, nil
}

// expiresSoon is how long before its end a certificate is warned about.
const expiresSoon = 30 * 24 * time.Hour

// identify loads the certificates, if there are any.
func (n *Node) identify() (err error) {
	if n.cfg.TLSDir == "" {
		return nil
	}
	if n.identity, err = certs.Load(n.cfg.TLSDir, n.log); err != nil {
		return err
	}
	n.network = n.identity.Network()
	if left := time.Until(n.identity.Expires()); left < expiresSoon {
		n.log.Warn("the certificate ends soon; issue another with bursar cert issue", "days", int(left.Hours()/24))
	}
	return n.identity.CheckNode(n.cfg.Name, n.cfg.Listen)
}

// open opens the parts from the bottom up. Monitoring comes first and so ends last.
func (n *Node) open(ctx context.Context) error {
	steps := []func(context.Context) error{
		n.openCut, n.openPages, n.openData, n.openStore, n.openConsensus, n.openJournal, n.openActors,
		n.openPeers, n.openMembership, n.openArchiver, n.openWire,
	}
	for _, open := range steps {
		if err := open(ctx); err != nil {
			return withAdvice(err)
		}
	}
	return nil
}

// withAdvice says what to do about a port that somebody else has, and about what the
// operating system refuses.
func withAdvice(err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; is another node running on these ports? choose others with --base-port", err)
	}
	if cure := cluster.Cure(err); cure != "" && !errors.Is(err, cluster.ErrDamaged) {
		return fmt.Errorf("%w; %s", err, cure)
	}
	return err
}

// openStore opens the projection, empty: the log fills it.
func (n *Node) openStore(context.Context) error {
	cfg := persistence.DefaultStoreConfig()
	cfg.Columns = rows.Columns()
	maps.Copy(cfg.Columns, energy.Columns())
	cfg.Audited = audit.Keys()
	store, err := persistence.Open(filepath.Join(n.cfg.DataDir, "store"), cfg)
	if err != nil {
		return err
	}
	n.store = store
	n.parts.onStop("store", func(context.Context) error { return store.Close() })
	return nil
}

func (n *Node) consensusConfig() cluster.Config {
	cfg := cluster.DefaultConfig()
	cfg.Node = n.cfg.Name
	cfg.Dir = n.cfg.DataDir
	cfg.RaftAddr = n.cfg.Address(PortRaft)
	cfg.BootstrapExpect = n.cfg.BootstrapExpect
	cfg.Timing = cluster.Timing(n.cfg.Timing)
	cfg.Check = persistence.CheckEntry
	cfg.Skip, _ = cluster.ParseSkip(n.cfg.SkipEntry) // it was validated
	if n.cfg.BackupTo != "" {
		cfg.TrailingLogs = archiveTrailing
	}
	return n.around.consensus(cfg)
}

func (n *Node) openConsensus(context.Context) error {
	machine := n.around.machine(cluster.ForFSM(persistence.NewFSM(n.store)))
	consensus, err := cluster.OpenConsensus(n.consensusConfig(), machine, n.network, n.parts.fail, n.log)
	if err != nil {
		return err
	}
	n.consensus, n.boot = consensus, consensus.Boot()
	n.parts.onStop("consensus", consensus.Close)
	return nil
}

func (n *Node) openJournal(context.Context) error {
	journal, err := persistence.NewJournal(persistence.DefaultJournalConfig(), n.consensus)
	n.journal = journal
	return err
}

func (n *Node) openActors(context.Context) error {
	outside, err := n.openSubmitter()
	if err != nil {
		return err
	}
	if n.system, err = actors.New(actors.DefaultConfig(), n.log); err != nil {
		return err
	}
	n.parts.onStop("actors", n.system.Stop)
	cfg := treasury.DefaultConfig()
	cfg.Node = n.cfg.Name
	cfg.EpochInterval = n.cfg.EpochInterval
	cfg.Outside = outside
	cfg.Electorate = func(by *messages.Signed, house messages.House, voter string, weight messages.PPM, began uint64) *messages.Error {
		return n.authority.Vote(by, house, voter, weight, began)
	}
	cfg = n.around.treasury(cfg)
	n.host = durable.NewHost(cfg.Shards(), durable.On(n.system), n.store, n.journal, durable.ThisMachine())
	n.host.Confirm = func(deadline time.Time, then func(*messages.Error)) { n.service.confirm(deadline, then) }
	if n.treasury, err = treasury.New(cfg, n.host, n.log); err != nil {
		return err
	}
	market := energy.Config{First: messages.ShardID(cfg.GraphShards), Shards: cfg.EnergyShards, Market: cfg.MarketShard(),
		MailboxLimit: cfg.MailboxLimit, Recovered: n.treasury.Stats().Recovered}
	if n.energy, err = energy.New(market, n.host, n.log); err != nil {
		return err
	}
	if err = n.openKinds(); err != nil {
		return err
	}
	if err = n.openOperations(); err != nil {
		return err
	}
	n.openAuthority()
	if err = n.openAudit(); err != nil {
		return err
	}
	n.keeper = ownership.New(ownership.DefaultConfig(n.layout()), n.store, n.journal, n.log)
	n.service, err = newService(n)
	return err
}

func (n *Node) openWire(ctx context.Context) error {
	cfg := wire.DefaultConfig()
	cfg.TrustLoopback = n.identity == nil && n.cfg.TrustLoopback
	if files, known := filesMax(); known {
		if callers := callersFor(files, cfg.ConnectionsMax); callers < cfg.ConnectionsMax {
			n.log.WarnContext(ctx, "few files may be open here, and so few callers are taken; raise ulimit -n (LimitNOFILE in systemd)",
				"files", files, "connections", callers)
			cfg.ConnectionsMax = callers
		}
	}
	n.metrics = wire.NewMetrics()
	var err error
	if n.wire, err = wire.New(cfg, n.service, n.metrics); err != nil {
		return err
	}
	n.pages.Handle("/rpc", n.wire.HTTP())
	n.listener, err = n.around.listen(ctx, n.cfg.Address(PortRPC))
	if err != nil {
		return fmt.Errorf("listen for calls: %w", err)
	}
	if n.identity != nil {
		n.listener = tls.NewListener(n.listener, n.identity.ServerConfig())
	}
	listener := n.listener
	n.parts.onStop("listener", func(context.Context) error {
		if err := listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

// Run serves until ctx ends or a part fails, then stops everything in order: no new
// calls, the answers owed, actors, journal, consensus, Store, monitoring.
func (n *Node) Run(ctx context.Context) error {
	n.runParts()
	if n.exposed() {
		n.log.WarnContext(ctx, "this node listens beyond loopback without TLS: whoever reaches its ports can read and submit as anybody, "+
			"and write into the log as a node; give it --tls-dir (see bursar cert), or let nobody else reach them", "listen", n.cfg.Listen)
	}
	n.log.InfoContext(ctx, "serving", "rpc", n.cfg.Address(PortRPC), "http", n.cfg.Address(PortHTTP))
	var cause error
	select {
	case <-ctx.Done():
		n.log.InfoContext(ctx, "stopping")
		n.leave()
	case cause = <-n.parts.failed:
		n.log.ErrorContext(ctx, "the node cannot go on", "err", cause)
		n.withdraw(cause)
	}
	n.stopping.Store(true)
	n.consensus.Retire()
	stopped := make(chan struct{})
	go n.withdrawOnFailure(stopped)
	err := errors.Join(cause, n.parts.stop())
	close(stopped)
	if err == nil {
		n.log.InfoContext(ctx, "stopped")
	}
	return err
}

// brokenStop is how long a node that cannot go on may take to end. The process ends then,
// whatever still hangs.
const brokenStop = 3 * time.Second

// withdraw has the others do without this node at once, whatever its own end may take: it
// cannot go on, and nothing it still says counts.
func (n *Node) withdraw(cause error) {
	n.withdrawn.Store(true)
	n.consensus.Sever()
	n.peers.Suspend(cause)
	n.parts.hurry(brokenStop)
}

// withdrawOnFailure withdraws if a part fails while the node stops.
func (n *Node) withdrawOnFailure(stopped <-chan struct{}) {
	select {
	case cause := <-n.parts.failed:
		n.log.Error("the node cannot stop in order", "err", cause)
		n.withdraw(cause)
	case <-stopped:
	}
}

// runParts starts what runs by itself. The steps that end these parts come after
// those of Open and so run before them.
func (n *Node) runParts() {
	if n.around.pages {
		n.parts.run("pages", n.pages.Run)
	}
	n.parts.run("links", n.peers.Run)
	n.parts.run("consensus's watch", n.consensus.Run)
	n.parts.run("gossip", n.membership.Run)
	n.parts.onStop("good-bye", n.sayGoodBye)
	n.parts.run("meeting", n.meet)
	n.parts.runUntil("journal", n.journal.Run, n.journal.Close)
	n.parts.onStop("treasury", n.treasury.Stop)
	n.parts.onStop("energy market", n.energy.Stop)
	n.parts.onStop("kinds", n.kinds.Stop)
	n.parts.run("operations", n.operations.Run)
	n.parts.run("read model", n.treasury.Follow)
	n.parts.run("market's read model", n.energy.Follow)
	n.parts.run("ownership", n.followOwners)
	n.parts.run("progress", n.watchProgress)
	n.parts.run("placement", n.whileLeading(n.place))
	n.parts.run("roster", n.whileLeading(n.keep))
	n.parts.run("skipped entry", n.whileLeading(n.auditSkip))
	n.parts.run("feature level", n.whileLeading(n.raiseLevel))
	n.parts.run("pauses", n.whileLeading(n.endPauses))
	n.parts.run("clock watch", n.watchClock)
	n.parts.run("disks of the others", n.watchDisks)
	n.parts.run("file watch", n.watchFiles)
	n.parts.run("histories", n.watchHistories)
	n.parts.run("forming", n.settle)
	n.parts.run("archiver", n.archiver.Run)
	n.parts.onStop("calls", n.service.drain)
	n.parts.run("wire", func(ctx context.Context) error { return n.wire.Serve(ctx, n.listener) })
}

// Version is the program's version.
const Version = "0.1.0"

// openData makes this node the only one that touches its data directory, before the
// Store there is wiped: it would be another's.
func (n *Node) openData(context.Context) error {
	lock, err := cluster.LockDir(n.cfg.DataDir)
	if err != nil {
		return err
	}
	n.parts.onStop("data directory", func(context.Context) error { return lock.Close() })
	return cluster.CheckDir(n.consensusConfig())
}
