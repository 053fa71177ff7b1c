package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// options are the flags of serve.
type options struct {
	dir           string
	port          int
	noFsync       bool
	auditLog      string
	auditWebhook  string
	auditPolicy   string
	readyTimeout  time.Duration
	stopWithStdin bool
	kwok          string
	kwokStages    string
}

// state is what serve prints once when everything is ready, as one line of JSON, and keeps in ready.json of its folder.
type state struct {
	Kubernetes string         `json:"kubernetes"`
	Pid        int            `json:"pid"`
	Dir        string         `json:"dir"`
	Kubeconfig string         `json:"kubeconfig"`
	Server     string         `json:"server"`
	Etcd       string         `json:"etcd"`
	AuditLog   string         `json:"auditLog,omitempty"`
	Components map[string]int `json:"components"`
}

// errPortTaken means that somebody else took a port between our choosing it and the component's listening on it.
var errPortTaken = errors.New("a chosen port was taken by another process")

func parseOptions(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("serve", flag.ExitOnError)
	flags.StringVar(&o.dir, "dir", "", "state folder; by default a temporary one that is removed at the end")
	flags.IntVar(&o.port, "port", 0, "port of the API server; by default the one used before in this folder, or a free one")
	flags.BoolVar(&o.noFsync, "unsafe-no-fsync", false, "etcd without fsync: fast, and not for measuring latency")
	flags.StringVar(&o.auditLog, "audit-log", "", "write audit events to this file (relative to the state folder), one JSON object per line")
	flags.StringVar(&o.auditPolicy, "audit-policy", "", "what is audited, as a Policy of audit.k8s.io/v1; without it, changes with their bodies")
	flags.StringVar(&o.auditWebhook, "audit-webhook", "", "post audit events in batches to this URL")
	flags.DurationVar(&o.readyTimeout, "ready-timeout", 2*time.Minute, "give up when not ready by then")
	flags.BoolVar(&o.stopWithStdin, "stop-with-stdin", false, "stop when standard input ends, so as not to outlive the caller")
	flags.StringVar(&o.kwok, "kwok", "", "run this kwok program: one node that is ready, and Pods that run")
	flags.StringVar(&o.kwokStages, "kwok-stages", "", "file with the Stage objects that tell kwok what happens to nodes and Pods")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return o, nil
}

// serve runs a control plane until it is told to stop.
func serve(args []string) (err error) {
	// The kernel ends the components when the thread that started them ends, so that thread must be the main one.
	runtime.LockOSThread()
	o, err := parseOptions(args)
	if err != nil {
		return err
	}
	if o.dir == "" {
		temporary, err := os.MkdirTemp("", "trueup-controlplane-")
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(temporary)) }()
		o.dir = temporary
	}
	if o.dir, err = filepath.Abs(o.dir); err != nil {
		return err
	}
	if o.auditLog != "" && !filepath.IsAbs(o.auditLog) {
		o.auditLog = filepath.Join(o.dir, o.auditLog)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if o.stopWithStdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel()
		}()
	}
	// Three attempts: a port that is taken twice in a row is not bad luck any more.
	for attempt := 1; ; attempt++ {
		err := serveOnce(ctx, o)
		if !errors.Is(err, errPortTaken) || attempt == 3 {
			return err
		}
	}
}

// serveOnce starts everything, says that it is ready, waits for the end, and stops everything.
func serveOnce(ctx context.Context, o options) error {
	plane, err := newPlane(o)
	if err != nil {
		return err
	}
	defer plane.stop()
	if err := plane.startServer(); err != nil {
		return err
	}
	deadline, cancel := context.WithTimeout(ctx, o.readyTimeout)
	defer cancel()
	err = plane.await(deadline, serverUsable)
	if err == nil {
		if err = plane.startControllers(); err == nil {
			err = plane.await(deadline, clusterUsable)
		}
	}
	if err == nil && o.kwok != "" {
		if err = plane.startKwok(); err == nil {
			err = plane.await(deadline, nodeReady)
		}
	}
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	if err := plane.announce(); err != nil {
		return err
	}
	defer os.Remove(plane.readyFile())
	select {
	case <-ctx.Done():
		return nil
	case failed := <-plane.ended:
		return plane.explain(failed)
	}
}

// await returns when the checks pass, or with the reason why they will not.
func (p *plane) await(ctx context.Context, checks []readiness) error {
	ready := make(chan error, 1)
	go func() { ready <- waitUntilReady(ctx, p.adminKubeconfig(), checks) }()
	select {
	case err := <-ready:
		return err
	case failed := <-p.ended:
		return p.explain(failed)
	}
}

// plane is the running control plane.
type plane struct {
	options     options
	credentials credentials
	etcdURL     string
	peerURL     string
	port        int
	// running is in the order of starting; stopping goes the other way, so that etcd is the last: an API server without its
	// etcd does not end on SIGTERM.
	running []*process
	ended   chan *process
}

