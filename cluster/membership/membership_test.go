package membership_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/the-block/bursar/cluster/clustertest"
	"github.com/the-block/bursar/cluster/membership"
	"github.com/the-block/bursar/messages"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a network and the nodes on it, in virtual time.
type world struct {
	*testing.T
	network *clustertest.Network
	dir     string
	boots   uint64
}

// node is one running member.
type node struct {
	*membership.Membership
	w     *world
	lines *lines
	fatal chan error
	stop  func() // ends Run
	once  sync.Once
}

// inWorld runs play in virtual time.
func inWorld(t *testing.T, play func(w *world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(10 * time.Second) }) // after all nodes: probes under way end
		play(&world{T: t, network: clustertest.NewNetwork(1, clustertest.Weather{}), dir: dir})
	})
}

// ipOf is the host of node n1, n2 ...
func ipOf(name string) string { return "10.0.0." + strings.TrimPrefix(name, "n") }

func gossipAt(name string) string { return ipOf(name) + ":9001" }

func (w *world) meta(name string) membership.Meta {
	w.boots++
	return membership.Meta{
		Name: messages.NodeID(name), Role: membership.Replica, Host: ipOf(name), BasePort: 9000,
		Boot: w.boots, Version: "1.2.3", ProtocolMin: 1, ProtocolMax: 2, BootstrapExpect: 3, Fresh: true,
	}
}

// start opens and runs a node that knows the seeds.
func (w *world) start(meta membership.Meta, seeds ...string) *node {
	w.Helper()
	return w.startWith(meta, func(*membership.Config) {}, seeds...)
}

func (w *world) startWith(meta membership.Meta, edit func(*membership.Config), seeds ...string) *node {
	w.Helper()
	cfg := membership.DefaultConfig()
	cfg.Listen = meta.Host
	for _, seed := range seeds {
		cfg.Seeds = append(cfg.Seeds, gossipAt(seed))
	}
	edit(&cfg)
	n := &node{w: w, lines: new(lines), fatal: make(chan error, 4)}
	log := slog.New(slog.NewTextHandler(n.lines, nil))
	opened, err := membership.Open(cfg, meta, w.network.Host(meta.Host), func(err error) { n.fatal <- err }, log)
	if err != nil {
		w.Fatal(err)
	}
	n.Membership = opened
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = n.Run(ctx) })
	n.stop = func() { cancel(); running.Wait() }
	w.Cleanup(n.crash)
	return n
}

// crash ends the node without a word.
func (n *node) crash() {
	n.once.Do(func() {
		n.stop()
		if err := n.Close(); err != nil {
			n.w.Error(err)
		}
	})
}

// view is what the node sees: "n1 alive, n2 dead".
func (n *node) view() string {
	var seen []string
	for _, m := range n.Members() {
		seen = append(seen, fmt.Sprintf("%s %s", m.Name, m.State))
	}
	return strings.Join(seen, ", ")
}

func (n *node) member(name string) membership.Member {
	for _, m := range n.Members() {
		if string(m.Name) == name {
			return m
		}
	}
	return membership.Member{}
}

// awaitView waits for what the node should see, and returns how long that took.
func (n *node) awaitView(want string, most time.Duration) time.Duration {
	n.w.Helper()
	start := time.Now()
	deadline := time.NewTimer(most)
	defer deadline.Stop()
	for {
		_, changed := n.Watch()
		if n.view() == want {
			return time.Since(start)
		}
		select {
		case <-changed:
		case <-deadline.C:
			n.w.Fatalf("after %s it sees %q, want %q\n%s", most, n.view(), want, n.lines)
		}
	}
}

// lines gathers a node's log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) count(part string) int { return strings.Count(l.String(), part) }

const allAlive = "n1 alive, n2 alive, n3 alive"

// three starts three nodes that all know the same seeds, their own address among them.
func (w *world) three() (n1, n2, n3 *node) {
	w.Helper()
	seeds := []string{"n1", "n2", "n3"}
	n1, n2, n3 = w.start(w.meta("n1"), seeds...), w.start(w.meta("n2"), seeds...), w.start(w.meta("n3"), seeds...)
	for _, n := range []*node{n1, n2, n3} {
		n.awaitView(allAlive, 5*time.Second)
	}
	return n1, n2, n3
}

