package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/energy/oracle"
	"github.com/the-block/bursar/actors/energy/oracle/meter"
	"github.com/the-block/bursar/messages"
)

func newOracle(std streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "oracle",
		Short: "Report energy: make a key, register a provider, hand in what its meter says",
		Long: `An oracle is an energy provider that signs what its meter says. Its key stays in a file of its own,
which only its owner can read; it is never sent and never logged.`,
		Example: `  bursar oracle keygen roof.key
  bursar oracle register --key roof.key --owner tb1roof --meter-address DE0001 --capacity-kwh 50000 --price-per-kwh 30 --jurisdiction DE
  bursar oracle run --key roof.key --provider energy-0x00000000 --meter-address DE0001 --from readings.csv`,
	}
	command.AddCommand(newKeygen(std, "  bursar oracle keygen roof.key", ""), newOracleRegister(std), newOracleRun(std))
	return command
}

func exactlyOneFile(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return errors.New("name a FILE")
	}
	return atMost(1)(cmd, args)
}

// readKey reads what keygen wrote. A file that others can read is refused.
func readKey(name string) (signer oracle.Signer, err error) {
	if name == "" {
		return signer, usagef("--key: name the key's file; 'bursar oracle keygen' makes one")
	}
	seed, err := readSeed(name)
	if err != nil {
		return signer, err
	}
	return oracle.NewSigner(seed), nil
}

func newOracleRegister(std streams) *cobra.Command {
	var to target
	var form format
	var key string
	p := &messages.RegisterProviderParams{}
	command := &cobra.Command{
		Use:     "register",
		Short:   "Register a provider",
		Long:    "Registers a provider with its meter, which no other has, its key and its stake, and prints its id.",
		Example: "  bursar oracle register --key roof.key --owner tb1roof --meter-address DE0001 --capacity-kwh 50000 --price-per-kwh 30 --jurisdiction DE",
		Args:    atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			signer, err := readKey(key)
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(cmd.Context(), to.timeout)
			defer cancel()
			link := to.connect()
			defer link.Close()
			p.Key, p.RequestID = signer.Public(), cmp.Or(p.RequestID, "cli-"+rand.Text())
			var result messages.RegisterProviderResult
			if err := link.Call(ctx, messages.MethodRegisterProvider, p, &result); err != nil {
				return err
			}
			return printFacts(std.out, form, "registered as "+result.Provider.String(),
				[]fact{{"provider_id", result.Provider.String()}, {"duplicate", result.Duplicate}})
		},
	}
	to.flags(command)
	form.flag(command)
	flags := command.Flags()
	flags.StringVar(&key, "key", "", "file with the key")
	flags.StringVar(&p.Owner, "owner", "", "who owns it: the name in a certificate, an account")
	flags.StringVar(&p.Meter, "meter-address", "", "the meter, which no other provider has")
	flags.StringVar(&p.Jurisdiction, "jurisdiction", "", "whose law it is under")
	uintVar(flags, &p.Capacity, "capacity-kwh", "", 0, "what it has to sell, in kWh")
	uintVar(flags, &p.Price, "price-per-kwh", "", 0, "price of a kWh in the smallest unit of BLOCK")
	uintVar(flags, &p.Stake, "stake", "", 1000, "what is put down")
	requestIDVar(flags, &p.RequestID)
	return command
}

// reporting is the run command as its flags describe it.
type reporting struct {
	std      streams
	to       target
	form     format
	key      string
	provider string
	meter    string
	from     string
	format   string
	zone     string
	serial   string
	export   bool
	backfill bool
	beyond   bool
	batch    int
	retryFor time.Duration
}

