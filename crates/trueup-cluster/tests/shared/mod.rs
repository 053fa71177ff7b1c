//! What both worlds share: the means of a test to write as somebody else, and the tests themselves.

mod act;
mod lease;
pub mod watching;

use http::Method;
use trueup_cluster::act::{Place, read};
use trueup_cluster::discover::discover;
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_cluster::{Discovery, Lookup, ObjectName, ServedKind, path};
use trueup_engine::live::Live;
use trueup_object::{Gvk, Value};

/// A namespace of one's own, a kind, and the means to work there as the program and as somebody else.
pub struct Bench {
    pub wire: Wire,
    pub kind: ServedKind,
    pub namespace: &'static str,
}

pub fn config_map() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

pub fn kind(discovery: &Discovery, gvk: &Gvk) -> ServedKind {
    match discovery.find(gvk) {
        Lookup::Served(kind) => kind.clone(),
        other => panic!("{gvk}: {other:?}"),
    }
}

pub fn value(json: &str) -> Value {
    Value::from_json(json.as_bytes()).unwrap()
}

impl Bench {
    pub async fn new(wire: Wire, namespace: &'static str, gvk: Gvk) -> Self {
        let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{namespace}"}}}}"#);
        wire.write(Method::POST, "/api/v1/namespaces", BodyKind::Json, body.into_bytes()).await.unwrap();
        let discovery = discover(&wire).await.unwrap();
        Self { kind: kind(&discovery, &gvk), wire, namespace }
    }

    pub fn place<'a>(&'a self, name: &'a str) -> Place<'a> {
        Place { kind: &self.kind, namespace: self.namespace, name }
    }

    pub fn name(&self, name: &str) -> ObjectName {
        ObjectName { namespace: self.namespace.into(), name: name.into() }
    }

    pub async fn live(&self, name: &str) -> Live {
        Live::of(read(&self.wire, self.place(name)).await.unwrap().unwrap()).unwrap()
    }

    pub fn config_map(&self, name: &str, data: &str) -> Value {
        let namespace = self.namespace;
        value(&format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"{namespace}"}},"data":{data}}}"#
        ))
    }

    /// Somebody else's plain create.
    pub async fn create_as(&self, manager: &str, object: &Value) {
        let collection = path::collection(&self.kind, self.namespace);
        let path = path::with_query(&collection, &[("fieldManager", manager)]);
        self.write(Method::POST, &path, BodyKind::Json, object).await;
    }

    /// Somebody else's merge patch.
    pub async fn patch_as(&self, manager: &str, name: &str, patch: &str) {
        let object = path::object(&self.kind, self.namespace, name);
        let path = path::with_query(&object, &[("fieldManager", manager)]);
        self.write(Method::PATCH, &path, BodyKind::MergePatch, &value(patch)).await;
    }

    /// Somebody else's deletion.
    pub async fn delete(&self, name: &str) {
        let object = path::object(&self.kind, self.namespace, name);
        self.write(Method::DELETE, &object, BodyKind::Json, &value("{}")).await;
    }

    async fn write(&self, method: Method, path: &str, kind: BodyKind, body: &Value) {
        self.wire.write(method, path, kind, body.to_json().into_bytes()).await.unwrap();
    }
}
