package show

import (
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
)

func TestFiguresComeFromTheTextFormat(t *testing.T) {
	f := parseFigures(`# HELP treasury_balance Balance
# TYPE treasury_balance gauge
treasury_balance 4.35161974e+09
bursar_treasury_disbursements{status="draft"} 3
bursar_treasury_disbursements{status="executed"} 4
bursar_treasury_disbursements{status="finalized"} 5
bursar_treasury_disbursements{status="rolled_back"} 1
broken line

`)
	if f.count("treasury_balance") != 4_351_619_740 || f.in(messages.Draft) != 3 {
		t.Errorf("figures %v", f)
	}
	if f.all() != 13 || f.paid() != 9 {
		t.Errorf("all %d, paid %d, want 13, 9", f.all(), f.paid())
	}
}

func TestARateLooksBackASecond(t *testing.T) {
	var r rate
	start := time.Unix(0, 0)
	var last uint64
	for i := range 20 { // 10 each 200 ms, then nothing more
		last = r.add(start.Add(time.Duration(i)*200*time.Millisecond), uint64(min(i, 10)*10))
		if i == 10 && last != 50 {
			t.Errorf("rate %d, want 50", last)
		}
	}
	if last != 0 {
		t.Errorf("rate %d after a second without growth", last)
	}
	if got := r.add(start.Add(5*time.Second), 3); got != 0 {
		t.Errorf("rate %d of a counter that began anew", got)
	}
}
