package cluster

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
)

// life is what the data directory says about this node's right to vote. A data
// directory lives once: whoever comes back with an empty one has forgotten what it
// had acknowledged and whom it had voted for, and must not help to elect a leader
// before the others have let it in anew.
type life struct {
	store stable

	id   string
	boot uint64

	mu      sync.Mutex
	voting  bool     // admitted
	promise *promise // nil for none
	cluster string   // that this node belongs to, "" for none
}

// stable keeps values durably: each is stored whole or not at all.
type stable interface {
	Get(key []byte) ([]byte, error)
	Set(key, value []byte) error
}

// promise is what a node has agreed to, once and for good: to be a voter of one new
// cluster.
type promise struct {
	FormRequest
	// Collected says, at the initiator, that everybody else has promised too.
	Collected bool
}

// openLife reads what is recorded, begins a life in a directory that was never used, and
// a boot in any. A directory with a log but without a life is one from before lives were
// recorded: nothing tells it from its copies, and it votes once it is admitted.
func openLife(store stable) (*life, error) {
	l := &life{store: store}
	id, err := store.Get(keyLife)
	if err != nil {
		return nil, err
	}
	if len(id) == 0 {
		id = []byte(newIdentity())
		if err := store.Set(keyLife, id); err != nil {
			return nil, err
		}
	}
	l.id = string(id)
	if err := l.nextBoot(); err != nil {
		return nil, err
	}
	votes, err := store.Get(keyVoting)
	if err != nil {
		return nil, err
	}
	l.voting = string(votes) == string(voting)
	cluster, err := store.Get(keyCluster)
	if err != nil {
		return nil, err
	}
	l.cluster = string(cluster)
	noted, err := store.Get(keyPromise)
	if err != nil || len(noted) == 0 {
		return l, err
	}
	l.promise = new(promise)
	if err := json.Unmarshal(noted, l.promise); err != nil {
		return nil, fmt.Errorf("%w: what this node promised: %w", ErrDamaged, err)
	}
	return l, nil
}

// nextBoot makes this start known to the directory.
func (l *life) nextBoot() error {
	noted, err := l.store.Get(keyBoot)
	if err != nil {
		return err
	}
	var last uint64
	if len(noted) == 8 {
		last = binary.LittleEndian.Uint64(noted)
	}
	var random [4]byte
	_, _ = rand.Read(random[:]) // it never fails
	l.boot = messages.NextBoot(last, time.Now(), binary.LittleEndian.Uint32(random[:]))
	return l.store.Set(keyBoot, binary.LittleEndian.AppendUint64(nil, l.boot))
}

// voting is the value of keyVoting.
var voting = []byte{1}

// newIdentity makes a name that nothing else bears.
func newIdentity() string { return strings.ToLower(rand.Text()) }

// mayVote reports whether this node may take part in elections.
func (l *life) mayVote() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.voting || l.promise != nil
}

// admit lets the node vote for good.
func (l *life) admit() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.voting {
		return nil
	}
	if err := l.store.Set(keyVoting, voting); err != nil {
		return err
	}
	l.voting = true
	return nil
}

// promised is what the node has promised, nil for nothing.
func (l *life) promised() *promise {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.promise
}

// clusterID is the cluster this node belongs to or has promised to form, "" for none.
func (l *life) clusterID() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.clusterLocked()
}

func (l *life) clusterLocked() string {
	if l.promise != nil {
		return l.promise.Cluster
	}
	return l.cluster
}

// keep makes p the one promise of this life, whole or not at all, unless the node
// belongs to another cluster. It gives that one's identity then.
func (l *life) keep(p promise) (other string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id := l.clusterLocked(); id != "" && id != p.Cluster {
		return id, nil
	}
	noted, err := json.Marshal(p)
	if err != nil {
		return "", err
	}
	if err := l.store.Set(keyPromise, noted); err != nil {
		return "", err
	}
	l.promise = &p
	return "", nil
}

// join makes the node belong to a cluster, unless it belongs to one. It gives the one
// it belongs to.
func (l *life) join(cluster string) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id := l.clusterLocked(); id != "" || cluster == "" {
		return id, nil
	}
	if err := l.store.Set(keyCluster, []byte(cluster)); err != nil {
		return "", err
	}
	l.cluster = cluster
	return cluster, nil
}

// Life is the identity of this node's data directory. An empty directory gets a new
// one, so that a node that lost its disk is known to have lost it.
func (c *Consensus) Life() string { return c.life.id }

// Boot tells this start of the node from every other; in the same data directory a later
// one is larger.
func (c *Consensus) Boot() uint64 { return c.life.boot }

// Voting reports whether this node takes part in elections. A new data directory
// does not, until it has a part in forming a cluster or Admit was called.
func (c *Consensus) Voting() bool { return c.life.mayVote() }

// Admit lets this node vote, durably. It is called once this node's own state shows
// that the cluster has admitted Life: all that was committed before is then in this
// node's log.
func (c *Consensus) Admit() error {
	gated := !c.life.mayVote()
	err := c.life.admit()
	if err == nil && gated {
		c.log.Info("admitted to vote", "index", c.AppliedIndex())
	}
	return err
}

func (c *Consensus) join(cluster string) (string, error) { return c.life.join(cluster) }

func (c *Consensus) judge(g *greeting) error { return c.disks.judge(g) }
