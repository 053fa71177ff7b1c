//! The last steps of a write: metadata, what the kind's strategy does, validation, and whether anything changed.

use trueup_merge::keep_times;
use trueup_object::Value;

use super::fields::copy_field;
use super::{PatchKind, Pipeline, WriteVerb, admit, defaults, identity, strategy, validate, warn};
use crate::api::convert::follow_status_v1;
use crate::status::{ApiStatus, StatusCause, StatusReason};
use crate::storage_class::class_named;

impl Pipeline<'_, '_> {
    pub(super) fn finish_create(&mut self, mut object: Value) -> Result<Value, ApiStatus> {
        let given_version = object.str_at(&["metadata", "resourceVersion"]).unwrap_or_default();
        // It is the storage that refuses it, which a dry run does not come to.
        let stores = self.request.verb == WriteVerb::Create && !self.request.dry_run;
        if stores && !matches!(given_version, "" | "0") {
            let message = "resourceVersion should not be set on objects to be created";
            return Err(ApiStatus::new(500, StatusReason::Unknown, message));
        }
        self.generate_name(&mut object);
        for field in ["selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"] {
            object.remove_at(&["metadata", field]);
        }
        if self.request.verb != WriteVerb::Create || stores {
            object.remove_at(&["metadata", "resourceVersion"]);
        }
        let created = trueup_object::time::to_seconds(self.request.now);
        object.set_at(&["metadata", "uid"], self.request.uid.into());
        object.set_at(&["metadata", "creationTimestamp"], created.into());
        self.reset(&mut object);
        if self.is_first_autoscaler() {
            follow_status_v1(&mut object, None);
        }
        if let Some(class) = self.request.default_class.filter(|_| class_named(&object).is_none()) {
            object.set_at(&["spec", "storageClassName"], class.into());
        }
        admit::admit_new(self.request, &mut object)?;
        strategy::prepare_create(self.request, &mut object);
        self.fill_nulls(&mut object);
        self.check_valid(&object, None)?;
        self.drop_nulls(&mut object);
        strategy::finish_create(self.request.kind, &mut object);
        self.warn(&object, None);
        Ok(object)
    }

    /// A name from `generateName`. Namespaces carry their name as a label, which a nameless one could not have before.
    fn generate_name(&self, object: &mut Value) {
        let prefix = object.str_at(&["metadata", "generateName"]).unwrap_or_default().to_owned();
        let named = object.str_at(&["metadata", "name"]).is_some_and(|name| !name.is_empty());
        if prefix.is_empty() || named {
            return;
        }
        let name = identity::generated_name(&prefix, self.request.uid);
        object.set_at(&["metadata", "name"], name.into());
        if self.request.kind.group_kind().is("", "Namespace") {
            defaults::namespace(object);
        }
    }

    pub(super) fn finish_update(
        &mut self,
        mut object: Value,
        live: &Value,
    ) -> Result<(Value, bool), ApiStatus> {
        let kind = self.request.kind;
        if self.request.verb == WriteVerb::Create {
            let mut status = ApiStatus::already_exists(kind, self.created_name(&object));
            if live.at(&["metadata", "deletionTimestamp"]).is_some() {
                status.message = format!("object is being deleted: {}", status.message);
            }
            return Err(status);
        }
        self.check_version(&mut object, live)?;
        self.reset(&mut object);
        if self.part == strategy::Part::Main && self.is_first_autoscaler() {
            follow_status_v1(&mut object, Some(live));
        }
        admit::admit_changed(self.request, &mut object, live);
        strategy::prepare_update(self.request, self.part, &mut object, live);
        let is_service = kind.group_kind().is("", "Service");
        if let Some((protocol, port)) =
            Some(&object).filter(|_| is_service).and_then(strategy::doubled_node_port)
        {
            let message = format!("duplicate nodePort: {{{protocol} {port}}}");
            return Err(ApiStatus::new(500, StatusReason::Unknown, message));
        }
        object.remove_at(&["metadata", "selfLink"]);
        if object.str_at(&["metadata", "uid"]).is_none_or(str::is_empty) {
            copy_field(&mut object, live, &["metadata", "uid"]);
        }
        copy_field(&mut object, live, &["metadata", "creationTimestamp"]);
        if live.at(&["metadata", "deletionTimestamp"]).is_some() {
            copy_field(&mut object, live, &["metadata", "deletionTimestamp"]);
        }
        if object.at(&["metadata", "deletionGracePeriodSeconds"]).is_none() {
            copy_field(&mut object, live, &["metadata", "deletionGracePeriodSeconds"]);
        }
        self.fill_nulls(&mut object);
        self.count_emptied(&mut object, live);
        self.check_valid(&object, Some(live))?;
        self.drop_nulls(&mut object);
        self.warn(&object, Some(live));
        let object = keep_times(live, object);
        let changed = object != *live;
        Ok((object, changed))
    }