func TestNodesFindOneAnotherAndTellAboutThemselves(t *testing.T) {
	inWorld(t, func(w *world) {
		_, _, n3 := w.three()
		got := n3.member("n1")
		want := membership.Meta{
			Name: "n1", Role: membership.Replica, Host: "10.0.0.1", BasePort: 9000, Boot: 1, Version: "1.2.3",
			ProtocolMin: 1, ProtocolMax: 2, BootstrapExpect: 3, Fresh: true,
		}
		if diff := cmp.Diff(got.Meta, want); diff != "" {
			t.Errorf("n1 as n3 sees it (-got +want):\n%s", diff)
		}
		if got.ActorsAddr() != "10.0.0.1:9004" || got.RaftAddr() != "10.0.0.1:9002" {
			t.Errorf("addresses are %s and %s", got.ActorsAddr(), got.RaftAddr())
		}
	})
}

func TestOneSeedIsEnough(t *testing.T) {
	inWorld(t, func(w *world) {
		n1 := w.start(w.meta("n1"))
		n2 := w.start(w.meta("n2"), "n1")
		n3 := w.start(w.meta("n3"), "n1")
		for _, n := range []*node{n1, n2, n3} {
			n.awaitView(allAlive, 2*time.Second)
		}
	})
}

func TestChangedMetaReachesAll(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		err := n1.Update(func(m *membership.Meta) { m.Draining, m.Cluster, m.Fresh = true, "c1", false })
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		for _, n := range []*node{n1, n2, n3} {
			if got := n.member("n1"); !got.Draining || got.Cluster != "c1" || got.Fresh {
				t.Errorf("n1 is seen as %+v", got.Meta)
			}
		}
		if err := n1.Update(func(m *membership.Meta) { m.Version = strings.Repeat("9", 600) }); err == nil {
			t.Error("a version of 600 bytes was taken")
		}
		if got := n1.member("n1").Version; got != "1.2.3" {
			t.Errorf("after a refused update the version is %q", got)
		}
	})
}

func TestCrashIsNoticedWithinASecond(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		var all []time.Duration
		for range 20 {
			n3.crash()
			took := n1.awaitView("n1 alive, n2 alive, n3 dead", 2*time.Second)
			took = max(took, n2.awaitView("n1 alive, n2 alive, n3 dead", 2*time.Second))
			all = append(all, took)
			n3 = w.start(w.meta("n3"), "n1")
			n1.awaitView(allAlive, 5*time.Second)
			n2.awaitView(allAlive, 5*time.Second)
			n3.awaitView(allAlive, 5*time.Second)
		}
		slices.Sort(all)
		if all[10] > 1100*time.Millisecond || all[19] > 1500*time.Millisecond {
			t.Errorf("20 crashes were noticed after %v", all)
		}
		t.Logf("20 crashes were noticed after %s (median) and %s (slowest)", all[10], all[19])
	})
}

func TestLeavingIsNotDying(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		start := time.Now()
		if err := n3.Leave(w.Context()); err != nil {
			t.Fatal(err)
		}
		t.Logf("left within %s", time.Since(start))
		n3.crash()
		n1.awaitView("n1 alive, n2 alive, n3 left", time.Second)
		n2.awaitView("n1 alive, n2 alive, n3 left", time.Second)
		if err := n3.Leave(w.Context()); !errors.Is(err, membership.ErrLeft) {
			t.Errorf("a second Leave gives %v", err)
		}
		w.start(w.meta("n3"), "n1")
		n1.awaitView(allAlive, 5*time.Second)
	})
}

// TestLeavingWaitsNoLongerThanAsked: the node is telling the others of a change then.
func TestLeavingWaitsNoLongerThanAsked(t *testing.T) {
	inWorld(t, func(w *world) {
		_, _, n3 := w.three()
		if err := n3.Update(func(m *membership.Meta) { m.Draining = true }); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		const most = time.Millisecond
		ctx, cancel := context.WithTimeout(context.Background(), most)
		defer cancel()
		began := time.Now()
		if err := n3.Leave(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error = %v, want the deadline", err)
		}
		if took := time.Since(began); took > most {
			t.Errorf("returned after %s, want %s", took, most)
		}
	})
}

func TestQuickRestartIsSeenByItsBoot(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, _, n3 := w.three()
		time.Sleep(time.Minute)
		before := n1.member("n3")
		n3.crash()
		w.start(w.meta("n3"), "n1", "n2") // before anybody suspects
		time.Sleep(time.Second)
		after := n1.member("n3")
		if after.State != membership.Alive || after.Boot == before.Boot || !after.Since.After(before.Since) {
			t.Errorf("n3 was %+v and is %+v", before, after)
		}
		if n1.lines.count("member restarted") != 1 {
			t.Errorf("the log tells of no restart:\n%s", n1.lines)
		}
	})
}

