package main

import (
	"context"
	"fmt"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

// waitUntilReady returns when a test can use the cluster: the API server says that it is ready, the people have their rights,
// and the namespaces and the ServiceAccount without which no Pod is admitted are there.
func waitUntilReady(ctx context.Context, kubeconfig string) error {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	checks := []struct {
		what  string
		check func(context.Context, kubernetes.Interface) error
	}{
		{"kube-apiserver to be ready", serverReady},
		{"the rights of the named users", bindPeople},
		{"the namespaces", namespacesExist},
		{"the ServiceAccount default of kube-controller-manager", serviceAccountExists},
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
