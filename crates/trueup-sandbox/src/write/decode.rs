//! From bytes to an object of the kind, with its unknown fields reported and its defaults filled in.

use trueup_merge::TypeRef;
use trueup_object::yaml::read_documents;
use trueup_object::{Gvk, Map, Value};

use super::shape::{Found, Mismatch, shape};
use super::{FieldValidation, PatchKind, Pipeline, WriteRequest, WriteVerb, convert, defaults, zero};
use crate::kind::CustomKind;
use crate::status::{ApiStatus, StatusCause, StatusReason};

/// A decoded object, and what strict validation has to say about it.
pub struct Decoded {
    pub object: Value,
    /// `unknown field "spec.foo"`, as the server words it.
    pub strict: Vec<String>,
}

/// The body as one document, JSON or YAML by its content type.
pub fn document(request: &WriteRequest<'_>) -> Result<Value, String> {
    let media_type = request.content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.ends_with("yaml") {
        return Value::from_json(request.body).map_err(|error| error.to_string());
    }
    // Most applies arrive as JSON under YAML's name, and JSON is much faster to read.
    if request.body.first() == Some(&b'{')
        && let Ok(value) = Value::from_json(request.body)
    {
        return Ok(value);
    }
    match read_documents(request.body).into_iter().next() {
        Some(Ok(document)) => Ok(document.value),
        Some(Err(error)) => Err(error.to_string()),
        None => Ok(Value::Null),
    }
}

