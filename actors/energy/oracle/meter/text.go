package meter

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// lineMax bounds a line, and so the memory of a reader.
const lineMax = 64 << 10

// lines gives a source's lines without their ends, in bounded memory. A line that is
// longer than lineMax is passed over, which is said.
type lines struct {
	in     *bufio.Reader
	say    func(Note)
	number int
}

func newLines(source io.Reader, say func(Note)) lines {
	return lines{in: bufio.NewReaderSize(source, lineMax), say: say}
}

func (l *lines) next() (string, error) {
	for {
		l.number++
		line, err := l.in.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			if err := l.skip(); err != nil {
				return "", err
			}
			continue
		case errors.Is(err, io.EOF) && len(line) == 0, err != nil && !errors.Is(err, io.EOF):
			return "", err
		}
		return strings.TrimRight(string(line), "\r\n"), nil
	}
}

// skip passes over the rest of a line that is too long.
func (l *lines) skip() error {
	l.note("a line of more than %d bytes: passed over", lineMax)
	for {
		_, err := l.in.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

func (l *lines) note(format string, args ...any) {
	l.say(Note{Line: l.number, Text: fmt.Sprintf(format, args...)})
}

// parseEnergy reads a decimal number of a unit that is so many thousandths of a Wh.
// Digits beyond the sixth of a kWh are rounded.
func parseEnergy(text string, unit Energy) (Energy, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	if whole == "" && fraction == "" || len(text) > 64 {
		return 0, fmt.Errorf("%.20q is not a number", text)
	}
	if whole != "" && whole[0] == '-' {
		return 0, fmt.Errorf("%s is negative", text)
	}
	var value Energy
	for _, c := range []byte(whole) {
		if c < '0' || c > '9' {
			return 0, fmt.Errorf("%q is not a number", text)
		}
		next := value*10 + Energy(c-'0')
		if value > (^Energy(0)-9)/10 || next >= ^Energy(0)/unit {
			return 0, fmt.Errorf("%s is beyond what 64 bits hold", text)
		}
		value = next
	}
	value *= unit
	for _, c := range []byte(fraction) {
		switch digit := Energy(c - '0'); {
		case c < '0' || c > '9':
			return 0, fmt.Errorf("%q is not a number", text)
		case unit > 1:
			unit /= 10
			value += digit * unit // below the next whole one, which fits
		case unit == 1: // the first digit beyond the last that is kept
			value += digit / 5
			unit = 0
		}
	}
	return value, nil
}

// The units, in thousandths of a Wh.
const (
	unitWh  Energy = 1_000
	unitKWh Energy = 1_000_000
	unitMWh Energy = 1_000_000_000
)

// clock turns local times that name no zone into moments. It knows what came before, and
// so which of two it is where clocks were put back.
type clock struct {
	zone *time.Location
	last int64
}

// moment gives a local time's moment; note says what is odd about it.
func (c *clock) moment(local time.Time) (at int64, note string) {
	year, month, day := local.Date()
	hour, minute, second := local.Clock()
	t := time.Date(year, month, day, hour, minute, second, 0, c.zone)
	if h, m, _ := t.Clock(); h != hour || m != minute {
		note = local.Format("2006-01-02 15:04") + " does not exist: clocks were put forward"
	}
	at = t.Unix()
	earlier, later := at, at
	for _, shift := range []time.Duration{-2 * time.Hour, -time.Hour, -30 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour} {
		if twin := t.Add(shift); note == "" && sameClock(twin, local) {
			earlier, later = min(earlier, twin.Unix()), max(later, twin.Unix())
		}
	}
	at = earlier
	if earlier != later && earlier <= c.last {
		at, note = later, local.Format("2006-01-02 15:04")+" comes a second time: clocks were put back"
	}
	c.last = max(c.last, at)
	return at, note
}

func sameClock(a, b time.Time) bool {
	const layout = "20060102150405"
	return a.Format(layout) == b.Format(layout)
}
