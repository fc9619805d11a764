package show

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/check"
	"github.com/the-block/bursar/cmd/internal/demo"
	"github.com/the-block/bursar/cmd/internal/energydemo"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// Show runs the demo against a cluster and tells how it goes.
type Show struct {
	screen  *terminal.Display
	cluster localcluster.Cluster
	poller  *poller
	client  *client.Client
	ledger  check.Ledger
	load    int
	speed   int
	calm    bool
	keys    bool // somebody can press some
	began   time.Time
	fell    chan outage

	served  atomic.Bool   // a node was ready once
	touched atomic.Bool   // somebody gave an order
	chosen  atomic.Int32  // place of the node that orders are for
	paid    chan struct{} // closed at the first payment

	mu        sync.Mutex
	tally     *demo.Tally
	energy    *energydemo.Summary // nil before it began
	sold      bool                // the energy market's demo is over
	loaded    uint64              // payments of --load that were taken
	first     bool                // firstText was told
	rate      rate
	perSecond uint64
	failovers int
	lastCost  time.Duration
	nodes     string // the nodes as last told in a line
}

// outagesMax bounds the outages that wait to be measured; of more the cost is not told.
const outagesMax = 16

// Config is what a show may be told.
type Config struct {
	// Load is how many small payments a second go on when all is settled; 0 is none.
	Load int
	// Calm kills no node to show a failover.
	Calm bool
	// Speed is how many days of 2017 pass in a second on the energy market; 0 is as many as
	// it takes.
	Speed int
	// Keys says that somebody can press some.
	Keys bool
	// Began is when it all began.
	Began time.Time
}

// New prepares a show on a screen. Whoever shows a cluster runs it, too.
func New(screen *terminal.Display, cluster localcluster.Cluster, cfg Config) *Show {
	s := &Show{
		screen: screen, cluster: cluster, load: cfg.Load, speed: cfg.Speed, calm: cfg.Calm || len(cluster) == 1, keys: cfg.Keys, began: cfg.Began,
		tally: new(demo.Tally), poller: newPoller(cluster), client: client.New(client.Follow(cluster.RPC()...)),
		fell: make(chan outage, outagesMax), paid: make(chan struct{}),
	}
	for _, n := range cluster {
		n.Fell = s.noteOutage
	}
	return s
}

// Ledger remembers what was acknowledged.
func (s *Show) Ledger() *check.Ledger { return &s.ledger }

// Served reports whether a node was ready once.
func (s *Show) Served() bool { return s.served.Load() }

// Call makes a call and notes what was acknowledged. It implements batch.Client.
func (s *Show) Call(ctx context.Context, method string, params messages.Params, result messages.Result) error {
	err := s.client.Call(ctx, method, params, result)
	if err == nil {
		s.ledger.Note(params, result)
	}
	return err
}

// noteOutage has the cost of an outage measured.
func (s *Show) noteOutage(m *localcluster.Node, how localcluster.Fate, at time.Time) {
	last, name := s.poller.last.Load(), string(m.Cfg.Name)
	select {
	case s.fell <- outage{member: m, how: how, at: at, leader: last.leader == name, executor: last.executor == name, market: last.market == name}:
	default:
	}
}

