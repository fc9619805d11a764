package cluster

import (
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// patience waits out a voter that cannot be reached. Raft waits twice as long after
// each failure, up to ten seconds, whether or not the voter is back by then, and this
// is how long a healed network would stay unused. So Raft hears of a failure only once
// a heartbeat, which is sent a few times a second, has got through again; that makes it
// one failure, and a wait of ten milliseconds.
type patience struct {
	mu      sync.Mutex
	waiting map[raft.ServerAddress]chan struct{} // closed at the next heartbeat that gets through
}

// heard notes that a heartbeat got through to addr.
func (p *patience) heard(addr raft.ServerAddress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if waiting, any := p.waiting[addr]; any {
		close(waiting)
		delete(p.waiting, addr)
	}
}

// next is closed when the next heartbeat gets through to addr.
func (p *patience) next(addr raft.ServerAddress) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.waiting == nil {
		p.waiting = make(map[raft.ServerAddress]chan struct{})
	}
	if p.waiting[addr] == nil {
		p.waiting[addr] = make(chan struct{})
	}
	return p.waiting[addr]
}

// leadershipPoll is how late it is noticed that nobody waits for a voter any more.
const leadershipPoll = 100 * time.Millisecond

// waitOut waits until addr is heard of again, or this node does not lead in term any
// more, which ends its heartbeats, or hands leadership over: Raft's part in that waits for
// the voter too, and leadership would be neither here nor there.
func (t *transport) waitOut(addr raft.ServerAddress, term uint64) {
	heard := t.patience.next(addr)
	tick := time.NewTicker(leadershipPoll)
	defer tick.Stop()
	for {
		select {
		case <-heard:
			return
		case <-t.closed:
			return
		case <-t.leaving:
			return
		case <-tick.C:
			group := t.streams.group.Load()
			if t.transferring.Load() > 0 || group == nil || group.State() != raft.Leader || group.CurrentTerm() != term {
				return
			}
		}
	}
}

// AppendEntries sends entries, or a heartbeat, to another voter.
func (t *transport) AppendEntries(id raft.ServerID, target raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	switch {
	case isHeartbeat(request):
		return t.heartbeat(id, target, request, response)
	case deposed(request):
		return errDeposed
	}
	err := t.NetworkTransport.AppendEntries(id, target, request, response)
	if err != nil {
		t.waitOut(target, request.Term)
		return err
	}
	t.reach.note(id, response.LastLog, time.Now())
	return nil
}

// heartbeat sends a heartbeat, and notes what its answer tells.
func (t *transport) heartbeat(id raft.ServerID, target raft.ServerAddress, request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	asked := t.confirmations.newest()
	err := t.NetworkTransport.AppendEntries(id, target, request, response)
	if err != nil {
		return err
	}
	t.patience.heard(target)
	t.reach.note(id, response.LastLog, time.Now())
	if response.Success {
		t.confirmations.note(id, confirmation{asked: asked, term: request.Term})
	}
	return nil
}

// InstallSnapshot sends a Raft snapshot to another voter.
func (t *transport) InstallSnapshot(id raft.ServerID, target raft.ServerAddress, request *raft.InstallSnapshotRequest, response *raft.InstallSnapshotResponse, state io.Reader) error {
	if request.LastLogTerm > request.Term {
		return errDeposed
	}
	t.installing.Add(1)
	defer t.installing.Add(-1)
	err := t.NetworkTransport.InstallSnapshot(id, target, request, response, state)
	if err != nil {
		t.waitOut(target, request.Term)
	}
	return err
}

// isHeartbeat tells Raft's heartbeats from its other requests, as Raft does.
func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return len(r.Entries) == 0 && r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && r.LeaderCommitIndex == 0
}
