//! Carrying out what was decided: each step goes through the same door as everybody else's requests.

use trueup_object::Value;

use super::Loop;
use super::events::{self, Event};
use super::objects::{Step, text};
use crate::api::{Change, DeleteOptions, Propagation, Target};
use crate::registry::ServedResource;
use crate::state::Name;
use crate::status::ApiStatus;
use crate::write::{FieldValidation, PatchKind, WriteVerb};

impl Loop {
    /// Carries out a step, and tells about it. One that is refused was decided on an older state; the change that made it
    /// old asks again.
    pub(super) fn perform(&self, step: &Step) {
        let Some(resource) = step.resource() else {
            if let Step::Tell(event) = step {
                self.tell(event);
            }
            return;
        };
        let kinds = self.api.registry().kinds();
        let Some(served) = kinds.resource(resource.group, resource.version, resource.plural) else { return };
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
        match self.carry_out(step, served) {
            Ok(after) => {
                if let Some(event) = events::of(step, before.as_deref(), &after) {
                    self.tell(&event);
                }
            }
            Err(status) => tracing::debug!(
                resource = resource.plural,
                message = status.message,
                "a controller's write was refused"
            ),
        }
    }

    fn carry_out(&self, step: &Step, served: &ServedResource) -> Result<Value, ApiStatus> {
        let named = |object: &Value| (text(object, "namespace").to_owned(), text(object, "name").to_owned());
        match step {
            Step::Create { object, manager, .. } => {
                let target = Target::collection(served, text(object, "namespace"));
                self.write(target, WriteVerb::Create, object, manager)
            }
            Step::Update { object, manager, subresource, .. } => {
                let (namespace, name) = named(object);
                let target =
                    Target { subresource: *subresource, ..Target::object(served, &namespace, &name) };
                self.write(target, WriteVerb::Update, object, manager)
            }
            Step::Apply { object, manager, .. } => {
                let (namespace, name) = named(object);
                let target = Target::object(served, &namespace, &name);
                self.write(target, WriteVerb::Patch(PatchKind::Apply), object, manager)
            }
            Step::Delete { object, .. } => {
                let options = DeleteOptions {
                    propagation: Some(Propagation::Background),
                    uid: Some(text(object, "uid").into()),
                    ..DeleteOptions::default()
                };
                let (namespace, name) = named(object);
                self.api.delete(Target::object(served, &namespace, &name), &options)?;
                Ok(object.clone())
            }
            Step::End { pod } => {
                let uid = Some(text(pod, "uid").into());
                let options = DeleteOptions { uid, grace_seconds: Some(0), ..DeleteOptions::default() };
                let (namespace, name) = named(pod);
                self.api.delete(Target::object(served, &namespace, &name), &options)?;
                Ok(pod.clone())
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

    fn write(
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
        self.api.change(&change).map(|changed| changed.response)
    }

    fn tell(&self, event: &Event) {
        let kinds = self.api.registry().kinds();
        let resource = event.resource();
        let Some(served) = kinds.resource(resource.group, resource.version, resource.plural) else { return };
        // Names of events follow from their time, so that a list of them is in its order.
        let time = u64::try_from(self.now().as_nanosecond()).unwrap_or_default();
        self.told.set(time.max(self.told.get() + 1));
        let object = event.object(self.told.get(), self.now());
        let namespace = text(&object, "namespace");
        let (known, _) = self.api.store().list(&served.storage(), namespace);
        // Nothing is told in a namespace that goes.
        let _ = match known.iter().find(|known| events::is_same(known, &object)) {
            Some(_) if event.is_told_once() => return,
            Some(known) => {
                let again = events::again(known, self.now());
                let target = Target::object(served, namespace, text(known, "name"));
                self.write(target, WriteVerb::Update, &again, event.manager())
            }
            None => {
                let target = Target::collection(served, namespace);
                self.write(target, WriteVerb::Create, &object, event.manager())
            }
        };
    }
}
