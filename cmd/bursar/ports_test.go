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
	return os.Getpid()%500*20 + int(portsGiven.Add(1))*10
}

// allFree reports whether five ports from base on are free on loopback.
func allFree(base int) bool {
	for port := base; port < base+5; port++ {
		listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			return false
		}
		listener.Close()
	}
	return true
}
