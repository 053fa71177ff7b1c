//! OpenAPI v3 documents for what is served, made from the table of built-in kinds and the schemas of definitions.
//!
//! They have what clients compute with: types, list types, keys, patch strategies, the parameters that a verb takes. Of built-in
//! kinds nothing is described in words; a definition's own descriptions are served as it has them.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};
use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::{gvk_value, map};
use crate::kind::{KindInfo, KindOrigin};
use crate::registry::{Builtin, Kinds, ServedResource};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";

/// `/openapi/v3`: where the documents are. The hash lets clients keep what they have.
pub fn openapi_index(kinds: &Kinds) -> Value {
    let mut paths = Map::new();
    for group in kinds.groups() {
        for version in &group.versions {
            let path = path_of(&group.name, version);
            let hash = hash(kinds.resources(&group.name, version).unwrap_or_default());
            let url = format!("/openapi/v3/{path}?hash={hash}");
            paths.insert(path, map([("serverRelativeURL", url.into())]));
        }
    }
    map([("paths", Value::Map(paths))])
}

/// `/openapi/v3/apis/GROUP/VERSION`: the types and paths of one group version; None where it is not served.
pub fn openapi_document(builtin: &Builtin, kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let resources = kinds.resources(group, version)?;
    let mut document = Document { builtin, schemas: Map::new(), wanted: BTreeSet::new() };
    let mut paths = Map::new();
    for served in resources {
        let name = document.add_kind(&served.kind);
        add_paths(&mut paths, &path_of(group, version), served, &name);
    }
    document.want(OBJECT_META);
    document.want(PATCH);
    document.add_wanted();
    Some(map([
        ("components", map([("schemas", Value::Map(document.schemas))])),
        ("info", map([("title", "Kubernetes".into()), ("version", builtin.kubernetes().into())])),
        ("openapi", "3.0.0".into()),
        ("paths", Value::Map(paths)),
    ]))
}

fn path_of(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

fn hash(resources: &[std::sync::Arc<ServedResource>]) -> String {
    let mut digest = Sha256::new();
    for served in resources {
        digest.update(served.kind.gvk.to_string());
        if let KindOrigin::Custom(custom) = &served.kind.origin {
            digest.update(custom.schema.source().to_json());
            custom.selectable.iter().for_each(|field| digest.update(field.as_str()));
        }
        digest.update([u8::from(served.kind.has_status), u8::from(served.kind.scale.is_some())]);
    }
    let bytes = digest.finalize();
    bytes.iter().take(16).map(|byte| format!("{byte:02X}")).collect()
}

struct Document<'a> {
    builtin: &'a Builtin,
    schemas: Map,
    /// Types that something refers to and that are not there yet.
    wanted: BTreeSet<Text>,
}

