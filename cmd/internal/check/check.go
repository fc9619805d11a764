package check

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/the-block/bursar/actors/energy"
	"github.com/the-block/bursar/actors/treasury/audit"
	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/rows"
	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/persistence"
)

// ErrFailed is returned when a check found something.
var ErrFailed = errors.New("the check failed")

// Check looks at the Stores of a cluster's nodes, one after the other.
type Check struct {
	ledger *Ledger
	kept   []kept
}

// kept is what one node kept.
type kept struct {
	name     string
	digest   [32]byte
	index    uint64
	books    audit.Report
	market   energy.AuditReport
	missing  int // acknowledged submissions that are not there as they were acknowledged
	firstBad string
}

// New begins a check against what a ledger remembers.
func New(ledger *Ledger) *Check { return &Check{ledger: ledger} }

// Look looks at a node's Store, which must be at rest. What is wrong is in the verdicts;
// the error says why it could not be looked at. A Store with the very rows of one that was
// looked at before is judged as that was.
func (c *Check) Look(ctx context.Context, name string, store *persistence.Store) error {
	k, err := c.look(ctx, name, store)
	if err != nil {
		return fmt.Errorf("check %s: %w", name, err)
	}
	c.kept = append(c.kept, k)
	return nil
}

func (c *Check) look(ctx context.Context, name string, store *persistence.Store) (k kept, err error) {
	k.name = name
	if k.digest, k.index, err = store.Digest(); err != nil {
		return k, err
	}
	for _, same := range c.kept {
		if same.digest == k.digest && same.index == k.index {
			same.name = name
			return same, nil
		}
	}
	if k.books, err = audit.Books(ctx, store); err != nil {
		return k, err
	}
	if k.market, err = energy.Audit(ctx, store); err != nil {
		return k, err
	}
	return k, c.compare(&k, store)
}

// compare looks for each acknowledged submission: the request must have made one record,
// the one that the caller was told, with what the caller had asked for.
func (c *Check) compare(k *kept, store *persistence.Store) error {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	for key, want := range c.ledger.taken {
		found, ok, err := store.Request(want.request)
		if err != nil {
			return err
		}
		var fault string
		switch {
		case !ok:
			fault = "is not there"
		case uint64(want.id)-found.First >= uint64(found.Count) || int(found.Count) != want.records:
			fault = fmt.Sprintf("made %d records from %d on", found.Count, found.First)
		default:
			fault, err = wrongly(store, want)
		}
		if err != nil {
			return err
		}
		if fault != "" {
			k.missing++
			k.firstBad = fmt.Sprintf("%s: request %s, acknowledged as disbursement %d, %s", k.name, key, want.id, fault)
		}
	}
	return nil
}

// wrongly says how a record differs from what was acknowledged, "" if it does not.
func wrongly(store *persistence.Store, want acknowledged) (string, error) {
	value, ok, err := store.Get(persistence.RecordKey(rows.TableDisbursements, uint64(want.id)))
	if err != nil || !ok {
		return "has no record", err
	}
	record, err := disbursement.DecodeRecord(value.Data)
	if err != nil {
		return "", fmt.Errorf("disbursement %d: %w", want.id, err)
	}
	if d := &record.Payload.Disbursement; d.Destination != want.destination || d.Amount != want.amount {
		return fmt.Sprintf("pays %d to %s, not %d to %s", d.Amount, d.Destination, want.amount, want.destination), nil
	}
	return "", nil
}

// Names lists the nodes that were looked at.
func (c *Check) Names() string {
	list := make([]string, 0, len(c.kept))
	for i := range c.kept {
		list = append(list, c.kept[i].name)
	}
	return strings.Join(list, ", ")
}

// Verdict is one promise, and whether it was kept.
type Verdict struct {
	Kept bool
	Text string
}

// Verdicts are those over all Stores that were looked at: whether the books balance,
// nothing is lost, nothing was paid twice, and all Stores are the same.
func (c *Check) Verdicts() []Verdict {
	var list []Verdict
	for _, judge := range []func() (string, error){c.booksBalance, c.nothingLost, c.nothingTwice, c.allTheSame} {
		text, err := judge()
		if err != nil {
			text = err.Error()
		}
		list = append(list, Verdict{err == nil, text})
	}
	return list
}

func (c *Check) booksBalance() (string, error) {
	for i := range c.kept {
		if err := c.kept[i].books.Err(); err != nil {
			return "", fmt.Errorf("the books of %s are wrong: %w", c.kept[i].name, err)
		}
		if err := c.kept[i].market.Err(); err != nil {
			return "", fmt.Errorf("the books of %s are wrong: %w", c.kept[i].name, err)
		}
	}
	b := &c.kept[0].books
	text := fmt.Sprintf("the books balance: accruals %s = treasury %s + accounts %s",
		terminal.Group(uint64(b.Accruals)), terminal.Group(uint64(b.Treasury)), terminal.Group(uint64(b.Accounts)))
	if b.Accruals != b.Treasury+b.Accounts {
		return "", errors.New("not so: " + text)
	}
	if m := &c.kept[0].market; m.Credits > 0 {
		text += fmt.Sprintf("; the market's too: %s readings, %s settlements", terminal.Group(uint64(m.Credits)), terminal.Group(uint64(m.Receipts)))
	}
	return text, nil
}

func (c *Check) nothingLost() (string, error) {
	c.ledger.mu.Lock()
	defer c.ledger.mu.Unlock()
	if err := c.ledger.contradiction(); err != nil {
		return "", err
	}
	for i := range c.kept {
		if k := &c.kept[i]; k.missing > 0 {
			return "", fmt.Errorf("%d acknowledged submissions are not as they were acknowledged; %s", k.missing, k.firstBad)
		}
	}
	text := fmt.Sprintf("all %s acknowledged submissions are there, each once, on every node", terminal.Group(uint64(len(c.ledger.taken))))
	if c.ledger.beyond > 0 {
		text += fmt.Sprintf(" (%s more were not remembered)", terminal.Group(uint64(c.ledger.beyond)))
	}
	return text, nil
}

// nothingTwice relies on the audit, which found each nonce used once, without gaps.
func (c *Check) nothingTwice() (string, error) {
	for i := range c.kept {
		if c.kept[i].books.FaultCount > 0 {
			return "", errors.New("whether something was executed twice cannot be told from wrong books")
		}
	}
	return fmt.Sprintf("none was executed twice: %s payments, as many nonces, no gap between them", terminal.Group(c.kept[0].books.Payments)), nil
}

func (c *Check) allTheSame() (string, error) {
	first := &c.kept[0]
	if len(c.kept) == 1 {
		return fmt.Sprintf("%s holds rows with the digest %x", first.name, first.digest[:8]), nil
	}
	for i := range c.kept[1:] {
		if other := &c.kept[i+1]; first.digest != other.digest || first.index != other.index {
			return "", fmt.Errorf("%s at index %d has the digest %x, %s at index %d has %x",
				first.name, first.index, first.digest[:8], other.name, other.index, other.digest[:8])
		}
	}
	return fmt.Sprintf("%s hold the same rows: digest %x", c.Names(), first.digest[:8]), nil
}
