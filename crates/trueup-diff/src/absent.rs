//! When a value that is there means the same as no value.
//!
//! The rule behind all of it: would applying what Git declares change what the server stores? `null` and an empty list
//! never do. An empty map does only where empty means something, such as `emptyDir: {}`. A zero value does where the
//! API's type keeps it (`replicas: 0`), and does not where the type drops it (`hostNetwork: false`).

use trueup_merge::{Scalar, Shape, ZeroRule};
use trueup_object::Value;
use trueup_object::quantity::equal_quantities;

use crate::spot::Spot;

/// The value, unless it is `null`.
pub(crate) fn present(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// Whether a declared value is satisfied by live not having the field.
pub(crate) fn asks_nothing(value: &Value, spot: &Spot<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(map) => {
            !empty_means_something(spot)
                && map.iter().all(|(name, child)| asks_nothing(child, &spot.child(name, None)))
        }
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {
            is_zero(value) && matches!(zero_rule(spot), ZeroRule::Dropped | ZeroRule::Replaced)
        }
    }
}

/// Whether a live value that Git does not declare says nothing: it is empty, or what the server writes by itself.
pub(crate) fn says_nothing(value: &Value, spot: &Spot<'_>) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) if items.is_empty() => true,
        Value::Map(map) if map.is_empty() => {
            !named_as_meaningful(spot)
                || spot.field().is_some_and(|field| field.always)
                || spot.is_default(value)
        }
        Value::List(_) | Value::Map(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {
            let is_written_zero = || {
                (is_zero(value) || is_zero_quantity(value, spot))
                    && spot.field().is_some_and(|field| field.always)
            };
            spot.is_default(value) || is_written_zero()
        }
    }
}

/// Whether a declared zero value became the default that live has.
pub(crate) fn is_replaced(target: &Value, live: &Value, spot: &Spot<'_>) -> bool {
    // What is dropped is defaulted like what was not declared.
    let goes = matches!(zero_rule(spot), ZeroRule::Replaced | ZeroRule::Dropped);
    is_zero(target) && goes && spot.is_default(live)
}

fn zero_rule(spot: &Spot<'_>) -> ZeroRule {
    spot.field().map_or(ZeroRule::Unknown, |field| field.zero)
}

pub(crate) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Bool(flag) => !flag,
        Value::Int(number) => *number == 0,
        Value::Float(number) => *number == 0.0,
        Value::Str(text) => text.is_empty(),
        Value::Null | Value::List(_) | Value::Map(_) => false,
    }
}

/// A quantity that is no pointer is written as `"0"` where it was not declared: the `divisor` of a `resourceFieldRef`.
fn is_zero_quantity(value: &Value, spot: &Spot<'_>) -> bool {
    matches!(spot.ty.shape(), Shape::Scalar(Scalar::Quantity)) && equal_quantities(value, &Value::Int(0))
}

fn empty_means_something(spot: &Spot<'_>) -> bool {
    match zero_rule(spot) {
        ZeroRule::Dropped => false,
        // A struct that the server keeps empty was declared for its being there; it does not vanish by itself.
        ZeroRule::Kept if matches!(spot.ty.shape(), Shape::Struct { .. }) => true,
        ZeroRule::Kept | ZeroRule::Replaced | ZeroRule::Unknown => named_as_meaningful(spot),
    }
}

/// Fields whose empty object chooses something: a selector that matches everything, one of several kinds of a thing.
fn named_as_meaningful(spot: &Spot<'_>) -> bool {
    const CHOICES: [&str; 6] = ["emptyDir", "selfSigned", "ephemeral", "allowAll", "denyAll", "pause"];
    let is_selector = spot.name == "selector" || spot.name.ends_with("Selector");
    // `nodeSelector: {}` of a Pod and a Service's `selector: {}` are plain maps in which nothing is asked for.
    let is_plain_map = matches!(spot.ty.shape(), Shape::Map { .. });
    CHOICES.contains(&spot.name) || (is_selector && !is_plain_map)
}
