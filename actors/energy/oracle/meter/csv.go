package meter

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// csvReader reads plain CSV. Without a header a line is time and cumulative kWh. With
// one, columns go by name: `timestamp` (or `time`, `at`), and `total_kwh` (or `kwh`,
// `kwh_reading`) for a register or `interval_kwh` for what went through; `meter` or
// `serial` for the meter. A field does not span lines.
type csvReader struct {
	lines
	clock
	columns csvColumns
	only    string // the meter that is read; empty for any
	begun   bool
}

type csvColumns struct {
	time, energy, serial int
	interval             bool
}

func newCSV(source io.Reader, o Options) *csvReader {
	return &csvReader{lines: newLines(source, o.Say), clock: clock{zone: o.Zone}, only: o.Serial,
		columns: csvColumns{time: 0, energy: 1, serial: -1}}
}

// Next implements Reader.
func (r *csvReader) Next() (Point, error) {
	for {
		line, err := r.next()
		if err != nil {
			return Point{}, err
		}
		line = strings.TrimPrefix(line, "\ufeff")
		if strings.TrimSpace(line) == "" || line[0] == '#' {
			continue
		}
		fields, err := splitCSV(line)
		if err != nil {
			r.note("%v: passed over", err)
			continue
		}
		if !r.begun {
			r.begun = true
			header, err := r.header(fields)
			if err != nil {
				return Point{}, err
			}
			if header {
				continue
			}
		}
		if p, ok := r.point(fields); ok {
			return p, nil
		}
	}
}

// header takes the columns from a line of names; a line that begins with a time is none.
func (r *csvReader) header(fields []string) (is bool, err error) {
	if _, _, err := r.parseTime(fields[0]); err == nil {
		return false, nil
	}
	column := func(names ...string) int {
		return slices.IndexFunc(fields, func(f string) bool { return slices.Contains(names, strings.ToLower(strings.TrimSpace(f))) })
	}
	c := csvColumns{
		time:   column("timestamp", "time", "at"),
		energy: column("total_kwh", "kwh_reading", "kwh"),
		serial: column("serial", "meter"),
	}
	if c.energy < 0 {
		c.energy, c.interval = column("interval_kwh"), true
	}
	if c.time < 0 || c.energy < 0 {
		return true, fmt.Errorf("the first line names no column timestamp, or none of total_kwh, interval_kwh: %.80q",
			strings.Join(fields, ","))
	}
	if c.serial < 0 && r.only != "" {
		return true, fmt.Errorf("the first line names no column serial or meter, so the rows of %q cannot be told: %.80q",
			r.only, strings.Join(fields, ","))
	}
	r.columns = c
	return true, nil
}

func (r *csvReader) point(fields []string) (Point, bool) {
	c := r.columns
	if need := max(c.time, c.energy, c.serial); len(fields) <= need {
		r.note("%d fields where %d are needed: passed over", len(fields), need+1)
		return Point{}, false
	}
	if r.only != "" && (c.serial < 0 || fields[c.serial] != r.only) {
		return Point{}, false
	}
	at, odd, err := r.parseTime(fields[c.time])
	if err != nil {
		r.note("%v: passed over", err)
		return Point{}, false
	}
	text := strings.TrimSpace(fields[c.energy])
	if text == "" {
		r.note("no value: passed over")
		return Point{}, false
	}
	energy, err := parseEnergy(text, unitKWh)
	if err != nil {
		r.note("%v: passed over", err)
		return Point{}, false
	}
	if odd != "" {
		r.note("%s", odd)
	}
	p := Point{At: at, Energy: energy, Cumulative: !c.interval, Quality: Measured}
	if c.serial >= 0 {
		p.Serial = fields[c.serial]
	}
	return p, true
}

// localLayouts are the ways in which a time without a zone is written.
var localLayouts = []string{"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"}

var errNoTime = errors.New("not a time")

// parseTime reads Unix seconds, RFC 3339, or a local time.
func (r *csvReader) parseTime(text string) (at int64, note string, err error) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
		return seconds, "", nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t.Unix(), "", nil
	}
	for _, layout := range localLayouts {
		if t, err := time.Parse(layout, text); err == nil {
			at, note = r.moment(t)
			return at, note, nil
		}
	}
	return 0, "", fmt.Errorf("%w: %.40q", errNoTime, text)
}

func splitCSV(line string) ([]string, error) {
	if !strings.Contains(line, `"`) {
		return strings.Split(line, ","), nil
	}
	in := csv.NewReader(strings.NewReader(line))
	in.FieldsPerRecord = -1
	return in.Read()
}
