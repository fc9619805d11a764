package node_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cluster/clustertest"
)

// simFault is one kind of fault. It returns when what it did is over.
type simFault struct {
	name string
	do   func(*simGremlin)
}

// simGremlin does one fault after the other. Two of them are at work in a storm, one on
// the network and one on the processes and disks, so that their faults meet.
type simGremlin struct {
	w   *simWorld
	rng *rand.Rand
	end time.Time
}

// netFaults are the faults of the network.
var netFaults = []simFault{
	{"cut", (*simGremlin).isolate}, {"one-way", (*simGremlin).oneWay}, {"bridge", (*simGremlin).bridge},
	{"clog", (*simGremlin).clogAll}, {"loss", (*simGremlin).loss},
}

// hostFaults are those of processes and disks.
var hostFaults = []simFault{
	{"kill", (*simGremlin).kill}, {"power", (*simGremlin).power}, {"blackout", (*simGremlin).blackout},
	{"freeze", (*simGremlin).freeze}, {"restart", (*simGremlin).restart},
	{"damage", (*simGremlin).damage}, {"damage to most", (*simGremlin).damageMost},
}

// work does faults out of those its seed allows, until the storm is over.
func (g *simGremlin) work(faults []simFault) {
	allowed := make([]simFault, 0, len(faults))
	for _, f := range faults {
		if g.rng.IntN(2) == 0 {
			allowed = append(allowed, f)
		}
	}
	for {
		time.Sleep(g.between(100*time.Millisecond, 1500*time.Millisecond))
		if !time.Now().Before(g.end) {
			return
		}
		if len(allowed) > 0 {
			allowed[g.rng.IntN(len(allowed))].do(g)
		}
	}
}

func (g *simGremlin) between(from, to time.Duration) time.Duration {
	return from + time.Duration(g.rng.Int64N(int64(to-from)))
}

func (g *simGremlin) any() *simMember { return g.w.members[g.rng.IntN(len(g.w.members))] }

// someone is any node, or as often the one that leads.
func (g *simGremlin) someone() *simMember {
	m := g.any()
	if g.rng.IntN(2) == 0 {
		return m
	}
	for _, other := range g.w.members {
		if n := other.node.Load(); n != nil && n.Leads() {
			m = other
		}
	}
	return m
}

func (g *simGremlin) tell(format string, args ...any) { g.w.tell("--", format, args...) }

// routes lists the directions between nodes.
func (g *simGremlin) routes() (list []simRoute) {
	for _, a := range g.w.members {
		for _, b := range g.w.members {
			if a != b {
				list = append(list, simRoute{a.ip, b.ip})
			}
		}
	}
	return list
}

func (g *simGremlin) isolate() {
	m := g.someone()
	long := g.between(200*time.Millisecond, 7*time.Second)
	g.tell("%s is cut off for %s", m.name, long)
	g.cutAll(m, g.w.net.Cut)
	time.Sleep(long)
	g.cutAll(m, g.w.net.Heal)
	g.tell("%s is no longer cut off", m.name)
}

// cutAll cuts all ways to a member and from it, or heals them.
func (g *simGremlin) cutAll(m *simMember, change func(from, to string)) {
	for _, other := range g.w.members {
		if other != m {
			change(m.ip, other.ip)
			change(other.ip, m.ip)
		}
	}
}

// simRoute is one direction between two hosts.
type simRoute struct{ from, to string }

func (g *simGremlin) oneWay() {
	routes := g.routes()
	r := routes[g.rng.IntN(len(routes))]
	long := g.between(200*time.Millisecond, 7*time.Second)
	g.tell("nothing gets from %s to %s for %s", r.from, r.to, long)
	g.w.net.Cut(r.from, r.to)
	time.Sleep(long)
	g.w.net.Heal(r.from, r.to)
	g.tell("the way from %s to %s is mended", r.from, r.to)
}

func (g *simGremlin) bridge() {
	routes := g.routes()
	r := routes[g.rng.IntN(len(routes))]
	long := g.between(time.Second, 7*time.Second)
	g.tell("%s and %s do not see each other for %s", r.from, r.to, long)
	g.w.net.Cut(r.from, r.to)
	g.w.net.Cut(r.to, r.from)
	time.Sleep(long)
	g.w.net.Heal(r.from, r.to)
	g.w.net.Heal(r.to, r.from)
	g.tell("%s and %s see each other again", r.from, r.to)
}

// clogAll clogs link after link, and opens them in any order.
func (g *simGremlin) clogAll() {
	routes := g.routes()
	g.tell("all links clog")
	for _, i := range g.rng.Perm(len(routes)) {
		g.w.net.Clog(routes[i].from, routes[i].to, true)
		time.Sleep(g.between(0, 300*time.Millisecond))
	}
	for _, i := range g.rng.Perm(len(routes)) {
		g.w.net.Clog(routes[i].from, routes[i].to, false)
		g.tell("the link from %s to %s opens", routes[i].from, routes[i].to)
		time.Sleep(g.between(0, 500*time.Millisecond))
	}
}

// loss is a network on which a third gets lost, half comes twice and everything late.
func (g *simGremlin) loss() {
	bad := clustertest.Weather{Loss: 0.3, StreamLoss: 0.3, Repeat: 0.5, DelayMax: 100 * time.Millisecond}
	if g.rng.IntN(2) == 0 {
		bad.Loss, bad.StreamLoss = 0.1, 0.1
	}
	long := g.between(time.Second, 6*time.Second)
	g.tell("%.0f %% are lost for %s", 100*bad.Loss, long)
	for _, r := range g.routes() {
		g.w.net.SetWeather(r.from, r.to, bad)
	}
	time.Sleep(long)
	for _, r := range g.routes() {
		g.w.net.SetWeather(r.from, r.to, g.w.net.Calm())
	}
	g.tell("nothing is lost any more")
}

