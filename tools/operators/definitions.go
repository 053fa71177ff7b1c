package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// servedTimeout is for all definitions together; the API server takes a second or two.
const servedTimeout = time.Minute

// installDefinitions applies what the file holds and returns when all of it is served.
func installDefinitions(ctx context.Context, config *rest.Config, path string) error {
	objects, err := readObjects(path)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	definitions := client.Resource(apiextensions.SchemeGroupVersion.WithResource("customresourcedefinitions"))
	for _, object := range objects {
		force := metav1.ApplyOptions{FieldManager: "setup", Force: true}
		if _, err := definitions.Apply(ctx, object.GetName(), object, force); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, servedTimeout)
	defer cancel()
	for _, object := range objects {
		for !served(ctx, client, object) {
			select {
			case <-ctx.Done():
				return fmt.Errorf("%s is not served after %s", object.GetName(), servedTimeout)
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}

// served says whether objects of all versions can be listed: a definition is established a little earlier.
func served(ctx context.Context, client dynamic.Interface, definition *unstructured.Unstructured) bool {
	var typed apiextensions.CustomResourceDefinition
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(definition.Object, &typed); err != nil {
		return false
	}
	for _, version := range typed.Spec.Versions {
		kind := schema.GroupVersionResource{Group: typed.Spec.Group, Version: version.Name, Resource: typed.Spec.Names.Plural}
		if _, err := client.Resource(kind).List(ctx, metav1.ListOptions{Limit: 1}); err != nil {
			return false
		}
	}
	return true
}

func readObjects(path string) ([]*unstructured.Unstructured, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var objects []*unstructured.Unstructured
	documents := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(content), 1<<20)
	for {
		object := &unstructured.Unstructured{}
		if err := documents.Decode(object); errors.Is(err, io.EOF) {
			return objects, nil
		} else if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		if len(object.Object) > 0 {
			objects = append(objects, object)
		}
	}
}
