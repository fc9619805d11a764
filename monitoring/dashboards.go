package monitoring

import (
	"encoding/json"
)

// panel is one picture of a dashboard: what it shows, what bad looks like, and the query.
type panel struct {
	title, about, unit, query, legend string
}

// dashboard is a page of panels.
type dashboard struct {
	uid, title string
	panels     []panel
}

// dashboards are all there are.
var dashboards = []dashboard{
	{"bursar-overview", "Bursar: overview", []panel{
		{"Health", "The score of each part, 1 is well. Below 0.75 look into it, below 0.5 a part does not work.", "percentunit", `{__name__=~"(system|treasury|energy|storage|cluster):health:score"}`, "{{__name__}}"},
		{"Nodes that answer", "Nodes that Prometheus can scrape. One less than usual is a node to look for.", "short", "cluster:nodes_up:sum", "{{cluster}}"},
		{"Balance", "What the treasury holds. A step down that nobody expects is bad.", "short", "treasury:balance:max", "{{cluster}}"},
		{"Requests", "Requests a second by outcome. Failed ones should be none; refused ones are answers.", "reqps", "cluster:requests:rate1m", "{{outcome}}"},
		{"Disk free", "The free part of each node's disk. Below five percent a node is about to end itself.", "percentunit", "storage:disk_free:ratio", "{{instance}}"},
		{"Memory", "Resident memory of each node. A line that only rises is bad.", "bytes", "node:memory_bytes:max", "{{instance}}"},
		{"Series", "Series that each node exports; 2,500 is the ceiling.", "short", "node:series:count", "{{instance}}"},
		{"Alerts", "Alerts that fire. Each has a page under docs/runbooks.", "short", `sum by (alertname) (ALERTS{alertstate="firing"})`, "{{alertname}}"},
	}},
	{"bursar-treasury", "Bursar: treasury", []panel{
		{"Executor's breaker", "0 closed, 1 open, 2 half-open. While it is 1 nothing is paid.", "short", "treasury:breaker_state:max", "{{cluster}}"},
		{"Disbursements", "Disbursements by the status they are in. Drafts that only grow while payments are due are bad.", "short", "treasury:disbursements:max", "{{status}}"},
		{"Due", "Payments that wait for funds or their turn. It should come back to zero.", "short", "treasury:due:max", "{{cluster}}"},
		{"Executed a minute", "Payments made a minute. Zero is bad only while some are due.", "short", "treasury:executed:per_minute_5m", "{{cluster}}"},
		{"Errors a minute", "Executions that fail, by reason. More than one a minute alerts.", "short", "treasury:errors_by_reason:per_minute_5m", "{{reason}}"},
		{"Lag, 95th percentile", "From due to executed. An hour alerts.", "s", "treasury:lag:p95_15m", "{{cluster}}"},
		{"Late payments", "The part of the payments beyond three epochs; the objective allows 0.1 percent.", "percentunit", "treasury:late:ratio_1h", "{{cluster}}"},
		{"Dependency failures a minute", "Submissions with dependencies that cannot be. A burst is a faulty plan.", "short", "treasury:dependency_failures:per_minute_5m", "{{cluster}}"},
	}},
	{"bursar-energy", "Bursar: energy market", []panel{
		{"Price", "The market's price. A jump that stays alerts.", "short", "energy:price:max", "{{cluster}}"},
		{"Active oracles", "Oracles that sent something lately. Below three the market takes nothing.", "short", "energy:oracles_active:max", "{{cluster}}"},
		{"Readings a minute", "Readings taken. A gap is a silent meter or oracle.", "short", "energy:readings:per_minute_5m", "{{cluster}}"},
		{"Refused submissions a minute", "What oracles sent and was refused. Bad signatures are a stolen or wrong key.", "short", "energy:oracle_errors:per_minute_5m", "{{cluster}}"},
		{"Disputes pending", "Disputes that wait. More than 50 alerts.", "short", "energy:disputes_pending:max", "{{cluster}}"},
		{"Inclusion lag, 95th percentile", "From a reading's time to the log. Minutes are bad.", "s", "energy:inclusion_lag:p95_5m", "{{cluster}}"},
	}},
	{"bursar-actors", "Bursar: actors and supervision", []panel{
		{"Messages a second", "By kind of actor. A kind that falls to zero under load is bad.", "ops", "actors:messages:rate1m", "{{kind}}"},
		{"Waiting, 99th percentile", "Time in mailboxes by kind. Seconds are bad.", "s", "actors:wait:p99_5m", "{{kind}}"},
		{"Refused a minute", "Messages refused because a mailbox was full or a breaker open.", "short", "actors:rejected:per_minute_5m", "{{kind}}"},
		{"Restarts a minute", "Restarts by supervisors. Any that goes on is bad.", "short", "actors:restarts:per_minute_5m", "{{kind}}"},
		{"Busiest actors", "Messages a second of the busiest actors; _other is all the rest.", "ops", "topk(10, sum by (actor) (rate(bursar_actor_messages_total[1m])))", "{{actor}}"},
		{"Breakers not closed", "Breakers that are open, half-open or forced, by name.", "short", "sum by (actor, state) (bursar_supervision_breaker_not_closed)", "{{actor}} {{state}}"},
		{"Stalled", "Actors stuck in one message. Any is bad.", "short", "sum by (instance) (bursar_actors_stalled)", "{{instance}}"},
	}},
	{"bursar-consensus", "Bursar: consensus and network", []panel{
		{"Leader", "Which node leads. Two at once cannot be; none means no majority.", "short", "bursar_cluster_leader", "{{instance}}"},
		{"Commit, 99th percentile", "From proposing a batch to its outcome. Above 100 ms callers notice.", "s", "cluster:commit:p99_5m", "{{cluster}}"},
		{"Fsync, 99th percentile", "Of the log's disk, by node. Above 100 ms alerts.", "s", "storage:fsync:p99_5m", "{{instance}}"},
		{"Lag", "Log entries that a node is behind. It should come back to zero.", "short", "cluster:replica_lag:max", "{{instance}}"},
		{"Round trips", "The quickest of the last pings between nodes.", "s", "bursar_peers_rtt_seconds", "{{instance}} to {{member}}"},
		{"Clocks", "Each node's clock against the leader's. Two seconds take the executor from it.", "s", "bursar_cluster_clock_offset_seconds", "{{instance}}"},
		{"Txns a second", "Changes committed.", "ops", "cluster:txns:rate1m", "{{cluster}}"},
		{"Leader changes in an hour", "Elections. More than six an hour alert.", "short", "cluster:leader_changes:per_hour_1h", "{{cluster}}"},
	}},
}

