package durable_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/the-block/bursar/actors"
	"github.com/the-block/bursar/actors/durable"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/persistence"
	"github.com/the-block/bursar/persistence/persistencetest"
)

// The keys of the domain: one row a meter.
const tableMeters persistence.Table = 'm'

func meterKey(meter string) persistence.Key { return persistence.NameKey(tableMeters, meter) }

// register is the rule of the domain, and pure: a meter's register only grows.
func register(before, reading uint64) (after uint64, refusal *messages.Error) {
	if reading <= before {
		return 0, messages.Errorf(messages.CodeValidationFailed, "the register stands at %d already", before)
	}
	return reading, nil
}

// Reading is a command: a meter's register, as somebody read it.
type Reading struct {
	durable.Request
	Meter    string
	Register uint64
}

// takenReply is how the answer is remembered with its request id. A domain's answers are
// results of package messages; this one is borrowed.
var takenReply = durable.Reply[messages.AccrueResult]{
	Kind: "reading", Repeat: func(r *messages.AccrueResult) { r.Duplicate = true },
}

func taken(register uint64) *messages.AccrueResult {
	return &messages.AccrueResult{Balance: messages.Amount(register)}
}

// Recall implements durable.Command.
func (*Reading) Recall(reply []byte) (any, bool) {
	result, ok := takenReply.Recall(reply)
	return result, ok
}

// meters is the kind of a meter's actor. Readings without a request id are decided about
// up to 256 at once.
var meters = durable.Kind{Name: "meter", Idle: 30 * time.Second, QueueMax: 1024, BatchMax: 256, TriesMax: 16}

// meter is one meter as its own actor sees it.
type meter struct {
	store *persistence.Store
	name  string
}

// Decide implements durable.Entity: it reads the meter, and has all readings that the rule
// takes committed as one write.
func (m *meter) Decide(commands []durable.Command) (none durable.Change, err error) {
	value, ok, err := m.store.Get(meterKey(m.name))
	if err != nil {
		return none, err
	}
	before, same := uint64(0), persistence.Absent(meterKey(m.name))
	if ok {
		before, same = binary.BigEndian.Uint64(value.Data), persistence.VersionIs(meterKey(m.name), value.Version)
	}
	var good []*Reading
	for _, c := range commands {
		r := c.(*Reading)
		after, refusal := register(before, r.Register)
		if refusal != nil && !r.Confirmed { // the Store may be behind what the caller knows
			return durable.Change{Unsure: true}, nil
		}
		if refusal != nil {
			r.Fail(refusal)
			continue
		}
		before, good = after, append(good, r)
	}
	if len(good) == 0 {
		return none, nil
	}
	return durable.Change{
		Txn: &persistence.Txn{
			Conditions: []persistence.Condition{same},
			Writes:     []persistence.Write{{Key: meterKey(m.name), Tag: 1, Value: binary.BigEndian.AppendUint64(nil, before)}},
		},
		Reply: takenReply.Encode(taken(before)),
		Done: func(persistence.Result) {
			for _, r := range good {
				r.Reply(taken(r.Register))
			}
		},
	}, nil
}

// shard is the parent of the meters that belong to one shard.
type shard struct {
	durable.Seat
	durable.Children
}

func (*shard) Start(durable.Context) error { return nil }
func (s *shard) FailPending()              { s.FailParked() }
func (s *shard) Drained() bool             { return !s.Parked() }

func (s *shard) Receive(ctx durable.Context, msg any) error {
	switch msg := msg.(type) {
	case *Reading:
		s.forward(ctx, msg)
	case durable.Ended:
		for _, c := range s.Unpark(msg) {
			s.forward(ctx, c.(*Reading))
		}
	case durable.Activate:
		s.Activate(ctx)
	default:
		return fmt.Errorf("shard %d: unknown message %T", s.Shard, msg)
	}
	return nil
}

func (s *shard) forward(ctx durable.Context, r *Reading) {
	s.Forward(ctx, "meter-"+r.Meter, func() durable.Entity { return &meter{s.Store, r.Meter} }, r)
}

// caller prints its answer.
type caller chan struct{}

func (c caller) Reply(result any)         { fmt.Printf("%+v\n", *result.(*messages.AccrueResult)); close(c) }
func (c caller) Fail(err *messages.Error) { fmt.Println(err.Code, err.Message); close(c) }

// A kind of entity: meters, whose registers are kept in the log.
func Example() {
	// A node has these: a Store that follows the log, a journal, the actor runtime.
	dir, _ := os.MkdirTemp("", "durable")
	defer func() { _ = os.RemoveAll(dir) }()
	store, _ := persistence.Open(dir, persistence.DefaultStoreConfig())
	log := persistencetest.NewLog(persistence.NewFSM(store))
	journal, _ := persistence.NewJournal(persistence.DefaultJournalConfig(), log)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- journal.Run(ctx) }()
	system, _ := actors.New(actors.DefaultConfig(), slog.New(slog.DiscardHandler))

	// The domain's actors: one shard here, below a supervisor of their own.
	host := durable.NewHost(1, durable.On(system), store, journal, durable.ThisMachine())
	seat := durable.Seat{Host: host, Shard: 0}
	root, _ := host.SpawnTree("meters", durable.Member{Shard: 0, Spec: durable.Spec{
		Name: "shard-00", Kind: "shard",
		New: func() durable.Actor { return &shard{seat, durable.NewChildren(seat, &meters)} },
	}})

	ask := func(id string, register uint64) {
		answered := make(caller)
		host.SendRequest(0, &Reading{
			Request: durable.Request{To: answered, ID: id, Hash: [16]byte{byte(register)}, Deadline: time.Now().Add(5 * time.Second)},
			Meter:   "attic", Register: register,
		})
		<-answered
	}
	ask("first", 7)
	// The log makes this node the owner, and the node says so.
	_, _ = log.Commit(&persistence.Txn{Assigns: []persistence.Assign{{Shard: 0, Owner: "n1"}}})
	host.Own(map[messages.ShardID]messages.Fence{0: 1})
	ask("first", 7)
	ask("first", 7)
	ask("first", 8)
	ask("second", 6)

	_ = durable.StopAll(ctx, root)
	_ = system.Stop(ctx)
	stop()
	<-ended
	_ = store.Close()
	// Output:
	// unavailable shard 0 has no owner here; try again
	// {Balance:7 Duplicate:false}
	// {Balance:7 Duplicate:true}
	// request_id_conflict this request_id was used before with other parameters; choose a new one
	// validation_failed the register stands at 7 already
}
