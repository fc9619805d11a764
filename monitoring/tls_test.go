package monitoring_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/the-block/bursar/monitoring"
)

func TestPagesAreServedWithTLS(t *testing.T) {
	lender := httptest.NewTLSServer(nil) // of a certificate and of a client that believes it
	defer lender.Close()
	cfg := monitoring.DefaultConfig()
	cfg.Addr, cfg.TLS = "127.0.0.1:0", lender.TLS
	server, err := monitoring.New(cfg, monitoring.Sources{Ready: func() error { return nil }}, quiet)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	if err := server.Listen(ctx); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	client := lender.Client()
	for scheme, want := range map[string]int{"https": http.StatusOK, "http": http.StatusBadRequest} {
		answer, err := client.Get(scheme + "://" + server.Addr().String() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != want {
			t.Errorf("%s answers %d, want %d", scheme, answer.StatusCode, want)
		}
	}
	client.CloseIdleConnections()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
