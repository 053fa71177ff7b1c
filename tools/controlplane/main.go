// Command trueup-controlplane is a real Kubernetes control plane in one binary, for tests: etcd, kube-apiserver,
// kube-controller-manager, kube-scheduler and kubectl, built from their published Go modules.
//
// It listens on loopback only, makes its own certificates and tokens, and keeps everything below one folder. It is made for
// tests and measurements: no high availability, no upgrades, and (when asked) no durability.
//
// Called under a component's name (by a link, or with that name as its first argument) it is that component; the supervisor
// uses this to run each component as a process of its own, so that field managers and user agents, which Kubernetes derives
// from the name of the program, are the real ones.
package main

import (
	"fmt"
	"os"
	"path/filepath"
)

const usage = `A Kubernetes control plane in one binary, for tests.

usage:
  trueup-controlplane serve [flags]     run a control plane until SIGTERM or SIGINT (serve --help lists the flags)
  trueup-controlplane kubectl ARGS...   the kubectl inside; the same when called under the name kubectl
  trueup-controlplane roundtrip         objects as JSON lines on stdin, what the API server would make of them on stdout
  trueup-controlplane types             the Go shape of the fields of every API type, as JSON lines
  trueup-controlplane version           the Kubernetes version inside
`

func main() {
	os.Exit(run())
}

// run dispatches on the program's name first and on the first argument then, and returns the exit code.
func run() int {
	if component, ok := components[filepath.Base(os.Args[0])]; ok {
		return component()
	}
	if len(os.Args) < 2 {
		fmt.Fprint(os.Stderr, usage)
		return 2
	}
	name, args := os.Args[1], os.Args[2:]
	if component, ok := components[name]; ok {
		os.Args = append([]string{name}, args...)
		return component()
	}
	var err error
	switch name {
	case "serve":
		err = serve(args)
	case "roundtrip":
		err = roundTripLines(os.Stdin, os.Stdout)
	case "types":
		err = printTypes(os.Stdout)
	case "version":
		fmt.Println(kubernetesVersion())
	case "help", "-h", "--help":
		fmt.Print(usage)
	default:
		fmt.Fprintf(os.Stderr, "unknown command %q\n\n%s", name, usage)
		return 2
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "trueup-controlplane %s: %v\n", name, err)
		return 1
	}
	return 0
}