// kill is SIGKILL, and a new start some time later.
func (g *simGremlin) kill() { g.down(g.someone(), false) }

// power is the loss of one node's power.
func (g *simGremlin) power() { g.down(g.someone(), true) }

func (g *simGremlin) down(m *simMember, power bool) {
	g.tell("%s is killed, power lost: %t", m.name, power)
	m.kill(power, g.rng)
	time.Sleep(g.between(0, 4*time.Second))
	g.begin(m)
}

func (g *simGremlin) begin(m *simMember) {
	if err := m.start(); err != nil {
		g.w.problem("%s does not start: %v", m.name, err)
	}
}

// blackout is the loss of all nodes' power at once.
func (g *simGremlin) blackout() {
	g.tell("the power goes everywhere")
	var ends sync.WaitGroup
	for _, m := range g.w.members {
		rng := rand.New(rand.NewPCG(g.rng.Uint64(), 0))
		ends.Go(func() { m.kill(true, rng) })
	}
	ends.Wait()
	for _, i := range g.rng.Perm(len(g.w.members)) {
		time.Sleep(g.between(0, time.Second))
		g.begin(g.w.members[i])
	}
}

// freeze stops a node as a process is stopped, as far as anybody can tell: nothing
// leaves or reaches it, its disk stands still, and then all of it goes on at once.
func (g *simGremlin) freeze() {
	m := g.someone()
	long := g.between(500*time.Millisecond, 6*time.Second)
	g.tell("%s is frozen for %s", m.name, long)
	g.clog(m, true)
	m.hang()
	time.Sleep(long)
	m.move()
	g.clog(m, false)
	g.tell("%s goes on", m.name)
}

// clog holds back what goes to and from a node, that of clients too.
func (g *simGremlin) clog(m *simMember, clogged bool) {
	ips := []string{}
	for _, other := range g.w.members {
		if other != m {
			ips = append(ips, other.ip)
		}
	}
	for i := range simClientsMax {
		ips = append(ips, fmt.Sprintf("127.0.2.%d", i+1))
	}
	for _, ip := range ips {
		g.w.net.Clog(m.ip, ip, clogged)
		g.w.net.Clog(ip, m.ip, clogged)
	}
}

// restart stops a node in order, and starts it again.
func (g *simGremlin) restart() {
	m := g.any()
	g.tell("%s is restarted", m.name)
	if err := m.stop(); err != nil {
		g.w.problem("stop %s: %v", m.name, err)
	}
	time.Sleep(g.between(0, time.Second))
	g.begin(m)
}

// damage flips bits on the disk of a node that is down. Where the node finds that, it
// gets an empty disk and joins again; nobody else loses a disk before all vote again.
func (g *simGremlin) damage() {
	m := g.any()
	g.tell("%s is killed, and its disk damaged", m.name)
	m.kill(false, g.rng)
	g.flip(m)
	if err := m.start(); err != nil {
		if !errors.Is(err, cluster.ErrDamaged) {
			g.w.problem("%s does not start: %v", m.name, err)
			return
		}
		g.tell("%s gets an empty disk: %v", m.name, err)
		if err := m.replaceDisk(); err != nil {
			g.w.problem("replace the disk of %s: %v", m.name, err)
		}
		g.begin(m)
	}
	for began := time.Now(); time.Since(began) < simSettleMax && !g.w.allVote(); time.Sleep(simSettle) {
	}
}

// replaceDisk gives a node that is down an empty directory.
func (m *simMember) replaceDisk() error {
	m.disk = clustertest.NewDisk()
	return os.RemoveAll(m.cfg.DataDir)
}

// allVote reports whether every node votes and knows that all do.
func (w *simWorld) allVote() bool {
	for _, m := range w.members {
		if voting, voters := m.node.Load().Voting(); !voting || voters != len(w.members) {
			return false
		}
	}
	return true
}

// damageMost flips bits on the disks of a majority while all nodes are down. Those that
// find it refuse to start, and get their disks back as they were.
func (g *simGremlin) damageMost() {
	g.tell("all are killed, and most disks damaged")
	var ends sync.WaitGroup
	for _, m := range g.w.members {
		ends.Go(func() { m.kill(false, nil) })
	}
	ends.Wait()
	for i, at := range g.rng.Perm(len(g.w.members)) {
		m := g.w.members[at]
		if i > len(g.w.members)/2 {
			g.begin(m)
			continue
		}
		before := m.disk.Kill()
		g.flip(m)
		switch err := m.start(); {
		case errors.Is(err, cluster.ErrDamaged):
			g.tell("%s gets its disk back: %v", m.name, err)
			m.disk = before
			g.begin(m)
		case err != nil:
			g.w.problem("%s does not start: %v", m.name, err)
		}
	}
}

// flip flips one to three bits of one file.
func (g *simGremlin) flip(m *simMember) {
	files := m.disk.Files()
	paths := slices.Sorted(maps.Keys(files))
	path := paths[g.rng.IntN(len(paths))]
	content := files[path]
	for range 1 + g.rng.IntN(3) {
		if len(content) > 0 {
			// What is written lies at the beginning of a file.
			content[min(g.rng.IntN(len(content)), g.rng.IntN(len(content)))] ^= 1 << g.rng.IntN(8)
		}
	}
	m.disk = m.disk.WithFile(path, content)
	g.tell("bits are flipped in %s", path)
}
