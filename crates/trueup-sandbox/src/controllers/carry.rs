//! Carrying out what was decided: each step goes through the same door as everybody else's requests.

use trueup_object::Value;

use super::acting;
use super::events::{self, Event};
use super::objects::{CONTROLLER_MANAGER, N_PODS_MAX, PODS, Step, text};
use super::refusal::{self, Refusal};
use super::{Loop, Place, RESOURCES};
use crate::admission::{self, Removal};
use crate::api::{Change, DeleteOptions, Propagation, Target};
use crate::audit::Trail;
use crate::registry::ServedResource;
use crate::state::Name;
use crate::status::ApiStatus;
use crate::write::{FieldValidation, PatchKind, WriteVerb};

impl Loop {
    /// Carries out what an owner has to do. Where something that it needs is refused nothing more is made; that is told, and it
    /// is tried again later.
    pub(super) async fn perform_all(&mut self, place: &Place, owner: &Value, steps: &[Step]) {
        let mut refused: Option<(usize, ApiStatus)> = None;
        let mut n_pods = None;
        for (index, step) in steps.iter().enumerate() {
            if refused.as_ref().is_some_and(|(first, _)| refusal::is_left_out(step, &steps[*first])) {
                continue;
            }
            let made = match step {
                Step::Create { resource, .. } if *resource == PODS => self.one_more(owner, &mut n_pods),
                _ => Ok(()),
            };
            let done = match made {
                Ok(()) => self.perform(step).await,
                Err(refused) => Err(refused),
            };
            match done {
                Err(status) if refusal::is_needed(step) => refused = refused.or(Some((index, status))),
                Ok(()) | Err(_) => {}
            }
        }
        let Some((index, status)) = refused else {
            self.refused.remove(place);
            return;
        };
        let resource = RESOURCES.into_iter().find(|resource| resource.is(&place.0));
        let (Some(resource), Some((step, rest))) = (resource, steps[index..].split_first()) else { return };
        let n_refusals = self.refused.get(place).map_or(0, |(number, _)| *number).saturating_add(1);
        if let Some(time) = refusal::next_try(resource, n_refusals, self.now()) {
            self.refused.insert(place.clone(), (n_refusals, time));
        }
        let pods = self.controlled(PODS, owner);
        let Some(owner) = self.api.store().get(&place.0, &place.1) else { return };
        let told = Refusal { resource, owner: &owner, step, rest, status: &status }.steps(&pods, self.now());
        for step in told {
            let _ = self.perform(&step).await;
        }
    }

    /// Whether an owner may have one more pod here.
    fn one_more(&self, owner: &Value, n_pods: &mut Option<usize>) -> Result<(), ApiStatus> {
        let number = n_pods.get_or_insert_with(|| self.controlled(PODS, owner).len());
        *number += 1;
        if i64::try_from(*number).is_ok_and(|number| number <= N_PODS_MAX) {
            return Ok(());
        }
        let kinds = self.api.registry().kinds();
        let served = kinds.resource(PODS.group, PODS.version, PODS.plural);
        let why = format!("the sandbox makes no more than {N_PODS_MAX} pods for one owner");
        Err(served.map_or_else(
            || ApiStatus::internal(&why),
            |served| ApiStatus::forbidden(&served.kind, &format!("{}-", text(owner, "name")), &why),
        ))
    }

    /// Carries out a step, and tells about it. One that is refused was most often decided on an older state; the change that
    /// made it old asks again.
    pub(super) async fn perform(&mut self, step: &Step) -> Result<(), ApiStatus> {
        let Some(resource) = step.resource() else {
            if let Step::Tell(event) = step {
                self.tell(event).await;
            }
            return Ok(());
        };
        let kinds = self.api.registry().kinds();
        let Some(served) = kinds.resource(resource.group, resource.version, resource.plural) else {
            return Ok(());
        };
        let before = match step {
            Step::Update { object, .. } => {
                let name = Name::new(text(object, "namespace"), text(object, "name"));
                self.api.store().get(&resource.id(), &name)
            }
            Step::Create { .. }
            | Step::Apply { .. }
            | Step::Delete { .. }
            | Step::Bind { .. }
            | Step::Tell(_)
            | Step::End { .. } => None,
        };
        match self.carry_out(step, served).await {
            Ok(after) => {
                if let Some(event) = events::of(step, before.as_deref(), &after) {
                    self.tell(&event).await;
                }
            }
            Err(status) => {
                tracing::debug!(
                    resource = resource.plural,
                    message = status.message,
                    "a controller's write was refused"
                );
                return Err(status);
            }
        }
        Ok(())
    }

