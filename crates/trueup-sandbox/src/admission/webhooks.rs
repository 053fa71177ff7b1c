//! Asking webhooks: the mutating ones one after the other, each seeing what the one before left, and those that want it once more
//! where something changed after them; the validating ones all at once, about the object as it would be stored.
//!
//! As the dispatchers of `k8s.io/apiserver/pkg/admission/plugin/webhook` do it.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::future::join_all;
use trueup_object::{Map, Value};

use super::call::{CallError, Verdict, call};
use super::hook::{Hook, hooks};
use super::policy::{Write, request};
use crate::api::Api;
use crate::kind::KindInfo;
use crate::status::ApiStatus;
use crate::write::json_patch;

/// The webhooks of both sorts, and what one write makes of them.
pub(super) struct Webhooks {
    mutating: Vec<Hook>,
    validating: Vec<Hook>,
    /// Those that were asked and want to be asked again about later changes.
    asked: BTreeSet<usize>,
    /// Those of them whose object was changed after they were asked.
    due: BTreeSet<usize>,
    /// The object as the last round left it.
    left: Option<Value>,
}

/// How a mutating webhook is asked: by its place, in which round.
#[derive(Clone, Copy)]
struct Turn {
    round: usize,
    index: usize,
}

impl Webhooks {
    pub(super) fn of(api: &Api) -> Self {
        Self {
            mutating: hooks(api, "mutating"),
            validating: hooks(api, "validating"),
            asked: BTreeSet::new(),
            due: BTreeSet::new(),
            left: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.mutating.is_empty() && self.validating.is_empty()
    }

    /// Whether a validating webhook may be asked at all, before all is known that conditions are about.
    pub(super) fn validates(&self) -> bool {
        !self.validating.is_empty()
    }

    /// Asks the mutating webhooks; returns the object as they left it and whether one changed it. Of a delete there is none.
    pub(super) async fn mutate(
        &mut self,
        write: Write<'_>,
        round: usize,
        warnings: &mut Vec<String>,
    ) -> Result<(Option<Value>, bool), ApiStatus> {
        let mut object = write.object.cloned();
        let mut is_changed = false;
        if round > 0 && self.left.is_some() && self.left != object {
            self.due.append(&mut self.asked);
        }
        for (index, hook) in self.mutating.iter().enumerate() {
            let now = Write { object: object.as_ref(), ..write };
            let Some(kind) = hook.matched(&now)? else { continue };
            if round > 0 && !self.due.contains(&index) {
                continue;
            }
            let after = mutated(now, hook, &kind, Turn { round, index }, warnings).await?;
            if let Some(after) = after.filter(|after| Some(after) != object.as_ref()) {
                is_changed = true;
                object = Some(after);
                self.due.append(&mut self.asked);
            }
            if hook.wants_changes() {
                self.asked.insert(index);
            }
        }
        self.left.clone_from(&object);
        Ok((object, is_changed))
    }

    /// Asks the validating webhooks, all of them; what the first of those says that refuse is told.
    pub(super) async fn validate(
        &self,
        write: Write<'_>,
        warnings: &mut Vec<String>,
    ) -> Result<(), ApiStatus> {
        let mut relevant = Vec::new();
        for hook in &self.validating {
            relevant.extend(hook.matched(&write)?.map(|kind| (hook, kind)));
        }
        let asked = relevant.iter().enumerate().map(|(index, (hook, kind))| {
            let turn = Turn { round: 0, index };
            put(write, hook, kind, turn)
        });
        let mut refusal = None;
        for answer in join_all(asked).await {
            match answer {
                Ok(verdict) => warnings.extend(verdict.into_iter().flat_map(|verdict| verdict.warnings)),
                Err(status) => {
                    refusal.get_or_insert(status);
                }
            }
        }
        refusal.map_or(Ok(()), Err)
    }
}

/// What a mutating webhook makes of the object; nothing where it leaves it as it is.
async fn mutated(
    write: Write<'_>,
    hook: &Hook,
    kind: &Arc<KindInfo>,
    turn: Turn,
    warnings: &mut Vec<String>,
) -> Result<Option<Value>, ApiStatus> {
    let answer = put(write, hook, kind, turn).await;
    let patch = match &answer {
        Ok(Some(verdict)) => verdict.patch.clone(),
        Ok(None) | Err(_) => None,
    };
    let patched = match (answer, patch) {
        (Err(refusal), _) => Err(refusal),
        (Ok(verdict), patch) => {
            warnings.extend(verdict.into_iter().flat_map(|verdict| verdict.warnings));
            let steps = patch.as_ref().and_then(Value::as_list).unwrap_or_default();
            match (write.object, patch.as_ref()) {
                (Some(object), Some(patch)) if !steps.is_empty() => {
                    let shown = write.shown(object, kind);
                    let own = &write.change.target.served.kind;
                    let patched = json_patch(&shown, patch).map(|patched| write.shown(&patched, own));
                    patched.map(Some).map_err(|error| ApiStatus::internal(in_words(&error.to_string())))
                }
                (None, Some(_)) if !steps.is_empty() => Err(ApiStatus::internal(format!(
                    "admission webhook {:?} attempted to modify the object, which is not supported for this operation",
                    hook.name()
                ))),
                (_, _) => Ok(None),
            }
            .map(|after| (after, patch))
        }
    };
    let (after, patch) = match patched {
        Ok(found) => found,
        Err(refusal) => {
            note_mutation(write, hook, turn, false, None);
            return Err(refusal);
        }
    };
    let is_changed = after.is_some() && after.as_ref() != write.object;
    note_mutation(write, hook, turn, is_changed, patch.as_ref().filter(|_| after.is_some()));
    Ok(after)
}

/// The library that the server patches with here quotes paths and ends with a cause.
fn in_words(error: &str) -> String {
    match error.split_once("doc is missing path: ") {
        Some((before, path)) if !path.starts_with('"') => {
            format!("{before}doc is missing path: {path:?}: missing value")
        }
        _ => error.to_owned(),
    }
}

/// What the server's auditor says of a mutating webhook that was asked.
fn note_mutation(write: Write<'_>, hook: &Hook, turn: Turn, is_changed: bool, patch: Option<&Value>) {
    let place = format!("webhook.admission.k8s.io/round_{}_index_{}", turn.round, turn.index);
    let mut note = Map::from_iter([
        ("configuration", Value::from(hook.configuration())),
        ("webhook", hook.name().into()),
    ]);
    let mut mutation = note.clone();
    mutation.insert("mutated", is_changed.into());
    write.trail.annotate(&format!("mutation.{place}"), &Value::Map(mutation).to_json());
    if let Some(patch) = patch {
        note.insert("patch", patch.clone());
        note.insert("patchType", "JSONPatch".into());
        write.trail.annotate_request(&format!("patch.{place}"), || Value::Map(note).to_json());
    }
}

/// Asks one webhook. Nothing where it fails and that is to be ignored.
async fn put(
    write: Write<'_>,
    hook: &Hook,
    kind: &Arc<KindInfo>,
    turn: Turn,
) -> Result<Option<Verdict>, ApiStatus> {
    let name = hook.name();
    if write.change.dry_run && !hook.allows_dry_run() {
        return Err(ApiStatus::bad_request(format!("admission webhook {name:?} does not support dry run")));
    }
    let answer = call(write.api, hook, |version, uid| review(&write, kind, version, uid)).await;
    for (key, note) in answer.iter().flat_map(|verdict| &verdict.notes) {
        write.trail.annotate(&format!("{name}/{key}"), note);
    }
    match answer {
        Ok(verdict) if verdict.allowed => Ok(Some(verdict)),
        Ok(verdict) => {
            let warnings = verdict.warnings.clone();
            Err(verdict.into_status(name).after(warnings))
        }
        Err(CallError(_)) if hook.ignores_failure() => {
            let sort = if hook.is_mutating() { "mutation" } else { "validating" };
            let key = format!(
                "failed-open.{sort}.webhook.admission.k8s.io/round_{}_index_{}",
                turn.round, turn.index
            );
            write.trail.annotate(&key, name);
            Ok(None)
        }
        Err(CallError(why)) => Err(ApiStatus::internal(format!("failed calling webhook {name:?}: {why}"))),
    }
}

/// The `AdmissionReview` that is sent.
fn review(write: &Write<'_>, kind: &Arc<KindInfo>, version: &str, uid: &str) -> Value {
    let mut request = request(write, kind);
    request.set_at(&["uid"], uid.into());
    let given = write.object.and_then(|object| object.str_at(&["metadata", "name"]));
    match write.change.target.name.or(given).filter(|name| !name.is_empty()) {
        Some(name) => request.set_at(&["name"], name.into()),
        None => {
            request.remove_at(&["name"]);
        }
    }
    let extra = write.user.extra.iter().map(|(key, values)| {
        let values = values.iter().map(|value| Value::from(value.clone())).collect();
        (key.as_str(), Value::List(values))
    });
    let extra: Map = extra.collect();
    if !extra.is_empty() {
        request.set_at(&["userInfo", "extra"], Value::Map(extra));
    }
    for (field, object) in [("object", write.object), ("oldObject", write.old)] {
        request.set_at(&[field], object.map_or(Value::Null, |object| write.shown(object, kind)));
    }
    let mut review = Value::default();
    review.set_at(&["apiVersion"], format!("admission.k8s.io/{version}").into());
    review.set_at(&["kind"], "AdmissionReview".into());
    review.set_at(&["request"], request);
    review
}
