package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/messages"
)

func TestWhoFormsACluster(t *testing.T) {
	seen := func(name messages.NodeID, expect int, of string) cluster.Seen {
		return cluster.Seen{Node: name, RaftAddr: addrOf(name), Expect: expect, Cluster: of}
	}
	n1, n2, n3, n4 := seen("n1", 3, ""), seen("n2", 3, ""), seen("n3", 3, ""), seen("n4", 3, "")
	promised := func(initiator messages.NodeID) *cluster.FormRequest {
		return &cluster.FormRequest{Cluster: "x", Initiator: initiator, Voters: []cluster.Voter{{Node: "n1"}, {Node: "n2"}, {Node: "n3"}}}
	}
	for _, c := range []struct {
		name     string
		self     cluster.Seen
		promised *cluster.FormRequest
		seen     []cluster.Seen
		initiate bool
		why      string
	}{
		{"too few", n1, nil, []cluster.Seen{n3}, false, "waiting for 3 nodes to form a cluster, seen 2: n1, n3"},
		{"itself among those seen", n1, nil, []cluster.Seen{n1, n3}, false, "seen 2: n1, n3"},
		{"one expects another number", n1, nil, []cluster.Seen{n3, seen("n2", 5, "")}, false, "; n2 expects 5, give all the same"},
		{"the first", n1, nil, []cluster.Seen{n3, n2}, true, "forming a cluster of n1, n2, n3"},
		{"the second", n2, nil, []cluster.Seen{n1, n3}, false, "waiting for n1 to form a cluster of n1, n2, n3"},
		{"one too many", n4, nil, []cluster.Seen{n1, n2, n3}, false, "waiting to be let into the cluster of n1, n2, n3"},
		{"there is a cluster", n1, nil, []cluster.Seen{n2, n3, seen("n5", 3, "y")}, false, "waiting to be let into cluster y of n5"},
		{"forms nothing", seen("n1", 0, ""), nil, []cluster.Seen{n2, n3}, false, "waiting to be let into a cluster"},
		{"began before", n1, promised("n1"), nil, true, "forming cluster x of n1, n2, n3"},
		{"promised before", n2, promised("n1"), []cluster.Seen{n3, n4}, false, "waiting for n1 to form cluster x of n1, n2, n3"},
		{"alone", seen("n1", 1, ""), nil, nil, true, "forming a cluster of n1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := cluster.DecideForming(c.self, c.promised, c.seen)
			if got.Initiate != c.initiate || !strings.Contains(got.Why, c.why) {
				t.Errorf("initiate = %v, %q; want %v, %q", got.Initiate, got.Why, c.initiate, c.why)
			}
			if got.Initiate && len(got.Voters) != max(c.self.Expect, 1) {
				t.Errorf("voters = %v", got.Voters)
			}
		})
	}
}

// world is up to five nodes that form a cluster, or two if forming is broken.
type world struct {
	t       *rapid.T
	nodes   []messages.NodeID
	expect  int
	disks   map[messages.NodeID]map[string]string
	running map[messages.NodeID]*running
	formed  map[string]bool // clusters whose log was begun
	depth   int
}

// running is a node between two starts. It implements stable.
type running struct {
	cluster.Founder
	world *world
	name  messages.NodeID
	dead  bool
}

var errCrashed = errors.New("the machine is off")

func (r *running) Get(key []byte) ([]byte, error) {
	return []byte(r.world.disks[r.name][string(key)]), nil
}

// Set stores a value, or crashes before or after it did.
func (r *running) Set(key, value []byte) error {
	if r.dead {
		return errCrashed
	}
	fate := rapid.SampledFrom([]string{"stored", "stored", "stored", "stored", "crash before", "crash after"}).Draw(r.world.t, "set")
	if fate != "crash before" {
		r.world.disks[r.name][string(key)] = string(value)
	}
	if fate != "stored" {
		r.dead = true
		return errCrashed
	}
	return nil
}

// node is a node, started anew if it has crashed.
func (w *world) node(name messages.NodeID) (*running, error) {
	if r := w.running[name]; r != nil && !r.dead {
		return r, nil
	}
	r := &running{world: w, name: name}
	w.running[name] = r
	founder, err := cluster.OpenFounder(r, cluster.Voter{Node: name, Addr: addrOf(name)}, w.expect)
	r.Founder = founder
	return r, err
}

// step has some node look around, with a view of its own, and do what it decides.
func (w *world) step() {
	name := rapid.SampledFrom(w.nodes).Draw(w.t, "node")
	if rapid.IntRange(0, 9).Draw(w.t, "crash") == 0 && w.running[name] != nil {
		w.running[name].dead = true
	}
	r, err := w.node(name)
	if err != nil {
		return
	}
	var seen []cluster.Seen
	for _, other := range w.nodes {
		if other == name || rapid.IntRange(0, 3).Draw(w.t, "sees") == 0 {
			continue
		}
		s := cluster.Seen{Node: other, RaftAddr: addrOf(other), Expect: w.expect}
		if o := w.running[other]; o != nil && !o.dead && o.Promised() != nil && rapid.Bool().Draw(w.t, "current") {
			s.Cluster = o.Promised().Cluster
		}
		seen = append(seen, s)
	}
	next := cluster.DecideForming(cluster.Seen{Node: name, RaftAddr: addrOf(name), Expect: w.expect}, r.Promised(), seen)
	if !next.Initiate {
		return
	}
	id, err := r.Found(context.Background(), next.Voters, w.ask)
	if err == nil && !r.dead {
		w.formed[id] = true
	}
}

// ask carries a request that may be lost, as may its answer, while others act.
func (w *world) ask(_ context.Context, to messages.NodeID, request cluster.FormRequest) (cluster.FormReply, error) {
	lost := errors.New("lost")
	fate := rapid.SampledFrom([]string{"heard", "heard", "heard", "request lost", "answer lost"}).Draw(w.t, "ask")
	if fate == "request lost" {
		return cluster.FormReply{}, lost
	}
	w.meanwhile()
	r, err := w.node(to)
	if err != nil {
		return cluster.FormReply{}, err
	}
	reply, err := r.Promise(request)
	w.meanwhile()
	if fate == "answer lost" {
		return cluster.FormReply{}, lost
	}
	return reply, err
}

func (w *world) meanwhile() {
	if w.depth >= 3 {
		return
	}
	w.depth++
	for range rapid.IntRange(0, 2).Draw(w.t, "meanwhile") {
		w.step()
	}
	w.depth--
}

func TestOneSetOfDisksFormsOneCluster(t *testing.T) {
	formed := 0
	rapid.Check(t, func(rt *rapid.T) {
		w := &world{
			t: rt, disks: make(map[messages.NodeID]map[string]string),
			running: make(map[messages.NodeID]*running), formed: make(map[string]bool),
		}
		count := rapid.IntRange(1, 5).Draw(rt, "nodes")
		for i := range count {
			name := messages.NodeID(fmt.Sprintf("n%d", i+1))
			w.nodes = append(w.nodes, name)
			w.disks[name] = make(map[string]string)
		}
		w.expect = count/2 + 1 + rapid.IntRange(0, count-count/2-1).Draw(rt, "expect") // more than half
		for range 30 {
			w.step()
			if len(w.formed) > 1 {
				rt.Fatalf("two clusters: %v", maps.Collect(maps.All(w.formed)))
			}
		}
		formed += len(w.formed)
	})
	if formed == 0 {
		t.Error("no cluster was ever formed")
	}
}