impl Document<'_> {
    fn want(&mut self, name: &str) {
        if !self.schemas.contains(name) {
            self.wanted.insert(Text::from(name));
        }
    }

    /// Adds a kind's own type; returns its name.
    fn add_kind(&mut self, kind: &KindInfo) -> Text {
        let (name, mut schema) = match &kind.origin {
            KindOrigin::Builtin => {
                let name = Text::from(self.builtin.type_name(&kind.gvk).unwrap_or_default());
                (name.clone(), self.type_schema(&name))
            }
            KindOrigin::Custom(custom) => {
                let mut schema = custom_schema(custom.schema.source());
                if !custom.selectable.is_empty() {
                    let field = |name: &Text| map([("fieldPath", name.clone().into())]);
                    let fields = custom.selectable.iter().map(field).collect();
                    schema.set_at(&["x-kubernetes-selectable-fields"], Value::List(fields));
                }
                (custom_name(kind), schema)
            }
        };
        if name.is_empty() {
            return name;
        }
        schema.set_at(&["x-kubernetes-group-version-kind"], Value::List(vec![gvk_value(&kind.gvk)]));
        self.schemas.insert(name.clone(), schema);
        name
    }

    /// Adds everything that is referred to, until nothing is missing.
    fn add_wanted(&mut self) {
        while let Some(name) = self.wanted.pop_first() {
            if !self.schemas.contains(&name) {
                let mut schema = well_known(&name).unwrap_or_else(|| self.type_schema(&name));
                // A kind can be a part of another one: a claim of a stateful set.
                let kinds: Vec<Value> =
                    self.builtin.kinds_of_type(&name).map(|gvk| gvk_value(&gvk)).collect();
                if !kinds.is_empty() {
                    schema.set_at(&["x-kubernetes-group-version-kind"], Value::List(kinds));
                }
                self.schemas.insert(name, schema);
            }
        }
    }

    /// A type of the table as a schema.
    fn type_schema(&mut self, name: &str) -> Value {
        let builtin = self.builtin;
        let mut schema = Map::from_iter([("type", Value::from("object"))]);
        let Some(entry) = builtin.types().and_then(|types| types.get(name)) else {
            return Value::Map(schema);
        };
        let mut required = Vec::new();
        if let Some(fields) = entry.get("fields").and_then(Value::as_map) {
            let mut properties = Map::new();
            for (field, facts) in fields.iter() {
                if facts.get("required").and_then(Value::as_bool) == Some(true) {
                    required.push(Value::from(field));
                }
                properties.insert(field, self.field_schema(facts));
            }
            schema.insert("properties", Value::Map(properties));
        }
        if !required.is_empty() {
            schema.insert("required", Value::List(required));
        }
        if entry.get("atomic").and_then(Value::as_bool) == Some(true) {
            schema.insert("x-kubernetes-map-type", "atomic".into());
        }
        if entry.get("preserve").and_then(Value::as_bool) == Some(true) {
            schema.insert("x-kubernetes-preserve-unknown-fields", true.into());
        }
        Value::Map(schema)
    }

    fn field_schema(&mut self, facts: &Value) -> Value {
        let mut schema = self.shape(facts);
        for (from, to) in
            [("patch", "x-kubernetes-patch-strategy"), ("mergeKey", "x-kubernetes-patch-merge-key")]
        {
            if let Some(text) = facts.str_at(&[from]) {
                schema.insert(to, text.into());
            }
        }
        if let Some(values) = facts.get("enum") {
            schema.insert("enum", values.clone());
        }
        if facts.get("atomic").and_then(Value::as_bool) == Some(true) {
            schema.insert("x-kubernetes-map-type", "atomic".into());
        }
        Value::Map(schema)
    }

    fn shape(&mut self, facts: &Value) -> Map {
        let format = facts.str_at(&["format"]);
        let plain = |name: &str| {
            let mut schema = Map::from_iter([("type", Value::from(name))]);
            if let Some(format) = format {
                schema.insert("format", format.into());
            }
            schema
        };
        match facts.str_at(&["type"]).unwrap_or_default() {
            "ref" => self.reference(facts.str_at(&["ref"]).unwrap_or_default()),
            "list" => self.list(facts),
            "map" => {
                let items = facts.get("items").cloned().unwrap_or_default();
                let element = self.field_schema(&items);
                Map::from_iter([("additionalProperties", element), ("type", "object".into())])
            }
            "int-or-string" => self.reference(INT_OR_STRING),
            "quantity" => self.reference(QUANTITY),
            "time" => self.reference(TIME),
            "microtime" => self.reference(MICRO_TIME),
            "bytes" => Map::from_iter([("format", Value::from("byte")), ("type", "string".into())]),
            "raw" => self.reference(RAW_EXTENSION),
            name @ ("string" | "integer" | "number" | "boolean") => plain(name),
            _ => Map::new(),
        }
    }

    fn list(&mut self, facts: &Value) -> Map {
        let items = facts.get("items").cloned().unwrap_or_default();
        let element = self.field_schema(&items);
        let mut schema = Map::from_iter([("items", element), ("type", "array".into())]);
        if let Some(list) = facts.str_at(&["list"]) {
            schema.insert("x-kubernetes-list-type", list.into());
        }
        if let Some(keys) = facts.get("keys") {
            schema.insert("x-kubernetes-list-map-keys", keys.clone());
        }
        schema
    }

    fn reference(&mut self, name: &str) -> Map {
        self.want(name);
        let reference = map([("$ref", format!("#/components/schemas/{name}").into())]);
        Map::from_iter([("allOf", Value::List(vec![reference]))])
    }
}

