package cluster

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// pipeline is a stream of entries to another voter. Raft takes no answer after one
// that says no, or that never came, and may go on sending; its own pipeline then waits
// for ever, with the goroutine that brings the voter up to date: for the rest of this
// leadership the voter gets nothing, and Raft does not shut down. So this one ends with
// the first answer of that kind.
//
// It also leaves out what says nothing new. So that voters show the last commit soon,
// Raft tells of it, when nothing follows, by repeating itself each commitTimeout; on an
// idle node that was most of what it did.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	closed  chan struct{}
	once    sync.Once
	ended   sync.WaitGroup

	// Of the sender alone:
	committed uint64    // by the last request that was sent
	sent      time.Time // when it was
	asked     time.Time // when Raft had the last one, sent or not
}

// repeatAfter is how long after the last request one is sent that says nothing new: a
// voter that was started again meanwhile learns by it what is committed.
const repeatAfter = 50 * time.Millisecond

// AppendEntriesPipeline opens a stream of entries to another voter. Raft closes it.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return newPipeline(inner), nil
}

func newPipeline(inner raft.AppendPipeline) *pipeline {
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture, 1), closed: make(chan struct{})}
	p.ended.Go(p.pass)
	return p
}

// AppendEntries sends a request, unless it says nothing new and Raft only repeats itself.
// One that comes sooner after the last than a repetition is sent: who hands leadership
// over asks again and again until the voter has all, and is to wait for its answers.
// Raft does not look at the future: it takes answers from Consumer, as many as come.
func (p *pipeline) AppendEntries(request *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if deposed(request) {
		return nil, errDeposed
	}
	now := time.Now()
	repeated := now.Sub(p.asked) >= commitTimeout
	p.asked = now
	if repeated && len(request.Entries) == 0 && request.LeaderCommitIndex == p.committed && now.Sub(p.sent) < repeatAfter {
		return nil, nil
	}
	p.committed, p.sent = request.LeaderCommitIndex, now
	return p.AppendPipeline.AppendEntries(request, response)
}

// pass hands on answers up to the first that is no success, after which nothing is
// taken any more.
func (p *pipeline) pass() {
	for {
		select {
		case future := <-p.AppendPipeline.Consumer():
			select {
			case p.answers <- future:
			case <-p.closed:
				return
			}
			if !future.Response().Success {
				_ = p.AppendPipeline.Close()
				return
			}
		case <-p.closed:
			return
		}
	}
}

// Consumer gives the answers, in the order of the requests.
func (p *pipeline) Consumer() <-chan raft.AppendFuture { return p.answers }

// Close ends the stream, and has who still listens stop.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.closed) })
	err := p.AppendPipeline.Close()
	p.ended.Wait()
	select {
	case <-p.answers: // makes room
	default:
	}
	p.answers <- lastAnswer{}
	return err
}

// lastAnswer is one of a newer term, after which Raft stops without taking it for a sign
// of life of the voter.
type lastAnswer struct{}

func (lastAnswer) Error() error                          { return errDeposed }
func (lastAnswer) Start() time.Time                      { return time.Now() }
func (lastAnswer) Request() *raft.AppendEntriesRequest   { return new(raft.AppendEntriesRequest) }
func (lastAnswer) Response() *raft.AppendEntriesResponse { return &raft.AppendEntriesResponse{Term: 1} }
