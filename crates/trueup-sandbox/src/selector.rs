//! Label and field selectors of lists and watches.

mod labels;

use trueup_object::Value;
use trueup_object::value::Text;

use crate::kind::KindInfo;
use crate::status::ApiStatus;

/// What a list or watch is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    labels: Vec<LabelRequirement>,
    fields: Vec<FieldRequirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct LabelRequirement {
    key: Text,
    condition: Condition,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Condition {
    In(Vec<Text>),
    NotIn(Vec<Text>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct FieldRequirement {
    path: Vec<Text>,
    value: Text,
    equal: bool,
    /// Fields of built-in kinds have zero values, those of custom ones are empty where they are absent.
    has_zero: bool,
}

impl Selector {
    /// Reads `labelSelector` and `fieldSelector` of a request for a kind.
    pub fn parse(kind: &KindInfo, labels: Option<&str>, fields: Option<&str>) -> Result<Self, ApiStatus> {
        Ok(Self {
            labels: labels.map(parse_labels).transpose()?.unwrap_or_default(),
            fields: fields.map(|fields| parse_fields(kind, fields)).transpose()?.unwrap_or_default(),
        })
    }

    /// Only objects of one name.
    pub fn with_name(mut self, name: &str) -> Self {
        let path = vec![Text::from("metadata"), Text::from("name")];
        self.fields.push(FieldRequirement { path, value: Text::from(name), equal: true, has_zero: false });
        self
    }

    pub fn matches(&self, object: &Value) -> bool {
        self.labels.iter().all(|requirement| requirement.matches(object))
            && self.fields.iter().all(|requirement| requirement.matches(object))
    }

    pub fn is_everything(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }
}

impl LabelRequirement {
    fn matches(&self, object: &Value) -> bool {
        let value = object.str_at(&["metadata", "labels", &self.key]);
        let number = || value.and_then(|value| value.parse::<i64>().ok());
        match &self.condition {
            Condition::In(values) => value.is_some_and(|value| values.iter().any(|wanted| wanted == value)),
            Condition::NotIn(values) => value.is_none_or(|value| values.iter().all(|other| other != value)),
            Condition::Exists => value.is_some(),
            Condition::Absent => value.is_none(),
            Condition::Greater(bound) => number().is_some_and(|number| number > *bound),
            Condition::Less(bound) => number().is_some_and(|number| number < *bound),
        }
    }
}

impl FieldRequirement {
    fn matches(&self, object: &Value) -> bool {
        let keys: Vec<&str> = self.path.iter().map(Text::as_str).collect();
        let found =
            match object.at(&keys) {
                Some(Value::Str(text)) => text.clone(),
                Some(Value::Bool(flag)) => Text::from(flag.to_string()),
                Some(Value::Int(number)) => Text::from(number.to_string()),
                // An absent field has its zero value; only text is compared so.
                Some(Value::Null | Value::Float(_) | Value::List(_) | Value::Map(_)) | None => {
                    if self.has_zero { absent(&self.value) } else { Text::default() }
                }
            };
        (found == self.value) == self.equal
    }
}

/// How an absent field compares: as `false` or `0` where such a value is asked for, else as empty text.
fn absent(wanted: &str) -> Text {
    Text::from(match wanted {
        "false" | "true" => "false",
        number if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) => "0",
        _ => "",
    })
}

fn parse_labels(text: &str) -> Result<Vec<LabelRequirement>, ApiStatus> {
    labels::parse(text).map_err(ApiStatus::bad_request)
}

/// Terms in alphabetic order, as the server takes them, so that of several mistakes the same one is told.
fn parse_fields(kind: &KindInfo, text: &str) -> Result<Vec<FieldRequirement>, ApiStatus> {
    let mut terms = split_terms(text);
    terms.sort_unstable();
    let terms = terms.into_iter().filter(|term| !term.is_empty());
    let read = terms.map(|term| {
        let (field, value, equal) = split_field(term).ok_or_else(|| {
            ApiStatus::bad_request(format!("invalid selector: '{text}'; can't understand '{term}'"))
        })?;
        let value = unescaped(value)
            .map_err(|error| ApiStatus::bad_request(format!("invalid field selector: {error}")))?;
        Ok((field, value, equal))
    });
    let read: Vec<(&str, Text, bool)> = read.collect::<Result<_, ApiStatus>>()?;
    let requirements = read.into_iter().map(|(field, value, equal)| {
        if !is_selectable(kind, field) {
            return Err(unknown_field(kind, field));
        }
        let path = stored_field(kind, field).split('.').map(Text::from).collect();
        Ok(FieldRequirement { path, value, equal, has_zero: kind.is_builtin() })
    });
    requirements.collect()
}

/// The field as it is stored: events are stored as those of the core group.
fn stored_field(kind: &KindInfo, field: &str) -> String {
    if kind.gvk.group != "events.k8s.io" {
        return field.to_owned();
    }
    match field.strip_prefix("regarding.") {
        Some(rest) => format!("involvedObject.{rest}"),
        None => field.replace("reportingController", "reportingComponent"),
    }
}

/// Splits at commas without a backslash before them.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut in_slash) = (Vec::new(), 0, false);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if in_slash => in_slash = false,
            b'\\' => in_slash = true,
            b',' => {
                terms.push(text.get(start..index).unwrap_or_default());
                start = index + 1;
            }
            _ => {}
        }
    }
    terms.push(text.get(start..).unwrap_or_default());
    terms
}

