//! `=`, `|=` and the like, and the functions that set and delete by path.

use trueup_object::{Map, Text, Value};

use super::access::{self, Path, Step, Trail};
use super::machine::{Flow, Held, Machine, Out, error};
use super::run::{At, eval, until_enough, values};
use super::syntax::Expr;
use super::text::shown;

/// The paths that an expression names in its input, each as it is found.
pub fn each_path<'p, 'v>(
    machine: &mut Machine,
    expr: &'p Expr,
    (env, _, input): At<'_, 'p, 'v>,
    each: &mut dyn FnMut(&mut Machine, Path) -> Flow,
) -> Flow {
    eval(machine, expr, env, Trail::root(), input.clone(), &mut |machine, trail, value| {
        each(machine, trail.path(value.get())?)
    })
}

fn all_paths<'p, 'v>(machine: &mut Machine, expr: &'p Expr, at: At<'_, 'p, 'v>) -> Flow<Vec<Path>> {
    let mut paths = Vec::new();
    each_path(machine, expr, at, &mut |machine, path| {
        machine.build(32 * path.len())?;
        paths.push(path);
        Ok(())
    })?;
    Ok(paths)
}

pub fn assign<'p, 'v>(
    machine: &mut Machine,
    path: &'p Expr,
    value: &'p Expr,
    at: At<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    values(machine, value, at, &mut |machine, value| {
        let mut whole = copy(machine, at.2.get())?;
        for path in all_paths(machine, path, at)? {
            whole = set(machine, whole, &path, value.get().clone())?;
        }
        out(machine, at.1.lost(), Held::new(whole))
    })
}

pub fn update<'p, 'v>(
    machine: &mut Machine,
    path: &'p Expr,
    update: &'p Expr,
    at: At<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let whole = updated(machine, path, update, at)?;
    out(machine, at.1.lost(), Held::new(whole))
}

