//! What holds for objects of every definition that can be scaled: their replicas are numbers that make sense.

use trueup_object::Value;
use trueup_object::value::Text;

use super::Report;
use crate::kind::KindInfo;
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
            let (shown, go_type) = match other {
                Value::Str(text) => (text.to_string(), "string"),
                Value::Bool(flag) => (flag.to_string(), "bool"),
                Value::Float(_) => (other.to_json(), "float64"),
                Value::List(_) => (other.to_json(), "[]interface {}"),
                Value::Map(_) => (other.to_json(), "map[string]interface {}"),
                Value::Null | Value::Int(_) => ("<nil>".to_owned(), "<nil>"),
            };
            let detail = format!("{place} accessor error: {shown} is of the type {go_type}, expected int64");
            report.invalid(&place, 0, &detail);
        }
    }
}
