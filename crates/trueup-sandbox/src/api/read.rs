//! Getting and listing: resourceVersion semantics, pages, selectors.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use trueup_object::Value;
use trueup_object::value::Map;

use super::{Api, Target, convert};
use crate::selector::Selector;
use crate::state::{Name, TooOld};
use crate::status::{ApiStatus, StatusCause, StatusReason};
use crate::write::go_json;

/// How a list's resourceVersion is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevisionMatch {
    Exact,
    NotOlderThan,
}

/// What a list asks for.
#[derive(Debug, Clone, Default)]
pub struct ListOptions {
    pub selector: Selector,
    /// 0 is "any"; none is "the newest".
    pub revision: Option<u64>,
    pub revision_match: Option<RevisionMatch>,
    /// 0 is "all".
    pub limit: usize,
    pub continue_token: Option<String>,
}

/// A page of a list.
#[derive(Debug)]
pub struct Listing {
    pub items: Vec<Arc<Value>>,
    pub revision: u64,
    /// Where the next page begins.
    pub continue_token: Option<String>,
    /// How many follow after this page; not told where a selector is used, as in the server.
    pub n_remaining: Option<usize>,
}

impl Api {
    /// One object, in the version of the target.
    pub fn get(&self, target: Target<'_>) -> Result<Arc<Value>, ApiStatus> {
        self.stored(target.served, &target.key())
            .ok_or_else(|| ApiStatus::not_found(&target.served.kind, target.name.unwrap_or_default()))
    }

    /// The revision so many versions ago, or the oldest that is remembered.
    pub(crate) fn past_revision(&self, versions: u64) -> u64 {
        let store = self.store();
        store.revision().saturating_sub(versions).max(store.oldest_revision()).max(1)
    }

    /// One object as it was so many versions ago.
    pub(crate) fn get_past(&self, target: Target<'_>, versions: u64) -> Result<Arc<Value>, ApiStatus> {
        let kind = &target.served.kind;
        let key = target.key();
        let listed =
            self.store().list_at(&target.served.storage(), target.namespace, self.past_revision(versions));
        let objects = listed.map_err(|old| expired_list(old, false))?;
        let found = objects.into_iter().find(|object| name_of(object) == key);
        found
            .map(|object| convert(&object, kind))
            .ok_or_else(|| ApiStatus::not_found(kind, target.name.unwrap_or_default()))
    }

    /// The objects of a resource.
    pub fn list(&self, target: Target<'_>, options: &ListOptions) -> Result<Listing, ApiStatus> {
        let storage = target.served.storage();
        let token = options
            .continue_token
            .as_deref()
            .map(|text| ContinueToken::decode(text, target.namespace))
            .transpose()?;
        let exact = match (&token, options.revision_match, options.revision) {
            (Some(_), _, Some(revision)) if revision > 0 => {
                let message = "specifying resource version is not allowed when using continue";
                return Err(ApiStatus::bad_request(message));
            }
            (Some(token), _, _) => Some(token.revision),
            (None, Some(RevisionMatch::Exact), revision) => revision,
            (None, _, _) => None,
        };
        let (objects, revision) = match exact {
            Some(revision) => {
                self.refuse_future(revision)?;
                let listed = self.store().list_at(&storage, target.namespace, revision);
                (listed.map_err(|old| expired_list(old, token.is_some()))?, revision)
            }
            None => {
                self.refuse_future(options.revision.unwrap_or_default())?;
                self.store().list(&storage, target.namespace)
            }
        };
        let start = token.map(|token| token.last);
        let mut rest = objects
            .into_iter()
            .filter(|object| start.as_ref().is_none_or(|start| name_of(object) > *start))
            .filter(|object| options.selector.matches(object));
        // A list "at any version" comes from the server's cache, which knows no pages.
        let unlimited = options.limit == 0 || (options.revision == Some(0) && exact.is_none());
        let limit = if unlimited { usize::MAX } else { options.limit };
        let items: Vec<Arc<Value>> = rest.by_ref().take(limit).collect();
        let n_rest = rest.count();
        let last = items.last().filter(|_| n_rest > 0).map(|object| name_of(object));
        Ok(Listing {
            continue_token: last.map(|last| ContinueToken { revision, last }.encode()),
            n_remaining: (n_rest > 0 && options.selector.is_everything()).then_some(n_rest),
            items: items.iter().map(|object| convert(object, &target.served.kind)).collect(),
            revision,
        })
    }

