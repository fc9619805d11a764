package alertdrill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/messages"
)

// Fault makes the condition of one alert true.
type Fault struct {
	Alert string
	// Does says what is done.
	Does string
	// HeldBack is the alert that the same fault makes fire and that explains this one, so
	// that nobody is told of it; empty where somebody is.
	HeldBack string
	// Why says why the fault cannot be made here; empty where it can.
	Why string

	begin, end act
	// keep is done again and again until the fault is taken back.
	keep act
}

type act func(ctx context.Context, t *Trial) error

const executorPath = "/treasury/executor"

// Faults has a fault for each alert of the pack.
func Faults() []Fault {
	return []Fault{
		// What other faults hold back is late, too, so this comes first.
		{Alert: "PaymentsObjectiveBurnsSlowly", Does: "the executor needs three seconds for a message", keep: slowed(3*time.Second, 12)},
		{Alert: "TreasuryCircuitBreakerOpen", Does: "the executor's breaker is forced open", begin: force(executorPath), end: unforce(executorPath)},
		{Alert: "TreasuryHealthWarning", Does: "the executor's breaker is forced open", HeldBack: "TreasuryCircuitBreakerOpen", begin: force(executorPath), end: unforce(executorPath)},
		{Alert: "SystemHealthDegraded", Does: "the executor's breaker is forced open", begin: force(executorPath), end: unforce(executorPath)},
		{Alert: "TreasuryExecutorDown", Does: "the node that pays is killed, and another, so that none can take over", HeldBack: "ClusterQuorumLost", begin: killPayer, end: bringBack},
		{Alert: "ClusterQuorumLost", Does: "the nodes are cut off from each other", begin: each(localcluster.CutOff), end: bringBack},
		{Alert: "ClusterQuorumAtEdge", Does: "n3 is killed", begin: one(localcluster.Killed), end: bringBack},
		{Alert: "BursarTargetDown", Does: "n3 is killed", begin: one(localcluster.Killed), end: bringBack},
		{Alert: "BursarTargetsMissing", Does: "Prometheus' configuration loses its targets", begin: loseTargets, end: findTargets},
		{Alert: "ReplicaLagHigh", Does: "n3 is cut off while the others write", begin: one(localcluster.CutOff), keep: write, end: bringBack},
		{Alert: "LeaderChangesFrequent", Does: "leadership is handed on again and again", keep: handOn},
		{Alert: "ActorStalled", Does: "the executor is stuck in one message", begin: stuck("stall", 15*time.Second)},
		{Alert: "MailboxSaturated", Does: "the breaker over the treasury's actors is forced open while payments are submitted", begin: force("/treasury"), keep: refused, end: unforce("/treasury")},
		{Alert: "OpenFilesHigh", Does: "n1's limit of open files is lowered", begin: fewFiles, end: manyFiles},

		{Alert: "TreasuryBalanceCriticallyLow", Does: "nearly all of the balance is paid out", begin: spend, end: refill},
		{Alert: "TreasuryErrorSpike", Does: "payments are submitted that the treasury cannot fund", begin: afterCalm(nil), keep: unfunded, end: withdraw},
		{Alert: "TreasuryHighErrorRate", Does: "payments are submitted that the treasury cannot fund", keep: unfunded, end: withdraw},
		{Alert: "TreasuryBacklogHigh", Does: "101 payments are submitted that are due in the far future", begin: backlog, end: withdraw},
		{Alert: "TreasuryDisbursementLagHigh", Does: "the executor needs three seconds for a message", keep: slowed(3*time.Second, 12)},
		{Alert: "TreasuryLagSpike", Does: "the executor is stuck for a hundred seconds", begin: slowed(100*time.Second, 1)},
		{Alert: "TreasuryDependencyFailuresHigh", Does: "payments are submitted that depend on what is not there", keep: missing},
		{Alert: "TreasuryCapacityHigh", Does: "more is paid than was planned for", keep: rush},
		{Alert: "PaymentsObjectiveBurnsFast", Does: "the executor needs three seconds for a message", keep: slowed(3*time.Second, 12)},

		{Alert: "EnergyOracleQuorumLost", Does: "no oracle has reported within its interval", begin: silence, end: settleMarket},
		// A spike is one over what was there before, so these come before others of their kind.
		{Alert: "DisputeBacklogSpike", Does: "twelve readings are disputed", begin: afterCalm(dispute(12)), end: settleMarket},
		{Alert: "SystemHealthCritical", Does: "no oracle has reported within its interval, and ten readings are disputed", begin: silentAndDisputed, end: settleMarket},
		{Alert: "EnergyDisputeBacklogCritical", Does: "51 readings are disputed", begin: dispute(51), end: settleMarket},
		{Alert: "EnergyDisputeRateHigh", Does: "readings are disputed one after the other", keep: dispute(1), end: settleMarket},
		{Alert: "OracleErrorSpike", Does: "readings with a wrong signature are handed in", begin: afterCalm(nil), keep: forge},
		{Alert: "EnergyOracleErrorRateHigh", Does: "readings with a wrong signature are handed in", keep: forge},
		{Alert: "EnergyCapacityHigh", Does: "more readings are handed in than was planned for", keep: report},
		{Alert: "EnergyMarketPriceAnomaly", Does: "a kWh is sold for three times the usual price", begin: dearer, end: usualPrice},

		{Alert: "StorageRetrievalFailureRateHigh", Why: "nothing makes a node's Store unreadable and leaves the node running"},
		{Alert: "FsyncSlow", Why: "it needs a slow disk"},
		{Alert: "DiskFullPredicted", Why: "it would fill this machine's disk"},
		{Alert: "DiskAlmostFull", Why: "it would fill this machine's disk"},
		{Alert: "NodeClockOff", Why: "nodes on one machine share its clock"},
		{Alert: "SeriesCeilingNear", Why: "a node cannot be made to export so many series"},
		{Alert: "CertificateExpiresSoon", Why: "nodes of a trial have no certificates"},
		{Alert: "CertificateExpiresNow", Why: "nodes of a trial have no certificates"},
		{Alert: "KeyExpiry", Why: "a trial has no operators with keys"},
		{Alert: "PaymentsPaused", Why: "payments in the cluster's own accounts are never in doubt, and nobody pauses them here"},
		{Alert: "BackupStale", Why: "a trial is not backed up"},
		{Alert: "BackupUnproven", Why: "a trial is not backed up"},
		{Alert: "DrillOverdue", Why: "a trial is not backed up"},
	}
}

