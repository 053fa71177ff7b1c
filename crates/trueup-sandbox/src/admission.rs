//! Admission webhooks: which of them are asked about a write, and what becomes of it.
//!
//! As the API server does it: mutating webhooks one after the other, in the order of their configurations' names, each
//! seeing what the one before left; then the validating ones, about the object as it would be stored. Nothing is asked
//! again after a later webhook's change (`reinvocationPolicy`), and a webhook behind a Service cannot be reached, since
//! nothing runs here. Policies go before webhooks of their sort; mutating ones may be asked again after them.
//!
//! Of deletes, of scaling and of what is sent to a subresource and never stored, policies alone are asked.

mod call;
mod escalation;
mod hook;
pub(crate) mod policy;
mod removal;
mod subresource;

use std::sync::Arc;

use trueup_object::{Gvk, Map, Value};

use crate::api::{Admitted, Api, Change, Changed, Proposal};
use crate::audit::Trail;
use crate::http::credentials::User;
use crate::state::ResourceId;
use crate::status::ApiStatus;
use crate::write::{WriteVerb, json_patch, scale};

use call::{CallError, Verdict};
use hook::Hook;
use policy::{Mutators, Write};

pub(crate) use removal::Removal;
pub(crate) use subresource::{Written, subresource};

const GROUP: &str = "admissionregistration.k8s.io";

/// How often a write is begun anew because others were faster while webhooks were asked, as often as the server does.
const N_ATTEMPTS: usize = 5;

/// What is asked about.
struct Asked<'a> {
    api: &'a Api,
    change: &'a Change<'a>,
    user: &'a User,
    live: Option<Arc<Value>>,
    trail: &'a Trail,
    /// The Scale that the live object has, where scaling is asked about.
    scale: Option<(Gvk, Value)>,
}

/// Makes a change with the webhooks' leave.
pub(crate) async fn change(
    api: &Api,
    change: &Change<'_>,
    user: &User,
    trail: &Trail,
) -> Result<Changed, ApiStatus> {
    // A webhook that is asked about webhooks could not be removed any more.
    if change.target.served.kind.gvk.group == GROUP {
        return api.change(change);
    }
    let scales = change.target.subresource == Some("scale");
    let hooks = |sort| if scales { Vec::new() } else { hooks(api, sort) };
    let (mutating, validating) = (hooks("mutating"), hooks("validating"));
    let mutators = Mutators::of(api);
    let is_judged = !policy::bound(api, "validating").is_empty();
    let is_unasked = mutating.is_empty() && validating.is_empty() && mutators.is_empty() && !is_judged;
    if is_unasked && !escalation::concerns(change, user) {
        return api.change(change);
    }
    let name = change.target.name.unwrap_or_default();
    let mut panel = Panel { mutating, validating, mutators, is_judged };
    for _ in 0..N_ATTEMPTS {
        let Proposal { live, object, mut warnings } = api.propose(change)?;
        let scale = if scales { live.as_deref().and_then(|live| scale_of(change, live)) } else { None };
        let asked = Asked { api, change, user, live, trail, scale };
        match panel.admit(&asked, object, &mut warnings).await {
            Ok(Some(mut changed)) => {
                warnings.append(&mut changed.warnings);
                return Ok(Changed { warnings, ..changed });
            }
            Ok(None) => {}
            // What was warned of before a refusal is told with it.
            Err(refusal) => return Err(refusal.after(warnings)),
        }
    }
    Err(ApiStatus::modified(&change.target.served.kind, name))
}

fn scale_of(change: &Change<'_>, live: &Value) -> Option<(Gvk, Value)> {
    Some((Gvk::new("autoscaling", "v1", "Scale"), scale::scale_of(&change.target.served.kind, live)?))
}

/// Everybody who has a say about a write.
struct Panel {
    mutating: Vec<Hook>,
    validating: Vec<Hook>,
    mutators: Mutators,
    /// Whether validating policies are bound.
    is_judged: bool,
}

