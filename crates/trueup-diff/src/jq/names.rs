//! Names: what binds them, and what calling by one does.

use trueup_object::{Text, Value};

use super::access::{self, Trail};
use super::compile::prelude;
use super::machine::{Bound, Env, Flow, Held, Machine, Out, error};
use super::run::{At, eval, values};
use super::syntax::{Def, Expr, Pattern};

pub fn variable<'p, 'v>(
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

pub fn bound<'p, 'v>(
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
pub fn destructure<'p, 'v>(
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

pub fn destructure_items<'p, 'v>(
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

pub fn destructure_entries<'p, 'v>(
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

pub fn local<'p, 'v>(
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
pub fn call<'p, 'v>(
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

pub fn parameters<'p, 'v>(
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
