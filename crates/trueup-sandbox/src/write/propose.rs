//! The object that a request proposes, with its managed fields worked out.

use trueup_merge::{
    ApplyError, Field, Kind, PatchStrategy, TypeRef, apply_versioned, server_path, update_versioned,
};
use trueup_object::{Gvk, Map, Value};

use super::decode::{WrongKind, document, invalid_patch, is_cut_off};
use super::patch::{
    FieldPatch, PatchError, PatchSchema, go_map, json_patch, json_type, merge_patch, strategic_merge,
};
use super::strategy::{Part, allows_create_on_update, reset};
use super::zero::zero_status;
use super::{FieldValidation, PatchKind, Pipeline, WriteRequest, WriteVerb, manager};
use crate::api::convert::shown_as;
use crate::kind::KindInfo;
use crate::status::{ApiStatus, StatusCause, StatusReason};

/// What patches of a custom kind may be.
const CUSTOM_PATCHES: [&str; 3] =
    ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"];

/// What the server says of a merge patch that is none.
const NO_PATCH: &str = "Invalid JSON Patch";

impl<'a> Pipeline<'_, 'a> {
    pub(super) fn proposed(&mut self) -> Result<Value, ApiStatus> {
        match self.request.verb {
            WriteVerb::Create => {
                let mut object = self.decoded_body()?;
                for field in [
                    "uid",
                    "creationTimestamp",
                    "deletionTimestamp",
                    "deletionGracePeriodSeconds",
                    "selfLink",
                ] {
                    object.remove_at(&["metadata", field]);
                }
                self.check_namespace(&mut object)?;
                Ok(self.owned(None, object))
            }
            WriteVerb::Update => {
                let object = self.replacement()?;
                let Some(live) = self.live() else { return self.created_by_update(object) };
                self.check_uid_precondition(&object, live)?;
                Ok(self.owned(Some(live), object))
            }
            WriteVerb::Patch(PatchKind::Apply) => self.applied(),
            WriteVerb::Patch(kind) => self.patched(kind),
        }
    }

    /// The whole object of an update, before anybody asks whether it is the one that is there.
    pub(super) fn replacement(&mut self) -> Result<Value, ApiStatus> {
        let mut object = self.decoded_body()?;
        self.check_namespace(&mut object)?;
        self.check_name(&object)?;
        Ok(object)
    }

    /// What webhooks left, in the kind's shape and with its defaults again. Who owns what was settled before them: what
    /// they add is nobody's.
    pub(super) fn admitted(&self, admitted: &Value) -> Result<Value, ApiStatus> {
        let decoded = self.decode(admitted).map_err(|error| ApiStatus::internal(error.message))?;
        Ok(decoded.object)
    }

    /// Some kinds are created by a PUT to a name that is free.
    fn created_by_update(&self, object: Value) -> Result<Value, ApiStatus> {
        if !allows_create_on_update(self.request.kind) || self.part != Part::Main {
            return Err(self.not_found());
        }
        Ok(self.owned(None, object))
    }

    fn not_found(&self) -> ApiStatus {
        ApiStatus::not_found(self.request.kind, self.name())
    }

    /// The object with the managed fields that an update by this client leaves.
    pub(super) fn owned(&self, live: Option<&Value>, mut object: Value) -> Value {
        // Of what is taken back here nobody comes to own anything.
        if let (Some(live), Part::EphemeralContainers | Part::Resize) = (live, self.part) {
            reset(self.request.kind, self.part, &mut object, live);
        }
        let writer = self.writer(&manager(self.request));
        let show = |object: &Value, version: &str| self.shown(object, version);
        update_versioned(live, &object, &writer, Kind::versioned(self.ty, &show))
    }

    /// The object in another version of its kind, for the entries that were written in it.
    fn shown(&self, object: &Value, version: &str) -> Option<(Value, TypeRef<'a>)> {
        let gvk = Gvk::from_api_version(version, &self.request.kind.gvk.kind);
        let ty = self.request.schemas.lookup(&gvk)?;
        let kind = KindInfo { gvk, ..self.request.kind.clone() };
        Some((shown_as(object, &kind), ty))
    }

    fn patched(&mut self, kind: PatchKind) -> Result<Value, ApiStatus> {
        if kind == PatchKind::Strategic && !self.request.kind.is_builtin() {
            return Err(ApiStatus::unsupported_media_type(&CUSTOM_PATCHES));
        }
        let live = self.live().ok_or_else(|| self.not_found())?;
        let patch = self.read_patch(kind)?;
        let doubled = self.doubled(&patch);
        let patched = match kind {
            PatchKind::Json => json_patch(live, &patch),
            // A list takes the place of the object.
            PatchKind::Merge if patch.as_list().is_some() => Ok(patch.clone()),
            PatchKind::Merge | PatchKind::Apply => merge_patch(live, &patch),
            PatchKind::Strategic => strategic_merge(live, &patch, &TypePatch(self.ty)),
        };
        let patched = patched.map_err(|error| self.in_lenient_words(error))?;
        // How a refusal shows the patch. Most are not refused.
        let shown = || match kind {
            PatchKind::Json | PatchKind::Merge | PatchKind::Apply => patched.to_json(),
            PatchKind::Strategic => go_map(&patch),
        };
        if patched.as_list().is_some() {
            return Err(invalid_patch(&shown(), &super::decode::no_type_meta(&patched)));
        }
        if patched.as_map().is_none() {
            // The server keeps the cause to itself.
            return Err(super::patch::PatchError::DoesNotApply(shown()).into_status());
        }
        self.check_patched_kind(&patched, kind, &shown)?;
        self.check_version_kept(&patched, kind)?;
        let mut object = self.decoded_patched(&patched, &doubled, &shown)?;
        object = self.owned(Some(live), object);
        self.check_namespace(&mut object)?;
        self.check_name(&object)?;
        Ok(object)
    }

    /// An object of a built-in kind that does not say its version is read as the server's own types have it, which know none
    /// of the fields by these names.
    fn check_version_kept(&mut self, patched: &Value, kind: PatchKind) -> Result<(), ApiStatus> {
        let says = patched.str_at(&["apiVersion"]).is_some_and(|version| !version.is_empty());
        if says || kind == PatchKind::Strategic || !self.request.kind.is_builtin() {
            return Ok(());
        }
        if self.request.field_validation == FieldValidation::Warn {
            let keys = patched.as_map().into_iter().flat_map(Map::keys);
            let unknown = keys.filter(|key| !matches!(*key, "kind" | "apiVersion"));
            self.warnings.extend(unknown.map(|key| format!("unknown field {key:?}")));
        }
        self.check_name(&Value::Map(Map::new()))
    }

    /// Where nobody asks for unknown fields, only the patching itself reads a JSON patch.
    fn in_lenient_words(&self, error: PatchError) -> ApiStatus {
        let error = match error {
            PatchError::Malformed(message) if self.request.field_validation == FieldValidation::Ignore => {
                let message = message.strip_prefix("error decoding patch: ").unwrap_or(&message);
                PatchError::Malformed(message.replacen("handlers.jsonPatchOp", "jsonpatch.Operation", 1))
            }
            other => other,
        };
        error.into_status()
    }

    fn read_patch(&self, kind: PatchKind) -> Result<Value, ApiStatus> {
        // Strategic patches are read elsewhere in the server, where nobody adds what was being done; and where nobody asks
        // for unknown fields, only the patching itself reads the others.
        let lenient = self.request.field_validation == FieldValidation::Ignore;
        let doing = if lenient || kind == PatchKind::Strategic { "" } else { "error decoding patch: " };
        let patch = Value::from_json(self.request.body).map_err(|error| {
            let error = if is_cut_off(self.request.body) {
                "unexpected end of JSON input".to_owned()
            } else {
                error.to_string()
            };
            let is_merge = lenient && kind == PatchKind::Merge;
            ApiStatus::bad_request(if is_merge { NO_PATCH.to_owned() } else { format!("{doing}{error}") })
        })?;
        match (kind, &patch) {
            (PatchKind::Merge, Value::List(_)) if lenient => Ok(patch),
            (PatchKind::Merge, Value::Map(_)) => Ok(patch),
            (PatchKind::Merge, _) if lenient => Err(ApiStatus::bad_request(NO_PATCH)),
            (
                PatchKind::Json,
                Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Map(_),
            ) if lenient => {
                let found = json_type(&patch);
                Err(ApiStatus::bad_request(format!(
                    "json: cannot unmarshal {found} into Go value of type jsonpatch.Patch"
                )))
            }
            (PatchKind::Merge, Value::Null) => Err(ApiStatus::bad_request(NO_PATCH)),
            (PatchKind::Strategic, Value::Null) => Ok(Value::Map(Map::new())),
            (PatchKind::Json, Value::Null) => Ok(Value::List(Vec::new())),
            (PatchKind::Strategic, Value::Map(_)) => Ok(patch),
            (PatchKind::Merge | PatchKind::Strategic, other) => Err(ApiStatus::bad_request(format!(
                "{doing}json: cannot unmarshal {} into Go value of type map[string]interface {{}}",
                json_type(other)
            ))),
            (PatchKind::Json | PatchKind::Apply, _) => Ok(patch),
        }
    }

    /// A patch cannot make another kind of the object.
    fn check_patched_kind(
        &self,
        patched: &Value,
        kind: PatchKind,
        shown: &dyn Fn() -> String,
    ) -> Result<(), ApiStatus> {
        // A strategic merge ends in the object's own type, whatever kind it is said to be.
        if kind == PatchKind::Strategic {
            return Ok(());
        }
        self.check_type_meta(patched).map_err(|wrong| match wrong {
            WrongKind::Unreadable(message) | WrongKind::Unregistered { message, .. } => {
                invalid_patch(&shown(), &message)
            }
            WrongKind::Custom(status) => *status,
        })
    }

    fn applied(&mut self) -> Result<Value, ApiStatus> {
        let Some(name) = self.request.field_manager.filter(|name| !name.is_empty()) else {
            return Err(manager_required());
        };
        let configuration = document(self.request)
            .map_err(|error| ApiStatus::bad_request(format!("error decoding YAML: {error}")))?;
        let configuration = match configuration {
            Value::Null => Value::Map(Map::new()),
            Value::Map(_) => configuration,
            other => {
                return Err(ApiStatus::bad_request(format!(
                    "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {} into Go value of \
                     type map[string]interface {{}}",
                    json_type(&other)
                )));
            }
        };
        self.check_applied_kind(&configuration)?;
        let show = |object: &Value, version: &str| self.shown(object, version);
        let kind = Kind::versioned(self.ty, &show);
        let outcome =
            apply_versioned(self.live(), &configuration, &self.writer(name), self.request.force, kind);
        let applied = outcome.map_err(|error| self.apply_refused(&configuration, error))?;
        self.check_keys_of_applied(&configuration)?;
        let decoded = self
            .decode(&applied.object)
            .map_err(|error| self.inconvertible(&configuration, &error.message))?;
        self.emptied = decoded.emptied;
        let mut object = decoded.object;
        if self.live().is_none() && has_text(&object, "uid") {
            let uid = object.str_at(&["metadata", "uid"]).unwrap_or_default();
            let detail = format!(
                "uid mismatch: the provided object specified uid {uid}, and no existing object was found"
            );
            return Err(ApiStatus::conflict(self.request.kind, self.name(), &detail));
        }
        self.check_namespace(&mut object)?;
        self.check_name(&object)?;
        Ok(object)
    }

    /// What is applied is read as YAML, whose reader tells of doubled keys in words of its own.
    fn check_keys_of_applied(&mut self, configuration: &Value) -> Result<(), ApiStatus> {
        let doubled = self.doubled(configuration);
        let told: Vec<String> = doubled
            .iter()
            .map(|found| format!("line {}: key {:?} already set in map", found.line, found.key))
            .collect();
        if told.is_empty() || self.request.field_validation != FieldValidation::Strict {
            self.warnings.extend(told);
            return Ok(());
        }
        Err(ApiStatus::bad_request(format!(
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  {}",
            told.join("\n  ")
        )))
    }

    fn check_applied_kind(&self, configuration: &Value) -> Result<(), ApiStatus> {
        let expected = &self.request.kind.gvk;
        let version = configuration.str_at(&["apiVersion"]).unwrap_or_default();
        let kind = configuration.str_at(&["kind"]).unwrap_or_default();
        if version == expected.api_version() && kind == expected.kind {
            return Ok(());
        }
        if version.matches('/').count() > 1 {
            return Err(ApiStatus::bad_request("invalid object type: /, Kind="));
        }
        let slash = if version.contains('/') { "" } else { "/" };
        Err(ApiStatus::bad_request(format!("invalid object type: {slash}{version}, Kind={kind}")))
    }

    fn apply_refused(&self, configuration: &Value, error: ApplyError) -> ApiStatus {
        match error {
            ApplyError::Conflicts(conflicts) => {
                let causes = conflicts
                    .iter()
                    .map(|conflict| {
                        let message = format!("conflict with {}", conflict.owner());
                        StatusCause::new("FieldManagerConflict", server_path(&conflict.path), message)
                    })
                    .collect();
                ApiStatus::apply_conflict(ApplyError::Conflicts(conflicts).to_string(), causes)
            }
            ApplyError::ManagedFieldsGiven => ApiStatus::bad_request("metadata.managedFields must be nil"),
            ApplyError::Undecodable(_) | ApplyError::Inconvertible(_) => {
                ApiStatus::new(500, StatusReason::Unknown, error.to_string())
            }
            ApplyError::LiveInvalid(invalid) => {
                let reasons = ApplyError::LiveInvalid(invalid).to_string();
                let mut status = self.unfit(configuration, reasons.split_once(": ").map_or("", |(_, it)| it));
                status.message = status.message.replacen("typed patch object", "typed live object", 1);
                status
            }
            ApplyError::Invalid(invalid) => {
                let text = ApplyError::Invalid(invalid).to_string();
                let reasons = text.strip_prefix("failed to create typed patch object: ").unwrap_or(&text);
                self.unfit(configuration, reasons)
            }
        }
    }

    /// A merged object that its Go type cannot hold.
    fn inconvertible(&self, configuration: &Value, reason: &str) -> ApiStatus {
        let kind = &self.request.kind.gvk;
        let typed = format!("{}/{}, Kind={}", kind.group, kind.version, kind.kind);
        let mut status = self.unfit(configuration, "");
        let message =
            status.message.replacen("failed to create typed patch object", "failed to convert new object", 1);
        let place = message.strip_suffix(": ").unwrap_or(&message);
        status.message =
            format!("{place} to proper version: unable to convert unstructured object to {typed}: {reason}");
        status
    }

    /// The server gives no reason code for a configuration that does not fit the schema.
    fn unfit(&self, configuration: &Value, reasons: &str) -> ApiStatus {
        let namespace = configuration.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let name = configuration.str_at(&["metadata", "name"]).unwrap_or_default();
        let kind = &self.request.kind.gvk;
        let message = format!(
            "failed to create typed patch object ({namespace}/{name}; {}/{}, Kind={}): {reasons}",
            kind.group, kind.version, kind.kind
        );
        ApiStatus::new(500, StatusReason::Unknown, message)
    }

    /// Puts the request's namespace into an object that has none; refuses another one.
    fn check_namespace(&self, object: &mut Value) -> Result<(), ApiStatus> {
        let given = object.str_at(&["metadata", "namespace"]).unwrap_or_default();
        if given == self.request.namespace {
            return Ok(());
        }
        if given.is_empty() {
            object.set_at(&["metadata", "namespace"], self.request.namespace.into());
            return Ok(());
        }
        if self.request.namespace.is_empty() {
            object.remove_at(&["metadata", "namespace"]);
            return Ok(());
        }
        Err(ApiStatus::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ))
    }

    fn check_name(&self, object: &Value) -> Result<(), ApiStatus> {
        let given = object.str_at(&["metadata", "name"]).unwrap_or_default();
        let expected = self.name();
        if given == expected {
            return Ok(());
        }
        if given.is_empty() {
            return Err(ApiStatus::bad_request(format!(
                "the name of the object ({expected} based on URL) was undeterminable: name must be provided"
            )));
        }
        Err(ApiStatus::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({expected})"
        )))
    }

    /// The uid in a PUT is a precondition.
    fn check_uid_precondition(&self, object: &Value, live: &Value) -> Result<(), ApiStatus> {
        let given = object.str_at(&["metadata", "uid"]).unwrap_or_default();
        let found = live.str_at(&["metadata", "uid"]).unwrap_or_default();
        if given.is_empty() || given == found {
            return Ok(());
        }
        let detail = format!(
            "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: {given}, UID in object meta: {found}",
            storage_key(self.request)
        );
        Err(ApiStatus::conflict(self.request.kind, self.name(), &detail))
    }

    /// Takes back what this part may not write.
    pub(super) fn reset(&self, object: &mut Value) {
        let kind = self.request.kind;
        let mut empty = Value::Map(Map::new());
        if kind.is_builtin() && kind.has_status {
            empty.set_at(&["status"], zero_status(&kind.group_kind(), &kind.gvk.version));
        }
        reset(kind, self.part, object, self.live().unwrap_or(&empty));
    }
}

