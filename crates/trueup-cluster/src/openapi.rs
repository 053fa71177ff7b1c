//! Schemas of the kinds in use, from the cluster's own OpenAPI v3 documents.
//!
//! The index names each group version's document by an address that holds its hash, so a document is fetched again
//! only when it changed. Documents are kept compressed; the schemas are read anew when one of them changed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use bytes::Bytes;
use trueup_merge::SchemaSet;
use trueup_object::value::Text;
use trueup_object::{Gvk, Value};

use crate::wire::{PAGE_TIMEOUT, Wire, WireError};

/// A group and a version.
type GroupVersion = (Text, Text);

/// The documents fetched so far and the schemas read from them.
#[derive(Default)]
pub struct SchemaCache {
    documents: BTreeMap<GroupVersion, Document>,
    schemas: Arc<SchemaSet>,
    /// Whether everything is done where the caller runs.
    stays: bool,
}

/// Schemas, and what could not be understood.
type Read = (Arc<SchemaSet>, Vec<String>);

struct Document {
    /// The address that names it, with its hash.
    address: String,
    content: Content,
}

/// A document's bytes.
#[derive(Clone)]
enum Content {
    Packed {
        bytes: Vec<u8>,
        unpacked_len: usize,
    },
    /// As they came: of a server of this process they are its own, so keeping them costs nothing.
    Plain(Bytes),
}

/// What a refresh found.
#[derive(Debug, Clone)]
pub struct Refreshed {
    pub schemas: Arc<SchemaSet>,
    /// Whether the schemas are others than before.
    pub changed: bool,
    /// What could not be fetched or understood, in words; the rest still loads.
    pub problems: Vec<String>,
}

/// Documents of a megabyte shrink to a tenth.
const LEVEL: i32 = 3;

impl SchemaCache {
    /// One that hands no work to other threads.
    pub fn staying() -> Self {
        Self { stays: true, ..Self::default() }
    }

    /// The schemas as last refreshed.
    pub fn schemas(&self) -> Arc<SchemaSet> {
        self.schemas.clone()
    }

    /// Fetches what changed for the kinds in use. An error means that the index could not be read; then the schemas
    /// stay as they are.
    pub async fn refresh(&mut self, wire: &Wire, kinds: &BTreeSet<Gvk>) -> Result<Refreshed, WireError> {
        let index = wire.get("/openapi/v3").await?;
        let index = parse(&index.body)?;
        let wanted: BTreeSet<GroupVersion> =
            kinds.iter().map(|gvk| (gvk.group.clone(), gvk.version.clone())).collect();
        let mut changed = false;
        let mut problems = Vec::new();
        self.documents.retain(|group_version, _| {
            let kept = wanted.contains(group_version);
            changed |= !kept;
            kept
        });
        for group_version in wanted {
            let Some(address) = address(&index, &group_version) else {
                // Not served, or served by somebody without OpenAPI: the compiled-in table or a guess must do.
                changed |= self.documents.remove(&group_version).is_some();
                continue;
            };
            if self.documents.get(&group_version).is_some_and(|known| known.address == address) {
                continue;
            }
            match wire.read(&address, "application/json", PAGE_TIMEOUT).await {
                Ok(answer) => {
                    let content =
                        if self.stays { Content::Plain(answer.body) } else { Content::packed(&answer.body) };
                    self.documents.insert(group_version, Document { address, content });
                    changed = true;
                }
                Err(error) => problems.push(format!("{}: {error}", shown(&group_version))),
            }
        }
        if changed {
            problems.extend(self.read_documents().await);
        }
        Ok(Refreshed { schemas: self.schemas.clone(), changed, problems })
    }

    /// Reads all documents into one set: tens of milliseconds of computing, so not on the threads that answer.
    async fn read_documents(&mut self) -> Vec<String> {
        let contents: Vec<Content> =
            self.documents.values().map(|document| document.content.clone()).collect();
        let read = if self.stays {
            Ok(Shelf::process().read(contents))
        } else {
            tokio::task::spawn_blocking(move || read(&contents)).await
        };
        match read {
            Ok((schemas, problems)) => {
                self.schemas = schemas;
                problems
            }
            Err(error) => vec![format!("reading the OpenAPI documents failed: {error}")],
        }
    }
}

