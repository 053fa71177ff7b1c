//! Operators: arithmetic, and the order of values.

use std::cmp::Ordering;

use trueup_object::{Map, Text, Value};

use super::access;
use super::machine::{Flow, Machine, error};
use super::syntax::{Compare, Math};
use super::text::{self, shown};

pub fn compare(op: Compare, left: &Value, right: &Value) -> bool {
    let order = order(left, right);
    match op {
        Compare::Lt => order == Ordering::Less,
        Compare::Le => order != Ordering::Greater,
        Compare::Gt => order == Ordering::Greater,
        Compare::Ge => order != Ordering::Less,
        Compare::Eq => order == Ordering::Equal,
        Compare::Ne => order != Ordering::Equal,
    }
}

/// jq's order: objects by their keys first, then by their values.
pub fn order(left: &Value, right: &Value) -> Ordering {
    match (left, right) {
        (Value::Map(left), Value::Map(right)) => {
            let names = |map: &Map| map.iter().map(|(name, _)| Text::from(name)).collect::<Vec<_>>();
            let values = || left.iter().map(|(_, value)| value).zip(right.iter().map(|(_, value)| value));
            let differs = || values().map(|(left, right)| order(left, right)).find(|order| order.is_ne());
            names(left).cmp(&names(right)).then_with(|| differs().unwrap_or(Ordering::Equal))
        }
        (Value::List(left), Value::List(right)) => {
            let differs =
                left.iter().zip(right).map(|(left, right)| order(left, right)).find(|order| order.is_ne());
            differs.unwrap_or_else(|| left.len().cmp(&right.len()))
        }
        (left, right) => left.cmp(right),
    }
}

pub fn math(machine: &mut Machine, op: Math, left: &Value, right: &Value) -> Flow<Value> {
    let size = |machine: &mut Machine| machine.build(access::size(left).saturating_add(access::size(right)));
    match (op, left, right) {
        (Math::Add, Value::Null, other) | (Math::Add, other, Value::Null) => Ok(other.clone()),
        (Math::Add, Value::Str(one), Value::Str(other)) => {
            size(machine)?;
            Ok(Value::Str(Text::from(format!("{one}{other}"))))
        }
        (Math::Add, Value::List(one), Value::List(other)) => {
            size(machine)?;
            Ok(Value::List([one.as_slice(), other].concat()))
        }
        (Math::Add, Value::Map(one), Value::Map(other)) => {
            size(machine)?;
            let all = one.iter().chain(other.iter()).map(|(name, value)| (Text::from(name), value.clone()));
            Ok(Value::Map(all.fold(Map::new(), |mut map, (name, value)| {
                map.insert(name, value);
                map
            })))
        }
        (Math::Sub, Value::List(one), Value::List(other)) => {
            machine.step((one.len() as u64).saturating_mul(other.len() as u64))?;
            Ok(Value::List(one.iter().filter(|item| !other.contains(item)).cloned().collect()))
        }
        (Math::Mul, Value::Map(one), Value::Map(other)) => {
            size(machine)?;
            Ok(Value::Map(merged(one.clone(), other)))
        }
        (Math::Mul, Value::Str(text), Value::Int(_) | Value::Float(_)) => {
            repeated(machine, text, number(right)?)
        }
        (Math::Mul, Value::Int(_) | Value::Float(_), Value::Str(text)) => {
            repeated(machine, text, number(left)?)
        }
        (Math::Div, Value::Str(text), Value::Str(by)) => text::split(machine, text, by),
        (_, Value::Int(one), Value::Int(other)) => integers(op, *one, *other),
        (_, Value::Int(_) | Value::Float(_), Value::Int(_) | Value::Float(_)) => {
            floats(op, number(left)?, number(right)?)
        }
        (op, left, right) => {
            let word = match op {
                Math::Add => "add",
                Math::Sub => "subtract",
                Math::Mul => "multiply",
                Math::Div => "divide",
                Math::Rem => "modulo",
            };
            error(format!("cannot {word}: {} and {}", shown(left), shown(right)))
        }
    }
}

fn integers(op: Math, one: i64, other: i64) -> Flow<Value> {
    let exact = match op {
        Math::Add => one.checked_add(other),
        Math::Sub => one.checked_sub(other),
        Math::Mul => one.checked_mul(other),
        Math::Div | Math::Rem if other == 0 => return error("cannot divide by zero"),
        Math::Div => one.checked_rem(other).filter(|rest| *rest == 0).and_then(|_| one.checked_div(other)),
        Math::Rem => Some(one.checked_rem(other).unwrap_or_default()),
    };
    match exact {
        Some(number) => Ok(Value::Int(number)),
        None => floats(op, one as f64, other as f64),
    }
}

fn floats(op: Math, one: f64, other: f64) -> Flow<Value> {
    Ok(match op {
        Math::Add => from_float(one + other),
        Math::Sub => from_float(one - other),
        Math::Mul => from_float(one * other),
        Math::Div | Math::Rem if other == 0.0 => return error("cannot divide by zero"),
        Math::Div => from_float(one / other),
        Math::Rem => return integers(op, one as i64, other as i64),
    })
}

fn merged(mut one: Map, other: &Map) -> Map {
    for (name, value) in other.iter() {
        let new = match (one.remove(name), value) {
            (Some(Value::Map(before)), Value::Map(value)) => Value::Map(merged(before, value)),
            (_, value) => value.clone(),
        };
        one.insert(Text::from(name), new);
    }
    one
}

fn repeated(machine: &mut Machine, text: &str, times: f64) -> Flow<Value> {
    if times <= 0.0 {
        return Ok(Value::Null);
    }
    let times = times.max(1.0) as usize;
    machine.build(text.len().saturating_mul(times))?;
    Ok(Value::Str(Text::from(text.repeat(times))))
}

pub fn number(value: &Value) -> Flow<f64> {
    match value {
        Value::Int(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => error(format!("expected a number but got: {}", shown(other))),
    }
}

/// A float as the value it stands for; there is no infinity in an object.
pub fn from_float(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9.0e15 {
        Value::Int(number as i64)
    } else if number.is_nan() {
        Value::Null
    } else {
        Value::Float(number.clamp(f64::MIN, f64::MAX))
    }
}
