//! Sensitive values that a server quotes when it refuses an object (`Invalid value: "..."`) are taken out of its words.

use trueup_object::secret::SensitiveValues;
use trueup_object::{ResourceKey, Value};

use super::Refusal;
use crate::status::StatusCause;

/// The refusal without the sensitive values of the objects that it is about.
pub fn without_values<'v>(
    refusal: Refusal,
    key: &ResourceKey,
    objects: impl IntoIterator<Item = &'v Value>,
) -> Refusal {
    let is_secret = key.group.is_empty() && key.kind == "Secret";
    let mut values = SensitiveValues::default();
    for object in objects {
        values.add(object);
        if is_secret {
            values.add_values_of_secret(object);
        }
    }
    if values.is_empty() { refusal } else { refusal.reworded(|text| values.masked(&text).into_owned()) }
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