func TestLongCutHealsWithinTenSeconds(t *testing.T) {
	cuts := map[string]func(w *world){
		"one node alone": func(w *world) { w.network.Isolate(ipOf("n3"), ipOf("n1"), ipOf("n2")) },
		"one way only":   func(w *world) { w.network.Cut(ipOf("n3"), ipOf("n1")); w.network.Cut(ipOf("n3"), ipOf("n2")) },
		"everybody alone": func(w *world) {
			w.network.Isolate(ipOf("n3"), ipOf("n1"), ipOf("n2"))
			w.network.Isolate(ipOf("n1"), ipOf("n2"))
		},
		"losing on the way": func(w *world) {
			w.network.Isolate(ipOf("n3"), ipOf("n1"), ipOf("n2"))
			w.network.SetCalm(clustertest.Weather{Loss: 0.2})
		},
	}
	for name, cut := range cuts {
		t.Run(name, func(t *testing.T) {
			inWorld(t, func(w *world) {
				n1, n2, n3 := w.three()
				cut(w)
				time.Sleep(121_300 * time.Millisecond) // not in step with the rounds
				if n1.view() == allAlive || n1.lines.count("fell silent") == 0 {
					t.Fatalf("the cut is none: %s", n1.view())
				}
				w.network.HealAll()
				start := time.Now()
				for _, n := range []*node{n1, n2, n3} {
					n.awaitView(allAlive, 10*time.Second)
				}
				if took := time.Since(start); took > 10*time.Second {
					t.Errorf("it took %s", took)
				}
				t.Logf("healed within %s", time.Since(start))
			})
		})
	}
}

func TestFifthOfPacketsLostKillsNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		w.network.SetCalm(clustertest.Weather{Loss: 0.2})
		time.Sleep(2 * time.Minute)
		for _, n := range []*node{n1, n2, n3} {
			if n.view() != allAlive {
				t.Errorf("it sees %s", n.view())
			}
			if deaths := n.lines.count("member fell silent"); deaths > 0 {
				t.Errorf("%d false deaths in 2 minutes", deaths)
			}
		}
	})
}

func TestMembersThatWereMetAreFoundWithoutSeeds(t *testing.T) {
	inWorld(t, func(w *world) {
		file := filepath.Join(w.dir, "peers.json")
		keeping := func(cfg *membership.Config) { cfg.PeersFile = file }
		n1 := w.start(w.meta("n1"))
		n2 := w.startWith(w.meta("n2"), keeping, "n1")
		n2.awaitView("n1 alive, n2 alive", 5*time.Second)
		time.Sleep(5 * time.Second)
		n1.crash()
		n2.crash()
		n1 = w.start(w.meta("n1"))
		n2 = w.startWith(w.meta("n2"), keeping)
		n2.awaitView("n1 alive, n2 alive", 5*time.Second)
		n1.awaitView("n1 alive, n2 alive", 5*time.Second)
	})
}

func TestDamagedFileOfPeersIsOnlyAWarning(t *testing.T) {
	inWorld(t, func(w *world) {
		file := filepath.Join(w.dir, "peers.json")
		if err := os.WriteFile(file, []byte(`{"peers":[{"name":`), 0o600); err != nil {
			t.Fatal(err)
		}
		w.start(w.meta("n1"))
		n2 := w.startWith(w.meta("n2"), func(cfg *membership.Config) { cfg.PeersFile = file }, "n1")
		n2.awaitView("n1 alive, n2 alive", 5*time.Second)
		if n2.lines.count("file of peers cannot be read") != 1 {
			t.Errorf("no warning:\n%s", n2.lines)
		}
		time.Sleep(5 * time.Second)
		if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), "10.0.0.1:9001") {
			t.Errorf("the file was not mended: %s %v", text, err)
		}
	})
}