    async fn carry_out(&self, step: &Step, served: &ServedResource) -> Result<Value, ApiStatus> {
        let named = |object: &Value| (text(object, "namespace").to_owned(), text(object, "name").to_owned());
        match step {
            Step::Create { object, manager, .. } => {
                let target = Target::collection(served, text(object, "namespace"));
                self.write(target, WriteVerb::Create, object, manager).await
            }
            Step::Update { object, manager, subresource, .. } => {
                let (namespace, name) = named(object);
                let target =
                    Target { subresource: *subresource, ..Target::object(served, &namespace, &name) };
                self.write(target, WriteVerb::Update, object, manager).await
            }
            Step::Apply { object, manager, .. } => {
                let (namespace, name) = named(object);
                let target = Target::object(served, &namespace, &name);
                self.write(target, WriteVerb::Patch(PatchKind::Apply), object, manager).await
            }
            Step::Delete { object, .. } => {
                let options = DeleteOptions {
                    propagation: Some(Propagation::Background),
                    uid: Some(text(object, "uid").into()),
                    ..DeleteOptions::default()
                };
                let (namespace, name) = named(object);
                let deleted = Target::object(served, &namespace, &name);
                self.remove(deleted, &options, object).await
            }
            Step::End { pod } => {
                let uid = Some(text(pod, "uid").into());
                let options = DeleteOptions { uid, grace_seconds: Some(0), ..DeleteOptions::default() };
                let (namespace, name) = named(pod);
                let ended = Target::object(served, &namespace, &name);
                self.remove(ended, &options, pod).await
            }
            Step::Tell(event) => Ok(event.object(0, self.now())),
            Step::Bind { pod, node } => {
                let (namespace, name) = named(pod);
                let mut binding = Value::default();
                binding.set_at(&["target", "name"], node.as_str().into());
                self.api.bind_pod(Target::object(served, &namespace, &name), &binding)
            }
        }
    }

    async fn write(
        &self,
        target: Target<'_>,
        verb: WriteVerb,
        object: &Value,
        manager: &str,
    ) -> Result<Value, ApiStatus> {
        let body = object.to_json();
        let change = Change {
            target,
            verb,
            body: body.as_bytes(),
            content_type: "application/json",
            field_manager: Some(manager),
            user_agent: manager,
            force: matches!(verb, WriteVerb::Patch(PatchKind::Apply)),
            field_validation: Some(FieldValidation::Ignore),
            dry_run: false,
            user: None,
        };
        // Who may give rights is nobody's question here: what the server does itself is not held to what somebody may do.
        if target.served.kind.gvk.group == "rbac.authorization.k8s.io" {
            return self.api.change(&change).map(|changed| changed.response);
        }
        let user = acting::user(manager, &target.served.kind.plural, object);
        let changed = admission::change(&self.api, &change, &user, &Trail::default()).await;
        changed.map(|changed| changed.response)
    }

    /// Deletes an object with the leave of those who are asked; gives what it was.
    async fn remove(
        &self,
        target: Target<'_>,
        options: &DeleteOptions,
        object: &Value,
    ) -> Result<Value, ApiStatus> {
        let user = acting::user(CONTROLLER_MANAGER, &target.served.kind.plural, object);
        let removal = Removal { api: &self.api, user: &user, trail: &Trail::default(), options };
        removal.delete(target, &mut Vec::new()).await?;
        Ok(object.clone())
    }

    async fn tell(&mut self, event: &Event) {
        let resource = event.resource();
        let kinds = self.api.registry().kinds();
        let Some(served) = kinds.resource(resource.group, resource.version, resource.plural) else { return };
        if event.is_told_once() && self.recorder.has_told(event) {
            return;
        }
        let now = self.now();
        // Names of events follow from their time, so that a list of them is in its order.
        let time = u64::try_from(now.as_nanosecond()).unwrap_or_default();
        self.told = time.max(self.told + 1);
        let mut event = event.clone();
        // The scheduler counts only what it tells of an unchanged pod, and it looks at none of these twice.
        if !event.is_newer() {
            let Some(heard) = self.recorder.hear(&event, self.told, now) else { return };
            event = event.with_message(heard.message.clone());
            let known = heard.known.map(|number| event.name(number));
            let live = known.and_then(|name| self.api.store().get(&served.storage(), &name));
            if let Some(live) = live {
                let again = events::again(&live, &heard.message, now);
                let target = Target::object(served, text(&live, "namespace"), text(&live, "name"));
                let _ = self.write(target, WriteVerb::Update, &again, event.manager()).await;
                return;
            }
        }
        let object = event.object(self.told, now);
        let target = Target::collection(served, text(&object, "namespace"));
        // Nothing is told in a namespace that goes.
        let _ = self.write(target, WriteVerb::Create, &object, event.manager()).await;
    }
}
