package node_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/wire"
)

// The only turn there is must be free again after a walk that panicked.
func TestAWalkThatPanicsGivesItsTurnBack(t *testing.T) {
	walked := false
	handler := node.Walking(func(messages.Params) (messages.Result, *messages.Error) {
		if !walked {
			walked = true
			panic("lost its way")
		}
		return &messages.EpochResult{Epoch: 7}, nil
	})
	s, err := wire.New(wire.DefaultConfig(), handler, wire.NewMetrics())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"code":-32603`, `"epoch":7`} {
		r := httptest.NewRequest(http.MethodPost, "http://localhost/rpc",
			strings.NewReader(`{"jsonrpc":"2.0","method":"epoch.get","params":{"deadline_ms":1000},"id":1}`))
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		s.HTTP().ServeHTTP(w, r)
		if got := w.Body.String(); !strings.Contains(got, want) {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
