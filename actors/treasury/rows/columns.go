package rows

import (
	"fmt"
	"hash/fnv"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Columns of the disbursements, by which a list filters without reading records.
const (
	ColumnEpoch = iota
	ColumnAmount
	ColumnCreatedAt
	ColumnDestination // a hash: the record itself is judged again

	columns
)

// Columns says what the Store keeps in memory for each disbursement.
func Columns() map[persistence.Table]persistence.Columns {
	return map[persistence.Table]persistence.Columns{
		TableDisbursements: {Count: columns, Extract: extractColumns},
	}
}

func extractColumns(_ byte, data []byte, into []uint64) {
	header, err := disbursement.DecodeHeader(data)
	if err != nil {
		clear(into) // the record itself will be found corrupt by whoever reads it
		return
	}
	into[ColumnEpoch] = uint64(header.ScheduledEpoch)
	into[ColumnAmount] = uint64(header.Amount)
	into[ColumnCreatedAt] = header.CreatedAt
	into[ColumnDestination] = DestinationHash(header.Destination)
}

func DestinationHash(destination []byte) uint64 {
	h := fnv.New64a()
	_, _ = h.Write(destination)
	return h.Sum64()
}

// Unmet names the lowest of a record's dependencies that is not final, 0 if all are.
func Unmet(store *persistence.Store, ids []messages.DisbursementID) (messages.DisbursementID, error) {
	for _, id := range ids {
		value, ok, err := store.Get(RecordKey(id))
		if err != nil {
			return 0, err
		}
		if !ok || messages.State(value.Tag) != messages.Finalized {
			return id, nil
		}
	}
	return 0, nil
}

// Books are the totals of all money, read at one index.
type Books struct {
	Index                        uint64
	Treasury, Accounts, Accruals int64
	Epoch                        messages.Epoch
}

// ReadBooks reads the totals.
func ReadBooks(store *persistence.Store) (b Books, err error) {
	err = store.View(func(v *persistence.View) error {
		b = Books{
			Index:    v.Applied(),
			Treasury: v.Counter(CounterTreasury),
			Accounts: v.Counter(CounterAccounts),
			Accruals: v.Counter(CounterAccruals),
			Epoch:    messages.Epoch(v.Counter(CounterEpoch)),
		}
		return nil
	})
	return b, err
}

// Check holds I2 at run time: all that came in is in the treasury or in an account.
func (b Books) Check() error {
	if b.Treasury < 0 || b.Accounts < 0 || b.Treasury+b.Accounts != b.Accruals {
		return fmt.Errorf("the books do not balance at index %d: treasury %d + accounts %d, accruals %d",
			b.Index, b.Treasury, b.Accounts, b.Accruals)
	}
	return nil
}
