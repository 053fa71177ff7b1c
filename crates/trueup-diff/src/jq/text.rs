//! Functions of strings.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use regex::RegexBuilder;
use trueup_object::{Map, Text, Value};

use super::machine::{Flow, Machine, error};
use super::syntax::Format;

/// What a compiled regular expression may take.
const REGEX_BYTES_MAX: usize = 1 << 20;
/// What reading one costs in steps, about.
const REGEX_STEPS: u64 = 500;

/// A function of strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextFunction {
    ToString,
    ToJson,
    FromJson,
    ToNumber,
    Downcase,
    Upcase,
    StartsWith,
    EndsWith,
    TrimPrefix,
    TrimSuffix,
    Trim,
    TrimStart,
    TrimEnd,
    Split,
    Join,
    Explode,
    Implode,
    /// Expression, flags, and whether only to test.
    Match,
}

/// The words of an error.
pub fn message(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => other.to_json(),
    }
}

/// A value in an error, cut where it is long.
pub fn shown(value: &Value) -> String {
    let kind = match value {
        Value::Null => return "null".to_owned(),
        Value::Int(_) | Value::Float(_) => "number",
        other => other.type_name(),
    };
    // Nothing of the value itself: it may be a secret.
    match value {
        Value::List(items) => format!("{kind} of {}", items.len()),
        Value::Map(map) => format!("{kind} of {}", map.len()),
        _ => kind.to_owned(),
    }
}

pub fn of(value: &Value) -> Flow<&str> {
    match value.as_str() {
        Some(text) => Ok(text),
        None => error(format!("expected a string but got: {}", shown(value))),
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        other => other.to_json(),
    }
}

pub fn apply(machine: &mut Machine, function: TextFunction, input: &Value, args: &[Value]) -> Flow<Value> {
    let arg = args.first().unwrap_or(&Value::Null);
    let text = |text: String| Value::Str(Text::from(text));
    machine.build(super::access::size(input))?;
    Ok(match function {
        TextFunction::ToString => text(plain(input)),
        TextFunction::ToJson => text(input.to_json()),
        TextFunction::FromJson => match Value::from_json(of(input)?.as_bytes()) {
            Ok(value) => value,
            Err(why) => return error(format!("fromjson: {why}")),
        },
        TextFunction::ToNumber => return to_number(input),
        TextFunction::Downcase => text(of(input)?.to_ascii_lowercase()),
        TextFunction::Upcase => text(of(input)?.to_ascii_uppercase()),
        TextFunction::StartsWith => Value::Bool(of(input)?.starts_with(of(arg)?)),
        TextFunction::EndsWith => Value::Bool(of(input)?.ends_with(of(arg)?)),
        TextFunction::TrimPrefix => match (input.as_str(), arg.as_str()) {
            (Some(input), Some(prefix)) => Value::from(input.strip_prefix(prefix).unwrap_or(input)),
            (_, _) => input.clone(),
        },
        TextFunction::TrimSuffix => match (input.as_str(), arg.as_str()) {
            (Some(input), Some(suffix)) => Value::from(input.strip_suffix(suffix).unwrap_or(input)),
            (_, _) => input.clone(),
        },
        TextFunction::Trim => Value::from(of(input)?.trim()),
        TextFunction::TrimStart => Value::from(of(input)?.trim_start()),
        TextFunction::TrimEnd => Value::from(of(input)?.trim_end()),
        TextFunction::Split => return split(machine, of(input)?, of(arg)?),
        TextFunction::Join => return join(machine, input, arg),
        TextFunction::Explode => {
            Value::List(of(input)?.chars().map(|char| Value::Int(i64::from(u32::from(char)))).collect())
        }
        TextFunction::Implode => return implode(input),
        TextFunction::Match => return matches(machine, input, args),
    })
}