    /// Of some kinds the server compares specs by a rule that tells an empty list from none, and none is ever stored empty.
    fn count_emptied(&self, object: &mut Value, live: &Value) {
        let kind = self.request.kind.group_kind();
        let is_exact = kind.is("networking.k8s.io", "NetworkPolicy")
            || kind.is("admissionregistration.k8s.io", "ValidatingWebhookConfiguration")
            || kind.is("admissionregistration.k8s.io", "MutatingWebhookConfiguration");
        let generation = |object: &Value| object.int_at(&["metadata", "generation"]).unwrap_or_default();
        // An empty list of types is filled in before anybody compares.
        let counts = |path: &str| !path.starts_with("metadata") && path != "spec.policyTypes";
        let emptied = self.emptied.iter().any(|found| counts(&found.path));
        if is_exact && emptied && self.part == strategy::Part::Main && generation(object) == generation(live)
        {
            object.set_at(&["metadata", "generation"], (generation(live) + 1).into());
        }
    }

    /// The nulls that an apply leaves are judged, and not stored.
    fn drop_nulls(&self, object: &mut Value) {
        if let (Some(custom), WriteVerb::Patch(PatchKind::Apply)) =
            (self.request.kind.custom(), self.request.verb)
        {
            custom.schema.default(object);
        }
    }

    fn warn(&mut self, object: &Value, live: Option<&Value>) {
        for warning in warn::warnings(self.request.kind, self.part, object, live) {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Where the server shows an empty list or map that this program takes for none.
    fn show_emptied(&self, causes: &mut [StatusCause]) {
        for cause in causes {
            let shown = self.emptied.iter().find(|found| {
                found.path == *cause.field || (found.path == "spec.rules" && *cause.field == *"spec")
            });
            if let Some(found) = shown {
                let empty = if found.is_list { "value: []" } else { "value: {}" };
                cause.message = cause.message.replacen("value: null", empty, 1);
            }
        }
    }

    fn fill_nulls(&self, object: &mut Value) {
        let kind = self.request.kind;
        if kind.is_builtin() {
            defaults::fill_nulls(&kind.group_kind(), &kind.gvk.version, object);
        }
    }

    fn created_name<'o>(&self, object: &'o Value) -> &'o str {
        object.str_at(&["metadata", "name"]).unwrap_or_default()
    }

    /// A resourceVersion in the object is a precondition; without one the kind decides.
    fn check_version(&self, object: &mut Value, live: &Value) -> Result<(), ApiStatus> {
        let kind = self.request.kind;
        let given = object.str_at(&["metadata", "resourceVersion"]).unwrap_or_default();
        if matches!(given, "" | "0") {
            if !strategy::allows_unconditional_update(kind) {
                let cause = StatusCause::invalid(
                    "metadata.resourceVersion",
                    &0.into(),
                    "must be specified for an update",
                );
                let mut status = ApiStatus::invalid(kind, self.name(), vec![cause]);
                // Here the server names the resource instead of the kind.
                status.message =
                    status.message.replacen(&kind.qualified_kind(), &kind.qualified_resource(), 1);
                status.details.kind = kind.plural.clone();
                return Err(status);
            }
            copy_field(object, live, &["metadata", "resourceVersion"]);
            return Ok(());
        }
        if given.parse::<u64>().is_err() {
            let message = format!("strconv.ParseUint: parsing {given:?}: invalid syntax");
            return Err(ApiStatus::new(500, StatusReason::Unknown, message));
        }
        if Some(given) != live.str_at(&["metadata", "resourceVersion"]) {
            return Err(ApiStatus::modified(kind, self.name()));
        }
        Ok(())
    }

    fn check_valid(&self, object: &Value, live: Option<&Value>) -> Result<(), ApiStatus> {
        let mut causes = validate::validate(self.request.kind, self.part, object, live);
        if causes.is_empty() {
            return Ok(());
        }
        self.show_emptied(&mut causes);
        let mut status = ApiStatus::invalid(self.request.kind, self.created_name(object), causes);
        if self.request.kind.group_kind().is("events.k8s.io", "Event") {
            // The server names the kind as the core group has it.
            status.message = status.message.replacen("Event.events.k8s.io", "Event", 1);
            status.details.group = "".into();
        }
        Err(status)
    }
}
