//! From bytes to an object of the kind, with its unknown fields reported and its defaults filled in.

use trueup_merge::{SchemaSet, TypeRef};
use trueup_object::yaml::read_documents;
use trueup_object::{Gvk, Map, Value};

use super::duplicates::{Duplicate, duplicates};
use super::shape::{Emptied, Found, Mismatch, shape};
use super::{
    FieldValidation, PatchKind, Pipeline, WriteRequest, WriteVerb, convert, defaults, go_json, zero,
};
use crate::api::convert::settle_v1;
use crate::kind::{CustomKind, KindInfo};
use crate::status::{ApiStatus, StatusCause, StatusReason};

/// A decoded object, and what strict validation has to say about it.
pub struct Decoded {
    pub object: Value,
    /// `unknown field "spec.foo"`, as the server words it.
    pub strict: Vec<String>,
    pub emptied: Vec<Emptied>,
}

/// The body as one document, JSON or YAML by its content type.
pub fn document(request: &WriteRequest<'_>) -> Result<Value, String> {
    let media_type = request.content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.ends_with("yaml") {
        return json(request.body);
    }
    // Most applies arrive as JSON under YAML's name, and JSON is much faster to read.
    if request.body.first() == Some(&b'{')
        && let Ok(value) = Value::from_json(request.body)
    {
        return Ok(value);
    }
    match read_documents(request.body).into_iter().next() {
        Some(Ok(document)) => Ok(document.value),
        Some(Err(_)) if request.body.first() == Some(&b'{') && is_cut_off(request.body) => {
            let line = request.body.iter().filter(|byte| **byte == b'\n').count() + 1;
            Err(format!(
                "error converting YAML to JSON: yaml: line {line}: did not find expected node content"
            ))
        }
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(Value::Null),
    }
}

/// A body as JSON; what cannot be read is told as Go tells it.
pub fn json(body: &[u8]) -> Result<Value, String> {
    Value::from_json(body).or_else(|error| {
        // Go reads letters that are none as the sign for that.
        if std::str::from_utf8(body).is_err()
            && let Ok(value) = Value::from_json(String::from_utf8_lossy(body).as_bytes())
        {
            return Ok(value);
        }
        Err(go_json::syntax_error(body).unwrap_or_else(|| error.to_string()))
    })
}

/// Before what Go's decoder says.
pub const UNREADABLE: &str = "couldn't get version/kind; json parse error";

/// A body of which the server cannot say what it is.
pub fn unrecognized(kind: &str, body: &[u8], message: &str) -> ApiStatus {
    let excerpt = go_json::excerpt(body);
    ApiStatus::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {message} ({excerpt})"
    ))
}

/// Refuses a body that is no JSON, as the server does before it looks for anything.
pub fn refuse_unreadable(kind: &str, body: &[u8]) -> Result<(), ApiStatus> {
    json(body).map(|_| ()).map_err(|error| unrecognized(kind, body, &format!("{UNREADABLE}: {error}")))
}

impl Pipeline<'_, '_> {
    /// The whole object of a create or update.
    pub(super) fn decoded_body(&mut self) -> Result<Value, ApiStatus> {
        let kind = &self.request.kind.gvk;
        let mut body = self.readable_body()?;
        let doubled = self.doubled(&body);
        self.check_kind(&mut body)?;
        let cannot = |message: &str| {
            let (name, version) = (&kind.kind, &kind.version);
            ApiStatus::bad_request(format!(
                "{name} in version {version:?} cannot be handled as a {name}: {message}"
            ))
        };
        let mut decoded = self.decode(&body).map_err(|error| cannot(&error.message))?;
        let mut doubled = doubled;
        if self.request.kind.is_builtin() {
            // Go's decoder does not look at what its types have no field for.
            doubled.retain(|found| {
                let told = format!("unknown field {:?}", found.path);
                !decoded.strict.contains(&told)
            });
        }
        decoded.strict.splice(0..0, doubled.iter().map(|found| format!("duplicate field {:?}", found.path)));
        self.emptied = std::mem::take(&mut decoded.emptied);
        if !decoded.strict.is_empty() {
            match self.request.field_validation {
                FieldValidation::Ignore => {}
                FieldValidation::Warn => self.warnings.extend(decoded.strict),
                FieldValidation::Strict => {
                    let message = format!("strict decoding error: {}", decoded.strict.join(", "));
                    return Err(cannot(&message));
                }
            }
        }
        Ok(decoded.object)
    }

