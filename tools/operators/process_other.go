//go:build !linux

package main

import "syscall"

// childAttributes puts a component into a process group of its own, so that Ctrl-C in a terminal reaches the supervisor alone
// and the order of stopping holds.
func childAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
