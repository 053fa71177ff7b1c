//! Objects, lists and watch events in the representation that the client asked for.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use trueup_object::Value;
use trueup_object::value::Map;

use super::negotiate::Representation;
use crate::api::{EventKind, Listing, WatchEvent};
use crate::kind::KindInfo;
use crate::table::{IncludeObject, Table};

/// How one request wants its objects.
#[derive(Debug, Clone, Copy)]
pub struct Presentation<'a> {
    pub kind: &'a KindInfo,
    pub representation: Representation,
    pub include_object: IncludeObject,
    pub now: trueup_object::Timestamp,
}

impl Presentation<'_> {
    /// One object.
    pub fn object(&self, object: &Value) -> String {
        match self.representation {
            Representation::Whole => object.to_json(),
            Representation::Metadata => partial(object).to_json(),
            Representation::Table => {
                let revision = object.str_at(&["metadata", "resourceVersion"]).unwrap_or_default();
                let mut table = Table::new(self.kind, self.include_object, self.now);
                table.add(object);
                table.finish(revision, None, None, true).to_json()
            }
        }
    }

    /// A page of a list.
    pub fn list(&self, listing: &Listing) -> String {
        let revision = listing.revision.to_string();
        let remaining = listing.n_remaining;
        match self.representation {
            Representation::Table => {
                let mut table = Table::new(self.kind, self.include_object, self.now);
                listing.items.iter().for_each(|object| table.add(object));
                table.finish(&revision, listing.continue_token.as_deref(), remaining, true).to_json()
            }
            Representation::Whole => {
                let (api_version, kind) =
                    (self.kind.gvk.api_version(), format!("{}List", self.kind.gvk.kind));
                let builtin = self.kind.is_builtin();
                let items = listing.items.iter().map(|object| {
                    // Typed lists carry the type once; those of custom kinds carry it in every item.
                    if builtin { without_type(object) } else { object.to_json() }
                });
                list_json(&api_version, &kind, listing, items)
            }
            Representation::Metadata => {
                let items = listing.items.iter().map(|object| partial(object).to_json());
                list_json("meta.k8s.io/v1", "PartialObjectMetadataList", listing, items)
            }
        }
    }

    /// One watch event, as a line.
    pub fn event(&self, event: &WatchEvent, first: bool) -> String {
        let object = match (self.representation, event.kind) {
            (Representation::Whole, _) | (_, EventKind::Error) => {
                return line(event.kind, &written(&event.object));
            }
            (Representation::Metadata, _) => partial(&event.object).to_json(),
            (Representation::Table, _) => {
                let revision = event.object.str_at(&["metadata", "resourceVersion"]).unwrap_or_default();
                let mut table = Table::new(self.kind, self.include_object, self.now);
                table.add(&event.object);
                table.finish(revision, None, None, first).to_json()
            }
        };
        line(event.kind, &object)
    }
}

fn line(kind: EventKind, object: &str) -> String {
    ["{\"type\":\"", kind.as_str(), "\",\"object\":", object, "}\n"].concat()
}

/// So many objects are kept as they were last written for a watch: most of a cluster's watches are told of the same ones.
const WRITTEN_MAX: usize = 16;

/// The text of an object that is kept.
const WRITTEN_BYTES_MAX: usize = 64 * 1024;

/// An object's JSON, which another watch may have been sent a moment ago.
fn written(object: &Arc<Value>) -> Arc<str> {
    static WRITTEN: Mutex<VecDeque<(Arc<Value>, Arc<str>)>> = Mutex::new(VecDeque::new());
    // What is kept is whole, whatever panicked while it was held.
    let kept = || WRITTEN.lock().unwrap_or_else(PoisonError::into_inner);
    // While an object is held, no other can lie where it lies.
    if let Some((_, text)) = kept().iter().find(|(known, _)| Arc::ptr_eq(known, object)) {
        return text.clone();
    }
    let text: Arc<str> = object.to_json().into();
    if text.len() <= WRITTEN_BYTES_MAX {
        let mut kept = kept();
        let oldest = if kept.len() == WRITTEN_MAX { kept.pop_front() } else { None };
        kept.push_back((object.clone(), text.clone()));
        drop(kept);
        drop(oldest);
    }
    text
}

/// The metadata of an object alone.
pub fn partial(object: &Value) -> Value {
    Value::Map(Map::from_iter([
        ("apiVersion", Value::from("meta.k8s.io/v1")),
        ("kind", Value::from("PartialObjectMetadata")),
        ("metadata", object.get("metadata").cloned().unwrap_or_default()),
    ]))
}

fn list_json(
    api_version: &str,
    kind: &str,
    listing: &Listing,
    items: impl Iterator<Item = String>,
) -> String {
    let metadata =
        list_metadata(&listing.revision.to_string(), listing.continue_token.as_deref(), listing.n_remaining);
    let mut out = format!("{{\"apiVersion\":\"{api_version}\",\"items\":[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(&item);
    }
    out.push_str(&format!("],\"kind\":\"{kind}\",\"metadata\":{}}}", metadata.to_json()));
    out
}

/// The metadata of a list or table.
pub fn list_metadata(revision: &str, continue_token: Option<&str>, n_remaining: Option<usize>) -> Value {
    let mut metadata = Map::new();
    if let Some(token) = continue_token {
        metadata.insert("continue", token.into());
    }
    if let Some(n_remaining) = n_remaining {
        metadata.insert("remainingItemCount", i64::try_from(n_remaining).unwrap_or(i64::MAX).into());
    }
    metadata.insert("resourceVersion", revision.into());
    Value::Map(metadata)
}

/// An object's JSON without `apiVersion` and `kind`.
fn without_type(object: &Arc<Value>) -> String {
    let fields = object.as_map().into_iter().flat_map(Map::iter);
    let mut out = String::from("{");
    for (key, value) in fields.filter(|(key, _)| !matches!(*key, "apiVersion" | "kind")) {
        if out.len() > 1 {
            out.push(',');
        }
        out.push_str(&Value::from(key).to_json());
        out.push(':');
        out.push_str(&value.to_json());
    }
    out.push('}');
    out
}