    /// A patched object: the same, refused in the words for patches. `shown` is how the message shows the patch.
    pub(super) fn decoded_patched(
        &mut self,
        patched: &Value,
        doubled: &[Duplicate],
        shown: &dyn Fn() -> String,
    ) -> Result<Value, ApiStatus> {
        let strategic = self.request.verb == WriteVerb::Patch(PatchKind::Strategic);
        let json = if self.request.verb == WriteVerb::Patch(PatchKind::Json) { "json patch " } else { "" };
        let mut decoded = self.decode(patched).map_err(|error| {
            let message = if strategic { converted(&error) } else { error.message };
            invalid_patch(&shown(), &message)
        })?;
        let told = doubled.iter().map(|found| format!("{json}duplicate field {:?}", found.path));
        decoded.strict.splice(0..0, told);
        self.emptied = std::mem::take(&mut decoded.emptied);
        if !decoded.strict.is_empty() {
            match self.request.field_validation {
                FieldValidation::Ignore => {}
                FieldValidation::Warn => self.warnings.extend(decoded.strict),
                FieldValidation::Strict => {
                    let message = format!("strict decoding error: {}", decoded.strict.join(", "));
                    return Err(invalid_patch(&shown(), &message));
                }
            }
        }
        Ok(decoded.object)
    }

    /// The keys that stand twice in the body, where somebody wants to know.
    pub(super) fn doubled(&self, body: &Value) -> Vec<Duplicate> {
        match self.request.field_validation {
            FieldValidation::Ignore => Vec::new(),
            FieldValidation::Warn | FieldValidation::Strict => duplicates(self.request.body, body),
        }
    }

    /// What is empty or zero, is said to be so, and is not the same as not said: lists that a kind writes even when they are
    /// empty, and what is refused where its default would do.
    fn keep_emptied(&self, object: &Value, decoded: &mut Value, emptied: &[Emptied]) {
        let kind = &self.request.kind.gvk;
        let paths: &[&[&str]] = match (kind.group.as_str(), kind.kind.as_str()) {
            ("discovery.k8s.io", "EndpointSlice") => &[&["endpoints"], &["ports"]],
            ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => &[&["rules"]],
            ("autoscaling", "HorizontalPodAutoscaler") => &[
                &["spec", "behavior", "scaleUp", "policies"],
                &["spec", "behavior", "scaleDown", "policies"],
                &["status", "currentMetrics"],
            ],
            ("", "Service") => {
                let seconds = ["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"];
                if object.at(&seconds) == Some(&Value::Int(0)) && decoded.at(&seconds).is_some() {
                    decoded.set_at(&seconds, 0.into());
                }
                return;
            }
            _ => return,
        };
        for path in paths {
            let is_emptied = emptied.iter().any(|found| found.path == path.join("."));
            if is_emptied || (decoded.at(path).is_none() && self.empties(path)) {
                decoded.set_at(path, Value::List(Vec::new()));
            } else if decoded.at(path).is_none()
                && self.live().and_then(|live| live.at(path)).is_some_and(Value::is_null)
            {
                // What was said to be empty is kept as null, and stays with whoever said so.
                decoded.set_at(path, Value::Null);
            }
        }
    }

    /// Whether this is an autoscaler in the version that has an annotation for what it has no fields for.
    pub(super) fn is_first_autoscaler(&self) -> bool {
        let kind = &self.request.kind.gvk;
        kind.group == *"autoscaling" && kind.version == *"v1" && kind.kind == *"HorizontalPodAutoscaler"
    }

    /// Whether an update leaves out a list that is there, of a kind that writes it all the same: whoever does so owns the nothing.
    fn empties(&self, path: &[&str]) -> bool {
        let is_update = self.request.verb != WriteVerb::Patch(PatchKind::Apply);
        let had_some = self.live().is_some_and(|live| !live.list_at(path).is_empty());
        is_update && had_some && path.len() == 1
    }

