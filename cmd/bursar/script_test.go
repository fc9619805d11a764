package main

import (
	"net"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"bursar": main})
}

// TestScripts runs the scripts of testdata/script against the real program. A script
// that starts a node finds five free ports from $PORT on, and the node's addresses in
// $BURSAR_ADDR and $HTTP.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			port := freePorts(t)
			env.Setenv("PORT", strconv.Itoa(port))
			env.Setenv("BURSAR_ADDR", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			env.Setenv("HTTP", net.JoinHostPort("127.0.0.1", strconv.Itoa(port+3)))
			env.Setenv("TMPDIR", env.WorkDir)
			return nil
		},
	})
}

// freePorts finds the first of five consecutive ports that nobody listens on. They
// lie below the range from which the system takes ports of its own for connections.
func freePorts(t testing.TB) int {
	t.Helper()
	for base := 20000 + portSpread(); base < 32000; base += 10 {
		if allFree(base) {
			return base
		}
	}
	t.Fatal("no five consecutive ports are free")
	return 0
}