pub fn update_with<'p, 'v>(
    machine: &mut Machine,
    (path, value, update): (&'p Expr, &'p Expr, &'p Expr),
    at: At<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    values(machine, value, at, &mut |machine, value| {
        let env = at.0.with_var("$__v", value);
        let whole = updated(machine, path, update, (&env, at.1, at.2))?;
        out(machine, at.1.lost(), Held::new(whole))
    })
}

/// Each path gets the first value that the update makes of what is there; where it makes none the path goes.
fn updated<'p, 'v>(
    machine: &mut Machine,
    path: &'p Expr,
    update: &'p Expr,
    at: At<'_, 'p, 'v>,
) -> Flow<Value> {
    let mut whole = copy(machine, at.2.get())?;
    let mut gone = Vec::new();
    for path in all_paths(machine, path, at)? {
        let now = Held::new(get(machine, &whole, &path)?);
        let mut made = None;
        until_enough(machine, update, at.0, Trail::Off, now, &mut |_, _, value| {
            made = Some(value.get().clone());
            Ok(true)
        })?;
        match made {
            Some(value) => whole = set(machine, whole, &path, value)?,
            None => gone.push(path),
        }
    }
    delete(machine, whole, &gone)
}

fn copy(machine: &mut Machine, value: &Value) -> Flow<Value> {
    machine.build(access::size(value))?;
    Ok(value.clone())
}

/// The value at a path, null where there is none.
pub fn get(machine: &mut Machine, whole: &Value, path: &[Step]) -> Flow<Value> {
    let mut value = Held::Part(whole);
    for step in path {
        value = match step {
            Step::Key(name) => access::value_at(machine, &value, &Value::Str(name.clone()))?,
            Step::Index(index) => access::value_at(machine, &value, &Value::Int(*index))?,
            Step::Slice(from, to) => access::slice(machine, &Trail::Off, &value, *from, *to)?.1,
        };
    }
    copy(machine, value.get())
}

/// The value with something else at a path.
pub fn set(machine: &mut Machine, whole: Value, path: &[Step], new: Value) -> Flow<Value> {
    machine.step(1)?;
    let Some((first, rest)) = path.split_first() else { return Ok(new) };
    match (first, whole) {
        (Step::Key(name), Value::Null) => {
            set(machine, Value::Map(Map::new()), &[&[Step::Key(name.clone())], rest].concat(), new)
        }
        (Step::Key(name), Value::Map(mut map)) => {
            let inner = map.remove(name).unwrap_or_default();
            machine.build(32 + name.len())?;
            map.insert(name.clone(), set(machine, inner, rest, new)?);
            Ok(Value::Map(map))
        }
        (Step::Index(index), Value::Null) => {
            set(machine, Value::List(Vec::new()), &[&[Step::Index(*index)], rest].concat(), new)
        }
        (Step::Index(index), Value::List(mut items)) => {
            let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
            let at = if *index < 0 { index.saturating_add(length) } else { *index };
            let Ok(at) = usize::try_from(at) else { return error("array index should not be negative") };
            if at >= items.len() {
                machine.build(
                    (at - items.len()).saturating_add(1).saturating_mul(std::mem::size_of::<Value>()),
                )?;
                items.resize(at + 1, Value::Null);
            }
            let inner = std::mem::take(&mut items[at]);
            items[at] = set(machine, inner, rest, new)?;
            Ok(Value::List(items))
        }
        (Step::Slice(from, to), Value::List(mut items)) => {
            let (from, to) = access::range(*from, *to, items.len());
            let part = Value::List(items.get(from..to).unwrap_or_default().to_vec());
            let Value::List(part) = set(machine, part, rest, new)? else {
                return error("a slice can only be set to an array");
            };
            machine.build(access::size(&Value::Null).saturating_mul(part.len()))?;
            items.splice(from..to, part);
            Ok(Value::List(items))
        }
        (Step::Key(_), other) => error(format!("expected an object but got: {}", shown(&other))),
        (Step::Index(_) | Step::Slice(..), other) => {
            error(format!("expected an array but got: {}", shown(&other)))
        }
    }
}

/// The value without what is at some paths.
pub fn delete(machine: &mut Machine, mut whole: Value, paths: &[Path]) -> Flow<Value> {
    let mut places = Vec::new();
    for path in paths {
        machine.step(1)?;
        if path.is_empty() {
            return Ok(Value::Null);
        }
        if let Err(failure) = access::resolve(path, &whole, &mut places) {
            return error(failure.to_string());
        }
    }
    places.sort_by(|left, right| crate::ignore::in_order(right, left));
    places.dedup();
    for place in places {
        place.remove(&mut whole);
    }
    Ok(whole)
}

/// A path as jq writes it.
pub fn path_value(path: &[Step]) -> Value {
    let step = |step: &Step| match step {
        Step::Key(name) => Value::Str(name.clone()),
        Step::Index(index) => Value::Int(*index),
        Step::Slice(from, to) => {
            let end = |end: &Option<i64>| end.map_or(Value::Null, Value::Int);
            Value::Map([("start", end(from)), ("end", end(to))].into_iter().collect())
        }
    };
    Value::List(path.iter().map(step).collect())
}

/// The path that a list of keys and indexes is.
pub fn path_of(value: &Value) -> Flow<Path> {
    let Some(steps) = value.as_list() else {
        return error(format!("path must be an array, but got: {}", shown(value)));
    };
    let step = |step: &Value| match step {
        Value::Str(name) => Ok(Step::Key(name.clone())),
        Value::Int(index) => Ok(Step::Index(*index)),
        Value::Float(index) => Ok(Step::Index(index.floor() as i64)),
        Value::Map(bounds) => {
            let end = |name: &str| bounds.get(name).and_then(Value::as_int);
            Ok(Step::Slice(end("start"), end("end")))
        }
        other => error(format!("a path has no {}", shown(other))),
    };
    steps.iter().map(step).collect()
}

/// A trail that goes on by a path.
pub fn follow<'v>(
    machine: &mut Machine,
    trail: &Trail,
    value: &Held<'v>,
    path: &[Step],
) -> Flow<(Trail, Held<'v>)> {
    let mut at = (trail.clone(), value.clone());
    for step in path {
        machine.step(1)?;
        let key = |text: &Text| Value::Str(text.clone());
        at = match step {
            Step::Key(name) => access::at(machine, &at.0, &at.1, &key(name))?,
            Step::Index(index) => access::at(machine, &at.0, &at.1, &Value::Int(*index))?,
            Step::Slice(from, to) => access::slice(machine, &at.0, &at.1, *from, *to)?,
        };
    }
    Ok(at)
}
