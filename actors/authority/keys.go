package authority

import (
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
)

// Tables and counters of the Store that belong to the authority.
const (
	// TableOperators holds a row per operator, under its name, for ever.
	TableOperators persistence.Table = 'w'
	// TablePending holds the calls that wait for approvals, or waited, under their numbers.
	TablePending persistence.Table = 'q'
	// TableCalls holds a note for each signed call that changed something.
	TableCalls persistence.Table = 'a'
	// TableRules holds single rows: the policies, the settings, the pauses.
	TableRules persistence.Table = 'u'

	// CounterWaiting is how many calls wait for approvals.
	CounterWaiting = "approvals_waiting"
	// CounterElectorate is how many operators were ever registered with votes. While it is 0
	// anybody with the role of a voter may vote.
	CounterElectorate = "electorate"
)

// The scopes of a pause, and the counters that are 1 while it lasts: a payment depends on
// them.
const (
	ScopeExecutor = "executor"
	ScopeTreasury = "treasury"
	ScopeMarket   = "market"
)

// CounterPaused names the counter that is 1 while a scope is paused, else 0.
func CounterPaused(scope string) string { return "paused/" + scope }

// Unpaused holds while a scope is not paused.
func Unpaused(scope string) persistence.Condition {
	return persistence.CounterBelow(CounterPaused(scope), 1)
}

func operatorKey(name string) persistence.Key { return persistence.NameKey(TableOperators, name) }

func pendingKey(id uint64) persistence.Key { return persistence.RecordKey(TablePending, id) }

func ruleKey(name string) persistence.Key { return persistence.NameKey(TableRules, name) }

// The names of single rows.
const (
	// ruleChange is written by whatever changes the authority.
	ruleChange     = "change"
	ruleSignatures = "signatures"
	rulePolicy     = "policy/"
	rulePause      = "pause/"
)

// The tags of an operator's row and of a pending call's.
const (
	tagActive byte = iota + 1
	tagRevoked
)

const (
	tagWaiting byte = iota + 1
	tagDone
	tagWithdrawn
)

// operatorsMax keeps all that State reads within one View.
const operatorsMax = 500

const _ = uint(messages.OperatorsMax - operatorsMax)
