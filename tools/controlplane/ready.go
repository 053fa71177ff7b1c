package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// readiness is something that must hold before a test can use the cluster. The check is repeated until it passes.
type readiness struct {
	what  string
	check func(context.Context, kubernetes.Interface) error
}

// serverUsable holds when the API server says that it is ready: then the roles that it makes by itself are there as well.
var serverUsable = []readiness{
	{"kube-apiserver to be ready", serverReady},
}

// clusterUsable holds when the people have their rights, and the namespaces and the ServiceAccount without which no Pod is
// admitted are there.
var clusterUsable = []readiness{
	{"the rights of the named users", bindPeople},
	{"the namespaces", namespacesExist},
	{"the ServiceAccount default of kube-controller-manager", serviceAccountExists},
}

// nodeReady holds when there is a node that takes Pods.
var nodeReady = []readiness{
	{"the node to be made", makeNode},
	{"kwok's node to be ready", nodeIsReady},
}

// waitUntilReady returns when all checks have passed, one after the other.
func waitUntilReady(ctx context.Context, kubeconfig string, checks []readiness) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	for _, step := range checks {
		for {
			err := step.check(ctx, client)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("gave up waiting for %s: %w", step.what, err)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

func serverReady(ctx context.Context, client kubernetes.Interface) error {
	return client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error()
}

func namespacesExist(ctx context.Context, client kubernetes.Interface) error {
	for _, name := range []string{"default", "kube-system", "kube-public", "kube-node-lease"} {
		if _, err := client.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func serviceAccountExists(ctx context.Context, client kubernetes.Interface) error {
	_, err := client.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
	return err
}

// bindPeople makes the people cluster administrators through RBAC.
func bindPeople(ctx context.Context, client kubernetes.Interface) error {
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: peopleGroup},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: peopleGroup}},
	}
	_, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

const nodeName = "kwok-0"

func makeNode(ctx context.Context, client kubernetes.Interface) error {
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:   nodeName,
		Labels: map[string]string{corev1.LabelHostname: nodeName, corev1.LabelOSStable: "linux"},
	}}
	_, err := client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

func nodeIsReady(ctx context.Context, client kubernetes.Interface) error {
	node, err := client.CoreV1().Nodes().Get(ctx, nodeName, metav1.GetOptions{})
	if err != nil {
		return err
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue {
			return nil
		}
	}
	return errors.New("the node is not ready yet")
}
