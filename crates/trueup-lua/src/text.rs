//! The library `string`: the interpreter's own, but for what can take long or make code.

use std::sync::Arc;

use mlua::{Function, Lua, LuaString, MultiValue, Table, Value as LuaValue};

use crate::pattern::{Capture, Matcher};
use crate::state::Run;

/// A pattern with one of these is not plain text.
const SPECIALS: &[u8] = b"^$*+?.([%-";

/// The library.
pub(crate) fn library(lua: &Lua, run: &Arc<Run>) -> mlua::Result<Table> {
    let library = lua.create_table()?;
    for pair in lua.globals().get::<Table>("string")?.pairs::<String, LuaValue>() {
        let (name, entry) = pair?;
        library.raw_set(name, entry)?;
    }
    library.raw_set("dump", LuaValue::Nil)?;
    let known = run.clone();
    library.raw_set(
        "find",
        lua.create_function(move |lua, (subject, pattern, init, plain): Searched| {
            search(lua, &known, &subject, &pattern, init, Search::Find { plain: plain.unwrap_or_default() })
        })?,
    )?;
    let known = run.clone();
    library.raw_set(
        "match",
        lua.create_function(move |lua, (subject, pattern, init, _): Searched| {
            search(lua, &known, &subject, &pattern, init, Search::Match)
        })?,
    )?;
    let known = run.clone();
    let each = lua.create_function(move |lua, (subject, pattern): (LuaString, LuaString)| {
        each(lua, &known, &subject, &pattern)
    })?;
    library.raw_set("gmatch", each.clone())?;
    library.raw_set("gfind", each)?;
    let known = run.clone();
    library.raw_set(
        "gsub",
        lua.create_function(
            move |lua, (subject, pattern, with, max): (LuaString, LuaString, LuaValue, Option<f64>)| {
                replace(lua, &known, &subject, &pattern, &with, max)
            },
        )?,
    )?;
    Ok(library)
}

