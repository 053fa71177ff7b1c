//! Schemas of the kinds in use, from the cluster's own OpenAPI v3 documents.
//!
//! The index names each group version's document by an address that holds its hash, so a document is fetched again
//! only when it changed. Documents are kept compressed; the schemas are read anew when one of them changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

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

struct Document {
    /// The address that names it, with its hash.
    address: String,
    packed: Vec<u8>,
    unpacked_len: usize,
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
                    let packed = zstd::bulk::compress(&answer.body, LEVEL).unwrap_or_default();
                    let unpacked_len = answer.body.len();
                    self.documents.insert(group_version, Document { address, packed, unpacked_len });
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
        let packed: Vec<(Vec<u8>, usize)> = self
            .documents
            .values()
            .map(|document| (document.packed.clone(), document.unpacked_len))
            .collect();
        let read = move || {
            let documents: Vec<Value> = packed
                .iter()
                .filter_map(|(packed, len)| zstd::bulk::decompress(packed, *len).ok())
                .filter_map(|bytes| Value::from_json(&bytes).ok())
                .collect();
            let missing = packed.len() - documents.len();
            let (schemas, mut problems) = SchemaSet::from_openapi_v3(&documents);
            if missing > 0 {
                problems.push(format!("{missing} OpenAPI documents are not valid JSON"));
            }
            (schemas, problems)
        };
        let read = if self.stays { Ok(read()) } else { tokio::task::spawn_blocking(read).await };
        match read {
            Ok((schemas, problems)) => {
                self.schemas = Arc::new(schemas);
                problems
            }
            Err(error) => vec![format!("reading the OpenAPI documents failed: {error}")],
        }
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
    fn the_index_gives_addresses_with_hashes() {
        let index = Value::from_json(br#"{"paths":{"apis/apps/v1":{"serverRelativeURL":"/openapi/v3/apis/apps/v1?hash=AB"},"api/v1":{"serverRelativeURL":"https://elsewhere"}}}"#).unwrap();
        let apps = (Text::from("apps"), Text::from("v1"));
        assert_eq!(address(&index, &apps).as_deref(), Some("/openapi/v3/apis/apps/v1?hash=AB"));
        assert_eq!(address(&index, &(Text::default(), Text::from("v1"))), None);
        assert_eq!(shown(&(Text::default(), Text::from("v1"))), "v1");
    }
}
