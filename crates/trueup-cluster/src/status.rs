//! What an API server answers when it does not do as asked: `Status` objects, read from bytes.

use std::time::Duration;

use trueup_object::Value;
use trueup_object::secret::redact;

/// A refusal by the API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiStatus {
    pub code: u16,
    /// `NotFound`, `Conflict`, ...; empty where the server gave none.
    pub reason: String,
    pub message: String,
    pub causes: Vec<StatusCause>,
    /// How long the server asks clients to stay away.
    pub retry_after: Option<Duration>,
}

/// One of the causes that the server lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCause {
    /// `FieldManagerConflict`, `FieldValueInvalid`, ...
    pub reason: String,
    /// The field in the server's own spelling.
    pub field: String,
    pub message: String,
}

impl ApiStatus {
    /// Reads the body of an answer with an error code. A body that is no `Status` (a proxy's page, plain text) gives
    /// its first line as the message.
    pub fn read(code: u16, body: &[u8]) -> Self {
        match Value::from_json(body) {
            Ok(status) if status.str_at(&["kind"]) == Some("Status") => Self::of(&status, code),
            Ok(_) | Err(_) => Self {
                code,
                reason: String::new(),
                message: redact(&first_line(body)).into_owned(),
                causes: Vec::new(),
                retry_after: None,
            },
        }
    }

    /// From a `Status` object, such as a watch carries in its `ERROR` events.
    pub fn of(status: &Value, code_otherwise: u16) -> Self {
        let text = |value: &Value, key: &str| value.str_at(&[key]).unwrap_or_default().to_owned();
        // A server quotes the values that it refuses.
        let told = |value: &Value| redact(&text(value, "message")).into_owned();
        let causes = status
            .list_at(&["details", "causes"])
            .iter()
            .map(|cause| StatusCause {
                reason: text(cause, "reason"),
                field: text(cause, "field"),
                message: told(cause),
            })
            .collect();
        Self {
            code: status
                .int_at(&["code"])
                .and_then(|code| u16::try_from(code).ok())
                .unwrap_or(code_otherwise),
            reason: text(status, "reason"),
            message: told(status),
            causes,
            retry_after: status
                .int_at(&["details", "retryAfterSeconds"])
                .and_then(|seconds| u64::try_from(seconds).ok())
                .filter(|seconds| *seconds > 0)
                .map(Duration::from_secs),
        }
    }

    /// Whether the version that was asked for is too old, so that only a new list helps.
    pub fn is_gone(&self) -> bool {
        self.code == 410 || self.reason == "Expired" || self.reason == "Gone"
    }
}

impl std::fmt::Display for ApiStatus {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.message.is_empty() {
            write!(out, "{} {}", self.code, self.reason)
        } else {
            write!(out, "{} ({})", self.message, self.code)
        }
    }
}

/// Enough of a foreign error page to recognise it.
const FOREIGN_MESSAGE_CHARS_MAX: usize = 200;

fn first_line(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..4096).unwrap_or(body));
    text.lines().next().unwrap_or_default().trim().chars().take(FOREIGN_MESSAGE_CHARS_MAX).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_whole() {
        let body = br#"{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Apply failed with 1 conflict","reason":"Conflict","details":{"causes":[{"reason":"FieldManagerConflict","message":"conflict with \"kubectl\" using apps/v1","field":".spec.replicas"}],"retryAfterSeconds":2},"code":409}"#;
        let status = ApiStatus::read(409, body);
        assert_eq!(status.reason, "Conflict");
        assert_eq!(status.causes.first().unwrap().field, ".spec.replicas");
        assert_eq!(status.retry_after, Some(Duration::from_secs(2)));
        assert!(!status.is_gone());
    }

    #[test]
    fn a_foreign_page_gives_its_first_line() {
        let status = ApiStatus::read(502, b"<html>bad gateway</html>\nmore");
        assert_eq!(status.code, 502);
        assert_eq!(status.message, "<html>bad gateway</html>");
    }

    #[test]
    fn a_credential_that_a_server_quotes_is_not_passed_on() {
        let token = format!("ghp_{}", "a1B2c3D4e5".repeat(3));
        let text = format!("spec.url: Invalid value: \\\"https://{token}@x\\\"");
        let body = format!(
            r#"{{"kind":"Status","message":"{text}","code":422,"details":{{"causes":[{{"message":"{text}","field":"spec.url"}}]}}}}"#
        );
        let status = ApiStatus::read(422, body.as_bytes());
        assert_eq!(status.message, r#"spec.url: Invalid value: "https://***@x""#);
        assert_eq!(status.causes.first().unwrap().message, status.message);
        assert_eq!(ApiStatus::read(502, token.as_bytes()).message, "***");
    }
}