type Searched = (LuaString, LuaString, Option<f64>, Option<bool>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Search {
    Find { plain: bool },
    Match,
}

/// `find` and `match`.
fn search(
    lua: &Lua,
    run: &Run,
    subject: &LuaString,
    pattern: &LuaString,
    init: Option<f64>,
    search: Search,
) -> mlua::Result<MultiValue> {
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let start = from(init, subject.len());
    if let Search::Find { plain } = search
        && (plain || !pattern.iter().any(|byte| SPECIALS.contains(byte)))
    {
        run.charge(i64::try_from(subject.len() - start).unwrap_or(i64::MAX))?;
        let found = position(&subject[start..], &pattern).map(|at| at + start);
        return found.map_or_else(nothing, |at| bounds(at, at + pattern.len()));
    }
    let (is_anchored, pattern) = anchored(&pattern);
    let mut matcher = Matcher::new(&subject, pattern, run);
    for at in start..=subject.len() {
        if let Some(end) = matcher.at(at)? {
            let captures = matcher.captured(at, end)?;
            let mut found = match search {
                Search::Find { .. } => bounds(at, end)?,
                Search::Match => MultiValue::new(),
            };
            if search == Search::Match || matcher.has_captures() {
                found.extend(values(lua, &subject, &captures)?);
            }
            return Ok(found);
        }
        if is_anchored {
            break;
        }
    }
    nothing()
}

/// `gmatch`: every match after the other.
fn each(lua: &Lua, run: &Arc<Run>, subject: &LuaString, pattern: &LuaString) -> mlua::Result<Function> {
    let (subject, pattern) = (subject.as_bytes().to_vec(), pattern.as_bytes().to_vec());
    let (mut next, run) = (0, run.clone());
    lua.create_function_mut(move |lua, ()| {
        let mut matcher = Matcher::new(&subject, &pattern, &run);
        while next <= subject.len() {
            let at = next;
            if let Some(end) = matcher.at(at)? {
                next = if end == at { end + 1 } else { end };
                return Ok(values(lua, &subject, &matcher.captured(at, end)?)?
                    .into_iter()
                    .collect::<MultiValue>());
            }
            next += 1;
        }
        nothing()
    })
}

/// `gsub`
fn replace(
    lua: &Lua,
    run: &Run,
    subject: &LuaString,
    pattern: &LuaString,
    with: &LuaValue,
    max: Option<f64>,
) -> mlua::Result<(LuaString, i64)> {
    let (subject, pattern) = (subject.as_bytes(), pattern.as_bytes());
    let (is_anchored, pattern) = anchored(&pattern);
    let max = max.map_or(i64::MAX, |max| max as i64);
    let mut matcher = Matcher::new(&subject, pattern, run);
    let (mut out, mut at, mut count) = (Vec::new(), 0, 0);
    while count < max {
        let end = matcher.at(at)?;
        if let Some(end) = end {
            count += 1;
            let captures = matcher.captured(at, end)?;
            let whole = &subject[at..end];
            let added = replacement(lua, &subject, whole, &captures, with)?;
            run.charge(i64::try_from(added.len()).unwrap_or(i64::MAX))?;
            out.extend_from_slice(&added);
        }
        match end {
            Some(end) if end > at => at = end,
            Some(_) | None => match subject.get(at) {
                Some(byte) => {
                    out.push(*byte);
                    at += 1;
                }
                None => break,
            },
        }
        if is_anchored {
            break;
        }
    }
    out.extend_from_slice(subject.get(at..).unwrap_or_default());
    Ok((lua.create_string(&out)?, count))
}

/// What stands in a match's stead.
fn replacement(
    lua: &Lua,
    subject: &[u8],
    whole: &[u8],
    captures: &[Capture],
    with: &LuaValue,
) -> mlua::Result<Vec<u8>> {
    let first = || -> mlua::Result<LuaValue> {
        Ok(values(lua, subject, captures.get(..1).unwrap_or_default())?.pop().unwrap_or(LuaValue::Nil))
    };
    let found = match with {
        LuaValue::Table(table) => table.get::<LuaValue>(first()?)?,
        LuaValue::Function(function) => {
            function.call::<LuaValue>(values(lua, subject, captures)?.into_iter().collect::<MultiValue>())?
        }
        other => {
            let Some(template) = lua.coerce_string(other.clone())? else {
                let message = format!(
                    "bad argument #3 to 'gsub' (string/function/table expected, got {})",
                    other.type_name()
                );
                return Err(mlua::Error::runtime(message));
            };
            return filled(lua, &template.as_bytes(), subject, whole, captures);
        }
    };
    match found {
        LuaValue::Nil | LuaValue::Boolean(false) => Ok(whole.to_vec()),
        other => {
            let kind = other.type_name();
            let text = lua.coerce_string(other)?;
            text.map(|text| text.as_bytes().to_vec())
                .ok_or_else(|| mlua::Error::runtime(format!("invalid replacement value (a {kind})")))
        }
    }
}

/// A template with `%1` for the first capture and `%0` for all.
fn filled(
    lua: &Lua,
    template: &[u8],
    subject: &[u8],
    whole: &[u8],
    captures: &[Capture],
) -> mlua::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut rest = template.iter().copied();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        match rest.next() {
            Some(b'0') => out.extend_from_slice(whole),
            Some(digit) if digit.is_ascii_digit() => {
                let index = usize::from(digit - b'1');
                let capture = captures
                    .get(index..=index)
                    .ok_or_else(|| mlua::Error::runtime("invalid capture index"))?;
                for value in values(lua, subject, capture)? {
                    if let Some(text) = lua.coerce_string(value)? {
                        out.extend_from_slice(&text.as_bytes());
                    }
                }
            }
            Some(other) => out.push(other),
            None => return Err(mlua::Error::runtime("invalid use of '%' in replacement string")),
        }
    }
    Ok(out)
}

/// Captures as a script gets them.
fn values(lua: &Lua, subject: &[u8], captures: &[Capture]) -> mlua::Result<Vec<LuaValue>> {
    captures
        .iter()
        .map(|capture| match capture {
            Capture::Text(from, length) => {
                let text = subject.get(*from..from + length).unwrap_or_default();
                Ok(LuaValue::String(lua.create_string(text)?))
            }
            Capture::Position(at) | Capture::Open(at) => Ok(LuaValue::Number((at + 1) as f64)),
        })
        .collect()
}

fn anchored(pattern: &[u8]) -> (bool, &[u8]) {
    match pattern {
        [b'^', rest @ ..] => (true, rest),
        all => (false, all),
    }
}

/// Where a search begins: from 1, or from the end where negative.
fn from(init: Option<f64>, length: usize) -> usize {
    let init = init.unwrap_or(1.0);
    let length_f = length as f64;
    let start = if init > 0.0 {
        init - 1.0
    } else if init < 0.0 {
        length_f + init
    } else {
        0.0
    };
    start.clamp(0.0, length_f) as usize
}

fn position(subject: &[u8], wanted: &[u8]) -> Option<usize> {
    if wanted.is_empty() {
        return Some(0);
    }
    subject.windows(wanted.len()).position(|window| window == wanted)
}

fn nothing() -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_iter([LuaValue::Nil]))
}

fn bounds(start: usize, end: usize) -> mlua::Result<MultiValue> {
    Ok(MultiValue::from_iter([LuaValue::Number((start + 1) as f64), LuaValue::Number(end as f64)]))
}
