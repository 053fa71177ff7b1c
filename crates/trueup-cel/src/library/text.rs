//! Texts: the language's own functions, the string extension, regular expressions.

use regex::{Regex, RegexBuilder};
use trueup_object::value::Text;

use super::format;
use crate::eval::{EvalError, Evaluated, failed};
use crate::value::Val;

/// In bytes, compiled. The server's own engine has no such limit, but none of its expressions comes near.
const N_REGEX_BYTES_MAX: usize = 1 << 20;
/// In bytes. Texts that grow past this would fill the memory before the budget ends.
const N_TEXT_BYTES_MAX: usize = 16 << 20;

fn text(value: impl Into<Text>) -> Evaluated {
    Ok(Val::String(value.into()))
}

fn texts<'a>(items: impl Iterator<Item = &'a str>) -> Evaluated {
    Ok(Val::list(items.map(Val::text).collect()))
}

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    Some(match (function, args) {
        ("size", [Val::String(it)]) => Ok(int(it.chars().count())),
        ("contains", [Val::String(it), Val::String(part)]) => Ok(Val::Bool(it.contains(part.as_str()))),
        ("startsWith", [Val::String(it), Val::String(part)]) => Ok(Val::Bool(it.starts_with(part.as_str()))),
        ("endsWith", [Val::String(it), Val::String(part)]) => Ok(Val::Bool(it.ends_with(part.as_str()))),
        ("matches", [Val::String(it), Val::String(pattern)]) => {
            compiled(pattern, "error parsing regexp: ").map(|regex| Val::Bool(regex.is_match(it)))
        }
        ("find", [Val::String(it), Val::String(pattern)]) => {
            compiled(pattern, "Illegal regex: error parsing regexp: ")
                .map(|regex| Val::text(regex.find(it).map_or("", |found| found.as_str())))
        }
        ("findAll", [Val::String(it), Val::String(pattern), rest @ ..]) => find_all(it, pattern, rest),
        ("lowerAscii", [Val::String(it)]) => text(it.to_ascii_lowercase()),
        ("upperAscii", [Val::String(it)]) => text(it.to_ascii_uppercase()),
        ("trim", [Val::String(it)]) => text(it.trim()),
        ("charAt", [Val::String(it), Val::Int(at)]) => char_at(it, *at),
        ("indexOf", [Val::String(it), Val::String(part)]) => index_of(it, part, 0),
        ("indexOf", [Val::String(it), Val::String(part), Val::Int(from)]) => index_of(it, part, *from),
        ("lastIndexOf", [Val::String(it), Val::String(part)]) => last_index_of(it, part, None),
        ("lastIndexOf", [Val::String(it), Val::String(part), Val::Int(from)]) => {
            last_index_of(it, part, Some(*from))
        }
        ("replace", [Val::String(it), Val::String(old), Val::String(new)]) => replace(it, old, new, -1),
        ("replace", [Val::String(it), Val::String(old), Val::String(new), Val::Int(n)]) => {
            replace(it, old, new, *n)
        }
        ("split", [Val::String(it), Val::String(separator)]) => split(it, separator, -1),
        ("split", [Val::String(it), Val::String(separator), Val::Int(n)]) => split(it, separator, *n),
        ("substring", [Val::String(it), Val::Int(from)]) => substring(it, *from, None),
        ("substring", [Val::String(it), Val::Int(from), Val::Int(to)]) => substring(it, *from, Some(*to)),
        ("strings.quote", [Val::String(it)]) => text(quote(it)),
        ("format", [Val::String(it), Val::List(args)]) => {
            format::format(it, &args.items).map_or_else(failed, text)
        }
        ("join", [Val::List(list)]) => join(&list.items, ""),
        ("join", [Val::List(list), Val::String(separator)]) => join(&list.items, separator),
        ("jsonpatch.escapeKey", [Val::String(it)]) => text(it.replace('~', "~0").replace('/', "~1")),
        _ => return None,
    })
}