    /// Gives an object its kind's shape and defaults.
    pub(super) fn decode(&self, object: &Value) -> Result<Decoded, Mismatch> {
        let mut found = Found::default();
        let mut decoded = match self.request.kind.custom() {
            Some(custom) => {
                let decoded = self.decode_custom(object, custom, &mut found)?;
                return Ok(Decoded { object: decoded, strict: unknown_fields(&found), emptied: Vec::new() });
            }
            None => shape(object, self.ty, &mut found)?,
        };
        if decoded.as_map().is_none() {
            return Err(Mismatch::new("json: cannot unmarshal value into Go value"));
        }
        self.set_kind(&mut decoded);
        let forgets = object.at(&["metadata", "managedFields"]).and_then(Value::as_list) == Some(&[]);
        if forgets {
            // In Go's types an empty list is not the same as none: with it a client has the managers forgotten.
            decoded.set_at(&["metadata", "managedFields"], Value::List(Vec::new()));
        }
        let kind = &self.request.kind.gvk;
        if !defaults::fill_defaults(&kind.group_kind(), &kind.version, &mut decoded) {
            defaults::fill_from_table(&mut decoded, self.ty);
        }
        if self.request.kind.has_status {
            zero::drop_zero_status(&kind.group_kind(), &kind.version, &mut decoded);
            let status = super::fields::below(&mut decoded, "status");
            zero::complete_status(&kind.group_kind(), &kind.version, status);
        }
        convert::through_internal(&kind.group_kind(), &mut decoded);
        if self.is_first_autoscaler() {
            settle_v1(&mut decoded);
        }
        self.keep_emptied(object, &mut decoded, &found.emptied);
        Ok(Decoded { object: decoded, strict: unknown_fields(&found), emptied: found.emptied })
    }

    fn decode_custom(
        &self,
        object: &Value,
        custom: &CustomKind,
        found: &mut Found,
    ) -> Result<Value, Mismatch> {
        let mut decoded = object.clone();
        if decoded.as_map().is_none() {
            return Err(Mismatch::new("json: cannot unmarshal value into Go value"));
        }
        let metadata = decoded.get("metadata");
        if let Some(other) = metadata.filter(|metadata| metadata.as_map().is_none() && !metadata.is_null()) {
            let found = go_kind(other);
            return Err(Mismatch::new(format!(
                "json: cannot unmarshal {found} into Go value of type v1.ObjectMeta"
            )));
        }
        let metadata_type = metadata_type(self.request.schemas);
        let metadata = decoded.get("metadata").filter(|metadata| !metadata.is_null());
        if let Some(metadata) = metadata.cloned() {
            let mut inner = Found::default();
            let shaped = shape(&metadata, metadata_type, &mut inner)?;
            if shaped.as_map().is_none() {
                return Err(Mismatch::new("json: cannot unmarshal value into metadata"));
            }
            found.unknown.extend(inner.unknown.iter().map(|path| format!("metadata.{path}")));
            decoded.set_at(&["metadata"], shaped);
        } else {
            decoded.set_at(&["metadata"], Value::Map(Map::new()));
        }
        found.unknown.extend(custom.schema.prune(&mut decoded));
        self.coerce_embedded(&mut decoded, custom, found)?;
        match self.request.verb {
            WriteVerb::Patch(PatchKind::Apply) => custom.schema.default_merged(&mut decoded),
            WriteVerb::Create | WriteVerb::Update | WriteVerb::Patch(_) => {
                custom.schema.default(&mut decoded);
            }
        }
        self.set_kind(&mut decoded);
        Ok(decoded)
    }

