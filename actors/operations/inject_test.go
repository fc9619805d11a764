package operations_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/operations"
	"github.com/the-block/bursar/messages"
)

// troubled lets operators inject faults.
func troubled(c *operations.Config) { c.FaultInjection = true }

var internal = &messages.Error{Code: messages.CodeInternal}

func TestANodeInjectsFaultsOnlyWhereItWasStartedForThat(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a")
		defer n.stop()
		_, refusal := n.Inject(n.within(), n.caller(), &messages.InjectParams{Path: "/shop/till", Mode: "panic"})
		refused(t, refusal, messages.CodeUnauthorized)
		if err := n.ask("/shop/till", 1); err != nil || len(n.rows()) != 0 {
			t.Errorf("%v, %v; want no trouble and no row", err, n.rows())
		}
	})
}

func TestAnInjectedFaultHappensOnceOnThatNodeAndIsAudited(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		a, b := boot(t, log, "a", troubled), boot(t, log, "b", troubled)
		defer a.stop()
		c := a.caller()
		p := &messages.InjectParams{Path: "/shop/till", Mode: "panic"}
		for i := range 2 { // the second is a repeat
			r, refusal := a.Inject(a.within(), c, p)
			if refusal != nil || *r != (messages.InjectResult{Node: "a", AuditID: 1, Duplicate: i > 0}) {
				t.Fatalf("call %d: %+v, %v", i, r, refusal)
			}
		}
		if err := a.ask("/shop/till", 1); !errors.Is(err, internal) {
			t.Errorf("the message it happens to: %v", err)
		}
		if err := a.ask("/shop/till", 1); err != nil {
			t.Errorf("the next: %v", err)
		}
		if err := b.ask("/shop/till", 1); err != nil {
			t.Errorf("on another node: %v", err)
		}
		if _, refusal := a.Inject(a.within(), a.caller(), &messages.InjectParams{
			Kind: "till", Mode: "slow", Times: 2, DelayMS: 50,
		}); refusal != nil {
			t.Fatal(refusal)
		}
		want := []string{"2 ada a inject kind:till slow, 2 times, 50ms", "1 ada a inject /shop/till panic, 1 times"}
		if diff := cmp.Diff(a.rows(), want); diff != "" {
			t.Errorf("audit: got -, want +\n%s", diff)
		}

		b.stop()
		b = boot(t, log, "b", troubled) // what was injected is not in the log a second time
		defer b.stop()
		if err := b.ask("/shop/till", 1); err != nil || b.system.FaultsWaiting() != 0 {
			t.Errorf("after a restart: %v, %d faults wait", err, b.system.FaultsWaiting())
		}
	})
}

func TestFaultsThatMakeNoSenseAreRefused(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a", troubled)
		defer n.stop()
		const invalid, missing = messages.CodeValidationFailed, messages.CodeNotFound
		for name, c := range map[string]struct {
			p    messages.InjectParams
			code messages.Code
			says string
		}{
			"no mode":       {messages.InjectParams{Path: "/shop/till", Mode: "fire"}, invalid, `"fire"`},
			"nobody":        {messages.InjectParams{Mode: "panic"}, invalid, "by path"},
			"both":          {messages.InjectParams{Path: "/shop", Kind: "till", Mode: "panic"}, invalid, `"till"`},
			"too often":     {messages.InjectParams{Path: "/shop", Mode: "panic", Times: 1 << 40}, invalid, "params.times"},
			"no delay":      {messages.InjectParams{Path: "/shop", Mode: "stall"}, invalid, "params.delay_ms"},
			"endless":       {messages.InjectParams{Path: "/shop", Mode: "stall", DelayMS: 1 << 62}, invalid, "params.delay_ms"},
			"a bit long":    {messages.InjectParams{Path: "/shop", Mode: "slow", DelayMS: 600_001}, invalid, "600001"},
			"no path":       {messages.InjectParams{Path: "shop", Mode: "panic"}, invalid, `"shop"`},
			"unknown actor": {messages.InjectParams{Path: "/shop/tlil", Mode: "panic"}, missing, "/shop/tlil"},
			"unknown kind":  {messages.InjectParams{Kind: "tlil", Mode: "panic"}, missing, `"tlil"; there are root, shop, till`},
		} {
			_, refusal := n.Inject(n.within(), n.caller(), &c.p)
			if refusal == nil || refusal.Code != c.code || !strings.Contains(refusal.Message, c.says) {
				t.Errorf("%s: %v, want %v with %s", name, refusal, c.code, c.says)
			} else if strings.Contains(refusal.Message, "actors:") {
				t.Errorf("%s: the text is of the inside: %v", name, refusal)
			}
		}
		if rows := n.rows(); len(rows) != 0 || n.system.FaultsWaiting() != 0 {
			t.Errorf("%v, %d faults wait; want no trace", rows, n.system.FaultsWaiting())
		}
	})
}

func TestFaultsThatWaitAreBoundedAndNoneIsAuditedInVain(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a", troubled)
		defer n.stop()
		p := &messages.InjectParams{Path: "/shop/till", Mode: "error"}
		for range actors.FaultsMax {
			if _, refusal := n.Inject(n.within(), n.caller(), p); refusal != nil {
				t.Fatal(refusal)
			}
		}
		_, refusal := n.Inject(n.within(), n.caller(), p)
		refused(t, refusal, messages.CodeOverloaded)
		if rows := n.rows(); len(rows) != actors.FaultsMax {
			t.Errorf("%d rows, want %d", len(rows), actors.FaultsMax)
		}
	})
}

func TestAFaultMayWaitForAKindThatIsToCome(t *testing.T) {
	live(t, func(t *testing.T, log *sharedLog) {
		n := boot(t, log, "a", troubled, func(c *operations.Config) { c.Kinds = []string{"customer-7"} })
		defer n.stop()
		p := &messages.InjectParams{Kind: "customer-7", Mode: "panic"}
		if _, refusal := n.Inject(n.within(), n.caller(), p); refusal != nil {
			t.Fatal(refusal)
		}
		if err := n.ask("/shop", "customer-7"); err != nil {
			t.Fatal(err)
		}
		if err := n.ask("/shop/customer-7", 1); !errors.Is(err, internal) {
			t.Errorf("the first of its kind: %v", err)
		}
	})
}
