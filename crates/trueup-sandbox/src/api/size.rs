//! How large an object may be: what etcd takes in one request.

use trueup_object::Value;

use crate::kind::KindInfo;
use crate::status::{ApiStatus, StatusReason};

/// etcd's `--max-request-bytes`.
const REQUEST_BYTES_MAX: usize = 1_572_864;

/// Refuses an object that etcd would not take, in its words.
pub fn refuse_large(kind: &KindInfo, object: &Value) -> Result<(), ApiStatus> {
    let bytes = if kind.is_builtin() { protobuf_bytes(object) } else { json_bytes(object) };
    if bytes <= REQUEST_BYTES_MAX {
        return Ok(());
    }
    Err(ApiStatus::new(500, StatusReason::Unknown, "etcdserver: request is too large"))
}

/// About what a built-in object takes in protobuf: names of fields are numbers there, and texts are as they are.
fn protobuf_bytes(value: &Value) -> usize {
    const TAG: usize = 2;
    match value {
        Value::Null => 0,
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => TAG,
        Value::Str(text) => TAG + text.len(),
        Value::List(items) => items.iter().map(|item| TAG + protobuf_bytes(item)).sum(),
        Value::Map(map) => TAG + map.iter().map(|(_, value)| protobuf_bytes(value)).sum::<usize>(),
    }
}

/// About what an object takes in JSON, as custom ones are stored.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => 4,
        Value::Str(text) => 2 + text.len(),
        Value::List(items) => 2 + items.iter().map(|item| 1 + json_bytes(item)).sum::<usize>(),
        Value::Map(map) => {
            2 + map.iter().map(|(key, value)| 4 + key.len() + json_bytes(value)).sum::<usize>()
        }
    }
}
