package chaos_test

import "syscall"

// dieWithUs makes a process end with the test, whatever ends that.
func dieWithUs() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