// Run watches the nodes, plays the demo once one of them serves, then keeps the load
// up until ctx ends.
func (s *Show) Run(ctx context.Context, serving <-chan struct{}) error {
	defer s.client.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.poller.run(ctx, s.saw) })
	group.Go(func() error { return s.measure(ctx) })
	if !s.calm {
		group.Go(func() error { return s.drill(ctx) })
	}
	group.Go(func() error {
		select {
		case <-serving:
			s.served.Store(true)
			return s.play(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

// retryFor is how long one call is tried while the nodes are away: whoever keeps two of
// three away for a day has made a point.
const retryFor = 24 * time.Hour

func (s *Show) play(ctx context.Context) error {
	book, err := demo.Load()
	if err != nil {
		return err
	}
	cfg := batch.DefaultConfig()
	cfg.RetryFor = retryFor
	if _, err = demo.Run(ctx, s, book, cfg, s.note); err != nil {
		return fmt.Errorf("the demo: %w", err)
	}
	s.sell(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if s.load == 0 {
		return nil
	}
	l := load{link: s, cfg: cfg, run: fmt.Sprintf("load-%x", s.began.UnixNano()), payees: book.Payees(), perSecond: s.load}
	return l.keep(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.loaded++
	})
}

// sell plays the energy market's demo, and tells what the treasury has of it: its books ended
// before.
func (s *Show) sell(ctx context.Context) {
	sold, err := energydemo.Run(ctx, s, energydemo.Config{Speed: s.speed, Tell: func(now energydemo.Summary) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.energy = &now
	}})
	s.mu.Lock()
	s.sold = true
	s.mu.Unlock()
	var treasury messages.BalanceResult
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		s.screen.Event("the energy market's demo ended early: %v", err)
		return
	}
	s.screen.Event("%s", sold)
	if err := s.client.Call(ctx, messages.MethodBalance, &messages.NoParams{}, &treasury); err == nil {
		s.screen.Event("the treasury has %s now, the market's fees included", terminal.Group(uint64(treasury.Balance)))
	}
}

// energyText is how the market is, in a line; "" before it began.
func (s *Show) energyText(f Figures) string {
	if s.energy == nil {
		return ""
	}
	return fmt.Sprintf("%s: price %d, sold in the last hour %s GWh; %d oracles, credits of %s GWh, disputes %d",
		s.energy.Day.Format("2 January 2006"), f.count("energy_market_price_current"), terminal.Group(f.count("energy_market_volume_current")/1e6),
		f.count("oracle_active_count"), terminal.Group(s.energy.KWh/1e6), f.count("energy_disputes_pending"))
}

// measure tells what each outage costs, until ctx ends.
func (s *Show) measure(ctx context.Context) error {
	var all sync.WaitGroup
	defer all.Wait()
	for {
		select {
		case o := <-s.fell:
			all.Go(func() { s.measureOne(ctx, &o) })
		case <-ctx.Done():
			return nil
		}
	}
}

func (s *Show) measureOne(ctx context.Context, o *outage) {
	others := func() (links []*client.Client) {
		for i, m := range s.cluster {
			if m.Fate() == localcluster.Untouched && (m != o.member || len(s.cluster) == 1) {
				links = append(links, s.poller.links[i])
			}
		}
		return links
	}
	var market sync.WaitGroup
	defer market.Wait()
	if o.market && o.how != localcluster.Stopped && len(s.cluster) > 1 {
		market.Go(func() {
			if now, took, ok := o.measureMarket(ctx, others()); ok {
				s.screen.Event("the energy market goes on at %s: the fee of epoch %d was set %s after %s was %s",
					now.Node, now.Epoch, took.Round(10*time.Millisecond), o.member.Cfg.Name, o.how)
			}
		})
	}
	cost, ok := o.measure(ctx, func(ctx context.Context) (uint64, error) { return newestPayment(ctx, others()) })
	if !ok {
		return
	}
	if o.failover() {
		s.mu.Lock()
		s.failovers++
		s.lastCost = cost
		s.mu.Unlock()
	}
	s.screen.Event("%s", o.text(cost, s.poller.leading(ctx)))
}

// note takes the demo's newest tally and tells what is news in it.
func (s *Show) note(t *demo.Tally) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.tally
	s.tally = t
	if t.Cascade != nil && before.Cascade == nil {
		s.screen.Event("%s", cascadeText(t.Cascade))
	}
	if t.End != nil && before.End == nil {
		s.screen.Event("%s\n%s", endText(t.End, time.Since(s.began)), s.Hints())
	}
}

// saw takes the newest view of the cluster and draws it.
func (s *Show) saw(now *view) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := now.figures; f != nil {
		if !s.first && f.paid() > 0 && s.tally.Submitted() > 0 {
			s.first = true
			close(s.paid)
			s.screen.Event("%s", s.firstText(f, now.at))
		}
		s.perSecond = s.rate.add(now.at, f.paid())
	}
	if line := nodesLine(now); !s.screen.Live && line != s.nodes {
		s.nodes = line
		s.screen.Event("%s", line)
	}
	s.draw(now)
}

// redraw draws what was seen last.
func (s *Show) redraw() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draw(s.poller.last.Load())
}

