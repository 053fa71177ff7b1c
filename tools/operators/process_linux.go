package main

import "syscall"

// childAttributes puts a component into a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone
// and the order of stopping holds, and has the kernel end it should the supervisor be killed.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
