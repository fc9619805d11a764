package terminal_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/the-block/bursar/cmd/internal/terminal"
)

func TestTextOfStrangersCannotMoveTheCursor(t *testing.T) {
	for text, want := range map[string]string{
		"a\x1b[2J\nb\u202e c":    `a\x1b[2J\nb\u202e c`,
		"tb1\u200bx\u00a0\ufeff": `tb1\u200bx\u00a0\ufeff`,
		"bad \xff byte":          `bad \xff byte`,
		"\ufffd äöü – 日本":        "\ufffd äöü – 日本",
	} {
		if got := terminal.Visible(text); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if got, want := terminal.Shorten("äöüßäöüß", 4), "äöü…"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestWhateverStrangersWriteIsVisible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := string(rapid.SliceOf(rapid.Byte()).Draw(t, "text"))
		for _, r := range terminal.Visible(text) + terminal.Shorten(text, 20) {
			if !unicode.IsPrint(r) {
				t.Fatalf("%q lets %q through", text, r)
			}
		}
	})
}

func TestADisplayWithoutATerminalPrintsPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		d := terminal.NewDisplay(&out)
		d.Event("n1 is ready")
		for range 10 { // 2.5 s
			d.Show([]string{"panel"}, "epoch 7: ", "summary "+time.Now().Format("05"))
			time.Sleep(250 * time.Millisecond)
		}
		if got := strings.Count(out.String(), "summary"); got != 3 {
			t.Errorf("%d summaries in 2.5 s, want 3:\n%s", got, out.String())
		}
		before := out.String()
		time.Sleep(time.Hour)
		d.Show(nil, "epoch 8: ", "summary "+time.Unix(0, 0).Format("05"))
		time.Sleep(time.Hour)
		d.Show(nil, "epoch 9: ", "summary "+time.Unix(0, 0).Format("05"))
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
	d := terminal.NewDisplay(&out)
	d.Live = true
	d.Show([]string{"a", "b"}, "", "")
	d.Show([]string{"c"}, "", "")
	d.Keep()
	d.Event("done")
	if got, want := out.String(), "a\nb\n\x1b[2A\x1b[Jc\ndone\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestABarWithoutATerminalPrintsPlainLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		b := terminal.NewBar(&out, 4)
		for done := range 4 {
			time.Sleep(time.Second)
			b.Show(done+1, "x")
		}
		b.End(4, "x")
		if got, want := out.String(), "2 of 4 (50 %): x\n4 of 4 (100 %): x\n"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestALongLineOfAPanelIsWrappedNotCut(t *testing.T) {
	var out strings.Builder
	d := terminal.NewDisplay(&out)
	d.Live = true
	line := "  keys: " + strings.Repeat("k kill -9   ", 12)
	d.Show([]string{line}, "", "")
	d.Show([]string{"x"}, "", "")
	shown := strings.Split(out.String(), "\n")
	if len(shown) != 4 || !strings.HasPrefix(shown[2], "\x1b[2A") || strings.Join(strings.Fields(shown[0]+shown[1]), "") != strings.ReplaceAll(line, " ", "") {
		t.Errorf("shown %q", shown)
	}
}
