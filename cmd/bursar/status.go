package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/cmd/internal/terminal"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

func newStatus(std streams) *cobra.Command {
	var to target
	var form format
	command := &cobra.Command{
		Use:   "status",
		Short: "Show how a node, its cluster and the money are",
		Long: `Shows how a node, its cluster and the money are, as the node itself sees them: who leads, whether
there is a quorum, who executes, and each node with the shards it owns. It answers without quorum too; then the figures may lag. The exit code is 1 if the node is not ready.`,
		Example: `  bursar status
  bursar status --addr 10.0.0.2:9000 --output json`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			link := to.connect()
			defer link.Close()
			return status(ctx, std, link, form)
		},
	}
	to.flags(command)
	form.flag(command)
	return command
}

func status(ctx context.Context, std streams, link *client.Client, form format) error {
	local := messages.Options{Consistency: messages.Local}
	var cluster messages.ClusterStatusResult
	if err := link.Call(ctx, messages.MethodClusterStatus, &messages.NoParams{Options: local}, &cluster); err != nil {
		return err
	}
	var balance messages.BalanceResult
	if err := link.Call(ctx, messages.MethodBalance, &messages.NoParams{Options: local}, &balance); err != nil {
		return err
	}
	var graph messages.GraphResult
	if err := link.Call(ctx, messages.MethodGraph, &messages.NoParams{Options: local}, &graph); err != nil {
		return err
	}
	var members messages.ClusterMembersResult
	if err := link.Call(ctx, messages.MethodClusterMembers, &messages.NoParams{Options: local}, &members); err != nil {
		return err
	}
	executor := askExecutor(ctx, link)
	title := fmt.Sprintf("%s is ready", cluster.Node)
	if !cluster.Ready {
		title = fmt.Sprintf("%s is NOT ready: %s", cluster.Node, cluster.Reason)
	}
	facts := slices.Concat(
		[]fact{{"node", cluster.Node}, {"ready", cluster.Ready}},
		reason(cluster.Reason),
		[]fact{
			{"leader", cluster.Leader}, {"term", cluster.Term}, {"quorum", cluster.Quorum}, {"voters", cluster.Voters},
			{"voters_up", cluster.VotersUp}, {"may_fail", cluster.MayFail},
			{"applied_index", cluster.AppliedIndex},
			{"epoch", uint64(cluster.Epoch)}, {"balance", uint64(balance.Balance)}, {"disbursements", graph.Nodes},
			{"executor", executorFacts(executor)}, {"version", cluster.Version},
		},
	)
	if cluster.Exposed || form.json() {
		facts = append(facts, fact{"exposed", cluster.Exposed})
	}
	if form.json() {
		facts = append(facts, fact{"members", memberFacts(members.Members)})
	}
	if err := printFacts(std.out, form, title, facts); err != nil {
		return err
	}
	if !form.json() {
		membersTable(members.Members).Print(std.out)
		if cluster.Exposed {
			fmt.Fprintf(std.err, "bursar: %s listens beyond loopback without TLS: whoever reaches its ports can act as anybody\n", cluster.Node)
		}
	}
	if !cluster.Ready {
		return fmt.Errorf("%s is not ready: %s", cluster.Node, cluster.Reason)
	}
	return nil
}

// memberFacts lists the nodes for programs.
func memberFacts(members []messages.Member) []object {
	list := make([]object, 0, len(members))
	for i := range members {
		m := &members[i]
		list = append(list, object{
			{"name", m.Name}, {"role", m.Role}, {"state", m.State}, {"leader", m.Leader}, {"voter", m.Voter},
			{"shards", m.Shards}, {"rpc", m.RPC}, {"version", m.Version},
		})
	}
	return list
}

// membersTable lists the nodes for people.
func membersTable(members []messages.Member) terminal.Table {
	rows := terminal.Table{{"node", "role", "state", "shards", "rpc", ""}}
	for i := range members {
		m := &members[i]
		note := ""
		switch {
		case m.Leader:
			note = "leader"
		case !m.Voter:
			note = "does not vote"
		}
		rows = append(rows, []string{m.Name, m.Role, m.State, fmt.Sprint(m.Shards), m.RPC, note})
	}
	return rows
}

// reason says why a node is not ready, and what its figures are worth then.
func reason(text string) []fact {
	if text == "" {
		return nil
	}
	return []fact{{"reason", text}, {"figures", "may be old: they are what this node knew when it last heard of the cluster"}}
}

// executorWithin is how long the executor's own node may take to tell of it: a node that is
// cut off from it is still to show its status.
const executorWithin = 2 * time.Second

// askExecutor has the executor's own node tell of it; if it cannot be asked, why there is
// nothing to tell.
func askExecutor(ctx context.Context, link *client.Client) messages.ExecutorStatus {
	ctx, cancel := context.WithTimeout(ctx, executorWithin)
	defer cancel()
	var result messages.ExecutorResult
	if err := link.Call(ctx, messages.MethodExecutor, &messages.NoParams{}, &result); err != nil {
		return messages.ExecutorStatus{Unknown: err.Error()}
	}
	return result.ExecutorStatus
}

func executorFacts(e messages.ExecutorStatus) []fact {
	if e.Unknown != "" {
		return []fact{{"unknown", e.Unknown}}
	}
	if e.Node == "" {
		return []fact{{"none", "no node pays yet"}}
	}
	facts := []fact{{"node", e.Node}, {"breaker", e.Breaker}, {"staged", e.Staged}, {"due", e.Due}}
	if e.PausedID != nil {
		facts = append(facts, fact{"paused_at", uint64(*e.PausedID)}, fact{"paused_reason", e.PausedReason})
	}
	if e.LastError != "" {
		facts = append(facts, fact{"last_error", e.LastError}, fact{"last_error_at", unixTime(e.LastErrorAt)})
	}
	return facts
}
