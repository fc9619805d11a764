package cluster

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/the-block/bursar/messages"
)

// Disk is what this node knows of another node's data directory. A disk is known by its
// life and its boots, never by the node's name or address: whoever presents a life with
// less than is known of it presents an old copy, which has forgotten what it had
// acknowledged and whom it had voted for.
type Disk struct {
	// Life is the one that the log admits under the node's name, "" for none.
	Life string
	// Boot is the newest start that the log knows.
	Boot uint64
	// At is the entry of the log up to which Life and Boot are so.
	At uint64
	// Index is a committed entry that the node has had, and Term one it has been in.
	Index, Term uint64
	// BeforeIndex and BeforeTerm are those of them that were known before Boot. What a start
	// says of itself may come late, after what it said later; an old copy has less than these.
	BeforeIndex, BeforeTerm uint64 `json:",omitzero"`
}

// judge says why a node that greets is not counted; nil if it is.
func (d Disk) judge(g *greeting) error {
	index, term := d.Index, d.Term
	if g.Boot == d.Boot {
		index, term = d.BeforeIndex, d.BeforeTerm
	}
	switch {
	case d.Life == "":
		return nil
	case g.Life != d.Life && g.Flags&greetingVotes != 0:
		return fmt.Errorf("%w: %s votes with the disk of life %s, and the log admits life %s under its name", ErrOldCopy, g.Node, g.Life, d.Life)
	case g.Life != d.Life:
		return nil
	case messages.StaleBoot(g.Boot, d.Boot):
		return fmt.Errorf("%w: %s is at start %d of its directory, and start %d is known", ErrOldCopy, g.Node, messages.BootCount(g.Boot), messages.BootCount(d.Boot))
	case g.Index < index:
		return fmt.Errorf("%w: the log of %s ends at entry %d, and it has had entry %d", ErrOldCopy, g.Node, g.Index, index)
	case g.Term < term:
		return fmt.Errorf("%w: %s is in term %d, and it has been in term %d", ErrOldCopy, g.Node, g.Term, term)
	}
	return nil
}

// newer is the later of what is known and what was seen. A node that replays its log
// after a start sees what was so earlier.
func (d Disk) newer(seen Disk) Disk {
	switch {
	case d.Life == seen.Life:
	case seen.At < d.At:
		return d
	default:
		return seen
	}
	next := d
	if seen.Boot != d.Boot && !messages.StaleBoot(seen.Boot, d.Boot) {
		next.Boot, next.BeforeIndex, next.BeforeTerm = seen.Boot, d.Index, d.Term
	}
	next.At, next.Index, next.Term = max(d.At, seen.At), max(d.Index, seen.Index), max(d.Term, seen.Term)
	return next
}

// disks keeps what is known of the others, durably: after a start it is needed before
// the state machine, which knows it too, has caught up.
type disks struct {
	store stable

	mu      sync.Mutex
	known   map[messages.NodeID]Disk
	saved   time.Time
	refused map[messages.NodeID]string // why
}

// disksSaveEvery is the least time between two saves of how far the others have come.
const disksSaveEvery = 10 * time.Second

func openDisks(store stable) (*disks, error) {
	d := &disks{store: store, known: make(map[messages.NodeID]Disk), refused: make(map[messages.NodeID]string)}
	noted, err := store.Get(keyDisks)
	if err != nil || len(noted) == 0 {
		return d, err
	}
	if err := json.Unmarshal(noted, &d.known); err != nil {
		return nil, fmt.Errorf("%w: what is known of other disks: %w", ErrDamaged, err)
	}
	return d, nil
}

// note takes in what was seen of a node, and saves it: who it is at once, how far it has
// come now and then.
func (d *disks) note(node messages.NodeID, seen Disk, now time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := d.known[node]
	next := last.newer(seen)
	if next == last {
		return nil
	}
	d.known[node] = next
	if next.Life == last.Life && next.Boot == last.Boot && now.Sub(d.saved) < disksSaveEvery {
		return nil
	}
	d.saved = now
	text, err := json.Marshal(d.known)
	if err != nil {
		return err
	}
	return d.store.Set(keyDisks, text)
}

// judge holds a node that greets against what is known of it.
func (d *disks) judge(g *greeting) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.known[g.Node].judge(g)
	if err == nil {
		delete(d.refused, g.Node)
	} else {
		d.refused[g.Node] = err.Error()
	}
	return err
}

// refusals says who is refused and why, "" for nobody.
func (d *disks) refusals() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var why []string
	for _, node := range slices.Sorted(maps.Keys(d.refused)) {
		why = append(why, d.refused[node])
	}
	return strings.Join(why, "; ")
}

// NoteDisk notes what the log and its pings tell of another node's directory. It is
// called again and again; an error ends the node.
func (c *Consensus) NoteDisk(node messages.NodeID, seen Disk) error {
	if node == c.cfg.Node || seen.Life == "" || c.halted.Load() != nil {
		return nil
	}
	return c.disks.note(node, seen, time.Now())
}

// reached is the newest entry that this node's directory has had.
func (c *Consensus) reached() uint64 {
	last, err := c.store.LastIndex()
	if err != nil {
		return 0 // it is being closed
	}
	return max(last, c.store.Committed(), c.begun)
}

// storedTerm is the term that this node is in, before Raft has begun too.
func (c *Consensus) storedTerm() uint64 {
	term, _ := c.store.GetUint64([]byte("CurrentTerm")) // 0 when it is being closed
	return term
}

// greets is what this node says of itself to another one.
func (c *Consensus) greets() *greeting {
	g := &greeting{
		Cluster: c.life.clusterID(), Node: c.cfg.Node, Life: c.life.id, Boot: c.life.boot,
		Index: c.reached(), Term: c.storedTerm(),
	}
	if c.life.mayVote() {
		g.Flags |= greetingVotes
	}
	return g
}

// disowned takes in that another node has refused this one's disk. A node that has a
// quorum goes on: it is the other's history that is another one.
func (c *Consensus) disowned(why string) {
	if c.State().Ready {
		c.log.Error("another node refuses this node's data directory; there may be two histories", "err", why)
		return
	}
	c.halt(fmt.Errorf("%w: %s", ErrOldCopy, why))
}
