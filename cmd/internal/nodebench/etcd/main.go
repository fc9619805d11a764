// Command etcd puts records into an etcd cluster as package bench submits to a cluster of
// Bursar, for comparison: closed loop, the same number of puts in flight, each put a
// record of its own with a key of its own. With -batch the puts are sent in transactions
// of that many, which etcd does not do by itself; all of them are answered together.
// It prints one JSON object.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

var (
	endpoints   = flag.String("endpoints", "127.0.0.1:2379", "addresses of the members that take the load")
	connections = flag.Int("connections", 1, "clients that share the load; the members share them")
	inFlight    = flag.Int("in-flight", 1, "puts that wait for an answer at the same time")
	batch       = flag.Int("batch", 1, "puts in a transaction")
	warmup      = flag.Duration("warmup", time.Second, "time before measuring")
	duration    = flag.Duration("duration", 5*time.Second, "time measured")
	valueBytes  = flag.Int("value-bytes", 200, "size of a record")
)

// result is what is printed.
type result struct {
	Answered  int     `json:"answered"`
	PerSecond float64 `json:"per_second"`
	P50       float64 `json:"p50_ms"`
	P90       float64 `json:"p90_ms"`
	P99       float64 `json:"p99_ms"`
	Max       float64 `json:"max_ms"`
}

func main() {
	flag.Parse()
	clients, err := connect()
	if err != nil {
		log.Fatal(err)
	}
	r, err := run(clients)
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		log.Fatal(err)
	}
}

func connect() ([]*clientv3.Client, error) {
	members := strings.Split(*endpoints, ",")
	clients := make([]*clientv3.Client, *connections)
	for i := range clients {
		var err error
		clients[i], err = clientv3.New(clientv3.Config{
			Endpoints: []string{members[i%len(members)]}, DialTimeout: 5 * time.Second,
		})
		if err != nil {
			return nil, err
		}
	}
	return clients, nil
}

// run has callers put for as long as it is to last.
func run(clients []*clientv3.Client) (result, error) {
	callers := max(*inFlight / *batch, 1)
	start := time.Now().Add(*warmup)
	end := start.Add(*duration)
	var keys atomic.Uint64
	took := make([][]time.Duration, callers)
	errs := make([]error, callers)
	var all sync.WaitGroup
	for i := range callers {
		all.Go(func() { took[i], errs[i] = call(clients[i%len(clients)], start, end, &keys) })
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return result{}, err
		}
	}
	return sum(slices.Concat(took...)), nil
}

// call puts again and again until end, and returns how long each one took that was
// answered between start and end.
func call(client *clientv3.Client, start, end time.Time, keys *atomic.Uint64) (took []time.Duration, err error) {
	value := strings.Repeat("v", *valueBytes)
	ctx, cancel := context.WithDeadline(context.Background(), end.Add(10*time.Second))
	defer cancel()
	for {
		began := time.Now()
		puts := make([]clientv3.Op, *batch)
		for i := range puts {
			puts[i] = clientv3.OpPut(fmt.Sprintf("/record/%d-%d", start.UnixNano(), keys.Add(1)), value)
		}
		if *batch == 1 {
			_, err = client.Do(ctx, puts[0])
		} else {
			_, err = client.Txn(ctx).Then(puts...).Commit()
		}
		if err != nil {
			return nil, err
		}
		switch now := time.Now(); {
		case now.After(end):
			return took, nil
		case began.After(start):
			took = append(took, now.Sub(began))
		}
	}
}

// sum counts each transaction as the puts in it.
func sum(took []time.Duration) result {
	if len(took) == 0 {
		return result{}
	}
	slices.Sort(took)
	at := func(permille int) float64 {
		return float64(took[(len(took)-1)*permille/1000].Microseconds()) / 1000
	}
	puts := len(took) * *batch
	return result{puts, float64(puts) / duration.Seconds(), at(500), at(900), at(990), at(1000)}
}
