package main

import (
	"strings"
	"testing"
	"testing/synctest"
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
	if f.all() != 13 || f.paid() != 9 || f.open() != 7 {
		t.Errorf("all %d, paid %d, open %d, want 13, 9, 7", f.all(), f.paid(), f.open())
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

func TestADisplayWithoutATerminalPrintsPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		d := newDisplay(&out)
		d.event("n1 is ready")
		for range 10 { // 2.5 s
			d.show([]string{"panel"}, "epoch 7: ", "summary "+time.Now().Format("05"))
			time.Sleep(250 * time.Millisecond)
		}
		if got := strings.Count(out.String(), "summary"); got != 3 {
			t.Errorf("%d summaries in 2.5 s, want 3:\n%s", got, out.String())
		}
		before := out.String()
		time.Sleep(time.Hour)
		d.show(nil, "epoch 8: ", "summary "+time.Unix(0, 0).Format("05"))
		time.Sleep(time.Hour)
		d.show(nil, "epoch 9: ", "summary "+time.Unix(0, 0).Format("05"))
		if news := strings.TrimPrefix(out.String(), before); news != "epoch 8: summary 00\n" {
			t.Errorf("printed %q, want what is new once", news)
		}
		if strings.ContainsAny(out.String(), "\x1b\r") || strings.Contains(out.String(), "panel") {
			t.Errorf("a pipe got what is for terminals: %q", out.String())
		}
	})
}

func TestADisplayOnATerminalReplacesItsPanel(t *testing.T) {
	var out strings.Builder
	d := &display{out: &out, live: true}
	d.show([]string{"a", "b"}, "", "")
	d.show([]string{"c"}, "", "")
	d.keep()
	d.event("done")
	if got, want := out.String(), "a\nb\n\x1b[2A\x1b[Jc\ndone\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestABarWithoutATerminalPrintsPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		b := newBar(&out, 4)
		for done := range 4 {
			time.Sleep(time.Second)
			b.show(done+1, "x")
		}
		b.end(4, "x")
		if got, want := out.String(), "2 of 4 (50 %): x\n4 of 4 (100 %): x\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
