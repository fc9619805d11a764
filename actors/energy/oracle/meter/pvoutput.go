package meter

import (
	"io"
	"strings"
	"time"
)

// pvOutput reads PVOutput's CSV, whose records end with a line or a semicolon. One with
// a time in its second field is a status: date, time, Wh since midnight. Any other is
// the output of a day: date, Wh.
type pvOutput struct {
	lines
	clock
	pending []string
	day     string // of the last status
	seen    Energy // Wh since midnight, as of the last status
}

func newPVOutput(source io.Reader, o Options) *pvOutput {
	return &pvOutput{lines: newLines(source, o.Say), clock: clock{zone: o.Zone}}
}

// Next implements Reader.
func (r *pvOutput) Next() (Point, error) {
	for {
		for len(r.pending) == 0 {
			line, err := r.next()
			if err != nil {
				return Point{}, err
			}
			r.pending = strings.Split(line, ";")
		}
		record := strings.TrimSpace(r.pending[0])
		r.pending = r.pending[1:]
		if record == "" {
			continue
		}
		if p, ok := r.point(strings.Split(record, ",")); ok {
			return p, nil
		}
	}
}

func (r *pvOutput) point(fields []string) (Point, bool) {
	status := len(fields) > 2 && strings.Contains(fields[1], ":")
	if len(fields) < 2 {
		r.note("neither a day's output nor a status: passed over")
		return Point{}, false
	}
	layout, when, value := "20060102", fields[0], fields[1]
	if status {
		layout, when, value = "20060102 15:04", fields[0]+" "+fields[1], fields[2]
	}
	local, err := time.Parse(layout, when)
	if err != nil {
		r.note("%.20q is not a date: passed over", when)
		return Point{}, false
	}
	energy, err := parseEnergy(strings.TrimSpace(value), unitWh)
	if err != nil {
		r.note("%v: passed over", err)
		return Point{}, false
	}
	if !status { // known when the day is over
		local = local.AddDate(0, 0, 1)
	}
	at, odd := r.moment(local)
	if odd != "" {
		r.note("%s", odd)
	}
	if status {
		return r.status(fields[0], at, energy)
	}
	return Point{At: at, Energy: energy, Quality: Measured}, true
}

// status turns Wh since midnight into Wh since the last status.
func (r *pvOutput) status(day string, at int64, energy Energy) (Point, bool) {
	if day != r.day {
		r.day, r.seen = day, 0
	}
	if energy < r.seen {
		r.note("the day's %d Wh fell to %d: passed over", r.seen/unitWh, energy/unitWh)
		return Point{}, false
	}
	more := energy - r.seen
	r.seen = energy
	return Point{At: at, Energy: more, Quality: Measured}, true
}
