//! Functions that are not written in jq.

use std::cmp::Ordering;

use trueup_object::{Map, Text, Value};

use super::access::{self, Trail};
use super::run::{Env, Flow, Held, Machine, Out, Stop, error, eval, until_enough, values};
use super::syntax::{Compare, Expr, Math};
use super::text::{self, shown};
use super::update;

/// A function, by name and number of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Native {
    Empty,
    Error,
    ErrorWith,
    Path,
    Range,
    RangeFrom,
    RangeBy,
    First,
    Limit,
    Until,
    While,
    Repeat,
    Recurse,
    GetPath,
    SetPath,
    DelPaths,
    /// A function of its input and the values of its arguments.
    Plain(Plain),
}

/// A function of values to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plain {
    Not,
    Length,
    Utf8ByteLength,
    Type,
    Keys,
    Has,
    Contains,
    Add,
    Reverse,
    Sort,
    SortBy,
    GroupBy,
    Flatten,
    FlattenTo,
    ToEntries,
    Transpose,
    Indices,
    Floor,
    Ceil,
    Round,
    Sqrt,
    Pow,
    Text(text::TextFunction),
}

const NAMES: [(&str, usize, Native); 56] = {
    use Native as N;
    use Plain as P;
    use text::TextFunction as T;
    const fn plain(function: Plain) -> Native {
        Native::Plain(function)
    }
    const fn text(function: text::TextFunction) -> Native {
        Native::Plain(Plain::Text(function))
    }
    [
        ("empty", 0, N::Empty),
        ("error", 0, N::Error),
        ("error", 1, N::ErrorWith),
        ("path", 1, N::Path),
        ("range", 1, N::Range),
        ("range", 2, N::RangeFrom),
        ("range", 3, N::RangeBy),
        ("first", 1, N::First),
        ("limit", 2, N::Limit),
        ("until", 2, N::Until),
        ("while", 2, N::While),
        ("repeat", 1, N::Repeat),
        ("recurse", 1, N::Recurse),
        ("getpath", 1, N::GetPath),
        ("setpath", 2, N::SetPath),
        ("delpaths", 1, N::DelPaths),
        ("not", 0, plain(P::Not)),
        ("length", 0, plain(P::Length)),
        ("utf8bytelength", 0, plain(P::Utf8ByteLength)),
        ("type", 0, plain(P::Type)),
        ("keys", 0, plain(P::Keys)),
        ("keys_unsorted", 0, plain(P::Keys)),
        ("has", 1, plain(P::Has)),
        ("contains", 1, plain(P::Contains)),
        ("add", 0, plain(P::Add)),
        ("reverse", 0, plain(P::Reverse)),
        ("sort", 0, plain(P::Sort)),
        ("_sort_by", 1, plain(P::SortBy)),
        ("_group_by", 1, plain(P::GroupBy)),
        ("flatten", 0, plain(P::Flatten)),
        ("flatten", 1, plain(P::FlattenTo)),
        ("to_entries", 0, plain(P::ToEntries)),
        ("transpose", 0, plain(P::Transpose)),
        ("indices", 1, plain(P::Indices)),
        ("floor", 0, plain(P::Floor)),
        ("ceil", 0, plain(P::Ceil)),
        ("round", 0, plain(P::Round)),
        ("sqrt", 0, plain(P::Sqrt)),
        ("pow", 2, plain(P::Pow)),
        ("tostring", 0, text(T::ToString)),
        ("tojson", 0, text(T::ToJson)),
        ("fromjson", 0, text(T::FromJson)),
        ("tonumber", 0, text(T::ToNumber)),
        ("ascii_downcase", 0, text(T::Downcase)),
        ("ascii_upcase", 0, text(T::Upcase)),
        ("startswith", 1, text(T::StartsWith)),
        ("endswith", 1, text(T::EndsWith)),
        ("ltrimstr", 1, text(T::TrimPrefix)),
        ("rtrimstr", 1, text(T::TrimSuffix)),
        ("trim", 0, text(T::Trim)),
        ("ltrim", 0, text(T::TrimStart)),
        ("rtrim", 0, text(T::TrimEnd)),
        ("split", 1, text(T::Split)),
        ("join", 1, text(T::Join)),
        ("explode", 0, text(T::Explode)),
        ("implode", 0, text(T::Implode)),
    ]
};

impl Native {
    pub fn of(name: &str, arity: usize) -> Option<Self> {
        if (name, arity) == ("_match", 3) {
            return Some(Self::Plain(Plain::Text(text::TextFunction::Match)));
        }
        NAMES.iter().find(|(known, args, _)| (*known, *args) == (name, arity)).map(|(_, _, native)| *native)
    }
}

