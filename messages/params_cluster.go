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