    /// The metadata of objects within the object takes the shape that metadata has; what cannot be a kind is refused, but of
    /// what an apply merges only later.
    fn coerce_embedded(
        &self,
        object: &mut Value,
        custom: &CustomKind,
        found: &mut Found,
    ) -> Result<(), Mismatch> {
        let merged = self.request.verb == WriteVerb::Patch(PatchKind::Apply);
        let ty = metadata_type(self.request.schemas);
        custom.schema.visit_embedded(object, |resource, path| {
            for field in ["apiVersion", "kind"] {
                let given = resource.get(field).filter(|value| value.as_str().is_none() && !merged);
                if let Some(other) = given {
                    let shown = other.to_json();
                    return Err(Mismatch::new(format!(
                        "{path}.{field}: Invalid value: {shown}: must be a string"
                    )));
                }
            }
            let Some(metadata) = resource.get("metadata") else { return Ok(()) };
            let given = if metadata.is_null() { Value::Map(Map::new()) } else { metadata.clone() };
            let refused = |error: &str| {
                let shown = given.to_json();
                Mismatch::new(format!("{path}.metadata: Invalid value: {shown}: {error}"))
            };
            if given.as_map().is_none() {
                let kind = go_kind(&given);
                return Err(refused(&format!(
                    "json: cannot unmarshal {kind} into Go value of type v1.ObjectMeta"
                )));
            }
            let mut inner = Found::default();
            let shaped = shape(&given, ty, &mut inner).map_err(|error| refused(&error.message))?;
            found.unknown.extend(inner.unknown.iter().map(|unknown| format!("{path}.metadata.{unknown}")));
            resource.set_at(&["metadata"], shaped);
            Ok(())
        })
    }

    fn set_kind(&self, object: &mut Value) {
        object.set_at(&["apiVersion"], self.request.kind.gvk.api_version().into());
        object.set_at(&["kind"], self.request.kind.gvk.kind.clone().into());
        if object.get("metadata").and_then(Value::as_map).is_none() {
            object.set_at(&["metadata"], Value::Map(Map::new()));
        }
    }

    /// The body as a map: what is none is refused in the words of the server's decoder, which shows what it was given.
    fn readable_body(&self) -> Result<Value, ApiStatus> {
        let kind = &self.request.kind.gvk.kind;
        let unreadable = |message: &str| {
            let shown = shown_bytes(self.request.body);
            let text =
                format!("the object provided is unrecognized (must be of type {kind}): {message} ({shown})");
            ApiStatus::bad_request(text)
        };
        let body = document(self.request).map_err(|error| {
            let error =
                if is_cut_off(self.request.body) { "unexpected end of JSON input".to_owned() } else { error };
            unreadable(&format!("couldn't get version/kind; json parse error: {error}"))
        })?;
        let unfit = |found: &str, expected: &str| {
            unreadable(&format!(
                "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go {expected}"
            ))
        };
        let mut body = match body {
            Value::Null => Value::Map(Map::new()),
            Value::Map(_) => body,
            other => return Err(unfit(go_kind(&other), TYPE_META)),
        };
        for field in ["kind", "apiVersion"] {
            match body.get(field) {
                None | Some(Value::Str(_)) => {}
                Some(Value::Null) => drop(body.remove_at(&[field])),
                Some(other) => {
                    return Err(unfit(go_kind(other), &format!("struct field .{field} of type string")));
                }
            }
        }
        let names_kind = body.str_at(&["kind"]).is_some_and(|kind| !kind.is_empty());
        if !self.request.kind.is_builtin() && !names_kind {
            let text = String::from_utf8_lossy(self.request.body);
            return Err(unreadable(&format!("Object 'Kind' is missing in '{text}'")));
        }
        Ok(body)
    }

