package messages

import "github.com/the-block/bursar/messages/internal/pack"

// BreakersParams are the parameters of supervision.breakers.
type BreakersParams struct {
	Options
	Page
	// Path takes only breakers at or under this path.
	Path string
	// NotClosed takes only breakers that are open, half-open or forced.
	NotClosed bool
}

func (p *BreakersParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "path":
		p.Path = d.Text()
	case "not_closed":
		p.NotClosed = d.Bool()
	default:
		return p.Page.decodeField(d, name)
	}
	return true
}

func (p *BreakersParams) appendFields(obj *object) {
	p.Page.appendFields(obj)
	obj.optText("path", p.Path)
	obj.optBool("not_closed", p.NotClosed)
}

// TreeParams are the parameters of actors.tree.
type TreeParams struct {
	Options
	Page
	// Path is the root of the part asked for.
	Path string
	// Depth is how many levels under Path to show; 0 is all.
	Depth uint64
}

func (p *TreeParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "path":
		p.Path = d.Text()
	case "depth":
		p.Depth = d.Uint()
	default:
		return p.Page.decodeField(d, name)
	}
	return true
}

func (p *TreeParams) appendFields(obj *object) {
	p.Page.appendFields(obj)
	obj.optText("path", p.Path)
	obj.optUint("depth", p.Depth)
}

// DrainParams are the parameters of cluster.drain.
type DrainParams struct {
	Options
	// Node is the name of the node that hands over what it has.
	Node string
	// Off ends it.
	Off bool
}

func (p *DrainParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "node":
		p.Node = d.Text()
	case "off":
		p.Off = d.Bool()
	default:
		return false
	}
	return true
}

func (p *DrainParams) appendFields(obj *object) {
	obj.text("node", p.Node)
	obj.optBool("off", p.Off)
}

// TransferParams are the parameters of cluster.transfer_leader.
type TransferParams struct {
	Options
	// Node is who is to lead; empty for whoever is fit.
	Node string
}

func (p *TransferParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "node" {
		return false
	}
	p.Node = d.Text()
	return true
}

func (p *TransferParams) appendFields(obj *object) { obj.optText("node", p.Node) }