func newOracleRun(std streams) *cobra.Command {
	r := reporting{std: std}
	command := &cobra.Command{
		Use:   "run",
		Short: "Sign what a meter says and hand it in",
		Long: `Reads what a meter or a portal gives, signs each reading and hands it in, until the source ends or
Ctrl-C. Started again it takes up where the market stands: readings of times that the market has, or is
past, are passed over, and how many is told.
A reading whose answer got lost is handed in again, the very same one, so none counts twice.

Formats: csv (time and cumulative kWh, or a header that names timestamp and total_kwh or
interval_kwh), dsmr (telegrams of a P1 port), nem12, espi (Green Button), pvoutput. What is passed
over is told on standard error with its line: values that are missing or estimated, hours that come
twice or not at all when clocks change, meters that were exchanged, registers that ran over. Energy is
kept to a thousandth of a Wh; the whole kWh of the register are reported, so that nothing is lost.

At a reading that would mint more than the provider's whole capacity it stops: the market would take it,
nothing takes it back, and every lower one is refused after it.

The exit code is 1 if a reading was refused, and if the source holds none.`,
		Example: `  bursar oracle run --key roof.key --provider energy-0x00000000 --meter-address DE0001 --from readings.csv
  cat /dev/ttyUSB0 | bursar oracle run --key p1.key --provider energy-0x00000001 --meter-address NL7 --format dsmr --export
  bursar oracle run --key roof.key --provider energy-0x00000000 --meter-address DE0001 --from 2025.csv --backfill --zone Europe/Berlin`,
		Args: atMost(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return r.run(cmd.Context()) },
	}
	r.to.flags(command)
	r.form.flag(command)
	flags := command.Flags()
	flags.StringVar(&r.key, "key", "", "file with the key")
	flags.StringVar(&r.provider, "provider", "", "the provider's id: energy-0x...")
	flags.StringVar(&r.meter, "meter-address", "", "the provider's meter")
	flags.StringVar(&r.from, "from", "-", `file to read; "-" is standard input`)
	flags.StringVar(&r.format, "format", "csv", "what it is: "+strings.Join(meter.Formats(), ", "))
	flags.StringVar(&r.zone, "zone", "UTC", "time zone of times that name none, such as Europe/Berlin")
	flags.StringVar(&r.serial, "serial", "", "read the rows of this meter only, of a CSV that holds several")
	flags.BoolVar(&r.export, "export", false, "read what was fed in, not what was taken, where the source tells both")
	flags.BoolVar(&r.backfill, "backfill", false, "readings may be as old as the market's backfill_window allows")
	flags.BoolVar(&r.beyond, "beyond-capacity", false, "hand in readings too that add more than the provider's whole capacity")
	intVar(flags, &r.batch, "batch", 256, "readings handed in at a time; 1 for a meter that is read as it runs")
	flags.DurationVar(&r.retryFor, "retry-for", 5*time.Minute, "how long to try while no node answers")
	return command
}

func (r *reporting) run(ctx context.Context) error {
	signer, err := readKey(r.key)
	if err != nil {
		return err
	}
	id, ok := messages.ParseProviderID(r.provider)
	switch {
	case !ok:
		return usagef("--provider: %q is not like energy-0x00000000", r.provider)
	case r.meter == "":
		return usagef("--meter-address: name the provider's meter")
	case r.batch < 1 || r.batch > messages.ReadingsMax:
		return usagef("--batch: %d is not 1 to %d", r.batch, messages.ReadingsMax)
	}
	zone, err := time.LoadLocation(r.zone)
	if err != nil {
		return usagef("--zone: %v", err)
	}
	source := r.std.in
	if r.from != "-" {
		file, err := os.Open(r.from)
		if err != nil {
			return err
		}
		defer file.Close()
		source = file
	}
	reader, err := meter.Open(r.format, source, meter.Options{Zone: zone, Export: r.export, Serial: r.serial,
		Say: func(n meter.Note) { fmt.Fprintln(r.std.err, n) }})
	if err != nil {
		return usagef("--format: %v", err)
	}
	link := r.to.connect()
	defer link.Close()
	o := oracle.New(oracle.Config{Provider: id, Meter: r.meter, Signer: signer, Backfill: r.backfill, BeyondCapacity: r.beyond}, link)
	if err := r.resume(ctx, o); err != nil {
		return err
	}
	return r.report(ctx, o, reader)
}

