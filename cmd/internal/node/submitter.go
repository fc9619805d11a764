package node

import (
	"context"
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/treasury/chain"
	"github.com/the-block/bursar/actors/treasury/executor"
	"github.com/the-block/bursar/actors/treasury/payout"
)

// The submitters: how payments leave the treasury.
const (
	SubmitterLedger = "ledger" // booked in the cluster's own accounts
	SubmitterHTTP   = "http"   // sent to the node of an outside chain
)

// checkSubmitter says what is wrong with how payments shall leave the treasury.
func (c Config) checkSubmitter() error {
	switch c.Submitter {
	case SubmitterLedger:
		if c.SubmitterURL != "" || c.SubmitterKey != "" {
			return errors.New("submitter: the ledger needs neither submitter_url nor submitter_key; did you mean --submitter http?")
		}
		return nil
	case SubmitterHTTP:
	default:
		return fmt.Errorf("submitter: %q is neither ledger nor http", c.Submitter)
	}
	if c.SubmitterConfirmations < 1 {
		return errors.New("submitter_confirmations: a payment is final after one confirmation at least")
	}
	if c.SubmitterKey == "" {
		return errors.New("submitter_key: http needs the file of the key that signs")
	}
	return checkSubmitterURL(c.SubmitterURL, c.Insecure)
}

func checkSubmitterURL(text string, insecure bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return errors.New("submitter_url: http needs the chain node's URL, http:// or https://")
	case u.User != nil:
		return errors.New("submitter_url: it is shown in logs and must hold no password")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme == "http" && !loopback && !insecure {
		return errors.New("submitter_url: answers over plain http can be forged on the way; use https or add --insecure")
	}
	return nil
}

// misbound reports whether this node is configured to pay otherwise than the treasury is
// bound to: then it owns no executor.
func (n *Node) misbound() bool {
	mismatch, err := executor.Mismatch(n.store, n.treasury.Config().Outside)
	return err != nil || mismatch != ""
}

// chainIDEvery is how often the chain's node is asked which chain it is of.
const chainIDEvery = 30 * time.Second

// watchChain keeps the id of the chain: another chain's node may come to answer at the
// same address.
func watchChain(ctx context.Context, client *chain.Client, id *atomic.Pointer[string]) {
	tick := time.NewTicker(chainIDEvery)
	defer tick.Stop()
	for {
		if name, err := client.ID(ctx); err == nil {
			id.Store(&name)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// openSubmitter makes ready what an outside chain needs; nil for the ledger.
func (n *Node) openSubmitter() (*executor.Outside, error) {
	if n.cfg.Submitter != SubmitterHTTP {
		return nil, nil
	}
	key, err := readKey(n.cfg.SubmitterKey)
	if err != nil {
		return nil, fmt.Errorf("submitter_key: %w", err)
	}
	signer, err := payout.NewSigner(key)
	if err != nil {
		return nil, fmt.Errorf("submitter_key: %w", err)
	}
	cfg := chain.DefaultConfig()
	cfg.URL, cfg.Account = n.cfg.SubmitterURL, signer.Account()
	cfg.Confirmations = n.cfg.SubmitterConfirmations
	client, err := chain.New(cfg, nil)
	if err != nil {
		return nil, err
	}
	n.parts.onStop("chain", func(context.Context) error { client.Close(); return nil })
	n.log.Info("pays on an outside chain", "component", "executor", "account", signer.Account())
	id := new(atomic.Pointer[string])
	id.Store(new(string))
	ctx, cancel := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { watchChain(ctx, client, id) })
	n.parts.onStop("chain id", func(context.Context) error { cancel(); watch.Wait(); return nil })
	return &executor.Outside{Chain: client, Signer: signer, ChainID: func() string { return *id.Load() }}, nil
}

// keyBytesMax bounds the file of a key.
const keyBytesMax = 16 << 10

// readKey reads an ed25519 private key in PKCS #8, PEM. Nobody but the file's owner may
// have access to it.
func readKey(path string) (ed25519.PrivateKey, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a file", path)
	case info.Mode().Perm()&0o177 != 0:
		return nil, fmt.Errorf("%s has mode %#o, it must be 0600: only its owner may read it", path, info.Mode().Perm())
	}
	text, err := io.ReadAll(io.LimitReader(file, keyBytesMax))
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%s holds no PEM block PRIVATE KEY", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	key, ok := parsed.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%s holds a key of another kind than ed25519", path)
	}
	return key, nil
}