func newPlane(o options) (*plane, error) {
	p := &plane{options: o, ended: make(chan *process, 8)}
	for _, sub := range []string{"logs", "etcd"} {
		if err := os.MkdirAll(filepath.Join(o.dir, sub), 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	if p.credentials, err = loadCredentials(filepath.Join(o.dir, "credentials")); err != nil {
		return nil, fmt.Errorf("make credentials: %w", err)
	}
	ports, err := freePorts(3)
	if err != nil {
		return nil, fmt.Errorf("find free ports: %w", err)
	}
	p.etcdURL = fmt.Sprintf("http://127.0.0.1:%d", ports[0])
	p.peerURL = fmt.Sprintf("http://127.0.0.1:%d", ports[1])
	if p.port = p.wantedPort(); p.port == 0 {
		p.port = ports[2]
	}
	return p, nil
}

// wantedPort is the API server's port by flag or by the last run in this folder, so that a kubeconfig survives a restart.
func (p *plane) wantedPort() int {
	if p.options.port != 0 {
		return p.options.port
	}
	var last struct{ Port int }
	content, err := os.ReadFile(filepath.Join(p.options.dir, "port.json"))
	if err != nil || json.Unmarshal(content, &last) != nil {
		return 0
	}
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", last.Port))
	if err != nil {
		return 0
	}
	listener.Close()
	return last.Port
}

// freePorts asks the kernel for ports that nobody listens on. They are held until all are known, so that they differ.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer listener.Close()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (p *plane) server() string          { return fmt.Sprintf("https://127.0.0.1:%d", p.port) }
func (p *plane) path(name string) string { return filepath.Join(p.options.dir, name) }
func (p *plane) adminKubeconfig() string { return p.path("kubeconfig") }
func (p *plane) readyFile() string       { return p.path("ready.json") }

// component is one of the programs within this one.
type component struct {
	name string
	args []string
}

// startServer writes what the components read, and starts the API server with its etcd, for which it waits by itself.
func (p *plane) startServer() error {
	if err := p.credentials.writeKubeconfig(p.adminKubeconfig(), p.server(), people); err != nil {
		return err
	}
	for _, machine := range machines {
		if err := p.credentials.writeKubeconfig(p.machineKubeconfig(machine.name), p.server(), []user{machine}); err != nil {
			return err
		}
	}
	if err := p.writeAuditFiles(); err != nil {
		return err
	}
	return p.startComponents([]component{
		{"etcd", p.etcdArgs()},
		{"kube-apiserver", p.apiServerArgs()},
	})
}

// startControllers starts what needs rights at the API server, which must be ready: the controllers give up where it takes
// longer than ten seconds until their roles exist, as on a busy machine.
func (p *plane) startControllers() error {
	return p.startComponents([]component{
		{"kube-controller-manager", p.controllerManagerArgs()},
		{"kube-scheduler", p.schedulerArgs()},
	})
}

func (p *plane) startComponents(components []component) error {
	for _, c := range components {
		started, err := startSelf(p.path("logs"), c.name, c.args...)
		if err != nil {
			return err
		}
		p.watch(started)
	}
	return nil
}

// startKwok starts the fake kubelets. They do not wait for the API server, so it must be ready.
func (p *plane) startKwok() error {
	started, err := start(p.path("logs"), "kwok", p.options.kwok, p.kwokArgs()...)
	if err != nil {
		return err
	}
	p.watch(started)
	return nil
}

// watch has the end of a component noticed, and the component stopped with the others.
func (p *plane) watch(started *process) {
	p.running = append(p.running, started)
	go func() {
		<-started.done
		p.ended <- started
	}()
}

// stop ends the components, clients first and etcd last. Only etcd holds anything worth waiting for; the API server would
// wait a minute for open watches to be closed by their clients.
func (p *plane) stop() {
	for i := len(p.running) - 1; i > 0; i-- {
		p.running[i].stop(time.Second)
	}
	if len(p.running) > 0 {
		p.running[0].stop(10 * time.Second)
	}
}

// explain turns the end of a component into an error, and tells a taken port from everything else.
func (p *plane) explain(failed *process) error {
	if bytes.Contains(logTail(failed.log), []byte("address already in use")) && p.options.port == 0 {
		return errPortTaken
	}
	return failed.failure()
}

// announce prints the ready line and leaves it in the state folder.
func (p *plane) announce() error {
	s := state{
		Kubernetes: kubernetesVersion(),
		Pid:        os.Getpid(),
		Dir:        p.options.dir,
		Kubeconfig: p.adminKubeconfig(),
		Server:     p.server(),
		Etcd:       p.etcdURL,
		AuditLog:   p.options.auditLog,
		Components: map[string]int{},
	}
	for _, process := range p.running {
		s.Components[process.name] = process.cmd.Process.Pid
	}
	line, err := json.Marshal(s)
	if err != nil {
		return err
	}
	port, err := json.Marshal(struct{ Port int }{p.port})
	if err != nil {
		return err
	}
	if err := os.WriteFile(p.path("port.json"), port, 0o600); err != nil {
		return err
	}
	// Renamed into place, so that a reader never sees half of it.
	if err := os.WriteFile(p.readyFile()+".new", line, 0o600); err != nil {
		return err
	}
	if err := os.Rename(p.readyFile()+".new", p.readyFile()); err != nil {
		return err
	}
	_, err = fmt.Println(string(line))
	return err
}