/// Runs a function.
pub fn run<'p, 'v>(
    machine: &mut Machine,
    native: Native,
    args: &'p [Expr],
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let place = Place { env, trail, input };
    match (native, args) {
        (Native::Empty, _) => Ok(()),
        (Native::Error, _) => Err(Stop::Error(place.input.get().clone())),
        (Native::ErrorWith, [message]) => {
            place.each(machine, message, &mut |_, value| Err(Stop::Error(value.get().clone())))
        }
        (Native::Path, [path]) => {
            let at = (place.env, &place.trail, &place.input);
            update::each_path(machine, path, at, &mut |machine, path| {
                let value = machine.built(update::path_value(&path))?;
                out(machine, place.trail.lost(), value)
            })
        }
        (Native::Range | Native::RangeFrom | Native::RangeBy, _) => ranges(machine, args, &place, out),
        (Native::First, [inner]) => first(machine, inner, &place, out),
        (Native::Limit, [count, inner]) => limit(machine, count, inner, &place, out),
        (Native::Until, [done, next]) => until(machine, done, next, &place, out),
        (Native::While, [goes_on, next]) => {
            while_true(machine, (goes_on, next), env, place.trail, place.input, out)
        }
        (Native::Repeat, [next]) => repeat(machine, next, env, place.trail, place.input, out),
        (Native::Recurse, [next]) => recurse(machine, next, env, place.trail, place.input, out),
        (Native::GetPath, [path]) => place.each(machine, path, &mut |machine, path| {
            let path = update::path_of(path.get())?;
            let (trail, value) = update::follow(machine, &place.trail, &place.input, &path)?;
            out(machine, trail, value)
        }),
        (Native::SetPath, [path, value]) => place.each(machine, path, &mut |machine, path| {
            let path = update::path_of(path.get())?;
            place.each(machine, value, &mut |machine, value| {
                machine.build(access::size(place.input.get()))?;
                let whole = update::set(machine, place.input.get().clone(), &path, value.get().clone())?;
                out(machine, place.trail.lost(), Held::new(whole))
            })
        }),
        (Native::DelPaths, [paths]) => place.each(machine, paths, &mut |machine, paths| {
            let paths = paths.get().as_list().unwrap_or_default().iter().map(update::path_of);
            let paths = paths.collect::<Flow<Vec<_>>>()?;
            machine.build(access::size(place.input.get()))?;
            let whole = update::delete(machine, place.input.get().clone(), &paths)?;
            out(machine, place.trail.lost(), Held::new(whole))
        }),
        (Native::Plain(function), _) => plain(machine, function, args, Vec::new(), &place, out),
        (_, _) => error("a function has another number of arguments"),
    }
}

/// Where a function is called.
struct Place<'a, 'p, 'v> {
    env: &'a Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
}

impl<'p, 'v> Place<'_, 'p, 'v> {
    fn each(
        &self,
        machine: &mut Machine,
        expr: &'p Expr,
        each: &mut dyn FnMut(&mut Machine, Held<'v>) -> Flow,
    ) -> Flow {
        values(machine, expr, (self.env, &self.trail, &self.input), each)
    }
}

/// The arguments' values in every combination.
fn plain<'p, 'v>(
    machine: &mut Machine,
    function: Plain,
    args: &'p [Expr],
    so_far: Vec<Value>,
    place: &Place<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let Some((first, rest)) = args.split_first() else {
        let value = apply(machine, function, place.input.get(), &so_far)?;
        let value = machine.built(value)?;
        return out(machine, place.trail.lost(), value);
    };
    place.each(machine, first, &mut |machine, value| {
        let mut so_far = so_far.clone();
        so_far.push(value.get().clone());
        plain(machine, function, rest, so_far, place, out)
    })
}

fn number(value: &Value) -> Flow<f64> {
    match value {
        Value::Int(number) => Ok(*number as f64),
        Value::Float(number) => Ok(*number),
        other => error(format!("expected a number but got: {}", shown(other))),
    }
}

/// A float as the value it stands for; there is no infinity in an object.
fn from_float(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 9.0e15 {
        Value::Int(number as i64)
    } else if number.is_nan() {
        Value::Null
    } else {
        Value::Float(number.clamp(f64::MIN, f64::MAX))
    }
}