// FaultOf finds the fault of an alert, nil if there is no such alert.
func FaultOf(alert string) *Fault {
	for _, f := range Faults() {
		if f.Alert == alert {
			return &f
		}
	}
	return nil
}

// Can reports whether the fault can be made here.
func (f *Fault) Can() bool { return f.Why == "" }

func waitFor(ctx context.Context, d time.Duration) { localcluster.Wait(ctx, d) }

// calm is how long a trial has run until there is something that a spike can be higher than:
// most of an hour, as the trial has it.
const calm = time.Minute

// afterCalm does something once the trial has run that long.
func afterCalm(then act) act {
	return func(ctx context.Context, t *Trial) error {
		waitFor(ctx, time.Until(t.began.Add(calm)))
		if then == nil {
			return nil
		}
		return then(ctx, t)
	}
}

func force(path string) act {
	return func(ctx context.Context, t *Trial) error {
		return t.call(ctx, messages.MethodForceOpen, `{"path": %q, "reason": "a drill"}`, path)
	}
}

func unforce(path string) act {
	return func(ctx context.Context, t *Trial) error {
		return t.call(ctx, messages.MethodReset, `{"path": %q, "reason": "a drill"}`, path)
	}
}

// each does something to all nodes, one to the last.
func each(how localcluster.Fate) act {
	return func(_ context.Context, t *Trial) error {
		for _, n := range t.cluster {
			if err := n.Do(how); err != nil {
				return err
			}
		}
		return nil
	}
}

func one(how localcluster.Fate) act {
	return func(_ context.Context, t *Trial) error { return t.cluster[len(t.cluster)-1].Do(how) }
}

// killPayer kills the node that pays and another.
func killPayer(ctx context.Context, t *Trial) error {
	name, err := t.executor(ctx)
	if err != nil {
		return err
	}
	payer := t.cluster.Named(name)
	if payer == nil {
		return errors.New("no node pays")
	}
	other := t.cluster[len(t.cluster)-1]
	if other == payer {
		other = t.cluster[0]
	}
	return errors.Join(payer.Do(localcluster.Killed), other.Do(localcluster.Killed))
}

// bringBack takes back whatever was done to nodes, and waits until all serve.
func bringBack(ctx context.Context, t *Trial) error {
	_, err := t.cluster.Gather(ctx)
	return err
}

func loseTargets(_ context.Context, t *Trial) error { return t.watch(false) }

func findTargets(_ context.Context, t *Trial) error { return t.watch(true) }

// write makes entries of the log, one after the other.
func write(ctx context.Context, t *Trial) error {
	for range 10 {
		if err := t.call(ctx, messages.MethodAccrue, `{"amount": 1, "source": "drill"}`); err != nil {
			return err
		}
	}
	return nil
}

func handOn(ctx context.Context, t *Trial) error {
	var refusal *messages.Error
	if err := t.call(ctx, messages.MethodTransferLeader, `{"node": ""}`); !errors.As(err, &refusal) {
		return err
	}
	return nil // nobody could take over at that moment
}