fn has_text(object: &Value, key: &str) -> bool {
    object.str_at(&["metadata", key]).is_some_and(|text| !text.is_empty())
}

/// Where etcd would hold the object: the server's messages show it. Of a dry run they leave out what all keys begin with.
fn storage_key(request: &WriteRequest<'_>) -> String {
    let WriteRequest { kind, namespace, .. } = request;
    let root = if request.dry_run { "" } else { "/registry" };
    let namespace = if namespace.is_empty() { String::new() } else { format!("{namespace}/") };
    let name = request.name.unwrap_or_default();
    format!("{root}/{}/{namespace}{name}", storage_folder(kind))
}

/// Most kinds are kept under their resource, some under what it was called once, and those of other servers under their group.
fn storage_folder(kind: &KindInfo) -> String {
    let folder = match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "Service") => "services/specs",
        ("", "Endpoints") => "services/endpoints",
        ("", "ReplicationController") => "controllers",
        ("", "Node") => "minions",
        ("networking.k8s.io", "Ingress") => "ingress",
        ("apiregistration.k8s.io" | "apiextensions.k8s.io", _) => {
            return format!("{}/{}", kind.gvk.group, kind.plural);
        }
        _ if kind.is_builtin() => &kind.plural,
        _ => return format!("{}/{}", kind.gvk.group, kind.plural),
    };
    folder.to_owned()
}

