//! Which kinds a cluster serves, and whether that is known completely.
//!
//! One aggregated request for each of `/api` and `/apis`; servers without it are asked group by group. A group that
//! does not answer (its API service is down) makes the discovery incomplete, by name: a kind of such a group is
//! unknown, never absent.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use trueup_object::value::Text;
use trueup_object::{GroupKind, Gvk, Value};

use crate::wire::{ANSWER_TIMEOUT, Wire, WireError};

/// Whether objects of a kind live in namespaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KindScope {
    Namespaced,
    Cluster,
}

/// A kind in one version, as the server serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServedKind {
    pub gvk: Gvk,
    /// The name in paths, `deployments`.
    pub plural: Text,
    pub scope: KindScope,
    pub verbs: Vec<Text>,
}

impl ServedKind {
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// What one look at a cluster found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Versions of each kind, the server's preferred one first.
    kinds: BTreeMap<GroupKind, Vec<ServedKind>>,
    /// Group versions that did not answer, each with why.
    missing: BTreeMap<(Text, Text), String>,
    /// `v1.36.3`; empty where the server did not tell.
    pub server_version: String,
}

/// What is known about one kind in one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lookup<'a> {
    Served(&'a ServedKind),
    /// The kind is served, in these versions only.
    OtherVersions(Vec<&'a ServedKind>),
    NotServed,
    /// Its group did not answer.
    Unknown {
        why: &'a str,
    },
}

impl Discovery {
    /// What is known about a kind in a version.
    pub fn find(&self, gvk: &Gvk) -> Lookup<'_> {
        let versions = self.versions(&gvk.group_kind());
        if let Some(kind) = versions.iter().find(|kind| kind.gvk.version == gvk.version) {
            return Lookup::Served(kind);
        }
        if let Some(why) = self.missing.get(&(gvk.group.clone(), gvk.version.clone())) {
            return Lookup::Unknown { why };
        }
        if !versions.is_empty() {
            return Lookup::OtherVersions(versions.iter().collect());
        }
        match self.missing.iter().find(|((group, _), _)| *group == gvk.group) {
            Some((_, why)) => Lookup::Unknown { why },
            None => Lookup::NotServed,
        }
    }

    /// All versions of a kind, the preferred one first.
    pub fn versions(&self, kind: &GroupKind) -> &[ServedKind] {
        self.kinds.get(kind).map(Vec::as_slice).unwrap_or_default()
    }

    /// The version of a kind that the server prefers.
    pub fn preferred(&self, kind: &GroupKind) -> Option<&ServedKind> {
        self.versions(kind).first()
    }

    /// Every kind in every version.
    pub fn all(&self) -> impl Iterator<Item = &ServedKind> {
        self.kinds.values().flatten()
    }

    /// Whether every group answered.
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The group versions that did not answer, each with why.
    pub fn missing(&self) -> impl Iterator<Item = (String, &str)> {
        self.missing.iter().map(|((group, version), why)| {
            let shown = if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
            (shown, why.as_str())
        })
    }

    /// Adds a kind after those that the server prefers to it.
    pub fn insert(&mut self, kind: ServedKind) {
        let versions = self.kinds.entry(kind.gvk.group_kind()).or_default();
        if versions.iter().all(|known| known.gvk != kind.gvk) {
            versions.push(kind);
        }
    }

    fn miss(&mut self, group: &str, version: &str, why: impl Into<String>) {
        self.missing.insert((Text::from(group), Text::from(version)), why.into());
    }
}

const AGGREGATED: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json";

/// Asks a server for everything it serves. An error means that the server as a whole gave no answer.
pub async fn discover(wire: &Wire) -> Result<Discovery, WireError> {
    let mut discovery = Discovery::default();
    for root in ["/api", "/apis"] {
        let answer = wire.read(root, AGGREGATED, ANSWER_TIMEOUT).await?;
        let document = LAST_READ.read(answer.body)?;
        if document.str_at(&["kind"]) == Some("APIGroupDiscoveryList") {
            read_aggregated(&document, &mut discovery);
        } else {
            read_group_by_group(wire, &document, &mut discovery).await;
        }
    }
    discovery.server_version = match wire.get("/version").await {
        Ok(answer) => parse(&answer.body)?.str_at(&["gitVersion"]).unwrap_or_default().to_owned(),
        // Reading the version may be forbidden; nothing depends on it but what is printed.
        Err(_) => String::new(),
    };
    Ok(discovery)
}

