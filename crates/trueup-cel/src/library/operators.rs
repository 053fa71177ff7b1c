//! Arithmetic, comparison, and whether something is in something.

use std::cmp::Ordering;
use std::sync::Arc;

use trueup_object::value::Text;

use super::time;
use crate::eval::{Evaluated, failed};
use crate::value::{List, ListKind, Val, compare_numbers, find, same_key};

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    Some(match (function, args) {
        ("_==_", [left, right]) => Ok(Val::Bool(left == right)),
        ("_!=_", [left, right]) => Ok(Val::Bool(left != right)),
        ("!_", [Val::Bool(value)]) => Ok(Val::Bool(!value)),
        ("!_", [_]) => failed("no such overload"),
        ("-_", [value]) => negate(value),
        ("_<_", [left, right]) => ordered(function, left, right, Ordering::is_lt),
        ("_<=_", [left, right]) => ordered(function, left, right, Ordering::is_le),
        ("_>_", [left, right]) => ordered(function, left, right, Ordering::is_gt),
        ("_>=_", [left, right]) => ordered(function, left, right, Ordering::is_ge),
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [left, right]) => arithmetic(function, left, right),
        ("@in", [value, Val::List(list)]) => Ok(Val::Bool(list.items.contains(value))),
        ("@in", [value, Val::Map(map)]) => Ok(Val::Bool(find(map, value).is_some())),
        ("@in", [Val::String(name), Val::Object(object)]) => Ok(Val::Bool(object.fields.contains_key(name))),
        ("@in", [_, _]) => failed("no such overload"),
        _ => return None,
    })
}

fn negate(value: &Val) -> Evaluated {
    match value {
        Val::Int(value) => {
            value.checked_neg().map_or_else(|| failed("integer overflow"), |it| Ok(Val::Int(it)))
        }
        Val::Double(value) => Ok(Val::Double(-value)),
        Val::Duration(value) => {
            value.checked_neg().map_or_else(|| failed("integer overflow"), |it| Ok(Val::Duration(it)))
        }
        Val::String(_) => failed("no such overload"),
        _ => failed("no such overload: -_"),
    }
}

/// The order of two values, where they have one.
pub(crate) fn compare(left: &Val, right: &Val) -> Result<Option<Ordering>, crate::EvalError> {
    if let Some(order) = compare_numbers(left, right) {
        return order.map_or_else(|| failed("NaN values cannot be ordered"), |order| Ok(Some(order)));
    }
    Ok(match (left, right) {
        (Val::String(left), Val::String(right)) => Some(left.cmp(right)),
        (Val::Bytes(left), Val::Bytes(right)) => Some(left.cmp(right)),
        (Val::Bool(left), Val::Bool(right)) => Some(left.cmp(right)),
        (Val::Timestamp(left), Val::Timestamp(right)) => Some(left.cmp(right)),
        (Val::Duration(left), Val::Duration(right)) => Some(left.cmp(right)),
        _ => None,
    })
}

fn ordered(function: &str, left: &Val, right: &Val, wanted: fn(Ordering) -> bool) -> Evaluated {
    match compare(left, right)? {
        Some(order) => Ok(Val::Bool(wanted(order))),
        None if has_order(left) => failed("no such overload"),
        None => failed(format!("no such overload: {function}")),
    }
}

fn has_order(value: &Val) -> bool {
    matches!(
        value,
        Val::Int(_)
            | Val::Uint(_)
            | Val::Double(_)
            | Val::String(_)
            | Val::Bytes(_)
            | Val::Bool(_)
            | Val::Timestamp(_)
            | Val::Duration(_)
    )
}

fn arithmetic(function: &str, left: &Val, right: &Val) -> Evaluated {
    match (left, right) {
        (Val::Int(left), Val::Int(right)) => integers(function, *left, *right),
        (Val::Uint(left), Val::Uint(right)) => unsigned(function, *left, *right),
        (Val::Double(left), Val::Double(right)) if function != "_%_" => Ok(Val::Double(match function {
            "_+_" => left + right,
            "_-_" => left - right,
            "_*_" => left * right,
            _ => left / right,
        })),
        (Val::String(left), Val::String(right)) if function == "_+_" => {
            Ok(Val::String(Text::from(format!("{left}{right}"))))
        }
        (Val::Bytes(left), Val::Bytes(right)) if function == "_+_" => {
            Ok(Val::Bytes(left.iter().chain(right.iter()).copied().collect()))
        }
        (Val::List(left), Val::List(right)) if function == "_+_" => {
            Ok(Val::List(Arc::new(concat(left, right))))
        }
        (Val::Timestamp(_) | Val::Duration(_), Val::Timestamp(_) | Val::Duration(_))
            if matches!(function, "_+_" | "_-_") =>
        {
            time::arithmetic(function == "_+_", left, right)
        }
        (Val::Int(_) | Val::Uint(_) | Val::Double(_), _) => failed("no such overload"),
        (Val::String(_) | Val::Bytes(_) | Val::List(_), _) if function == "_+_" => failed("no such overload"),
        (Val::Timestamp(_) | Val::Duration(_), _) if matches!(function, "_+_" | "_-_") => {
            failed("no such overload")
        }
        // Texts are asked by themselves what they can do, and tell less.
        (Val::String(_), _) => failed("no such overload"),
        _ => failed(format!("no such overload: {function}")),
    }
}

fn integers(function: &str, left: i64, right: i64) -> Evaluated {
    if right == 0 && function == "_/_" {
        return failed("division by zero");
    }
    if right == 0 && function == "_%_" {
        return failed("modulus by zero");
    }
    let result = match function {
        "_+_" => left.checked_add(right),
        "_-_" => left.checked_sub(right),
        "_*_" => left.checked_mul(right),
        "_/_" => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    result.map_or_else(|| failed("integer overflow"), |it| Ok(Val::Int(it)))
}

fn unsigned(function: &str, left: u64, right: u64) -> Evaluated {
    if right == 0 && function == "_/_" {
        return failed("division by zero");
    }
    if right == 0 && function == "_%_" {
        return failed("modulus by zero");
    }
    let result = match function {
        "_+_" => left.checked_add(right),
        "_-_" => left.checked_sub(right),
        "_*_" => left.checked_mul(right),
        "_/_" => left.checked_div(right),
        _ => left.checked_rem(right),
    };
    result.map_or_else(|| failed("unsigned integer overflow"), |it| Ok(Val::Uint(it)))
}

/// Lists one after the other; of a set what is new, of a map-like list what has a new key, while what has a known one
/// replaces.
fn concat(left: &List, right: &List) -> List {
    let mut result = left.clone();
    for item in &right.items {
        let known = match &left.kind {
            ListKind::Atomic => None,
            ListKind::Set => {
                if result.items.contains(item) {
                    continue;
                }
                None
            }
            ListKind::Map(keys) => result.items.iter().position(|other| same_key(other, item, keys)),
        };
        match known.and_then(|at| result.items.get_mut(at)) {
            Some(slot) => *slot = item.clone(),
            None => result.items.push(item.clone()),
        }
    }
    result
}
