package meter

import (
	"fmt"
	"io"
	"time"
)

// Energy is in thousandths of a Wh: three decimals of a kWh are exact, and so are six.
type Energy uint64

// KWh gives the whole kWh in it.
func (e Energy) KWh() uint64 { return uint64(e / 1_000_000) }

// Point is one thing that a source says.
type Point struct {
	// At is when the register stood there, or when the interval ended, in Unix seconds.
	At int64
	// Energy is the register's value where Cumulative is set, else what went through
	// since the point before.
	Energy     Energy
	Cumulative bool
	// Serial names the physical meter where the source tells it.
	Serial string
	// Quality is how the source came by the value.
	Quality Quality
}

// Quality is how a source came by a value.
type Quality byte

// The qualities.
const (
	Measured  Quality = iota + 1
	Estimated         // or substituted: somebody computed it
)

// Options are what a reader has to be told.
type Options struct {
	// Zone is that of times that name none.
	Zone *time.Location
	// Export reads what was fed in; otherwise what was taken, where a source tells both.
	Export bool
	// Serial, if not empty, reads the rows of one meter of a CSV that holds several.
	Serial string
	// Say is told of everything that is passed over or looks odd. It is never nil.
	Say func(Note)
}

// Note is something that a person may want to know of a source.
type Note struct {
	Line int // in the source, from 1; 0 where it has none
	Text string
}

// String gives the note with its line.
func (n Note) String() string {
	if n.Line == 0 {
		return n.Text
	}
	return fmt.Sprintf("line %d: %s", n.Line, n.Text)
}

// Reader gives a source's points one by one, oldest first; io.EOF after the last. Any
// other error means that nothing more can be read.
type Reader interface {
	Next() (Point, error)
}

// Formats are the names of the formats.
func Formats() []string { return []string{"csv", "dsmr", "espi", "nem12", "pvoutput"} }

// Open gives the reader of a format.
func Open(format string, source io.Reader, o Options) (Reader, error) {
	if o.Zone == nil {
		o.Zone = time.UTC
	}
	switch format {
	case "csv":
		return newCSV(source, o), nil
	case "dsmr":
		return newDSMR(source, o), nil
	case "espi":
		return newESPI(source, o), nil
	case "nem12":
		return newNEM12(source, o), nil
	case "pvoutput":
		return newPVOutput(source, o), nil
	}
	return nil, fmt.Errorf("format %q is none of %v", format, Formats())
}
