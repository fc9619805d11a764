package chain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// request is one request, and what came of it: a result or an error. A *ResponseError
// is the node's own.
type request struct {
	id     uint64
	text   []byte
	result json.RawMessage
	err    error
}

// errForm is returned for a batch by a node that does not know batches.
var errForm = errors.New("chain node: it does not take batches")

// Error implements error.
func (e *ResponseError) Error() string {
	return fmt.Sprintf("chain node: error %d: %s", e.Code, e.Message)
}

func (c *Client) request(method string, params any) *request {
	r := &request{id: c.last.Add(1)}
	encoded, err := json.Marshal(params)
	if err == nil {
		r.text, err = json.Marshal(Request{Version: "2.0", ID: r.id, Method: method, Params: encoded})
	}
	r.err = err
	return r
}

// read reads the result.
func (r *request) read(into any) error {
	if r.err != nil {
		return r.err
	}
	if err := json.Unmarshal(r.result, into); err != nil {
		return errors.New("chain node: the result is not what the method returns")
	}
	return nil
}

// take takes the answer to r.
func (r *request) take(response *Response) {
	r.result, r.err = response.Result, nil
	if response.Error != nil {
		r.err = response.Error
	}
}

// send makes one POST: a single request as it is, several as a batch, of which those at
// the end may not fit. It returns those that were sent. An error is noted with each of
// them too.
func (c *Client) send(ctx context.Context, list []*request) ([]*request, error) {
	err := list[0].err
	if err == nil && len(list) == 1 {
		err = c.single(ctx, list[0])
	} else if err == nil {
		list, err = c.batch(ctx, list)
	}
	if err != nil {
		for _, r := range list {
			r.err = err
		}
	}
	return list, err
}

func (c *Client) single(ctx context.Context, r *request) error {
	text, err := c.post(ctx, r.text, c.cfg.AnswerBytesMax)
	if err != nil {
		return err
	}
	var response Response
	switch err := json.Unmarshal(text, &response); {
	case err != nil:
		return errors.New("chain node: the answer is not JSON-RPC")
	case response.ID == nil || *response.ID != r.id:
		return errors.New("chain node: the answer is to another request")
	}
	r.take(&response)
	return nil
}

func (c *Client) batch(ctx context.Context, list []*request) ([]*request, error) {
	body := []byte{'['}
	for i, r := range list {
		if i > 0 && (r.err != nil || int64(len(body)+len(r.text)) >= c.cfg.BatchBytesMax) {
			list = list[:i]
			break
		}
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, r.text...)
	}
	text, err := c.post(ctx, append(body, ']'), c.cfg.BatchBytesMax)
	var refused *statusError
	switch {
	case errors.As(err, &refused) && refused.deniesForm(len(list)):
		return list, errForm
	case err != nil:
		return list, err
	}
	return list, match(list, text)
}

// match gives each request of a batch its answer. One without an answer, or with two,
// has none.
func match(list []*request, text []byte) error {
	var responses []json.RawMessage
	if err := json.Unmarshal(text, &responses); err != nil {
		if single := new(Response); json.Unmarshal(text, single) == nil {
			return errForm
		}
		return errors.New("chain node: the answer is not JSON-RPC")
	}
	open := make(map[uint64]*request, len(list))
	for _, r := range list {
		open[r.id] = r
		r.err = errors.New("chain node: no answer to this request of a batch")
	}
	answered := make(map[uint64]bool, len(list))
	for _, text := range responses {
		var response Response
		if err := json.Unmarshal(text, &response); err != nil || response.ID == nil {
			continue
		}
		switch r := open[*response.ID]; {
		case r == nil:
		case answered[r.id]:
			r.err = errors.New("chain node: two answers to one request")
		default:
			answered[r.id] = true
			r.take(&response)
		}
	}
	return nil
}

// statusError is any HTTP status but 200.
type statusError struct{ status int }

// Error implements error.
func (e *statusError) Error() string { return fmt.Sprintf("chain node: status %d", e.status) }

// deniesForm reports whether the status is one that servers have for a body of a form
// they do not know, or for the smallest batch that it is too large.
func (e *statusError) deniesForm(requests int) bool {
	switch e.status {
	case http.StatusRequestEntityTooLarge:
		return requests == 2
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusUnsupportedMediaType, http.StatusNotImplemented:
		return true
	}
	return false
}

// post sends a body and reads the answer, of at most so many bytes.
func (c *Client) post(ctx context.Context, body []byte, most int64) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, withoutURL(err)
	}
	request.GetBody = nil // the transport shall send nothing twice: only the first try of a payment is beyond doubt
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("chain node: %w", withoutURL(err))
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{response.StatusCode}
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, most+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("chain node: %w", err)
	case int64(len(text)) > most:
		return nil, fmt.Errorf("chain node: the answer has more than %d bytes", most)
	}
	return text, nil
}

// withoutURL leaves out the URL, which may hold a secret.
func withoutURL(err error) error {
	if wrapped := new(url.Error); errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
