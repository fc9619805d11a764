package nodebench_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// etcd is three members of etcd on loopback, each in a process of its own.
type etcd struct {
	load    string // the program that makes the load
	members []string
	leader  string
}

// etcdLoad is the load's program, from a module of its own.
var etcdLoad = sync.OnceValues(func() (string, error) { return build("etcd") })

// startEtcd runs etcd with its defaults until the test ends, nil if it is not installed.
func startEtcd(tb testing.TB) *etcd {
	tb.Helper()
	program, err := exec.LookPath("etcd")
	if errors.Is(err, exec.ErrNotFound) {
		tb.Log("etcd is not installed: no yardstick")
		return nil
	}
	load, err := etcdLoad()
	if err != nil {
		tb.Fatal(err)
	}
	const members = 3
	base := freePorts(tb, members)
	url := func(port int) string { return fmt.Sprintf("http://127.0.0.1:%d", base+port) }
	var group []string
	for i := range members {
		group = append(group, fmt.Sprintf("e%d=%s", i, url(2*i+1)))
	}
	e := &etcd{load: load}
	for i := range members {
		client, peer := url(2*i), url(2*i+1)
		dir := filepath.Join(tb.TempDir(), "data") // etcd warns of a directory that others may read
		newProcess(tb, program, "--name", fmt.Sprintf("e%d", i), "--data-dir", dir,
			"--listen-client-urls", client, "--advertise-client-urls", client,
			"--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
			"--initial-cluster", strings.Join(group, ","), "--logger", "zap", "--log-level", "error").start(tb)
		e.members = append(e.members, strings.TrimPrefix(client, "http://"))
	}
	await(tb, time.Minute, func() error { return e.findLeader() })
	return e
}

// findLeader asks the members who leads.
func (e *etcd) findLeader() error {
	for _, member := range e.members {
		out, err := exec.Command("etcdctl", "--endpoints", member, "endpoint", "status", "-w", "json").Output()
		if err != nil {
			return err
		}
		var status []struct {
			Status struct {
				Header struct {
					Member uint64 `json:"member_id"`
				}
				Leader uint64
			}
		}
		if err := json.Unmarshal(out, &status); err != nil {
			return err
		}
		if s := status[0].Status; s.Leader != 0 && s.Leader == s.Header.Member {
			e.leader = member
		}
	}
	if e.leader == "" {
		return errors.New("etcd has no leader")
	}
	return nil
}

// follower is a member that does not lead.
func (e *etcd) follower() string {
	for _, member := range e.members {
		if member != e.leader {
			return member
		}
	}
	return ""
}

// run puts records of 200 bytes, batch of them in a transaction.
func (e *etcd) run(tb testing.TB, to string, inFlight, connections, batch int, duration time.Duration) sample {
	tb.Helper()
	out, err := exec.CommandContext(tb.Context(), e.load, "-endpoints", to, "-in-flight", fmt.Sprint(inFlight),
		"-connections", fmt.Sprint(connections), "-batch", fmt.Sprint(batch), "-duration", duration.String(), "-warmup", "500ms").Output()
	if err != nil {
		failed := new(exec.ExitError)
		errors.As(err, &failed)
		tb.Fatalf("etcd: %v\n%s", err, failed.Stderr)
	}
	var s sample
	if err := json.Unmarshal(out, &s); err != nil {
		tb.Fatal(err)
	}
	return s
}
