package service_test

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/the-block/bursar/cmd/internal/service"
)

var node = service.Service{Binary: "/bin/true", Config: "/etc/bursar/bursar.toml", User: "root"}

// systemd itself finds nothing wrong with the unit, and its exposure is below the bar.
func TestUnitIsAcceptedAndHardened(t *testing.T) {
	text, err := node.Describe(service.Systemd)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Type=notify", "WatchdogSec=60", "StateDirectory=bursar", "LimitNOFILE=65536",
		`ExecStart="/bin/true" node --config "/etc/bursar/bursar.toml"`} {
		if !strings.Contains(string(text), "\n"+want+"\n") {
			t.Errorf("the unit lacks the line %s", want)
		}
	}
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		return // the lines above are what is left to hold
	}
	path := filepath.Join(t.TempDir(), service.Unit)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || strings.Contains(string(out), service.Unit+":") {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), analyze, "security", "--offline=yes", "--threshold=19", path).CombinedOutput(); err != nil {
		t.Errorf("systemd-analyze security: %v\n%s", err, out)
	}
}

// The plist is well-formed XML whose strings are what was given, whatever they hold.
func TestPlistIsWellFormed(t *testing.T) {
	odd := service.Service{Binary: "/Applications/R&D <1>/bursar", Config: "/etc/b.toml", User: "bursar"}
	text, err := odd.Describe(service.Launchd)
	if err != nil {
		t.Fatal(err)
	}
	var found bool
	for decoder := xml.NewDecoder(strings.NewReader(string(text))); ; {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if data, ok := token.(xml.CharData); ok && string(data) == odd.Binary {
			found = true
		}
	}
	if !found {
		t.Errorf("the plist does not start %s:\n%s", odd.Binary, text)
	}
}

func TestWhatCannotBeAServiceIsRefused(t *testing.T) {
	for want, s := range map[string]service.Service{
		"absolute":   {Binary: "bursar", Config: "/c", User: "u"},
		"quotes":     {Binary: "/b", Config: "/c\"\nExecStart=/bin/sh", User: "u"},
		"letters":    {Binary: "/b", Config: "/c", User: "u\nUser=root"},
		"user: lett": {Binary: "/b", Config: "/c"},
	} {
		if _, err := s.Describe(service.Systemd); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want an error with %q", s, err, want)
		}
	}
	if _, err := node.Describe("upstart"); err == nil {
		t.Error("upstart is taken for a platform")
	}
}

// A percent sign and a dollar of a path are no specifiers of systemd's.
func TestPathsAreTakenAsTheyAre(t *testing.T) {
	text, err := service.Service{Binary: "/opt/100% $HOME/b", Config: "/c", User: "u"}.Describe(service.Systemd)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), `ExecStart="/opt/100%% $$HOME/b" node`) {
		t.Errorf("not as it is:\n%s", text)
	}
}

// watched is a process whose state a test turns.
type watched struct{ stuck, waiting atomic.Bool }

func (w *watched) Moves(ctx context.Context) error {
	if w.stuck.Load() {
		<-ctx.Done() // what does not move does not answer either
		return errors.New("no actor answers")
	}
	return nil
}

func (w *watched) Ready() error {
	if w.waiting.Load() {
		return errors.New("no quorum\nsince 12 s")
	}
	return nil
}

// A node that waits for others lives, and says for what; one that does not move is reported
// and no longer said to live.
func TestTheWatchdogFollowsProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	env := map[string]string{"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "60000", "WATCHDOG_PID": "7"}
	supervisor, err := service.FromEnvironment(func(key string) string { return env[key] }, 7)
	if err != nil {
		t.Fatal(err)
	}
	w := &watched{}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan struct{})
	go func() {
		defer close(over)
		supervisor.Watch(ctx, w, func(err error) { t.Error(err) })
	}()
	defer func() { cancel(); <-over }()
	buffer := make([]byte, 4096)
	// hear waits for a message.
	hear := func(want string) {
		t.Helper()
		if err := socket.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		for {
			n, err := socket.Read(buffer)
			if err != nil {
				t.Fatalf("never heard %q: %v", want, err)
			}
			if string(buffer[:n]) == want {
				return
			}
		}
	}
	hear("READY=1\nSTATUS=ready\nWATCHDOG=1")
	hear("STATUS=ready\nWATCHDOG=1")
	w.waiting.Store(true)
	hear("STATUS=not ready: no quorum; since 12 s\nWATCHDOG=1")
	w.stuck.Store(true)
	hear("STATUS=does not move: no actor answers")
	w.stuck.Store(false)
	hear("STATUS=not ready: no quorum; since 12 s\nWATCHDOG=1")
	cancel()
	hear("STOPPING=1\nSTATUS=stopping")
}

func TestTheEnvironmentNamesTheSupervisor(t *testing.T) {
	from := func(env map[string]string) error {
		_, err := service.FromEnvironment(func(key string) string { return env[key] }, 7)
		return err
	}
	if err := from(nil); err != nil {
		t.Error(err)
	}
	if err := from(map[string]string{"NOTIFY_SOCKET": "elsewhere"}); err == nil {
		t.Error("a relative socket is taken")
	}
	if err := from(map[string]string{"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "soon"}); err == nil {
		t.Error("a watchdog without a number is taken")
	}
	if err := from(map[string]string{"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "soon", "WATCHDOG_PID": "8"}); err != nil {
		t.Errorf("another's watchdog: %v", err)
	}
	if err := (service.Supervisor{}).Tell(t.Context(), "READY=1"); err != nil {
		t.Errorf("nobody to tell: %v", err)
	}
}
