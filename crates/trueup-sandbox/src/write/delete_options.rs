//! The options of a delete, read from its body as the server reads them.

use trueup_object::{Map, Value};

use super::decode::{SCHEME, TYPE_META, go_kind, is_cut_off};
use crate::status::ApiStatus;

/// The options of a delete, from its body; they may be of any kind that is none, too.
pub fn read_delete_options(body: &[u8]) -> Result<Value, ApiStatus> {
    let unreadable = |message: &str| {
        ApiStatus::bad_request(format!("couldn't get version/kind; json parse error: {message}"))
    };
    let value = Value::from_json(body).map_err(|error| {
        if is_cut_off(body) {
            unreadable("unexpected end of JSON input")
        } else {
            unreadable(&error.to_string())
        }
    })?;
    let options = match value {
        Value::Null => return Ok(Value::Map(Map::new())),
        Value::Map(_) => value,
        other => {
            let found = go_kind(&other);
            return Err(unreadable(&format!("json: cannot unmarshal {found} into Go {TYPE_META}")));
        }
    };
    for field in ["kind", "apiVersion"] {
        if let Some(other) = options.get(field).filter(|value| !value.is_null() && value.as_str().is_none()) {
            let found = go_kind(other);
            return Err(unreadable(&format!(
                "json: cannot unmarshal {found} into Go struct field .{field} of type string"
            )));
        }
    }
    let kind = options.str_at(&["kind"]).filter(|kind| !kind.is_empty());
    if let Some(kind) = kind.filter(|kind| *kind != "DeleteOptions") {
        let version = options.str_at(&["apiVersion"]).unwrap_or_default();
        let text = format!("no kind {kind:?} is registered for version {version:?} in scheme {SCHEME:?}");
        return Err(ApiStatus::bad_request(text));
    }
    for (field, wanted) in [("gracePeriodSeconds", "int64"), ("propagationPolicy", "v1.DeletionPropagation")]
    {
        let fits = |value: &Value| match wanted {
            "int64" => value.as_int().is_some(),
            _ => value.as_str().is_some(),
        };
        if let Some(other) = options.get(field).filter(|value| !value.is_null() && !fits(value)) {
            return Err(ApiStatus::bad_request(format!(
                "json: cannot unmarshal {} into Go struct field DeleteOptions.{field} of type {wanted}",
                go_kind(other)
            )));
        }
    }
    Ok(options)
}
