//! Why a change did not happen, or may not have.

use std::time::Duration;

use trueup_object::Gvk;

use crate::status::{ApiStatus, StatusCause};
use crate::wire::WireError;

/// A field that another manager holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldConflict {
    pub manager: String,
    /// As the server spells it: `.spec.replicas`.
    pub field: String,
}

/// Why a change was refused. All but `AnswerUnknown` and `Server` had no effect for certain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Other managers own fields with other values, and the apply was not forced.
    #[error("take fields that others own: {message}")]
    Conflict { conflicts: Vec<FieldConflict>, message: String },
    /// The object is not the one, or not in the version, that the change was meant for: look again.
    #[error("find the object as it was observed: {message}")]
    PreconditionFailed { message: String },
    /// The server's own validation.
    #[error("pass the server's validation: {message}")]
    Invalid { message: String, causes: Vec<StatusCause> },
    /// An admission webhook or policy.
    #[error("pass admission by {by}: {message}")]
    Denied { by: String, message: String },
    #[error("be allowed to: {message}")]
    Forbidden { message: String },
    #[error("be recognised: {message}")]
    Unauthorized { message: String },
    /// The object, its namespace or its kind does not exist.
    #[error("find it: {message}")]
    NotFound { message: String },
    /// The server has too much to do, and did not begin.
    #[error("find the server free: {message}")]
    Busy { message: String, retry_after: Option<Duration> },
    /// The request did not leave: nothing happened.
    #[error("reach the API server: {message}")]
    Unreachable { message: String },
    /// The request left, and no usable answer came: only looking tells what happened.
    #[error("learn whether it happened: {message}")]
    AnswerUnknown { message: String },
    /// The server failed while it worked on it.
    #[error("get it done by the server: {message} ({code})")]
    Server { code: u16, message: String },
    /// Any other refusal.
    #[error("have it accepted: {message} ({code} {reason})")]
    Rejected { code: u16, reason: String, message: String },
}

impl Refusal {
    /// What a failed change to an object of a kind means.
    pub fn of(error: WireError, gvk: &Gvk) -> Self {
        match error {
            WireError::Unreachable { message }
            | WireError::Tls { message }
            | WireError::Credentials { message } => Self::Unreachable { message },
            WireError::NoAnswer { message } | WireError::Unreadable { message } => {
                Self::AnswerUnknown { message }
            }
            WireError::Refused(status) => Self::of_status(masked(*status, gvk)),
        }
    }

    /// As `of`, for a JSON patch: a `test` that fails is answered like an invalid object, but names no field.
    pub fn of_json_patch(error: WireError, gvk: &Gvk) -> Self {
        let names_field =
            |status: &ApiStatus| status.causes.iter().any(|cause| cause.reason.starts_with("FieldValue"));
        match error {
            WireError::Refused(status) if status.code == 422 && !names_field(&status) => {
                let status = masked(*status, gvk);
                let detail = status.causes.into_iter().next().map(|cause| cause.message);
                Self::PreconditionFailed { message: detail.unwrap_or(status.message) }
            }
            other => Self::of(other, gvk),
        }
    }

    fn of_status(status: ApiStatus) -> Self {
        let ApiStatus { code, reason, message, causes, retry_after } = status;
        if let Some(by) = denying_webhook(&message) {
            return Self::Denied { by: by.to_owned(), message };
        }
        match code {
            401 => Self::Unauthorized { message },
            403 => Self::Forbidden { message },
            404 => Self::NotFound { message },
            409 => {
                let conflicts: Vec<FieldConflict> = causes.iter().filter_map(field_conflict).collect();
                if conflicts.is_empty() {
                    Self::PreconditionFailed { message }
                } else {
                    Self::Conflict { conflicts, message }
                }
            }
            422 => Self::Invalid { message, causes },
            500 if is_typed_wrongly(&message) => Self::Invalid { message, causes },
            429 => Self::Busy { message, retry_after },
            504 => Self::AnswerUnknown { message },
            500.. => Self::Server { code, message },
            _ => Self::Rejected { code, reason, message },
        }
    }