pub(super) fn int(number: usize) -> Val {
    Val::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn compiled(pattern: &str, prefix: &str) -> Result<Regex, EvalError> {
    RegexBuilder::new(pattern)
        .size_limit(N_REGEX_BYTES_MAX)
        .build()
        .or_else(|error| failed(format!("{prefix}{}", regex_problem(pattern, &error))))
}

/// What is wrong with a pattern, in the words of the server's engine for the mistakes that people make.
pub(crate) fn regex_problem(pattern: &str, error: &regex::Error) -> String {
    let told = error.to_string();
    let last = told.lines().last().unwrap_or_default();
    if last.contains("unclosed group") {
        format!("missing closing ): `{pattern}`")
    } else if last.contains("unclosed character class") {
        let from = pattern.rfind('[').unwrap_or_default();
        format!("missing closing ]: `{}`", pattern.get(from..).unwrap_or(pattern))
    } else if last.contains("unopened group") {
        format!("unexpected ): `{pattern}`")
    } else if last.contains("repetition operator missing expression") {
        let operator = pattern.chars().find(|it| matches!(it, '*' | '+' | '?')).unwrap_or('*');
        format!("missing argument to repetition operator: `{operator}`")
    } else {
        format!("{}: `{pattern}`", last.trim_start_matches("error: "))
    }
}

fn find_all(it: &str, pattern: &str, rest: &[Val]) -> Evaluated {
    let limit = match rest {
        [] => usize::MAX,
        [Val::Int(n)] if *n < 0 => usize::MAX,
        [Val::Int(n)] => usize::try_from(*n).unwrap_or(usize::MAX),
        _ => return failed("no such overload"),
    };
    let regex = compiled(pattern, "Illegal regex: error parsing regexp: ")?;
    texts(regex.find_iter(it).take(limit).map(|found| found.as_str()))
}

fn out_of_range(at: i64) -> Evaluated {
    failed(format!("index out of range: {at}"))
}

fn char_at(it: &str, at: i64) -> Evaluated {
    let n = it.chars().count();
    match usize::try_from(at) {
        Ok(index) if index < n => text(it.chars().nth(index).map(String::from).unwrap_or_default()),
        Ok(index) if index == n => text(""),
        Ok(_) | Err(_) => out_of_range(at),
    }
}

fn index_of(it: &str, part: &str, from: i64) -> Evaluated {
    if part.is_empty() {
        return Ok(Val::Int(from));
    }
    let Ok(start) = usize::try_from(from) else { return out_of_range(from) };
    let Some((byte, _)) = it.char_indices().nth(start) else { return Ok(Val::Int(-1)) };
    let rest = it.get(byte..).unwrap_or_default();
    Ok(rest.find(part).map_or(Val::Int(-1), |found| {
        int(start + rest.get(..found).map_or(0, |before| before.chars().count()))
    }))
}

fn last_index_of(it: &str, part: &str, from: Option<i64>) -> Evaluated {
    let n = it.chars().count();
    if part.is_empty() {
        return Ok(from.map_or_else(|| int(n), Val::Int));
    }
    let end = match from {
        None => it.len(),
        Some(from) => {
            let Ok(start) = usize::try_from(from) else { return out_of_range(from) };
            if start >= n {
                return Ok(Val::Int(-1));
            }
            // The part may begin at the last at that place.
            let byte = it.char_indices().nth(start).map_or(it.len(), |(byte, _)| byte);
            (byte + part.len()).min(it.len())
        }
    };
    let mut end = end;
    while !it.is_char_boundary(end) {
        end += 1;
    }
    let found = it.get(..end).and_then(|head| head.rfind(part));
    Ok(found.map_or(Val::Int(-1), |found| int(it.get(..found).map_or(0, |before| before.chars().count()))))
}

fn replace(it: &str, old: &str, new: &str, n: i64) -> Evaluated {
    let n_found = if old.is_empty() { it.chars().count() + 1 } else { it.matches(old).count() };
    let n = usize::try_from(n).unwrap_or(usize::MAX);
    let grown = n_found.min(n).saturating_mul(new.len()).saturating_add(it.len());
    if grown > N_TEXT_BYTES_MAX {
        return Err(EvalError::TooExpensive);
    }
    text(if n == usize::MAX { it.replace(old, new) } else { it.replacen(old, new, n) })
}

fn split(it: &str, separator: &str, n: i64) -> Evaluated {
    if n == 0 {
        return Ok(Val::list(Vec::new()));
    }
    let limit = usize::try_from(n).unwrap_or(usize::MAX);
    if separator.is_empty() {
        // Go takes a text without a separator apart into its characters.
        let mut parts: Vec<String> = it.chars().map(String::from).collect();
        if parts.len() > limit {
            let rest = parts.split_off(limit - 1).concat();
            parts.push(rest);
        }
        return texts(parts.iter().map(String::as_str));
    }
    if limit == usize::MAX { texts(it.split(separator)) } else { texts(it.splitn(limit, separator)) }
}

fn substring(it: &str, from: i64, to: Option<i64>) -> Evaluated {
    let n = i64::try_from(it.chars().count()).unwrap_or(i64::MAX);
    let end = to.unwrap_or(n);
    if to.is_some_and(|to| from > to) {
        return failed(format!("invalid substring range. start: {from}, end: {end}"));
    }
    for at in [from, end] {
        if !(0..=n).contains(&at) {
            return out_of_range(at);
        }
    }
    let start = usize::try_from(from).unwrap_or_default();
    let count = usize::try_from(end - from).unwrap_or_default();
    text(it.chars().skip(start).take(count).collect::<String>())
}

fn join(items: &[Val], separator: &str) -> Evaluated {
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(separator);
        }
        match item {
            Val::String(item) => joined.push_str(item),
            other => return failed(format!("join: invalid input: {}", super::shown(other))),
        }
        if joined.len() > N_TEXT_BYTES_MAX {
            return Err(EvalError::TooExpensive);
        }
    }
    text(joined)
}

/// A text as a literal of the language.
pub(super) fn quote(it: &str) -> String {
    let mut quoted = String::with_capacity(it.len() + 2);
    quoted.push('"');
    for char in it.chars() {
        match char {
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

/// A number as Go's `strconv` writes one: with an exponent where it is large or small.
pub(crate) fn float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let plain = format!("{number:e}");
    let (digits, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return format!("{number}");
    }
    format!("{digits}e{}{:02}", if exponent < 0 { '-' } else { '+' }, exponent.abs())
}
