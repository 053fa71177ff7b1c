package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiextensionsv1beta1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1beta1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apiserver"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	apiregistrationv1beta1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1beta1"
	aggregator "k8s.io/kube-aggregator/pkg/apiserver/scheme"
	"k8s.io/kubernetes/pkg/api/legacyscheme"
	_ "k8s.io/kubernetes/pkg/controlplane" // Registers every API group with its defaulting and conversion.
)

// family is one of the API servers inside kube-apiserver: its types, and how it stores them.
type family struct {
	scheme *runtime.Scheme
	codecs serializer.CodecFactory
	// storage is nil where objects are stored as protobuf, which forgets the difference between an empty list and none.
	storage runtime.Codec
}

var families = map[string]family{
	apiextensionsv1.GroupName: {
		scheme:  apiextensions.Scheme,
		codecs:  apiextensions.Codecs,
		storage: apiextensions.Codecs.LegacyCodec(apiextensionsv1beta1.SchemeGroupVersion, apiextensionsv1.SchemeGroupVersion),
	},
	apiregistrationv1.GroupName: {
		scheme:  aggregator.Scheme,
		codecs:  aggregator.Codecs,
		storage: aggregator.Codecs.LegacyCodec(apiregistrationv1.SchemeGroupVersion, apiregistrationv1beta1.SchemeGroupVersion),
	},
}

func familyOf(group string) family {
	if f, ok := families[group]; ok {
		return f
	}
	return family{scheme: legacyscheme.Scheme, codecs: legacyscheme.Codecs}
}

// roundTripLines answers each object on its line: what the API server would hold after decoding, defaulting, converting,
// storing and reading it, or {"error": ...}. Admission, validation and the registry's strategies play no part.
func roundTripLines(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	answers := bufio.NewWriter(out)
	for {
		line, err := lines.ReadBytes('\n')
		if line = bytes.TrimSpace(line); len(line) > 0 {
			answer, failure := roundTrip(line)
			if failure != nil {
				if answer, failure = json.Marshal(map[string]string{"error": failure.Error()}); failure != nil {
					return failure
				}
			}
			if _, failure := answers.Write(append(bytes.TrimSpace(answer), '\n')); failure != nil {
				return failure
			}
		}
		// A caller that waits for its answer before it sends more must get it.
		if lines.Buffered() == 0 {
			if err := answers.Flush(); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func roundTrip(object []byte) (answer []byte, err error) {
	// A conversion function may take for granted what validation ensures; that is one object's failure.
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic: %v", cause)
		}
	}()
	var meta runtime.TypeMeta
	if err := json.Unmarshal(object, &meta); err != nil {
		return nil, err
	}
	kind := schema.FromAPIVersionAndKind(meta.APIVersion, meta.Kind)
	f := familyOf(kind.Group)
	if !f.scheme.Recognizes(kind) {
		return nil, fmt.Errorf("unknown kind %s", kind)
	}
	internal := schema.GroupVersion{Group: kind.Group, Version: runtime.APIVersionInternal}
	received, _, err := f.codecs.DecoderToVersion(f.serializer(runtime.ContentTypeJSON), internal).Decode(object, &kind, nil)
	if err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	stored, err := f.store(received, kind.GroupVersion(), internal)
	if err != nil {
		return nil, err
	}
	var answered bytes.Buffer
	encoder := f.codecs.EncoderForVersion(f.serializer(runtime.ContentTypeJSON), kind.GroupVersion())
	if err := encoder.Encode(stored, &answered); err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return answered.Bytes(), nil
}

// store writes an object as etcd would get it and reads it back.
func (f family) store(object runtime.Object, version, internal schema.GroupVersion) (runtime.Object, error) {
	var encoder runtime.Encoder = f.storage
	var decoder runtime.Decoder = f.storage
	if f.storage == nil {
		protobuf := f.serializer(runtime.ContentTypeProtobuf)
		encoder = f.codecs.EncoderForVersion(protobuf, version)
		decoder = f.codecs.DecoderToVersion(protobuf, internal)
	}
	var bytesInEtcd bytes.Buffer
	if err := encoder.Encode(object, &bytesInEtcd); err != nil {
		return nil, fmt.Errorf("encode for storage: %w", err)
	}
	stored, _, err := decoder.Decode(bytesInEtcd.Bytes(), nil, nil)
	if err != nil {
		return nil, fmt.Errorf("decode from storage: %w", err)
	}
	return stored, nil
}

func (f family) serializer(mediaType string) runtime.Serializer {
	info, ok := runtime.SerializerInfoForMediaType(f.codecs.SupportedMediaTypes(), mediaType)
	if !ok {
		panic("no serializer for " + mediaType) // All codec factories of Kubernetes have JSON and protobuf.
	}
	return info.Serializer
}
