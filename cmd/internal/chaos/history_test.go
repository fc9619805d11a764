package chaos_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// The clients' history is held against two small models, each a partition of its own.
//
// A ballot is a register: one voter votes again and again, the last vote counts, and
// every vote and every look tells what counts now. It ends by being rolled back.
//
// The treasury is a counter: accruals add to it, and what the executor pays comes off by
// itself. Whoever sees a balance sees how much has been paid by then, and that never
// becomes less: accruals are a million times larger than payments, so a read that misses
// one, or sees one twice, shows.

type ballotVote struct {
	ballot string
	weight int64
}
type ballotLook struct{ ballot string }
type ballotEnd struct{ ballot string }

// ballotIs is the answer to all three.
type ballotIs struct {
	ended  bool
	weight int64
}

type moneyAccrue struct{ amount int64 }
type moneyLook struct{}

// moneyIs is the balance, answered to both. With fees the market adds to it what nobody here
// knows of; all of it, and all payments, are less than half an accrual.
type moneyIs struct {
	balance int64
	fees    bool
}

// money is the treasury's state: all accruals, and what had been paid when a balance was
// seen last.
type money struct{ accrued, paid int64 }

func keyOf(input any) string {
	switch in := input.(type) {
	case ballotVote:
		return in.ballot
	case ballotLook:
		return in.ballot
	case ballotEnd:
		return in.ballot
	default:
		return "the treasury"
	}
}

var treasuryModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make(map[string][]porcupine.Operation)
		for _, op := range history {
			key := keyOf(op.Input)
			parts[key] = append(parts[key], op)
		}
		var list [][]porcupine.Operation
		for _, part := range parts {
			list = append(list, part)
		}
		return list
	},
	Init: func() any { return nil },
	Step: func(state, input, output any) (bool, any) {
		switch in := input.(type) {
		case moneyAccrue:
			return stepMoney(state, in.amount, output.(moneyIs))
		case moneyLook:
			return stepMoney(state, 0, output.(moneyIs))
		default:
			return stepBallot(state, input, output.(ballotIs))
		}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

func stepMoney(state any, amount int64, out moneyIs) (bool, any) {
	m, _ := state.(money)
	m.accrued += amount
	paid := m.accrued - out.balance
	if out.fees {
		return -int64(accrual)/2 < paid && paid < int64(accrual)/2, m // what is paid, less the fees
	}
	if paid < m.paid {
		return false, state
	}
	m.paid = paid
	return true, m
}

func stepBallot(state, input any, out ballotIs) (bool, any) {
	b, _ := state.(ballotIs)
	next := b
	switch in := input.(type) {
	case ballotVote:
		if !b.ended {
			next.weight = in.weight
		}
	case ballotEnd:
		next.ended = true
	}
	if out.ended != next.ended || !out.ended && out.weight != next.weight {
		return false, state
	}
	return true, next
}

// searchTimeout bounds the search for an order that explains a history.
const searchTimeout = 2 * time.Minute

// linearizable reports why a history is not.
func linearizable(history []porcupine.Operation) error {
	switch porcupine.CheckOperationsTimeout(treasuryModel, history, searchTimeout) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("whether the history of %d calls is linearizable is not known after %s", len(history), searchTimeout)
	default:
	}
	for _, part := range treasuryModel.Partition(history) {
		if porcupine.CheckOperationsTimeout(treasuryModel, part, searchTimeout) == porcupine.Ok {
			continue
		}
		slices.SortFunc(part, func(a, b porcupine.Operation) int { return int(a.Return - b.Return) })
		return fmt.Errorf("the history of %s is not linearizable: %s", keyOf(part[0].Input), explain(part))
	}
	return nil
}

// explain finds the call whose answer nothing before it explains, and tells what came just
// before that.
func explain(part []porcupine.Operation) string {
	n := firstBad(part)
	text := fmt.Sprintf("no order explains call %d of %d", n+1, len(part))
	for _, op := range part[max(0, n-12) : n+1] {
		text += fmt.Sprintf("\n  client %d, %.3f to %.3f s: %+v -> %+v", op.ClientId,
			time.Duration(op.Call).Seconds(), time.Duration(op.Return).Seconds(), op.Input, op.Output)
	}
	return text
}

