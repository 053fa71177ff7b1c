//! Validation of values, with the server's words (`k8s.io/kube-openapi/pkg/validation`).

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::Node;
use super::format::{has_format, holds};
use crate::status::StatusCause;
use crate::write::names::dns_1035_label;

/// What is wrong with an object. Its metadata is the API's own business.
pub(super) fn validate(
    schema: Node<'_>,
    patterns: &BTreeMap<Text, Regex>,
    object: &Value,
) -> Vec<StatusCause> {
    let mut report = Report { patterns, causes: Vec::new() };
    report.value(schema, object, "");
    report.uniqueness(schema, object, "");
    report.causes
}

struct Report<'a> {
    patterns: &'a BTreeMap<Text, Regex>,
    causes: Vec<StatusCause>,
}

impl Report<'_> {
    fn value(&mut self, schema: Node<'_>, value: &Value, path: &str) {
        if value.is_null() && schema.is_nullable() {
            return;
        }
        if !self.has_type(schema, value, path) {
            return;
        }
        self.allowed(schema, value, path);
        match value {
            Value::Map(map) => self.object(schema, map, path),
            Value::List(items) => self.list(schema, items, path),
            Value::Str(text) => self.text(schema, text, path),
            Value::Int(number) => self.number(schema, value, *number as f64, path),
            Value::Float(number) => self.number(schema, value, *number, path),
            Value::Null | Value::Bool(_) => {}
        }
        self.combined(schema, value, path);
    }

    fn invalid(&mut self, path: &str, value: &Value, words: &str) {
        let detail = format!("{path} in body {words}");
        self.causes.push(StatusCause::invalid(path, value, &detail));
    }

    fn has_type(&mut self, schema: Node<'_>, value: &Value, path: &str) -> bool {
        let wanted = schema.0.str_at(&["type"]).unwrap_or_default();
        let found = type_of(value);
        if schema.flag("x-kubernetes-int-or-string") {
            if matches!(found, "integer" | "string") {
                return true;
            }
            self.wrong_type(path, "integer,string", found);
            return false;
        }
        if wanted.is_empty() || wanted == found || (wanted == "number" && found == "integer") {
            return true;
        }
        self.wrong_type(path, wanted, found);
        false
    }

    fn wrong_type(&mut self, path: &str, wanted: &str, found: &str) {
        let message = format!("Invalid value: {found:?}: {path} in body must be of type {wanted}: {found:?}");
        self.causes.push(StatusCause::new("FieldValueTypeInvalid", path, message));
    }

    fn allowed(&mut self, schema: Node<'_>, value: &Value, path: &str) {
        let allowed = schema.0.list_at(&["enum"]);
        if !allowed.is_empty() && !allowed.contains(value) {
            let texts: Vec<String> = allowed
                .iter()
                .map(|item| item.as_str().map_or_else(|| item.to_json(), str::to_owned))
                .collect();
            let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
            self.causes.push(StatusCause::not_supported(path, value, &texts));
        }
    }

    /// What an object within the object says that it is.
    fn embedded_kind(&mut self, map: &Map, path: &str) {
        for name in ["apiVersion", "kind"] {
            let Some(value) = map.get(name) else { continue };
            let wrong = match value.as_str() {
                None => vec!["must be a string".to_owned()],
                Some("") => vec!["must not be empty".to_owned()],
                Some(text) if name == "apiVersion" && text.matches('/').count() > 1 => {
                    vec![format!("unexpected GroupVersion string: {text}")]
                }
                Some(text) if name == "kind" => {
                    let wrong = dns_1035_label(&text.to_lowercase());
                    let allowed = "may have mixed case, but should otherwise match: ";
                    wrong.into_iter().map(|message| format!("{allowed}{message}")).collect()
                }
                Some(_) => Vec::new(),
            };
            for message in wrong {
                self.causes.push(StatusCause::invalid(&below(path, name), value, &message));
            }
        }
    }

    fn object(&mut self, schema: Node<'_>, map: &Map, path: &str) {
        for name in schema.0.list_at(&["required"]).iter().filter_map(Value::as_str) {
            if !map.contains(name) {
                self.causes.push(StatusCause::required(&below(path, name), ""));
            }
        }
        if schema.flag("x-kubernetes-embedded-resource") {
            for name in ["apiVersion", "kind"] {
                if map.get(name).is_none() {
                    self.causes.push(StatusCause::required(&below(path, name), ""));
                }
            }
            self.embedded_kind(map, path);
        }
        let size = map.len() as i64;
        if let Some(min) = schema.0.int_at(&["minProperties"]).filter(|min| size < *min) {
            self.invalid(path, &Value::Int(size), &format!("should have at least {min} properties"));
        }
        if let Some(max) = schema.0.int_at(&["maxProperties"]).filter(|max| size > *max) {
            self.too_many(path, size, max);
        }
        for (name, value) in map.iter() {
            // The metadata of an object is validated by the API itself.
            if path.is_empty() && name == "metadata" {
                continue;
            }
            if let Some(known) = schema.property(name).or_else(|| schema.additional()) {
                self.value(known, value, &below(path, name));
            }
        }
    }

    fn list(&mut self, schema: Node<'_>, items: &[Value], path: &str) {
        let size = items.len() as i64;
        if let Some(min) = schema.0.int_at(&["minItems"]).filter(|min| size < *min) {
            self.invalid(path, &Value::Int(size), &format!("should have at least {min} items"));
        }
        if let Some(max) = schema.0.int_at(&["maxItems"]).filter(|max| size > *max) {
            self.too_many(path, size, max);
        }
        let Some(element) = schema.items() else { return };
        for (index, item) in items.iter().enumerate() {
            self.value(element, item, &format!("{path}[{index}]"));
        }
    }

    fn too_many(&mut self, path: &str, size: i64, max: i64) {
        let message = format!("Too many: {size}: must have at most {max} {}", plural(max, "item"));
        self.causes.push(StatusCause::new("FieldValueTooMany", path, message));
    }

    fn text(&mut self, schema: Node<'_>, text: &str, path: &str) {
        let length = i64::try_from(text.chars().count()).unwrap_or(i64::MAX);
        let value = Value::from(text);
        if let Some(max) = schema.0.int_at(&["maxLength"]).filter(|max| length > *max) {
            let message = format!("Too long: may not be more than {max} {}", plural(max, "byte"));
            self.causes.push(StatusCause::new("FieldValueTooLong", path, message));
        }
        if let Some(min) = schema.0.int_at(&["minLength"]).filter(|min| length < *min) {
            self.invalid(path, &value, &format!("should be at least {min} chars long"));
        }
        if let Some(pattern) = schema.0.str_at(&["pattern"])
            && self.patterns.get(pattern).is_some_and(|regex| !regex.is_match(text))
        {
            self.invalid(path, &value, &format!("should match '{pattern}'"));
        }
        if let Some(format) = schema.0.str_at(&["format"]).filter(|format| !has_format(format, text)) {
            let message =
                format!("Invalid value: {text:?}: {path} in body must be of type {format}: {text:?}");
            self.causes.push(StatusCause::new("FieldValueTypeInvalid", path, message));
        }
    }

    fn number(&mut self, schema: Node<'_>, value: &Value, number: f64, path: &str) {
        let bound = |key: &str| {
            schema.0.get(key).and_then(|bound| match bound {
                Value::Int(bound) => Some(*bound as f64),
                Value::Float(bound) => Some(*bound),
                Value::Null | Value::Bool(_) | Value::Str(_) | Value::List(_) | Value::Map(_) => None,
            })
        };
        let shown = |key: &str| schema.0.get(key).map(Value::to_json).unwrap_or_default();
        let kind = schema.0.str_at(&["type"]).unwrap_or_default();
        if let Some(format) = schema.0.str_at(&["format"]).filter(|format| !holds(kind, format, number)) {
            let message = format!(
                "Invalid value: \"\": Checked value must be of type {kind} with format {format} in {path}"
            );
            self.causes.push(StatusCause::new("FieldValueInvalid", "<nil>", message));
        }
        if let Some(min) = bound("minimum") {
            if schema.flag("exclusiveMinimum") && number <= min {
                self.invalid(path, value, &format!("should be greater than {}", shown("minimum")));
            } else if number < min {
                self.invalid(
                    path,
                    value,
                    &format!("should be greater than or equal to {}", shown("minimum")),
                );
            }
        }
        if let Some(max) = bound("maximum") {
            if schema.flag("exclusiveMaximum") && number >= max {
                self.invalid(path, value, &format!("should be less than {}", shown("maximum")));
            } else if number > max {
                self.invalid(path, value, &format!("should be less than or equal to {}", shown("maximum")));
            }
        }
        if bound("multipleOf").is_some_and(|factor| factor > 0.0 && (number / factor).fract() != 0.0) {
            self.invalid(path, value, &format!("should be a multiple of {}", shown("multipleOf")));
        }
    }

    /// `allOf`, `anyOf`, `oneOf` and `not`.
    fn combined(&mut self, schema: Node<'_>, value: &Value, path: &str) {
        let n_valid = |key: &str| {
            let branches = schema.0.list_at(&[key]);
            (branches.iter().filter(|branch| self.is_valid(Node(branch), value)).count(), branches.len())
        };
        let (n_any, n_one, n_all) = (n_valid("anyOf"), n_valid("oneOf"), n_valid("allOf"));
        let not = schema.0.get("not").is_some_and(|branch| self.is_valid(Node(branch), value));
        let mut failed = |words: &str| {
            let message = format!("Invalid value: \"\": {path:?} {words}");
            self.causes.push(StatusCause::new("FieldValueInvalid", "<nil>", message));
        };
        if n_any.1 > 0 && n_any.0 == 0 {
            failed("must validate at least one schema (anyOf)");
        }
        if n_one.1 > 0 && n_one.0 != 1 {
            let found = if n_one.0 == 0 {
                "none valid".to_owned()
            } else {
                format!("{} valid alternatives", n_one.0)
            };
            failed(&format!("must validate one and only one schema (oneOf). Found {found}"));
        }
        if n_all.0 < n_all.1 {
            let none = if n_all.0 == 0 { ". None validated" } else { "" };
            failed(&format!("must validate all the schemas (allOf){none}"));
        }
        if not {
            failed("must not validate the schema (not)");
        }
    }

    fn is_valid(&self, schema: Node<'_>, value: &Value) -> bool {
        let mut report = Report { patterns: self.patterns, causes: Vec::new() };
        report.value(schema, value, "branch");
        report.causes.is_empty()
    }

    /// Items of sets and maps that are there twice.
    fn uniqueness(&mut self, schema: Node<'_>, value: &Value, path: &str) {
        match value {
            Value::Map(map) => {
                for (name, item) in map.iter() {
                    if let Some(known) = schema.property(name) {
                        self.uniqueness(known, item, &below(path, name));
                    } else if let Some(additional) = schema.additional() {
                        self.uniqueness(additional, item, &format!("{path}[{name}]"));
                    }
                }
            }
            Value::List(items) => {
                self.unique_items(schema, items, path);
                let Some(element) = schema.items() else { return };
                for (index, item) in items.iter().enumerate() {
                    self.uniqueness(element, item, &format!("{path}[{index}]"));
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
        }
    }

    fn unique_items(&mut self, schema: Node<'_>, items: &[Value], path: &str) {
        let keys: Vec<&str> =
            schema.0.list_at(&["x-kubernetes-list-map-keys"]).iter().filter_map(Value::as_str).collect();
        let identity: Box<dyn Fn(&Value) -> Value> = match schema.0.str_at(&["x-kubernetes-list-type"]) {
            Some("set") => Box::new(Value::clone),
            Some("map") => Box::new(|item| {
                let found = keys.iter().filter_map(|key| Some((*key, item.get(key)?.clone())));
                Value::Map(found.collect())
            }),
            _ => return,
        };
        let (mut seen, mut told) = (BTreeSet::new(), BTreeSet::new());
        for (index, item) in items.iter().enumerate() {
            let identity = identity(item);
            if !seen.insert(identity.clone()) && told.insert(identity.clone()) {
                self.causes.push(StatusCause::duplicate(&format!("{path}[{index}]"), &identity));
            }
        }
    }
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

fn plural(count: i64, word: &str) -> String {
    if count == 1 { word.to_owned() } else { format!("{word}s") }
}

/// A value's type in JSON schema's words; a number without a fraction is an integer.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Float(number) if number.fract() == 0.0 => "integer",
        Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}
