package messages

import "github.com/the-block/bursar/messages/internal/pack"

// PathParams are for methods about one actor: force_open, force_close, reset,
// actors.get.
type PathParams struct {
	Options
	// Path is the actor's place, such as "/treasury/executor".
	Path string
}

func (p *PathParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "path" {
		return false
	}
	p.Path = d.Text()
	return true
}

func (p *PathParams) appendFields(obj *object) { obj.text("path", p.Path) }

// InjectParams are the parameters of supervision.inject.
type InjectParams struct {
	Options
	// Path is one actor, Kind all of a kind; exactly one of them is given.
	Path string
	Kind string
	// Mode is panic, error, stall or slow.
	Mode string
	// Times is how many messages it happens to; 0 is 1.
	Times uint64
	// DelayMS is how long stall and slow take.
	DelayMS uint64
}

func (p *InjectParams) decodeField(d *pack.Decoder, name []byte) bool {
	switch string(name) {
	case "path":
		p.Path = d.Text()
	case "kind":
		p.Kind = d.Text()
	case "mode":
		p.Mode = d.Text()
	case "times":
		p.Times = d.Uint()
	case "delay_ms":
		p.DelayMS = d.Uint()
	default:
		return false
	}
	return true
}

func (p *InjectParams) appendFields(obj *object) {
	obj.optText("path", p.Path)
	obj.optText("kind", p.Kind)
	obj.text("mode", p.Mode)
	obj.optUint("times", p.Times)
	obj.optUint("delay_ms", p.DelayMS)
}

// TopParams are the parameters of actors.top.
type TopParams struct {
	Options
	// Limit is how many actors to list. The decoder has filled in default and bound.
	Limit uint64
}

func (p *TopParams) decodeField(d *pack.Decoder, name []byte) bool {
	if string(name) != "limit" {
		return false
	}
	p.Limit = d.Uint()
	return true
}

func (p *TopParams) appendFields(obj *object) { obj.optUint("limit", p.Limit) }

// settlePage fills in the default and the bound.
func (p *TopParams) settlePage() {
	if p.Limit == 0 {
		p.Limit = DefaultLimit
	}
	p.Limit = min(p.Limit, LimitMax)
}
