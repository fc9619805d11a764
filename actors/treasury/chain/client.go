package chain

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/actors/treasury/payout"
	"github.com/the-block/bursar/messages"
)

// Client asks one chain node. It may be used by several goroutines.
type Client struct {
	cfg  Config
	http *http.Client
	last atomic.Uint64 // id of the newest request

	mu   sync.Mutex
	form form
}

// New makes a client that opens connections through transport; nil is one of its
// own, which uses no proxy.
func New(cfg Config, transport http.RoundTripper) (*Client, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if transport == nil {
		transport = &http.Transport{
			DialContext:         (&net.Dialer{Timeout: cfg.Timeout}).DialContext,
			TLSHandshakeTimeout: cfg.Timeout,
			MaxIdleConns:        2,
			IdleConnTimeout:     time.Minute,
			ForceAttemptHTTP2:   true,
		}
	}
	return &Client{cfg: cfg, form: form{max: cfg.BatchMax}, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask puts questions about intents to the chain, the first of them at least and as many
// more as the node takes in one request, and returns the answers to those.
func (c *Client) Ask(ctx context.Context, questions []payout.Question) []payout.Answer {
	if len(questions) > 1 && c.due() {
		c.probe(ctx)
	}
	room := min(len(questions), c.room())
	list := make([]*request, room)
	for i := range list {
		list[i] = c.questionRequest(&questions[i])
	}
	list, err := c.send(ctx, list)
	answers := make([]payout.Answer, len(list))
	for i, r := range list {
		answers[i] = c.read(&questions[i], r)
	}
	c.learn(len(list), answers[0].Verdict != payout.Unclear, err)
	return answers
}

// due reports whether it is time to find out whether the node takes batches.
func (c *Client) due() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.form.due(time.Now())
}

// room is how many requests the node is believed to take at a time.
func (c *Client) room() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.form.room()
}

func (c *Client) learn(sent int, clear bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if errors.Is(err, errForm) {
		c.form.unknown(time.Now(), formRest)
		return
	}
	c.form.answered(sent, clear)
}

// probe finds out whether the node takes batches, by a batch that asks for nothing: so
// that no payment is in doubt because it does not.
func (c *Client) probe(ctx context.Context) {
	list := make([]*request, 2)
	for i := range list {
		list[i] = c.request(MethodNonce, NonceParams{Account: c.cfg.Account, Nonce: 1})
	}
	_, err := c.send(ctx, list)
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil && list[0].err == nil && list[1].err == nil:
		c.form.known()
	case err == nil || errors.Is(err, errForm):
		c.form.unknown(time.Now(), formRest)
	default:
		c.form.unknown(time.Now(), formRetry)
	}
}

func (c *Client) questionRequest(q *payout.Question) *request {
	switch q.Ask {
	case payout.Submit:
		return c.request(MethodSubmit, SubmitParams{RawTx: hex.EncodeToString(q.Intent.Raw)})
	case payout.Inquire, payout.Confirm:
		return c.request(MethodTransaction, TransactionParams{TxHash: hex.EncodeToString(q.Intent.Hash[:])})
	case payout.Watch:
		return c.request(MethodNonce, NonceParams{Account: c.cfg.Account, Nonce: Number(q.Intent.Nonce)})
	}
	return &request{err: fmt.Errorf("there is no question %s", q.Ask)}
}

// read makes an answer of what the node said.
func (c *Client) read(q *payout.Question, r *request) payout.Answer {
	var answer payout.Answer
	var err error
	switch q.Ask {
	case payout.Submit:
		answer, err = readSubmit(&q.Intent, r)
	case payout.Inquire:
		answer, err = readInquire(&q.Intent, r)
	case payout.Watch:
		answer, err = readWatch(&q.Intent, r)
	case payout.Confirm:
		answer, err = c.readConfirm(&q.Intent, r)
	}
	if err != nil {
		return payout.Answer{Verdict: payout.Unclear, Reason: err.Error()}
	}
	return answer
}

func readSubmit(i *payout.Intent, r *request) (payout.Answer, error) {
	var result SubmitResult
	err := r.read(&result)
	var refused *ResponseError
	switch {
	case errors.As(err, &refused) && refused.Code == CodeRefused:
		return payout.Answer{Verdict: payout.Refused, Reason: refused.Message}, nil
	case errors.As(err, &refused) && refused.Code == CodeNonceUsed:
		return payout.Answer{Verdict: payout.NonceUsed}, nil
	case errors.As(err, &refused) && refused.Code == CodeAlreadyKnown:
		return payout.Answer{Verdict: payout.Accepted}, nil
	case err != nil:
		return payout.Answer{}, err
	}
	if hash, ok := payout.ParseHash(result.TxHash); !ok || hash != i.Hash {
		return payout.Answer{}, errors.New("chain node: the answer is about another transaction")
	}
	return payout.Answer{Verdict: payout.Accepted}, nil
}

