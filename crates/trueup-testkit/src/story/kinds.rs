//! The kinds that a server serves, and the paths of their objects.

use anyhow::{Result, anyhow, bail};
use trueup_object::Value;

use super::Reference;
use crate::http::Client;

/// A served kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// `v1` or `apps/v1`.
    pub api_version: String,
    pub kind: String,
    pub plural: String,
    singular: String,
    short: Vec<String>,
    pub namespaced: bool,
    /// Can be listed and deleted.
    pub collected: bool,
}

/// All served kinds, each in the version that the server prefers; core and `apps` come first.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    kinds: Vec<Kind>,
}

/// An object's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pub kind: Kind,
    /// Empty for cluster-scoped kinds.
    pub namespace: String,
    pub name: String,
}

impl Kinds {
    /// Asks the server.
    pub async fn read(client: &Client) -> Result<Self> {
        let mut versions = vec!["v1".to_owned()];
        let groups = client.find("/apis").await?.unwrap_or_default();
        let preferred =
            |group: &Value| group.str_at(&["preferredVersion", "groupVersion"]).map(str::to_owned);
        versions.extend(groups.list_at(&["groups"]).iter().filter_map(preferred));
        versions[1..].sort_by_key(|version| !version.starts_with("apps/"));
        let mut kinds = Vec::new();
        for version in versions {
            // A group whose last definition has just gone is still listed for a moment, and one that an absent service
            // should serve answers 503.
            let reply = client.get(&root(&version)).await?;
            let resources = match reply.code {
                200 => reply.value()?,
                404 | 503 => continue,
                _ => bail!("list the kinds of {version}: {}", reply.complaint()),
            };
            kinds.extend(
                resources.list_at(&["resources"]).iter().filter_map(|resource| of(&version, resource)),
            );
        }
        Ok(Self { kinds })
    }

    pub fn iter(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.iter()
    }

    /// The kind that a word names: its name, plural, singular or short name, in any case.
    pub fn find(&self, word: &str) -> Option<&Kind> {
        let same = |name: &str| name.eq_ignore_ascii_case(word);
        let named = |kind: &&Kind| same(&kind.kind) || same(&kind.plural) || same(&kind.singular);
        self.kinds
            .iter()
            .find(named)
            .or_else(|| self.kinds.iter().find(|kind| kind.short.iter().any(|short| same(short))))
    }

    /// Where an object is that a story names. A name without a namespace is in the given one.
    pub fn place(&self, reference: &Reference, namespace: Option<&str>) -> Result<Place> {
        let kind = self
            .find(&reference.kind)
            .ok_or_else(|| anyhow!("the server serves no kind {:?}", reference.kind))?;
        if !kind.namespaced {
            return Ok(Place { kind: kind.clone(), namespace: String::new(), name: reference.name.clone() });
        }
        let (name, namespace) = match (reference.name.rsplit_once('.'), namespace) {
            (Some((name, namespace)), _) => (name, namespace),
            (None, Some(namespace)) => (reference.name.as_str(), namespace),
            (None, None) => bail!("{}/{} has no namespace", reference.kind, reference.name),
        };
        Ok(Place { kind: kind.clone(), namespace: namespace.to_owned(), name: name.to_owned() })
    }
}

impl Kind {
    /// The path of all objects of a namespace, or of all namespaces (empty).
    pub fn collection(&self, namespace: &str) -> String {
        let root = root(&self.api_version);
        if namespace.is_empty() {
            format!("{root}/{}", self.plural)
        } else {
            format!("{root}/namespaces/{namespace}/{}", self.plural)
        }
    }
}

impl Place {
    pub fn path(&self) -> String {
        format!("{}/{}", self.kind.collection(&self.namespace), self.name)
    }
}

fn root(version: &str) -> String {
    if version == "v1" { "/api/v1".to_owned() } else { format!("/apis/{version}") }
}

fn of(api_version: &str, resource: &Value) -> Option<Kind> {
    let plural = resource.str_at(&["name"]).filter(|name| !name.contains('/'))?;
    let verbs: Vec<&str> = resource.list_at(&["verbs"]).iter().filter_map(Value::as_str).collect();
    let shorts = resource.list_at(&["shortNames"]).iter().filter_map(Value::as_str);
    Some(Kind {
        api_version: api_version.to_owned(),
        kind: resource.str_at(&["kind"])?.to_owned(),
        plural: plural.to_owned(),
        singular: resource.str_at(&["singularName"]).unwrap_or_default().to_owned(),
        short: shorts.map(str::to_owned).collect(),
        namespaced: resource.get("namespaced").and_then(Value::as_bool).unwrap_or_default(),
        collected: verbs.contains(&"list") && verbs.contains(&"delete"),
    })
}
