package monitoring_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/the-block/bursar/monitoring"
)

var update = flag.Bool("update", false, "write the generated documents anew")

const referencePath = "../docs/reference/metrics.md"

func TestMetricsReferenceIsUpToDate(t *testing.T) {
	var out bytes.Buffer
	out.WriteString("# Metrics\n\nGenerated from the catalog in `monitoring`: `go test ./monitoring -run UpToDate -update`.\n\n" +
		"Served at `/metrics` of a node's HTTP port (base port + 3). Counters begin at 0 with the process. " +
		"The last column is the most\nseries a node can export of the family, whatever is thrown at it.\n\n" +
		"| family | type | labels | meaning | series |\n| --- | --- | --- | --- | --- |\n")
	total := monitoring.RuntimeSeriesMax
	for _, family := range monitoring.Families() {
		total += family.SeriesMax
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %d |\n",
			family.Name, family.Type, strings.Join(family.Labels, ", "), family.Help, family.SeriesMax)
	}
	fmt.Fprintf(&out, "\nWith at most %d series of Go's runtime (`go_*`) and the process (`process_*`) that is %d of at most %d.\n",
		monitoring.RuntimeSeriesMax, total, monitoring.SeriesMax)
	if *update {
		if err := os.WriteFile(referencePath, out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(referencePath)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(written, out.Bytes()) {
		t.Error("docs/reference/metrics.md is out of date: go test ./monitoring -run UpToDate -update")
	}
}