// resume finds the provider before anything is read: that there is one, with this meter and
// key.
func (r *reporting) resume(ctx context.Context, o *oracle.Oracle) error {
	ctx, cancel := context.WithTimeout(ctx, r.retryFor)
	defer cancel()
	_, err := o.Resume(ctx)
	return err
}

// tally counts what became of readings.
type tally struct{ read, accepted, passed, refused, kwh uint64 }

func (r *reporting) say(at int64, format string, args ...any) {
	fmt.Fprintf(r.std.err, "%s: %s\n", time.Unix(at, 0).UTC().Format(time.RFC3339), fmt.Sprintf(format, args...))
}

// report hands in all that the reader gives.
func (r *reporting) report(ctx context.Context, o *oracle.Oracle, reader meter.Reader) error {
	var register meter.Register
	var waiting []oracle.Reading
	var t tally
	for {
		p, err := reader.Next()
		if err == nil {
			note, ok := register.Take(p)
			if note != "" {
				r.say(p.At, "%s", note)
			}
			switch {
			case ok && p.At > 0:
				t.read++
				waiting = append(waiting, oracle.Reading{At: uint64(p.At), KWh: register.Total.KWh()})
			case ok:
				r.say(p.At, "a time before 1970: passed over")
			}
		}
		if len(waiting) >= r.batch || err != nil && len(waiting) > 0 {
			if err := r.submit(ctx, o, waiting, &t); err != nil {
				return err
			}
			waiting = waiting[:0]
		}
		switch {
		case errors.Is(err, io.EOF) && t.read == 0:
			return fmt.Errorf("%s holds no reading of format %s", r.source(), r.format)
		case errors.Is(err, io.EOF):
			return r.tell(&t)
		case err != nil:
			return fmt.Errorf("%s: %w", r.source(), err)
		case ctx.Err() != nil:
			if len(waiting) > 0 {
				fmt.Fprintf(r.std.err, "%d readings were read and not handed in: the same command goes on with them\n", len(waiting))
			}
			return r.tell(&t)
		}
	}
}

// source names what is read.
func (r *reporting) source() string {
	if r.from == "-" {
		return "standard input"
	}
	return r.from
}

func (r *reporting) submit(ctx context.Context, o *oracle.Oracle, list []oracle.Reading, t *tally) error {
	ctx, cancel := context.WithTimeout(ctx, r.retryFor)
	defer cancel()
	outcomes, err := o.Submit(ctx, list)
	beyond := errors.Is(err, oracle.ErrBeyondCapacity)
	if err != nil && !beyond {
		return err
	}
	passed, last := uint64(0), uint64(0)
	for _, out := range outcomes {
		switch {
		case out.Passed:
			passed, last = passed+1, out.At
		case out.Err != nil:
			t.refused++
			r.say(int64(out.At), "%s: %s", out.Err.Code, out.Err.Message)
		default:
			t.accepted++
			t.kwh += out.Credit
		}
	}
	if passed > 0 {
		t.passed += passed
		r.say(int64(last), "%d readings up to here are of times that the market has, or is past: passed over", passed)
	}
	if beyond {
		return errors.Join(r.tell(t), fmt.Errorf("%w; it was not handed in, because nothing takes it back and every lower one is refused after it; "+
			"if it is right, add --beyond-capacity", err))
	}
	return nil
}

func (r *reporting) tell(t *tally) error {
	title := fmt.Sprintf("%d readings are in, worth %d kWh; %d were passed over, %d refused", t.accepted, t.kwh, t.passed, t.refused)
	err := printFacts(r.std.out, r.form, title, []fact{
		{"accepted", t.accepted}, {"credit_kwh", t.kwh}, {"passed_over", t.passed}, {"refused", t.refused},
	})
	if err == nil && t.refused > 0 {
		err = fmt.Errorf("%d readings were refused", t.refused)
	}
	return err
}
