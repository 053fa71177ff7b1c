//! Documents about the kinds, written once: they are large, and every client begins with them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::discovery;
use crate::registry::{Builtin, Kinds};

/// What was asked for, as long as the kinds stay what they are.
#[derive(Debug, Default)]
pub struct Documents {
    kept: Mutex<Kept>,
}

/// The documents of one picture of the kinds, by path.
#[derive(Debug, Default)]
struct Kept {
    kinds: Option<Arc<Kinds>>,
    documents: BTreeMap<String, Bytes>,
}

impl Documents {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The document of a path, made where it is not there; None where there is none to be made.
    pub(super) fn get(
        &self,
        kinds: &Arc<Kinds>,
        path: &str,
        make: impl FnOnce() -> Option<Bytes>,
    ) -> Option<Bytes> {
        let mut kept = self.kept();
        if !kept.kinds.as_ref().is_some_and(|own| Arc::ptr_eq(own, kinds)) {
            *kept = Kept { kinds: Some(kinds.clone()), documents: BTreeMap::new() };
        }
        if let Some(known) = kept.documents.get(path) {
            return Some(known.clone());
        }
        // Nobody waits long for it: a document takes milliseconds.
        let document = make()?;
        kept.documents.insert(path.to_owned(), document.clone());
        Some(document)
    }

    /// The OpenAPI document of a group version. Those of built-in kinds alone are the same in every sandbox of a process.
    pub(super) fn openapi(
        &self,
        builtin: &Builtin,
        kinds: &Arc<Kinds>,
        group: &str,
        version: &str,
    ) -> Option<Bytes> {
        let path = format!("{group}/{version}");
        let make = |kinds: &Kinds| {
            let document = discovery::openapi_document(builtin, kinds, group, version)?;
            Some(Bytes::from(document.to_json()))
        };
        if is_builtin(builtin.kinds(), kinds, group, version) {
            return builtin.documents().get(builtin.kinds(), &path, || make(builtin.kinds()));
        }
        self.get(kinds, &path, || make(kinds))
    }
}

/// Whether what a group version serves is what it serves without any definition.
fn is_builtin(builtin: &Kinds, kinds: &Kinds, group: &str, version: &str) -> bool {
    let (own, served) = (builtin.resources(group, version), kinds.resources(group, version));
    let (Some(own), Some(served)) = (own, served) else { return false };
    own.len() == served.len() && own.iter().zip(served).all(|(own, served)| Arc::ptr_eq(own, served))
}
