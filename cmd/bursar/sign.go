package main

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/the-block/bursar/actors/authority"
	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// newKeygen is the command that makes a key, for whoever the help speaks of.
func newKeygen(std streams, example, what string) *cobra.Command {
	var form format
	command := &cobra.Command{
		Use:     "keygen FILE",
		Short:   "Make a key and write it to a new file (0600)",
		Long:    "Makes an Ed25519 key, writes its secret to a file that is not there yet, readable by its owner alone, and prints the\npublic key." + what,
		Example: example,
		Args:    exactlyOneFile,
		RunE: func(_ *cobra.Command, args []string) error {
			public, seed, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				return err
			}
			file, err := os.OpenFile(args[0], os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(file, hex.EncodeToString(seed.Seed()))
			if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
				return err
			}
			return printFacts(std.out, form, "the key is in "+args[0], []fact{{"public_key", hex.EncodeToString(public)}})
		},
	}
	form.flag(command)
	return command
}

// readSeed reads what keygen wrote. A file that others can read is refused.
func readSeed(name string) (seed [ed25519.SeedSize]byte, err error) {
	file, err := os.Open(name)
	if err != nil {
		return seed, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return seed, err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return seed, fmt.Errorf("%s can be read by others; chmod 600 it", name)
	}
	text, err := io.ReadAll(io.LimitReader(file, 1024))
	if err != nil {
		return seed, err
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil || len(b) != len(seed) {
		return seed, fmt.Errorf("%s is not a key of 'bursar keygen'", name)
	}
	return [ed25519.SeedSize]byte(b), nil
}

// signer signs a call in the name of an operator, if its flags say so.
type signer struct {
	key, operator string
	expires       time.Duration
}

func (s *signer) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.StringVar(&s.key, "sign-with", "", "file of the key that signs the call, from 'bursar keygen'")
	flags.StringVar(&s.operator, "operator", "", "who signs it, as in operators.list")
	flags.DurationVar(&s.expires, "expires", 5*time.Minute, "how long a signed call may be made")
}

// wanted reports whether the call is to be signed. A flag of signing alone is a slip: the
// call would go unsigned, past what needs approvals.
func (s *signer) wanted(command *cobra.Command) (bool, error) {
	switch flags := command.Flags(); {
	case s.key != "" && s.operator != "":
		return true, nil
	case s.key != "":
		return false, usagef("--sign-with: name the --operator whose key it is")
	case flags.Changed("sign-with") || flags.Changed("operator") || flags.Changed("expires"):
		return false, usagef("--sign-with: name the file of the key that signs the call; 'bursar keygen' makes one")
	}
	return false, nil
}

// seal makes the parameters of auth.call of a call, as JSON, and names its request id. The
// cluster is asked for its id.
func (s *signer) seal(ctx context.Context, link *client.Client, method string, params []byte) (sealed []byte, requestID string, err error) {
	seed, err := readSeed(s.key)
	if err != nil {
		return nil, "", err
	}
	answer, err := link.CallJSON(ctx, messages.MethodClusterStatus, []byte("{}"))
	if err != nil {
		return nil, "", err
	}
	var status struct{ Cluster string }
	if err := json.Unmarshal(answer, &status); err != nil {
		return nil, "", err
	}
	var own struct {
		RequestID string `json:"request_id"`
	}
	if err := json.Unmarshal(params, &own); err != nil {
		return nil, "", usagef("the parameters: %v", err)
	}
	if own.RequestID == "" {
		own.RequestID = rand.Text()
	}
	envelope, err := json.Marshal(map[string]any{
		"cluster": status.Cluster, "method": method, "request_id": own.RequestID,
		"expires_at": time.Now().Add(s.expires).Unix(), "params": json.RawMessage(params),
	})
	if err != nil {
		return nil, "", err
	}
	signature := authority.Sign(ed25519.NewKeyFromSeed(seed[:]), envelope)
	sealed, err = json.Marshal(map[string]string{
		"envelope": string(envelope), "operator": s.operator, "signature": hex.EncodeToString(signature[:]),
	})
	return sealed, own.RequestID, err
}
