//! Functions that are not written in jq.

use trueup_object::Value;

use super::access::{self, Trail};
use super::items::{
    by_keys, contains, entries, flatten, group, has, indices, items, keys, length, sum, transpose,
};
use super::machine::{Env, Flow, Held, Machine, Out, error};
use super::math::{from_float, number, order};
use super::run::{eval, until_enough, values};
use super::syntax::Expr;
use super::text;
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
        (Native::Error, _) => machine.raise(place.input.get().clone()),
        (Native::ErrorWith, [message]) => {
            place.each(machine, message, &mut |machine, value| machine.raise(value.get().clone()))
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
