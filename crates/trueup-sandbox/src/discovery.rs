//! What the server says it serves: versions, groups, resources (plain and aggregated), OpenAPI.

mod openapi;
mod openapi_v2;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};
use trueup_object::value::{Map, Text};
use trueup_object::{Gvk, Value};

use crate::kind::{KindInfo, Scope};
use crate::registry::{Builtin, Group, Kinds, ServedResource, storage_of};

pub use openapi::{openapi_document, openapi_index};
pub use openapi_v2::{PROTOBUF as OPENAPI_V2_PROTOBUF, encode as encode_openapi_v2, openapi_v2};

/// The media type of aggregated discovery.
pub const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/version`.
pub fn version(builtin: &Builtin) -> Value {
    let version = builtin.kubernetes();
    let mut numbers = version.split('.');
    let mut number = || Value::from(numbers.next().unwrap_or_default());
    let (major, minor) = (number(), number());
    let previous =
        minor.as_str().and_then(|minor| minor.parse::<u32>().ok()).unwrap_or_default().saturating_sub(1);
    map([
        ("buildDate", "1970-01-01T00:00:00Z".into()),
        ("compiler", "gc".into()),
        ("emulationMajor", major.clone()),
        ("emulationMinor", minor.clone()),
        ("gitCommit", "".into()),
        ("gitTreeState", "clean".into()),
        ("gitVersion", format!("v{version}").into()),
        ("goVersion", "".into()),
        ("major", major.clone()),
        ("minCompatibilityMajor", major.clone()),
        ("minCompatibilityMinor", previous.to_string().into()),
        ("minor", minor),
        ("platform", "linux/amd64".into()),
    ])
}

/// `/api`.
pub fn core_versions(address: &str) -> Value {
    let server = map([("clientCIDR", "0.0.0.0/0".into()), ("serverAddress", address.into())]);
    map([
        ("kind", "APIVersions".into()),
        ("serverAddressByClientCIDRs", Value::List(vec![server])),
        ("versions", Value::List(vec!["v1".into()])),
    ])
}

/// `/apis`.
pub fn group_list(kinds: &Kinds) -> Value {
    let groups = named_groups(kinds).map(group_value).collect();
    map([("apiVersion", "v1".into()), ("groups", Value::List(groups)), ("kind", "APIGroupList".into())])
}

/// `/apis/GROUP`.
pub fn group(kinds: &Kinds, name: &str) -> Option<Value> {
    let mut group = group_value(named_groups(kinds).find(|group| group.name == name)?);
    group.set_at(&["apiVersion"], "v1".into());
    group.set_at(&["kind"], "APIGroup".into());
    Some(group)
}

/// `/apis/GROUP/VERSION` and `/api/VERSION`.
pub fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let served = kinds.resources(group, version)?;
    let resources = served.iter().flat_map(|served| plain_resources(kinds, served)).collect();
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = map([
        ("groupVersion", group_version.into()),
        ("kind", "APIResourceList".into()),
        ("resources", Value::List(resources)),
    ]);
    if !group.is_empty() {
        // The core group's list is older than this field.
        list.set_at(&["apiVersion"], "v1".into());
    }
    Some(list)
}

/// `/api` or `/apis`, with all their resources at once.
pub fn aggregated(kinds: &Kinds, core: bool) -> Value {
    let groups = kinds.groups().iter().filter(|group| group.name.is_empty() == core);
    let items = groups.map(|group| aggregated_group(kinds, group)).collect();
    map([
        ("apiVersion", "apidiscovery.k8s.io/v2".into()),
        ("items", Value::List(items)),
        ("kind", "APIGroupDiscoveryList".into()),
        ("metadata", Value::Map(Map::new())),
    ])
}

/// `/`.
pub fn paths(kinds: &Kinds) -> Value {
    let mut paths: Vec<String> = vec!["/api".to_owned(), "/api/v1".to_owned(), "/apis".to_owned()];
    for group in named_groups(kinds) {
        paths.push(format!("/apis/{}", group.name));
        paths.extend(group.versions.iter().map(|version| format!("/apis/{}/{version}", group.name)));
    }
    paths.extend(
        ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"].map(str::to_owned),
    );
    map([("paths", Value::List(paths.into_iter().map(Value::from).collect()))])
}

fn named_groups(kinds: &Kinds) -> impl Iterator<Item = &Group> {
    kinds.groups().iter().filter(|group| !group.name.is_empty())
}

fn group_value(group: &Group) -> Value {
    let version = |version: &Text| {
        map([
            ("groupVersion", format!("{}/{version}", group.name).into()),
            ("version", version.clone().into()),
        ])
    };
    map([
        ("name", group.name.clone().into()),
        ("preferredVersion", version(&group.preferred)),
        ("versions", Value::List(group.versions.iter().map(version).collect())),
    ])
}

fn plain_resources(kinds: &Kinds, served: &ServedResource) -> Vec<Value> {
    let kind = &served.kind;
    let mut resource = Map::from_iter([
        ("kind", Value::from(kind.gvk.kind.clone())),
        ("name", kind.plural.clone().into()),
        ("namespaced", kind.is_namespaced().into()),
        ("singularName", kind.singular.clone().into()),
        ("verbs", texts(&served.verbs)),
    ]);
    if !kind.short_names.is_empty() {
        resource.insert("shortNames", texts(&kind.short_names));
    }
    if !kind.categories.is_empty() {
        resource.insert("categories", texts(&kind.categories));
    }
    if served.serves("watch") {
        resource.insert("storageVersionHash", storage_version_hash(kinds, kind).into());
    }
    let subresources = served.subresources.iter().map(|subresource| {
        let mut value = Map::from_iter([
            ("kind", Value::from(subresource.kind.kind.clone())),
            ("name", format!("{}/{}", kind.plural, subresource.name).into()),
            ("namespaced", kind.is_namespaced().into()),
            ("singularName", "".into()),
            ("verbs", texts(&subresource.verbs)),
        ]);
        if (&subresource.kind.group, &subresource.kind.version) != (&kind.gvk.group, &kind.gvk.version) {
            value.insert("group", subresource.kind.group.clone().into());
            value.insert("version", subresource.kind.version.clone().into());
        }
        Value::Map(value)
    });
    std::iter::once(Value::Map(resource)).chain(subresources).collect()
}

/// How clients learn in which version a kind is stored, without being told (`discovery.StorageVersionHash`).
fn storage_version_hash(kinds: &Kinds, kind: &KindInfo) -> String {
    /// How much of the digest is shown.
    const N_BYTES: usize = 8;
    let id = storage_of(kind);
    let version = match kind.custom() {
        Some(custom) => custom.storage_version.clone(),
        None => {
            kinds.preferred(&id).map_or_else(|| kind.gvk.version.clone(), |it| it.kind.gvk.version.clone())
        }
    };
    let digest = Sha256::digest(format!("{}/{version}/{}", id.group, kind.gvk.kind));
    STANDARD.encode(digest.get(..N_BYTES).unwrap_or_default())
}

fn aggregated_group(kinds: &Kinds, group: &Group) -> Value {
    let versions = group.versions.iter().map(|version| {
        let served = kinds.resources(&group.name, version).unwrap_or_default();
        map([
            ("freshness", "Current".into()),
            ("resources", Value::List(served.iter().map(|served| aggregated_resource(served)).collect())),
            ("version", version.clone().into()),
        ])
    });
    let metadata = if group.name.is_empty() {
        Map::new()
    } else {
        Map::from_iter([("name", group.name.clone().into())])
    };
    map([("metadata", Value::Map(metadata)), ("versions", Value::List(versions.collect()))])
}

fn aggregated_resource(served: &ServedResource) -> Value {
    let kind = &served.kind;
    let scope = match kind.scope {
        Scope::Namespaced => "Namespaced",
        Scope::Cluster => "Cluster",
    };
    let mut resource = Map::from_iter([
        ("resource", Value::from(kind.plural.clone())),
        ("responseKind", response_kind(&kind.gvk, &kind.gvk)),
        ("scope", scope.into()),
        ("singularResource", kind.singular.clone().into()),
        ("verbs", texts(&served.verbs)),
    ]);
    if !kind.short_names.is_empty() {
        resource.insert("shortNames", texts(&kind.short_names));
    }
    if !kind.categories.is_empty() {
        resource.insert("categories", texts(&kind.categories));
    }
    if !served.subresources.is_empty() {
        let subresources = served.subresources.iter().map(|subresource| {
            map([
                ("responseKind", response_kind(&subresource.kind, &kind.gvk)),
                ("subresource", subresource.name.clone().into()),
                ("verbs", texts(&subresource.verbs)),
            ])
        });
        resource.insert("subresources", Value::List(subresources.collect()));
    }
    Value::Map(resource)
}

/// A kind as aggregated discovery names it: group and version only where they are not those of the list.
fn response_kind(gvk: &Gvk, own: &Gvk) -> Value {
    if (&gvk.group, &gvk.version) == (&own.group, &own.version) {
        return gvk_value(&Gvk::new("", "", &gvk.kind));
    }
    gvk_value(gvk)
}

fn gvk_value(gvk: &Gvk) -> Value {
    map([
        ("group", gvk.group.clone().into()),
        ("kind", gvk.kind.clone().into()),
        ("version", gvk.version.clone().into()),
    ])
}

fn texts(texts: &[Text]) -> Value {
    Value::List(texts.iter().cloned().map(Value::from).collect())
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(Map::from_iter(entries))
}
