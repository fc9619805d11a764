package cluster

import (
	"errors"
	"fmt"

	"github.com/hashicorp/raft"
)

// errGated answers a leader that hands over to a node that may not vote.
var errGated = errors.New("this node is not admitted to vote")

// Consumer gives Raft what other nodes ask.
func (t *transport) Consumer() <-chan raft.RPC { return t.rpcs }

// keepGate hands on what other nodes ask, all but what would make this node vote or
// stand for election before it may, and what would have it forget what is committed.
func (t *transport) keepGate() {
	for {
		select {
		case rpc := <-t.NetworkTransport.Consumer():
			if !t.life.mayVote() && refuseVote(&rpc) || t.refuseSnapshot(&rpc) {
				continue
			}
			select {
			case t.rpcs <- rpc:
			case <-t.closed:
				return
			}
		case <-t.closed:
			return
		}
	}
}

// refuseSnapshot refuses a Raft snapshot that lacks what this node knows to be committed,
// and reports whether it did: whoever sends it follows another history.
func (t *transport) refuseSnapshot(rpc *raft.RPC) bool {
	request, is := rpc.Command.(*raft.InstallSnapshotRequest)
	if !is {
		return false
	}
	committed := t.committed()
	if request.LastLogIndex >= committed || request.Term < t.term() {
		return false // what a leader of the past had on its way Raft takes no heed of
	}
	err := fmt.Errorf("%w: entries up to %d are, and %s, which leads in term %d, sends a raft snapshot that ends at %d",
		ErrCommitted, committed, request.ID, request.Term, request.LastLogIndex)
	rpc.Respond(&raft.InstallSnapshotResponse{RPCHeader: request.RPCHeader, Term: request.Term}, err)
	t.conflict(err)
	return true
}

// refuseVote answers what takes part in an election, and reports whether it did. The
// candidate counts a vote that is not granted; its own term in the answer keeps it
// from stepping back. An error would do, but for the word in the candidate's log.
func refuseVote(rpc *raft.RPC) bool {
	switch request := rpc.Command.(type) {
	case *raft.RequestVoteRequest:
		rpc.Respond(&raft.RequestVoteResponse{RPCHeader: request.RPCHeader, Term: request.Term}, nil)
	case *raft.RequestPreVoteRequest:
		rpc.Respond(&raft.RequestPreVoteResponse{RPCHeader: request.RPCHeader, Term: request.Term}, nil)
	case *raft.TimeoutNowRequest:
		rpc.Respond(&raft.TimeoutNowResponse{RPCHeader: request.RPCHeader}, errGated)
	default:
		return false
	}
	return true
}

// RequestVote asks for a vote, if this node may stand for election. Raft counts its
// own vote; without another it is not elected.
func (t *transport) RequestVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	if !t.life.mayVote() {
		response.Term = request.Term
		return nil
	}
	return t.NetworkTransport.RequestVote(id, target, request, response)
}

// RequestPreVote asks whether a vote would be given, as RequestVote does.
func (t *transport) RequestPreVote(id raft.ServerID, target raft.ServerAddress, request *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	if !t.life.mayVote() {
		response.Term = request.Term
		return nil
	}
	return t.NetworkTransport.RequestPreVote(id, target, request, response)
}

var _ raft.WithPreVote = (*transport)(nil)
