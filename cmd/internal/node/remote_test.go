package node_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/the-block/bursar/actors"
)

// doubler answers numbers with their double.
type doubler struct{}

func (doubler) Receive(ctx *actors.Context, msg any) error {
	ctx.Reply(msg.(number) * 2)
	return nil
}

type number uint8

func TestAnActorOfAnotherNodeAnswers(t *testing.T) {
	codecs := new(actors.Codecs)
	err := actors.Register(codecs, 1,
		func(b []byte, n number) []byte { return append(b, byte(n)) },
		func(b []byte) (number, error) {
			if len(b) != 1 {
				return 0, errors.New("want one byte")
			}
			return number(b[0]), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	members := startThreeWith(t, codecs)
	if _, err = members[1].node.Actors().Spawn(actors.Spec{Name: "doubler", New: func() actors.Actor { return doubler{} }}); err != nil {
		t.Fatal(err)
	}
	ref, err := members[2].node.Actors().RefOn("n2", "/doubler")
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "an answer of another node's actor", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := actors.Ask[number](ctx, ref, number(21))
		return err == nil && got == 42
	})
}