impl Content {
    fn packed(body: &[u8]) -> Self {
        let bytes = zstd::bulk::compress(body, LEVEL).unwrap_or_default();
        Self::Packed { bytes, unpacked_len: body.len() }
    }

    fn value(&self) -> Option<Value> {
        match self {
            Self::Packed { bytes, unpacked_len } => {
                Value::from_json(&zstd::bulk::decompress(bytes, *unpacked_len).ok()?).ok()
            }
            Self::Plain(bytes) => Value::from_json(bytes).ok(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            // The same memory is the same content, and is not read for that.
            (Self::Plain(one), Self::Plain(other)) => {
                one.len() == other.len() && (one.as_ptr() == other.as_ptr() || one == other)
            }
            (Self::Packed { .. }, _) | (_, Self::Packed { .. }) => false,
        }
    }
}

fn read(contents: &[Content]) -> Read {
    let documents: Vec<Value> = contents.iter().filter_map(Content::value).collect();
    let missing = contents.len() - documents.len();
    let (schemas, mut problems) = SchemaSet::from_openapi_v3(&documents);
    if missing > 0 {
        problems.push(format!("{missing} OpenAPI documents are not valid JSON"));
    }
    (Arc::new(schemas), problems)
}

/// What was read from the documents of servers of this process: a simulation starts thousands of controllers beside servers that
/// publish the same, and reading it would be most of what each of them does.
#[derive(Default)]
struct Shelf {
    read: Mutex<VecDeque<(Vec<Content>, Read)>>,
}

/// More sets of kinds than the applications of one simulation go through.
const SHELF_MAX: usize = 64;

impl Shelf {
    fn process() -> &'static Self {
        static SHELF: LazyLock<Shelf> = LazyLock::new(Shelf::default);
        &SHELF
    }

    fn read(&self, contents: Vec<Content>) -> Read {
        let is_same = |known: &[Content]| {
            known.len() == contents.len()
                && known.iter().zip(&contents).all(|(one, other)| one.is_same(other))
        };
        // What is on the shelf is whole, whatever panicked while it was held.
        let mut shelf = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = shelf.iter().find(|(known, _)| is_same(known)) {
            return found.clone();
        }
        let found = read(&contents);
        if shelf.len() == SHELF_MAX {
            shelf.pop_front();
        }
        shelf.push_back((contents, found.clone()));
        found
    }
}

fn parse(body: &[u8]) -> Result<Value, WireError> {
    Value::from_json(body).map_err(|error| WireError::Unreadable { message: error.to_string() })
}

/// The address of a group version's document, where the index has one within the same server.
fn address(index: &Value, (group, version): &GroupVersion) -> Option<String> {
    let path = if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") };
    let address = index.str_at(&["paths", &path, "serverRelativeURL"])?;
    address.starts_with('/').then(|| address.to_owned())
}

fn shown((group, version): &GroupVersion) -> String {
    if group.is_empty() { version.to_string() } else { format!("{group}/{version}") }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_same_documents_are_read_once() {
        let document = |text: &'static str| Content::Plain(Bytes::from_static(text.as_bytes()));
        let shelf = Shelf::default();
        let (first, _) = shelf.read(vec![document(r#"{"a":1}"#)]);
        let copy = Content::Plain(Bytes::from(r#"{"a":1}"#.to_owned()));
        assert!(Arc::ptr_eq(&first, &shelf.read(vec![copy]).0));
        assert!(!Arc::ptr_eq(&first, &shelf.read(vec![document(r#"{"a":2}"#)]).0));
        assert_eq!(shelf.read(vec![document("{")]).1.len(), 1);
    }

    #[test]
    fn the_index_gives_addresses_with_hashes() {
        let index = Value::from_json(br#"{"paths":{"apis/apps/v1":{"serverRelativeURL":"/openapi/v3/apis/apps/v1?hash=AB"},"api/v1":{"serverRelativeURL":"https://elsewhere"}}}"#).unwrap();
        let apps = (Text::from("apps"), Text::from("v1"));
        assert_eq!(address(&index, &apps).as_deref(), Some("/openapi/v3/apis/apps/v1?hash=AB"));
        assert_eq!(address(&index, &(Text::default(), Text::from("v1"))), None);
        assert_eq!(shown(&(Text::default(), Text::from("v1"))), "v1");
    }
}
