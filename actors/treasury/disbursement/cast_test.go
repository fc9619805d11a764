package disbursement_test

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/the-block/bursar/actors/treasury/disbursement"
	"github.com/the-block/bursar/messages"
)

// The bytes of a vote stay readable.
func TestCastVotesKeepTheirBytes(t *testing.T) {
	c := disbursement.Cast{
		Vote: disbursement.Vote{House: messages.Builders, Voter: "bob", WeightPPM: 300, Approve: true},
		At:   1_700_000_000, Node: "n1", Who: "loopback", Reason: "für alle",
	}
	const golden = "018203626f62ac0280e2cfaa06026e31086c6f6f706261636b0966c3bc7220616c6c65"
	data := disbursement.AppendCast(nil, &c)
	if got := hex.EncodeToString(data); got != golden {
		t.Errorf("got %s, want %s", got, golden)
	}
	data[0]++
	if got, err := disbursement.DecodeCast(data); !errors.Is(err, disbursement.ErrCorrupt) {
		t.Errorf("an unknown version: %+v, %v", got, err)
	}
}

func TestCastVotesSurviveTheirEncoding(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringN(0, 20, 60)
		c := disbursement.Cast{
			Vote: disbursement.Vote{
				House:     rapid.SampledFrom([]messages.House{messages.Operators, messages.Builders}).Draw(t, "house"),
				Voter:     text.Draw(t, "voter"),
				WeightPPM: messages.PPM(rapid.Uint64().Draw(t, "weight")),
				Approve:   rapid.Bool().Draw(t, "approve"),
			},
			At: rapid.Uint64().Draw(t, "at"), Node: messages.NodeID(text.Draw(t, "node")), Who: text.Draw(t, "who"), Reason: text.Draw(t, "reason"),
		}
		data := disbursement.AppendCast(nil, &c)
		got, err := disbursement.DecodeCast(data)
		if diff := cmp.Diff(got, c); err != nil || diff != "" {
			t.Fatalf("%v (-got +want):\n%s", err, diff)
		}
		for cut := range data {
			if _, err := disbursement.DecodeCast(data[:cut]); !errors.Is(err, disbursement.ErrCorrupt) {
				t.Fatalf("cut at %d: %v", cut, err)
			}
		}
		if _, err := disbursement.DecodeCast(append(data, 0)); !errors.Is(err, disbursement.ErrCorrupt) {
			t.Fatalf("with a byte behind it: %v", err)
		}
	})
}
