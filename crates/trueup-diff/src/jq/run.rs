//! Runs a program: each output is handed on as it is made, so that `first` and the like stop the rest.
//!
//! Every expression that is entered costs a step, every value that is built costs room, and nesting has an end. Beside its
//! value each output carries the path by which it was reached, where paths are asked for at all.

use trueup_object::{Map, Text, Value};

use super::access::{self, Path, Trail};
use super::machine::{Bound, DEPTH_MAX, Env, Flow, Held, Machine, Out, RAISED, Stop, error};
use super::names::{bound, call, destructure, local, variable};
use super::syntax::{Access, Expr, Fold, Format, Part};
use super::{math, native};
use super::{text, update};
use crate::ignore::RuleFailure;

/// The paths that a program names in an object.
pub fn paths(code: &Expr, object: &Value) -> Result<Vec<Path>, RuleFailure> {
    let mut machine = Machine::new();
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
        // What an expression makes of the object may hold a secret; our own messages never quote a value.
        Err(Stop::Error(_)) if machine.raised => Err(RuleFailure::Error(RAISED.to_owned())),
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
                math::math(machine, *op, left, right)
            })
        }
        Expr::Compare(left, op, right) => {
            pairs(machine, left, right, (env, &trail, &input), out, &|_, left, right| {
                Ok(Value::Bool(math::compare(*op, left, right)))
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
