//! Errors in the API server's own shape: `Status` objects with code, reason, message and details.

use trueup_object::Value;
use trueup_object::value::{Map, Text};

use crate::kind::KindInfo;

/// The machine-readable reason of a failure (`metav1.StatusReason`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StatusReason {
    Unauthorized,
    Forbidden,
    NotFound,
    AlreadyExists,
    Conflict,
    Gone,
    Expired,
    Invalid,
    BadRequest,
    MethodNotAllowed,
    NotAcceptable,
    UnsupportedMediaType,
    RequestEntityTooLarge,
    TooManyRequests,
    ServerTimeout,
    Timeout,
    InternalError,
    ServiceUnavailable,
    /// The server gives none.
    Unknown,
}

/// One cause among the details of a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCause {
    /// `FieldValueRequired`, `FieldValueInvalid`, `FieldManagerConflict`, ... (`metav1.CauseType`).
    pub reason: Text,
    pub message: String,
    pub field: String,
}

/// A refused or failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiStatus {
    pub code: u16,
    pub reason: StatusReason,
    pub message: String,
    /// Resource or kind, group and name that the failure is about; all may be empty. Boxed: failures travel in `Result`s.
    pub details: Box<StatusDetails>,
}

/// What a failure is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StatusDetails {
    pub name: Text,
    pub group: Text,
    /// The resource's plural, or the kind where the object itself is invalid.
    pub kind: Text,
    pub uid: Text,
    pub causes: Vec<StatusCause>,
    pub retry_after_seconds: u32,
    /// What is told beside the failure, in headers.
    pub warnings: Vec<String>,
    /// The server made the failure from a bare status code: details are there though they say nothing.
    pub generic: bool,
    /// For the audit log.
    pub notes: Vec<(String, String)>,
    /// The status as somebody else made it, who was asked.
    pub whole: Option<Value>,
}

impl ApiStatus {
    /// The same, with what was warned of before it came to this.
    pub fn after(mut self, mut warnings: Vec<String>) -> Self {
        warnings.append(&mut self.details.warnings);
        self.details.warnings = warnings;
        self
    }
}

impl StatusReason {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unauthorized => "Unauthorized",
            Self::Forbidden => "Forbidden",
            Self::NotFound => "NotFound",
            Self::AlreadyExists => "AlreadyExists",
            Self::Conflict => "Conflict",
            Self::Gone => "Gone",
            Self::Expired => "Expired",
            Self::Invalid => "Invalid",
            Self::BadRequest => "BadRequest",
            Self::MethodNotAllowed => "MethodNotAllowed",
            Self::NotAcceptable => "NotAcceptable",
            Self::UnsupportedMediaType => "UnsupportedMediaType",
            Self::RequestEntityTooLarge => "RequestEntityTooLarge",
            Self::TooManyRequests => "TooManyRequests",
            Self::ServerTimeout => "ServerTimeout",
            Self::Timeout => "Timeout",
            Self::InternalError => "InternalError",
            Self::ServiceUnavailable => "ServiceUnavailable",
            Self::Unknown => "",
        }
    }
}

impl StatusCause {
    pub fn new(reason: &str, field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { reason: Text::from(reason), message: message.into(), field: field.into() }
    }

    /// `field: Required value`, with what is missing in words (may be empty).
    pub fn required(field: &str, detail: &str) -> Self {
        Self::new("FieldValueRequired", field, with_detail("Required value", detail))
    }

    /// `field: Invalid value: VALUE: detail`.
    pub fn invalid(field: &str, value: &Value, detail: &str) -> Self {
        Self::new(
            "FieldValueInvalid",
            field,
            with_detail(&format!("Invalid value: {}", quoted_value(value)), detail),
        )
    }

    /// `field: Forbidden: detail`.
    pub fn forbidden(field: &str, detail: &str) -> Self {
        Self::new("FieldValueForbidden", field, format!("Forbidden: {detail}"))
    }

    /// `field: Duplicate value: VALUE`.
    pub fn duplicate(field: &str, value: &Value) -> Self {
        Self::new("FieldValueDuplicate", field, format!("Duplicate value: {}", quoted_value(value)))
    }

