package meter

import "fmt"

// Register is one register that only grows, made from all that a source says. Its
// fields can be kept and taken up again.
type Register struct {
	Total  Energy `json:"total"` // thousandths of a Wh
	At     int64  `json:"at"`    // Unix seconds of the last point; 0 before the first
	Raw    Energy `json:"raw"`   // what the meter's own register said last
	Serial string `json:"serial"`
	Begun  bool   `json:"begun"` // a cumulative point was seen
}

// Take takes in a point. ok says that the register moved on to it: Total holds at At
// now. note says what a person should know, of a point that was taken or passed over.
func (r *Register) Take(p Point) (note string, ok bool) {
	if p.At <= r.At && r.At != 0 {
		return fmt.Sprintf("%d is not after %d: passed over", p.At, r.At), false
	}
	if p.Quality == Estimated {
		note = "the value is estimated"
	}
	more := p.Energy
	if p.Cumulative {
		var change string
		if more, change, ok = r.since(p); !ok {
			return change, false
		}
		if change != "" {
			note = change
		}
		r.Raw, r.Serial, r.Begun = p.Energy, p.Serial, true
	}
	if more > ^Energy(0)-r.Total {
		return "the register would be beyond what 64 bits hold: passed over", false
	}
	r.Total += more
	r.At = p.At
	return note, true
}

// since gives what went through the meter since the last cumulative point.
func (r *Register) since(p Point) (more Energy, note string, ok bool) {
	switch {
	case !r.Begun:
		return p.Energy, "", true
	case p.Serial != r.Serial && p.Serial != "" && r.Serial != "":
		// What the old meter counted after its last telegram is lost; what the new one had
		// on it when it was mounted is not ours.
		return 0, fmt.Sprintf("meter %s was exchanged for %s: going on from its %d.%03d kWh",
			r.Serial, p.Serial, p.Energy.KWh(), uint64(p.Energy)/1000%1000), true
	case p.Energy >= r.Raw:
		return p.Energy - r.Raw, "", true
	}
	if size := overflowSize(r.Raw); size >= overflowMin && r.Raw >= size-size/100 && p.Energy <= size/100 {
		return size - r.Raw + p.Energy, fmt.Sprintf("the register ran over at %d kWh", size.KWh()), true
	}
	return 0, fmt.Sprintf("the register fell from %d to %d kWh, and the meter is the same: passed over",
		r.Raw.KWh(), p.Energy.KWh()), false
}

// overflowMin is the least register that runs over: real ones have five digits or more.
// It has done so if it stood within a hundredth of its end and stands within a
// hundredth of its beginning.
const overflowMin Energy = 100_000 * unitKWh

// overflowSize is where a register runs over that stands near its end: the next power
// of ten in kWh.
func overflowSize(raw Energy) Energy {
	size := unitKWh
	for size <= raw && size < 1_000_000_000_000_000_000 {
		size *= 10
	}
	return size
}
