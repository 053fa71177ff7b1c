//! Options of requests, read from query parameters and validated as the server does.

use trueup_object::Value;

use super::query::Query;
use crate::api::{DeleteOptions, ListOptions, RevisionMatch, WatchOptions};
use crate::kind::KindInfo;
use crate::selector::Selector;
use crate::status::{ApiStatus, StatusCause, StatusReason};
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
    // A list ends by itself; the number is only read.
    query.number("timeoutSeconds")?;
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
        // A watch reads the version deeper down, where a mistake is taken for the server's own.
        revision: revision(query).map_err(|status| {
            let message = status.message.trim_start_matches("invalid resource version: ").to_owned();
            ApiStatus::new(500, StatusReason::Unknown, message)
        })?,
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

/// The options of a delete: from the body where there is one, else from the query. Both are never looked at.
pub fn delete(query: &Query, body: &[u8]) -> Result<DeleteOptions, ApiStatus> {
    if !body.is_empty() {
        return DeleteOptions::parse(&crate::write::read_delete_options(body)?);
    }
    let mut options = Value::default();
    if let Some(text) = query.text("propagationPolicy") {
        options.set_at(&["propagationPolicy"], text.into());
    }
    if let Some(text) = query.text("gracePeriodSeconds") {
        let seconds: i64 = text.parse().map_err(|_| {
            ApiStatus::bad_request(format!("strconv.ParseInt: parsing {text:?}: invalid syntax"))
        })?;
        options.set_at(&["gracePeriodSeconds"], seconds.into());
    }
    if query.has("orphanDependents") {
        options.set_at(&["orphanDependents"], query.flag("orphanDependents").into());
    }
    let given = query.values("dryRun");
    if !given.is_empty() {
        let given: Vec<Value> = given.into_iter().map(Value::from).collect();
        options.set_at(&["dryRun"], given.into());
    }
    DeleteOptions::parse(&options)
}

/// Whether the request only asks what would be. `options` is the kind of its options, for the refusal.
pub fn dry_run(query: &Query, options: &str) -> Result<bool, ApiStatus> {
    let mut causes = Vec::new();
    let dry = read_dry_run(query, &mut causes);
    if causes.is_empty() { Ok(dry) } else { Err(ApiStatus::invalid_options(options, causes)) }
}

fn read_dry_run(query: &Query, causes: &mut Vec<StatusCause>) -> bool {
    let given = query.values("dryRun");
    if given.iter().any(|value| *value != "All") {
        let value = Value::List(given.iter().map(|value| (*value).into()).collect());
        causes.push(StatusCause::not_supported("dryRun", &value, &["All"]));
    }
    !given.is_empty()
}

/// The options of a create, update or patch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChangeOptions {
    pub force: bool,
    pub dry_run: bool,
    pub field_validation: Option<FieldValidation>,
}

/// Names of managers are at most this long.
const MANAGER_BYTES_MAX: usize = 128;

/// Reads the options of a create, update or patch; all that is wrong with them is told at once, in the server's order.
pub fn change(query: &Query, verb: WriteVerb) -> Result<ChangeOptions, ApiStatus> {
    let kind = match verb {
        WriteVerb::Create => "CreateOptions",
        WriteVerb::Update => "UpdateOptions",
        WriteVerb::Patch(_) => "PatchOptions",
    };
    let manager = query.text("fieldManager").unwrap_or_default();
    let mut causes = Vec::new();
    match verb {
        WriteVerb::Patch(PatchKind::Json | PatchKind::Merge | PatchKind::Strategic)
            if query.text("force").is_some() =>
        {
            causes.push(StatusCause::forbidden("force", "may not be specified for non-apply patch"));
        }
        WriteVerb::Patch(PatchKind::Apply) if manager.is_empty() => {
            causes.push(StatusCause::required("fieldManager", "is required for apply patch"));
        }
        _ => {}
    }
    if manager.len() > MANAGER_BYTES_MAX {
        let message = format!("Too long: may not be more than {MANAGER_BYTES_MAX} bytes");
        causes.push(StatusCause::new("FieldValueTooLong", "fieldManager", message));
    }
    let unprintable = manager.char_indices().find(|(_, char)| char.is_control());
    if let Some((at, char)) = unprintable {
        let detail = format!("invalid character U+{:04X} (at position {at})", u32::from(char));
        causes.push(StatusCause::invalid("fieldManager", &manager.into(), &detail));
    }
    let dry_run = read_dry_run(query, &mut causes);
    let field_validation = match query.text("fieldValidation") {
        None => None,
        Some("Ignore") => Some(FieldValidation::Ignore),
        Some("Warn") => Some(FieldValidation::Warn),
        Some("Strict") => Some(FieldValidation::Strict),
        Some(other) => {
            let supported = ["", "Ignore", "Strict", "Warn"];
            causes.push(StatusCause::not_supported("fieldValidation", &Value::from(other), &supported));
            None
        }
    };
    if causes.is_empty() {
        return Ok(ChangeOptions { force: query.flag("force"), dry_run, field_validation });
    }
    Err(ApiStatus::invalid_options(kind, causes))
}

pub fn include_object(query: &Query, is_table: bool) -> Result<IncludeObject, ApiStatus> {
    match query.text("includeObject") {
        _ if !is_table => Ok(IncludeObject::Metadata),
        None | Some("Metadata") => Ok(IncludeObject::Metadata),
        Some("None") => Ok(IncludeObject::None),
        Some("Object") => Ok(IncludeObject::Object),
        Some(other) => Err(ApiStatus::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {other:?}: must be 'Metadata', \
             'Object', 'None', or empty"
        ))),
    }
}

fn forbidden(field: &str, detail: &str) -> ApiStatus {
    ApiStatus::invalid_options("ListOptions", vec![StatusCause::forbidden(field, detail)])
}

fn unsupported_match(value: &str, supported: &[&str]) -> ApiStatus {
    let cause = StatusCause::not_supported("resourceVersionMatch", &Value::from(value), supported);
    ApiStatus::invalid_options("ListOptions", vec![cause])
}
