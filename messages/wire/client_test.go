package wire_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

func TestManyCallersShareAClient(t *testing.T) {
	_, _, addr := serve(t, wire.DefaultConfig(), echo{})
	c := dial(t, addr)
	var all sync.WaitGroup
	for i := range 64 {
		all.Go(func() {
			for j := range 20 {
				want := messages.Amount(1000*i + j)
				var result messages.AccrueResult
				err := c.Call(call(t), messages.MethodAccrue, &messages.AccrueParams{Amount: want}, &result)
				if err != nil || result.Balance != want {
					t.Errorf("got %+v, %v, want %d", result, err, want)
				}
			}
		})
	}
	all.Wait()
}

func TestACallThatIsNotAnsweredInTime(t *testing.T) {
	h := newHolder()
	_, _, addr := serve(t, wire.DefaultConfig(), h)
	c := dial(t, addr)
	ctx, cancel := context.WithCancel(call(t))
	for _, one := range []struct {
		method string
		params messages.Params
		want   messages.Code
	}{
		{messages.MethodAccrue, &messages.AccrueParams{Amount: 1}, messages.CodeOutcomeUnknown},
		{messages.MethodBalance, nil, messages.CodeUnavailable},
	} {
		ended := make(chan error, 1)
		go func() { ended <- c.Call(ctx, one.method, one.params, new(messages.AccrueResult)) }()
		held := <-h.calls
		if one.method == messages.MethodBalance {
			// the deadline of the context is the call's
			if left := held.Deadline.Sub(held.Received); left > testTimeout || left < testTimeout/2 {
				t.Errorf("deadline in %v", left)
			}
		} else {
			cancel()
			if err := <-ended; codeOf(err) != one.want {
				t.Errorf("%s: got %v", one.method, err)
			}
			ctx, cancel = context.WithCancel(call(t))
		}
		held.Fail(messages.Errorf(messages.CodeUnavailable, "too late"))
	}
	cancel()
}

func TestABrokenConnectionAnswersEveryCall(t *testing.T) {
	near, far := net.Pipe()
	c := wire.NewClient(near)
	replies := make(chan wire.Reply, 3)
	keep := func(r wire.Reply) { replies <- wire.Reply{Err: r.Err} }
	c.Go(messages.MethodAccrue, &messages.AccrueParams{Amount: 1}, keep)
	if _, err := far.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	if r := <-replies; codeOf(r.Err) != messages.CodeOutcomeUnknown {
		t.Errorf("got %v", r.Err)
	}
	<-c.Done()
	c.Go(messages.MethodAccrue, &messages.AccrueParams{Amount: 1}, keep)
	if r := <-replies; codeOf(r.Err) != messages.CodeUnavailable {
		t.Errorf("a call that was never sent got %v", r.Err)
	}
	_ = c.Close()
}

func TestAClosedClientSaysSo(t *testing.T) {
	_, _, addr := serve(t, wire.DefaultConfig(), echo{})
	c := dial(t, addr)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Call(call(t), messages.MethodBalance, nil, nil); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("got %v", err)
	}
	if err := c.Close(); err != nil {
		t.Errorf("the second Close: %v", err)
	}
}

// A node that answers nonsense does no harm to its client.
func TestAClientSurvivesItsNode(t *testing.T) {
	for name, answer := range map[string]string{
		"garbage":             "\xc1",
		"a killer":            "\xdd\x07\xff\xff\xff",
		"no response":         "\x94\x00\x01\xa1m\x90",
		"an error of no kind": "\x94\x01\x01\x05\xc0",
		"a short array":       "\x93\x01\x01\xc0",
	} {
		near, far := net.Pipe()
		c := wire.NewClient(near)
		ended := make(chan error, 1)
		go func() {
			ended <- c.Call(context.Background(), messages.MethodBalance, nil, new(messages.BalanceResult))
		}()
		_ = far.SetDeadline(time.Now().Add(testTimeout))
		if _, err := far.Read(make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
		_, _ = far.Write([]byte(answer))
		if err := <-ended; codeOf(err) != messages.CodeUnavailable {
			t.Errorf("%s: got %v", name, err)
		}
		_ = c.Close()
		_ = far.Close()
	}
}

func TestAnAnswerOfTheWrongShapeIsAnError(t *testing.T) {
	near, far := net.Pipe()
	c := wire.NewClient(near)
	defer c.Close()
	defer far.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- c.Call(context.Background(), messages.MethodSubmitDisbursement, submission(), new(messages.SubmitDisbursementResult))
	}()
	if _, err := far.Read(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	if _, err := far.Write([]byte("\x94\x01\x01\xc0\x81\xa2id\xa1x")); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err == nil {
		t.Error("no error")
	}
}

func TestCallsInJSON(t *testing.T) {
	_, _, addr := serve(t, wire.DefaultConfig(), echo{})
	c := dial(t, addr)
	got, err := c.CallJSON(call(t), messages.MethodAccrue, []byte(`{"amount": 18446744073709551615, "source": "a\"b"}`))
	if want := `{"balance":18446744073709551615,"duplicate":false}`; err != nil || string(got) != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
	if _, err := c.CallJSON(call(t), messages.MethodAccrue, []byte(`{"amount"`)); codeOf(err) != messages.CodeParse {
		t.Errorf("got %v", err)
	}
	if _, err := c.CallJSON(call(t), messages.MethodAccrue, []byte(`{"amount": 2.5}`)); codeOf(err) != messages.CodeInvalidParams {
		t.Errorf("got %v", err)
	}
}

func TestParametersInJSONAreCheckedBeforeTheyAreSent(t *testing.T) {
	h := newHolder()
	_, _, addr := serve(t, wire.DefaultConfig(), h)
	c := dial(t, addr)
	_, err := c.CallJSON(call(t), messages.MethodAccrue, []byte(`{"amount":1,"sourse":"x"}`))
	want := `invalid_params: params.sourse: no such field; did you mean "source"?`
	if err == nil || err.Error() != want || len(h.calls) > 0 {
		t.Errorf("got %v and %d calls, want %s", err, len(h.calls), want)
	}
}