// Dashboards gives Grafana's dashboards by the names of their files.
func Dashboards() map[string][]byte {
	files := make(map[string][]byte)
	for _, d := range dashboards {
		text, err := json.MarshalIndent(d.grafana(), "", " ")
		if err != nil {
			panic(err) // of maps and texts: it cannot be
		}
		files[d.uid+".json"] = append(text, '\n')
	}
	return files
}

func (d dashboard) grafana() map[string]any {
	var panels []any
	for i, p := range d.panels {
		panels = append(panels, map[string]any{
			"id": i + 1, "type": "timeseries", "title": p.title, "description": p.about,
			"datasource":  map[string]any{"type": "prometheus", "uid": "prometheus"},
			"gridPos":     map[string]any{"x": 12 * (i % 2), "y": 8 * (i / 2), "w": 12, "h": 8},
			"fieldConfig": map[string]any{"defaults": map[string]any{"unit": p.unit}, "overrides": []any{}},
			"targets":     []any{map[string]any{"refId": "A", "expr": p.query, "legendFormat": p.legend}},
		})
	}
	return map[string]any{
		"uid": d.uid, "title": d.title, "schemaVersion": 38, "tags": []string{"bursar"}, "refresh": "10s",
		"time": map[string]any{"from": "now-1h", "to": "now"}, "editable": true, "panels": panels,
	}
}