impl Panel {
    /// Asks all of them about a proposed object, and makes the change; nothing where others were faster.
    async fn admit(
        &mut self,
        asked: &Asked<'_>,
        proposed: Value,
        warnings: &mut Vec<String>,
    ) -> Result<Option<Changed>, ApiStatus> {
        let (api, change) = (asked.api, asked.change);
        let mut object = proposed;
        object = self.mutators.mutate(asked.write(&object))?.unwrap_or(object);
        for (index, hook) in self.mutating.iter().enumerate() {
            let after = mutated(asked, hook, index, object.clone(), warnings).await?;
            if after != object {
                self.mutators.changed();
            }
            object = after;
        }
        object = self.mutators.again(asked.write(&object))?.unwrap_or(object);
        escalation::check(api, asked.user, change, (asked.live.as_deref(), &object))?;
        let admitted = Admitted { live: asked.live.clone(), object };
        if self.is_judged || self.validating.iter().any(|hook| hook.is_about(asked, &admitted.object)) {
            let dry_run = Change { dry_run: true, ..*change };
            let Some(whole) = api.change_admitted(&dry_run, &admitted)? else { return Ok(None) };
            policy::validate(asked.write(&whole.response), warnings)?;
            for (index, hook) in self.validating.iter().enumerate() {
                validated(asked, hook, index, &whole.response, warnings).await?;
            }
        }
        api.change_admitted(change, &admitted)
    }
}

/// The webhooks of all configurations of one sort, in the order in which they are asked.
fn hooks(api: &Api, sort: &str) -> Vec<Hook> {
    let plural = format!("{sort}webhookconfigurations");
    let (configurations, _) = api.store().list(&ResourceId::new(GROUP, &plural), "");
    let webhooks = configurations.iter().flat_map(|configuration| {
        let name = configuration.str_at(&["metadata", "name"]).unwrap_or_default();
        configuration.list_at(&["webhooks"]).iter().map(move |webhook| Hook::new(name, sort, webhook.clone()))
    });
    webhooks.collect()
}

async fn mutated(
    asked: &Asked<'_>,
    hook: &Hook,
    index: usize,
    object: Value,
    warnings: &mut Vec<String>,
) -> Result<Value, ApiStatus> {
    let Some(verdict) = asked.put(hook, index, &object).await? else { return Ok(object) };
    let Verdict { patch, warnings: told, .. } = verdict;
    warnings.extend(told);
    let Some(patch) = patch else {
        note_mutation(asked, hook, index, None);
        return Ok(object);
    };
    let patched = json_patch(&object, &patch);
    if patched.is_ok() {
        note_mutation(asked, hook, index, Some(&patch));
    }
    patched.map_err(|error| {
        ApiStatus::internal(format!(
            "failed calling webhook {:?}: its patch does not apply: {error}",
            hook.name()
        ))
    })
}

/// What the server's auditor says of a mutating webhook that was asked.
fn note_mutation(asked: &Asked<'_>, hook: &Hook, index: usize, patch: Option<&Value>) {
    let place = format!("webhook.admission.k8s.io/round_0_index_{index}");
    let is_changed = patch.is_some_and(|patch| patch.as_list().is_none_or(|list| !list.is_empty()));
    let mut note = Map::from_iter([
        ("configuration", Value::from(hook.configuration())),
        ("webhook", hook.name().into()),
    ]);
    let mut mutation = note.clone();
    mutation.insert("mutated", is_changed.into());
    asked.trail.annotate(&format!("mutation.{place}"), &Value::Map(mutation).to_json());
    if let Some(patch) = patch.filter(|_| is_changed) {
        note.insert("patch", patch.clone());
        note.insert("patchType", "JSONPatch".into());
        asked.trail.annotate_request(&format!("patch.{place}"), || Value::Map(note).to_json());
    }
}

async fn validated(
    asked: &Asked<'_>,
    hook: &Hook,
    index: usize,
    object: &Value,
    warnings: &mut Vec<String>,
) -> Result<(), ApiStatus> {
    if let Some(verdict) = asked.put(hook, index, object).await? {
        warnings.extend(verdict.warnings);
    }
    Ok(())
}