    /// The body's own kind must be the one of the URL; one that does not say takes the URL's.
    fn check_kind(&self, body: &mut Value) -> Result<(), ApiStatus> {
        let expected = &self.request.kind.gvk.kind;
        self.check_type_meta(body).map_err(|wrong| match wrong {
            WrongKind::Unreadable(message) => {
                let shown = shown_bytes(self.request.body);
                ApiStatus::bad_request(format!(
                    "the object provided is unrecognized (must be of type {expected}): {message} ({shown})"
                ))
            }
            WrongKind::Unregistered { kind, version, message } => ApiStatus::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {expected}: {message}"
            )),
            WrongKind::Custom(status) => *status,
        })?;
        self.set_kind_only(body);
        Ok(())
    }

    /// Whether an object says that it is of another kind or version than it was sent as.
    pub(super) fn check_type_meta(&self, body: &Value) -> Result<(), WrongKind> {
        let expected = &self.request.kind.gvk;
        for field in ["kind", "apiVersion"] {
            if let Some(other) = body.get(field).filter(|value| !value.is_null() && value.as_str().is_none())
            {
                return Err(WrongKind::Unreadable(format!(
                    "couldn't get version/kind; json parse error: json: cannot unmarshal {} into Go struct field .{field} of type string",
                    go_kind(other)
                )));
            }
        }
        let given = |field: &str| body.str_at(&[field]).filter(|text| !text.is_empty());
        let (kind, version) = (given("kind"), given("apiVersion"));
        if let Some(version) = version.filter(|version| version.matches('/').count() > 1) {
            return Err(WrongKind::Unreadable(format!("unexpected GroupVersion string: {version}")));
        }
        if self.request.kind.custom().is_some() {
            return self.check_custom(kind.unwrap_or_default(), version.unwrap_or_default(), body);
        }
        let kind = kind.unwrap_or(&expected.kind);
        let own = expected.api_version();
        let version = version.unwrap_or(&own);
        if kind == expected.kind && version == own {
            return Ok(());
        }
        let short = version.rsplit('/').next().unwrap_or_default().to_owned();
        let is_registered =
            trueup_merge::SchemaSet::builtin().lookup(&Gvk::from_api_version(version, kind)).is_some();
        if is_registered && kind == expected.kind {
            let text = format!(
                "the API version in the data ({version}) does not match the expected API version ({own})"
            );
            return Err(WrongKind::Custom(Box::new(ApiStatus::bad_request(text))));
        }
        let other = Gvk::from_api_version(version, kind);
        let misfit = trueup_merge::SchemaSet::builtin()
            .lookup(&other)
            .and_then(|ty| shape(body, ty, &mut Found::default()).err());
        let message = if let Some(Mismatch { message, .. }) = misfit {
            message
        } else if is_registered {
            let group = expected.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
            format!("converting ({short}.{kind}) to ({group}.{}): unknown conversion", expected.kind)
        } else {
            format!("no kind {kind:?} is registered for version {version:?} in scheme {SCHEME:?}")
        };
        Err(WrongKind::Unregistered { kind: kind.to_owned(), version: short, message })
    }

    fn check_custom(&self, kind: &str, version: &str, body: &Value) -> Result<(), WrongKind> {
        let expected = &self.request.kind.gvk;
        let own = expected.api_version();
        let wrong = |field: &str, given: &str, must: &str| {
            let cause = StatusCause::invalid(field, &given.into(), &format!("must be {must}"));
            let name = body.str_at(&["metadata", "name"]).unwrap_or_default();
            let gvk = Gvk::from_api_version(version, kind);
            let info = KindInfo { gvk, ..self.request.kind.clone() };
            WrongKind::Custom(Box::new(ApiStatus::invalid(&info, name, vec![cause])))
        };
        if kind.is_empty() && matches!(self.request.verb, WriteVerb::Patch(_)) {
            return Err(WrongKind::Unreadable(format!("Object 'Kind' is missing in '{}'", body.to_json())));
        }
        if version != own {
            if matches!(self.request.verb, WriteVerb::Patch(_)) {
                if version.is_empty() {
                    let text = "Object 'apiVersion' is missing in 'object has no apiVersion field'";
                    return Err(WrongKind::Custom(Box::new(ApiStatus::internal(text))));
                }
                return Err(wrong("apiVersion", version, &own));
            }
            let text = format!(
                "the API version in the data ({version}) does not match the expected API version ({own})"
            );
            return Err(WrongKind::Custom(Box::new(ApiStatus::bad_request(text))));
        }
        if kind.is_empty() {
            let text = format!("Object 'Kind' is missing in '{}'", body.to_json());
            return Err(WrongKind::Unreadable(text));
        }
        // Of an update the server looks at the version first.
        let unversioned = self.request.verb == super::WriteVerb::Update
            && self.live().is_some()
            && body.str_at(&["metadata", "resourceVersion"]).is_none_or(str::is_empty);
        if kind != expected.kind && !unversioned { Err(wrong("kind", kind, &expected.kind)) } else { Ok(()) }
    }

    fn set_kind_only(&self, body: &mut Value) {
        body.set_at(&["apiVersion"], self.request.kind.gvk.api_version().into());
        body.set_at(&["kind"], self.request.kind.gvk.kind.clone().into());
    }
}