// draw shows the panel. The caller holds mu.
func (s *Show) draw(now *view) {
	chosen := -1
	if s.keys {
		chosen = int(s.chosen.Load())
	}
	panel := append([]string{""}, nodesTable(now, chosen, s.screen.Width())...)
	prefix, summary := "", "no node is ready"
	switch f := now.figures; {
	case now.ready() == 0:
		panel = append(panel, "", "  "+summary+": nothing is acknowledged, nothing is paid")
	case f != nil:
		prefix, summary = fmt.Sprintf("epoch %d: ", f.count("bursar_epoch")), s.summary(f)
		fallthrough
	default:
		panel = append(panel, "", "  "+s.failoverText())
	}
	if now.figures != nil {
		panel = append(panel, s.money(now.figures)...)
	}
	if s.keys {
		panel = append(panel, "", "  "+keysHelp)
	}
	s.screen.Show(panel, prefix, summary)
}

func (s *Show) failoverText() string {
	text := fmt.Sprintf("%d payments/s   failovers %d", s.perSecond, s.failovers)
	if s.failovers > 0 {
		text += fmt.Sprintf(", the last one took %s to the next executed payment", s.lastCost.Round(10*time.Millisecond))
	}
	if retried := s.client.Retried(); retried > 0 {
		text += fmt.Sprintf("   calls made again elsewhere %s", terminal.Group(retried))
	}
	return text
}

// money is how the money is, for the panel.
func (s *Show) money(f Figures) []string {
	taken := uint64(s.tally.Submitted()) + s.loaded
	votes := terminal.Group(uint64(s.tally.Votes))
	if s.tally.Late > 0 {
		votes += fmt.Sprintf(" (and %d too late)", s.tally.Late)
	}
	lines := []string{
		"",
		fmt.Sprintf("  epoch %-10s %-28s balance %s",
			terminal.Group(f.count("bursar_epoch")), s.chapter(), terminal.Group(f.count("treasury_balance"))),
		fmt.Sprintf("  submitted %-6s acknowledged: committed and on disk   (in the books: %s)", terminal.Group(taken), terminal.Group(f.all())),
		fmt.Sprintf("  refused   %s", refusedText(s.tally.Refused)),
		fmt.Sprintf("  votes     %s", votes),
		fmt.Sprintf("  on the way: draft %-5s voting %-4s queued %-4s timelocked %-4s executed %s", terminal.Group(f.in(messages.Draft)),
			terminal.Group(f.in(messages.Voting)), terminal.Group(f.in(messages.Queued)), terminal.Group(f.in(messages.Timelocked)), terminal.Group(f.in(messages.Executed))),
		fmt.Sprintf("  at the end: finalized %-8s rolled back %s", terminal.Group(f.in(messages.Finalized)), terminal.Group(f.in(messages.RolledBack))),
	}
	if text := s.energyText(f); text != "" {
		lines = append(lines, "  energy    "+text)
	}
	return lines
}

// summary is the panel in a line, for a pipe.
func (s *Show) summary(f Figures) string {
	text := fmt.Sprintf("%s, submitted %d, refused %s, draft %d, voting %d, queued %d, timelocked %d, executed %d, finalized %d, "+
		"rolled back %d, balance %d, %d payments/s",
		s.chapter(), uint64(s.tally.Submitted())+s.loaded, refusedText(s.tally.Refused), f.in(messages.Draft), f.in(messages.Voting),
		f.in(messages.Queued), f.in(messages.Timelocked), f.in(messages.Executed), f.in(messages.Finalized), f.in(messages.RolledBack),
		f.count("treasury_balance"), s.perSecond)
	if energy := s.energyText(f); energy != "" {
		text += ", energy " + energy
	}
	if retried := s.client.Retried(); retried > 0 {
		text += fmt.Sprintf(", calls made again elsewhere %d", retried)
	}
	return text
}

// firstText tells of the first payment, or of those of an earlier run. A call that was made
// again in this run may be told that it is a duplicate, too.
func (s *Show) firstText(f Figures, now time.Time) string {
	if uint64(s.tally.Duplicates) > s.client.Retried() {
		return fmt.Sprintf("the demo goes on where it was: %s payments are in the books", terminal.Group(f.paid()))
	}
	return fmt.Sprintf("first payment executed %s after the start", now.Sub(s.began).Round(10*time.Millisecond))
}