impl Asked<'_> {
    /// The write as policies are asked about it.
    fn write<'b>(&'b self, object: &'b Value) -> Write<'b> {
        Write {
            api: self.api,
            change: self.change,
            user: self.user,
            trail: self.trail,
            spoken: self.scale.as_ref().map(|(kind, _)| kind),
            deletes: None,
            old: self.scale.as_ref().map(|(_, scale)| scale).or(self.live.as_deref()),
            object: Some(object),
        }
    }

    /// Asks a webhook, where it is about this write. Nothing where it is not, or where it fails and that is to be ignored.
    async fn put(&self, hook: &Hook, index: usize, object: &Value) -> Result<Option<Verdict>, ApiStatus> {
        if !hook.is_about(self, object) {
            return Ok(None);
        }
        let name = hook.name();
        match policy::condition_problem(self.write(object), hook.conditions()) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(_) if hook.ignores_failure() => return Ok(None),
            Err(words) => {
                let Change { target, .. } = self.change;
                return Err(ApiStatus::forbidden(
                    &target.served.kind,
                    target.name.unwrap_or_default(),
                    &words,
                ));
            }
        }
        if self.change.dry_run && !hook.allows_dry_run() {
            return Err(ApiStatus::bad_request(format!(
                "admission webhook {name:?} does not support dry run"
            )));
        }
        let answer = call::call(hook, &self.review(object)).await;
        for (key, note) in answer.iter().flat_map(|verdict| &verdict.notes) {
            self.trail.annotate(&format!("{name}/{key}"), note);
        }
        match answer {
            Ok(verdict) if verdict.allowed => Ok(Some(verdict)),
            Ok(verdict) => Err(verdict.into_status(name)),
            Err(CallError(_)) if hook.ignores_failure() => {
                let sort = if hook.is_mutating() { "mutation" } else { "validating" };
                let key = format!("failed-open.{sort}.webhook.admission.k8s.io/round_0_index_{index}");
                self.trail.annotate(&key, name);
                Ok(None)
            }
            Err(CallError(why)) => Err(ApiStatus::internal(format!(
                "failed calling webhook {name:?}: failed to call webhook: {why}"
            ))),
        }
    }

    fn operation(&self) -> &'static str {
        if self.live.is_none() { "CREATE" } else { "UPDATE" }
    }

    /// The `AdmissionReview` that is sent.
    fn review(&self, object: &Value) -> Value {
        let Change { target, .. } = self.change;
        let gvk = &target.served.kind.gvk;
        let mut request = Value::default();
        let kind = [("group", &gvk.group), ("version", &gvk.version), ("kind", &gvk.kind)];
        let resource =
            [("group", &gvk.group), ("version", &gvk.version), ("resource", &target.served.kind.plural)];
        for (field, parts) in
            [("kind", kind), ("requestKind", kind), ("resource", resource), ("requestResource", resource)]
        {
            for (name, text) in parts {
                request.set_at(&[field, name], text.clone().into());
            }
        }
        request.set_at(&["uid"], self.api.ids().uid().into());
        let name = target.name.or_else(|| object.str_at(&["metadata", "name"])).unwrap_or_default();
        request.set_at(&["name"], name.into());
        request.set_at(&["namespace"], target.namespace.into());
        request.set_at(&["operation"], self.operation().into());
        request.set_at(&["userInfo", "username"], self.user.name.clone().into());
        let groups = self.user.groups.iter().map(|group| Value::from(group.clone())).collect();
        request.set_at(&["userInfo", "groups"], Value::List(groups));
        request.set_at(&["object"], object.clone());
        request.set_at(&["oldObject"], self.live.as_deref().cloned().unwrap_or_default());
        request.set_at(&["dryRun"], self.change.dry_run.into());
        let options = match (self.change.verb, &self.live) {
            (WriteVerb::Create, _) => "CreateOptions",
            (WriteVerb::Update, _) => "UpdateOptions",
            (WriteVerb::Patch(_), _) => "PatchOptions",
        };
        request.set_at(&["options", "kind"], options.into());
        request.set_at(&["options", "apiVersion"], "meta.k8s.io/v1".into());
        let mut review = Value::default();
        review.set_at(&["apiVersion"], "admission.k8s.io/v1".into());
        review.set_at(&["kind"], "AdmissionReview".into());
        review.set_at(&["request"], request);
        review
    }
}