/// The type that the metadata of every object has.
fn metadata_type(schemas: &SchemaSet) -> TypeRef<'_> {
    let config_map = schemas.lookup(&Gvk::new("", "v1", "ConfigMap"));
    let metadata = config_map.and_then(|ty| ty.field("metadata"));
    metadata.map_or(TypeRef::untyped(), |field| field.ty)
}

/// The same mismatch in the words of the conversion that a strategic merge ends with, which knows types and no fields.
fn converted(mismatch: &Mismatch) -> String {
    const INTEGERS: [&str; 2] = ["int32", "int64"];
    let Mismatch { message, is_fraction } = mismatch;
    let Some((head, wanted)) = message.rsplit_once(" of type ") else { return message.clone() };
    let found = head.strip_prefix("json: cannot unmarshal ").and_then(|rest| rest.split(' ').next());
    let found = match found {
        Some("string") => "string",
        Some("number") if *is_fraction => "float64",
        Some("number") => "int64",
        Some("bool") => "bool",
        Some("array") => "slice",
        Some("object") => "map",
        _ => return message.clone(),
    };
    if wanted == "string" || super::go_names::is_text_type(wanted) {
        // Go itself would make a letter of a whole number: the decoder refuses that in words of its own.
        return if found == "int64" {
            format!("cannot convert int64 to {wanted}")
        } else {
            "unrecognized type: string".to_owned()
        };
    }
    if INTEGERS.contains(&wanted) && found == "float64" {
        return format!("cannot convert float64 to {wanted}");
    }
    if INTEGERS.contains(&wanted) || ["bool", "float64", "float32"].contains(&wanted) {
        return format!("unrecognized type: {wanted}");
    }
    match wanted {
        _ if wanted.starts_with("[]") => format!("cannot restore slice from {found}"),
        "v1.ResourceList" => format!("cannot restore map from {found}"),
        _ if wanted.starts_with("map[") => format!("cannot restore map from {found}"),
        _ => format!("cannot restore struct from: {found}"),
    }
}

fn unknown_fields(found: &Found) -> Vec<String> {
    found.unknown.iter().map(|path| format!("unknown field \"{path}\"")).collect()
}

/// The server names neither kind nor object here.
pub fn invalid_patch(shown: &str, message: &str) -> ApiStatus {
    let cause = StatusCause::invalid("patch", &shown.into(), message);
    let text = format!(" \"\" is invalid: patch: {}", cause.message);
    ApiStatus::new(422, StatusReason::Invalid, text).with_causes(vec![cause])
}

/// How an object says that it is of another kind than it was sent as.
pub enum WrongKind {
    /// What it says cannot be read.
    Unreadable(String),
    /// Nothing makes an object of that kind one of the expected kind.
    Unregistered { kind: String, version: String, message: String },
    /// A refusal that is the same wherever it comes up.
    Custom(Box<ApiStatus>),
}

/// How the server's messages name the place in its source that knows all kinds.
pub(super) const SCHEME: &str = "pkg/runtime/scheme.go:111";

/// What Go's decoder reads from a body before it knows the kind.
pub(super) const TYPE_META: &str = "value of type struct { APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }";

/// What Go's decoder says of a value that is no object.
pub fn no_type_meta(value: &Value) -> String {
    format!("{UNREADABLE}: json: cannot unmarshal {} into Go {TYPE_META}", go_kind(value))
}

/// A value's type in the words of Go's decoder.
pub fn go_kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}

/// The start of a body as the server shows it: text where it begins like an object, hexadecimal digits otherwise.
fn shown_bytes(body: &[u8]) -> String {
    go_json::excerpt(body)
}

/// Whether more text could still make a value of it.
pub fn is_cut_off(body: &[u8]) -> bool {
    go_json::syntax_error(body).as_deref() == Some("unexpected end of JSON input")
}
