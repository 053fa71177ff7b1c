//! One object as a server sent it: its head read from the bytes, its content compressed.
//!
//! Content stays packed bytes, with managedFields, until somebody compares it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use trueup_engine::tracking::Tracking;
use trueup_object::value::Text;
use trueup_object::{Gvk, ResourceKey, Value};

use crate::pack::Packed;

/// What the metadata of an object says about it; enough to decide whether its content matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub key: ResourceKey,
    pub uid: Text,
    pub resource_version: Text,
    /// 0 where the kind has none.
    pub generation: i64,
    /// Whether it is being deleted and waits for finalizers.
    pub deleting: bool,
    pub owners: Vec<OwnerReference>,
    pub labels: BTreeMap<String, String>,
    pub annotations: BTreeMap<String, String>,
}

/// An entry of `metadata.ownerReferences`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerReference {
    pub group: Text,
    pub kind: Text,
    pub name: Text,
    pub uid: Text,
    pub controller: bool,
}

/// Whether the content of an object is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interest {
    /// Nobody tracks or names it: its key and version are enough.
    None,
    /// Something names it (a target, a setting).
    Named,
    /// It carries somebody's tracking mark; the text groups what belongs together (an application's name).
    Tracked(Text),
}

/// Decides about interest from an object's head.
pub type Interests = Arc<dyn Fn(&Head) -> Interest + Send + Sync>;

/// An object with its content, as last observed.
#[derive(Debug, Clone)]
pub struct Observed {
    gvk: Arc<Gvk>,
    pub uid: Uid,
    pub resource_version: Text,
    pub generation: i64,
    pub deleting: bool,
    pub owners: Box<[OwnerReference]>,
    /// Whose tracking mark it carries.
    pub tracked_by: Option<Text>,
    /// Equal while the labels are: a cheap way to see that they changed.
    pub labels_digest: u64,
    content: Packed,
}

/// An object's uid. API servers give UUIDs, which take sixteen bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Uid {
    Uuid([u8; 16]),
    Other(Box<str>),
}

impl Uid {
    pub fn of(text: &str) -> Self {
        uuid(text).map_or_else(|| Self::Other(text.into()), Self::Uuid)
    }
}

/// The bytes of a UUID as it is usually written: in groups, in lower case.
fn uuid(text: &str) -> Option<[u8; 16]> {
    const LENGTH: usize = 36;
    let is_hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let is_right = |(at, byte): (usize, u8)| match byte {
        b'-' => is_hyphen(at),
        b'0'..=b'9' | b'a'..=b'f' => !is_hyphen(at),
        _ => false,
    };
    if text.len() != LENGTH || !text.bytes().enumerate().all(is_right) {
        return None;
    }
    u128::from_str_radix(&text.replace('-', ""), 16).ok().map(u128::to_be_bytes)
}

/// An object that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("read an object of kind {kind}: {message}")]
pub struct UnreadableObject {
    pub kind: String,
    pub message: String,
}

impl Head {
    /// Reads the head of an object of a kind from its JSON.
    pub fn read(gvk: &Gvk, bytes: &[u8]) -> Result<Self, UnreadableObject> {
        let unreadable = |message: String| UnreadableObject { kind: gvk.kind.to_string(), message };
        // The parser's message names a position, never content.
        let object: WireObject = serde_json::from_slice(bytes)
            .map_err(|error| unreadable(format!("line {}, column {}", error.line(), error.column())))?;
        let WireMetadata {
            name,
            namespace,
            uid,
            resource_version,
            generation,
            deletion_timestamp,
            owner_references,
            labels,
            annotations,
        } = object.metadata;
        if name.is_empty() {
            return Err(unreadable("it has no name".to_owned()));
        }
        let owners = owner_references.unwrap_or_default().into_iter().map(OwnerReference::of_wire).collect();
        Ok(Self {
            key: ResourceKey {
                group: gvk.group.clone(),
                kind: gvk.kind.clone(),
                namespace: Text::from(namespace.unwrap_or_default()),
                name: Text::from(name),
            },
            uid: Text::from(uid.unwrap_or_default()),
            resource_version: Text::from(resource_version.unwrap_or_default()),
            generation: generation.unwrap_or_default(),
            deleting: deletion_timestamp.is_some(),
            owners,
            labels: labels.unwrap_or_default(),
            annotations: annotations.unwrap_or_default(),
        })
    }
}

impl Head {
    /// The application that the object is tracked by.
    pub fn tracked_by(&self, tracking: &Tracking) -> Option<Text> {
        let annotation = |name: &str| self.annotations.get(name).map(String::as_str);
        let label = |name: &str| self.labels.get(name).map(String::as_str);
        tracking.owner_by(&self.key, annotation, label, !self.owners.is_empty())
    }
}

impl OwnerReference {
    fn of_wire(wire: WireOwner) -> Self {
        let gvk = Gvk::from_api_version(&wire.api_version, &wire.kind);
        Self {
            group: gvk.group,
            kind: gvk.kind,
            name: Text::from(wire.name),
            uid: Text::from(wire.uid),
            controller: wire.controller.unwrap_or_default(),
        }
    }
}

