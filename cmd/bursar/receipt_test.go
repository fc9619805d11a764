package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// receiptPage is the page whose program checks receipts.
const receiptPage = "../../docs/how-to/check-a-receipt.md"

// TestReceiptsHoldOverAFailover takes a receipt from the leader of three nodes, kills that
// node, takes another receipt from the next leader that must extend the first, and has both
// checked by the documented program, which has seen nothing but the nodes' keys.
func TestReceiptsHoldOverAFailover(t *testing.T) {
	python := findPython(t)
	dir := t.TempDir()
	program := filepath.Join(dir, "check_receipt.py")
	if err := os.WriteFile(program, []byte(codeOf(t, receiptPage, "python")), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c := threeNodes(ctx, t)
	link := client.New(client.Follow(c.RPC()...))
	defer link.Close()

	var keys []string
	for _, n := range c {
		keys = append(keys, checkpointOf(ctx, t, n).Key)
	}
	if err := link.Call(ctx, messages.MethodAccrue, &messages.AccrueParams{Amount: 1000, Options: messages.Options{RequestID: "income"}}, nil); err != nil {
		t.Fatal(err)
	}
	pay(ctx, t, link, 1)
	leader := leaderOf(ctx, t, c, link)
	before := filepath.Join(dir, "before.json")
	take(ctx, t, leader, "1", "--out", before)

	if err := leader.Do(localcluster.Killed); err != nil {
		t.Fatal(err)
	}
	pay(ctx, t, link, 2) // somebody else leads
	next := leaderOf(ctx, t, c, link)
	if next == leader {
		t.Fatal("the leader that was killed leads")
	}
	after := filepath.Join(dir, "after.json")
	take(ctx, t, next, "2", "--out", after, "--since", before)

	check := func(file string) (string, error) {
		out, err := exec.CommandContext(ctx, python, append([]string{program, file}, keys...)...).CombinedOutput()
		return string(out), err
	}
	for file, want := range map[string]string{
		before: "disbursement 1: finalized, 100 to tb1payee1, log entry ",
		after:  "disbursement 2: finalized, 100 to tb1payee2, log entry ",
	} {
		out, err := check(file)
		if err != nil || !strings.Contains(out, want) || strings.Contains(out, "begins with the ") != (file == after) {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
		run := exec.CommandContext(ctx, c[0].Program, "audit", "verify", file, "--key", keys[0], "--key", keys[1], "--key", keys[2])
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", file, err, out)
		}
	}
	for what, change := range map[string]func([]byte) []byte{
		"another amount": func(b []byte) []byte {
			return bytes.Replace(b, []byte("0000000000000064"), []byte("0000000000000065"), 1)
		},
		"another older root": func(b []byte) []byte { return changeSince(t, b) },
		"another disbursement": func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"disbursement": 2`), []byte(`"disbursement": 3`), 1)
		},
	} {
		whole, err := os.ReadFile(after)
		if err != nil {
			t.Fatal(err)
		}
		forged := filepath.Join(dir, "forged.json")
		if b := change(whole); bytes.Equal(b, whole) {
			t.Fatalf("%s: nothing changed", what)
		} else if err := os.WriteFile(forged, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := check(forged); err == nil || !strings.Contains(out, "it proves nothing: ") {
			t.Errorf("%s: the documented program says %v\n%s", what, err, out)
		}
		out, err := exec.CommandContext(ctx, c[0].Program, "audit", "verify", forged, "--key", keys[0], "--key", keys[1], "--key", keys[2]).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "it proves nothing") {
			t.Errorf("%s: verify says %v\n%s", what, err, out)
		}
	}
	strangers := keys[:0:0]
	for _, k := range keys {
		if k != mustKey(t, after) {
			strangers = append(strangers, k)
		}
	}
	keys = strangers
	if out, err := check(after); err == nil || !strings.Contains(out, "none of the keys") {
		t.Errorf("without its signer's key: %v\n%s", err, out)
	}
}

// threeNodes runs a cluster of processes until the test ends.
func threeNodes(ctx context.Context, t *testing.T) localcluster.Cluster {
	t.Helper()
	one := testNode(t)
	c, err := localcluster.New(localcluster.Config{
		Nodes: 3, BasePort: freePorts(t, 3), Dir: t.TempDir(), EpochInterval: 50 * time.Millisecond,
	}, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	running, stop := context.WithCancel(ctx)
	var done sync.WaitGroup
	for _, n := range c {
		n.Program = one.Program
		done.Go(func() {
			if err := n.Run(running, func() {}); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { stop(); done.Wait() })
	for _, n := range c {
		if !n.AwaitReady(ctx) {
			t.Fatalf("%s did not get ready: %s", n.Cfg.Name, n.LastLog())
		}
	}
	return c
}

// checkpointOf asks a node for a checkpoint until the log has an audit.
func checkpointOf(ctx context.Context, t *testing.T, n *localcluster.Node) *messages.CheckpointResult {
	t.Helper()
	link := client.New(client.Config{Addrs: []string{n.Cfg.Address(node.PortRPC)}})
	defer link.Close()
	result := &messages.CheckpointResult{}
	for {
		err := link.Call(ctx, messages.MethodCheckpoint, &messages.CheckpointParams{}, result)
		if err == nil {
			return result
		}
		if !localcluster.Wait(ctx, pollEvery) {
			t.Fatal(err)
		}
	}
}

// pay submits a payment of 100 and waits until it is final.
func pay(ctx context.Context, t *testing.T, link *client.Client, id messages.DisbursementID) {
	t.Helper()
	p := &messages.SubmitDisbursementParams{Options: messages.Options{RequestID: fmt.Sprint("payment-", id)}}
	p.Payload.Disbursement = messages.Disbursement{Destination: fmt.Sprint("tb1payee", id), Amount: 100, ScheduledEpoch: 1}
	var made messages.SubmitDisbursementResult
	if err := link.Call(ctx, messages.MethodSubmitDisbursement, p, &made); err != nil || made.ID != id {
		t.Fatalf("submit: %+v, %v", made, err)
	}
	for {
		var got messages.GetDisbursementResult
		err := link.Call(ctx, messages.MethodGetDisbursement, &messages.IDParams{ID: id}, &got)
		if err == nil && got.Disbursement.Status.State == messages.Finalized {
			return
		}
		if !localcluster.Wait(ctx, pollEvery) {
			t.Fatalf("disbursement %d: %+v, %v", id, got, err)
		}
	}
}

func leaderOf(ctx context.Context, t *testing.T, c localcluster.Cluster, link *client.Client) *localcluster.Node {
	t.Helper()
	for {
		status, err := localcluster.Status(ctx, link)
		if err == nil && c.Named(status.Leader) != nil {
			return c.Named(status.Leader)
		}
		if !localcluster.Wait(ctx, pollEvery) {
			t.Fatal(err)
		}
	}
}

func take(ctx context.Context, t *testing.T, n *localcluster.Node, args ...string) {
	t.Helper()
	args = append([]string{"receipt", "--addr", n.Cfg.Address(node.PortRPC), "--timeout", "20s"}, args...)
	if out, err := exec.CommandContext(ctx, n.Program, args...).CombinedOutput(); err != nil {
		t.Fatalf("receipt: %v\n%s", err, out)
	}
}

func mustKey(t *testing.T, file string) string {
	t.Helper()
	r, err := readReceipt(file)
	if err != nil {
		t.Fatal(err)
	}
	return r.Key
}

// changeSince replaces one hash of the proof that an older checkpoint is extended.
func changeSince(t *testing.T, b []byte) []byte {
	t.Helper()
	r := map[string]any{}
	if err := json.Unmarshal(b, &r); err != nil {
		t.Fatal(err)
	}
	r["since"].(map[string]any)["proof"].([]any)[0] = strings.Repeat("00", 32)
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