    /// `field: Unsupported value: VALUE: supported values: "A", "B"`.
    pub fn not_supported(field: &str, value: &Value, supported: &[&str]) -> Self {
        let listed: Vec<String> = supported.iter().map(|item| format!("{item:?}")).collect();
        Self::new(
            "FieldValueNotSupported",
            field,
            format!("Unsupported value: {}: supported values: {}", quoted_value(value), listed.join(", ")),
        )
    }

    fn to_value(&self) -> Value {
        let mut cause = Map::new();
        insert_text(&mut cause, "reason", &self.reason);
        insert_text(&mut cause, "message", &self.message);
        insert_text(&mut cause, "field", &self.field);
        Value::Map(cause)
    }
}

impl ApiStatus {
    pub fn new(code: u16, reason: StatusReason, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Box::default() }
    }

    /// Details that name an object by its resource (plural).
    fn about(mut self, kind: &KindInfo, name: &str) -> Self {
        self.details.name = Text::from(name);
        self.details.group = kind.gvk.group.clone();
        self.details.kind = kind.plural.clone();
        self
    }

    #[must_use]
    pub fn with_causes(mut self, causes: Vec<StatusCause>) -> Self {
        self.details.causes = causes;
        self
    }

    #[must_use]
    pub fn with_retry_after(mut self, seconds: u32) -> Self {
        self.details.retry_after_seconds = seconds;
        self
    }

    pub fn not_found(kind: &KindInfo, name: &str) -> Self {
        let message = format!("{} {name:?} not found", kind.qualified_resource());
        Self::new(404, StatusReason::NotFound, message).about(kind, name)
    }

    pub fn already_exists(kind: &KindInfo, name: &str) -> Self {
        let message = format!("{} {name:?} already exists", kind.qualified_resource());
        Self::new(409, StatusReason::AlreadyExists, message).about(kind, name)
    }

    /// `Operation cannot be fulfilled on deployments.apps "x": detail`.
    pub fn conflict(kind: &KindInfo, name: &str, detail: &str) -> Self {
        let message =
            format!("Operation cannot be fulfilled on {} {name:?}: {detail}", kind.qualified_resource());
        Self::new(409, StatusReason::Conflict, message).about(kind, name)
    }

    /// The conflict of a write that carries an old resourceVersion.
    pub fn modified(kind: &KindInfo, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// An apply that met other owners: a cause `FieldManagerConflict` for each field.
    pub fn apply_conflict(message: impl Into<String>, causes: Vec<StatusCause>) -> Self {
        Self::new(409, StatusReason::Conflict, message).with_causes(causes)
    }

    /// The object is invalid; the message lists all causes as the server does.
    pub fn invalid(kind: &KindInfo, name: &str, causes: Vec<StatusCause>) -> Self {
        let mut listed: Vec<String> = Vec::new();
        for cause in &causes {
            let text = format!("{}: {}", cause.field, cause.message);
            // Go's aggregate prints equal errors once.
            if !listed.contains(&text) {
                listed.push(text);
            }
        }
        let joined = match listed.as_slice() {
            [] => "<nil>".to_owned(),
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{} {name:?} is invalid: {joined}", kind.qualified_kind());
        let mut status = Self::new(422, StatusReason::Invalid, message).about(kind, name).with_causes(causes);
        status.details.kind = kind.gvk.kind.clone();
        status
    }

    pub fn forbidden(kind: &KindInfo, name: &str, detail: &str) -> Self {
        let message = if name.is_empty() {
            format!("{} is forbidden: {detail}", kind.qualified_resource())
        } else {
            format!("{} {name:?} is forbidden: {detail}", kind.qualified_resource())
        };
        Self::new(403, StatusReason::Forbidden, message).about(kind, name)
    }

    pub fn method_not_allowed(kind: &KindInfo, action: &str) -> Self {
        let message =
            format!("{action} is not supported on resources of kind {:?}", kind.qualified_resource());
        Self::new(405, StatusReason::MethodNotAllowed, message).about(kind, "")
    }

    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, StatusReason::BadRequest, message)
    }

    pub fn unauthorized() -> Self {
        Self::new(401, StatusReason::Unauthorized, "Unauthorized")
    }

    /// The resourceVersion asked for is no longer in the history of changes.
    pub fn expired(message: impl Into<String>) -> Self {
        Self::new(410, StatusReason::Expired, message)
    }

    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(410, StatusReason::Gone, message)
    }

    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {}",
            accepted.join(", ")
        );
        Self::new(415, StatusReason::UnsupportedMediaType, message)
    }

    pub fn not_acceptable(offered: &[&str]) -> Self {
        let message = format!("406: Not Acceptable\n\nAvailable representations: {}", offered.join(", "));
        Self::new(406, StatusReason::NotAcceptable, message).as_generic()
    }

    pub fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, StatusReason::RequestEntityTooLarge, message)
    }

    pub fn too_many_requests(message: impl Into<String>, retry_after_seconds: u32) -> Self {
        Self::new(429, StatusReason::TooManyRequests, message).with_retry_after(retry_after_seconds)
    }

    pub fn internal(message: impl Into<String>) -> Self {
        let cause: String = message.into();
        let mut status =
            Self::new(500, StatusReason::InternalError, format!("Internal error occurred: {cause}"));
        status.details.causes.push(StatusCause {
            reason: Text::default(),
            message: cause,
            field: String::new(),
        });
        status
    }

    /// A failure that the server makes from a bare status code.
    #[must_use]
    pub fn as_generic(mut self) -> Self {
        self.details.generic = true;
        self
    }

    /// A path below a group that is served, which leads nowhere.
    pub fn no_such_resource() -> Self {
        let message = "the server could not find the requested resource";
        Self::new(404, StatusReason::NotFound, message).as_generic()
    }

    /// A method that a path does not take.
    pub fn no_such_method() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, StatusReason::MethodNotAllowed, message).as_generic()
    }

    /// Invalid options of a request (`CreateOptions`, `ListOptions`, ...).
    pub fn invalid_options(options: &str, causes: Vec<StatusCause>) -> Self {
        let listed: Vec<String> =
            causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let joined = match listed.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let message = format!("{options}.meta.k8s.io \"\" is invalid: {joined}");
        let mut status = Self::new(422, StatusReason::Invalid, message).with_causes(causes);
        status.details.group = Text::from("meta.k8s.io");
        status.details.kind = Text::from(options);
        status
    }

    /// The `Status` object that goes to the client.
    pub fn to_value(&self) -> Value {
        let Self { code, reason, message, details } = self;
        if let Some(whole) = &details.whole {
            return whole.clone();
        }
        let mut status = Map::new();
        status.insert("apiVersion", "v1".into());
        status.insert("code", i64::from(*code).into());
        status.insert("kind", "Status".into());
        status.insert("message", message.clone().into());
        status.insert("metadata", Value::Map(Map::new()));
        insert_text(&mut status, "reason", reason.as_str());
        status.insert("status", "Failure".into());
        let generic = details.generic;
        let details = details.to_value();
        if generic || !matches!(&details, Value::Map(map) if map.is_empty()) {
            status.insert("details", details);
        }
        Value::Map(status)
    }
}

impl StatusDetails {
    fn to_value(&self) -> Value {
        let Self {
            name,
            group,
            kind,
            uid,
            causes,
            retry_after_seconds,
            warnings: _,
            generic: _,
            notes: _,
            whole: _,
        } = self;
        let mut details = Map::new();
        insert_text(&mut details, "name", name);
        insert_text(&mut details, "group", group);
        insert_text(&mut details, "kind", kind);
        insert_text(&mut details, "uid", uid);
        if !causes.is_empty() {
            details.insert("causes", Value::List(causes.iter().map(StatusCause::to_value).collect()));
        }
        if *retry_after_seconds > 0 {
            details.insert("retryAfterSeconds", i64::from(*retry_after_seconds).into());
        }
        Value::Map(details)
    }
}

fn insert_text(map: &mut Map, key: &str, text: &str) {
    if !text.is_empty() {
        map.insert(key, text.into());
    }
}

fn with_detail(text: &str, detail: &str) -> String {
    if detail.is_empty() { text.to_owned() } else { format!("{text}: {detail}") }
}

/// A value as the server's messages print it: strings quoted, the rest as JSON.
fn quoted_value(value: &Value) -> String {
    value.to_json()
}
