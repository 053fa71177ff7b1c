//! Structural schemas of custom kinds: pruning of unknown fields, defaulting, validation.
//!
//! Pure. The schema is that of `spec.versions[].schema.openAPIV3Schema`, read once when the definition is written. Rules
//! (`x-kubernetes-validations`) are compiled when the first object is checked.

mod default;
mod embedded;
pub(crate) mod format;
mod prune;
mod validate;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use regex::Regex;
use trueup_object::Value;
use trueup_object::value::{Map, Text};

use crate::cel::rules::Rules;
use crate::status::StatusCause;

/// A structural schema, read for use.
#[derive(Debug, Clone)]
pub struct StructuralSchema {
    source: Value,
    /// Every `pattern`, compiled. One that does not compile restricts nothing: the definition should not have been accepted.
    patterns: BTreeMap<Text, Regex>,
    rules: OnceLock<Option<Arc<Rules>>>,
}

impl StructuralSchema {
    /// From `openAPIV3Schema`.
    pub fn parse(source: &Value) -> Self {
        let mut patterns = BTreeMap::new();
        collect_patterns(source, &mut patterns);
        Self { source: source.clone(), patterns, rules: OnceLock::new() }
    }

    /// The schema as it was given.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Removes what the schema does not know; returns the paths of what was removed, as field validation prints them
    /// (`spec.foo`, `spec.items[0].bar`).
    pub fn prune(&self, object: &mut Value) -> Vec<String> {
        prune::prune(Node(&self.source), object)
    }

    /// Fills in defaults, and removes nulls from fields that may not be null.
    pub fn default(&self, object: &mut Value) {
        default::default(Node(&self.source), object);
    }

    /// Fills in defaults of an object that an apply has merged, whose nulls stay.
    pub fn default_merged(&self, object: &mut Value) {
        default::default_merged(Node(&self.source), object);
    }

    /// Shows every object that is embedded in this one, with its path, until one is refused.
    pub fn visit_embedded<E>(
        &self,
        object: &mut Value,
        mut see: impl FnMut(&mut Value, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        embedded::visit(Node(&self.source), object, "", &mut see)
    }

    /// What is wrong with the object.
    pub fn validate(&self, object: &Value) -> Vec<StatusCause> {
        validate::validate(Node(&self.source), &self.patterns, object)
    }

    /// What rules do not hold. Where faults were found that make rules meaningless, only that they were not checked.
    pub fn check_rules(
        &self,
        object: &Value,
        live: Option<&Value>,
        found: &[StatusCause],
    ) -> Vec<StatusCause> {
        const BLOCKING: [&str; 4] =
            ["FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"];
        let rules = self.rules.get_or_init(|| Rules::compile(&self.source).map(Arc::new));
        let Some(rules) = rules else { return Vec::new() };
        if found.iter().any(|cause| BLOCKING.contains(&cause.reason.as_str())) {
            let words = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
            return vec![StatusCause::invalid("<nil>", &Value::Null, words)];
        }
        rules.check(object, live)
    }
}

/// One node of a schema.
#[derive(Debug, Clone, Copy)]
struct Node<'a>(&'a Value);

impl<'a> Node<'a> {
    fn property(self, name: &str) -> Option<Node<'a>> {
        self.0.at(&["properties", name]).map(Node)
    }

    fn properties(self) -> impl Iterator<Item = (&'a str, Node<'a>)> {
        let properties = self.0.get("properties").and_then(Value::as_map);
        properties.into_iter().flat_map(Map::iter).map(|(name, schema)| (name, Node(schema)))
    }

    /// The schema of values under names that are not declared.
    fn additional(self) -> Option<Node<'a>> {
        self.0.get("additionalProperties").filter(|schema| schema.as_map().is_some()).map(Node)
    }

    fn items(self) -> Option<Node<'a>> {
        self.0.get("items").map(Node)
    }

    fn flag(self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool) == Some(true)
    }

    fn preserves_unknown(self) -> bool {
        self.flag("x-kubernetes-preserve-unknown-fields")
            || self.0.get("additionalProperties").and_then(Value::as_bool) == Some(true)
    }

    fn is_embedded_resource(self) -> bool {
        self.flag("x-kubernetes-embedded-resource")
    }

    fn is_nullable(self) -> bool {
        self.flag("nullable")
    }

    fn default(self) -> Option<&'a Value> {
        self.0.get("default").filter(|default| !default.is_null())
    }
}

fn collect_patterns(schema: &Value, patterns: &mut BTreeMap<Text, Regex>) {
    match schema {
        Value::Map(map) => {
            for (key, value) in map.iter() {
                if let ("pattern", Value::Str(pattern)) = (key, value)
                    && let Ok(regex) = Regex::new(pattern)
                {
                    patterns.insert(pattern.clone(), regex);
                }
                collect_patterns(value, patterns);
            }
        }
        Value::List(items) => items.iter().for_each(|item| collect_patterns(item, patterns)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}

#[cfg(test)]
mod tests;
