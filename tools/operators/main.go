// Command trueup-operators runs operators as people have them in their clusters, beside a test control plane: cert-manager with
// its cainjector, and Argo Rollouts. What they write into objects that come from Git is theirs, as it is in those clusters.
//
// All come from their published Go modules. cert-manager's own programs are not among its published packages, so this one puts
// its controllers together as they do; Argo Rollouts' program is built beside this one (the `tool` line of go.mod) and started by
// it. None elects a leader, none has a webhook, and everything goes to the API server of the kubeconfig.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
)

// options are the flags.
type options struct {
	kubeconfig  string
	definitions string
	rollouts    string
}

func main() {
	// The kernel ends a child when the thread that started it ends, so that thread must be the main one.
	runtime.LockOSThread()
	var o options
	// A set of its own: packages among the dependencies put flags into the common one.
	flags := flag.NewFlagSet("trueup-operators", flag.ExitOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "of the control plane")
	flags.StringVar(&o.definitions, "definitions", "", "file with the operators' custom resource definitions, which are installed first")
	flags.StringVar(&o.rollouts, "rollouts", "", "the program of Argo Rollouts")
	_ = flags.Parse(os.Args[1:]) // Ends the program at an error.
	ctrl.SetLogger(klog.Background())
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	// Standard input ends with the caller, whatever becomes of it.
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	if err := run(ctx, o); err != nil {
		fmt.Fprintf(os.Stderr, "trueup-operators: %v\n", err)
		os.Exit(1)
	}
}

// run prints `ready` once all operators are at work, and returns when it is told to stop or when one of them ends by itself.
func run(ctx context.Context, o options) error {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return err
	}
	if err := installDefinitions(ctx, config, o.definitions); err != nil {
		return fmt.Errorf("install the definitions: %w", err)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	start := func(name string, work func() error) {
		go func() {
			err := work()
			if ctx.Err() == nil {
				cancel(fmt.Errorf("%s ended: %w", name, errors.Join(err, errEnded)))
			}
		}()
	}
	rollouts, err := startRollouts(o)
	if err != nil {
		return fmt.Errorf("start Argo Rollouts: %w", err)
	}
	start("Argo Rollouts", rollouts.Wait)
	start("cert-manager", func() error { return runCertManager(ctx, o.kubeconfig, start) })
	start("cainjector", func() error { return runCAInjector(ctx, rest.CopyConfig(config)) })
	fmt.Println("ready")
	<-ctx.Done()
	// It may have ended already. The others end with this program: nothing of theirs is worth waiting for.
	_ = rollouts.Process.Kill()
	if cause := context.Cause(ctx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// errEnded says that something ended that runs until it is told to stop.
var errEnded = errors.New("it was not told to stop")
