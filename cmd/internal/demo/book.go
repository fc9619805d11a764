package demo

import (
	"embed"
	"encoding/csv"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/the-block/bursar/messages"
)

//go:embed data/grants.csv data/expenses.csv
var files embed.FS

// Status is what the DAO had made of a grant when its books were taken.
type Status string

// What became of a grant.
const (
	Enacted     Status = "enacted"       // voted for and paid
	Passed      Status = "passed"        // voted for, not paid yet
	OutOfBudget Status = "out_of_budget" // voted for, with no money left for it
	Rejected    Status = "rejected"      // voted down
	Active      Status = "active"        // the vote was still open
)

// Grant is one row of grants.csv.
type Grant struct {
	ID       string // the DAO's proposal id
	Payee    string // 0x and 40 hex digits, in any case
	Amount   messages.Amount
	Title    string
	Category string
	Tier     string
	Status   Status
	Started  time.Time // of the vote
	Ended    time.Time
}

// Expense is one row of expenses.csv. GrantID may name no grant.
type Expense struct {
	ID      string
	Payee   string
	Amount  messages.Amount
	Purpose string
	GrantID string
}

// Book is what the demo pays. Amounts are in cents of a dollar.
type Book struct {
	Grants   []Grant
	Expenses []Expense
}

// Load reads the embedded files.
func Load() (Book, error) {
	var book Book
	err := eachRow("data/grants.csv", func(row map[string]string) error {
		grant, err := parseGrant(row)
		book.Grants = append(book.Grants, grant)
		return err
	})
	if err != nil {
		return Book{}, err
	}
	err = eachRow("data/expenses.csv", func(row map[string]string) error {
		expense, err := parseExpense(row)
		book.Expenses = append(book.Expenses, expense)
		return err
	})
	return book, err
}

// Total is the sum of all rows, those that will be refused included: what the demo
// accrues before it pays.
func (b Book) Total() messages.Amount {
	var sum messages.Amount
	for _, grant := range b.Grants {
		sum += grant.Amount
	}
	for _, expense := range b.Expenses {
		sum += expense.Amount
	}
	return sum
}

// Payees lists the accounts the book pays, each once.
func (b Book) Payees() []string {
	accounts := make([]string, 0, len(b.Grants)+len(b.Expenses))
	for _, grant := range b.Grants {
		accounts = append(accounts, destination(grant.Payee))
	}
	for _, expense := range b.Expenses {
		accounts = append(accounts, destination(expense.Payee))
	}
	slices.Sort(accounts)
	return slices.Compact(accounts)
}

func parseGrant(row map[string]string) (Grant, error) {
	amount, err := cents(row["amount_usd"])
	if err != nil {
		return Grant{}, err
	}
	status, err := parseStatus(row["status"])
	if err != nil {
		return Grant{}, err
	}
	started, err := time.Parse(time.RFC3339, row["started"])
	if err != nil {
		return Grant{}, fmt.Errorf("started: %w", err)
	}
	ended, err := time.Parse(time.RFC3339, row["ended"])
	if err != nil {
		return Grant{}, fmt.Errorf("ended: %w", err)
	}
	return Grant{
		ID: row["id"], Payee: row["payee"], Amount: amount, Title: row["memo"],
		Category: row["category"], Tier: row["tier"], Status: status, Started: started, Ended: ended,
	}, nil
}

func parseStatus(text string) (Status, error) {
	switch status := Status(text); status {
	case Enacted, Passed, OutOfBudget, Rejected, Active:
		return status, nil
	default:
		return "", fmt.Errorf("status %q is unknown", text)
	}
}

func parseExpense(row map[string]string) (Expense, error) {
	amount, err := cents(row["amount"])
	if err != nil {
		return Expense{}, err
	}
	return Expense{
		ID: row["id"], Payee: row["payee"], Amount: amount, Purpose: row["memo"], GrantID: row["proposal_id"],
	}, nil
}

// cents reads a decimal number of dollars and rounds it to cents, halves up. It
// works on the digits, because a float would lose cents of large sums.
func cents(dollars string) (messages.Amount, error) {
	whole, fraction, _ := strings.Cut(dollars, ".")
	digits := (fraction + "000")[:3]
	thousandths, err := strconv.ParseUint(whole+digits, 10, 63)
	if err != nil {
		return 0, fmt.Errorf("amount %q: %w", dollars, err)
	}
	return messages.Amount((thousandths + 5) / 10), nil
}

// eachRow calls visit with each row of an embedded file, keyed by its header.
func eachRow(name string, visit func(map[string]string) error) error {
	file, err := files.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	header := rows[0]
	for i, cells := range rows[1:] {
		row := make(map[string]string, len(header))
		for column, cell := range cells {
			row[header[column]] = cell
		}
		if err := visit(row); err != nil {
			return fmt.Errorf("%s row %d: %w", name, i+1, err)
		}
	}
	return nil
}
