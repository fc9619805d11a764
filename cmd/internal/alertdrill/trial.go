package alertdrill

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
	"github.com/the-block/bursar/monitoring"
)

const (
	nodes         = 3
	epochInterval = 250 * time.Millisecond
	// scale makes five minutes six seconds.
	scale = 0.02
	// fortune is what the treasury has when nothing is wrong.
	fortune = 50_000_000
	// beat is the time between the small payments that go on all the while: a treasury that
	// pays nothing has no latency that could be unusual.
	beat = time.Second

	// lookBack is how long Prometheus takes the last value of what is scraped no more for its
	// value; by default five minutes.
	lookBack = 10 * time.Second

	readyWithin = time.Minute
	stopWithin  = 10 * time.Second
	pollEvery   = 200 * time.Millisecond
	callTimeout = 10 * time.Second
)

// thresholds are lower than a user's where a fault of a few seconds could not reach those.
var thresholds = map[string]float64{
	"treasury_lag_seconds": 2, "treasury_capacity_per_minute": 600, "energy_capacity_per_minute": 100, "replica_lag_entries": 50,
}

// Config says where a trial runs.
type Config struct {
	// Dir is where data, logs and configuration are.
	Dir string
	// Program is what nodes run; empty is this program.
	Program string
	// BasePort is the first of about thirty ports; 0 looks for free ones.
	BasePort int
	// Tell is told of what happens to the nodes.
	Tell func(format string, args ...any)
}

// Trial is a cluster that is watched. Start makes it, Stop ends it.
type Trial struct {
	cfg        Config
	began      time.Time
	cluster    localcluster.Cluster
	link       *client.Client
	single     map[string]*client.Client // by the node's name
	prometheus *localcluster.Process
	files      string // of Prometheus and Alertmanager
	ask        asker
	sink       *sink
	group      *errgroup.Group
	stop       context.CancelFunc
	ids        atomic.Uint64 // of requests
	energy     *market       // nil until a fault needs one
}

// programs finds Prometheus and Alertmanager.
func programs() (prometheus, alertmanager string, err error) {
	find := func(names ...string) string {
		for _, name := range names {
			if path, err := exec.LookPath(name); err == nil {
				return path
			}
		}
		return ""
	}
	prometheus, alertmanager = find("prometheus"), find("prometheus-alertmanager", "alertmanager")
	if prometheus == "" || alertmanager == "" {
		return "", "", errors.New("prometheus and alertmanager are needed; on Debian: apt-get install prometheus prometheus-alertmanager")
	}
	return prometheus, alertmanager, nil
}

// Start starts everything and returns when the cluster pays, is scraped, and no alert is there.
func Start(ctx context.Context, cfg Config) (*Trial, error) {
	prometheus, alertmanager, err := programs()
	if err != nil {
		return nil, err
	}
	if cfg.BasePort == 0 {
		if cfg.BasePort, err = localcluster.FreePorts(nodes + 1); err != nil {
			return nil, err
		}
	}
	t := &Trial{cfg: cfg, began: time.Now(), single: make(map[string]*client.Client), files: filepath.Join(cfg.Dir, "monitoring")}
	t.cluster, err = localcluster.New(localcluster.Config{
		Nodes: nodes, BasePort: cfg.BasePort, Dir: cfg.Dir, EpochInterval: epochInterval, Faults: true,
	}, cfg.Tell)
	if err != nil {
		return nil, err
	}
	if err := t.cluster.CheckPorts(ctx); err != nil {
		return nil, err
	}
	for _, n := range t.cluster {
		if cfg.Program != "" {
			n.Program = cfg.Program
		}
		t.single[string(n.Cfg.Name)] = client.New(client.Config{Addrs: []string{n.Cfg.Address(node.PortRPC)}})
	}
	t.link = client.New(client.Follow(t.cluster.RPC()...))
	var running context.Context
	running, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	t.group, running = errgroup.WithContext(running)
	if err := t.begin(ctx, running, prometheus, alertmanager); err != nil {
		return nil, errors.Join(err, t.Stop())
	}
	return t, nil
}

