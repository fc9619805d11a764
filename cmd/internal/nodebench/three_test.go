package nodebench_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/bench"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

var (
	turnFor      = flag.Duration("turn", 3*time.Second, "BenchmarkThree: how long each is measured before it is another's turn")
	steadyFor    = flag.Duration("steady", time.Minute, "BenchmarkThree: how long the open loop lasts")
	livesFor     = flag.Duration("lives", 20*time.Second, "BenchmarkThree: how long payments are submitted")
	idleFor      = flag.Duration("idle", 30*time.Second, "BenchmarkThree: how long idle nodes are watched")
	threeRecords = flag.Int("records", 1_000_000, "BenchmarkThree: what a node that lost its disk has to be told")
)

// fleet is three nodes that make one cluster: a primary, which leads, a replica and an
// observer.
type fleet struct{ primary, replica, observer *node }

// startFleet forms a cluster of three processes on loopback, until the test ends.
func startFleet(tb testing.TB, flags ...string) *fleet {
	tb.Helper()
	base := freePorts(tb, 3)
	var join []string
	for i := range 3 {
		join = append(join, (&node{base: base + i*localcluster.PortStep}).gossip())
	}
	member := func(i int, role string) *node {
		own := []string{"--name", fmt.Sprintf("n%d", i+1), "--role", role, "--bootstrap-expect", "3", "--join", strings.Join(join, ",")}
		return newNode(tb, base+i*localcluster.PortStep, append(own, flags...)...)
	}
	f := &fleet{member(0, "primary"), member(1, "replica"), member(2, "observer")}
	for _, n := range f.all() {
		n.start(tb)
	}
	for _, n := range f.all() {
		n.awaitReady(tb)
	}
	f.awaitLeader(tb)
	return f
}

func (f *fleet) all() []*node { return []*node{f.primary, f.replica, f.observer} }

// awaitLeader waits until the primary leads.
func (f *fleet) awaitLeader(tb testing.TB) {
	tb.Helper()
	await(tb, 2*time.Minute, func() error {
		if f.primary.metric(tb, "bursar_cluster_leader") == 1 {
			return nil
		}
		return errors.New("the primary does not lead")
	})
}

// sample is one run of one system.
type sample struct {
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P99       float64 `json:"p99_ms"`
	refused   string
}