fn ranges<'p, 'v>(
    machine: &mut Machine,
    args: &'p [Expr],
    place: &Place<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let mut bounds: Vec<Vec<f64>> = Vec::new();
    for arg in args {
        let mut found = Vec::new();
        place.each(machine, arg, &mut |machine, value| {
            machine.build(8)?;
            found.push(number(value.get())?);
            Ok(())
        })?;
        bounds.push(found);
    }
    let (from, to, by) = match bounds.as_slice() {
        [to] => (vec![0.0], to.clone(), vec![1.0]),
        [from, to] => (from.clone(), to.clone(), vec![1.0]),
        [from, to, by, ..] => (from.clone(), to.clone(), by.clone()),
        [] => return Ok(()),
    };
    for by in by {
        for to in &to {
            for from in &from {
                let mut at = *from;
                while (by > 0.0 && at < *to) || (by < 0.0 && at > *to) {
                    machine.step(1)?;
                    out(machine, place.trail.lost(), Held::new(from_float(at)))?;
                    at += by;
                }
            }
        }
    }
    Ok(())
}

fn first<'p, 'v>(
    machine: &mut Machine,
    inner: &'p Expr,
    place: &Place<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let mut found = None;
    let (trail, input) = (place.trail.clone(), place.input.clone());
    until_enough(machine, inner, place.env, trail, input, &mut |_, trail, value| {
        found = Some((trail, value));
        Ok(true)
    })?;
    match found {
        Some((trail, value)) => out(machine, trail, value),
        None => Ok(()),
    }
}

fn limit<'p, 'v>(
    machine: &mut Machine,
    count: &'p Expr,
    inner: &'p Expr,
    place: &Place<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    place.each(machine, count, &mut |machine, count| {
        let mut left = number(count.get())?;
        if left <= 0.0 {
            return Ok(());
        }
        let (trail, input) = (place.trail.clone(), place.input.clone());
        until_enough(machine, inner, place.env, trail, input, &mut |machine, trail, value| {
            left -= 1.0;
            out(machine, trail, value)?;
            Ok(left <= 0.0)
        })
    })
}

/// A loop and not a recursion: what takes many rounds runs out of steps, not of stack. With several outputs the first goes
/// on.
fn until<'p, 'v>(
    machine: &mut Machine,
    done: &'p Expr,
    next: &'p Expr,
    place: &Place<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let mut at = (place.trail.clone(), place.input.clone());
    loop {
        machine.step(1)?;
        let mut is_done = false;
        values(machine, done, (place.env, &at.0, &at.1), &mut |_, value| {
            is_done = value.is_true();
            Ok(())
        })?;
        if is_done {
            return out(machine, at.0, at.1);
        }
        let mut following = None;
        until_enough(machine, next, place.env, at.0, at.1, &mut |_, trail, value| {
            following = Some((trail, value));
            Ok(true)
        })?;
        match following {
            Some(following) => at = following,
            None => return Ok(()),
        }
    }
}

fn while_true<'p, 'v>(
    machine: &mut Machine,
    (goes_on, next): (&'p Expr, &'p Expr),
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    values(machine, goes_on, (env, &trail, &input), &mut |machine, value| {
        if !value.is_true() {
            return Ok(());
        }
        out(machine, trail.clone(), input.clone())?;
        eval(machine, next, env, trail.clone(), input.clone(), &mut |machine, trail, value| {
            while_true(machine, (goes_on, next), env, trail, value, out)
        })
    })
}

fn repeat<'p, 'v>(
    machine: &mut Machine,
    next: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    out(machine, trail.clone(), input.clone())?;
    eval(machine, next, env, trail, input, &mut |machine, trail, value| {
        repeat(machine, next, env, trail, value, out)
    })
}

/// Not as its definition has it: `recurse(f)` is `def r: ., (f | r); r`, which is the same in its outputs and their order.
fn recurse<'p, 'v>(
    machine: &mut Machine,
    next: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    repeat(machine, next, env, trail, input, out)
}

