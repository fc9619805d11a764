package meter

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// telegramMax bounds a telegram; the longest that meters send is about 2 KiB.
const telegramMax = 16 << 10

// dsmr reads telegrams of the P1 port (DSMR 4 and 5, with CRC). A telegram that is cut
// or damaged is passed over; the next one begins with its slash.
type dsmr struct {
	lines
	export bool
}

func newDSMR(source io.Reader, o Options) *dsmr {
	return &dsmr{lines: newLines(source, o.Say), export: o.Export}
}

// Next implements Reader.
func (r *dsmr) Next() (Point, error) {
	var telegram []byte
	for {
		line, err := r.next()
		if err != nil {
			if len(telegram) > 0 && errors.Is(err, io.EOF) {
				r.note("the last telegram is cut: passed over")
			}
			return Point{}, err
		}
		switch {
		case strings.HasPrefix(line, "/"):
			if len(telegram) > 0 {
				r.note("a telegram is cut: passed over")
			}
			telegram = append(telegram[:0], line...)
			telegram = append(telegram, '\r', '\n')
		case len(telegram) == 0: // between telegrams
		case strings.HasPrefix(line, "!"):
			p, err := r.parse(append(telegram, '!'), line[1:])
			if err == nil {
				return p, nil
			}
			r.note("%v: the telegram is passed over", err)
			telegram = telegram[:0]
		case len(telegram)+len(line) > telegramMax:
			r.note("a telegram of more than %d bytes: passed over", telegramMax)
			telegram = telegram[:0]
		default:
			telegram = append(telegram, line...)
			telegram = append(telegram, '\r', '\n')
		}
	}
}

func (r *dsmr) parse(telegram []byte, sum string) (Point, error) {
	if len(sum) != 4 {
		return Point{}, fmt.Errorf("no CRC behind the telegram (DSMR 4 or later is needed)")
	}
	want, err := strconv.ParseUint(sum, 16, 16)
	if err != nil {
		return Point{}, fmt.Errorf("%q is not a CRC", sum)
	}
	if got := crc16(telegram); got != uint16(want) {
		return Point{}, fmt.Errorf("its CRC is %04X, it says %s", got, sum)
	}
	p := Point{Cumulative: true, Quality: Measured}
	register := "1-0:1.8."
	if r.export {
		register = "1-0:2.8."
	}
	found := false
	for line := range bytes.SplitSeq(telegram, []byte("\r\n")) {
		id, value, ok := cutObject(string(line))
		switch {
		case !ok:
		case id == "0-0:1.0.0":
			if p.At, err = telegramTime(value); err != nil {
				return Point{}, err
			}
		case id == "0-0:96.1.1":
			p.Serial = equipment(value)
		case strings.HasPrefix(id, register) && id != register+"0":
			energy, err := parseEnergy(strings.TrimSuffix(value, "*kWh"), unitKWh)
			if err != nil {
				return Point{}, err
			}
			p.Energy += energy
			found = true
		}
	}
	switch {
	case p.At == 0:
		return Point{}, errors.New("no time (0-0:1.0.0) in it")
	case !found:
		return Point{}, fmt.Errorf("no register %s1 in it", register)
	}
	return p, nil
}

// cutObject takes `id(value)` apart.
func cutObject(line string) (id, value string, ok bool) {
	id, rest, ok := strings.Cut(line, "(")
	if !ok || !strings.HasSuffix(rest, ")") {
		return "", "", false
	}
	return id, strings.TrimSuffix(rest, ")"), true
}

// telegramTime reads YYMMDDhhmmss and S for summer or W for winter, so that the hour
// that comes twice in autumn is two.
func telegramTime(value string) (int64, error) {
	zone := map[string]int{"S": 2 * 3600, "W": 3600}
	if n := len(value); n == 13 {
		if offset, ok := zone[value[12:]]; ok {
			if t, err := time.Parse("060102150405", value[:12]); err == nil {
				return t.Unix() - int64(offset), nil
			}
		}
	}
	return 0, fmt.Errorf("%.20q is not a telegram's time", value)
}

// equipment reads a meter's identifier, which is hex of text.
func equipment(value string) string {
	if text, err := hex.DecodeString(value); err == nil && len(text) > 0 {
		return string(text)
	}
	return value
}

// crc16 is CRC-16/ARC: x^16 + x^15 + x^2 + 1, reflected, from 0.
func crc16(b []byte) uint16 {
	var crc uint16
	for _, c := range b {
		crc ^= uint16(c)
		for range 8 {
			if crc&1 != 0 {
				crc = crc>>1 ^ 0xA001
			} else {
				crc >>= 1
			}
		}
	}
	return crc
}
