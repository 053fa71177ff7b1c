//! Runs a program: each output is handed on as it is made, so that `first` and the like stop the rest.
//!
//! Every expression that is entered costs a step, every value that is built costs room, and nesting has an end. Beside its
//! value each output carries the path by which it was reached, where paths are asked for at all.

use std::rc::Rc;

use trueup_object::{Map, Text, Value};

use super::access::{self, Path, Trail};
use super::compile::prelude;
use super::native;
use super::syntax::{Access, Def, Expr, Fold, Format, Part, Pattern};
use super::{text, update};
use crate::ignore::RuleFailure;

/// Worth about a second of a busy processor at the most (contracts: "Limits"). A rule on a large object takes thousands.
const STEPS_MAX: u64 = 2_000_000;
/// Bytes of values that one run may build.
const ROOM_MAX: u64 = 64 << 20;
/// Expressions within expressions, outputs included. Each takes up to two kilobytes of stack in a build for development.
const DEPTH_MAX: usize = 400;

/// Why a run does not go on.
#[derive(Debug)]
pub enum Stop {
    /// An error of the program, which `try` catches.
    Error(Value),
    /// `break`, to the label of that number.
    Break(u64),
    /// A limit is reached. Nothing catches this.
    Exhausted(String),
    /// What stops is kept by whoever asked for it.
    Kept,
}

pub type Flow<T = ()> = Result<T, Stop>;