/// Types that are no plain objects.
fn well_known(name: &str) -> Option<Value> {
    let one_of = |first: &str, second: &str| {
        Value::List(vec![map([("type", first.into())]), map([("type", second.into())])])
    };
    Some(match name {
        INT_OR_STRING => map([("format", "int-or-string".into()), ("oneOf", one_of("integer", "string"))]),
        QUANTITY => map([("oneOf", one_of("string", "number"))]),
        TIME | MICRO_TIME => map([("format", "date-time".into()), ("type", "string".into())]),
        RAW_EXTENSION | PATCH => map([("type", "object".into())]),
        _ => return None,
    })
}

/// `com.example.v1.Thing`: the group reversed, as the server names custom types.
fn custom_name(kind: &KindInfo) -> Text {
    let reversed: Vec<&str> = kind.gvk.group.rsplit('.').collect();
    Text::from(format!("{}.{}.{}", reversed.join("."), kind.gvk.version, kind.gvk.kind))
}

/// A definition's schema with the fields that every object has.
fn custom_schema(source: &Value) -> Value {
    let mut schema = source.clone();
    for field in ["apiVersion", "kind"] {
        schema.set_at(&["properties", field], map([("type", "string".into())]));
    }
    let reference = map([("$ref", format!("#/components/schemas/{OBJECT_META}").into())]);
    schema.set_at(&["properties", "metadata"], map([("allOf", Value::List(vec![reference]))]));
    if schema.get("type").is_none() {
        schema.set_at(&["type"], "object".into());
    }
    schema
}

/// The parameters that writes take.
const WRITE_PARAMETERS: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];

fn add_paths(paths: &mut Map, prefix: &str, served: &ServedResource, type_name: &str) {
    let kind = &served.kind;
    let base = if kind.is_namespaced() {
        format!("/{prefix}/namespaces/{{namespace}}/{}", kind.plural)
    } else {
        format!("/{prefix}/{}", kind.plural)
    };
    let operation =
        |verb: &str, method: &str| served.serves(verb).then(|| operation(kind, verb, method, type_name));
    let collection = [
        ("get", operation("list", "list")),
        ("post", operation("create", "post")),
        ("delete", operation("deletecollection", "deletecollection")),
    ];
    let item = [
        ("get", operation("get", "get")),
        ("put", operation("update", "put")),
        ("patch", operation("patch", "patch")),
        ("delete", operation("delete", "delete")),
    ];
    let present = |operations: Vec<(&str, Option<Value>)>| {
        let all = operations.into_iter().filter_map(|(method, operation)| Some((method, operation?)));
        Value::Map(all.collect())
    };
    paths.insert(base.clone(), present(collection.into()));
    paths.insert(format!("{base}/{{name}}"), present(item.into()));
}

fn operation(kind: &KindInfo, verb: &str, action: &str, type_name: &str) -> Value {
    let reference =
        |name: &str| map([("schema", map([("$ref", format!("#/components/schemas/{name}").into())]))]);
    let mut operation = Map::from_iter([
        ("responses", map([("200", map([("description", "OK".into())]))])),
        ("x-kubernetes-action", action.into()),
        ("x-kubernetes-group-version-kind", gvk_value(&kind.gvk)),
    ]);
    if matches!(verb, "create" | "update" | "patch") {
        let mut parameters: Vec<Value> =
            WRITE_PARAMETERS.iter().map(|name| parameter(name, "string")).collect();
        if verb == "patch" {
            parameters.push(parameter("force", "boolean"));
        }
        operation.insert("parameters", Value::List(parameters));
        let content = if verb == "patch" {
            Value::Map(patch_types(kind).map(|content_type| (content_type, reference(PATCH))).collect())
        } else {
            map([("*/*", reference(type_name))])
        };
        operation.insert("requestBody", map([("content", content), ("required", true.into())]));
    }
    Value::Map(operation)
}

fn patch_types(kind: &KindInfo) -> impl Iterator<Item = &'static str> {
    let strategic = kind.is_builtin().then_some("application/strategic-merge-patch+json");
    ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"]
        .into_iter()
        .chain(strategic)
}

fn parameter(name: &str, parameter_type: &str) -> Value {
    map([
        ("in", "query".into()),
        ("name", name.into()),
        ("schema", map([("type", parameter_type.into()), ("uniqueItems", true.into())])),
    ])
}
