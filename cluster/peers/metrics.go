package peers

import (
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// Figures are what a scrape is told of the links between this node and the others.
type Figures struct {
	Asked *wire.Metrics `prefix:"bursar_peers_" rows:"16"`
	Links []linkFigures `max:"16"`
}

type linkFigures struct {
	Member messages.NodeID `label:"member"`
	Linked bool            `metric:"bursar_peers_linked" help:"1 if there is a connection to that node."`
	Links  uint64          `metric:"bursar_peers_links_total" help:"Connections made to that node."`
	// RTT and Offset are nil before the first ping.
	RTT     *time.Duration `metric:"bursar_peers_rtt_seconds" help:"Time of the quickest of the last 16 pings to that node."`
	Offset  *time.Duration `metric:"bursar_peers_clock_offset_seconds" help:"That node's clock minus this node's."`
	Applied *uint64        `metric:"bursar_peers_applied_index" help:"Newest log entry that node has applied, as it told when it was pinged last."`
}

// Figures reads what a scrape is told.
func (p *Peers) Figures() *Figures {
	f := &Figures{Asked: p.metrics}
	for _, s := range p.Statuses() {
		l := linkFigures{Member: s.Node, Linked: s.Linked, Links: s.Links}
		if s.RTT > 0 {
			l.RTT, l.Offset, l.Applied = &s.RTT, &s.ClockOffset, &s.Applied
		}
		f.Links = append(f.Links, l)
	}
	return f
}