func TestSecondNodeOfANameMustStop(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		time.Sleep(time.Minute)
		second := w.meta("n3")
		second.Host = "10.0.0.9"
		joiner := w.start(second, "n1", "n2")
		time.Sleep(10 * time.Second)
		var taken *membership.NameTakenError
		select {
		case err := <-joiner.fatal:
			if !errors.As(err, &taken) {
				t.Fatalf("it stops for %v", err)
			}
		default:
			t.Fatalf("the second n3 goes on:\n%s", joiner.lines)
		}
		if taken.Name != "n3" || taken.Addr != gossipAt("n3") || taken.Uptime < time.Minute {
			t.Errorf("it stops with %+v", taken)
		}
		if len(n3.fatal) > 0 {
			t.Errorf("the first n3 stops, too: %v", <-n3.fatal)
		}
		if n3.lines.count("another node goes by this node's name") != 1 {
			t.Errorf("the first n3 says nothing:\n%s", n3.lines)
		}
		for _, n := range []*node{n1, n2, n3} {
			if got := n.member("n3"); got.Host != ipOf("n3") || got.State != membership.Alive {
				t.Errorf("n3 is seen as %+v", got)
			}
		}
	})
}

func TestNameComesBackOnANewAddress(t *testing.T) {
	inWorld(t, func(w *world) {
		n1, n2, n3 := w.three()
		n3.crash()
		moved := w.meta("n3")
		moved.Host = "10.0.0.33"
		again := w.start(moved, "n1")
		time.Sleep(20 * time.Second)
		for _, n := range []*node{n1, n2, again} {
			if got := n.member("n3"); got.Host != "10.0.0.33" || n.view() != allAlive {
				t.Errorf("it sees n3 at %s: %s\n%s", got.Host, n.view(), n.lines)
			}
		}
		if len(again.fatal) > 0 {
			t.Errorf("it stops: %v", <-again.fatal)
		}
	})
}

func TestOtherClustersStayOut(t *testing.T) {
	inWorld(t, func(w *world) {
		of := func(name, cluster string) membership.Meta {
			m := w.meta(name)
			m.Cluster = cluster
			return m
		}
		n1 := w.start(of("n1", "red"))
		n2 := w.start(of("n2", "red"), "n1")
		n4 := w.start(of("n4", "blue"))
		n5 := w.start(of("n5", "blue"), "n4", "n1") // n1 is a mistake
		n2.awaitView("n1 alive, n2 alive", 5*time.Second)
		n5.awaitView("n4 alive, n5 alive", 5*time.Second)
		time.Sleep(3*time.Minute + time.Second)
		for n, want := range map[*node]string{
			n1: "n1 alive, n2 alive", n2: "n1 alive, n2 alive", n4: "n4 alive, n5 alive", n5: "n4 alive, n5 alive",
		} {
			if n.view() != want {
				t.Errorf("it sees %q, want %q", n.view(), want)
			}
		}
		if got := n5.lines.count("it belongs to cluster red and this node to cluster blue: take its address out of --join"); got == 0 {
			t.Errorf("n5 is not told:\n%s", n5.lines)
		}
		if got := n1.lines.count("it belongs to cluster blue and this node to cluster red"); got == 0 || got > 8 {
			t.Errorf("n1 tells it %d times in 3 minutes:\n%s", got, n1.lines)
		}
	})
}

func TestFreshNodeThatMetTwoClustersEndsInOne(t *testing.T) {
	inWorld(t, func(w *world) {
		red, blue := w.meta("n1"), w.meta("n4")
		red.Cluster, blue.Cluster = "red", "blue"
		n1, n4 := w.start(red), w.start(blue)
		n2 := w.start(w.meta("n2"), "n1", "n4")
		n2.awaitView("n1 alive, n2 alive, n4 alive", 5*time.Second)
		if err := n2.Update(func(m *membership.Meta) { m.Cluster = "red" }); err != nil {
			t.Fatal(err)
		}
		n2.awaitView("n1 alive, n2 alive", 5*time.Second)
		n4.awaitView("n4 alive", 30*time.Second)
		n1.awaitView("n1 alive, n2 alive", 5*time.Second)
		time.Sleep(time.Minute)
		if n1.view() != "n1 alive, n2 alive" || n4.view() != "n4 alive" {
			t.Errorf("they see %q and %q", n1.view(), n4.view())
		}
	})
}

// writeKeys makes a file of keys, each of 32 times the given letter.
func writeKeys(t *testing.T, file, letters string) {
	t.Helper()
	text := "# gossip keys\n"
	for _, letter := range letters {
		text += base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(letter), 32))) + "\n"
	}
	err := os.WriteFile(file, []byte(text), 0o600)
	if err = errors.Join(err, os.Chtimes(file, time.Now(), time.Now())); err != nil { // in virtual time, as all else
		t.Fatal(err)
	}
}

