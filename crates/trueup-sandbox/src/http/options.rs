//! Options of requests, read from query parameters and validated as the server does.

use trueup_object::Value;

use super::query::Query;
use crate::api::{DeleteOptions, ListOptions, RevisionMatch, WatchOptions};
use crate::kind::KindInfo;
use crate::selector::Selector;
use crate::status::{ApiStatus, StatusCause};
use crate::table::IncludeObject;
use crate::write::{FieldValidation, PatchKind, WriteVerb};

/// The options of a list.
pub fn list(query: &Query, kind: &KindInfo) -> Result<ListOptions, ApiStatus> {
    let revision = revision(query)?;
    let revision_match = match query.text("resourceVersionMatch") {
        None => None,
        Some("Exact") => Some(RevisionMatch::Exact),
        Some("NotOlderThan") => Some(RevisionMatch::NotOlderThan),
        Some(other) => return Err(unsupported_match(other, &["Exact", "NotOlderThan", ""])),
    };
    if revision_match.is_some() && revision.is_none() {
        let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
        return Err(forbidden("resourceVersionMatch", detail));
    }
    if revision_match.is_some() && query.text("continue").is_some() {
        let detail = "resourceVersionMatch is forbidden when continue is provided";
        return Err(forbidden("resourceVersionMatch", detail));
    }
    if revision_match == Some(RevisionMatch::Exact) && revision == Some(0) {
        let detail = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
        return Err(forbidden("resourceVersionMatch", detail));
    }
    if query.text("sendInitialEvents").is_some() {
        return Err(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
    }
    Ok(ListOptions {
        selector: selector(query, kind)?,
        revision,
        revision_match,
        limit: usize::try_from(query.number("limit")?.unwrap_or_default()).unwrap_or(usize::MAX),
        continue_token: query.text("continue").map(str::to_owned),
    })
}

/// The options of a watch.
pub fn watch(query: &Query, kind: &KindInfo) -> Result<WatchOptions, ApiStatus> {
    let send_initial_events = query.text("sendInitialEvents").map(|_| query.flag("sendInitialEvents"));
    match (send_initial_events, query.text("resourceVersionMatch")) {
        (None, None) | (Some(_), Some("NotOlderThan")) => {}
        (Some(_), _) => {
            let detail = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(forbidden("resourceVersionMatch", detail));
        }
        (None, Some(_)) => {
            let detail = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(forbidden("resourceVersionMatch", detail));
        }
    }
    Ok(WatchOptions {
        selector: selector(query, kind)?,
        revision: revision(query)?,
        send_initial_events,
        bookmarks: query.flag("allowWatchBookmarks"),
    })
}

pub fn selector(query: &Query, kind: &KindInfo) -> Result<Selector, ApiStatus> {
    Selector::parse(kind, query.text("labelSelector"), query.text("fieldSelector"))
}

fn revision(query: &Query) -> Result<Option<u64>, ApiStatus> {
    query
        .text("resourceVersion")
        .map(|text| {
            text.parse().map_err(|_| {
                ApiStatus::bad_request(format!(
                    "invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: \
                     invalid syntax"
                ))
            })
        })
        .transpose()
}

/// The options of a delete: from the body where there is one, else from the query.
pub fn delete(query: &Query, body: &[u8]) -> Result<DeleteOptions, ApiStatus> {
    let given = if body.is_empty() {
        let mut options = Value::default();
        for key in ["propagationPolicy"] {
            if let Some(text) = query.text(key) {
                options.set_at(&[key], text.into());
            }
        }
        if let Some(seconds) = query.text("gracePeriodSeconds").and_then(|text| text.parse::<i64>().ok()) {
            options.set_at(&["gracePeriodSeconds"], seconds.into());
        }
        if query.has("orphanDependents") {
            options.set_at(&["orphanDependents"], query.flag("orphanDependents").into());
        }
        options
    } else {
        Value::from_json(body).map_err(|error| ApiStatus::bad_request(error.to_string()))?
    };
    let mut options = DeleteOptions::parse(&given)?;
    options.dry_run |= dry_run(query, "DeleteOptions")?;
    Ok(options)
}

/// Whether the request only asks what would be. `options` is the kind of its options, for the refusal.
pub fn dry_run(query: &Query, options: &str) -> Result<bool, ApiStatus> {
    match query.text("dryRun") {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => {
            let value = Value::List(vec![other.into()]);
            Err(ApiStatus::invalid_options(options, StatusCause::not_supported("dryRun", &value, &["All"])))
        }
    }
}

/// What is to be done about unknown fields.
pub fn field_validation(query: &Query, options: &str) -> Result<FieldValidation, ApiStatus> {
    match query.text("fieldValidation") {
        Some("Ignore") => Ok(FieldValidation::Ignore),
        None | Some("Warn") => Ok(FieldValidation::Warn),
        Some("Strict") => Ok(FieldValidation::Strict),
        Some(other) => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            let cause = StatusCause::not_supported("fieldValidation", &Value::from(other), &supported);
            Err(ApiStatus::invalid_options(options, cause))
        }
    }
}

/// Whether an apply takes fields from their owners; other patches may not ask for it.
pub fn force(query: &Query, verb: WriteVerb) -> Result<bool, ApiStatus> {
    let given = query.text("force").is_some();
    if given && matches!(verb, WriteVerb::Patch(PatchKind::Json | PatchKind::Merge | PatchKind::Strategic)) {
        let cause = StatusCause::forbidden("force", "may not be specified for non-apply patch");
        return Err(ApiStatus::invalid_options("PatchOptions", cause));
    }
    Ok(query.flag("force"))
}

pub fn include_object(query: &Query) -> Result<IncludeObject, ApiStatus> {
    match query.text("includeObject") {
        None | Some("Metadata") => Ok(IncludeObject::Metadata),
        Some("None") => Ok(IncludeObject::None),
        Some("Object") => Ok(IncludeObject::Object),
        Some(other) => Err(ApiStatus::bad_request(format!("unrecognized includeObject value: {other:?}"))),
    }
}

fn forbidden(field: &str, detail: &str) -> ApiStatus {
    ApiStatus::invalid_options("ListOptions", StatusCause::forbidden(field, detail))
}

fn unsupported_match(value: &str, supported: &[&str]) -> ApiStatus {
    let cause = StatusCause::not_supported("resourceVersionMatch", &Value::from(value), supported);
    ApiStatus::invalid_options("ListOptions", cause)
}
