package rows

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/persistence"
)

// Rest is why nothing is paid until an operator says so: this log was restored, and may not
// know of payments that were made after what it holds.
type Rest struct {
	At  time.Time // good to the millisecond
	Why string
}

// RestKey names the row of a Rest.
var RestKey = persistence.NameKey(TableSettings, "rest")

const restVersion = 1

var errRest = errors.New("the row that says why nothing is paid cannot be read")

// RestWrite has the executor rest.
func RestWrite(r Rest) persistence.Write {
	value := binary.BigEndian.AppendUint64([]byte{restVersion}, uint64(r.At.UnixMilli()))
	return persistence.Write{Key: RestKey, Value: append(value, r.Why...)}
}

// Resting reads why nothing is paid, and the row's version; nil if it is.
func Resting(store *persistence.Store) (r *Rest, version uint64, err error) {
	value, ok, err := store.Get(RestKey)
	if err != nil || !ok {
		return nil, 0, err
	}
	b := value.Data
	if len(b) < 9 || b[0] != restVersion {
		return nil, 0, fmt.Errorf("%w: %d bytes", errRest, len(b))
	}
	return &Rest{At: time.UnixMilli(int64(binary.BigEndian.Uint64(b[1:]))), Why: string(b[9:])}, value.Version, nil
}

// String says it to people.
func (r *Rest) String() string {
	return "payments rest since this treasury was " + r.Why + ": see that nothing was paid after that, then call gov.treasury.resume"
}