impl Pipeline<'_, '_> {
    /// The whole object of a create or update.
    pub(super) fn decoded_body(&mut self) -> Result<Value, ApiStatus> {
        let kind = &self.request.kind.gvk;
        let unreadable = |message: String| {
            ApiStatus::bad_request(format!(
                "the object provided is unrecognized (must be of type {}): couldn't get version/kind; json parse error: {message}",
                kind.kind
            ))
        };
        let mut body = document(self.request).map_err(unreadable)?;
        if body.as_map().is_none() {
            return Err(unreadable(format!("cannot unmarshal {} into Go value", body.type_name())));
        }
        self.check_kind(&mut body)?;
        let cannot = |message: &str| {
            let (name, version) = (&kind.kind, &kind.version);
            ApiStatus::bad_request(format!(
                "{name} in version {version:?} cannot be handled as a {name}: {message}"
            ))
        };
        let decoded = self.decode(&body).map_err(|error| cannot(&error.0))?;
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
    pub(super) fn decoded_patched(&mut self, patched: &Value, shown: &str) -> Result<Value, ApiStatus> {
        let strategic = self.request.verb == WriteVerb::Patch(PatchKind::Strategic);
        let decoded = self.decode(patched).map_err(|error| {
            let message = if strategic { converted(&error.0) } else { error.0 };
            invalid_patch(shown, &message)
        })?;
        if !decoded.strict.is_empty() {
            match self.request.field_validation {
                FieldValidation::Ignore => {}
                FieldValidation::Warn => self.warnings.extend(decoded.strict),
                FieldValidation::Strict => {
                    let message = format!("strict decoding error: {}", decoded.strict.join(", "));
                    return Err(invalid_patch(shown, &message));
                }
            }
        }
        Ok(decoded.object)
    }

    /// Gives an object its kind's shape and defaults.
    pub(super) fn decode(&self, object: &Value) -> Result<Decoded, Mismatch> {
        let mut found = Found::default();
        let mut decoded = match self.request.kind.custom() {
            Some(custom) => {
                let decoded = self.decode_custom(object, custom, &mut found)?;
                return Ok(Decoded { object: decoded, strict: unknown_fields(&found) });
            }
            None => shape(object, self.ty, &mut found)?,
        };
        if decoded.as_map().is_none() {
            return Err(Mismatch("json: cannot unmarshal value into Go value".to_owned()));
        }
        self.set_kind(&mut decoded);
        let kind = &self.request.kind.gvk;
        if !defaults::fill_defaults(&kind.group_kind(), &kind.version, &mut decoded) {
            defaults::fill_from_table(&mut decoded, self.ty);
        }
        if self.request.kind.has_status {
            let status = super::fields::below(&mut decoded, "status");
            zero::complete_status(&kind.group_kind(), &kind.version, status);
        }
        convert::through_internal(&kind.group_kind(), &mut decoded);
        Ok(Decoded { object: decoded, strict: unknown_fields(&found) })
    }

    fn decode_custom(
        &self,
        object: &Value,
        custom: &CustomKind,
        found: &mut Found,
    ) -> Result<Value, Mismatch> {
        let mut decoded = object.clone();
        if decoded.as_map().is_none() {
            return Err(Mismatch("json: cannot unmarshal value into Go value".to_owned()));
        }
        let config_map = Gvk::new("", "v1", "ConfigMap");
        let metadata_type = self
            .request
            .schemas
            .lookup(&config_map)
            .and_then(|ty| ty.field("metadata"))
            .map_or_else(|| TypeRef::untyped(), |field| field.ty);
        let metadata = decoded.get("metadata").filter(|metadata| !metadata.is_null());
        if let Some(metadata) = metadata.cloned() {
            let mut inner = Found::default();
            let shaped = shape(&metadata, metadata_type, &mut inner)?;
            if shaped.as_map().is_none() {
                return Err(Mismatch("json: cannot unmarshal value into metadata".to_owned()));
            }
            found.unknown.extend(inner.unknown.iter().map(|path| format!("metadata.{path}")));
            decoded.set_at(&["metadata"], shaped);
        } else {
            decoded.set_at(&["metadata"], Value::Map(Map::new()));
        }
        found.unknown.extend(custom.schema.prune(&mut decoded));
        match self.request.verb {
            WriteVerb::Patch(PatchKind::Apply) => custom.schema.default_merged(&mut decoded),
            WriteVerb::Create | WriteVerb::Update | WriteVerb::Patch(_) => {
                custom.schema.default(&mut decoded);
            }
        }
        self.set_kind(&mut decoded);
        Ok(decoded)
    }

    fn set_kind(&self, object: &mut Value) {
        object.set_at(&["apiVersion"], self.request.kind.gvk.api_version().into());
        object.set_at(&["kind"], self.request.kind.gvk.kind.clone().into());
        if object.get("metadata").and_then(Value::as_map).is_none() {
            object.set_at(&["metadata"], Value::Map(Map::new()));
        }
    }

    /// The body's own kind must be the one of the URL; one that does not say takes the URL's.
    fn check_kind(&self, body: &mut Value) -> Result<(), ApiStatus> {
        let expected = &self.request.kind.gvk;
        let version = body.str_at(&["apiVersion"]).filter(|text| !text.is_empty());
        let kind = body.str_at(&["kind"]).filter(|text| !text.is_empty());
        if kind.is_none_or(|kind| kind == expected.kind)
            && let Some(version) = version
            && version != expected.api_version()
        {
            return Err(ApiStatus::bad_request(format!(
                "the API version in the data ({version}) does not match the expected API version ({})",
                expected.api_version()
            )));
        }
        if let Some(kind) = kind
            && kind != expected.kind
        {
            let given = version.unwrap_or_default().rsplit('/').next().unwrap_or_default();
            let group = expected.group.split('.').next().filter(|group| !group.is_empty()).unwrap_or("core");
            return Err(ApiStatus::bad_request(format!(
                "{kind} in version {given:?} cannot be handled as a {}: converting ({given}.{kind}) to ({group}.{}): unknown conversion",
                expected.kind, expected.kind
            )));
        }
        self.set_kind_only(body);
        Ok(())
    }

    fn set_kind_only(&self, body: &mut Value) {
        body.set_at(&["apiVersion"], self.request.kind.gvk.api_version().into());
        body.set_at(&["kind"], self.request.kind.gvk.kind.clone().into());
    }
}

/// The same mismatch in the words of the conversion that a strategic merge ends with, which knows types and no fields.
fn converted(message: &str) -> String {
    const SCALARS: [&str; 6] = ["int32", "int64", "bool", "string", "float64", "float32"];
    let wanted = message.rsplit_once(" of type ").map(|(_, wanted)| wanted).filter(|it| SCALARS.contains(it));
    wanted.map_or_else(|| message.to_owned(), |wanted| format!("unrecognized type: {wanted}"))
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
