//! How large what a structural schema describes may become (`SchemaDeclType` of `k8s.io/apiserver/pkg/cel/common`), from which an
//! API server works out what a rule may cost.

use std::collections::BTreeMap;

use trueup_cel::{Bounds, escape};
use trueup_object::Value;
use trueup_object::value::{Map, Text};

/// The largest request that an API server reads, in bytes.
const N_REQUEST_BYTES_MAX: u64 = 3 * 1024 * 1024;

/// How often something may stand in one object at most, where nothing but its least size limits that.
pub fn n_times_max(bounds: &Bounds) -> u64 {
    N_REQUEST_BYTES_MAX / bounds.n_bytes_min.saturating_add(1)
}

/// A number that a schema gives; what is less than nothing is nothing.
pub fn limit(schema: &Value, key: &str) -> Option<u64> {
    schema.get(key).and_then(Value::as_int).map(|number| u64::try_from(number).unwrap_or_default())
}

/// The bounds of a schema. Nothing where expressions do not see it.
pub fn bounds(schema: &Value, is_root: bool) -> Option<Bounds> {
    let flag = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
    // Every character may be four bytes.
    let length = || limit(schema, "maxLength").map(|length| length.saturating_mul(4));
    let any_text = N_REQUEST_BYTES_MAX - 2;
    if flag("x-kubernetes-int-or-string") {
        return Some(plain(length().unwrap_or(any_text), 1));
    }
    let is_resource = is_root || flag("x-kubernetes-embedded-resource");
    Some(match schema.str_at(&["type"]).unwrap_or(if is_resource { "object" } else { "" }) {
        "array" => {
            let items = bounds(schema.get("items")?, false)?;
            let fit = (N_REQUEST_BYTES_MAX - 2) / items.n_bytes_min.saturating_add(1);
            let n_elements_max = limit(schema, "maxItems").unwrap_or(fit);
            Bounds { element: Some(Box::new(items)), ..plain(n_elements_max, 2) }
        }
        "object" => match schema.get("additionalProperties").filter(|it| it.as_map().is_some()) {
            Some(values) if !is_resource => {
                let values = bounds(values, false)?;
                let fit = (N_REQUEST_BYTES_MAX - 2) / values.n_bytes_min.saturating_add(6);
                let n_elements_max = limit(schema, "maxProperties").unwrap_or(fit);
                // Nothing is known of keys.
                let key = Some(Box::new(plain(0, 2)));
                Bounds { key, element: Some(Box::new(values)), ..plain(n_elements_max, 2) }
            }
            Some(_) | None => object(schema, is_resource),
        },
        "string" => match schema.str_at(&["format"]) {
            Some("byte") => plain(limit(schema, "maxLength").unwrap_or(any_text), 2),
            Some("duration") => plain(32, 3),
            Some("date") => plain(12, 12),
            Some("date-time") => plain(32, 21),
            Some(_) | None => plain(length().or_else(|| longest(schema)).unwrap_or(any_text), 2),
        },
        "boolean" => plain(0, 4),
        "number" | "integer" => plain(0, 1),
        _ => return None,
    })
}

fn plain(n_elements_max: u64, n_bytes_min: u64) -> Bounds {
    Bounds { n_elements_max, n_bytes_min, ..Bounds::default() }
}

/// The longest of the values that a text may have.
fn longest(schema: &Value) -> Option<u64> {
    let lengths = schema.list_at(&["enum"]).iter().map(|value| value.as_str().map_or(0, str::len));
    lengths.max().and_then(|length| u64::try_from(length).ok())
}

fn object(schema: &Value, is_resource: bool) -> Bounds {
    let mut fields: BTreeMap<Text, Bounds> = BTreeMap::new();
    let required = schema.list_at(&["required"]);
    let mut n_bytes_min: u64 = 2;
    let properties = schema.get("properties").and_then(Value::as_map);
    for (name, property) in properties.into_iter().flat_map(Map::iter) {
        let is_own = is_resource && matches!(name, "apiVersion" | "kind" | "metadata");
        let found = if is_own { Some(own(name)) } else { bounds(property, false) };
        let Some(found) = found else { continue };
        let is_required = required.iter().any(|it| it.as_str() == Some(name));
        if is_required && (is_own || property.get("default").is_none()) {
            let length = u64::try_from(name.len()).unwrap_or_default();
            n_bytes_min = n_bytes_min.saturating_add(length).saturating_add(found.n_bytes_min + 4);
        }
        if let Some(escaped) = escape(name) {
            fields.insert(Text::from(escaped), found);
        }
    }
    if is_resource {
        for name in ["apiVersion", "kind", "metadata"] {
            fields.insert(Text::from(name), own(name));
        }
    }
    Bounds { fields, ..plain(0, n_bytes_min) }
}

/// What every resource has.
fn own(name: &str) -> Bounds {
    let text = || plain(N_REQUEST_BYTES_MAX - 2, 2);
    if name != "metadata" {
        return text();
    }
    let fields = ["name", "generateName"].map(|name| (Text::from(name), text()));
    Bounds { fields: fields.into_iter().collect(), ..plain(0, 2) }
}
