package alertdrill

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// asker asks Prometheus and Alertmanager.
type asker struct{ prometheus, alertmanager string }

func ask[T any](ctx context.Context, url string) (answer T, err error) {
	body, err := page(ctx, url)
	if err != nil {
		return answer, err
	}
	return answer, json.Unmarshal([]byte(body), &answer)
}

type labels map[string]string

// alerts are the states of the alerts that Prometheus has, by name: "pending" or "firing".
func (a asker) alerts(ctx context.Context) (map[string]string, error) {
	type answer struct {
		Data struct {
			Alerts []struct {
				Labels labels `json:"labels"`
				State  string `json:"state"`
			} `json:"alerts"`
		} `json:"data"`
	}
	got, err := ask[answer](ctx, a.prometheus+"/api/v1/alerts")
	states := make(map[string]string)
	for _, alert := range got.Data.Alerts {
		if name := alert.Labels["alertname"]; states[name] != stateFiring {
			states[name] = alert.State
		}
	}
	return states, err
}

const stateFiring = "firing"

// targetsUp is how many nodes Prometheus reaches.
func (a asker) targetsUp(ctx context.Context) (up int, err error) {
	type answer struct {
		Data struct {
			Active []struct {
				Health string `json:"health"`
			} `json:"activeTargets"`
		} `json:"data"`
	}
	got, err := ask[answer](ctx, a.prometheus+"/api/v1/targets?state=active")
	for _, target := range got.Data.Active {
		if target.Health == "up" {
			up++
		}
	}
	return up, err
}

// route is what Alertmanager does with an alert: whom it tells, and which alerts hold it back.
func (a asker) route(ctx context.Context, name string) (receivers, heldBackBy []string, err error) {
	type answer []struct {
		Fingerprint string `json:"fingerprint"`
		Labels      labels `json:"labels"`
		Receivers   []struct {
			Name string `json:"name"`
		} `json:"receivers"`
		Status struct {
			InhibitedBy []string `json:"inhibitedBy"`
		} `json:"status"`
	}
	got, err := ask[answer](ctx, a.alertmanager+"/api/v2/alerts")
	names := make(map[string]string)
	for _, alert := range got {
		names[alert.Fingerprint] = alert.Labels["alertname"]
	}
	for _, alert := range got {
		if alert.Labels["alertname"] != name {
			continue
		}
		for _, r := range alert.Receivers {
			receivers = append(receivers, r.Name)
		}
		for _, by := range alert.Status.InhibitedBy {
			heldBackBy = append(heldBackBy, names[by])
		}
	}
	return unique(receivers), unique(heldBackBy), err
}

func unique(list []string) []string {
	slices.Sort(list)
	return slices.Compact(list)
}

// sink is the webhook that stands for all receivers.
type sink struct {
	listener net.Listener
	mu       sync.Mutex
	told     map[string]map[string]bool // receivers by alert and status
}

func newSink(ctx context.Context) (*sink, error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	return &sink{listener: listener, told: make(map[string]map[string]bool)}, err
}

func (s *sink) url() string { return "http://" + s.listener.Addr().String() }

func (s *sink) run(ctx context.Context) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // whoever posts tries again, or has ended
	defer stop()
	if err := server.Serve(s.listener); ctx.Err() == nil {
		return err
	}
	return nil
}

// noteBytesMax bounds what is read of one notification.
const noteBytesMax = 4 << 20

// ServeHTTP takes a notification; the path names the receiver.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var note struct {
		Alerts []struct {
			Status string `json:"status"`
			Labels labels `json:"labels"`
		} `json:"alerts"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, noteBytesMax)).Decode(&note); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	receiver, err := url.PathUnescape(strings.Trim(r.URL.Path, "/"))
	if err != nil {
		receiver = r.URL.Path
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, alert := range note.Alerts {
		key := alert.Labels["alertname"] + " " + alert.Status
		if s.told[key] == nil {
			s.told[key] = make(map[string]bool)
		}
		s.told[key][receiver] = true
	}
}

// forget begins anew.
func (s *sink) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.told)
}

// heard are the receivers that were told that an alert is firing, or resolved.
func (s *sink) heard(alert, status string) (receivers []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for receiver := range s.told[alert+" "+status] {
		receivers = append(receivers, receiver)
	}
	slices.Sort(receivers)
	return receivers
}
