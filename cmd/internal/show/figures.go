package show

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/the-block/bursar/cmd/internal/localcluster"
	"github.com/the-block/bursar/messages"
)

// Figures are a node's metrics: the value of each series, by its name with labels.
type Figures map[string]float64

// ReadFigures scrapes a node: page is the URL of its metrics.
func ReadFigures(ctx context.Context, client *http.Client, page string) (Figures, error) {
	status, body, err := localcluster.Fetch(ctx, client, page)
	if err != nil {
		return nil, err
	}
	if status != http.StatusOK {
		return nil, fmt.Errorf("/metrics answered %d", status)
	}
	return parseFigures(body), nil
}

// parseFigures reads Prometheus' text format as far as a node writes it: a line is
// a series and its value.
func parseFigures(text string) Figures {
	f := make(Figures)
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		space := strings.LastIndexByte(line, ' ')
		if space < 0 || line[0] == '#' {
			continue
		}
		if value, err := strconv.ParseFloat(line[space+1:], 64); err == nil {
			f[line[:space]] = value
		}
	}
	return f
}

// count is a series as a whole number, 0 if it is not there.
func (f Figures) count(series string) uint64 { return uint64(f[series]) }

// in is how many disbursements are in a state now.
func (f Figures) in(state messages.State) uint64 {
	return f.count(`bursar_treasury_disbursements{status="` + state.String() + `"}`)
}

// paid counts what has left the treasury and not come back.
func (f Figures) paid() uint64 { return f.in(messages.Executed) + f.in(messages.Finalized) }

// all counts every disbursement.
func (f Figures) all() uint64 {
	var n uint64
	for _, state := range messages.States() {
		n += f.in(state)
	}
	return n
}
