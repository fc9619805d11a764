package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/the-block/bursar/messages"
	"github.com/the-block/bursar/messages/client"
)

// clientsPage is the page whose programs are run.
const clientsPage = "../../docs/how-to/other-clients.md"

// otherClients are the programs of the page: the words behind the fence, what runs them, what
// finds out whether that is there, and whom they pay.
var otherClients = []struct {
	block, run string
	probe      []string
	payee      string
}{
	{"python", "/usr/bin/python3", []string{"/usr/bin/python3", "-c", "import msgpack"}, "tb1python"},
	{"perl", "perl", []string{"perl", "-MData::MessagePack", "-e", "1"}, "tb1perl"},
	{"ruby", "ruby", []string{"ruby", "-rmsgpack", "-e", "1"}, "tb1ruby"},
	{"php", "php", []string{"php", "--re", "msgpack"}, "tb1php"},
	{"lua", "lua5.3", []string{"lua5.3", "-lMessagePack", "-lsocket", "-e", "_=1"}, "tb1lua"},
	{"vim", "nvim --headless -u NONE -S", []string{"nvim", "--version"}, "tb1neovim"},
	{"javascript @msgpack/msgpack", "node", []string{"node", "-e", "require('@msgpack/msgpack')"}, "tb1msgpack"},
	{"javascript msgpackr", "node", []string{"node", "-e", "require('msgpackr')"}, "tb1msgpackr"},
	{"javascript msgpack-lite", "node", []string{"node", "-e", "require('msgpack-lite')"}, "tb1lite"},
}

// Clients of other languages send text as binary, whole numbers as floats, maps in any order.
func TestClientsOfOtherLanguagesPay(t *testing.T) {
	address := startNode(t)
	for _, c := range otherClients {
		t.Run(c.block, func(t *testing.T) {
			if out, err := exec.CommandContext(t.Context(), c.probe[0], c.probe[1:]...).CombinedOutput(); err != nil {
				if os.Getenv("REQUIRE_CLIENTS") != "" {
					t.Fatalf("%q: %v\n%s", c.probe, err, out)
				}
				t.Skipf("%s is not here; .ci/run tells how to get it", c.block)
			}
			submitsFrom(t, address, codeOf(t, clientsPage, c.block), strings.Fields(c.run), c.payee)
		})
	}
}

// submitsFrom runs a program that submits a payment, and finds it in the books.
func submitsFrom(t *testing.T, address, code string, run []string, payee string) {
	program := filepath.Join(t.TempDir(), "client")
	if err := os.WriteFile(program, []byte(code), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	command := exec.CommandContext(ctx, run[0], append(run[1:], program)...)
	command.Env = append(os.Environ(), "BURSAR_ADDR="+address)
	out, err := command.CombinedOutput()
	id, notID := strconv.ParseUint(strings.TrimSpace(string(out)), 10, 64)
	if err != nil || notID != nil {
		t.Fatalf("%v, and it printed %q", err, out)
	}
	books := client.New(client.Config{Addrs: []string{address}})
	defer books.Close()
	var paid messages.GetDisbursementResult
	if err := books.Call(ctx, messages.MethodGetDisbursement, &messages.IDParams{ID: messages.DisbursementID(id)}, &paid); err != nil {
		t.Fatal(err)
	}
	if d := paid.Disbursement; d.Destination != payee || d.Amount != 1<<32 || d.Memo != "größer" || d.ScheduledEpoch != 1000 {
		t.Errorf("it submitted %+v", d)
	}
}
