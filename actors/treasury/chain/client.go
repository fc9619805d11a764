package chain

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
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
	return &Client{cfg: cfg, http: &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets go of idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask puts a question about an intent to the chain.
func (c *Client) Ask(ctx context.Context, q payout.Question) payout.Answer {
	var answer payout.Answer
	var err error
	switch q.Ask {
	case payout.Submit:
		answer, err = c.submit(ctx, &q.Intent)
	case payout.Inquire:
		answer, err = c.inquire(ctx, &q.Intent)
	case payout.Watch:
		answer, err = c.watch(ctx, &q.Intent)
	default:
		err = fmt.Errorf("there is no question %s", q.Ask)
	}
	if err != nil {
		return payout.Answer{Verdict: payout.Unclear, Reason: err.Error()}
	}
	return answer
}

func (c *Client) submit(ctx context.Context, i *payout.Intent) (payout.Answer, error) {
	var result SubmitResult
	err := c.call(ctx, MethodSubmit, SubmitParams{RawTx: hex.EncodeToString(i.Raw)}, &result)
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

func (c *Client) inquire(ctx context.Context, i *payout.Intent) (payout.Answer, error) {
	result, err := c.transaction(ctx, i.Hash)
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

func (c *Client) watch(ctx context.Context, i *payout.Intent) (payout.Answer, error) {
	var result NonceResult
	if err := c.call(ctx, MethodNonce, NonceParams{Account: c.cfg.Account, Nonce: Number(i.Nonce)}, &result); err != nil {
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
	result, err := c.transaction(ctx, hash)
	if err != nil {
		return payout.Transfer{}, err
	}
	return payout.Transfer{
		Confirmed:   result.Status == StatusConfirmed,
		Destination: result.Destination,
		Amount:      messages.Amount(result.Amount),
	}, nil
}

func (c *Client) transaction(ctx context.Context, hash disbursement.Hash) (result TransactionResult, err error) {
	err = c.call(ctx, MethodTransaction, TransactionParams{TxHash: hex.EncodeToString(hash[:])}, &result)
	if err != nil {
		return TransactionResult{}, err
	}
	switch result.Status {
	case StatusUnknown, StatusPending, StatusConfirmed:
		return result, nil
	}
	return TransactionResult{}, fmt.Errorf("chain node: a transaction is said to be %q", result.Status)
}

// Error implements error.
func (e *ResponseError) Error() string {
	return fmt.Sprintf("chain node: error %d: %s", e.Code, e.Message)
}

// call makes one request. A *ResponseError is the node's own.
func (c *Client) call(ctx context.Context, method string, params, result any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	id := c.last.Add(1)
	encoded, err := json.Marshal(params)
	if err != nil {
		return err
	}
	body, err := json.Marshal(Request{Version: "2.0", ID: id, Method: method, Params: encoded})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return withoutURL(err)
	}
	request.GetBody = nil // the transport shall send nothing twice: only the first try of a payment is beyond doubt
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("chain node: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("chain node: status %d", response.StatusCode)
	}
	return c.read(response.Body, id, result)
}

// withoutURL leaves out the URL, which may hold a secret.
func withoutURL(err error) error {
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}

// read takes the answer to request id apart.
func (c *Client) read(body io.Reader, id uint64, result any) error {
	text, err := io.ReadAll(io.LimitReader(body, c.cfg.AnswerBytesMax+1))
	if err != nil {
		return fmt.Errorf("chain node: %w", err)
	}
	var response Response
	switch err := json.Unmarshal(text, &response); {
	case int64(len(text)) > c.cfg.AnswerBytesMax:
		return fmt.Errorf("chain node: the answer has more than %d bytes", c.cfg.AnswerBytesMax)
	case err != nil:
		return errors.New("chain node: the answer is not JSON-RPC")
	case response.ID == nil || *response.ID != id:
		return errors.New("chain node: the answer is to another request")
	case response.Error != nil:
		return response.Error
	}
	if err := json.Unmarshal(response.Result, result); err != nil {
		return errors.New("chain node: the result is not what the method returns")
	}
	return nil
}
