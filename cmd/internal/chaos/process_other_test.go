//go:build !linux

package chaos_test

import "syscall"

// dieWithUs keeps Ctrl-C from the process: the test ends it.
func dieWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