func (t *Trial) begin(ctx, running context.Context, prometheus, alertmanager string) error {
	var err error
	if t.sink, err = newSink(ctx); err != nil {
		return err
	}
	t.group.Go(func() error { return t.sink.run(running) })
	serving := make(chan struct{})
	t.group.Go(func() error { return t.cluster.Run(running, func() { close(serving) }) })
	ports := t.cfg.BasePort + nodes*localcluster.PortStep
	promAddr, alertAddr := loopback(ports), loopback(ports+1)
	t.ask = asker{prometheus: "http://" + promAddr, alertmanager: "http://" + alertAddr}
	if err := t.export(alertAddr, true); err != nil {
		return err
	}
	t.prometheus, err = t.run(running, prometheus, "--config.file="+filepath.Join(t.files, "prometheus.yml"),
		"--storage.tsdb.path="+filepath.Join(t.files, "tsdb"), "--query.lookback-delta="+lookBack.String(), "--web.listen-address="+promAddr)
	if err != nil {
		return err
	}
	if _, err = t.run(running, alertmanager, "--config.file="+filepath.Join(t.files, "alertmanager.yml"),
		"--storage.path="+filepath.Join(t.files, "silences"), "--web.listen-address="+alertAddr, "--cluster.listen-address="); err != nil {
		return err
	}
	select {
	case <-serving:
	case <-running.Done():
		return errors.New("the cluster did not start")
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := t.call(ctx, messages.MethodAccrue, `{"amount": %d, "source": "drill"}`, fortune); err != nil {
		return err
	}
	t.group.Go(func() error { return t.keepPaying(running) })
	return t.await(ctx, readyWithin, "all nodes are scraped and no alert is there", func(ctx context.Context) (bool, error) {
		up, err := t.ask.targetsUp(ctx)
		if err != nil || up < nodes {
			return false, err
		}
		alerts, err := t.ask.alerts(ctx)
		return len(alerts) == 0, err
	})
}

func loopback(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// export writes the configuration, as monitoring export does; not watched, it leaves the
// targets out.
func (t *Trial) export(alertmanager string, watched bool) error {
	export := monitoring.Export{
		Cluster: "drill", Alertmanager: alertmanager, Webhook: t.sink.url(), Scale: scale, Thresholds: maps.Clone(thresholds),
	}
	for _, n := range t.cluster {
		export.Targets = append(export.Targets, n.Cfg.Address(node.PortHTTP))
	}
	files, err := export.Files()
	if err != nil {
		return err
	}
	if !watched {
		files["prometheus.yml"], _, _ = bytes.Cut(files["prometheus.yml"], []byte("scrape_configs:"))
	}
	return monitoring.Write(t.files, files)
}

// run starts a program that ends with the trial.
func (t *Trial) run(running context.Context, program string, args ...string) (*localcluster.Process, error) {
	log := filepath.Join(t.cfg.Dir, filepath.Base(program)+".log")
	p, err := localcluster.Start(localcluster.Spec{Program: program, Args: args, LogPath: log})
	if err != nil {
		return nil, err
	}
	t.group.Go(func() error {
		select {
		case <-p.Ended:
			return fmt.Errorf("%s ended: %w\n%s", filepath.Base(program), p.Err, localcluster.Tail(log, 5))
		case <-running.Done():
			p.Stop(syscall.SIGTERM, stopWithin, syscall.SIGKILL)
			return nil
		}
	})
	return p, nil
}

// Stop ends all processes.
func (t *Trial) Stop() error {
	t.stop()
	err := t.group.Wait()
	t.link.Close()
	for _, l := range t.single {
		l.Close()
	}
	return err
}

// keepPaying pays one unit a beat. That a payment fails now and then is what a drill is about.
func (t *Trial) keepPaying(running context.Context) error {
	for localcluster.Wait(running, beat) {
		_ = t.pay(running, 1, 1)
	}
	return nil
}

// await asks until something is so.
func (t *Trial) await(ctx context.Context, within time.Duration, what string, so func(context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var last error
	for {
		ok, err := so(ctx)
		switch {
		case err == nil && ok:
			return nil
		case ctx.Err() == nil:
			last = err
		}
		if !localcluster.Wait(ctx, pollEvery) {
			return errors.Join(fmt.Errorf("it did not come true within %s that %s", within, what), last)
		}
	}
}

// call calls a method with parameters as JSON, under a request id of its own.
func (t *Trial) call(ctx context.Context, method, params string, args ...any) error {
	_, err := t.answer(ctx, t.link, method, fmt.Sprintf(params, args...))
	return err
}

func (t *Trial) answer(ctx context.Context, link *client.Client, method, params string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if m := messages.MethodByName(method); m != nil && m.Mutates {
		params = fmt.Sprintf(`{"request_id": %q, %s`, t.requestID(), params[1:])
	}
	result, err := link.CallJSON(ctx, method, []byte(params))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", method, err)
	}
	return result, nil
}

func (t *Trial) requestID() string { return fmt.Sprintf("drill-%d-%d", os.Getpid(), t.ids.Add(1)) }

// watch has Prometheus scrape the nodes, or nothing.
func (t *Trial) watch(watched bool) error {
	if err := t.export(strings.TrimPrefix(t.ask.alertmanager, "http://"), watched); err != nil {
		return err
	}
	return t.prometheus.Signal(syscall.SIGHUP)
}

// page asks a page of Prometheus or Alertmanager.
func page(ctx context.Context, url string) (string, error) {
	status, body, err := localcluster.Fetch(ctx, http.DefaultClient, url)
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("%s answers %d: %s", url, status, body)
	}
	return body, err
}
