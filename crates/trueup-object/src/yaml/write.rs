//! Values written as block-style YAML with sorted keys, in the shape that Go's writer gives.

use std::fmt::Write as _;

use super::scalar;
use crate::value::{Map, Value};

/// Longer keys are written with `?`: readers look no further than 1024 characters for the colon.
const SIMPLE_KEY_MAX: usize = 128;

impl Value {
    /// YAML in block style that the Kubernetes reader reads as the same value. Ends with a line break.
    pub fn to_yaml(&self) -> String {
        let mut out = String::new();
        write_root(self, &mut out);
        out
    }
}

fn write_root(value: &Value, out: &mut String) {
    match value {
        Value::Map(map) if !map.is_empty() => write_map(map, 0, out),
        Value::List(items) if !items.is_empty() => write_list(items, 0, out),
        scalar => {
            write_leaf(scalar, 0, out);
            out.push('\n');
        }
    }
}

/// Writes the entries; the cursor stands where the first key belongs.
fn write_map(map: &Map, indent: usize, out: &mut String) {
    for (position, (key, value)) in map.iter().enumerate() {
        if position > 0 {
            pad(indent, out);
        }
        if key.len() > SIMPLE_KEY_MAX {
            out.push_str("? ");
            write_key(key, out);
            out.push('\n');
            pad(indent, out);
        } else {
            write_key(key, out);
        }
        out.push(':');
        match value {
            Value::Map(inner) if !inner.is_empty() => {
                out.push('\n');
                pad(indent + 2, out);
                write_map(inner, indent + 2, out);
            }
            // Go does not indent a list within a map.
            Value::List(items) if !items.is_empty() => {
                out.push('\n');
                pad(indent, out);
                write_list(items, indent, out);
            }
            leaf => {
                out.push(' ');
                write_leaf(leaf, indent, out);
                out.push('\n');
            }
        }
    }
}

/// Writes the items; the cursor stands where the first dash belongs.
fn write_list(items: &[Value], indent: usize, out: &mut String) {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            pad(indent, out);
        }
        out.push_str("- ");
        match item {
            Value::Map(inner) if !inner.is_empty() => write_map(inner, indent + 2, out),
            Value::List(inner) if !inner.is_empty() => write_list(inner, indent + 2, out),
            leaf => {
                write_leaf(leaf, indent, out);
                out.push('\n');
            }
        }
    }
}

fn pad(indent: usize, out: &mut String) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes a scalar or an empty collection, without the line break after it.
fn write_leaf(value: &Value, indent: usize, out: &mut String) {
    match value {
        Value::Str(text) if is_literal(text) => write_literal(text, indent + 2, out),
        Value::Str(text) => write_text(text, out),
        // JSON's forms of the others are YAML's.
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => {
            out.push_str(&value.to_json());
        }
    }
}

fn write_key(key: &str, out: &mut String) {
    if key == "<<" {
        out.push_str("\"<<\"");
    } else {
        write_text(key, out);
    }
}

fn write_text(text: &str, out: &mut String) {
    if text.chars().any(needs_escape) {
        write_double_quoted(text, out);
    } else if !scalar::is_string(text) || is_older_scalar(text) {
        // Go quotes what would be a number, a boolean or null with double quotes, and the rest with single ones.
        let _ = write!(out, "\"{text}\"");
    } else if is_plain(text) {
        out.push_str(text);
    } else {
        let _ = write!(out, "'{}'", text.replace('\'', "''"));
    }
}

/// Whether readers of YAML 1.1 take a plain text for a time or a number to the base of 60: `2026-01-02`, `1:30`.
fn is_older_scalar(text: &str) -> bool {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let leading = digits(text.trim_start_matches(['+', '-']));
    let rest = text.trim_start_matches(['+', '-']).get(leading..).unwrap_or_default();
    let date = || {
        let mut parts = rest.splitn(3, '-').skip(1).map(digits);
        leading == 4 && parts.next().is_some_and(|month| month > 0) && parts.next().is_some_and(|day| day > 0)
    };
    let sixties = || {
        let is_part =
            |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'_' | b'.'));
        leading > 0
            && rest.starts_with(':')
            && rest.split(':').skip(1).all(|it| digits(it) > 0 && is_part(it))
    };
    date() || sixties()
}

/// Characters that only double quotes can hold.
fn needs_escape(char: char) -> bool {
    match char {
        ' '..='~' => false,
        '\u{80}'..='\u{9F}' | '\u{2028}' | '\u{2029}' | '\u{FEFF}' | '\u{FFFE}' | '\u{FFFF}' => true,
        other => other.is_control(),
    }
}

/// Whether the text, which has no line breaks, can stand without quotes wherever the writer puts scalars.
fn is_plain(text: &str) -> bool {
    let mut chars = text.chars();
    let Some(first) = chars.next() else { return false };
    let first_ok = match first {
        '-' | '?' | ':' => !matches!(chars.next(), None | Some(' ')),
        ',' | '[' | ']' | '{' | '}' | '#' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@' | '`'
        | ' ' => false,
        _ => true,
    };
    first_ok
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.contains(" #")
        && !text.starts_with("---")
        && !text.starts_with("...")
}

/// Whether a text is written as a `|` block: several lines that need no escapes, with something on them.
fn is_literal(text: &str) -> bool {
    text.contains('\n')
        && !text.chars().any(|char| char != '\n' && char != '\t' && needs_escape(char))
        && text.lines().next().is_some_and(|first| !first.trim().is_empty() && !first.starts_with('\t'))
}

fn write_literal(text: &str, indent: usize, out: &mut String) {
    out.push('|');
    if text.starts_with(' ') {
        // The reader would take the text's own spaces for indentation.
        out.push('2');
    }
    let body = text.trim_end_matches('\n');
    let chomping = match text.len() - body.len() {
        0 => "-",
        1 => "",
        _ => "+",
    };
    out.push_str(chomping);
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(indent, out);
            out.push_str(line);
        }
    }
}

fn write_double_quoted(text: &str, out: &mut String) {
    out.push('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            other if !needs_escape(other) => out.push(other),
            other => {
                let code = other as u32;
                let _ = if code < 0x100 {
                    write!(out, "\\x{code:02x}")
                } else if code < 0x1_0000 {
                    write!(out, "\\u{code:04x}")
                } else {
                    write!(out, "\\U{code:08x}")
                };
            }
        }
    }
    out.push('"');
}
