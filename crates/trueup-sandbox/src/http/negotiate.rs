//! Content negotiation: which representation of an answer a client accepts.

use super::protobuf::PROTOBUF;
use super::reply::Reply;
use crate::status::ApiStatus;

/// How objects are represented in an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Representation {
    /// Whole objects.
    Whole,
    /// `meta.k8s.io/v1 Table`, as `kubectl get` prints it.
    Table,
    /// `PartialObjectMetadata` (of lists: `PartialObjectMetadataList`).
    Metadata,
}

/// Media types of which this server has at least one form.
const OFFERED: [&str; 1] = ["application/json"];

/// The first representation in the `Accept` header that this server has.
pub fn representation(accept: Option<&str>) -> Result<Representation, ApiStatus> {
    let accept = accept.unwrap_or("*/*").trim();
    if accept.is_empty() {
        return Ok(Representation::Whole);
    }
    accept
        .split(',')
        .find_map(|range| of_range(&MediaRange::parse(range)))
        .ok_or_else(|| ApiStatus::not_acceptable(&OFFERED))
}

/// Whether the client accepts aggregated discovery, and in which version of it (`v2`, `v2beta1`).
pub fn aggregated_discovery(accept: Option<&str>) -> Option<&'static str> {
    accept.unwrap_or_default().split(',').map(MediaRange::parse).find_map(|range| {
        let asked = range.is_json()
            && range.parameter("g") == Some("apidiscovery.k8s.io")
            && range.parameter("as") == Some("APIGroupDiscoveryList");
        match range.parameter("v") {
            Some("v2") if asked => Some(Some("v2")),
            // A plain range before it means that the client prefers the plain form.
            _ if range.is_json() && range.parameter("as").is_none() => Some(None),
            _ => None,
        }
    })?
}

/// What is answered to a client that takes none of the forms in which a document is told.
pub(super) fn refused_document(accept: Option<&str>, words: &[&str]) -> Option<Reply> {
    let accept = accept.map(str::trim).filter(|accept| !accept.is_empty())?;
    let (is_list, is_openapi) = match words {
        ["apis"] | ["apis", _] => (true, false),
        ["openapi", "v2"] | ["openapi", "v3", _, ..] => (false, true),
        ["api", ..] | ["apis", ..] | ["version"] => (false, false),
        _ => return None,
    };
    // Whoever wants YAML or protobuf gets JSON.
    let is_known = |range: &MediaRange<'_>| {
        range.is_json()
            || matches!(range.media_type, "application/yaml" | PROTOBUF)
            || is_openapi && range.media_type.starts_with("application/com.github.proto-openapi")
    };
    if accept.split(',').any(|range| is_known(&MediaRange::parse(range))) {
        return None;
    }
    if is_openapi {
        return Some(Reply::text(406, "text/plain; charset=utf-8", ""));
    }
    let mut status = ApiStatus::not_acceptable(&OFFERED);
    if is_list {
        status.message = format!("only the following media types are accepted: {}", OFFERED.join(", "));
    }
    Some(status.into())
}

/// One element of an `Accept` header.
struct MediaRange<'a> {
    media_type: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> MediaRange<'a> {
    fn parse(range: &'a str) -> Self {
        let mut parts = range.split(';').map(str::trim);
        let media_type = parts.next().unwrap_or_default();
        Self { media_type, parameters: parts.filter_map(|part| part.split_once('=')).collect() }
    }

    fn parameter(&self, name: &str) -> Option<&'a str> {
        self.parameters.iter().find(|(key, _)| *key == name).map(|(_, value)| *value)
    }

    fn is_json(&self) -> bool {
        matches!(self.media_type, "application/json" | "application/*" | "*/*")
    }
}

fn of_range(range: &MediaRange<'_>) -> Option<Representation> {
    if !range.is_json() {
        return None;
    }
    let Some(form) = range.parameter("as") else { return Some(Representation::Whole) };
    let known =
        range.parameter("g") == Some("meta.k8s.io") && matches!(range.parameter("v"), Some("v1" | "v1beta1"));
    match form {
        "Table" if known => Some(Representation::Table),
        "PartialObjectMetadata" | "PartialObjectMetadataList" if known => Some(Representation::Metadata),
        _ => None,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn takes_the_first_form_it_has() {
        let table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";
        assert_eq!(representation(Some(table)).unwrap(), Representation::Table);
        let protobuf = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(representation(Some(protobuf)).unwrap(), Representation::Whole);
        let metadata = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
        assert_eq!(representation(Some(metadata)).unwrap(), Representation::Metadata);
        assert_eq!(representation(None).unwrap(), Representation::Whole);
        assert_eq!(representation(Some("text/plain")).unwrap_err().code, 406);
    }

    #[test]
    fn knows_aggregated_discovery() {
        let kubectl = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,\
                       application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
        assert_eq!(aggregated_discovery(Some(kubectl)), Some("v2"));
        assert_eq!(aggregated_discovery(Some("application/json")), None);
        assert_eq!(aggregated_discovery(None), None);
    }
}
