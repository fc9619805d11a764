package main

import (
	"net"
	"os"
	"strconv"
	"sync/atomic"
)

var portsGiven atomic.Int64

// portSpread makes different tests, and test processes that run at the same time,
// look in different places first.
func portSpread() int {
	return os.Getpid()%300*3*portStep + int(portsGiven.Add(1))*3*portStep
}

// allFree reports whether the ports of three nodes are free on loopback, base being the
// first of them.
func allFree(base int) bool {
	for port := base; port < base+3*portStep; port++ {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}
