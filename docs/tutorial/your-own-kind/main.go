// Command counter is a node of a cluster with counters: actors of a kind of our own, told
// and asked over HTTP on any node.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/the-block/bursar/cmd/host"
	"github.com/the-block/bursar/messages"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "counter:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	cfg := host.DefaultConfig()
	name := flag.String("name", "n1", "this node's name")
	flag.IntVar(&cfg.BasePort, "base-port", cfg.BasePort, "first of its five ports")
	flag.IntVar(&cfg.BootstrapExpect, "expect", 3, "how many nodes form the cluster")
	flag.StringVar(&cfg.DataDir, "data", "data", "its directory")
	join := flag.String("join", "", "the nodes' gossip ports, host:port with commas")
	listen := flag.String("http", "127.0.0.1:8000", "where counters are told and asked")
	flag.Parse()
	cfg.Name = messages.NodeID(*name)
	cfg.Join = strings.Split(*join, ",")

	kind, err := counters(*name)
	if err != nil {
		return err
	}
	node, err := host.Open(ctx, cfg, []host.Kind{kind}, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: pages(node.Cluster), ReadHeaderTimeout: time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	err = node.Run(ctx) // until it is asked to stop
	return errors.Join(err, server.Close(), ignoreClosed(<-served))
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// pages tell and ask the counter that the path names.
func pages(cluster *host.Cluster) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{key}", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err == nil { // tell: done once the counter's mailbox has it
			err = cluster.Tell(r.Context(), host.Address{Kind: "counter", Key: r.PathValue("key")}, Add{n})
		}
		answer(w, "told\n", err)
	})
	mux.HandleFunc("GET /{key}", func(w http.ResponseWriter, r *http.Request) {
		sum, err := host.Ask[Sum](r.Context(), cluster, host.Address{Kind: "counter", Key: r.PathValue("key")}, Get{})
		answer(w, fmt.Sprintf("%d on %s\n", sum.N, sum.Node), err)
	})
	return mux
}

func answer(w http.ResponseWriter, text string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprint(w, text)
}
