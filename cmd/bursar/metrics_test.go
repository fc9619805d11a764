package main

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/the-block/bursar/cmd/internal/node"
	"github.com/the-block/bursar/monitoring"
)

const metricsPath = "../../docs/reference/metrics.md"

func TestMetricsReferenceIsUpToDate(t *testing.T) {
	var out bytes.Buffer
	out.WriteString("# Metrics\n\nGenerated from the tags beside the counters: `go test ./cmd/bursar -run UpToDate -update`.\n\n" +
		"Served at `/metrics` of a node's HTTP port (base port + 3). Counters begin at 0 with the process and never fall. " +
		"The last column is the most\nseries a node can export of the family, whatever is thrown at it. " +
		"A histogram has classic buckets and, for whoever scrapes protobuf, those of a\nnative histogram of schema 2.\n\n" +
		"| family | type | labels | meaning | series |\n| --- | --- | --- | --- | --- |\n")
	total := monitoring.RuntimeSeriesMax
	for _, family := range node.Families() {
		total += family.SeriesMax
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %d |\n",
			family.Name, family.Type, strings.Join(family.Labels, ", "), family.Help, family.SeriesMax)
	}
	fmt.Fprintf(&out, "\nWith at most %d series of Go's runtime (`go_*`) and the process (`process_*`) that is %d of at most %d.\n",
		monitoring.RuntimeSeriesMax, total, monitoring.SeriesMax)
	if total > monitoring.SeriesMax {
		t.Errorf("the ceilings add up to %d, over %d", total, monitoring.SeriesMax)
	}
	if *update {
		if err := os.WriteFile(metricsPath, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(metricsPath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, out.Bytes()) {
		t.Error("docs/reference/metrics.md is out of date: go test ./cmd/bursar -run UpToDate -update")
	}
}

// Two packages must not declare the same family: each has one home.
func TestFamiliesAreDeclaredOnce(t *testing.T) {
	seen := make(map[string]bool)
	for _, family := range node.Families() {
		if seen[family.Name] {
			t.Errorf("%s is declared twice", family.Name)
		}
		seen[family.Name] = true
		if !strings.HasSuffix(family.Help, ".") {
			t.Errorf("the help of %s is no sentence: %q", family.Name, family.Help)
		}
	}
}