fn to_number(value: &Value) -> Flow<Value> {
    match value {
        Value::Int(_) | Value::Float(_) => Ok(value.clone()),
        Value::Str(text) => {
            let number = text.parse::<i64>().ok().map(Value::Int);
            let float = || text.parse::<f64>().ok().filter(|number| number.is_finite()).map(Value::Float);
            match number.or_else(float) {
                Some(number) => Ok(number),
                None => error("tonumber cannot be applied to this string"),
            }
        }
        other => error(format!("tonumber cannot be applied to: {}", shown(other))),
    }
}

pub fn split(machine: &mut Machine, text: &str, by: &str) -> Flow<Value> {
    machine.build(text.len().saturating_mul(2))?;
    if text.is_empty() {
        return Ok(Value::List(Vec::new()));
    }
    let parts = if by.is_empty() {
        text.chars().map(|char| Value::Str(Text::from(char.to_string()))).collect::<Vec<_>>()
    } else {
        text.split(by).map(Value::from).collect()
    };
    machine.build(parts.len().saturating_mul(std::mem::size_of::<Value>()))?;
    Ok(Value::List(parts))
}

fn join(machine: &mut Machine, value: &Value, by: &Value) -> Flow<Value> {
    let Some(items) = value.as_list() else {
        return error(format!("join cannot be applied to: {}", shown(value)));
    };
    let mut joined = String::new();
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            joined.push_str(of(by)?);
        }
        match item {
            Value::Null => {}
            Value::List(_) | Value::Map(_) => return error(format!("cannot join with: {}", shown(item))),
            other => joined.push_str(&plain(other)),
        }
    }
    machine.build(joined.len())?;
    Ok(Value::Str(Text::from(joined)))
}

fn implode(value: &Value) -> Flow<Value> {
    let chars = value.as_list().unwrap_or_default().iter().map(|item| {
        let number = item.as_int().and_then(|number| u32::try_from(number).ok());
        number.and_then(char::from_u32)
    });
    match chars.collect::<Option<String>>() {
        Some(text) => Ok(Value::Str(Text::from(text))),
        None => error(format!("implode cannot be applied to: {}", shown(value))),
    }
}

/// Where a string begins in a string, in characters.
pub fn indices(machine: &mut Machine, text: &Value, wanted: &Value) -> Flow<Value> {
    let (text, wanted) = (of(text)?, of(wanted)?);
    machine.step(text.len() as u64)?;
    if wanted.is_empty() {
        return Ok(Value::Null);
    }
    let starts = text.char_indices().enumerate().filter(|(_, (at, _))| text[*at..].starts_with(wanted));
    Ok(Value::List(starts.map(|(index, _)| count(index)).collect()))
}

fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn matches(machine: &mut Machine, input: &Value, args: &[Value]) -> Flow<Value> {
    let [pattern, flags, only_test] = args else { return error("match has other arguments") };
    // The expression and its flags may come as a pair.
    let (pattern, flags) = match pattern {
        Value::List(pair) => (pair.first().unwrap_or(&Value::Null), pair.get(1).unwrap_or(&Value::Null)),
        _ => (pattern, flags),
    };
    let (text, pattern) = (of(input)?, of(pattern)?);
    let flags = if flags.is_null() { "" } else { of(flags)? };
    machine.step(REGEX_STEPS + text.len() as u64)?;
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(REGEX_BYTES_MAX).dfa_size_limit(REGEX_BYTES_MAX);
    let mut global = false;
    for flag in flags.chars() {
        match flag {
            'g' => global = true,
            'i' => drop(builder.case_insensitive(true)),
            'x' => drop(builder.ignore_whitespace(true)),
            's' => drop(builder.dot_matches_new_line(true)),
            'n' | 'l' | 'p' => {}
            other => return error(format!("{other} is no flag of a regular expression")),
        }
    }
    let regex = match builder.build() {
        Ok(regex) => regex,
        Err(_) => return error(format!("`{pattern}` is no regular expression")),
    };
    if only_test.as_bool() == Some(true) {
        return Ok(Value::Bool(regex.is_match(text)));
    }
    let mut found = Vec::new();
    for captures in regex.captures_iter(text).take(if global { usize::MAX } else { 1 }) {
        machine.build(text.len() + 200)?;
        let groups = captures.iter().zip(regex.capture_names()).skip(1);
        let groups = groups.map(|(group, name)| told(text, group, Some(name))).collect();
        let mut whole = told(text, captures.get(0), None);
        whole.set_at(&["captures"], Value::List(groups));
        found.push(whole);
    }
    Ok(Value::List(found))
}