/// Takes an output.
pub type Out<'o, 'p, 'v> = &'o mut dyn FnMut(&mut Machine, Trail, Held<'v>) -> Flow;

/// A value: a part of the object, or one that was built.
#[derive(Debug, Clone)]
pub enum Held<'v> {
    Part(&'v Value),
    Built(Rc<Value>),
}

impl<'v> Held<'v> {
    pub fn new(value: Value) -> Self {
        Self::Built(Rc::new(value))
    }

    pub fn get(&self) -> &Value {
        match self {
            Self::Part(value) => value,
            Self::Built(value) => value,
        }
    }

    pub fn is_true(&self) -> bool {
        !matches!(self.get(), Value::Null | Value::Bool(false))
    }
}

/// What a run has used.
#[derive(Debug, Default)]
pub struct Machine {
    steps: u64,
    room: u64,
    depth: usize,
    labels: u64,
}

pub fn error<T>(message: impl Into<String>) -> Flow<T> {
    Err(Stop::Error(Value::from(message.into().as_str())))
}

impl Machine {
    /// Counts steps.
    pub fn step(&mut self, steps: u64) -> Flow {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > STEPS_MAX {
            return Err(Stop::Exhausted(format!("it takes more than {STEPS_MAX} steps")));
        }
        Ok(())
    }

    /// Counts what a value takes that is built, and the step of building it.
    pub fn build(&mut self, bytes: usize) -> Flow {
        self.room = self.room.saturating_add(bytes as u64);
        if self.room > ROOM_MAX {
            return Err(Stop::Exhausted(format!("it builds more than {} MiB of values", ROOM_MAX >> 20)));
        }
        self.step(bytes as u64 / 64)
    }

    pub fn built<'v>(&mut self, value: Value) -> Flow<Held<'v>> {
        self.build(access::size(&value))?;
        Ok(Held::new(value))
    }

    fn label(&mut self) -> u64 {
        self.labels += 1;
        self.labels
    }
}

/// What names stand for.
#[derive(Clone, Default)]
pub struct Env<'p, 'v>(Option<Rc<Frame<'p, 'v>>>);

struct Frame<'p, 'v> {
    bound: Bound<'p, 'v>,
    outer: Env<'p, 'v>,
}

enum Bound<'p, 'v> {
    Var(&'p str, Held<'v>),
    /// A parameter: an expression and where it was written.
    Closure(&'p str, &'p Expr, Env<'p, 'v>),
    Def(&'p Def),
    Label(&'p str, u64),
}

impl<'p, 'v> Env<'p, 'v> {
    fn with(&self, bound: Bound<'p, 'v>) -> Self {
        Self(Some(Rc::new(Frame { bound, outer: self.clone() })))
    }

    pub fn with_var(&self, name: &'p str, value: Held<'v>) -> Self {
        self.with(Bound::Var(name, value))
    }

    fn frames(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |env| env.0.as_ref().map(|frame| &frame.outer))
    }
}

/// The paths that a program names in an object.
pub fn paths(code: &Expr, object: &Value) -> Result<Vec<Path>, RuleFailure> {
    let mut machine = Machine::default();
    let mut found = Vec::new();
    let run = eval(
        &mut machine,
        code,
        &Env::default(),
        Trail::root(),
        Held::Part(object),
        &mut |machine, trail, value| {
            machine.step(1)?;
            found.push(trail.path(value.get())?);
            Ok(())
        },
    );
    match run {
        Ok(()) => Ok(found),
        Err(Stop::Error(value)) => Err(RuleFailure::Error(text::message(&value))),
        Err(Stop::Exhausted(why)) => Err(RuleFailure::Exhausted(why)),
        Err(Stop::Break(_) | Stop::Kept) => Err(RuleFailure::Error("break without its label".to_owned())),
    }
}

/// Hands every output of an expression on.
pub fn eval<'p, 'v>(
    machine: &mut Machine,
    expr: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    machine.step(1)?;
    machine.depth += 1;
    let result = if machine.depth > DEPTH_MAX {
        Err(Stop::Exhausted(format!("it nests deeper than {DEPTH_MAX}")))
    } else {
        dispatch(machine, expr, env, trail, input, out)
    };
    machine.depth -= 1;
    result
}

/// Each kind of expression has its function, so that the frame of this one, which every level takes, stays small.
fn dispatch<'p, 'v>(
    machine: &mut Machine,
    expr: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    match expr {
        Expr::Id => out(machine, trail, input),
        Expr::Recurse => recurse(machine, &trail, &input, out),
        Expr::Const(value) => constant(machine, value, &trail, out),
        Expr::Format(format, parts) => filled(machine, *format, parts, (env, &trail, &input), out),
        Expr::List(inner) => list(machine, inner.as_deref(), env, &trail, input, out),
        Expr::Object(entries) => object(machine, entries, Map::new(), (env, &trail, &input), out),
        Expr::Neg(inner) => negative(machine, inner, env, &trail, input, out),
        Expr::Pipe(left, right) => pipe(machine, left, right, env, trail, input, out),
        Expr::Bind(source, pattern, body) => bound(machine, (source, pattern, body), env, trail, input, out),
        Expr::Comma(left, right) => {
            eval(machine, left, env, trail.clone(), input.clone(), out)?;
            eval(machine, right, env, trail, input, out)
        }
        Expr::Alt(left, right) => alternative(machine, left, right, env, trail, input, out),
        Expr::Logic(left, decides, right) => logic(machine, (left, *decides, right), env, &trail, input, out),
        Expr::Math(left, op, right) => {
            pairs(machine, left, right, (env, &trail, &input), out, &|machine, left, right| {
                native::math(machine, *op, left, right)
            })
        }
        Expr::Compare(left, op, right) => {
            pairs(machine, left, right, (env, &trail, &input), out, &|_, left, right| {
                Ok(Value::Bool(native::compare(*op, left, right)))
            })
        }
        Expr::Assign(path, value) => update::assign(machine, path, value, (env, &trail, &input), out),
        Expr::Update(path, update) => update::update(machine, path, update, (env, &trail, &input), out),
        Expr::UpdateWith(path, value, update) => {
            update::update_with(machine, (path, value, update), (env, &trail, &input), out)
        }
        Expr::Label(name, inner) => label(machine, name, inner, env, trail, input, out),
        Expr::Break(name) => Err(break_to(env, name)),
        Expr::Reduce(fold) => reduce(machine, fold, env, &trail, input, out),
        Expr::Foreach(fold, extract) => foreach(machine, fold, extract.as_deref(), env, trail, input, out),
        Expr::Try(inner, catch) => attempt(machine, inner, catch.as_deref(), env, trail, input, out),
        Expr::If(condition, then, otherwise) => {
            branch(machine, (condition, then, otherwise.as_deref()), env, trail, input, out)
        }
        Expr::Def(def, inner) => eval(machine, inner, &env.with(Bound::Def(def)), trail, input, out),
        Expr::Local(name, args) => local(machine, name, args, env, trail, input, out),
        Expr::Known(def, args) => call(machine, def, &Env::default(), args, env, trail, input, out),
        Expr::Native(native, args) => native::run(machine, *native, args, env, trail, input, out),
        Expr::Var(name) => variable(machine, name, env, &trail, out),
        Expr::Index(base, key, access) => index(machine, (base, key, *access), env, trail, input, out),
        Expr::Slice(base, from, to, access) => {
            slice(machine, (base, from.as_deref(), to.as_deref(), *access), env, trail, input, out)
        }
        Expr::Iterate(base, access) => {
            eval(machine, base, env, trail, input, &mut |machine, trail, value| {
                if *access == Access::May && !matches!(value.get(), Value::List(_) | Value::Map(_)) {
                    return Ok(());
                }
                access::each(machine, &trail, &value, out)
            })
        }
    }
}

/// Where an expression is run that is asked for values only.
pub type At<'a, 'p, 'v> = (&'a Env<'p, 'v>, &'a Trail, &'a Held<'v>);

/// Every value of an expression, without paths.
pub fn values<'p, 'v>(
    machine: &mut Machine,
    expr: &'p Expr,
    (env, _, input): At<'_, 'p, 'v>,
    each: &mut dyn FnMut(&mut Machine, Held<'v>) -> Flow,
) -> Flow {
    eval(machine, expr, env, Trail::Off, input.clone(), &mut |machine, _, value| each(machine, value))
}

fn recurse<'p, 'v>(machine: &mut Machine, trail: &Trail, input: &Held<'v>, out: Out<'_, 'p, 'v>) -> Flow {
    out(machine, trail.clone(), input.clone())?;
    if !matches!(input.get(), Value::List(_) | Value::Map(_)) {
        return Ok(());
    }
    machine.step(1)?;
    access::each(machine, trail, input, &mut |machine, trail, value| recurse(machine, &trail, &value, out))
}

fn constant<'p, 'v>(machine: &mut Machine, value: &Value, trail: &Trail, out: Out<'_, 'p, 'v>) -> Flow {
    let value = machine.built(value.clone())?;
    out(machine, trail.lost(), value)
}

fn variable<'p, 'v>(
    machine: &mut Machine,
    name: &str,
    env: &Env<'p, 'v>,
    trail: &Trail,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    for env in env.frames() {
        if let Some(Bound::Var(known, value)) = env.0.as_ref().map(|frame| &frame.bound)
            && *known == name
        {
            return out(machine, trail.lost(), value.clone());
        }
    }
    error(format!("{name} is not there"))
}

fn filled<'p, 'v>(
    machine: &mut Machine,
    format: Format,
    parts: &'p [Part],
    at: At<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    fill(machine, format, parts, String::new(), at, &mut |machine, text| {
        let value = machine.built(Value::Str(Text::from(text)))?;
        out(machine, at.1.lost(), value)
    })
}

fn fill<'p, 'v>(
    machine: &mut Machine,
    format: Format,
    parts: &'p [Part],
    so_far: String,
    at: At<'_, 'p, 'v>,
    out: &mut dyn FnMut(&mut Machine, String) -> Flow,
) -> Flow {
    let Some((first, rest)) = parts.split_first() else { return out(machine, so_far) };
    match first {
        Part::Text(text) => fill(machine, format, rest, so_far + text, at, out),
        Part::Expr(expr) => values(machine, expr, at, &mut |machine, value| {
            let written = text::written(machine, format, value.get())?;
            fill(machine, format, rest, format!("{so_far}{written}"), at, out)
        }),
    }
}

fn list<'p, 'v>(
    machine: &mut Machine,
    inner: Option<&'p Expr>,
    env: &Env<'p, 'v>,
    trail: &Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let mut items = Vec::new();
    if let Some(inner) = inner {
        values(machine, inner, (env, trail, &input), &mut |machine, value| {
            machine.build(access::size(value.get()))?;
            items.push(value.get().clone());
            Ok(())
        })?;
    }
    out(machine, trail.lost(), Held::new(Value::List(items)))
}

fn object<'p, 'v>(
    machine: &mut Machine,
    entries: &'p [(Expr, Expr)],
    so_far: Map,
    at: At<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let Some(((key, value), rest)) = entries.split_first() else {
        return out(machine, at.1.lost(), Held::new(Value::Map(so_far)));
    };
    values(machine, key, at, &mut |machine, key| {
        let Some(name) = key.get().as_str().map(Text::from) else {
            return error(format!("expected a string for object key but got: {}", text::shown(key.get())));
        };
        values(machine, value, at, &mut |machine, value| {
            let mut map = so_far.clone();
            machine.build(access::size(value.get()) + name.len() + 32 * map.len())?;
            map.insert(name.clone(), value.get().clone());
            object(machine, rest, map, at, out)
        })
    })
}

fn negative<'p, 'v>(
    machine: &mut Machine,
    inner: &'p Expr,
    env: &Env<'p, 'v>,
    trail: &Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    values(machine, inner, (env, trail, &input), &mut |machine, value| {
        let negative = match value.get() {
            Value::Int(number) => Value::Int(number.saturating_neg()),
            Value::Float(number) => Value::Float(-number),
            other => return error(format!("cannot negate: {}", text::shown(other))),
        };
        out(machine, trail.lost(), Held::new(negative))
    })
}

fn pipe<'p, 'v>(
    machine: &mut Machine,
    left: &'p Expr,
    right: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    eval(machine, left, env, trail, input, &mut |machine, trail, value| {
        eval(machine, right, env, trail, value, out)
    })
}

fn bound<'p, 'v>(
    machine: &mut Machine,
    (source, pattern, body): (&'p Expr, &'p Pattern, &'p Expr),
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    values(machine, source, (env, &trail, &input), &mut |machine, value| {
        destructure(machine, pattern, value, env, &mut |machine, env| {
            eval(machine, body, env, trail.clone(), input.clone(), out)
        })
    })
}

/// Binds the parts of a value to the names of a pattern.
fn destructure<'p, 'v>(
    machine: &mut Machine,
    pattern: &'p Pattern,
    value: Held<'v>,
    env: &Env<'p, 'v>,
    then: &mut dyn FnMut(&mut Machine, &Env<'p, 'v>) -> Flow,
) -> Flow {
    match pattern {
        Pattern::Var(name) => then(machine, &env.with_var(name, value)),
        Pattern::List(items) => destructure_items(machine, items, 0, &value, env, then),
        Pattern::Object(entries) => destructure_entries(machine, entries, &value, env, then),
    }
}

fn destructure_items<'p, 'v>(
    machine: &mut Machine,
    items: &'p [Pattern],
    at: i64,
    value: &Held<'v>,
    env: &Env<'p, 'v>,
    then: &mut dyn FnMut(&mut Machine, &Env<'p, 'v>) -> Flow,
) -> Flow {
    let Some((first, rest)) = items.split_first() else { return then(machine, env) };
    let part = access::value_at(machine, value, &Value::Int(at))?;
    destructure(machine, first, part, env, &mut |machine, env| {
        destructure_items(machine, rest, at + 1, value, env, then)
    })
}

fn destructure_entries<'p, 'v>(
    machine: &mut Machine,
    entries: &'p [(Expr, Pattern)],
    value: &Held<'v>,
    env: &Env<'p, 'v>,
    then: &mut dyn FnMut(&mut Machine, &Env<'p, 'v>) -> Flow,
) -> Flow {
    let Some(((key, pattern), rest)) = entries.split_first() else { return then(machine, env) };
    values(machine, key, (env, &Trail::Off, value), &mut |machine, key| {
        let part = access::value_at(machine, value, key.get())?;
        destructure(machine, pattern, part, env, &mut |machine, env| {
            destructure_entries(machine, rest, value, env, then)
        })
    })
}

/// Runs an expression; what stops its receiver is no matter of the expression's own.
fn guarded<'p, 'v>(
    machine: &mut Machine,
    expr: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: &mut dyn FnMut(&mut Machine, Trail, Held<'v>) -> Flow,
) -> Flow<Result<(), Value>> {
    let mut kept = None;
    let result = eval(machine, expr, env, trail, input, &mut |machine, trail, value| {
        out(machine, trail, value).map_err(|stop| {
            kept = Some(stop);
            Stop::Kept
        })
    });
    if let Some(stop) = kept {
        return Err(stop);
    }
    match result {
        Ok(()) => Ok(Ok(())),
        Err(Stop::Error(value)) => Ok(Err(value)),
        Err(stop) => Err(stop),
    }
}

fn alternative<'p, 'v>(
    machine: &mut Machine,
    left: &'p Expr,
    right: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let mut any = false;
    let _error = guarded(machine, left, env, trail.clone(), input.clone(), &mut |machine, trail, value| {
        if !value.is_true() {
            return Ok(());
        }
        any = true;
        out(machine, trail, value)
    })?;
    if any { Ok(()) } else { eval(machine, right, env, trail, input, out) }
}

fn logic<'p, 'v>(
    machine: &mut Machine,
    (left, decides, right): (&'p Expr, bool, &'p Expr),
    env: &Env<'p, 'v>,
    trail: &Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let at = (env, trail, &input);
    values(machine, left, at, &mut |machine, value| {
        if value.is_true() == decides {
            return out(machine, trail.lost(), Held::new(Value::Bool(decides)));
        }
        values(machine, right, at, &mut |machine, value| {
            out(machine, trail.lost(), Held::new(Value::Bool(value.is_true())))
        })
    })
}

/// Two expressions as one value for each pair; jq runs the right one first.
fn pairs<'p, 'v>(
    machine: &mut Machine,
    left: &'p Expr,
    right: &'p Expr,
    at: At<'_, 'p, 'v>,
    out: Out<'_, 'p, 'v>,
    op: &dyn Fn(&mut Machine, &Value, &Value) -> Flow<Value>,
) -> Flow {
    values(machine, right, at, &mut |machine, right| {
        values(machine, left, at, &mut |machine, left| {
            let value = op(machine, left.get(), right.get())?;
            let value = machine.built(value)?;
            out(machine, at.1.lost(), value)
        })
    })
}

fn label<'p, 'v>(
    machine: &mut Machine,
    name: &'p str,
    inner: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let number = machine.label();
    match eval(machine, inner, &env.with(Bound::Label(name, number)), trail, input, out) {
        Err(Stop::Break(to)) if to == number => Ok(()),
        other => other,
    }
}

fn break_to(env: &Env<'_, '_>, name: &str) -> Stop {
    for env in env.frames() {
        if let Some(Bound::Label(known, number)) = env.0.as_ref().map(|frame| &frame.bound)
            && *known == name
        {
            return Stop::Break(*number);
        }
    }
    Stop::Error(Value::from("break without its label"))
}

/// Runs an expression until its receiver has enough.
pub fn until_enough<'p, 'v>(
    machine: &mut Machine,
    expr: &'p Expr,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: &mut dyn FnMut(&mut Machine, Trail, Held<'v>) -> Flow<bool>,
) -> Flow {
    let number = machine.label();
    let run = eval(machine, expr, env, trail, input, &mut |machine, trail, value| {
        if out(machine, trail, value)? { Err(Stop::Break(number)) } else { Ok(()) }
    });
    match run {
        Err(Stop::Break(to)) if to == number => Ok(()),
        other => other,
    }
}

fn reduce<'p, 'v>(
    machine: &mut Machine,
    fold: &'p Fold,
    env: &Env<'p, 'v>,
    trail: &Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let at = (env, trail, &input);
    values(machine, &fold.init, at, &mut |machine, init| {
        let mut state = init;
        values(machine, &fold.source, at, &mut |machine, item| {
            destructure(machine, &fold.pattern, item, env, &mut |machine, env| {
                let mut last = None;
                values(machine, &fold.update, (env, trail, &state), &mut |_, value| {
                    last = Some(value);
                    Ok(())
                })?;
                state = last.unwrap_or_else(|| Held::new(Value::Null));
                Ok(())
            })
        })?;
        out(machine, trail.lost(), state)
    })
}

fn foreach<'p, 'v>(
    machine: &mut Machine,
    fold: &'p Fold,
    extract: Option<&'p Expr>,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let at = (env, &trail, &input);
    values(machine, &fold.init, at, &mut |machine, init| {
        let mut state = init;
        values(machine, &fold.source, at, &mut |machine, item| {
            destructure(machine, &fold.pattern, item, env, &mut |machine, env| {
                let before = state.clone();
                values(machine, &fold.update, (env, &trail, &before), &mut |machine, value| {
                    state = value.clone();
                    match extract {
                        Some(extract) => eval(machine, extract, env, trail.lost(), value, out),
                        None => out(machine, trail.lost(), value),
                    }
                })
            })
        })
    })
}

fn attempt<'p, 'v>(
    machine: &mut Machine,
    inner: &'p Expr,
    catch: Option<&'p Expr>,
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    match (guarded(machine, inner, env, trail.clone(), input, out)?, catch) {
        (Ok(()), _) | (Err(_), None) => Ok(()),
        (Err(value), Some(catch)) => eval(machine, catch, env, trail.lost(), Held::new(value), out),
    }
}

fn branch<'p, 'v>(
    machine: &mut Machine,
    (condition, then, otherwise): (&'p Expr, &'p Expr, Option<&'p Expr>),
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    values(machine, condition, (env, &trail, &input), &mut |machine, value| {
        let chosen = if value.is_true() { Some(then) } else { otherwise };
        match chosen {
            Some(chosen) => eval(machine, chosen, env, trail.clone(), input.clone(), out),
            None => out(machine, trail.clone(), input.clone()),
        }
    })
}

fn local<'p, 'v>(
    machine: &mut Machine,
    name: &'p str,
    args: &'p [Expr],
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    for found in env.frames() {
        match found.0.as_ref().map(|frame| &frame.bound) {
            Some(Bound::Closure(known, expr, written)) if *known == name && args.is_empty() => {
                return eval(machine, expr, written, trail, input, out);
            }
            Some(Bound::Def(def)) if def.name == name && def.parameters.len() == args.len() => {
                return call(machine, def, found, args, env, trail, input, out);
            }
            Some(_) | None => {}
        }
    }
    match prelude().iter().find(|def| def.name == name && def.parameters.len() == args.len()) {
        Some(def) => call(machine, def, &Env::default(), args, env, trail, input, out),
        None => error(format!("{name} is not there")),
    }
}

/// Calls a definition: its arguments mean what they mean where they are written.
#[expect(clippy::too_many_arguments, reason = "the state of a run, handed down as it is")]
fn call<'p, 'v>(
    machine: &mut Machine,
    def: &'p Def,
    home: &Env<'p, 'v>,
    args: &'p [Expr],
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    parameters(machine, (&def.parameters, args), home, (env, &trail, &input), &mut |machine, inner| {
        eval(machine, &def.body, inner, trail.clone(), input.clone(), out)
    })
}

fn parameters<'p, 'v>(
    machine: &mut Machine,
    (names, args): (&'p [Text], &'p [Expr]),
    inner: &Env<'p, 'v>,
    at: At<'_, 'p, 'v>,
    then: &mut dyn FnMut(&mut Machine, &Env<'p, 'v>) -> Flow,
) -> Flow {
    let (Some((name, names)), Some((arg, args))) = (names.split_first(), args.split_first()) else {
        return then(machine, inner);
    };
    let bare = name.trim_start_matches('$');
    let inner = inner.with(Bound::Closure(bare, arg, at.0.clone()));
    if bare.len() == name.len() {
        return parameters(machine, (names, args), &inner, at, then);
    }
    values(machine, arg, at, &mut |machine, value| {
        parameters(machine, (names, args), &inner.with_var(name, value), at, then)
    })
}

/// Nothing, where an access fails that may.
fn unless_optional<T>(found: Flow<T>, access: Access) -> Flow<Option<T>> {
    match (found, access) {
        (Err(Stop::Error(_)), Access::May) => Ok(None),
        (found, _) => found.map(Some),
    }
}

fn index<'p, 'v>(
    machine: &mut Machine,
    (base, key, access): (&'p Expr, &'p Expr, Access),
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    let mut at = |machine: &mut Machine, trail: &Trail, value: &Held<'v>, key: &Value| match unless_optional(
        access::at(machine, trail, value, key),
        access,
    )? {
        Some((trail, value)) => out(machine, trail, value),
        None => Ok(()),
    };
    if let Expr::Const(key) = key {
        return eval(machine, base, env, trail, input, &mut |machine, trail, value| {
            at(machine, &trail, &value, key)
        });
    }
    eval(machine, base, env, trail, input.clone(), &mut |machine, trail, value| {
        values(machine, key, (env, &trail, &input), &mut |machine, key| {
            at(machine, &trail, &value, key.get())
        })
    })
}

fn slice<'p, 'v>(
    machine: &mut Machine,
    (base, from, to, access): (&'p Expr, Option<&'p Expr>, Option<&'p Expr>, Access),
    env: &Env<'p, 'v>,
    trail: Trail,
    input: Held<'v>,
    out: Out<'_, 'p, 'v>,
) -> Flow {
    eval(machine, base, env, trail, input.clone(), &mut |machine, trail, value| {
        each_bound(machine, to, env, &input, &mut |machine, to| {
            each_bound(machine, from, env, &input, &mut |machine, from| match unless_optional(
                access::slice(machine, &trail, &value, from, to),
                access,
            )? {
                Some((trail, value)) => out(machine, trail, value),
                None => Ok(()),
            })
        })
    })
}

fn each_bound<'p, 'v>(
    machine: &mut Machine,
    bound: Option<&'p Expr>,
    env: &Env<'p, 'v>,
    input: &Held<'v>,
    each: &mut dyn FnMut(&mut Machine, Option<i64>) -> Flow,
) -> Flow {
    let Some(bound) = bound else { return each(machine, None) };
    values(machine, bound, (env, &Trail::Off, input), &mut |machine, value| match value.get() {
        Value::Null => each(machine, None),
        Value::Int(number) => each(machine, Some(*number)),
        Value::Float(number) => each(machine, Some(number.floor() as i64)),
        other => error(format!("expected a number for slicing but got: {}", text::shown(other))),
    })
}
