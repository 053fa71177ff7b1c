package main

import (
	"os"
	"os/exec"
)

// startRollouts starts Argo Rollouts' own program under its own name, from which Kubernetes derives its field manager.
func startRollouts(o options) (*exec.Cmd, error) {
	cmd := exec.Command(o.rollouts,
		"--kubeconfig="+o.kubeconfig,
		"--leader-elect=false",
		"--loglevel=warn",
		// Any free port, asked of the kernel: nobody reads its figures here.
		"--metricsPort=0",
		"--healthzPort=0")
	cmd.Args[0] = "rollouts-controller"
	cmd.Env = append(os.Environ(), "POD_NAMESPACE=argo-rollouts")
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	cmd.SysProcAttr = childAttributes()
	return cmd, cmd.Start()
}