    /// What a person can do about it; nothing where waiting or looking again is all there is to do.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Conflict { .. } => {
                Some("others own these fields: take them out of Git, or sync to take them over")
            }
            Self::Invalid { .. } => {
                Some("correct the fields named in Git; an immutable field needs a new object")
            }
            Self::Denied { .. } => Some("change the object in Git, or the policy"),
            Self::Forbidden { .. } => Some("grant this right to the account that acts"),
            Self::Unauthorized { .. } => Some("the credentials are unknown or expired: renew them"),
            Self::NotFound { .. } => Some("check that its namespace and the definition of its kind exist"),
            Self::Unreachable { .. } => {
                Some("check that the API server runs and that this machine can reach it")
            }
            Self::PreconditionFailed { .. }
            | Self::Busy { .. }
            | Self::AnswerUnknown { .. }
            | Self::Server { .. }
            | Self::Rejected { .. } => None,
        }
    }

    /// Whether a new look may find that the change is possible, or has happened.
    pub fn calls_for_a_new_look(&self) -> bool {
        match self {
            Self::Conflict { .. }
            | Self::PreconditionFailed { .. }
            | Self::AnswerUnknown { .. }
            | Self::NotFound { .. } => true,
            Self::Invalid { .. }
            | Self::Denied { .. }
            | Self::Forbidden { .. }
            | Self::Unauthorized { .. }
            | Self::Busy { .. }
            | Self::Unreachable { .. }
            | Self::Server { .. }
            | Self::Rejected { .. } => false,
        }
    }
}

/// `conflict with "kubectl" using apps/v1` and its variants.
fn field_conflict(cause: &StatusCause) -> Option<FieldConflict> {
    if cause.reason != "FieldManagerConflict" {
        return None;
    }
    let after = cause.message.strip_prefix("conflict with \"")?;
    let (manager, _) = after.split_once('"')?;
    Some(FieldConflict { manager: manager.to_owned(), field: cause.field.clone() })
}

/// `admission webhook "NAME" denied the request: ...`
fn denying_webhook(message: &str) -> Option<&str> {
    let (_, after) = message.split_once("admission webhook \"")?;
    let (name, rest) = after.split_once('"')?;
    rest.starts_with(" denied the request").then_some(name)
}

/// What a server answers to an apply whose manifest does not fit the schema: the code is its own failure's, the fault is
/// the manifest's, and no second try helps.
fn is_typed_wrongly(message: &str) -> bool {
    message.starts_with("failed to create typed patch object")
}