fn apply(machine: &mut Machine, function: Plain, input: &Value, args: &[Value]) -> Flow<Value> {
    let arg = args.first().unwrap_or(&Value::Null);
    machine.build(std::mem::size_of::<Value>())?;
    Ok(match function {
        Plain::Not => Value::Bool(matches!(input, Value::Null | Value::Bool(false))),
        Plain::Length => return length(input),
        Plain::Utf8ByteLength => from_float(text::of(input)?.len() as f64),
        Plain::Type => Value::from(match input {
            Value::Int(_) | Value::Float(_) => "number",
            other => other.type_name(),
        }),
        Plain::Keys => return keys(input),
        Plain::Has => return has(input, arg),
        Plain::Contains => Value::Bool(contains(machine, input, arg)?),
        Plain::Add => return sum(machine, input),
        Plain::Reverse => match input {
            Value::Null => Value::List(Vec::new()),
            Value::Str(text) => Value::Str(text.chars().rev().collect()),
            _ => Value::List(items(input)?.iter().rev().cloned().collect()),
        },
        Plain::Sort => {
            let mut sorted = items(input)?.to_vec();
            machine.step(sorted.len() as u64 * 16)?;
            sorted.sort_by(order);
            Value::List(sorted)
        }
        Plain::SortBy => {
            Value::List(by_keys(machine, input, arg)?.into_iter().map(|(_, item)| item).collect())
        }
        Plain::GroupBy => group(by_keys(machine, input, arg)?),
        Plain::Flatten => Value::List(flatten(machine, input, f64::MAX)?),
        Plain::FlattenTo => Value::List(flatten(machine, input, number(arg)?)?),
        Plain::ToEntries => entries(input)?,
        Plain::Transpose => transpose(machine, input)?,
        Plain::Indices => match (input, arg) {
            (Value::Null, _) => Value::Null,
            (Value::Str(_), _) => text::indices(machine, input, arg)?,
            (_, Value::List(wanted)) => Value::List(indices(machine, items(input)?, wanted)?),
            (_, other) => Value::List(indices(machine, items(input)?, std::slice::from_ref(other))?),
        },
        Plain::Floor => from_float(number(input)?.floor()),
        Plain::Ceil => from_float(number(input)?.ceil()),
        Plain::Round => from_float(number(input)?.round()),
        Plain::Sqrt => from_float(number(input)?.sqrt()),
        Plain::Pow => from_float(number(arg)?.powf(number(args.get(1).unwrap_or(&Value::Null))?)),
        Plain::Text(function) => return text::apply(machine, function, input, args),
    })
}

fn items(value: &Value) -> Flow<&[Value]> {
    match value.as_list() {
        Some(items) => Ok(items),
        None => error(format!("expected an array but got: {}", shown(value))),
    }
}

fn length(value: &Value) -> Flow<Value> {
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

fn keys(value: &Value) -> Flow<Value> {
    match value {
        Value::Map(map) => Ok(Value::List(map.iter().map(|(name, _)| Value::from(name)).collect())),
        Value::List(items) => {
            Ok(Value::List((0..items.len()).map(|index| from_float(index as f64)).collect()))
        }
        other => error(format!("keys cannot be applied to: {}", shown(other))),
    }
}

fn has(value: &Value, key: &Value) -> Flow<Value> {
    match (value, key) {
        (Value::Map(map), Value::Str(name)) => Ok(Value::Bool(map.contains(name))),
        (Value::List(items), Value::Int(_) | Value::Float(_)) => {
            let index = number(key)?.floor();
            Ok(Value::Bool(index >= 0.0 && index < items.len() as f64))
        }
        (_, _) => error(format!("has({}) cannot be applied to: {}", shown(key), shown(value))),
    }
}

fn contains(machine: &mut Machine, value: &Value, part: &Value) -> Flow<bool> {
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

fn sum(machine: &mut Machine, value: &Value) -> Flow<Value> {
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
fn by_keys(machine: &mut Machine, value: &Value, keys: &Value) -> Flow<Vec<(Value, Value)>> {
    let keys = keys.as_list().unwrap_or_default().iter().cloned();
    let mut pairs: Vec<(Value, Value)> = keys.zip(items(value)?.iter().cloned()).collect();
    machine.step(pairs.len() as u64 * 16)?;
    pairs.sort_by(|left, right| order(&left.0, &right.0));
    Ok(pairs)
}

fn group(pairs: Vec<(Value, Value)>) -> Value {
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for (key, item) in pairs {
        match groups.last_mut() {
            Some((last, items)) if *last == key => items.push(item),
            Some(_) | None => groups.push((key, vec![item])),
        }
    }
    Value::List(groups.into_iter().map(|(_, items)| Value::List(items)).collect())
}

fn flatten(machine: &mut Machine, value: &Value, depth: f64) -> Flow<Vec<Value>> {
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

fn entries(value: &Value) -> Flow<Value> {
    let Some(map) = value.as_map() else {
        return error(format!("to_entries cannot be applied to: {}", shown(value)));
    };
    let entry = |(name, value): (&str, &Value)| {
        let entry = [("key", Value::from(name)), ("value", value.clone())];
        Value::Map(entry.into_iter().collect::<Map>())
    };
    Ok(Value::List(map.iter().map(entry).collect()))
}

fn transpose(machine: &mut Machine, value: &Value) -> Flow<Value> {
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
fn order(left: &Value, right: &Value) -> Ordering {
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
