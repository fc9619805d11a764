package rows

import (
	"fmt"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

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
