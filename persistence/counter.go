package persistence

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"github.com/tidwall/buntdb"
)

// A row of tableCounter is value 8 | number of history rows 8. A row of tableHistory
// is up to HistoryBlock of: delta 8 | after 8 | stamp 8 | event 1 | reference 8.
const (
	counterRowBytes = 16
	historyRowBytes = 33
)

// counter is a counter while a batch is applied. Counters are read once and written
// once per batch, however many Txns of it change them.
type counter struct {
	name  string
	value int64
	rows  uint64
	// block is the history block that holds row number rows, once it was needed.
	block  []byte
	loaded bool
	// stamp is that of the newest row, once it was needed.
	stamp   int64
	stamped bool
	dirty   bool
}

// overlay is the counters a batch touches, in the order of their first touch.
type overlay struct {
	byName  map[string]*counter
	touched []*counter
}

func newOverlay() overlay { return overlay{byName: make(map[string]*counter)} }

func (o *overlay) clear() {
	clear(o.byName)
	clear(o.touched)
	o.touched = o.touched[:0]
}

// counter gives the counter of that name, reading it at its first use.
func (o *overlay) counter(tx *buntdb.Tx, name string) (*counter, error) {
	if c := o.byName[name]; c != nil {
		return c, nil
	}
	c := &counter{name: strings.Clone(name)}
	value, err := tx.Get(string(counterKey(name)))
	switch {
	case errors.Is(err, buntdb.ErrNotFound):
	case err != nil:
		return nil, err
	default:
		if c.value, c.rows, err = parseCounter(value); err != nil {
			return nil, err
		}
	}
	o.byName[c.name] = c
	o.touched = append(o.touched, c)
	return c, nil
}

// add moves the counter by a.Delta if the result lies within the bounds.
func (c *counter) add(a *Add) bool {
	after := c.value + a.Delta
	overflow := (a.Delta > 0) != (after > c.value) && a.Delta != 0
	if overflow || after < a.Min || after > a.Max {
		return false
	}
	c.value = after
	return true
}

// record adds a row to the counter's history. A block that it leaves full is handed
// to put at once, so that only one block is held.
func (c *counter) record(tx *buntdb.Tx, r HistoryRow, put func(key, value string) error) error {
	if !c.loaded {
		if err := c.load(tx); err != nil {
			return err
		}
	}
	c.rows++
	c.stamp, c.stamped = r.StampedAt, true
	c.block = appendHistoryRow(c.block, &r)
	if c.rows%HistoryBlock != 0 {
		return nil
	}
	err := put(string(historyKey(c.name, c.rows)), string(c.block))
	c.block = c.block[:0]
	return err
}

// stampAt is where a row has its stamp.
const stampAt = 16

// lastStamp is when the newest row was stamped, of which there is one. A clock that was set
// back must not make a history go back.
func (c *counter) lastStamp(tx *buntdb.Tx) (int64, error) {
	if c.stamped {
		return c.stamp, nil
	}
	value, err := tx.Get(string(historyKey(c.name, c.rows)))
	if err != nil || len(value) < historyRowBytes {
		return 0, fmt.Errorf("history of %q at %d: %d bytes: %w", c.name, c.rows, len(value), err)
	}
	c.stamp = int64(binary.BigEndian.Uint64([]byte(value[len(value)-historyRowBytes+stampAt:])))
	c.stamped = true
	return c.stamp, nil
}

func appendHistoryRow(b []byte, r *HistoryRow) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.Delta))
	b = binary.BigEndian.AppendUint64(b, uint64(r.After))
	b = binary.BigEndian.AppendUint64(b, uint64(r.StampedAt))
	b = append(b, r.Event)
	return binary.BigEndian.AppendUint64(b, r.Reference)
}

func (c *counter) load(tx *buntdb.Tx) error {
	c.loaded = true
	c.block = make([]byte, 0, HistoryBlock*historyRowBytes)
	if c.rows%HistoryBlock == 0 {
		return nil
	}
	value, err := tx.Get(string(historyKey(c.name, c.rows)))
	if err != nil {
		return fmt.Errorf("history of %q at %d: %w", c.name, c.rows, err)
	}
	c.block = append(c.block, value...)
	return nil
}

// write stores what the batch left of the counter.
func (c *counter) write(put func(key, value string) error, putCounter func(key, value string) error) error {
	if len(c.block) > 0 {
		if err := put(string(historyKey(c.name, c.rows)), string(c.block)); err != nil {
			return err
		}
	}
	var b [counterRowBytes]byte
	binary.BigEndian.PutUint64(b[:], uint64(c.value))
	binary.BigEndian.PutUint64(b[8:], c.rows)
	return putCounter(string(counterKey(c.name)), string(b[:]))
}

func parseCounter(value string) (n int64, rows uint64, err error) {
	if len(value) != counterRowBytes {
		return 0, 0, fmt.Errorf("%w: counter row of %d bytes", ErrCorrupt, len(value))
	}
	return int64(beUint64(value)), beUint64(value[8:]), nil
}

// parseHistoryRow reads the row at place i (from 0) of a block.
func parseHistoryRow(block string, i int, seq uint64) (HistoryRow, error) {
	at := i * historyRowBytes
	if at+historyRowBytes > len(block) {
		return HistoryRow{}, fmt.Errorf("%w: history block of %d bytes lacks row %d", ErrCorrupt, len(block), i)
	}
	b := block[at:]
	return HistoryRow{
		Seq:       seq,
		Delta:     int64(beUint64(b)),
		After:     int64(beUint64(b[8:])),
		StampedAt: int64(beUint64(b[16:])),
		Event:     b[24],
		Reference: beUint64(b[25:]),
	}, nil
}