/// The server quotes rejected values. Of a Secret only fields and reasons are passed on.
fn masked(status: ApiStatus, gvk: &Gvk) -> ApiStatus {
    if !(gvk.group.is_empty() && gvk.kind == "Secret") {
        return status;
    }
    if is_typed_wrongly(&status.message) {
        // `.data.a: expected string, got &value.valueUnstructured{Value:1}`: the place without the value.
        let place = |line: &str| line.split_once(", got ").map_or(line, |(place, _)| place).to_owned();
        let message = status.message.lines().map(place).collect::<Vec<_>>().join("\n");
        return ApiStatus { message, causes: Vec::new(), ..status };
    }
    let quotes_values = matches!(status.code, 400 | 422) || denying_webhook(&status.message).is_some();
    if !quotes_values {
        return status;
    }
    let by =
        denying_webhook(&status.message).map(|name| format!("admission webhook {name:?} denied the request"));
    let causes: Vec<StatusCause> = status
        .causes
        .into_iter()
        .map(|cause| StatusCause { message: "the server's words may quote the Secret".to_owned(), ..cause })
        .collect();
    let fields: Vec<String> =
        causes.iter().map(|cause| format!("{}: {}", cause.field, cause.reason)).collect();
    let message = by.unwrap_or_else(|| format!("the Secret is not valid ({})", fields.join(", ")));
    ApiStatus { message, causes, ..status }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16, message: &str, causes: &[(&str, &str, &str)]) -> WireError {
        let causes = causes
            .iter()
            .map(|(reason, field, message)| StatusCause {
                reason: (*reason).into(),
                field: (*field).into(),
                message: (*message).into(),
            })
            .collect();
        let reason = String::new();
        WireError::Refused(Box::new(ApiStatus {
            code,
            reason,
            message: message.into(),
            causes,
            retry_after: None,
        }))
    }

    fn deployment() -> Gvk {
        Gvk::new("apps", "v1", "Deployment")
    }

    #[test]
    fn conflicts_name_managers_and_fields() {
        let error = status(
            409,
            "Apply failed with 1 conflict: ...",
            &[(
                "FieldManagerConflict",
                ".spec.replicas",
                "conflict with \"kubectl\" with subresource \"scale\" using apps/v1",
            )],
        );
        let expected = FieldConflict { manager: "kubectl".into(), field: ".spec.replicas".into() };
        assert!(
            matches!(Refusal::of(error, &deployment()), Refusal::Conflict { conflicts, .. } if conflicts == [expected])
        );
        let error = status(409, "the object has been modified", &[]);
        assert!(matches!(Refusal::of(error, &deployment()), Refusal::PreconditionFailed { .. }));
    }

    #[test]
    fn a_failed_test_is_told_from_an_invalid_object() {
        let failed =
            status(422, "rejected", &[("UnexpectedServerResponse", "", "testing value /spec failed")]);
        assert!(matches!(Refusal::of_json_patch(failed, &deployment()), Refusal::PreconditionFailed { .. }));
        let invalid = status(422, "invalid", &[("FieldValueInvalid", "spec.selector", "field is immutable")]);
        assert!(matches!(Refusal::of_json_patch(invalid, &deployment()), Refusal::Invalid { .. }));
    }

    #[test]
    fn a_webhook_is_named() {
        let error = status(403, "admission webhook \"policy.example.com\" denied the request: no", &[]);
        assert!(
            matches!(Refusal::of(error, &deployment()), Refusal::Denied { by, .. } if by == "policy.example.com")
        );
        let error = status(403, "deployments is forbidden: User \"bob\" cannot patch", &[]);
        assert!(matches!(Refusal::of(error, &deployment()), Refusal::Forbidden { .. }));
    }

    #[test]
    fn the_value_of_a_secret_is_not_quoted() {
        let secret = Gvk::new("", "v1", "Secret");
        let error = status(
            422,
            "Secret \"a\" is invalid: data[x]: Invalid value: \"hunter2\"",
            &[("FieldValueInvalid", "data[x]", "Invalid value: \"hunter2\"")],
        );
        let refusal = Refusal::of(error, &secret);
        let shown = format!("{refusal} {refusal:?}");
        assert!(!shown.contains("hunter2") && shown.contains("data[x]"), "{shown}");
        let error = status(400, "admission webhook \"p\" denied the request: hunter2", &[]);
        let refusal = Refusal::of(error, &secret);
        assert!(!format!("{refusal} {refusal:?}").contains("hunter2"));
    }

    #[test]
    fn a_manifest_of_the_wrong_types_is_refused_and_not_tried_again() {
        let message = "failed to create typed patch object (a/b; apps/v1, Kind=Deployment): .metadata.labels.x: \
                       expected string, got &value.valueUnstructured{Value:true}";
        let refusal = Refusal::of(status(500, message, &[]), &deployment());
        assert!(matches!(&refusal, Refusal::Invalid { message, .. } if message.contains("Value:true")));
        let message = "failed to create typed patch object (a/b; /v1, Kind=Secret): errors:\n  .data.a: expected \
                       string, got &value.valueUnstructured{Value:12345}\n  .data.b: expected string, got \
                       &value.valueUnstructured{Value:67890}";
        let refusal = Refusal::of(status(500, message, &[]), &Gvk::new("", "v1", "Secret"));
        let shown = format!("{refusal} {refusal:?}");
        assert!(!shown.contains("12345") && !shown.contains("67890"), "{shown}");
        assert!(shown.contains(".data.a: expected string") && shown.contains(".data.b"), "{shown}");
        let broken = Refusal::of(status(500, "etcdserver: request timed out", &[]), &deployment());
        assert!(matches!(broken, Refusal::Server { .. }));
    }

    #[test]
    fn a_lost_answer_is_not_a_refusal() {
        let lost = WireError::NoAnswer { message: "broken pipe".into() };
        assert!(matches!(Refusal::of(lost, &deployment()), Refusal::AnswerUnknown { .. }));
        let timeout = status(504, "request did not complete within the allotted timeout", &[]);
        assert!(matches!(Refusal::of(timeout, &deployment()), Refusal::AnswerUnknown { .. }));
        let never = WireError::Unreachable { message: "connection refused".into() };
        assert!(matches!(Refusal::of(never, &deployment()), Refusal::Unreachable { .. }));
    }
}
