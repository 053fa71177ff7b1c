//! Objects as files declare them, each with where it came from.
//!
//! Reading never fails as a whole: a document that cannot be read is one problem naming file and line, and the rest
//! loads. Lists are expanded to their items, empty documents dropped.

use std::fmt;
use std::sync::Arc;

use crate::identity::{GroupKind, Gvk, ResourceKey};
use crate::value::Value;
use crate::yaml::{YamlDocument, read_documents};

#[cfg(test)]
mod tests;

/// Lists may hold lists; more levels than this are nobody's intent.
const LIST_DEPTH_MAX: usize = 8;

/// Which file of which revision of which repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOrigin {
    /// The repository as the source names it, without credentials.
    pub repo: Arc<str>,
    /// The resolved revision.
    pub revision: Arc<str>,
    /// The path within the repository.
    pub path: Arc<str>,
}

/// Where an object came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    pub repo: Arc<str>,
    pub revision: Arc<str>,
    pub path: Arc<str>,
    /// The number of the document in its file, from 1.
    pub document: usize,
    /// The line on which the object starts, from 1.
    pub line: usize,
}

/// An object that names its API version, kind and name, and where it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    object: Value,
    gvk: Gvk,
    pub origin: Origin,
}

/// Something in a file that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestProblem {
    pub severity: Severity,
    pub path: Arc<str>,
    /// From 1.
    pub line: usize,
    /// What is wrong, as a fragment.
    pub message: String,
    /// What to do about it; empty where there is nothing to say.
    pub hint: &'static str,
}

/// What a problem means for the set of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Every object loads, perhaps not as intended.
    Warning,
    /// At least one object is lost: the set is incomplete.
    Error,
}

/// Reads all objects of a YAML or JSON file.
pub fn read_manifests(bytes: &[u8], file: &FileOrigin) -> (Vec<Manifest>, Vec<ManifestProblem>) {
    let mut reader = Reader { file, document: 0, manifests: Vec::new(), problems: Vec::new() };
    for document in read_documents(bytes) {
        reader.document += 1;
        match document {
            Ok(document) => reader.read_document(document),
            Err(error) => reader.lose(
                error.line,
                format!("invalid YAML: {}", error.message),
                "correct the syntax; the other documents of the file are not affected",
            ),
        }
    }
    (reader.manifests, reader.problems)
}

impl Manifest {
    /// An object with its origin; says what is missing where it is not one.
    pub fn new(object: Value, origin: Origin) -> Result<Self, NotAnObject> {
        let gvk = check(&object)?;
        Ok(Self { object, gvk, origin })
    }

    pub fn object(&self) -> &Value {
        &self.object
    }

    pub fn into_object(self) -> Value {
        self.object
    }

    /// The same manifest with another object: what normalizing makes of it. The identity may change with it.
    pub fn with_object(&self, object: Value) -> Result<Self, NotAnObject> {
        Self::new(object, self.origin.clone())
    }

    pub fn gvk(&self) -> &Gvk {
        &self.gvk
    }

    pub fn group_kind(&self) -> GroupKind {
        self.gvk.group_kind()
    }

    /// Group, kind, namespace and name. The name is empty where the server is to make one up.
    pub fn key(&self) -> ResourceKey {
        ResourceKey {
            group: self.gvk.group.clone(),
            kind: self.gvk.kind.clone(),
            namespace: self.namespace().into(),
            name: self.name().into(),
        }
    }

    /// Empty where the object has only `generateName`.
    pub fn name(&self) -> &str {
        self.object.str_at(&["metadata", "name"]).unwrap_or_default()
    }

    /// As declared; empty where nothing is.
    pub fn namespace(&self) -> &str {
        self.object.str_at(&["metadata", "namespace"]).unwrap_or_default()
    }

    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.object.str_at(&["metadata", "annotations", key])
    }

    pub fn label(&self, key: &str) -> Option<&str> {
        self.object.str_at(&["metadata", "labels", key])
    }
}

/// Why a value is not a Kubernetes object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct NotAnObject {
    pub message: String,
    pub hint: &'static str,
}

impl NotAnObject {
    fn new(message: impl Into<String>, hint: &'static str) -> Self {
        Self { message: message.into(), hint }
    }
}

fn check(object: &Value) -> Result<Gvk, NotAnObject> {
    if object.as_map().is_none() {
        let message = format!("the document is {}, not an object", with_article(object));
        return Err(NotAnObject::new(message, "a manifest is a map with apiVersion, kind and metadata"));
    }
    let api_version = required_text(object, &["apiVersion"])?;
    let kind = required_text(object, &["kind"])?;
    if let Some(metadata) = object.get("metadata")
        && metadata.as_map().is_none()
        && !metadata.is_null()
    {
        let message = format!("metadata is {}, not an object", with_article(metadata));
        return Err(NotAnObject::new(message, "metadata is a map with at least a name"));
    }
    let generated = object.str_at(&["metadata", "generateName"]).is_some_and(|prefix| !prefix.is_empty());
    match object.at(&["metadata", "name"]) {
        None | Some(Value::Null) if generated => {}
        _ => {
            required_text(object, &["metadata", "name"])?;
        }
    }
    if let Some(namespace) = object.at(&["metadata", "namespace"])
        && !namespace.is_null()
        && namespace.as_str().is_none()
    {
        return Err(not_text("metadata.namespace", namespace));
    }
    Ok(Gvk::from_api_version(api_version, kind))
}

