package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/actors/treasury/chain/chaintest"
	"github.com/the-block/bursar/cmd/internal/batch"
	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// outsideChain makes a member pay on a chain of the test's own, which fails one request
// in twelve.
func outsideChain(t *testing.T, m *localcluster.Node) *chaintest.Node {
	t.Helper()
	chain := chaintest.NewNode()
	server := httptest.NewServer(chain)
	t.Cleanup(func() {
		chain.Close()
		server.CloseClientConnections()
		server.Close()
	})
	var requests atomic.Uint64
	chain.Behave(func(string) chaintest.Fault {
		if requests.Add(1)%12 == 0 {
			return chaintest.Failed
		}
		return chaintest.None
	})
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	keyPath := filepath.Join(t.TempDir(), "key.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(keyPath, text, 0o600); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "bursar-outside")
	script := fmt.Sprintf("#!/bin/sh\nexec %q \"$@\" --submitter http --submitter-url %q --submitter-key %q\n",
		m.Program, server.URL, keyPath)
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	m.Program = program
	return chain
}

// TestTheChainHasEachPaymentOnceWhenTheNodeIsKilled pays on an outside chain while the
// node is killed again and again, and then looks at the chain's own ledger.
func TestTheChainHasEachPaymentOnceWhenTheNodeIsKilled(t *testing.T) {
	const portion, amount = 50, 7
	m := testNode(t)
	chain := outsideChain(t, m)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute+time.Duration(*kills)*5*time.Second)
	defer cancel()
	link := client.New(client.Config{Addrs: []string{m.Cfg.Address(node.PortRPC)}})
	defer link.Close()

	var done sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	defer done.Wait()
	defer stop()
	ready := make(chan struct{})
	done.Go(func() {
		if err := m.Run(running, func() { close(ready) }); err != nil {
			t.Error(err)
			cancel()
		}
	})
	select {
	case <-ready:
	case <-ctx.Done():
		t.Fatal("the node did not get ready")
	}
	killing := make(chan struct{})
	done.Go(func() {
		defer close(killing)
		killAgainAndAgain(running, t, m)
	})
	ids := payUntil(ctx, t, link, portion, amount, killing)
	rows := finalRows(ctx, t, link, len(ids))
	for _, row := range rows {
		if state := row.Disbursement.Status.State; state != messages.Finalized {
			t.Errorf("%d is %s: %s", row.Disbursement.ID, state, row.Disbursement.Status.Reason)
		}
	}
	if got, want := chain.Balance("tb1outside"), messages.Amount(amount*len(ids)); got != want {
		t.Errorf("the payee has %d on the chain, want %d", got, want)
	}
	paid := chain.Payments()
	for _, id := range ids {
		if len(paid[id]) != 1 {
			t.Errorf("%d was paid %d times", id, len(paid[id]))
		}
	}
	t.Logf("%d payments, each on the chain once", len(ids))
}

// payUntil submits portions of payments, and the income for them, until enough is closed.
func payUntil(
	ctx context.Context, t *testing.T, link *client.Client, portion int, amount messages.Amount, enough <-chan struct{},
) (ids []messages.DisbursementID) {
	t.Helper()
	for round := 0; ; round++ {
		income := &messages.AccrueParams{Amount: messages.Amount(portion) * amount}
		income.RequestID = fmt.Sprintf("outside-income-%d", round)
		mustCall(ctx, t, link, messages.MethodAccrue, income, &messages.AccrueResult{})
		items := make([]batch.Item, portion)
		for i := range items {
			items[i] = batch.Item{
				RequestID: fmt.Sprintf("outside-%d-%d", round, i),
				Payload: messages.Payload{Disbursement: messages.Disbursement{
					Destination: "tb1outside", Amount: amount, ScheduledEpoch: 1,
				}},
			}
		}
		err := batch.Submit(ctx, link, items, batch.Config{InFlight: 32, RetryFor: time.Minute}, func(i int, o batch.Outcome) {
			if o.Refused != nil {
				t.Errorf("%s was refused: %v", items[i].RequestID, o.Refused)
				return
			}
			ids = append(ids, o.ID)
		})
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-enough:
			return ids
		case <-time.After(100 * time.Millisecond): // a portion is enough for the chain to be at work
		}
	}
}