func readInquire(i *payout.Intent, r *request) (payout.Answer, error) {
	result, err := readTransaction(r)
	switch {
	case err != nil:
		return payout.Answer{}, err
	case result.Status == StatusUnknown:
		return payout.Answer{Verdict: payout.Unknown}, nil
	case uint64(result.Nonce) != i.Nonce:
		return payout.Answer{}, fmt.Errorf("chain node: the transaction of nonce %d is said to have nonce %d", i.Nonce, result.Nonce)
	}
	return payout.Answer{Verdict: payout.Known}, nil
}

// readConfirm reads how deep a transaction is confirmed.
func (c *Client) readConfirm(i *payout.Intent, r *request) (payout.Answer, error) {
	result, err := readTransaction(r)
	switch {
	case err != nil:
		return payout.Answer{}, err
	case result.Status == StatusUnknown:
		return payout.Answer{Verdict: payout.Unknown}, nil
	case uint64(result.Nonce) != i.Nonce:
		return payout.Answer{}, fmt.Errorf("chain node: the transaction of nonce %d is said to have nonce %d", i.Nonce, result.Nonce)
	case result.Status == StatusConfirmed && max(uint64(result.Confirmations), 1) >= c.cfg.Confirmations:
		return payout.Answer{Verdict: payout.Final}, nil
	}
	return payout.Answer{Verdict: payout.Known}, nil
}

func readWatch(i *payout.Intent, r *request) (payout.Answer, error) {
	var result NonceResult
	if err := r.read(&result); err != nil {
		return payout.Answer{}, err
	}
	next := uint64(result.Next)
	if result.TxHash == "" && next > 0 && next <= i.Nonce {
		return payout.Answer{Verdict: payout.Free}, nil
	}
	hash, ok := payout.ParseHash(result.TxHash)
	if !ok || next <= i.Nonce {
		return payout.Answer{}, fmt.Errorf("chain node: nonce %d is taken by %q, and the next is %d", i.Nonce, result.TxHash, result.Next)
	}
	return payout.Answer{Verdict: payout.Taken, Tx: hash}, nil
}

// Transfer tells what the chain says about a transaction of anybody's.
func (c *Client) Transfer(ctx context.Context, hash disbursement.Hash) (payout.Transfer, error) {
	r := c.request(MethodTransaction, TransactionParams{TxHash: hex.EncodeToString(hash[:])})
	if _, err := c.send(ctx, []*request{r}); err != nil {
		return payout.Transfer{}, err
	}
	result, err := readTransaction(r)
	if err != nil {
		return payout.Transfer{}, err
	}
	return payout.Transfer{
		Confirmed:   result.Status == StatusConfirmed,
		Sender:      result.Account,
		Destination: result.Destination,
		Amount:      messages.Amount(result.Amount),
		Block:       uint64(result.Block),
	}, nil
}

// NextNonce tells the account's lowest nonce that is not confirmed yet.
func (c *Client) NextNonce(ctx context.Context) (uint64, error) {
	r := c.request(MethodNonce, NonceParams{Account: c.cfg.Account, Nonce: 1})
	if _, err := c.send(ctx, []*request{r}); err != nil {
		return 0, err
	}
	var result NonceResult
	err := r.read(&result)
	return uint64(result.Next), err
}

// ID names the chain; "" if its node does not tell. An error says that it could not be
// asked.
func (c *Client) ID(ctx context.Context) (string, error) {
	r := c.request(MethodInfo, struct{}{})
	if _, err := c.send(ctx, []*request{r}); err != nil {
		return "", err
	}
	var result InfoResult
	err := r.read(&result)
	var refused *ResponseError
	switch {
	case errors.As(err, &refused): // it knows no such method
		return "", nil
	case err != nil:
		return "", err
	case len(result.ChainID) > payout.ChainIDBytesMax:
		return "", fmt.Errorf("chain node: a chain_id of %d bytes", len(result.ChainID))
	}
	return result.ChainID, nil
}

func readTransaction(r *request) (result TransactionResult, err error) {
	if err := r.read(&result); err != nil {
		return TransactionResult{}, err
	}
	switch result.Status {
	case StatusUnknown, StatusPending, StatusConfirmed:
		return result, nil
	}
	return TransactionResult{}, fmt.Errorf("chain node: a transaction is said to be %q", result.Status)
}
