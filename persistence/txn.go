package persistence

import "github.com/the-block/bursar/messages"

// Txn is one all-or-nothing change. The FSM judges it in this order: request id,
// fences and assigns, conditions, deletes, adds; the first that fails decides the
// Result and nothing of the Txn happens. The FSM knows no treasury rules: what a
// Txn must not break is written into its conditions and adds.
type Txn struct {
	// Fences speak for the shards whose owner proposes the Txn. One that is not the
	// shard's newest makes it Fenced.
	Fences     []ShardFence
	Conditions []Condition
	Writes     []Write
	// Deletes remove rows; a row that is not there is no fault. A record that keeps
	// a request id cannot be deleted: the Txn is Refused.
	Deletes []Key
	Adds    []Add
	// Appends create rows numbered 1, 2, 3 ... per table, without gaps.
	Appends []Append
	// Notes create rows as Appends do, of tables of their own, but are nothing that the
	// request is about: they are numbered last, and what is remembered of the request does
	// not depend on them. From feature level LevelNotes on.
	Notes []Append
	// Assigns give shards to owners. Each is conditional on the shard's present fence.
	Assigns []Assign
	// Level, if not 0, raises the feature level that keys the FSM's behaviour.
	// A level below the present one changes nothing; one this program does not know
	// stops the node.
	Level uint16

	// RequestID makes a repeat harmless: a Txn whose id is remembered is a Duplicate
	// (same PayloadHash) or a Conflict (another). Empty: nothing is remembered.
	RequestID string
	// PayloadHash covers the decoded parameters of the request.
	PayloadHash [16]byte
	// Keep says how long the id is remembered. A Txn with Appends is remembered for
	// ever, in its first record.
	Keep Keep
	// Reply, at most ReplyBytesMax, is kept with the request id and given back to a
	// Duplicate. Not kept if there are Appends: First and Count are enough then.
	Reply []byte

	// StampedAt is the proposer's clock, in Unix milliseconds. History rows carry it.
	StampedAt int64
}

// Keep says how long a request id is remembered.
type Keep byte

const (
	// KeepRecent remembers the id among the last RequestsRecentMax.
	KeepRecent Keep = iota
	// KeepForever never forgets it.
	KeepForever
)

// ShardFence is the fence under which a Txn speaks for a shard. It is never 0.
type ShardFence struct {
	Shard messages.ShardID
	Fence messages.Fence
}

// Write sets a row. Its version grows by one, from 1 where the row is new.
type Write struct {
	Key Key
	// Tag is the record's state, as conditions see it.
	Tag   byte
	Value []byte
	// Slots are places in Value, KeySlots places in Key, that hold an assigned number.
	Slots    []Slot
	KeySlots []Slot
}

// Append creates the next row of a table.
type Append struct {
	Table Table
	Tag   byte
	Value []byte
	Slots []Slot
}

// Slot is a place of 8 bytes, from Offset, which the commit overwrites with a
// big-endian number: the one assigned to the Number-th Append of the Txn (from 0),
// or the log index for SlotIndex.
type Slot struct {
	Offset uint32
	Number uint16
}

// SlotIndex is the Slot number that stands for the index of the log entry.
const SlotIndex uint16 = 0xffff

// SlotID stands for the number of the k-th Append until the commit assigns it: a
// number larger than every id, ordered by k. A list of dependencies may be sorted
// with it, and a Row may refer to it.
func SlotID(k uint16) uint64 { return slotIDBase | uint64(k) }

const slotIDBase uint64 = 0xffff_ffff_ffff_0000

// Add changes a counter, which is 0 until its first Add. The Txn is Refused if the
// result would lie outside [Min, Max] or overflow.
type Add struct {
	Counter string
	Delta   int64
	Min     int64
	Max     int64
	// Row, if not nil, adds a row to the counter's own history; only the commit knows
	// the value after. A delta of 0 writes no row.
	Row *Row
}

// Row is what a history row says beside its number, delta, value after and stamp.
type Row struct {
	Event     byte
	Reference uint64 // an id, SlotID(k), or 0
}

// Assign makes Owner the owner of a shard and raises its fence by one. A Txn names a
// shard at most once. From is the
// fence the shard must have before, 0 if it never had an owner; otherwise the Txn is
// Fenced.
type Assign struct {
	Shard messages.ShardID
	Owner messages.NodeID
	From  messages.Fence
}

// Limits of a Txn. A Txn beyond one is ErrInvalid or ErrTooLarge when it is proposed.
const (
	TxnBytesMax       = 4 << 20
	FencesMax         = 1 << 10
	ConditionsMax     = 1 << 17 // a plan of 1,000 with 100 dependencies each, and room
	WritesMax         = 1 << 14
	DeletesMax        = 1 << 14
	AddsMax           = 1 << 12
	AppendsMax        = 1 << 12
	NotesMax          = 1 << 12
	AssignsMax        = 1 << 10
	SlotsMax          = 1 << 12 // per row
	TagsMax           = 1 << 5  // per condition
	KeyBytesMax       = 1 << 8
	CounterBytesMax   = 1 << 7
	OwnerBytesMax     = 1 << 7
	RequestIDBytesMax = 64
	ReplyBytesMax     = 256

	// RequestsRecentMax is how many request ids of KeepRecent are remembered.
	RequestsRecentMax = 1_000_000
	// HistoryBlock is the number of history rows packed into one value.
	HistoryBlock = 64
	// LevelNotes is the feature level from which on Txns may have Notes, and conditions of
	// Unchanged.
	LevelNotes uint16 = 3
	// LevelAudit is the feature level from which on what is written in audited tables is a
	// leaf of the audit tree.
	LevelAudit uint16 = 4
	// LevelMax is the newest feature level this program knows.
	LevelMax = LevelAudit
	// levelTimes is the level from which on no row of a history is stamped before the one
	// that it follows.
	levelTimes uint16 = 2
)
