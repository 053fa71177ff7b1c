//! The functions that expressions may call: the language's own and those of an API server.

pub(crate) mod address;
pub(crate) mod amount;
pub(crate) mod convert;
pub(crate) mod format;
pub(crate) mod lists;
pub(crate) mod named;
pub(crate) mod operators;
pub(crate) mod rights;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod version;

use std::sync::Arc;

use crate::eval::{self, Activation, Evaluated, failed};
use crate::value::{Key, Val};

/// Functions of one theme; nothing where a call is not one of them.
type Module = fn(&str, &[Val]) -> Option<Evaluated>;

/// Calls a function. What it is called on is its first argument.
pub(crate) fn call(function: &str, args: &[Val], activation: &dyn Activation) -> Evaluated {
    match (function, args) {
        ("_[_]", [value, at]) => return eval::index(value, at),
        ("_[?_]", [value, at]) => return eval::optional_index(value, at),
        ("dyn", [value]) => return Ok(value.clone()),
        ("type", [value]) => return Ok(Val::Type(value.type_of())),
        ("cel.@mapInsert", [map, rest @ ..]) => return insert(map.clone(), rest),
        _ => {}
    }
    let modules: [Module; 10] = [
        operators::call,
        text::call,
        lists::call,
        convert::call,
        optional,
        time::call,
        address::call,
        amount::call,
        version::call,
        named::call,
    ];
    for module in modules {
        if let Some(result) = module(function, args) {
            return result;
        }
    }
    rights::call(function, args, activation).unwrap_or_else(|| no_such_overload(function, args))
}

/// A call with values that no form of the function takes.
pub(crate) fn no_such_overload(function: &str, args: &[Val]) -> Evaluated {
    match function {
        "contains" | "startsWith" | "endsWith" | "matches" => return failed("no such overload"),
        "size" => return failed("no such overload: size"),
        _ => {}
    }
    let types: Vec<String> = args.iter().map(Val::type_name).collect();
    failed(format!("no such overload: {function}({})", types.join(", ")))
}

/// Puts values into a map whose keys are new.
pub(crate) fn insert(map: Val, values: &[Val]) -> Evaluated {
    let Val::Map(mut map) = map else { return failed("no such overload") };
    let mut add = |key: Key, value: Val| match Arc::make_mut(&mut map).insert(key.clone(), value) {
        None => Ok(()),
        Some(_) => failed(format!("insert failed: key {} already exists", shown(&key.value()))),
    };
    match values {
        [key, value] => match Key::of(key) {
            Some(key) => add(key, value.clone())?,
            None => return failed(format!("unsupported key type: {}", key.type_name())),
        },
        [Val::Map(more)] => {
            for (key, value) in more.iter() {
                add(key.clone(), value.clone())?;
            }
        }
        _ => return failed("no such overload"),
    }
    Ok(Val::Map(map))
}

fn optional(function: &str, args: &[Val]) -> Option<Evaluated> {
    Some(match (function, args) {
        ("optional.of", [value]) => Ok(Val::some(value.clone())),
        ("optional.none", []) => Ok(Val::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => {
            Ok(if value.is_zero() { Val::Optional(None) } else { Val::some(value.clone()) })
        }
        ("hasValue", [Val::Optional(value)]) => Ok(Val::Bool(value.is_some())),
        ("value", [Val::Optional(value)]) => match value {
            Some(value) => Ok(value.as_ref().clone()),
            None => failed("optional.none() dereference"),
        },
        ("optional.unwrap" | "unwrapOpt", [Val::List(list)]) => {
            let there = list.items.iter().filter_map(|item| match item {
                Val::Optional(value) => value.as_deref().cloned(),
                other => Some(other.clone()),
            });
            Ok(Val::list(there.collect()))
        }
        ("first", [Val::List(list)]) => Ok(Val::Optional(list.items.first().cloned().map(Arc::new))),
        ("last", [Val::List(list)]) => Ok(Val::Optional(list.items.last().cloned().map(Arc::new))),
        _ => return None,
    })
}

/// A value as error messages print it.
pub(crate) fn shown(value: &Val) -> String {
    match value {
        Val::String(text) => text.to_string(),
        Val::Int(number) => number.to_string(),
        Val::Uint(number) => number.to_string(),
        Val::Bool(value) => value.to_string(),
        Val::Double(number) => text::float(*number),
        Val::Null => "null".to_owned(),
        other => other.type_name(),
    }
}
