package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// auditPolicy records who changed what, with the resulting object, so that a reader can match a change by uid and
// resourceVersion. Reads and bookkeeping are left out; what may hold secret values is recorded without bodies.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  verbs: [get, list, watch]
- level: None
  resources:
  - group: coordination.k8s.io
    resources: [leases]
  - group: ""
    resources: [events]
  - group: events.k8s.io
    resources: [events]
- level: None
  users: ["system:apiserver"]
- level: None
  userGroups: ["system:nodes"]
- level: Metadata
  resources:
  - group: ""
    resources: [secrets, serviceaccounts/token]
  - group: authentication.k8s.io
  - group: authorization.k8s.io
- level: RequestResponse
  verbs: [create, update, patch, delete, deletecollection]
`

func (p *plane) machineKubeconfig(user string) string {
	return p.path(filepath.Join("credentials", "kubeconfig-"+strings.TrimPrefix(user, "system:")))
}

func (p *plane) writeAuditFiles() error {
	policy := []byte(auditPolicy)
	if p.options.auditPolicy != "" {
		given, err := os.ReadFile(p.options.auditPolicy)
		if err != nil {
			return err
		}
		policy = given
	}
	if err := os.WriteFile(p.path("audit-policy.yaml"), policy, 0o600); err != nil {
		return err
	}
	if p.options.auditWebhook == "" {
		return nil
	}
	config := clientcmdapi.NewConfig()
	config.Clusters["receiver"] = &clientcmdapi.Cluster{Server: p.options.auditWebhook}
	config.Contexts["receiver"] = &clientcmdapi.Context{Cluster: "receiver"}
	config.CurrentContext = "receiver"
	return clientcmd.WriteToFile(*config, p.path("audit-webhook.yaml"))
}

func (p *plane) etcdArgs() []string {
	return []string{
		"--data-dir=" + p.path("etcd"),
		"--client-url=" + p.etcdURL,
		"--peer-url=" + p.peerURL,
		fmt.Sprintf("--unsafe-no-fsync=%t", p.options.noFsync),
	}
}

func (p *plane) apiServerArgs() []string {
	c := p.credentials
	args := []string{
		"--etcd-servers=" + p.etcdURL,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		// Nothing in this cluster reaches the API server through the Service, and a loopback endpoint is invalid.
		"--endpoint-reconciler-type=none",
		fmt.Sprintf("--secure-port=%d", p.port),
		"--tls-cert-file=" + c.file("apiserver.crt"),
		"--tls-private-key-file=" + c.file("apiserver.key"),
		"--cert-dir=" + c.dir,
		"--token-auth-file=" + c.file("tokens.csv"),
		"--authorization-mode=Node,RBAC",
		"--service-cluster-ip-range=10.0.0.0/16",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("service-accounts.key"),
		"--service-account-signing-key-file=" + c.file("service-accounts.key"),
		"--allow-privileged=true",
		"--profiling=false",
	}
	if p.options.auditLog != "" || p.options.auditWebhook != "" {
		args = append(args, "--audit-policy-file="+p.path("audit-policy.yaml"))
	}
	if p.options.auditLog != "" {
		args = append(args, "--audit-log-path="+p.options.auditLog)
	}
	if p.options.auditWebhook != "" {
		// Batches, as in production, but small and quick, so that a test need not wait half a minute for one.
		args = append(args,
			"--audit-webhook-config-file="+p.path("audit-webhook.yaml"),
			"--audit-webhook-mode=batch",
			"--audit-webhook-batch-max-size=50",
			"--audit-webhook-batch-max-wait=100ms",
			"--audit-webhook-initial-backoff=500ms")
	}
	return args
}

func (p *plane) controllerManagerArgs() []string {
	c := p.credentials
	kubeconfig := p.machineKubeconfig("system:kube-controller-manager")
	return []string{
		"--kubeconfig=" + kubeconfig,
		// No port: its health is seen by what it does, and a port would only be one more to collide.
		"--secure-port=0",
		"--leader-elect=false",
		"--use-service-account-credentials=true",
		"--service-account-private-key-file=" + c.file("service-accounts.key"),
		"--root-ca-file=" + c.file("ca.crt"),
		"--cluster-signing-cert-file=" + c.file("ca.crt"),
		"--cluster-signing-key-file=" + c.file("ca.key"),
		"--profiling=false",
	}
}

func (p *plane) schedulerArgs() []string {
	return []string{
		"--kubeconfig=" + p.machineKubeconfig("system:kube-scheduler"),
		"--secure-port=0",
		"--leader-elect=false",
		"--profiling=false",
	}
}

func (p *plane) kwokArgs() []string {
	return []string{
		"--kubeconfig=" + p.adminKubeconfig(),
		"--config=" + p.options.kwokStages,
		"--manage-all-nodes=true",
		// Without renewed leases the node would be taken for dead after 40 seconds.
		"--node-lease-duration-seconds=40",
		"--server-address=",
	}
}
