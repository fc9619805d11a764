package monitoring

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server serves a node's pages. Build it with New, add what belongs beside the pages
// with Handle, then Listen and Run.
type Server struct {
	cfg      Config
	log      *slog.Logger
	registry *prometheus.Registry
	mux      *http.ServeMux
	listener net.Listener
}

// New returns a server that shows the sources.
func New(cfg Config, sources Sources, log *slog.Logger) (*Server, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("monitoring: %w", err)
	}
	if sources.Ready == nil {
		return nil, errors.New("monitoring: the source Ready is needed")
	}
	s := &Server{cfg: cfg, log: log, registry: prometheus.NewRegistry(), mux: http.NewServeMux()}
	s.registry.MustRegister(
		newCollector(sources.Figures, sources.Node.Started),
		collectors.NewGoCollector(),
		collectors.NewBuildInfoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	s.mux.Handle("GET /{$}", s.guarded(newPage(sources, log)))
	s.mux.Handle("GET /healthz", http.HandlerFunc(serveHealth))
	s.mux.Handle("GET /readyz", readiness(sources.Ready))
	s.mux.Handle("GET /metrics", s.guarded(newScrapes(promhttp.HandlerFor(s.registry, promhttp.HandlerOpts{
		// One bad sample must not blind the operator to all others.
		ErrorHandling:     promhttp.ContinueOnError,
		ErrorLog:          scrapeLog{log},
		EnableOpenMetrics: true,
	}))))
	if cfg.Debug {
		s.handleProfiles()
	}
	return s, nil
}

func (s *Server) handleProfiles() {
	s.mux.Handle("GET /debug/pprof/", s.guarded(http.HandlerFunc(pprof.Index)))
	s.mux.Handle("GET /debug/pprof/cmdline", s.guarded(http.HandlerFunc(pprof.Cmdline)))
	s.mux.Handle("GET /debug/pprof/profile", s.guarded(http.HandlerFunc(pprof.Profile)))
	s.mux.Handle("GET /debug/pprof/symbol", s.guarded(http.HandlerFunc(pprof.Symbol)))
	s.mux.Handle("GET /debug/pprof/trace", s.guarded(http.HandlerFunc(pprof.Trace)))
}

// guarded serves those who may read.
func (s *Server) guarded(page http.Handler) http.Handler {
	if s.cfg.MayRead == nil {
		return page
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.cfg.MayRead(r) {
			http.Error(w, "this needs a certificate with a role; issue one: bursar cert issue --role monitor --name NAME", http.StatusForbidden)
			return
		}
		page.ServeHTTP(w, r)
	})
}

// Registerer takes the collectors of packages that keep their own. Families that
// come this way count towards SeriesMax too.
func (s *Server) Registerer() prometheus.Registerer { return s.registry }

// Handle serves a pattern of http.ServeMux, such as "/rpc", beside the pages. It is
// called before Run.
func (s *Server) Handle(pattern string, handler http.Handler) { s.mux.Handle(pattern, handler) }

// Handler is everything the server serves.
func (s *Server) Handler() http.Handler { return s.mux }

// Listen binds the address, so that a port in use is reported at the start.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", s.cfg.Addr)
	if err != nil {
		return fmt.Errorf("listen for http: %w", err)
	}
	if s.cfg.TLS != nil {
		listener = tls.NewListener(listener, s.cfg.TLS)
	}
	s.listener = listener
	return nil
}

// Addr is the address Listen bound.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Run serves until ctx ends, then lets answers under way finish for StopTimeout.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler:           s.mux,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		ReadTimeout:       s.cfg.RequestTimeout,
		WriteTimeout:      s.cfg.RequestTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	stopped := make(chan error, 1)
	stop := context.AfterFunc(ctx, func() {
		limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.StopTimeout)
		defer cancel()
		err := server.Shutdown(limit)
		if err != nil {
			err = errors.Join(fmt.Errorf("stop http: %w", err), server.Close())
		}
		stopped <- err
	})
	err := server.Serve(s.listener)
	if stop() { // ctx has not ended: Serve failed by itself
		return fmt.Errorf("serve http: %w", err)
	}
	return <-stopped
}

// scrapeLog writes what promhttp complains about to the node's log.
type scrapeLog struct{ log *slog.Logger }

func (l scrapeLog) Println(v ...any) {
	l.log.Warn("metrics left out of a scrape", "component", "monitoring", "err", fmt.Sprint(v...))
}

// serveHealth answers whether the process lives: if it can answer, it does.
func serveHealth(w http.ResponseWriter, _ *http.Request) {
	plain(w, http.StatusOK, "ok")
}

// readiness answers whether the node serves linearizable reads and writes; 503 with
// the reason if not.
func readiness(ready func() error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			plain(w, http.StatusServiceUnavailable, err.Error())
			return
		}
		plain(w, http.StatusOK, "ready")
	})
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	fmt.Fprintln(w, text)
}