/// The documents that were read last in this process: what a cluster serves seldom changes from one look to the next.
struct LastRead {
    documents: Mutex<VecDeque<(Bytes, Arc<Value>)>>,
}

static LAST_READ: LastRead = LastRead { documents: Mutex::new(VecDeque::new()) };

/// Two for a cluster, as it is and as it was.
const LAST_READ_MAX: usize = 4;

impl LastRead {
    fn read(&self, body: Bytes) -> Result<Arc<Value>, WireError> {
        // Servers of this process give the same memory, which need not be looked at.
        let is_same =
            |known: &Bytes| known.len() == body.len() && (known.as_ptr() == body.as_ptr() || *known == body);
        // What is kept is whole, whatever panicked while it was held.
        let kept = || self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, document)) = kept().iter().find(|(known, _)| is_same(known)) {
            return Ok(document.clone());
        }
        let document = Arc::new(parse(&body)?);
        let mut documents = kept();
        if documents.len() == LAST_READ_MAX {
            documents.pop_front();
        }
        documents.push_back((body, document.clone()));
        Ok(document)
    }
}

fn parse(body: &[u8]) -> Result<Value, WireError> {
    Value::from_json(body).map_err(|error| WireError::Unreadable { message: error.to_string() })
}

fn read_aggregated(document: &Value, discovery: &mut Discovery) {
    for group in document.list_at(&["items"]) {
        let group_name = group.str_at(&["metadata", "name"]).unwrap_or_default();
        for version in group.list_at(&["versions"]) {
            let version_name = version.str_at(&["version"]).unwrap_or_default();
            if version.str_at(&["freshness"]) == Some("Stale") {
                discovery.miss(group_name, version_name, "its API service does not answer");
                continue;
            }
            for resource in version.list_at(&["resources"]) {
                let field = |key: &str| resource.str_at(&["responseKind", key]).unwrap_or_default();
                let kind = field("kind");
                // A resource without a kind is a group's bookkeeping, such as a storage version in migration.
                if kind.is_empty() {
                    continue;
                }
                discovery.insert(ServedKind {
                    gvk: Gvk::new(group_name, version_name, kind),
                    plural: Text::from(resource.str_at(&["resource"]).unwrap_or_default()),
                    scope: scope(resource.str_at(&["scope"]) == Some("Namespaced")),
                    verbs: verbs(resource),
                });
            }
        }
    }
}

async fn read_group_by_group(wire: &Wire, document: &Value, discovery: &mut Discovery) {
    for (group, version) in group_versions(document) {
        let path = crate::path::group_version(&group, &version);
        let resources = match wire.get(&path).await {
            Ok(answer) => parse(&answer.body),
            Err(error) => Err(error),
        };
        match resources {
            Ok(resources) => read_resources(&resources, &group, &version, discovery),
            Err(error) => discovery.miss(&group, &version, error.to_string()),
        }
    }
}

/// Group versions of an `APIVersions` or `APIGroupList`, the preferred one of each group first.
fn group_versions(document: &Value) -> Vec<(Text, Text)> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for version in document.list_at(&["versions"]).iter().filter_map(Value::as_str) {
        found.push((Text::default(), Text::from(version)));
    }
    for group in document.list_at(&["groups"]) {
        let name = Text::from(group.str_at(&["name"]).unwrap_or_default());
        let preferred = group.str_at(&["preferredVersion", "version"]);
        let others = group.list_at(&["versions"]).iter().filter_map(|version| version.str_at(&["version"]));
        for version in preferred.into_iter().chain(others) {
            if seen.insert((name.clone(), Text::from(version))) {
                found.push((name.clone(), Text::from(version)));
            }
        }
    }
    found
}

fn read_resources(document: &Value, group: &str, version: &str, discovery: &mut Discovery) {
    for resource in document.list_at(&["resources"]) {
        let plural = resource.str_at(&["name"]).unwrap_or_default();
        let kind = resource.str_at(&["kind"]).unwrap_or_default();
        // `deployments/scale` is a way to write to a Deployment, not a kind of object.
        if plural.contains('/') || kind.is_empty() {
            continue;
        }
        discovery.insert(ServedKind {
            gvk: Gvk::new(group, version, kind),
            plural: Text::from(plural),
            scope: scope(resource.at(&["namespaced"]).and_then(Value::as_bool) == Some(true)),
            verbs: verbs(resource),
        });
    }
}