fn required_text<'a>(object: &'a Value, keys: &[&str]) -> Result<&'a str, NotAnObject> {
    let name = keys.join(".");
    match object.at(keys) {
        Some(Value::Str(text)) if !text.is_empty() => Ok(text),
        None | Some(Value::Null | Value::Str(_)) => Err(NotAnObject::new(
            format!("{name} is missing"),
            "every object needs apiVersion, kind and metadata.name",
        )),
        Some(other) => Err(not_text(&name, other)),
    }
}

fn not_text(name: &str, found: &Value) -> NotAnObject {
    let message = format!("{name} is {} ({}), not a string", with_article(found), found.to_json());
    NotAnObject::new(message, "put it in quotes: YAML reads 1, yes and on without quotes as other types")
}

fn with_article(value: &Value) -> String {
    match value.type_name() {
        "null" => "null".to_owned(),
        name @ ("array" | "object" | "integer") => format!("an {name}"),
        name => format!("a {name}"),
    }
}

struct Reader<'a> {
    file: &'a FileOrigin,
    document: usize,
    manifests: Vec<Manifest>,
    problems: Vec<ManifestProblem>,
}

impl Reader<'_> {
    fn lose(&mut self, line: usize, message: String, hint: &'static str) {
        let path = self.file.path.clone();
        self.problems.push(ManifestProblem { severity: Severity::Error, path, line, message, hint });
    }

    fn read_document(&mut self, document: YamlDocument) {
        let YamlDocument { value, line, item_lines, duplicate_keys } = document;
        for duplicate in duplicate_keys {
            self.problems.push(ManifestProblem {
                severity: Severity::Warning,
                path: self.file.path.clone(),
                line: duplicate.line,
                message: format!(
                    "the key `{}` is written twice in one map; the last one counts",
                    duplicate.key
                ),
                hint: "remove one of them",
            });
        }
        if !value.is_null() {
            self.read_object(value, line, &item_lines, 0);
        }
    }

    fn read_object(&mut self, object: Value, line: usize, item_lines: &[usize], depth: usize) {
        if is_list(&object) {
            if depth >= LIST_DEPTH_MAX {
                let message = format!("lists nested deeper than {LIST_DEPTH_MAX} levels");
                self.lose(line, message, "write the objects as documents of their own");
                return;
            }
            self.read_list(object, line, item_lines, depth);
            return;
        }
        let FileOrigin { repo, revision, path } = self.file.clone();
        let origin = Origin { repo, revision, path, document: self.document, line };
        match Manifest::new(object, origin) {
            Ok(manifest) => self.manifests.push(manifest),
            Err(problem) => self.lose(line, problem.message, problem.hint),
        }
    }

    fn read_list(&mut self, mut list: Value, line: usize, item_lines: &[usize], depth: usize) {
        let api_version = list.str_at(&["apiVersion"]).unwrap_or_default().to_owned();
        let kind = list.str_at(&["kind"]).unwrap_or_default();
        let item_kind = kind.strip_suffix("List").unwrap_or_default().to_owned();
        let Some(Value::List(items)) = list.remove_at(&["items"]) else { return };
        for (position, mut item) in items.into_iter().enumerate() {
            if item.is_null() {
                continue;
            }
            // Items of a typed list, such as ConfigMapList, may leave out what the list says.
            if !item_kind.is_empty() && item.as_map().is_some() {
                for (key, value) in [("apiVersion", &api_version), ("kind", &item_kind)] {
                    if item.str_at(&[key]).is_none_or(str::is_empty) {
                        item.set_at(&[key], value.as_str().into());
                    }
                }
            }
            let item_line = item_lines.get(position).copied().unwrap_or(line);
            self.read_object(item, item_line, &[], depth + 1);
        }
    }
}

/// `List` and every other kind that ends so, with items (also none, as `null`).
fn is_list(object: &Value) -> bool {
    object.str_at(&["kind"]).is_some_and(|kind| kind.ends_with("List"))
        && object.get("items").is_some_and(|items| items.is_null() || items.as_list().is_some())
}

/// `path:line`
impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.path, self.line)
    }
}

/// `path:line: message (hint)`
impl fmt::Display for ManifestProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(out, " ({})", self.hint) }
    }
}
