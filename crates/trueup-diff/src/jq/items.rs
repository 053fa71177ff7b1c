//! Functions of lists and objects.

use trueup_object::{Map, Value};

use super::access;
use super::machine::{Flow, Machine, error};
use super::math::{from_float, math, number, order};
use super::syntax::Math;
use super::text::shown;

pub fn items(value: &Value) -> Flow<&[Value]> {
    match value.as_list() {
        Some(items) => Ok(items),
        None => error(format!("expected an array but got: {}", shown(value))),
    }
}

pub fn length(value: &Value) -> Flow<Value> {
    let count = |count: usize| Ok(Value::Int(i64::try_from(count).unwrap_or(i64::MAX)));
    match value {
        Value::Null => count(0),
        Value::Bool(_) => error(format!("length cannot be applied to: {}", shown(value))),
        Value::Int(number) => Ok(Value::Int(number.saturating_abs())),
        Value::Float(number) => Ok(Value::Float(number.abs())),
        Value::Str(text) => count(text.chars().count()),
        Value::List(items) => count(items.len()),
        Value::Map(map) => count(map.len()),
    }
}

pub fn keys(value: &Value) -> Flow<Value> {
    match value {
        Value::Map(map) => Ok(Value::List(map.iter().map(|(name, _)| Value::from(name)).collect())),
        Value::List(items) => {
            Ok(Value::List((0..items.len()).map(|index| from_float(index as f64)).collect()))
        }
        other => error(format!("keys cannot be applied to: {}", shown(other))),
    }
}

pub fn has(value: &Value, key: &Value) -> Flow<Value> {
    match (value, key) {
        (Value::Map(map), Value::Str(name)) => Ok(Value::Bool(map.contains(name))),
        (Value::List(items), Value::Int(_) | Value::Float(_)) => {
            let index = number(key)?.floor();
            Ok(Value::Bool(index >= 0.0 && index < items.len() as f64))
        }
        (_, _) => error(format!("has({}) cannot be applied to: {}", shown(key), shown(value))),
    }
}

pub fn contains(machine: &mut Machine, value: &Value, part: &Value) -> Flow<bool> {
    machine.step(1)?;
    match (value, part) {
        (Value::Map(map), Value::Map(part)) => {
            for (name, part) in part.iter() {
                let Some(value) = map.get(name) else { return Ok(false) };
                if !contains(machine, value, part)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::List(items), Value::List(part)) => {
            for part in part {
                let mut found = false;
                for item in items {
                    if item.type_name() == part.type_name() && contains(machine, item, part)? {
                        found = true;
                        break;
                    }
                }
                if !found {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        (Value::Str(text), Value::Str(part)) => Ok(text.contains(part.as_str())),
        (_, _) if value == part => Ok(true),
        (Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_))
        | (Value::Bool(_), Value::Bool(_)) => Ok(false),
        (_, _) => error(format!("contains({}) cannot be applied to: {}", shown(part), shown(value))),
    }
}

pub fn sum(machine: &mut Machine, value: &Value) -> Flow<Value> {
    let mut sum = Value::Null;
    let parts: Vec<&Value> = match value {
        Value::List(items) => items.iter().collect(),
        Value::Map(map) => map.iter().map(|(_, value)| value).collect(),
        other => return error(format!("cannot iterate over: {}", shown(other))),
    };
    for part in parts {
        sum = math(machine, Math::Add, &sum, part)?;
        machine.build(access::size(&sum))?;
    }
    Ok(sum)
}

/// Items with their keys, in the order of the keys.
pub fn by_keys(machine: &mut Machine, value: &Value, keys: &Value) -> Flow<Vec<(Value, Value)>> {
    let keys = keys.as_list().unwrap_or_default().iter().cloned();
    let mut pairs: Vec<(Value, Value)> = keys.zip(items(value)?.iter().cloned()).collect();
    machine.step(pairs.len() as u64 * 16)?;
    pairs.sort_by(|left, right| order(&left.0, &right.0));
    Ok(pairs)
}

pub fn group(pairs: Vec<(Value, Value)>) -> Value {
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in pairs {
        match groups.last_mut() {
            Some((last, items)) if *last == key => items.push(item),
            Some(_) | None => groups.push((key, vec![item])),
        }
    }
    Value::List(groups.into_iter().map(|(_, items)| Value::List(items)).collect())
}

pub fn flatten(machine: &mut Machine, value: &Value, depth: f64) -> Flow<Vec<Value>> {
    let mut flat = Vec::new();
    for item in items(value)? {
        machine.build(access::size(item))?;
        match item {
            Value::List(_) if depth > 0.0 => flat.extend(flatten(machine, item, depth - 1.0)?),
            other => flat.push(other.clone()),
        }
    }
    Ok(flat)
}

pub fn entries(value: &Value) -> Flow<Value> {
    let Some(map) = value.as_map() else {
        return error(format!("to_entries cannot be applied to: {}", shown(value)));
    };
    let entry = |(name, value): (&str, &Value)| {
        let entry = [("key", Value::from(name)), ("value", value.clone())];
        Value::Map(entry.into_iter().collect::<Map>())
    };
    Ok(Value::List(map.iter().map(entry).collect()))
}

pub fn transpose(machine: &mut Machine, value: &Value) -> Flow<Value> {
    let rows = items(value)?.iter().map(items).collect::<Flow<Vec<_>>>()?;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or_default();
    machine.build(width.saturating_mul(rows.len()).saturating_mul(std::mem::size_of::<Value>()))?;
    let column = |index: usize| rows.iter().map(|row| row.get(index).cloned().unwrap_or_default()).collect();
    Ok(Value::List((0..width).map(|index| Value::List(column(index))).collect()))
}

/// Where a list begins in a list.
pub fn indices(machine: &mut Machine, items: &[Value], wanted: &[Value]) -> Flow<Vec<Value>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    machine.step(items.len() as u64)?;
    let found = items.windows(wanted.len()).enumerate().filter(|(_, part)| *part == wanted);
    Ok(found.map(|(index, _)| from_float(index as f64)).collect())
}