    /// A revision that is not yet reached cannot be served.
    fn refuse_future(&self, revision: u64) -> Result<(), ApiStatus> {
        let current = self.store().revision();
        if revision <= current {
            return Ok(());
        }
        let message = format!("Timeout: Too large resource version: {revision}, current: {current}");
        let cause = StatusCause::new("ResourceVersionTooLarge", "", "Too large resource version");
        Err(ApiStatus::new(504, StatusReason::Timeout, message).with_causes(vec![cause]).with_retry_after(1))
    }
}

/// The name of a stored object.
pub(super) fn name_of(object: &Value) -> Name {
    Name::new(
        object.str_at(&["metadata", "namespace"]).unwrap_or_default(),
        object.str_at(&["metadata", "name"]).unwrap_or_default(),
    )
}

fn expired_list(old: TooOld, continued: bool) -> ApiStatus {
    if continued {
        return ApiStatus::expired(
            "The provided continue parameter is too old to display a consistent list result. You must start a new list \
             without the continue parameter.",
        );
    }
    ApiStatus::expired(format!("The resourceVersion for the provided list is too old. ({})", old.requested))
}

/// Where a page ended: opaque to clients.
struct ContinueToken {
    revision: u64,
    last: Name,
}

impl ContinueToken {
    /// In the server's own form: the key in etcd after which the next page begins.
    fn encode(&self) -> String {
        let Self { revision, last } = self;
        let token = Map::from_iter([
            ("v", Value::from(TOKEN_VERSION)),
            ("rv", Value::Int(i64::try_from(*revision).unwrap_or(i64::MAX))),
            ("start", Value::from(format!("{last}\0"))),
        ]);
        URL_SAFE_NO_PAD.encode(Value::Map(token).to_json())
    }

    /// What follows a name of one namespace alone may leave that out.
    fn decode(text: &str, namespace: &str) -> Result<Self, ApiStatus> {
        let invalid = |why: String| {
            ApiStatus::bad_request(format!("invalid continue token: continue key is not valid: {why}"))
        };
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| {
            let place = match error {
                base64::DecodeError::InvalidByte(place, _) => place,
                // Where Go's decoder gives up on a text that is too short.
                _ => 0,
            };
            invalid(format!("illegal base64 data at input byte {place}"))
        })?;
        let token = Value::from_json(&bytes)
            .map_err(|error| invalid(go_json::syntax_error(&bytes).unwrap_or_else(|| error.to_string())))?;
        let version = token.str_at(&["v"]).unwrap_or_default();
        if version != TOKEN_VERSION {
            return Err(invalid(format!("server does not recognize this encoded version {version}")));
        }
        let revision = token.int_at(&["rv"]).and_then(|number| u64::try_from(number).ok());
        let start = token.str_at(&["start"]).unwrap_or_default();
        if start.split('/').any(|part| part == "..") {
            return Err(invalid(start.to_owned()));
        }
        let revision = revision.filter(|revision| *revision > 0).ok_or_else(|| {
            invalid(format!("incorrect encoded start resourceVersion (version {TOKEN_VERSION})"))
        })?;
        let key = start.trim_end_matches('\0');
        let last = match key.split_once('/') {
            Some((namespace, name)) => Name::new(namespace, name),
            None => Name::new(namespace, key),
        };
        Ok(Self { revision, last })
    }
}

/// The version of continue tokens.
const TOKEN_VERSION: &str = "meta.k8s.io/v1";
