package demo

import (
	"time"

	"github.com/the-block/bursar/messages"
)

// chapter is a month of the demo: the grants whose vote began in it, and the
// expenses that were paid from them.
type chapter struct {
	epoch    messages.Epoch // that stands for the month; 1 is the first grant's
	month    time.Time
	grants   []Grant
	expenses []Expense
}

// chapters orders a book by months, oldest first. Expenses of grants that are in
// nobody's books have nothing to wait for: they come in the first.
func chapters(book Book) []chapter {
	first := firstStart(book.Grants)
	var chapters []chapter
	of := func(at time.Time) *chapter {
		n := monthsBetween(first, at)
		for len(chapters) <= n {
			epoch := messages.Epoch(len(chapters) + 1)
			month := time.Date(first.Year(), first.Month()+time.Month(len(chapters)), 1, 0, 0, 0, 0, time.UTC)
			chapters = append(chapters, chapter{epoch: epoch, month: month})
		}
		return &chapters[n]
	}
	starts := make(map[string]time.Time, len(book.Grants))
	for _, grant := range book.Grants {
		starts[grant.ID] = grant.Started
		c := of(grant.Started)
		c.grants = append(c.grants, grant)
	}
	for _, expense := range book.Expenses {
		at, known := starts[expense.GrantID]
		if !known {
			at = first
		}
		c := of(at)
		c.expenses = append(c.expenses, expense)
	}
	return chapters
}

// monthsBetween counts calendar months from one time to a later one, 0 if it is
// not later.
func monthsBetween(from, to time.Time) int {
	from, to = from.UTC(), to.UTC()
	return max(12*(to.Year()-from.Year())+int(to.Month())-int(from.Month()), 0)
}

// firstStart is when the earliest grant began.
func firstStart(grants []Grant) time.Time {
	var first time.Time
	for _, grant := range grants {
		if first.IsZero() || grant.Started.Before(first) {
			first = grant.Started
		}
	}
	return first.UTC()
}

// mostAwaited is the enacted grant that most expenses wait for.
func mostAwaited(book Book) string {
	waiting := make(map[string]int)
	for _, expense := range book.Expenses {
		waiting[expense.GrantID]++
	}
	most := ""
	for _, grant := range book.Grants {
		if grant.Status == Enacted && waiting[grant.ID] > waiting[most] {
			most = grant.ID
		}
	}
	return most
}