impl Observed {
    /// Keeps an object: its head's facts and its bytes.
    pub fn keep(gvk: &Arc<Gvk>, head: Head, interest: &Interest, bytes: &[u8]) -> Self {
        let Head { key: _, uid, resource_version, generation, deleting, owners, labels, annotations: _ } =
            head;
        let tracked_by = match interest {
            Interest::Tracked(by) => Some(by.clone()),
            Interest::None | Interest::Named => None,
        };
        Self {
            gvk: gvk.clone(),
            uid: Uid::of(&uid),
            resource_version,
            generation,
            deleting,
            owners: owners.into_boxed_slice(),
            tracked_by,
            labels_digest: digest(&labels),
            content: Packed::of(bytes),
        }
    }

    /// The version in which it was observed.
    pub fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    /// The object with managedFields. Items of a list carry no `apiVersion` and `kind`; here they always do.
    ///
    /// An error is a number that no object may hold, or memory gone bad: such an object is unknown, never empty.
    pub fn value(&self) -> Result<Value, UnreadableObject> {
        let mut value = Value::from_json(&self.content.bytes()).map_err(|error| UnreadableObject {
            kind: self.gvk.kind.to_string(),
            message: format!("line {}, column {}", error.line, error.column),
        })?;
        value.set_at(&["apiVersion"], self.gvk.api_version().into());
        value.set_at(&["kind"], self.gvk.kind.clone().into());
        Ok(value)
    }

    /// The bytes kept for it.
    pub fn packed_len(&self) -> usize {
        self.content.len()
    }
}

fn digest(labels: &BTreeMap<String, String>) -> u64 {
    let mut hasher = blake3::Hasher::new();
    for (key, value) in labels {
        // Neither can hold a zero byte, so no two maps give the same bytes.
        hasher.update(key.as_bytes()).update(&[0]).update(value.as_bytes()).update(&[0]);
    }
    let mut first = [0; 8];
    hasher.finalize_xof().fill(&mut first);
    u64::from_le_bytes(first)
}

#[derive(Deserialize)]
struct WireObject {
    metadata: WireMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMetadata {
    #[serde(default)]
    name: String,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    deletion_timestamp: Option<serde::de::IgnoredAny>,
    owner_references: Option<Vec<WireOwner>>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct WireOwner {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    controller: Option<bool>,
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const OBJECT: &str = r#"{"metadata":{"name":"shop","namespace":"web","uid":"u1","resourceVersion":"7","generation":2,
      "labels":{"a":"b"},"annotations":{"argocd.argoproj.io/tracking-id":"shop:apps/Deployment:web/shop"},
      "ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"rs","uid":"u0","controller":true}],
      "managedFields":[{"manager":"kubectl","operation":"Update","fieldsV1":{"f:spec":{"f:replicas":{}}}}]},
      "spec":{"replicas":3,"text":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}"#;

    #[test]
    fn an_object_comes_back_whole_with_its_kind() {
        let gvk = Arc::new(Gvk::new("apps", "v1", "Deployment"));
        let head = Head::read(&gvk, OBJECT.as_bytes()).unwrap();
        assert_eq!(head.key.to_string(), "apps/Deployment/web/shop");
        assert_eq!(head.owners.first().unwrap().group, "apps");
        let kept = Observed::keep(&gvk, head, &Interest::Tracked("shop".into()), OBJECT.as_bytes());
        assert!(kept.packed_len() < OBJECT.len());
        let value = kept.value().unwrap();
        assert_eq!(value.str_at(&["apiVersion"]), Some("apps/v1"));
        assert_eq!(value.int_at(&["spec", "replicas"]), Some(3));
        assert_eq!(value.list_at(&["metadata", "managedFields"]).len(), 1);
        assert_eq!(kept.tracked_by.as_deref(), Some("shop"));
    }

    #[test]
    fn uids_are_equal_where_their_texts_are() {
        let texts = [
            "6f1c2d3e-0000-4000-8000-000000000001",
            "6f1c2d3e-0000-4000-8000-000000000002",
            "6F1C2D3E-0000-4000-8000-000000000001",
            "6f1c2d3e-00004-000-8000-000000000001",
            "6f1c2d3e00004000800000000000000000001",
            "+f1c2d3e-0000-4000-8000-000000000001",
            "u1",
            "",
        ];
        for (place, text) in texts.iter().enumerate() {
            for (other_place, other) in texts.iter().enumerate() {
                assert_eq!(Uid::of(text) == Uid::of(other), place == other_place, "{text} {other}");
            }
            assert_eq!(matches!(Uid::of(text), Uid::Uuid(_)), place < 2, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_read_says_where_and_not_what() {
        let gvk = Gvk::new("", "v1", "Secret");
        let error =
            Head::read(&gvk, br#"{"metadata":{"name":"a"},"data":{"password":"aHVudGVyMg=="}"#).unwrap_err();
        assert!(!error.to_string().contains("aHVudGVyMg"), "{error}");
        let error = Head::read(&gvk, br#"{"metadata":{}}"#).unwrap_err();
        assert!(error.to_string().contains("no name"), "{error}");
    }
}