// firstBad is the length of the longest beginning, by return, that can be explained. A
// call that had begun by then may have taken effect, with an answer yet to come; so its
// interval is all there is of it, and beginnings are compared whole.
func firstBad(part []porcupine.Operation) int {
	low, high := 0, len(part)-1
	for low < high {
		middle := (low + high) / 2
		if explained(part, middle+1) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	return low
}

// explained reports whether the first n answers can be, given the calls under way then.
func explained(part []porcupine.Operation, n int) bool {
	until := part[n-1].Return
	history := slices.Clone(part[:n])
	for _, op := range part[n:] {
		if op.Call <= until {
			op.Return = math.MaxInt64
			history = append(history, op)
		}
	}
	return porcupine.CheckOperationsTimeout(treasuryModel, history, searchTimeout) == porcupine.Ok
}

func op(client int, from, to int64, input, output any) porcupine.Operation {
	return porcupine.Operation{ClientId: client, Call: from, Return: to, Input: input, Output: output}
}

func TestTheModelsTellAGoodHistoryFromABadOne(t *testing.T) {
	const million = int64(accrual)
	is := func(balance int64) moneyIs { return moneyIs{balance: balance} }
	beside := func(balance int64) moneyIs { return moneyIs{balance: balance, fees: true} }
	start := op(0, 0, 1, moneyAccrue{9 * million}, is(9*million))
	tests := []struct {
		name    string
		history []porcupine.Operation
		good    bool
	}{
		{"payments come off by themselves", []porcupine.Operation{
			start, op(1, 2, 3, moneyLook{}, is(9*million-5)), op(2, 4, 5, moneyLook{}, is(9*million-7))}, true},
		{"a payment is not undone", []porcupine.Operation{
			start, op(1, 2, 3, moneyLook{}, is(9*million-5)), op(2, 4, 5, moneyLook{}, is(9*million-4))}, false},
		{"a read misses an accrual", []porcupine.Operation{
			start, op(1, 2, 3, moneyAccrue{million}, is(10*million)),
			op(2, 4, 5, moneyLook{}, is(9*million)), op(2, 6, 7, moneyLook{}, is(10*million-5))}, false},
		{"an accrual is booked twice", []porcupine.Operation{
			start, op(1, 2, 3, moneyAccrue{million}, is(10*million)), op(2, 4, 5, moneyLook{}, is(11*million))}, false},
		{"a read beside an accrual sees it or not", []porcupine.Operation{
			start, op(1, 2, 9, moneyAccrue{million}, is(10*million)), op(2, 4, 5, moneyLook{}, is(9*million))}, true},
		{"a fee comes in beside payments", []porcupine.Operation{
			start, op(1, 2, 3, moneyLook{}, beside(9*million-5)), op(2, 4, 5, moneyLook{}, beside(9*million+7))}, true},
		{"beside fees a read misses an accrual", []porcupine.Operation{
			start, op(1, 2, 3, moneyAccrue{million}, beside(10*million)), op(2, 4, 5, moneyLook{}, beside(9*million+7))}, false},
		{"beside fees an accrual is booked twice", []porcupine.Operation{
			start, op(1, 2, 3, moneyAccrue{million}, beside(10*million)), op(2, 4, 5, moneyLook{}, beside(11*million-7))}, false},
		{"the last vote counts", []porcupine.Operation{
			op(1, 0, 1, ballotVote{"1", 7}, ballotIs{weight: 7}), op(2, 2, 3, ballotVote{"1", 8}, ballotIs{weight: 8}),
			op(1, 4, 5, ballotLook{"1"}, ballotIs{weight: 8})}, true},
		{"a look sees an old vote", []porcupine.Operation{
			op(1, 0, 1, ballotVote{"1", 7}, ballotIs{weight: 7}), op(2, 2, 3, ballotVote{"1", 8}, ballotIs{weight: 8}),
			op(1, 4, 5, ballotLook{"1"}, ballotIs{weight: 7})}, false},
		{"votes on two ballots do not meet", []porcupine.Operation{
			op(1, 0, 1, ballotVote{"1", 7}, ballotIs{weight: 7}), op(2, 2, 3, ballotVote{"2", 8}, ballotIs{weight: 8}),
			op(1, 4, 5, ballotLook{"1"}, ballotIs{weight: 7})}, true},
		{"a vote after the end", []porcupine.Operation{
			op(1, 0, 1, ballotEnd{"1"}, ballotIs{ended: true}), op(2, 2, 3, ballotVote{"1", 8}, ballotIs{weight: 8})}, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if err := linearizable(test.history); (err == nil) != test.good {
				t.Errorf("linearizable: %v, want %t", err, test.good)
			}
		})
	}
}
