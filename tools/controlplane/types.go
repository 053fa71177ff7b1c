package main

import (
	"bufio"
	"encoding/json"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
)

// goType is the Go shape of one API type, under the name that it has in OpenAPI.
type goType struct {
	Type   string             `json:"type"`
	Fields map[string]goField `json:"fields"`
}

// goField tells what OpenAPI does not: whether a field can hold "declared as zero" apart from "not declared".
type goField struct {
	Kind    string `json:"kind"`
	Pointer bool   `json:"pointer"`
	Omit    string `json:"omit"`
}

// printTypes prints every struct that is reachable from a registered external kind, once, sorted by name.
func printTypes(out io.Writer) error {
	found := map[string]goType{}
	schemes := []*runtime.Scheme{legacyscheme.Scheme}
	for _, f := range families {
		schemes = append(schemes, f.scheme)
	}
	for _, scheme := range schemes {
		for kind, registered := range scheme.AllKnownTypes() {
			if kind.Version != runtime.APIVersionInternal {
				collect(registered, found, sets.New[reflect.Type]())
			}
		}
	}
	lines := bufio.NewWriter(out)
	encoder := json.NewEncoder(lines)
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if err := encoder.Encode(found[name]); err != nil {
			return err
		}
	}
	return lines.Flush()
}

// collect adds a struct and everything below it. Types with a JSON form of their own (quantities, times) are leaves.
func collect(t reflect.Type, found map[string]goType, seen sets.Set[reflect.Type]) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		collect(t.Elem(), found, seen)
		return
	case reflect.Struct:
	default:
		return
	}
	name := openAPIName(t)
	if _, done := found[name]; done || seen.Has(t) || hasOwnJSON(t) {
		return
	}
	seen.Insert(t)
	shape := goType{Type: name, Fields: map[string]goField{}}
	collectFields(t, shape.Fields, found, seen)
	found[name] = shape
}

func collectFields(t reflect.Type, into map[string]goField, found map[string]goType, seen sets.Set[reflect.Type]) {
	for i := range t.NumField() {
		field := t.Field(i)
		name, flags, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" || !field.IsExported() {
			continue
		}
		if name == "" && field.Anonymous {
			embedded := field.Type
			if embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			collectFields(embedded, into, found, seen)
			continue
		}
		if name == "" {
			name = field.Name
		}
		inner := field.Type
		pointer := inner.Kind() == reflect.Pointer
		if pointer {
			inner = inner.Elem()
		}
		into[name] = goField{Kind: inner.Kind().String(), Pointer: pointer, Omit: omission(flags)}
		collect(field.Type, found, seen)
	}
}

// omission is what encoding/json leaves out: "" nothing, "omitempty", "omitzero", or both.
func omission(flags string) string {
	var kept []string
	for flag := range strings.SplitSeq(flags, ",") {
		if flag == "omitempty" || flag == "omitzero" {
			kept = append(kept, flag)
		}
	}
	slices.Sort(kept)
	return strings.Join(kept, ",")
}

func hasOwnJSON(t reflect.Type) bool {
	marshaler := reflect.TypeFor[json.Marshaler]()
	return t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)
}

func openAPIName(t reflect.Type) string {
	if named, ok := reflect.Zero(t).Interface().(interface{ OpenAPIModelName() string }); ok {
		return named.OpenAPIModelName()
	}
	return t.PkgPath() + "." + t.Name()
}
