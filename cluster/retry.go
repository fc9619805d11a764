package cluster

import (
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// returns knows when voters that could not be reached are back. Raft waits twice as long after
// each failure, up to ten seconds, whether or not the voter is back by then, and this
// is how long a healed network would stay unused. So Raft hears of a failure only once
// a heartbeat, which is sent a few times a second, has got through again; that makes it
// one failure, and a wait of ten milliseconds.
type returns struct {
	mu      sync.Mutex
	waiting map[raft.ServerID]chan struct{} // closed at the next heartbeat that gets through
}

// heard notes that a heartbeat got through to a voter, wherever it is now.
func (r *returns) heard(id raft.ServerID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if waiting, any := r.waiting[id]; any {
		close(waiting)
		delete(r.waiting, id)
	}
}

// next is closed when the next heartbeat gets through to a voter.
func (r *returns) next(id raft.ServerID) <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.waiting == nil {
		r.waiting = make(map[raft.ServerID]chan struct{})
	}
	if r.waiting[id] == nil {
		r.waiting[id] = make(chan struct{})
	}
	return r.waiting[id]
}

// leadershipPoll is how late it is noticed that nobody waits for a voter any more.
const leadershipPoll = 100 * time.Millisecond

// waitOut waits until a voter is heard of again, or this node does not lead in term any
// more, which ends its heartbeats, or hands leadership over: Raft's part in that waits for
// the voter too, and leadership would be neither here nor there.
func (t *transport) waitOut(id raft.ServerID, term uint64) {
	heard := t.returns.next(id)
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
		t.waitOut(id, request.Term)
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
	t.returns.heard(id)
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
		t.waitOut(id, request.Term)
	}
	return err
}

// isHeartbeat tells Raft's heartbeats from its other requests, as Raft does.
func isHeartbeat(r *raft.AppendEntriesRequest) bool {
	return len(r.Entries) == 0 && r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && r.LeaderCommitIndex == 0
}
