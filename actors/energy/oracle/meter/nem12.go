package meter

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"
)

// nem12 reads the meter data files of Australia's market (AEMO MDFF): a 200 record
// names a stream, a 300 record holds a day of it, 400 records the qualities of a day
// that has several. Times are market time, UTC+10 all year. It reads the first stream
// of the wanted direction: B for what is fed in, E for what is taken.
type nem12 struct {
	lines
	direction string

	stream   string // register and meter that is read; empty before the first
	reading  bool   // the present 200 record is that stream
	serial   string
	unit     Energy
	interval int // minutes
	day      []nemInterval
	ended    bool
}

type nemInterval struct {
	at      int64
	value   string
	quality byte
}

var marketTime = time.FixedZone("AEST", 10*3600)

func newNEM12(source io.Reader, o Options) *nem12 {
	direction := "E"
	if o.Export {
		direction = "B"
	}
	return &nem12{lines: newLines(source, o.Say), direction: direction}
}

// Next implements Reader.
func (r *nem12) Next() (Point, error) {
	for {
		// A day is given out once it is certain that no 400 record of it follows.
		if len(r.day) > 0 && !r.peek400() {
			if p, ok := r.point(); ok {
				return p, nil
			}
			continue
		}
		line, err := r.next()
		if err != nil {
			if errors.Is(err, io.EOF) && !r.ended {
				r.note("there is no 900 record: the file is cut")
				r.ended = true
			}
			return Point{}, err
		}
		if err := r.record(strings.Split(line, ",")); err != nil {
			r.note("%v: passed over", err)
		}
	}
}

// peek400 reports whether the next line is a 400 record.
func (r *nem12) peek400() bool {
	head, _ := r.in.Peek(4)
	return string(head) == "400,"
}

func (r *nem12) record(fields []string) error {
	switch fields[0] {
	case "100":
		if len(fields) < 2 || fields[1] != "NEM12" {
			return errors.New("the header does not say NEM12")
		}
	case "200":
		return r.begin(fields)
	case "300":
		return r.values(fields)
	case "400":
		return r.qualities(fields)
	case "900":
		r.ended = true
	case "500", "":
	default:
		return fmt.Errorf("%.10q is not a record of NEM12", fields[0])
	}
	return nil
}

// begin takes in what a 200 record says of the days to come.
func (r *nem12) begin(fields []string) error {
	r.reading = false
	if len(fields) < 9 {
		return errors.New("a 200 record of less than 9 fields")
	}
	suffix, serial, unit := fields[4], fields[6], strings.ToUpper(fields[7])
	scale, ok := map[string]Energy{"WH": unitWh, "KWH": unitKWh, "MWH": unitMWh}[unit]
	stream := fields[1] + " " + suffix
	switch minutes, err := strconv.Atoi(fields[8]); {
	case !strings.HasPrefix(suffix, r.direction) || r.stream != "" && stream != r.stream:
		r.note("stream %s is another: its days are passed over", stream)
		return nil
	case !ok:
		return fmt.Errorf("stream %s counts %s, which is no energy", suffix, fields[7])
	case err != nil || !slices.Contains([]int{5, 15, 30}, minutes):
		return fmt.Errorf("an interval of %s minutes", fields[8])
	default:
		r.interval = minutes
	}
	if r.serial != "" && serial != r.serial {
		r.note("meter %s was exchanged for %s", r.serial, serial)
	}
	r.stream, r.serial, r.unit, r.reading = stream, serial, scale, true
	return nil
}

// values takes in the day of a 300 record.
func (r *nem12) values(fields []string) error {
	if !r.reading {
		return nil
	}
	n := 24 * 60 / r.interval
	if len(fields) < n+3 || fields[n+2] == "" {
		return fmt.Errorf("a day of %d fields where %d are needed", len(fields), n+3)
	}
	day, err := time.ParseInLocation("20060102", fields[1], marketTime)
	if err != nil {
		return fmt.Errorf("%.10q is not a day", fields[1])
	}
	r.day = r.day[:0]
	for i, value := range fields[2 : n+2] {
		r.day = append(r.day, nemInterval{at: day.Unix() + int64((i+1)*r.interval*60), value: value, quality: fields[n+2][0]})
	}
	return nil
}

// qualities takes in a 400 record: from interval, to interval, quality.
func (r *nem12) qualities(fields []string) error {
	if !r.reading || len(r.day) == 0 {
		return nil
	}
	if len(fields) < 4 || fields[3] == "" {
		return errors.New("a 400 record of less than 4 fields")
	}
	from, err1 := strconv.Atoi(fields[1])
	to, err2 := strconv.Atoi(fields[2])
	if err1 != nil || err2 != nil || from < 1 || from > to || to > len(r.day) {
		return fmt.Errorf("intervals %.8q to %.8q of %d", fields[1], fields[2], len(r.day))
	}
	for i := from - 1; i < to; i++ {
		r.day[i].quality = fields[3][0]
	}
	return nil
}

// point gives the day's next interval.
func (r *nem12) point() (Point, bool) {
	x := r.day[0]
	r.day = r.day[1:]
	when := time.Unix(x.at, 0).In(marketTime).Format("2006-01-02 15:04")
	p := Point{At: x.at, Serial: r.serial, Quality: Measured}
	switch x.quality {
	case 'A':
	case 'E', 'F', 'S':
		p.Quality = Estimated
	case 'N':
		r.note("no data for the interval to %s: passed over", when)
		return Point{}, false
	default:
		r.note("quality %q of the interval to %s is unknown: passed over", string(x.quality), when)
		return Point{}, false
	}
	energy, err := parseEnergy(x.value, r.unit)
	if err != nil {
		r.note("interval to %s: %v: passed over", when, err)
		return Point{}, false
	}
	p.Energy = energy
	return p, true
}
