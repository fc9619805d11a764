package rows

import (
	"hash/fnv"

	"github.com/the-block/bursar/actors/treasury/disbursement"
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