/// Splits at the first operator.
fn split_field(term: &str) -> Option<(&str, &str, bool)> {
    let at = term.find("!=").into_iter().chain(term.find('=')).min()?;
    let (field, rest) = term.split_at(at);
    if let Some(value) = rest.strip_prefix("!=") {
        return Some((field, value, false));
    }
    let value = rest.strip_prefix("==").or_else(|| rest.strip_prefix('='))?;
    Some((field, value, true))
}

fn unescaped(value: &str) -> Result<Text, String> {
    let (mut text, mut in_slash) = (String::new(), false);
    for letter in value.chars() {
        match letter {
            '\\' | ',' | '=' if in_slash => {
                text.push(letter);
                in_slash = false;
            }
            _ if in_slash => return Err(format!("invalid escape sequence: \\{letter}")),
            '\\' => in_slash = true,
            ',' | '=' => return Err(format!("unescaped character in value: {}", u32::from(letter))),
            _ => text.push(letter),
        }
    }
    if in_slash { Err("invalid escape sequence: \\".to_owned()) } else { Ok(Text::from(text)) }
}

fn unknown_field(kind: &KindInfo, field: &str) -> ApiStatus {
    ApiStatus::bad_request(if kind.is_builtin() && own_fields(kind).is_empty() {
        format!("{field:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else {
        format!("field label not supported: {field}")
    })
}

fn is_selectable(kind: &KindInfo, field: &str) -> bool {
    field == "metadata.name"
        || (field == "metadata.namespace" && kind.is_namespaced())
        || own_fields(kind).contains(&field)
        || kind.custom().is_some_and(|custom| custom.selectable.iter().any(|known| known == field))
}

/// The fields besides name and namespace that the server lets a kind be selected by (the conversions registered in
/// `k8s.io/kubernetes/pkg/apis`).
fn own_fields(kind: &KindInfo) -> &'static [&'static str] {
    match (kind.gvk.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "nodes") => &["spec.unschedulable"],
        ("", "namespaces") => &["status.phase"],
        ("", "secrets") => &["type"],
        ("", "services") => &["spec.clusterIP", "spec.type"],
        ("", "events") => &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        ("events.k8s.io", "events") => &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        ("", "replicationcontrollers") | ("apps", "replicasets") => &["status.replicas"],
        ("batch", "jobs") => &["status.successful"],
        ("certificates.k8s.io", "certificatesigningrequests") => &["spec.signerName"],
        _ => &[],
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::kind::{KindOrigin, Scope};
    use trueup_object::Gvk;

    fn pods() -> KindInfo {
        KindInfo {
            gvk: Gvk::new("", "v1", "Pod"),
            plural: "pods".into(),
            singular: "pod".into(),
            short_names: Vec::new(),
            categories: Vec::new(),
            scope: Scope::Namespaced,
            has_status: true,
            scale: None,
            origin: KindOrigin::Builtin,
        }
    }

    fn matches(labels: &str, fields: &str) -> bool {
        let object = br#"{"metadata":{"name":"p","namespace":"n","labels":{"app":"web","tier":"2"}},"status":{"phase":"Running"}}"#;
        let object = Value::from_json(object).unwrap();
        Selector::parse(&pods(), Some(labels), Some(fields)).unwrap().matches(&object)
    }

    #[test]
    fn selects_by_labels() {
        for selector in
            ["app=web", "app==web,tier", "app in (db, web)", "app notin (db),!x", "x!=y", "tier>1,tier<3"]
        {
            assert!(matches(selector, ""), "{selector}");
        }
        for selector in ["app=db", "!app", "app notin (web)", "x", "x=y", "tier>2"] {
            assert!(!matches(selector, ""), "{selector}");
        }
    }

    #[test]
    fn selects_by_fields() {
        assert!(matches("", "metadata.name=p,metadata.namespace!=other"));
        assert!(matches("", "status.phase==Running,spec.nodeName="));
        assert!(!matches("", "metadata.name!=p"));
    }

    #[test]
    fn refuses_what_the_server_refuses() {
        assert_eq!(Selector::parse(&pods(), Some("a in b"), None).unwrap_err().code, 400);
        let unknown = Selector::parse(&pods(), None, Some("spec.foo=1")).unwrap_err();
        assert_eq!(unknown.message, "field label not supported: spec.foo");
    }
}