func sampleOf(r *bench.Result) sample {
	s := sample{PerSecond: r.PerSecond, P50: ms(r.P50), P99: ms(r.P99)}
	for code, n := range r.Refused {
		s.refused += fmt.Sprintf(" %d %s", n, code)
	}
	return s
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (s sample) String() string {
	return fmt.Sprintf("%.0f/s p50 %.2f p99 %.1f%s", s.PerSecond, s.P50, s.P99, s.refused)
}

// contender is somebody who takes turns.
type contender struct {
	name string
	run  func(*testing.B) sample
	best sample
}

// inTurns has all of them measured, one after the other, as often as b wants, and tells
// each turn with the machine's load, and the best of each.
func inTurns(b *testing.B, contenders []*contender) {
	for b.Loop() {
		for _, c := range contenders {
			s := c.run(b)
			tell(b, "%-20s %s", c.name, s)
			if s.PerSecond > c.best.PerSecond {
				c.best = s
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for _, c := range contenders {
		b.ReportMetric(c.best.PerSecond, c.name+"/s")
		b.ReportMetric(c.best.P50, c.name+"-p50-ms")
		b.ReportMetric(c.best.P99, c.name+"-p99-ms")
	}
}

// tell writes a line at once: the log of a benchmark keeps ten.
func tell(tb testing.TB, format string, args ...any) {
	load, _ := os.ReadFile("/proc/loadavg") // nothing where there is none
	first, _, _ := strings.Cut(string(load), " ")
	fmt.Fprintf(os.Stderr, "%s load %s: %s\n", tb.Name(), first, fmt.Sprintf(format, args...))
}

// BenchmarkThree measures a cluster of three processes on loopback from outside, and
// where it is installed etcd in the same minutes. -benchtime 3x gives each three turns;
// each part can be had alone: -bench Three/idle.
func BenchmarkThree(b *testing.B) {
	b.Run("submissions", benchSubmissions)
	b.Run("steady", benchSteady)
	b.Run("lives", benchLives)
	b.Run("idle", benchIdle)
	b.Run("drain", benchDrain)
	b.Run("lost-disk", benchLostDisk)
}

// benchSubmissions has one, 256 and 4,096 submissions in flight, at each node and at all.
func benchSubmissions(b *testing.B) {
	f, yardstick := startFleet(b, "--epoch-interval", "1s"), startEtcd(b)
	turn := 0
	for _, inFlight := range []int{1, 256, 4096} {
		connections := map[int]int{1: 1, 256: 3, 4096: 12}[inFlight]
		at := func(name string, nodes ...*node) *contender {
			return &contender{name: name, run: func(b *testing.B) sample {
				turn++
				cfg := bench.Config{Connections: min(connections, inFlight), InFlight: inFlight, Warmup: time.Second / 2, Duration: *turnFor}
				return sampleOf(run(b, bench.Submissions(cfg, fmt.Sprintf("three-%d", turn)), nodes...))
			}}
		}
		contenders := []*contender{at("leader", f.primary), at("follower", f.replica), at("observer", f.observer)}
		if inFlight > 1 {
			contenders = append(contenders, at("all", f.all()...))
		}
		if yardstick != nil {
			puts := func(name, member string, batch int) *contender {
				return &contender{name: name, run: func(b *testing.B) sample {
					return yardstick.run(b, member, inFlight, connections, batch, *turnFor)
				}}
			}
			contenders = append(contenders, puts("etcd", yardstick.leader, 1), puts("etcd-follower", yardstick.follower(), 1))
			if inFlight > 1 {
				contenders = append(contenders, puts("etcd-batched", yardstick.leader, min(inFlight/4, 128)))
			}
		}
		b.Run(fmt.Sprintf("in-flight=%d", inFlight), func(b *testing.B) { inTurns(b, contenders) })
	}
}

// benchSteady offers 10,000 submissions a second to the three nodes, whatever the answers do.
func benchSteady(b *testing.B) {
	f := startFleet(b, "--epoch-interval", "1s")
	turn := 0
	inTurns(b, []*contender{{name: "all", run: func(b *testing.B) sample {
		turn++
		cfg := bench.Config{Connections: 6, InFlight: 4096, Rate: 10_000, Warmup: 2 * time.Second, Duration: *steadyFor}
		return sampleOf(run(b, bench.Submissions(cfg, fmt.Sprintf("steady-%d", turn)), f.all()...))
	}}})
}

// benchLives submits payments that are due at once, and waits until all are final: the
// rate counts from the first submission to the end of the last life.
func benchLives(b *testing.B) {
	f := startFleet(b, "--epoch-interval", "1s")
	income(b, f.primary)
	turn := 0
	final := func() float64 { return f.primary.metric(b, `bursar_treasury_disbursements{status="finalized"}`) }
	inTurns(b, []*contender{{name: "all", run: func(b *testing.B) sample {
		turn++
		before, began := final(), time.Now()
		cfg := bench.Config{Connections: 3, InFlight: 256, Duration: *livesFor}
		r := run(b, bench.Payments(cfg, fmt.Sprintf("lives-%d", turn)), f.all()...)
		s := sampleOf(r)
		await(b, 5*time.Minute, func() error {
			if lived := final() - before; lived < float64(r.Answered) {
				return fmt.Errorf("%.0f of %d lives have ended", lived, r.Answered)
			}
			return nil
		})
		s.PerSecond = float64(r.Answered) / time.Since(began).Seconds()
		return s
	}}})
}

// income lets the treasury pay.
func income(tb testing.TB, n *node) {
	tb.Helper()
	call(tb, n, messages.MethodAccrue, &messages.AccrueParams{
		Options: messages.Options{RequestID: "income"}, Amount: 1 << 40, Source: "bench",
	}, nil)
}

// call makes one call over a connection of its own.
func call(tb testing.TB, n *node, method string, params messages.Params, result messages.Result) {
	tb.Helper()
	client, err := wire.Dial(tb.Context(), n.rpc())
	if err != nil {
		tb.Fatal(err)
	}
	defer client.Close()
	if err := client.Call(tb.Context(), method, params, result); err != nil {
		tb.Fatal(err)
	}
}

// benchIdle tells what nodes without anything to do but epochs, each 10 s, use of a core.
func benchIdle(b *testing.B) {
	f := startFleet(b, "--epoch-interval", "10s")
	time.Sleep(5 * time.Second) // what follows a start
	for b.Loop() {
		var before [3]time.Duration
		for i, n := range f.all() {
			before[i] = n.ticks(b)
		}
		time.Sleep(*idleFor)
		var share [3]float64
		for i, n := range f.all() {
			share[i] = 100 * float64(n.ticks(b)-before[i]) / float64(*idleFor)
		}
		tell(b, "leader %.2f %%, follower %.2f %%, observer %.2f %% of a core", share[0], share[1], share[2])
		for i, name := range []string{"leader", "follower", "observer"} {
			b.ReportMetric(share[i], name+"-%")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// ticks is the processor time a process has used, as the kernel counts it, without
// asking the process: that would cost it some.
func (p *process) ticks(tb testing.TB) time.Duration {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.now.PID))
	if err != nil {
		tb.Skip(err)
	}
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(user+system) * 10 * time.Millisecond
}

// benchDrain drains the primary and lets it work again, and then stops it and starts it
// again, while the others are called 1,000 times a second. No call may fail.
func benchDrain(b *testing.B) {
	f := startFleet(b, "--epoch-interval", "1s")
	loaded := func(name string, do func()) {
		done := make(chan sample)
		go func() {
			cfg := bench.Config{Connections: 2, InFlight: 1024, Rate: 1000, Warmup: time.Second / 2, Duration: 8 * time.Second}
			r, err := bench.Run(b.Context(), withAddrs(bench.Submissions(cfg, fmt.Sprintf("%s-%d", name, time.Now().UnixNano())), f.replica, f.observer))
			if err != nil {
				b.Error(err)
				r = new(bench.Result)
			}
			s := sampleOf(r)
			b.ReportMetric(ms(r.Max), name+"-max-ms")
			s.refused += fmt.Sprintf(" max %.0f", ms(r.Max))
			done <- s
		}()
		time.Sleep(2 * time.Second)
		began := time.Now()
		do()
		took := time.Since(began)
		s := <-done
		b.ReportMetric(ms(took), name+"-ms")
		tell(b, "%s took %s; callers of the others: %s", name, took.Round(time.Millisecond), s)
	}
	for b.Loop() {
		drain := func(off bool) func() {
			return func() {
				call(b, f.observer, messages.MethodClusterDrain, &messages.DrainParams{Node: "n1", Off: off}, new(messages.DrainResult))
			}
		}
		loaded("drain", drain(false))
		loaded("undrain", drain(true))
		loaded("leave", func() {
			if err := f.primary.end(syscall.SIGTERM); err != nil {
				b.Fatal(err)
			}
		})
		f.primary.start(b)
		f.primary.awaitReady(b)
		f.awaitLeader(b)
	}
	b.ReportMetric(0, "ns/op")
}

func withAddrs(cfg bench.Config, nodes ...*node) bench.Config {
	for _, n := range nodes {
		cfg.Addrs = append(cfg.Addrs, n.rpc())
	}
	return cfg
}

// benchLostDisk kills the replica, empties its directory and starts it again: how long
// until it has all records again, and what the others serve meanwhile.
func benchLostDisk(b *testing.B) {
	f := startFleet(b, "--epoch-interval", "1s")
	others := []*node{f.primary, f.observer}
	f.fill(b, *threeRecords)
	turn := 0
	load := func(duration time.Duration) bench.Config {
		turn++
		cfg := bench.Config{Connections: 2, InFlight: 256, Duration: duration}
		return withAddrs(bench.Submissions(cfg, fmt.Sprintf("lost-%d", turn)), others...)
	}
	for b.Loop() {
		before := run(b, load(10*time.Second))
		if err := f.replica.end(syscall.SIGKILL); err != nil {
			b.Fatal(err)
		}
		if err := os.RemoveAll(f.replica.dir); err != nil {
			b.Fatal(err)
		}
		time.Sleep(3 * time.Second) // the others have taken over
		began := time.Now()
		f.replica.start(b)
		var took time.Duration
		var during uint64
		for took == 0 && time.Since(began) < 5*time.Minute {
			during += run(b, load(time.Second)).Answered
			if f.caughtUp(b) {
				took = time.Since(began)
			}
		}
		rate := float64(during) / took.Seconds()
		tell(b, "before %s; caught up after %s, while the others served %.0f/s, %.0f %%",
			sampleOf(before), took.Round(time.Millisecond), rate, 100*rate/before.PerSecond)
		b.ReportMetric(took.Seconds(), "catch-up-s")
		b.ReportMetric(100*rate/before.PerSecond, "served-%")
		f.replica.awaitReady(b)
	}
	b.ReportMetric(0, "ns/op")
}

// fill makes records.
func (f *fleet) fill(b *testing.B, records int) {
	b.Helper()
	client, err := wire.Dial(b.Context(), f.primary.rpc())
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	began := time.Now()
	submit(b, client, 0, records)
	tell(b, "%d records made in %s", records, time.Since(began).Round(time.Second))
}

// caughtUp reports whether the replica serves, and has what the primary has.
func (f *fleet) caughtUp(b *testing.B) bool {
	const applied = "bursar_cluster_applied_index"
	want := f.primary.metric(b, applied)
	if _, err := f.replica.get(b, "/readyz"); err != nil {
		return false
	}
	return f.replica.metric(b, applied) >= want
}