/// One match or group, as jq tells of it.
fn told(text: &str, found: Option<regex::Match<'_>>, name: Option<Option<&str>>) -> Value {
    let chars = |text: &str| count(text.chars().count());
    let offset = found.map_or(Value::Int(-1), |found| chars(&text[..found.start()]));
    let mut told: Map = [
        ("offset", offset),
        ("length", found.map_or(Value::Int(0), |found| chars(found.as_str()))),
        ("string", found.map_or(Value::Null, |found| Value::from(found.as_str()))),
    ]
    .into_iter()
    .collect();
    if let Some(name) = name {
        told.insert("name", name.map_or(Value::Null, Value::from));
    }
    Value::Map(told)
}

/// A value as a format writes it.
pub fn written(machine: &mut Machine, format: Format, value: &Value) -> Flow<String> {
    machine.build(super::access::size(value).saturating_mul(2))?;
    let escaped = |text: String, pairs: &[(char, &str)]| {
        text.chars().fold(String::new(), |mut out, char| {
            match pairs.iter().find(|(from, _)| *from == char) {
                Some((_, to)) => out.push_str(to),
                None => out.push(char),
            }
            out
        })
    };
    Ok(match format {
        Format::Text => plain(value),
        Format::Json => value.to_json(),
        Format::Html => {
            let pairs = [('<', "&lt;"), ('>', "&gt;"), ('&', "&amp;"), ('\'', "&#39;"), ('"', "&quot;")];
            escaped(plain(value), &pairs)
        }
        Format::Uri => plain(value).bytes().fold(String::new(), |mut out, byte| {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                out.push(char::from(byte));
            } else {
                out.push_str(&format!("%{byte:02X}"));
            }
            out
        }),
        Format::Csv => row(value, ",", |text| format!("\"{}\"", text.replace('"', "\"\"")))?,
        Format::Tsv => row(value, "\t", |text| {
            escaped(text.to_owned(), &[('\\', "\\\\"), ('\t', "\\t"), ('\n', "\\n"), ('\r', "\\r")])
        })?,
        Format::Sh => match value {
            Value::List(items) => items.iter().map(quoted).collect::<Flow<Vec<_>>>()?.join(" "),
            other => quoted(other)?,
        },
        Format::Base64 => STANDARD.encode(plain(value)),
        Format::Base64d => {
            let decoded = STANDARD_NO_PAD.decode(plain(value).trim_end_matches('='));
            match decoded.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()) {
                Ok(text) => text,
                Err(_) => return error("this is not base64"),
            }
        }
    })
}

fn row(value: &Value, separator: &str, text: impl Fn(&str) -> String) -> Flow<String> {
    let Some(items) = value.as_list() else {
        return error(format!("expected an array but got: {}", shown(value)));
    };
    let cell = |item: &Value| match item {
        Value::Null => Ok(String::new()),
        Value::Str(found) => Ok(text(found)),
        Value::List(_) | Value::Map(_) => error(format!("a row has no {}", shown(item))),
        other => Ok(other.to_json()),
    };
    Ok(items.iter().map(cell).collect::<Flow<Vec<_>>>()?.join(separator))
}

fn quoted(value: &Value) -> Flow<String> {
    match value {
        Value::List(_) | Value::Map(_) => error(format!("a shell word is no {}", shown(value))),
        Value::Str(text) => Ok(format!("'{}'", text.replace('\'', "'\\''"))),
        other => Ok(other.to_json()),
    }
}
