//! The JSON merge patch (RFC 7386) between two values.

use trueup_object::{Map, Value};

/// The merge patch that makes `to` of `from`; `None` where there is nothing to change. It is exact as long as `to` holds
/// no null, which in a merge patch means removal.
pub fn merge_patch(from: &Value, to: &Value) -> Option<Value> {
    if from == to {
        return None;
    }
    let (Value::Map(from), Value::Map(to)) = (from, to) else { return Some(to.clone()) };
    let mut patch = Map::new();
    for (key, value) in to.iter() {
        match from.get(key) {
            None => {
                patch.insert(key, value.clone());
            }
            Some(before) => {
                if let Some(change) = merge_patch(before, value) {
                    patch.insert(key, change);
                }
            }
        }
    }
    for (key, _) in from.iter().filter(|(key, _)| !to.contains(key)) {
        patch.insert(key, Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Map(patch))
}