func TestWrongKeyIsNamed(t *testing.T) {
	inWorld(t, func(w *world) {
		keyed := func(letters string) func(*membership.Config) {
			file := filepath.Join(w.dir, letters)
			writeKeys(w.T, file, letters)
			return func(cfg *membership.Config) { cfg.KeyFile = file }
		}
		n1 := w.startWith(w.meta("n1"), keyed("a"))
		n2 := w.startWith(w.meta("n2"), keyed("a"), "n1")
		n2.awaitView("n1 alive, n2 alive", 5*time.Second)
		other := w.startWith(w.meta("n3"), keyed("b"), "n1")
		plain := w.start(w.meta("n4"), "n1")
		time.Sleep(3*time.Minute + time.Second)
		for _, n := range []*node{other, plain} {
			if got := n.lines.count("is the gossip key the same"); got < 3 || got > 4 {
				t.Errorf("in 3 minutes it is told %d times:\n%s", got, n.lines)
			}
			if len(n.Members()) != 1 {
				t.Errorf("it sees %s", n.view())
			}
		}
		if n1.view() != "n1 alive, n2 alive" {
			t.Errorf("n1 sees %s", n1.view())
		}
		if got := n1.lines.count("somebody's gossip makes no sense"); got < 2 || got > 8 {
			t.Errorf("n1 tells it %d times:\n%s", got, n1.lines)
		}
	})
}

func TestKeyIsRotatedUnderway(t *testing.T) {
	inWorld(t, func(w *world) {
		files := map[string]string{}
		var nodes []*node
		for _, name := range []string{"n1", "n2", "n3"} {
			files[name] = filepath.Join(w.dir, name)
			writeKeys(t, files[name], "a")
			nodes = append(nodes, w.startWith(w.meta(name), func(cfg *membership.Config) { cfg.KeyFile = files[name] }, "n1"))
		}
		for _, n := range nodes {
			n.awaitView(allAlive, 5*time.Second)
		}
		done := 0
		for _, step := range []string{"ab", "ba", "b", "bcd", "cdb", "dc", "d"} {
			for i, name := range []string{"n1", "n2", "n3"} {
				writeKeys(t, files[name], step)
				time.Sleep(3 * time.Second)
				if got := nodes[i].lines.count("new gossip keys are in use"); got != 1+done {
					t.Fatalf("step %s was taken up %d times:\n%s", step, got-done, nodes[i].lines)
				}
			}
			done++
		}
		for _, n := range nodes {
			if n.view() != allAlive || n.lines.count("fell silent")+n.lines.count("makes no sense") > 0 {
				t.Errorf("it sees %s:\n%s", n.view(), n.lines)
			}
		}
		writeKeys(t, files["n4"]+"late", "d")
		late := w.startWith(w.meta("n4"), func(cfg *membership.Config) { cfg.KeyFile = files["n4"] + "late" }, "n2")
		late.awaitView(allAlive+", n4 alive", 5*time.Second)
		if err := os.WriteFile(files["n1"], []byte("not a key\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := nodes[0].Reload(); !errors.Is(err, membership.ErrKeys) || strings.Contains(err.Error(), "not a key") {
			t.Errorf("a bad file gives %v", err)
		}
	})
}

func TestBadSeedsHarmNobody(t *testing.T) {
	inWorld(t, func(w *world) {
		stop, err := garble(w.network.Host("10.0.0.66"), "10.0.0.66:80")
		if err != nil {
			t.Fatal(err)
		}
		defer stop()
		n1 := w.startWith(w.meta("n1"), func(cfg *membership.Config) {
			cfg.Seeds = []string{"10.0.0.66:80", "10.0.0.77:9001", gossipAt("n1")}
		}, "n1")
		n2 := w.start(w.meta("n2"), "n1")
		time.Sleep(3*time.Minute + time.Second)
		if n1.view() != "n1 alive, n2 alive" || n2.view() != "n1 alive, n2 alive" {
			t.Errorf("they see %q and %q", n1.view(), n2.view())
		}
		if got := n1.lines.count("a seed does not understand this node"); got < 3 || got > 4 {
			t.Errorf("the garbage is told of %d times in 3 minutes:\n%s", got, n1.lines)
		}
		if got := n1.lines.count("a seed does not answer"); got < 3 || got > 4 {
			t.Errorf("the missing seed is told of %d times:\n%s", got, n1.lines)
		}
		if strings.Contains(n1.lines.String(), "addr="+gossipAt("n1")) {
			t.Errorf("it asks itself:\n%s", n1.lines)
		}
	})
}

func TestMembersAreBounded(t *testing.T) {
	inWorld(t, func(w *world) {
		few := func(cfg *membership.Config) { cfg.MembersMax = 3 }
		n1 := w.startWith(w.meta("n1"), few)
		var rest []*node
		for _, name := range []string{"n2", "n3", "n4", "n5"} {
			rest = append(rest, w.startWith(w.meta(name), func(cfg *membership.Config) { cfg.MembersMax = 64 }, "n1"))
			time.Sleep(time.Second)
		}
		if n1.view() != allAlive {
			t.Errorf("it sees %s", n1.view())
		}
		rest[0].crash()
		time.Sleep(time.Minute)
		if got := len(n1.Members()); got != 3 || !slices.ContainsFunc(n1.Members(), func(m membership.Member) bool {
			return m.Name == "n4" || m.Name == "n5"
		}) {
			t.Errorf("with room again it sees %s", n1.view())
		}
	})
}

func TestConfigIsRefusedWithReasons(t *testing.T) {
	w := &world{T: t, network: clustertest.NewNetwork(1, clustertest.Weather{})}
	cfg, meta := membership.DefaultConfig(), w.meta("n1")
	cfg.Seeds = []string{"nowhere"}
	meta.Name, meta.Host, meta.Role = "a name", strings.Repeat("h", 400), 0
	_, err := membership.Open(cfg, meta, w.network.Host("10.0.0.1"), func(error) {}, slog.New(slog.DiscardHandler))
	for _, part := range []string{`join: "nowhere" is not host:port`, `name: "a name" is not`, "host: ", "role: 0"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in %v", part, err)
		}
	}
}