// executor is the node that pays.
func (t *Trial) executor(ctx context.Context) (string, error) {
	text, err := t.answer(ctx, t.link, messages.MethodExecutor, `{}`)
	if err != nil {
		return "", err
	}
	var executor struct {
		Node string `json:"node"`
	}
	return executor.Node, json.Unmarshal(text, &executor)
}

// stuck lets the executor's next message take long.
func stuck(mode string, long time.Duration) act {
	return func(ctx context.Context, t *Trial) error {
		name, err := t.executor(ctx)
		if err != nil {
			return err
		}
		link := t.single[name]
		if link == nil {
			return errors.New("no node pays")
		}
		_, err = t.answer(ctx, link, messages.MethodInject,
			fmt.Sprintf(`{"path": %q, "mode": %q, "delay_ms": %d}`, executorPath, mode, long.Milliseconds()))
		return err
	}
}

// refused submits payments that nobody takes.
func refused(ctx context.Context, t *Trial) error {
	for range 10 {
		err := t.pay(ctx, 1, 1)
		if refusal := new(messages.Error); err != nil && !errors.As(err, &refusal) {
			return err
		}
	}
	return nil
}

// slowed lets the executor's next message take long, with payments behind it, and waits until
// it has passed.
func slowed(long time.Duration, payments int) act {
	return func(ctx context.Context, t *Trial) error {
		if err := stuck("slow", long)(ctx, t); err != nil {
			return err
		}
		if err := t.pay(ctx, 1, payments); err != nil {
			return err
		}
		waitFor(ctx, long)
		return nil
	}
}

const payment = `{"payload": {"disbursement": {"destination": "tb1drill", "amount": %d, "memo": "drill", "scheduled_epoch": %d}}}`

func (t *Trial) pay(ctx context.Context, amount uint64, times int) error {
	for range times {
		if err := t.call(ctx, messages.MethodSubmitDisbursement, payment, amount, 1); err != nil {
			return err
		}
	}
	return nil
}

// open submits a payment that stays open.
func (t *Trial) open(ctx context.Context, amount, epoch uint64) error {
	return t.call(ctx, messages.MethodSubmitDisbursement, payment, amount, epoch)
}

const (
	never  = 1_000_000_000 // an epoch nobody lives to see
	dearly = 1 << 50       // an amount nobody has
)

func backlog(ctx context.Context, t *Trial) error {
	for range 101 {
		if err := t.open(ctx, 1, never); err != nil {
			return err
		}
	}
	return nil
}

func unfunded(ctx context.Context, t *Trial) error { return t.open(ctx, dearly, 1) }

// withdraw rolls back every payment that is open.
func withdraw(ctx context.Context, t *Trial) error {
	for {
		text, err := t.answer(ctx, t.link, messages.MethodDisbursements, `{"status": "draft", "limit": 200}`)
		if err != nil {
			return err
		}
		var rows struct {
			Disbursements []struct {
				Disbursement struct {
					ID uint64 `json:"id"`
				} `json:"disbursement"`
			} `json:"disbursements"`
		}
		if err := json.Unmarshal(text, &rows); err != nil || len(rows.Disbursements) == 0 {
			return err
		}
		for _, row := range rows.Disbursements {
			err := t.call(ctx, messages.MethodRollbackDisbursement, `{"id": %d, "reason": "a drill"}`, row.Disbursement.ID)
			if paid := errors.Is(err, &messages.Error{Code: messages.CodeInvalidTransition}); err != nil && !paid {
				return err
			}
		}
	}
}

func missing(ctx context.Context, t *Trial) error {
	err := t.call(ctx, messages.MethodSubmitDisbursement,
		`{"payload": {"disbursement": {"destination": "tb1drill", "amount": 1, "memo": "depends_on=%d", "scheduled_epoch": 1}}}`, never)
	if errors.Is(err, &messages.Error{Code: messages.CodeMissingDependency}) {
		return nil
	}
	return fmt.Errorf("a payment that depends on nothing there is: %w", err)
}

func rush(ctx context.Context, t *Trial) error { return t.pay(ctx, 1, 15) }

// spend pays out all but a little.
func spend(ctx context.Context, t *Trial) error {
	text, err := t.answer(ctx, t.link, messages.MethodBalance, `{}`)
	if err != nil {
		return err
	}
	var balance struct {
		Balance uint64 `json:"balance"`
	}
	if err := json.Unmarshal(text, &balance); err != nil {
		return err
	}
	return t.pay(ctx, balance.Balance-10_000, 1)
}

func refill(ctx context.Context, t *Trial) error {
	return t.call(ctx, messages.MethodAccrue, `{"amount": %d, "source": "drill"}`, fortune)
}
