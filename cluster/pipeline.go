package cluster

import (
	"sync"

	"github.com/hashicorp/raft"
)

// pipeline is a stream of entries to another voter. Raft takes no answer after one
// that says no, or that never came, and may go on sending; its own pipeline then waits
// for ever, with the goroutine that brings the voter up to date: for the rest of this
// leadership the voter gets nothing, and Raft does not shut down. So this one ends with
// the first answer of that kind.
type pipeline struct {
	raft.AppendPipeline
	answers chan raft.AppendFuture
	closed  chan struct{}
	once    sync.Once
	ended   sync.WaitGroup
}

// AppendEntriesPipeline opens a stream of entries to another voter. Raft closes it.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, target raft.ServerAddress) (raft.AppendPipeline, error) {
	inner, err := t.NetworkTransport.AppendEntriesPipeline(id, target)
	if err != nil {
		return nil, err
	}
	return newPipeline(inner), nil
}

func newPipeline(inner raft.AppendPipeline) *pipeline {
	p := &pipeline{AppendPipeline: inner, answers: make(chan raft.AppendFuture), closed: make(chan struct{})}
	p.ended.Go(p.pass)
	return p
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

// Close ends the stream.
func (p *pipeline) Close() error {
	p.once.Do(func() { close(p.closed) })
	err := p.AppendPipeline.Close()
	p.ended.Wait()
	return err
}