fn manager_required() -> ApiStatus {
    let cause = StatusCause::required("fieldManager", "is required for apply patch");
    let message = format!("PatchOptions.meta.k8s.io \"\" is invalid: {}: {}", cause.field, cause.message);
    let mut status = ApiStatus::new(422, StatusReason::Invalid, message).with_causes(vec![cause]);
    status.details.group = "meta.k8s.io".into();
    status.details.kind = "PatchOptions".into();
    status
}

/// The schema's own words on strategic merge patches.
struct TypePatch<'a>(TypeRef<'a>);

impl PatchSchema for TypePatch<'_> {
    fn field(&self, name: &str) -> FieldPatch<Self> {
        let Some(field) = self.0.field(name) else {
            return FieldPatch {
                merges: false,
                replaces: false,
                merge_key: None,
                below: Self(TypeRef::untyped()),
            };
        };
        let Field { ty, patch, .. } = field;
        let below = match ty.shape() {
            trueup_merge::Shape::List { element, .. } => element,
            _ => ty,
        };
        let (merges, merge_key) = match patch {
            PatchStrategy::Merge { key, retain_keys: _ } => (true, key.map(str::to_owned)),
            PatchStrategy::Replace | PatchStrategy::RetainKeys => (false, None),
        };
        // The one map that the API's types declare to be replaced.
        let budget = "io.k8s.api.policy.v1.PodDisruptionBudgetSpec";
        let replaces = name == "selector" && self.0.name() == Some(budget);
        FieldPatch { merges, replaces, merge_key, below: Self(below) }
    }
}
