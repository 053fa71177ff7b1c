//! What holds for objects of every definition that can be scaled: their replicas are numbers that make sense.

use trueup_object::Value;
use trueup_object::value::Text;

use super::Report;
use crate::kind::KindInfo;
use crate::write::patch::go_map;
use crate::write::strategy::Part;

pub fn replicas(report: &mut Report, kind: &KindInfo, part: Part, object: &Value) {
    let Some(paths) = &kind.scale else { return };
    if part == Part::Main {
        number(report, object, &paths.spec_replicas);
    }
    number(report, object, &paths.status_replicas);
}

fn number(report: &mut Report, object: &Value, path: &[Text]) {
    let keys: Vec<&str> = path.iter().map(Text::as_str).collect();
    let place = format!(".{}", keys.join("."));
    for length in 1..keys.len() {
        let holder = keys.get(..length).and_then(|head| object.at(head)).filter(|holder| !holder.is_null());
        if let Some(holder) = holder.filter(|holder| holder.as_map().is_none()) {
            let (shown, go_type) = go_value(holder);
            let words = format!("{place} accessor error: {shown} is of the type {go_type}");
            return report.invalid(&place, 0, &format!("{words}, expected map[string]interface{{}}"));
        }
    }
    match object.at(&keys) {
        None => {}
        Some(Value::Int(number)) if *number < 0 => {
            report.invalid(&place, *number, "should be a non-negative integer");
        }
        Some(Value::Int(number)) if *number > i64::from(i32::MAX) => {
            report.invalid(&place, *number, "should be less than or equal to 2147483647");
        }
        Some(Value::Int(_)) => {}
        Some(other) => {
            let (shown, go_type) = go_value(other);
            let detail = format!("{place} accessor error: {shown} is of the type {go_type}, expected int64");
            report.invalid(&place, 0, &detail);
        }
    }
}

/// A value as Go prints it, and its type.
fn go_value(value: &Value) -> (String, &'static str) {
    match value {
        Value::Str(text) => (text.to_string(), "string"),
        Value::Bool(flag) => (flag.to_string(), "bool"),
        Value::Int(number) => (number.to_string(), "int64"),
        Value::Float(_) => (value.to_json(), "float64"),
        Value::List(_) => (go_map(value), "[]interface {}"),
        Value::Map(_) => (go_map(value), "map[string]interface {}"),
        Value::Null => ("<nil>".to_owned(), "<nil>"),
    }
}
