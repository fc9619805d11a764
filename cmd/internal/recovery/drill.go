package recovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/the-block/bursar/cluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
	"github.com/the-block/bursar/persistence/backup"
)

// Drill restores a backup as if all were lost, has what was restored make a payment, and
// throws it away.
type Drill struct {
	Reader *backup.Reader
	Plan   *backup.Plan
	// Scratch is where the directory of it is made, BasePort the first of five free ports on
	// loopback.
	Scratch  string
	BasePort int
}

// Drilled is what a drill has shown.
type Drilled struct {
	Result
	// Paid is the payment that was made; 0 where the treasury pays on an outside chain, to
	// which a drill sends nothing.
	Paid messages.DisbursementID
	RTO  time.Duration // until the payment was made, or the node was ready
}

// drillPayment is what a drill pays, after it has accrued as much.
const drillPayment = 1

// Run drills. Nothing of it is left, and nothing else is touched.
func (d *Drill) Run(ctx context.Context) (out *Drilled, err error) {
	began := time.Now()
	dir, err := os.MkdirTemp(d.Scratch, "bursar-drill-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	cfg := node.DefaultConfig()
	cfg.Name, cfg.BasePort, cfg.DataDir, cfg.EpochInterval = "drill", d.BasePort, filepath.Join(dir, "data"), 100*time.Millisecond
	restore := Restore{
		Reader: d.Reader, Plan: d.Plan, Data: cfg.DataDir,
		Voter: cluster.Voter{Node: cfg.Name, Addr: cfg.Address(node.PortRaft)},
	}
	result, err := restore.Run(ctx)
	if err != nil {
		return nil, err
	}
	out = &Drilled{Result: *result}
	member, err := node.Open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() { ended <- member.Run(running) }()
	link := client.New(client.Config{Addrs: []string{cfg.Address(node.PortRPC)}, Within: 30 * time.Second})
	out.Paid, err = pay(ctx, link)
	out.RTO = time.Since(began)
	link.Close()
	stop()
	return out, errors.Join(err, <-ended)
}

// pay has a restored cluster go on, and make a payment of what it is given for it.
func pay(ctx context.Context, link *client.Client) (id messages.DisbursementID, err error) {
	var state messages.ExecutorResult
	if err := link.Call(ctx, messages.MethodExecutor, &messages.NoParams{}, &state); err != nil {
		return 0, err
	}
	if state.BoundTo != "" && state.BoundTo != "ledger" {
		return 0, nil
	}
	if err := link.Call(ctx, messages.MethodResume, &messages.ResumeParams{Reason: "a drill"}, &messages.ResumeResult{}); err != nil {
		return 0, err
	}
	if err := link.Call(ctx, messages.MethodAccrue, &messages.AccrueParams{Amount: drillPayment}, &messages.AccrueResult{}); err != nil {
		return 0, err
	}
	var made messages.SubmitDisbursementResult
	payment := &messages.SubmitDisbursementParams{Payload: messages.Payload{Disbursement: messages.Disbursement{
		Destination: "tb1drill", Amount: drillPayment, Memo: "a drill", ScheduledEpoch: 1,
	}}}
	if err := link.Call(ctx, messages.MethodSubmitDisbursement, payment, &made); err != nil {
		return 0, err
	}
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		var now messages.GetDisbursementResult
		if err := link.Call(ctx, messages.MethodGetDisbursement, &messages.IDParams{ID: made.ID}, &now); err != nil {
			return 0, err
		}
		switch now.Disbursement.Status.State {
		case messages.Executed, messages.Finalized:
			return made.ID, nil
		case messages.RolledBack:
			return 0, fmt.Errorf("the drill's payment was rolled back: %s", now.Disbursement.Status.Reason)
		case messages.Draft, messages.Voting, messages.Queued, messages.Timelocked:
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return 0, fmt.Errorf("the drill's payment is not made: %w", ctx.Err())
		}
	}
}
