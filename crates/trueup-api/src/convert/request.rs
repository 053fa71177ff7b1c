//! `operation.sync`: a sync that somebody asked for.

use trueup_engine::app::{DriftChoice, Initiator, ResourceSelector, SyncRequest};
use trueup_engine::source::Revision;
use trueup_object::GroupKind;

use super::{Found, policy};
use crate::application::{ApplicationSpec, InfoItem, Operation, SyncOperation};

/// The name in `operation.info` under which a sync says what becomes of drift: `overwrite` or `keep`. Argo CD's CRD
/// would drop a field of ours.
pub const INFO_DRIFT: &str = "trueup.dev/drift";
/// The name in `operation.info` under which a sync asks (`true`) to remove undeclared additions too.
pub const INFO_REMOVE_ADDITIONS: &str = "trueup.dev/remove-additions";

/// `None` where the operation asks for nothing that is a sync.
pub(super) fn request(
    operation: &Operation,
    spec: &ApplicationSpec,
    found: &mut Found,
) -> Option<SyncRequest> {
    let Some(sync) = &operation.sync else {
        found.cannot("operation", "an operation other than a sync");
        return None;
    };
    name_unsupported(sync, spec, found);
    let mut info = InfoItem::to_map(&operation.info);
    let drift = match info.remove(INFO_DRIFT).as_deref() {
        None | Some("overwrite") => DriftChoice::Overwrite,
        Some("keep") => DriftChoice::Keep,
        Some(other) => {
            found.cannot("operation.info", format!("{INFO_DRIFT} of {other}"));
            DriftChoice::Keep
        }
    };
    let remove_additions = info.remove(INFO_REMOVE_ADDITIONS).as_deref() == Some("true");
    let retry = operation.retry.as_ref().map(|retry| {
        if retry.refresh {
            found.cannot("operation.retry.refresh", "a retry against the newest revision");
        }
        policy::read_retry(retry, "operation.retry", found)
    });
    Some(SyncRequest {
        revision: revision(sync, spec, found),
        prune: sync.prune,
        dry_run: sync.dry_run,
        resources: sync.resources.iter().map(selector).collect(),
        initiated_by: Initiator { username: operation.username.clone(), automated: operation.automated },
        drift,
        remove_additions,
        retry,
        info,
    })
}

fn selector(wanted: &crate::application::SyncResource) -> ResourceSelector {
    ResourceSelector {
        kind: GroupKind { group: wanted.group.clone(), kind: wanted.kind.clone() },
        namespace: wanted.namespace.clone(),
        name: wanted.name.clone(),
    }
}

/// What is refused is named rather than dropped: another revision than the one asked for must not be applied.
fn revision(sync: &SyncOperation, spec: &ApplicationSpec, found: &mut Found) -> Option<Revision> {
    let text = match (&sync.revision, sync.revisions.as_slice()) {
        (None, []) => return None,
        (Some(text), []) => text,
        (_, [text]) if spec.effective_sources().len() == 1 => text,
        (_, _) => {
            found.cannot("operation.sync.revisions", "a revision for each of several sources");
            return None;
        }
    };
    match Revision::parse(text) {
        Ok(revision) => Some(revision),
        Err(error) => {
            found.cannot("operation.sync.revision", error.to_string());
            None
        }
    }
}

fn name_unsupported(sync: &SyncOperation, spec: &ApplicationSpec, found: &mut Found) {
    if sync.force {
        found.cannot("operation.sync.syncStrategy", "force: delete and create anew");
    }
    if sync.has_source_override {
        found.cannot("operation.sync.source", "a sync to another source than the spec's");
    }
    if sync.has_manifests {
        found.cannot("operation.sync.manifests", "a sync to local manifests");
    }
    let policy_options =
        spec.sync_policy.as_ref().map(|policy| policy.sync_options.as_slice()).unwrap_or_default();
    for option in &sync.sync_options {
        // The tools repeat the options of the policy here; those have been read there.
        if !policy_options.contains(option) && !policy::is_without_effect(option) {
            found.cannot("operation.sync.syncOptions", format!("sync option {option}"));
        }
    }
}