// freePort finds a base port whose second port is free for UDP and TCP.
func freePort(t *testing.T) uint16 {
	t.Helper()
	for range 20 {
		tcp, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		port := tcp.Addr().(*net.TCPAddr).Port
		udp, err := net.ListenPacket("udp", tcp.Addr().String())
		tcp.Close()
		if err == nil {
			udp.Close()
			return uint16(port - 1)
		}
	}
	t.Fatal("no port is free for both")
	return 0
}

func TestThreeNodesOverLoopback(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "gossip.key")
	writeKeys(t, key, "k")
	var opened []*membership.Membership
	var seed string
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for i := range 3 {
		port := freePort(t)
		cfg := membership.DefaultConfig()
		cfg.KeyFile, cfg.PeersFile = key, filepath.Join(dir, fmt.Sprint("peers", i))
		if seed != "" {
			cfg.Seeds = []string{seed}
		}
		meta := membership.Meta{
			Name: messages.NodeID(fmt.Sprint("n", i+1)), Role: membership.Primary, Host: "127.0.0.1", BasePort: port, Boot: uint64(i) + 1,
		}
		seed = strings.Replace(meta.GossipAddr(), "127.0.0.1", "localhost", 1)
		m, err := membership.Open(cfg, meta, membership.Sockets{}, func(err error) { t.Error(err) }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() { _ = m.Run(ctx) })
		opened = append(opened, m)
	}
	await := func(m *membership.Membership, state membership.State) {
		t.Helper()
		deadline := time.After(20 * time.Second)
		for {
			members, changed := m.Watch()
			if len(members) == 3 && members[2].State == state {
				return
			}
			select {
			case <-changed:
			case <-deadline:
				t.Fatalf("it sees %+v", members[len(members)-1])
			}
		}
	}
	for _, m := range opened {
		await(m, membership.Alive)
	}
	if err := opened[2].Leave(t.Context()); err != nil {
		t.Error(err)
	}
	await(opened[0], membership.Left)
	cancel()
	running.Wait()
	for _, m := range opened {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// garble answers every stream at addr with bytes that make no sense, until stop is called.
func garble(h *clustertest.Host, addr string) (stop func(), err error) {
	l, err := h.Listen(addr)
	if err != nil {
		return nil, err
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(time.Second))
				_, _ = io.CopyN(io.Discard, conn, 16)
				_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
			})
		}
	})
	return func() { _ = l.Close(); serving.Wait() }, nil
}
