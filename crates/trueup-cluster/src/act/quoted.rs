//! Sensitive values that a server quotes when it refuses an object (`Invalid value: "..."`) are taken out of its words.

use trueup_object::secret::{
    is_open_field_of_secret, is_password_flag, is_sensitive_entry, refers, sensitive_parts, tells_nothing,
};
use trueup_object::{Map, ResourceKey, Value, is_sensitive_name};

use super::Refusal;
use crate::status::StatusCause;

/// What stands in place of a value.
const MASK: &str = "***";

/// A value as short as this is taken out only where it stands in quotes: it may be a part of any word.
const SHORT_CHARS_MAX: usize = 3;

/// The refusal without the sensitive values of the objects that it is about.
pub fn without_values<'v>(
    refusal: Refusal,
    key: &ResourceKey,
    objects: impl IntoIterator<Item = &'v Value>,
) -> Refusal {
    let is_secret = key.group.is_empty() && key.kind == "Secret";
    let mut values = Vec::new();
    for object in objects {
        collect(object, false, &mut values);
        if is_secret {
            let fields = object.as_map().into_iter().flat_map(Map::iter);
            let closed = fields.filter(|(name, _)| !is_open_field_of_secret(name));
            closed.for_each(|(_, field)| everything(field, &mut values));
        }
    }
    // A value that contains another one goes first.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    if values.is_empty() { refusal } else { refusal.reworded(|text| masked(text, &values)) }
}

fn masked(text: String, values: &[String]) -> String {
    values.iter().fold(text, |text, value| {
        if value.chars().count() > SHORT_CHARS_MAX {
            return text.replace(value.as_str(), MASK);
        }
        text.replace(&format!("\"{value}\""), &format!("\"{MASK}\""))
    })
}

/// The texts under sensitive names, the values of environment variables with such names, and what other texts hold of
/// them.
fn collect(value: &Value, sensitive: bool, found: &mut Vec<String>) {
    match value {
        Value::Str(text) if sensitive && !text.is_empty() => {
            found.push(text.to_string());
            // As a server prints it in quotes.
            let quoted = format!("{text:?}");
            found.push(quoted.trim_matches('"').to_owned());
        }
        Value::Str(text) => {
            found.extend(
                sensitive_parts(text).into_iter().filter_map(|part| text.get(part)).map(str::to_owned),
            );
        }
        Value::Int(number) if sensitive => found.push(number.to_string()),
        Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Null => {}
        Value::List(items) => {
            let mut flag = None;
            for item in items {
                let text = item.as_str();
                // The argument behind `--password`.
                let behind = flag.zip(text).is_some_and(|(flag, text)| {
                    is_password_flag(flag) && !text.starts_with(['-', '$']) && !tells_nothing(flag, text)
                });
                collect(item, behind || sensitive && item.as_map().is_none(), found);
                flag = text;
            }
        }
        Value::Map(map) => {
            let named = map.get("name").and_then(Value::as_str).is_some_and(is_sensitive_entry);
            for (key, value) in map.iter() {
                let says_so = (is_sensitive_name(key) && !refers(key)) || (named && key == "value");
                // What has fields of its own, such as `secretKeyRef`, says where a value is.
                let holds = says_so && value.as_map().is_none();
                collect(value, sensitive || holds, found);
            }
        }
    }
}

/// Every value, however deep it stands.
fn everything(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::List(items) => items.iter().for_each(|item| everything(item, found)),
        Value::Map(map) => map.iter().for_each(|(_, value)| everything(value, found)),
        Value::Str(_) | Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Null => {
            collect(value, true, found);
        }
    }
}

impl Refusal {
    /// The same refusal in other words.
    fn reworded(self, reword: impl Fn(String) -> String) -> Self {
        match self {
            Self::Conflict { conflicts, message } => Self::Conflict { conflicts, message: reword(message) },
            Self::PreconditionFailed { message } => Self::PreconditionFailed { message: reword(message) },
            Self::Invalid { message, causes } => {
                let causes =
                    causes.into_iter().map(|cause| StatusCause { message: reword(cause.message), ..cause });
                Self::Invalid { message: reword(message), causes: causes.collect() }
            }
            Self::Denied { by, message } => Self::Denied { by, message: reword(message) },
            Self::Forbidden { message } => Self::Forbidden { message: reword(message) },
            Self::Unauthorized { message } => Self::Unauthorized { message: reword(message) },
            Self::NotFound { message } => Self::NotFound { message: reword(message) },
            Self::Busy { message, retry_after } => Self::Busy { message: reword(message), retry_after },
            Self::Unreachable { message } => Self::Unreachable { message: reword(message) },
            Self::AnswerUnknown { message } => Self::AnswerUnknown { message: reword(message) },
            Self::Server { code, message } => Self::Server { code, message: reword(message) },
            Self::Rejected { code, reason, message } => {
                Self::Rejected { code, reason, message: reword(message) }
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn reworded(key: &ResourceKey, object: &str, message: &str) -> String {
        let object = Value::from_json(object.as_bytes()).unwrap();
        let refusal = Refusal::Forbidden { message: message.to_owned() };
        match without_values(refusal, key, [&object]) {
            Refusal::Forbidden { message } => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn arguments_of_password_flags_are_taken_out() {
        let job = r#"{"spec":{"template":{"spec":{"containers":[{"args":["--password","LEAKarg","--token=LEAKtoken","--password","$(PW)","--password","true","--name","web"]}]}}}}"#;
        assert_eq!(
            reworded(
                &ResourceKey::new("batch", "Job", "web", "a"),
                job,
                r#"field is immutable: {"args":["--password","LEAKarg","--token=LEAKtoken","--password","$(PW)","--password","true","--name","web"]}"#,
            ),
            r#"field is immutable: {"args":["--password","***","--token=***","--password","$(PW)","--password","true","--name","web"]}"#
        );
    }

    #[test]
    fn misspelt_fields_of_a_secret_are_taken_out() {
        assert_eq!(
            reworded(
                &ResourceKey::new("", "Secret", "web", "a"),
                r#"{"apiVersion":"v1","kind":"Secret","type":"Opaque","stringdata":{"db":"LEAKPR"},"spec":[{"pw":"LEAKSP"}]}"#,
                "Opaque LEAKPR LEAKSP",
            ),
            "Opaque *** ***"
        );
    }

    #[test]
    fn only_sensitive_values_are_taken_out() {
        let object = Value::from_json(
            br#"{"spec":{"password":"hunter2","pin_token":"12","env":[{"name":"API_TOKEN","value":"abcd"},{"name":"COLOUR","value":"green"}],"secretName":"blue","imagePullSecrets":[{"name":"blue"}]}}"#,
        )
        .unwrap();
        let message = "spec.password: Invalid value: \"hunter2\"; \"12\" of 12; abcd; green; blue".to_owned();
        let refusal = Refusal::Invalid {
            message: message.clone(),
            causes: vec![StatusCause { reason: String::new(), field: String::new(), message }],
        };
        let key = ResourceKey::new("example.com", "Vault", "web", "a");
        let Refusal::Invalid { message, causes } = without_values(refusal, &key, [&object]) else {
            panic!("another refusal")
        };
        assert_eq!(message, "spec.password: Invalid value: \"***\"; \"***\" of 12; ***; green; blue");
        assert_eq!(causes[0].message, message);
    }
}
