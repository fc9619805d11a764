package show

import (
	"context"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

const (
	// sightEvery is how often the nodes are asked how they are.
	pollEvery = 250 * time.Millisecond
	// detailEvery is how many looks share one at what costs more: figures, placement.
	detailEvery = 2
)

// view is the cluster as it was seen at one moment. It does not change.
type view struct {
	at       time.Time
	nodes    []nodeView // in the order of the cluster
	leader   string     // "" while there is none
	executor string
	clock    string
	market   string
	figures  Figures // of a node that was ready, the newest there are; nil before the first
}

// nodeSight is one node.
type nodeView struct {
	name, role string
	state      string // as people read it
	ready      bool
	shards     uint64
	applied    uint64
	pid        int64
	cpu        float64 // of a core, since the view before; below 0 if it is not known
}

// ready counts the nodes that serve.
func (s *view) ready() (count int) {
	for i := range s.nodes {
		if s.nodes[i].ready {
			count++
		}
	}
	return count
}

// poller asks the nodes of a cluster how they are.
type poller struct {
	cluster localcluster.Cluster
	links   []*client.Client
	last    atomic.Pointer[view]

	looks   int
	members []messages.Member
	places  messages.PlacementResult
	figures Figures // newest
	used    []cpuUse
}

// cpuUse is the time a process has had of all cores.
type cpuUse struct {
	pid  int64
	at   time.Time
	time time.Duration
}

func newPoller(c localcluster.Cluster) *poller {
	l := &poller{cluster: c, used: make([]cpuUse, len(c))}
	for _, addr := range c.RPC() {
		l.links = append(l.links, client.New(client.Config{Addrs: []string{addr}}))
	}
	l.last.Store(&view{nodes: make([]nodeView, len(c))})
	return l
}

// run looks again and again until ctx ends, and hands over what it saw.
func (l *poller) run(ctx context.Context, saw func(*view)) error {
	defer func() {
		for _, link := range l.links {
			link.Close()
		}
	}()
	for {
		s := l.look(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.last.Store(s)
		saw(s)
		if !localcluster.Wait(ctx, pollEvery) {
			return nil
		}
	}
}

// leadingWithin is how long a view with a leader is waited for.
const leadingWithin = 2 * time.Second

// leading gives the newest view, once it has a leader or leadingWithin is over: who has just
// begun to lead is seen at the next look.
func (l *poller) leading(ctx context.Context) *view {
	ctx, cancel := context.WithTimeout(ctx, leadingWithin)
	defer cancel()
	for l.last.Load().leader == "" && localcluster.Wait(ctx, pollEvery) {
	}
	return l.last.Load()
}

// look asks all nodes at the same time how they are, and one of those that are ready
// about the cluster.
func (l *poller) look(ctx context.Context) *view {
	statuses := make([]*messages.ClusterStatusResult, len(l.cluster))
	var all sync.WaitGroup
	for i, m := range l.cluster {
		if f := m.Fate(); f == localcluster.Untouched || f == localcluster.CutOff {
			all.Go(func() {
				if status, err := localcluster.Status(ctx, l.links[i]); err == nil {
					statuses[i] = status
				}
			})
		}
	}
	all.Wait()
	s := &view{at: time.Now(), nodes: make([]nodeView, len(l.cluster))}
	speaker := -1 // the one that knows the cluster best
	var term uint64
	for i, status := range statuses {
		s.nodes[i] = l.describe(i, status)
		if status != nil && status.Ready && status.Term >= term && l.cluster[i].Fate() == localcluster.Untouched {
			if status.Term > term || status.Leader == status.Node || speaker < 0 {
				speaker, term, s.leader = i, status.Term, status.Leader
			}
		}
	}
	if speaker < 0 {
		l.members, l.looks = nil, 0
	} else {
		l.ask(ctx, speaker)
	}
	l.complete(s)
	return s
}

// ask asks one node about the cluster.
func (l *poller) ask(ctx context.Context, speaker int) {
	ctx, cancel := context.WithTimeout(ctx, localcluster.StatusTimeout)
	defer cancel()
	link, local := l.links[speaker], messages.Options{Consistency: messages.Local}
	group, ctx := errgroup.WithContext(ctx)
	var members messages.ClusterMembersResult
	group.Go(func() error {
		return link.Call(ctx, messages.MethodClusterMembers, &messages.NoParams{Options: local}, &members)
	})
	var places messages.PlacementResult
	var fresh Figures
	if l.looks%detailEvery == 0 {
		group.Go(func() error {
			return link.Call(ctx, messages.MethodClusterPlacement, &messages.NoParams{Options: local}, &places)
		})
		group.Go(func() (err error) {
			fresh, err = ReadFigures(ctx, http.DefaultClient, "http://"+l.cluster[speaker].Cfg.Address(node.PortHTTP)+"/metrics")
			return err
		})
	}
	if group.Wait() != nil {
		return // the next look may do better
	}
	l.members = members.Members
	if l.looks++; fresh != nil {
		l.places, l.figures = places, fresh
	}
}

// complete adds what one node told about all. What a node does that something was done
// to, the others only believe.
func (l *poller) complete(s *view) {
	s.figures = l.figures
	for _, shard := range l.places.Shards {
		switch shard.Part {
		case "executor":
			s.executor = shard.Owner
		case "clock":
			s.clock = shard.Owner
		case "market":
			s.market = shard.Owner
		}
	}
	for _, m := range l.cluster {
		if name := string(m.Cfg.Name); m.Fate() != localcluster.Untouched {
			for _, part := range []*string{&s.leader, &s.executor, &s.clock, &s.market} {
				if *part == name {
					*part = ""
				}
			}
		}
	}
	for _, m := range l.members {
		for i := range s.nodes {
			n := &s.nodes[i]
			if n.name == m.Name {
				n.shards = m.Shards
			}
			if n.name == m.Name && m.State == "draining" && n.ready {
				n.state = m.State
			}
		}
	}
}

// describe says how a node is: what was done to it, and what it says itself.
func (l *poller) describe(i int, status *messages.ClusterStatusResult) nodeView {
	m := l.cluster[i]
	n := nodeView{name: string(m.Cfg.Name), role: string(m.Cfg.Role), pid: m.PID(), cpu: l.cpu(i)}
	before := &l.last.Load().nodes[i]
	n.applied = before.applied
	switch f := m.Fate(); {
	case f != localcluster.Untouched && status == nil:
		n.state = f.String()
	case f != localcluster.Untouched:
		n.state = f.String() + ": " + status.Reason
		if status.Ready {
			n.state = f.String() + ": has not noticed yet"
		}
	case status == nil:
		n.state = "starting"
	case status.Ready:
		n.ready, n.state = true, "ready"
	default:
		n.state = status.Reason
	}
	if status != nil {
		n.applied = status.AppliedIndex
	}
	return n
}

// clockTick is the unit of times in /proc, the same on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

// cpu is the share of a core that a node's process has used since the last look, below
// 0 where the system does not tell.
func (l *poller) cpu(i int) float64 {
	pid, now := l.cluster[i].PID(), time.Now()
	text, err := os.ReadFile("/proc/" + strconv.FormatInt(pid, 10) + "/stat")
	if err != nil {
		return -1
	}
	// The second field, the program's name, may hold spaces; it ends with ")".
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return -1
	}
	var ticks int64
	for _, field := range fields[11:13] { // utime, stime
		n, _ := strconv.ParseInt(field, 10, 64)
		ticks += n
	}
	before := l.used[i]
	if elapsed := now.Sub(before.at); before.pid == pid && elapsed < time.Second {
		return l.last.Load().nodes[i].cpu // ticks are too coarse for less
	}
	l.used[i] = cpuUse{pid, now, time.Duration(ticks) * clockTick}
	if before.pid != pid {
		return -1
	}
	return float64(l.used[i].time-before.time) / float64(now.Sub(before.at))
}