// chapter is what the show is at.
func (s *Show) chapter() string {
	switch {
	case s.tally.End != nil && s.energy != nil && !s.sold:
		return "the energy market of 2017"
	case s.tally.End != nil && s.load > 0:
		return fmt.Sprintf("live load of %d/s", s.load)
	case s.tally.End != nil:
		return "all is settled"
	case s.tally.Month.IsZero():
		return "opening the books"
	default:
		return s.tally.Month.Format("January 2006")
	}
}

// cascadeText tells of a rollback that took others along.
func cascadeText(c *demo.Cascade) string {
	return fmt.Sprintf(`rollback of disbursement %d, %q: %s returned to the treasury
  %d expenses over %s waited for it and are rolled back with it, each with the reason
  %q`, c.Root, terminal.Shorten(c.Title, titleMax), terminal.Group(uint64(c.Returned)), c.Failed, terminal.Group(uint64(c.Amount)), c.Reason)
}

// titleMax is how much of a title is shown, in characters.
const titleMax = 48

// endText sums the demo up.
func endText(e *demo.End, took time.Duration) string {
	return fmt.Sprintf(`all is settled at epoch %d, %s after the start:
  %d payments are final, %d missed their quorum, %d failed with what they waited for, %d were cancelled or recalled
  accrued %s = balance %s + paid %s`,
		e.Epoch, took.Round(100*time.Millisecond), e.Finalized, e.NoQuorum, e.Failed, e.Cancelled,
		terminal.Group(uint64(e.Accrued)), terminal.Group(uint64(e.Balance)), terminal.Group(uint64(e.Spent)))
}

func refusedText(refused map[messages.Code]int) string {
	if len(refused) == 0 {
		return "0"
	}
	var parts []string
	total := 0
	for _, code := range slices.Sorted(maps.Keys(refused)) {
		total += refused[code]
		parts = append(parts, fmt.Sprintf("%s %d", code, refused[code]))
	}
	return fmt.Sprintf("%d (%s)", total, strings.Join(parts, ", "))
}

// Hints is what to try while the nodes run.
func (s *Show) Hints() string {
	first, last := s.cluster[0], s.cluster[len(s.cluster)-1]
	root := messages.DisbursementID(1)
	if s.tally.Cascade != nil {
		root = s.tally.Cascade.Root
	}
	more := ""
	if s.load > 0 {
		more = fmt.Sprintf("\nFrom now on %d small payments a second go to the same payees, funded by accruals (--load 0: none).\n", s.load)
	}
	return fmt.Sprintf(`%[6]s
What to try next, in another terminal; any node takes any call:

  bin/bursar status --addr %[2]s
  bin/bursar call --addr %[1]s gov.treasury.statement '{"id": %[5]d}'    the life of what was rolled back
  bin/bursar graph --addr %[1]s --around %[5]d --hops 1 --svg cascade.svg    a picture of what went down with it
  bin/bursar call --addr %[1]s energy.disputes    what the energy market doubts
  bin/bursar tree --addr %[1]s    the actors and their supervisors
  bin/bursar submit --addr %[2]s --destination tb1me --amount 42 --memo 'my first payment'
  bin/bursar drain --addr %[2]s %[7]s    hand over what a node has; --off ends it
  curl -s http://%[3]s/metrics | grep -E 'treasury|governance'
  open http://%[3]s/ in a browser
  kill -9 %[4]d    %[7]s: nothing is lost, it comes back here

Ctrl-C ends it.
`, first.Cfg.Address(node.PortRPC), last.Cfg.Address(node.PortRPC), first.Cfg.Address(node.PortHTTP), first.PID(), root, more,
		first.Cfg.Name)
}

// rate is the growth of a counter over the last second or so.
type rate struct {
	samples []sample
}

type sample struct {
	at time.Time
	n  uint64
}

// rateWindow is how far back a rate looks.
const rateWindow = time.Second

// add takes a reading and returns the growth per second.
func (r *rate) add(now time.Time, n uint64) uint64 {
	r.samples = append(r.samples, sample{now, n})
	for len(r.samples) > 2 && now.Sub(r.samples[1].at) >= rateWindow {
		r.samples = r.samples[1:]
	}
	oldest := r.samples[0]
	elapsed := now.Sub(oldest.at)
	if elapsed <= 0 || n < oldest.n {
		return 0
	}
	return uint64(float64(n-oldest.n)/elapsed.Seconds() + 0.5)
}
