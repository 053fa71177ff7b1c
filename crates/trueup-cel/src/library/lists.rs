//! Lists, sets and sizes.

use std::cmp::Ordering;

use super::operators::{self, compare};
use super::text::int;
use crate::eval::{EvalError, Evaluated, failed};
use crate::value::Val;

/// Of a list that is made from a number.
const N_RANGE_MAX: i64 = 1_000_000;

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    Some(match (function, args) {
        ("size", [Val::List(list)]) => Ok(int(list.items.len())),
        ("size", [Val::Map(map)]) => Ok(int(map.len())),
        ("size", [Val::Object(object)]) => Ok(int(object.fields.len())),
        ("size", [Val::Bytes(bytes)]) => Ok(int(bytes.len())),
        ("isSorted", [Val::List(list)]) => is_sorted(&list.items),
        ("min", [Val::List(list)]) => extreme(&list.items, "min", Ordering::Greater),
        ("max", [Val::List(list)]) => extreme(&list.items, "max", Ordering::Less),
        ("sum", [Val::List(list)]) => sum(&list.items),
        ("sort", [Val::List(list)]) => sorted(&list.items, &list.items),
        ("@sortByAssociatedKeys", [Val::List(list), Val::List(keys)]) => sorted(&list.items, &keys.items),
        ("indexOf", [Val::List(list), value]) => {
            Ok(list.items.iter().position(|item| item == value).map_or(Val::Int(-1), int))
        }
        ("lastIndexOf", [Val::List(list), value]) => {
            Ok(list.items.iter().rposition(|item| item == value).map_or(Val::Int(-1), int))
        }
        ("slice", [Val::List(list), Val::Int(start), Val::Int(end)]) => slice(&list.items, *start, *end),
        ("flatten", [Val::List(list)]) => Ok(Val::list(flattened(&list.items, 1))),
        ("flatten", [Val::List(_), Val::Int(depth)]) if *depth < 0 => failed("level must be non-negative"),
        ("flatten", [Val::List(list), Val::Int(depth)]) => Ok(Val::list(flattened(&list.items, *depth))),
        ("reverse", [Val::List(list)]) => Ok(Val::list(list.items.iter().rev().cloned().collect())),
        ("distinct", [Val::List(list)]) => distinct(&list.items),
        ("lists.range", [Val::Int(n)]) if *n > N_RANGE_MAX => Err(EvalError::TooExpensive),
        ("lists.range", [Val::Int(n)]) => Ok(Val::list((0..*n).map(Val::Int).collect())),
        ("sets.contains", [Val::List(list), Val::List(sub)]) => affordable(list.items.len(), sub.items.len())
            .map(|()| Val::Bool(sub.items.iter().all(|item| list.items.contains(item)))),
        ("sets.equivalent", [Val::List(left), Val::List(right)]) => {
            affordable(left.items.len(), right.items.len()).map(|()| {
                let holds = left.items.iter().all(|item| right.items.contains(item))
                    && right.items.iter().all(|item| left.items.contains(item));
                Val::Bool(holds)
            })
        }
        ("sets.intersects", [Val::List(left), Val::List(right)]) => {
            affordable(left.items.len(), right.items.len())
                .map(|()| Val::Bool(left.items.iter().any(|item| right.items.contains(item))))
        }
        _ => return None,
    })
}

/// Every item is compared with every other: what costs too much is not begun.
fn affordable(left: usize, right: usize) -> Result<(), EvalError> {
    let cost = u64::try_from(left.saturating_mul(right)).unwrap_or(u64::MAX);
    if cost > crate::cost::EXPRESSION_LIMIT { Err(EvalError::TooExpensive) } else { Ok(()) }
}

fn is_sorted(items: &[Val]) -> Evaluated {
    for pair in items.windows(2) {
        let [before, after] = pair else { continue };
        match compare(before, after)? {
            Some(Ordering::Greater) => return Ok(Val::Bool(false)),
            Some(_) => {}
            None => return failed("no such overload"),
        }
    }
    Ok(Val::Bool(true))
}

fn extreme(items: &[Val], name: &str, worse: Ordering) -> Evaluated {
    let Some((first, rest)) = items.split_first() else {
        return failed(format!("{name} called on empty list"));
    };
    let mut best = first;
    for item in rest {
        match compare(best, item)? {
            Some(order) if order == worse => best = item,
            Some(_) => {}
            None => return failed("no such overload"),
        }
    }
    Ok(best.clone())
}

/// The sum; of nothing it is zero, whatever the type would be.
fn sum(items: &[Val]) -> Evaluated {
    let Some((first, rest)) = items.split_first() else { return Ok(Val::Int(0)) };
    rest.iter().try_fold(first.clone(), |sum, item| {
        operators::call("_+_", &[sum, item.clone()]).unwrap_or_else(|| failed("no such overload"))
    })
}

fn sorted(items: &[Val], keys: &[Val]) -> Evaluated {
    if items.len() != keys.len() {
        return failed(format!(
            "@sortByAssociatedKeys() expected a list of the same size as the associated keys list, but got {} and {} elements respectively",
            items.len(),
            keys.len()
        ));
    }
    if let Some((first, rest)) = keys.split_first() {
        if compare(first, first)?.is_none() {
            return failed("list elements must be comparable");
        }
        for key in rest {
            if key.type_of() != first.type_of() {
                return failed("list elements must have the same type");
            }
            compare(first, key)?;
        }
    }
    let mut pairs: Vec<(&Val, &Val)> = keys.iter().zip(items).collect();
    pairs.sort_by(|(left, _), (right, _)| compare(left, right).ok().flatten().unwrap_or(Ordering::Equal));
    Ok(Val::list(pairs.into_iter().map(|(_, item)| item.clone()).collect()))
}

fn slice(items: &[Val], start: i64, end: i64) -> Evaluated {
    let told = |words: &str| failed(format!("cannot slice({start}, {end}), {words}"));
    let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else {
        return told("negative indexes not supported");
    };
    if from > to {
        return told("start index must be less than or equal to end index");
    }
    match items.get(from..to) {
        Some(part) => Ok(Val::list(part.to_vec())),
        None => told(&format!("list is length {}", items.len())),
    }
}

fn flattened(items: &[Val], depth: i64) -> Vec<Val> {
    let mut flat = Vec::new();
    for item in items {
        match item {
            Val::List(inner) if depth > 0 => flat.extend(flattened(&inner.items, depth - 1)),
            other => flat.push(other.clone()),
        }
    }
    flat
}

fn distinct(items: &[Val]) -> Evaluated {
    affordable(items.len(), items.len())?;
    let mut unique: Vec<Val> = Vec::new();
    for item in items {
        if !unique.contains(item) {
            unique.push(item.clone());
        }
    }
    Ok(Val::list(unique))
}
