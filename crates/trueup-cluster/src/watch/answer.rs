//! What lists and watches answer, as far as it is read here: the objects themselves stay bytes.

use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
pub(super) struct WireEvent<'a> {
    #[serde(rename = "type", borrow)]
    pub kind: &'a str,
    #[serde(borrow)]
    pub object: &'a RawValue,
}

/// The object of an event `ADDED` or `MODIFIED`, where the event is written as servers write it: nothing but type and object, in
/// this order and without spaces. Whether what is returned is JSON at all, its reader finds out.
pub(super) fn plainly_written(line: &[u8]) -> Option<&[u8]> {
    const BEGINNINGS: [&[u8]; 2] = [br#"{"type":"MODIFIED","object":"#, br#"{"type":"ADDED","object":"#];
    let rest = BEGINNINGS.iter().find_map(|beginning| line.strip_prefix(*beginning))?;
    rest.strip_suffix(b"}")
}

#[derive(Deserialize)]
pub(super) struct WireBookmark {
    pub metadata: WireBookmarkMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireBookmarkMetadata {
    pub resource_version: String,
    pub annotations: Option<std::collections::BTreeMap<String, String>>,
}

#[derive(Deserialize)]
pub(super) struct WirePage<'a> {
    pub metadata: WireListMetadata,
    #[serde(borrow)]
    pub items: Option<Vec<&'a RawValue>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct WireListMetadata {
    pub resource_version: Option<String>,
    #[serde(rename = "continue")]
    pub continue_token: Option<String>,
}