fn scope(namespaced: bool) -> KindScope {
    if namespaced { KindScope::Namespaced } else { KindScope::Cluster }
}

fn verbs(resource: &Value) -> Vec<Text> {
    resource.list_at(&["verbs"]).iter().filter_map(Value::as_str).map(Text::from).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const AGGREGATED_DOCUMENT: &str = r#"{"kind":"APIGroupDiscoveryList","items":[
      {"metadata":{"name":"autoscaling"},"versions":[
        {"version":"v2","freshness":"Current","resources":[{"resource":"horizontalpodautoscalers","responseKind":{"group":"","version":"","kind":"HorizontalPodAutoscaler"},"scope":"Namespaced","verbs":["get","list","watch"]}]},
        {"version":"v1","freshness":"Current","resources":[{"resource":"horizontalpodautoscalers","responseKind":{"kind":"HorizontalPodAutoscaler"},"scope":"Namespaced","verbs":["get"]}]}]},
      {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","freshness":"Stale","resources":[]}]}]}"#;

    fn aggregated() -> Discovery {
        let mut discovery = Discovery::default();
        read_aggregated(&Value::from_json(AGGREGATED_DOCUMENT.as_bytes()).unwrap(), &mut discovery);
        discovery
    }

    #[test]
    fn documents_are_read_once_as_long_as_they_are_the_same() {
        let kept = LastRead { documents: Mutex::new(VecDeque::new()) };
        let read = |text: &str| kept.read(Bytes::copy_from_slice(text.as_bytes())).unwrap();
        let first = read("[1]");
        assert!(Arc::ptr_eq(&first, &read("[1]")));
        assert_eq!(*read("[2]"), Value::from_json(b"[2]").unwrap());
        assert!(kept.read(Bytes::from_static(b"[")).is_err());
        for number in 0..LAST_READ_MAX {
            read(&format!("[{number}, {number}]"));
        }
        assert_eq!(read("[1]"), first);
        assert!(!Arc::ptr_eq(&first, &read("[1]")), "only the last are kept");
    }

    #[test]
    fn versions_keep_the_servers_order() {
        let discovery = aggregated();
        let preferred =
            discovery.preferred(&GroupKind::new("autoscaling", "HorizontalPodAutoscaler")).unwrap();
        assert_eq!(preferred.gvk.version, "v2");
        assert!(preferred.can("watch"));
        assert_eq!(preferred.scope, KindScope::Namespaced);
        let asked = Gvk::new("autoscaling", "v1", "HorizontalPodAutoscaler");
        assert!(matches!(discovery.find(&asked), Lookup::Served(kind) if kind.gvk == asked));
        let older = Gvk::new("autoscaling", "v2beta2", "HorizontalPodAutoscaler");
        assert!(matches!(discovery.find(&older), Lookup::OtherVersions(kinds) if kinds.len() == 2));
    }

    #[test]
    fn a_silent_group_is_unknown_and_not_absent() {
        let discovery = aggregated();
        assert!(!discovery.is_complete());
        assert_eq!(discovery.missing().next().unwrap().0, "metrics.k8s.io/v1beta1");
        assert!(matches!(
            discovery.find(&Gvk::new("metrics.k8s.io", "v1", "PodMetrics")),
            Lookup::Unknown { .. }
        ));
        assert_eq!(discovery.find(&Gvk::new("example.com", "v1", "Widget")), Lookup::NotServed);
    }

    #[test]
    fn older_documents_are_read() {
        let groups = Value::from_json(br#"{"kind":"APIGroupList","groups":[{"name":"apps","versions":[{"version":"v1beta1"},{"version":"v1"}],"preferredVersion":{"version":"v1"}}]}"#).unwrap();
        let found = group_versions(&groups);
        assert_eq!(found.first().unwrap().1, "v1");
        assert_eq!(found.len(), 2);
        let mut discovery = Discovery::default();
        let resources = Value::from_json(br#"{"resources":[{"name":"deployments","kind":"Deployment","namespaced":true,"verbs":["get"]},{"name":"deployments/scale","kind":"Scale","namespaced":true,"verbs":["get"]}]}"#).unwrap();
        read_resources(&resources, "apps", "v1", &mut discovery);
        assert_eq!(discovery.all().count(), 1);
    }
}
