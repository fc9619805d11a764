package host_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/localcluster"
)

const tutorial = "../../docs/tutorial/your-own-kind"

// buildOutside builds the tutorial's module as its reader does: in a folder of its own,
// with nothing of this tree but the replace directive.
func buildOutside(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	checkout, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(dir, os.DirFS(tutorial)); err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../../go.sum") // so that nothing is asked of the network
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
		t.Fatal(err)
	}
	program = filepath.Join(dir, "counter")
	for _, args := range [][]string{
		{"mod", "edit", "-replace", "github.com/the-block/bursar=" + checkout},
		{"build", "-mod=mod", "-trimpath", "-o", program, "."},
	} {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir, command.Env = dir, append(os.Environ(), "GOWORK=off")
		if out, err := command.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	return program
}

// counterNode is one process of the tutorial.
type counterNode struct {
	*localcluster.Process
	name, url, metrics, log string
}

func startCounters(t *testing.T, program string) []*counterNode {
	t.Helper()
	base, err := localcluster.FreePorts(3)
	if err != nil {
		t.Fatal(err)
	}
	var join []string
	for i := range 3 {
		join = append(join, fmt.Sprintf("127.0.0.1:%d", base+10*i+1))
	}
	var nodes []*counterNode
	for i := range 3 {
		n := &counterNode{name: fmt.Sprintf("n%d", i+1), log: filepath.Join(t.TempDir(), "log")}
		n.url = fmt.Sprintf("http://127.0.0.1:%d", base+10*i+7) // of the node's ten, not one of its five
		n.metrics = fmt.Sprintf("http://127.0.0.1:%d/metrics", base+10*i+3)
		n.Process, err = localcluster.Start(localcluster.Spec{Program: program, LogPath: n.log, Args: []string{
			"-name", n.name, "-base-port", fmt.Sprint(base + 10*i), "-data", t.TempDir(),
			"-join", strings.Join(join, ","), "-http", strings.TrimPrefix(n.url, "http://"),
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			n.Stop(syscall.SIGTERM, 30*time.Second, syscall.SIGKILL)
			if t.Failed() {
				t.Logf("%s: %s", n.name, localcluster.Tail(n.log, 20))
			}
		})
		nodes = append(nodes, n)
	}
	return nodes
}

// eventually repeats a request until it is answered 200: nodes are starting, or one has
// just been killed.
func eventually(t *testing.T, method, url, form string) string {
	t.Helper()
	var last string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(form))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			last = err.Error()
			continue
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err == nil && answer.StatusCode == http.StatusOK {
			return strings.TrimSpace(string(body))
		}
		last = string(body)
	}
	t.Fatalf("%s %s: %s", method, url, last)
	return ""
}

// sumOf reads "3 on n2".
func sumOf(t *testing.T, text string) (n int, node string) {
	t.Helper()
	if _, err := fmt.Sscanf(text, "%d on %s", &n, &node); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	return n, node
}

// The tutorial's module is built outside of this tree and runs on three nodes; the node
// that owns a counter is killed, and the counter is told and asked again.
func TestTheTutorialSurvivesTheKillOfAnOwner(t *testing.T) {
	nodes := startCounters(t, buildOutside(t))
	for _, n := range nodes { // each tells 1
		eventually(t, http.MethodPost, n.url+"/ada", "n=1")
	}
	var owner string
	for _, n := range nodes {
		sum, on := sumOf(t, eventually(t, http.MethodGet, n.url+"/ada", ""))
		if sum != 3 || owner != "" && on != owner {
			t.Errorf("%s says %d on %s, want 3 on %s", n.name, sum, on, owner)
		}
		owner = on
	}
	var rest []*counterNode
	for _, n := range nodes {
		metrics := eventually(t, http.MethodGet, n.metrics, "")
		if has := strings.Contains(metrics, `bursar_actors_messages_total{kind="counter"}`); has != (n.name == owner) {
			t.Errorf("%s has metrics of counters: %v; the counter is on %s", n.name, has, owner)
		}
		if n.name != owner {
			rest = append(rest, n)
			continue
		}
		if err := n.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		<-n.Ended
	}
	if sum, on := sumOf(t, eventually(t, http.MethodGet, rest[0].url+"/ada", "")); sum != 0 || on == owner {
		t.Errorf("after the kill: %d on %s, want 0 on another than %s", sum, on, owner)
	}
	eventually(t, http.MethodPost, rest[1].url+"/ada", "n=5")
	if sum, on := sumOf(t, eventually(t, http.MethodGet, rest[0].url+"/ada", "")); sum != 5 || on == owner {
		t.Errorf("told again: %d on %s", sum, on)
	}
}
