package meter

import (
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Bounds of an XML source.
const (
	xmlDepthMax = 32
	xmlTokenMax = 256 << 10
)

// espi reads Green Button's XML (NAESB ESPI): the interval readings of its blocks, in
// Wh. A document type, which is where XML bombs are defined, is refused; so are nesting
// and text beyond their bounds.
type espi struct {
	in      *xml.Decoder
	limit   *tokenReader
	say     func(Note)
	flow    string // the wanted direction of flow
	path    []string
	text    strings.Builder
	scale   int // power of ten of the values
	skip    bool
	reading espiReading
}

type espiReading struct {
	start, duration int64
	value           string
	quality         string
}

// Directions of flow in a ReadingType.
const (
	flowForward = "1"  // delivered to the customer
	flowReverse = "19" // received from it
)

// tokenReader ends a source whose next token would not end.
type tokenReader struct {
	in   io.Reader
	left int
}

var errToken = fmt.Errorf("a tag or a text of more than %d bytes", xmlTokenMax)

// Read implements io.Reader.
func (r *tokenReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		return 0, errToken
	}
	n, err := r.in.Read(p[:min(len(p), r.left)])
	r.left -= n
	return n, err
}

func newESPI(source io.Reader, o Options) *espi {
	limited := &tokenReader{in: source}
	flow := flowForward
	if o.Export {
		flow = flowReverse
	}
	return &espi{in: xml.NewDecoder(limited), limit: limited, say: o.Say, flow: flow}
}

func (r *espi) note(format string, args ...any) {
	line, _ := r.in.InputPos()
	r.say(Note{Line: line, Text: fmt.Sprintf(format, args...)})
}

// Next implements Reader.
func (r *espi) Next() (Point, error) {
	for {
		r.limit.left = xmlTokenMax
		token, err := r.in.RawToken()
		if err != nil {
			if errors.Is(err, io.EOF) && len(r.path) > 0 {
				r.note("the document is cut within %s", r.path[len(r.path)-1])
			}
			return Point{}, err
		}
		switch t := token.(type) {
		case xml.Directive:
			return Point{}, errors.New("a document type is not allowed in Green Button data")
		case xml.StartElement:
			if len(r.path) == xmlDepthMax {
				return Point{}, fmt.Errorf("tags are nested deeper than %d", xmlDepthMax)
			}
			r.path = append(r.path, t.Name.Local)
			r.text.Reset()
			switch t.Name.Local {
			case "ReadingType": // holds for the blocks that follow it
				r.skip, r.scale = false, 0
			case "IntervalReading":
				r.reading = espiReading{}
			}
		case xml.CharData:
			if r.text.Len()+len(t) <= 64 { // what is read is short
				r.text.Write(t)
			}
		case xml.EndElement:
			n := len(r.path)
			if n == 0 || r.path[n-1] != t.Name.Local {
				return Point{}, fmt.Errorf("</%s> closes nothing", t.Name.Local)
			}
			p, ok := r.close()
			r.path = r.path[:n-1]
			r.text.Reset()
			if ok {
				return p, nil
			}
		}
	}
}

// close takes in an element that ends.
func (r *espi) close() (Point, bool) {
	text := strings.TrimSpace(r.text.String())
	n := len(r.path)
	parent := ""
	if n > 1 {
		parent = r.path[n-2]
	}
	switch r.path[n-1] {
	case "powerOfTenMultiplier":
		if scale, err := strconv.Atoi(text); err == nil && parent == "ReadingType" {
			r.scale = scale
		}
	case "uom":
		if parent == "ReadingType" && text != "72" {
			r.skip = true
			r.note("a reading type of unit %s is not Wh: its blocks are passed over", text)
		}
	case "flowDirection":
		if parent == "ReadingType" && text != r.flow {
			r.skip = true
			r.note("a reading type of flow direction %s is not the wanted %s: its blocks are passed over", text, r.flow)
		}
	case "start":
		r.setNumber(parent, text, &r.reading.start)
	case "duration":
		r.setNumber(parent, text, &r.reading.duration)
	case "quality":
		r.reading.quality = text
	case "value":
		if parent == "IntervalReading" {
			r.reading.value = text
		}
	case "IntervalReading":
		return r.point()
	}
	return Point{}, false
}

func (r *espi) setNumber(parent, text string, to *int64) {
	if parent == "timePeriod" {
		*to, _ = strconv.ParseInt(text, 10, 64) // what is no number is refused as 0
	}
}

func (r *espi) point() (Point, bool) {
	x := r.reading
	switch {
	case r.skip:
		return Point{}, false
	case x.start <= 0 || x.duration <= 0 || x.duration > 366*24*3600:
		r.note("a reading that does not say when: passed over")
		return Point{}, false
	case r.scale < -3 || r.scale > 9:
		r.note("a power of ten of %d: passed over", r.scale)
		return Point{}, false
	}
	unit := unitWh
	for range max(r.scale, 0) {
		unit *= 10
	}
	for range max(-r.scale, 0) {
		unit /= 10
	}
	energy, err := parseEnergy(x.value, unit)
	if err != nil {
		r.note("%v: passed over", err)
		return Point{}, false
	}
	p := Point{At: x.start + x.duration, Energy: energy, Quality: Measured}
	switch x.quality { // ESPI's QualityOfReading
	case "", "0", "14", "17", "18", "19":
	case "10":
		r.note("the reading from %d is questionable: passed over", x.start)
		return Point{}, false
	default:
		p.Quality = Estimated
	}
	return p, true
}
