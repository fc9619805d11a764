package node

import (
	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/messages"
)

// top answers actors.top.
func (n *Node) top(p *messages.TopParams) (*messages.ActorsTopResult, *messages.Error) {
	s := n.system.Sample()
	result := &messages.ActorsTopResult{WindowMS: uint64(s.Window.Milliseconds()), Node: string(n.cfg.Name)}
	for _, b := range s.Busy[:min(p.Limit, uint64(len(s.Busy)))] {
		result.Actors = append(result.Actors, messages.BusyActor{
			Path: b.Path, Kind: b.Kind, MailboxDepth: uint64(b.Depth), Messages: b.Messages,
		})
	}
	return result, nil
}

// actor answers actors.get.
func (n *Node) actor(p *messages.PathParams) (*messages.ActorResult, *messages.Error) {
	node, err := n.system.Tree(actors.Page{Path: p.Path})
	if err != nil {
		return nil, messages.Errorf(messages.CodeNotFound, "there is no actor %q", p.Path)
	}
	result := &messages.ActorResult{Actor: n.flatten(&node)[0], Refused: node.Refused, Node: string(n.cfg.Name)}
	result.StalledMS = result.Actor.StalledMS
	found, _ := n.system.Breakers(actors.BreakerPage{Path: node.Path, NotClosed: true, Limit: 2}) // its own and its cell come first
	for i := range found {
		if found[i].Path == node.Path {
			result.Breakers = append(result.Breakers, breakerInfo(&found[i]))
		}
	}
	for _, f := range n.system.Failures(node.Path) {
		result.Failures = append(result.Failures, messages.FailureInfo{
			At: uint64(f.At.Unix()), Error: f.Err, Message: f.Message, Where: f.Where, Stack: f.Stack,
		})
	}
	return result, nil
}
