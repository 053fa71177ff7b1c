//! Ignore rules as they are written in settings and annotations: what to hide, and on whose word.

use jiff::Timestamp;
use trueup_diff::IgnoreSpec;
use trueup_object::{Text, Value};

/// Who wanted a rule, why, and until when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuleDetail {
    pub owner: Text,
    pub reason: Text,
    /// From then on it hides nothing.
    pub until: Option<Timestamp>,
}

impl RuleDetail {
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

/// Reads rules without group and kind: one map or a list of them. What cannot be understood is said in words.
pub fn read_rules(value: &Value, group: &str, kind: &str) -> Result<Vec<(IgnoreSpec, RuleDetail)>, String> {
    match value {
        Value::Null => Ok(Vec::new()),
        Value::List(items) => items.iter().map(|item| read_rule(item, group, kind)).collect(),
        _ => Ok(vec![read_rule(value, group, kind)?]),
    }
}

fn read_rule(value: &Value, group: &str, kind: &str) -> Result<(IgnoreSpec, RuleDetail), String> {
    let Some(map) = value.as_map() else {
        return Err(format!("a rule is a {}, not a map with jsonPointers and the like", value.type_name()));
    };
    let mut spec = IgnoreSpec { group: group.to_owned(), kind: kind.to_owned(), ..IgnoreSpec::default() };
    let mut detail = RuleDetail::default();
    for (name, value) in map.iter() {
        match name {
            "jsonPointers" => spec.json_pointers = texts(name, value)?,
            "jqPathExpressions" => spec.jq_path_expressions = texts(name, value)?,
            "managedFieldsManagers" => spec.managed_fields_managers = texts(name, value)?,
            "owner" => detail.owner = text(name, value)?,
            "reason" => detail.reason = text(name, value)?,
            "until" => detail.until = Some(time(value)?),
            other => return Err(format!("a rule has no field {other}")),
        }
    }
    Ok((spec, detail))
}

pub(crate) fn text(name: &str, value: &Value) -> Result<Text, String> {
    value.as_str().map(Text::from).ok_or_else(|| format!("{name} is a {}, not a text", value.type_name()))
}

pub(crate) fn time(value: &Value) -> Result<Timestamp, String> {
    let words = || format!("until is {}, not a time such as 2027-01-31T00:00:00Z", value.to_json());
    value.as_str().and_then(|text| text.parse().ok()).ok_or_else(words)
}

fn texts(name: &str, value: &Value) -> Result<Vec<String>, String> {
    let items = match value {
        Value::Null => &[],
        Value::List(items) => items.as_slice(),
        _ => return Err(format!("{name} is a {}, not a list", value.type_name())),
    };
    items.iter().map(|item| text(name, item).map(String::from)).collect()
}
