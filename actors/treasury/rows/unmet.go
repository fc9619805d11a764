package rows

import (
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

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
