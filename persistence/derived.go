package persistence

import (
	"encoding/binary"
	"fmt"

	"github.com/tidwall/buntdb"

	"github.com/the-block/bursar/messages"
)

// derived is what the Store keeps in memory beside its rows. All of it follows from
// the rows and is built from them in one pass.
type derived struct {
	owners   map[messages.ShardID]Ownership
	level    uint16
	last     [256]uint64 // last assigned number of each table
	requests requestIndex
	columns  map[Table]*columnTable
	audited  map[Table][]string // the beginnings of keys whose rows are leaves of the audit tree
	tree     tree
	checksum checksum
	bytes    int64 // keys and values, to tell how much of the file is garbage
}

func newDerived(cfg *StoreConfig) *derived {
	d := &derived{
		owners:   make(map[messages.ShardID]Ownership),
		requests: newRequestIndex(),
		columns:  make(map[Table]*columnTable, len(cfg.Columns)),
	}
	for table, c := range cfg.Columns {
		d.columns[table] = newColumnTable(c)
	}
	d.audited = make(map[Table][]string)
	for _, key := range cfg.Audited {
		d.audited[key.Table()] = append(d.audited[key.Table()], string(key))
	}
	return d
}

// build reads every row of a database nobody else uses yet.
func (d *derived) build(tx *buntdb.Tx) error {
	// Columns cover assigned numbers only, so the sequences come first.
	err := d.ascend(tx, string(TableEnd(tableSequence-1)), d.sequence)
	if err != nil {
		return err
	}
	return d.ascend(tx, "", d.add)
}

func (d *derived) ascend(tx *buntdb.Tx, from string, add func(key, value string) error) error {
	var failed error
	err := tx.AscendGreaterOrEqual("", from, func(key, value string) bool {
		failed = add(key, value)
		return failed == nil
	})
	if err != nil {
		return err
	}
	return failed
}

func (d *derived) sequence(key, value string) error {
	if Table(key[0]) != tableSequence {
		return nil
	}
	if len(key) != 2 || len(value) != 8 {
		return fmt.Errorf("%w: sequence row %x", ErrCorrupt, key)
	}
	d.last[key[1]] = beUint64(value)
	return nil
}

func (d *derived) add(key, value string) error {
	if key == "" {
		return fmt.Errorf("%w: row without a key", ErrCorrupt)
	}
	d.wrote(key, value)
	switch table := Table(key[0]); table {
	case tableCounter, tableHistory, tableSequence:
		return nil
	case tableLevel:
		if len(value) != 2 {
			return fmt.Errorf("%w: feature level row", ErrCorrupt)
		}
		d.level = uint16(value[0])<<8 | uint16(value[1])
		return nil
	case tableTree:
		return d.tree.load(key, value, d.last[tableTree])
	case tableOwner:
		shard, owner, err := parseOwner(key, value)
		d.owners[shard] = owner
		return err
	case tableRecent, tableForever:
		o, err := parseRequestRow(value)
		if err != nil || len(key) != 9 {
			return fmt.Errorf("%w: request row %x", ErrCorrupt, key)
		}
		d.requests.add(o.id, requestPlace(table, beUint64(key[1:])))
		return nil
	default:
		return d.addRecord(table, key, value)
	}
}

func (d *derived) addRecord(table Table, key, value string) error {
	r, err := parseRow(value)
	if err != nil {
		return err
	}
	number, numbered := Key(key).Number()
	if r.origin != "" {
		o, _, err := parseOrigin(r.origin)
		if err != nil || !numbered {
			return fmt.Errorf("%w: origin of row %x", ErrCorrupt, key)
		}
		d.requests.add(o.id, requestPlace(table, number))
	}
	if c := d.columns[table]; c != nil && numbered && number <= d.last[table] {
		c.set(number, r.tag, []byte(r.data))
	}
	return nil
}

// wrote and dropped keep the totals over all rows.
func (d *derived) wrote(key, value string) {
	d.bytes += rowBytes(key, value)
	d.checksum.add(key, value)
}

func (d *derived) dropped(key, value string) {
	d.bytes -= rowBytes(key, value)
	d.checksum.remove(key, value)
}

// rowBytes is about what a row takes in the projection file.
func rowBytes(key, value string) int64 { return int64(len(key) + len(value) + 32) }

// A row of tableOwner: fence 8 | owner.
func ownerRow(o Ownership) string {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(o.Owner)), uint64(o.Fence))
	return string(append(b, o.Owner...))
}

func parseOwner(key, value string) (messages.ShardID, Ownership, error) {
	if len(key) != 3 || len(value) < 8 {
		return 0, Ownership{}, fmt.Errorf("%w: owner row %x", ErrCorrupt, key)
	}
	shard := messages.ShardID(key[1])<<8 | messages.ShardID(key[2])
	return shard, Ownership{
		Owner: messages.NodeID(value[8:]),
		Fence: messages.Fence(beUint64(value)),
	}, nil
}
