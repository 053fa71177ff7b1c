//! `string.format`, with the clauses and words of the reference implementation.

use super::text;
use super::time;
use crate::value::{Key, Val};

/// Digits after the point where a clause does not say how many.
const PRECISION: usize = 6;
/// Digits that anybody could want; more would only fill the memory.
const PRECISION_MAX: usize = 1000;
/// In bytes.
const N_BYTES_MAX: usize = 16 << 20;

/// Fills in a template.
pub(super) fn format(template: &str, args: &[Val]) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = template;
    let mut next = 0;
    while let Some(at) = rest.find('%') {
        let (before, clause) = rest.split_at(at);
        out.push_str(before);
        let clause = &clause[1..];
        if let Some(after) = clause.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let Some(arg) = args.get(next) else { return Err(format!("index {next} out of range")) };
        if clause.is_empty() {
            return Err("unexpected end of string".to_owned());
        }
        let (filled, after) = filled(clause, arg)?;
        out.push_str(&filled);
        if out.len() > N_BYTES_MAX {
            return Err("operation cancelled: actual cost limit exceeded".to_owned());
        }
        rest = after;
        next += 1;
    }
    out.push_str(rest);
    Ok(out)
}

/// One clause, without its percent sign, and what comes after it.
pub(crate) fn filled<'a>(clause: &'a str, arg: &Val) -> Result<(String, &'a str), String> {
    let unparsed = |words: String| format!("could not parse formatting clause: {words}");
    let (precision, rest) = match clause.strip_prefix('.') {
        None => (PRECISION, clause),
        Some(rest) => {
            let wrong = |words: &str| unparsed(format!("error while parsing precision: {words}"));
            let end = rest.find(|it: char| !it.is_ascii_digit());
            let end = end.ok_or_else(|| wrong("could not find end of precision specifier"))?;
            let (digits, rest) = rest.split_at(end);
            let number = digits.parse::<usize>().map_err(|_| {
                wrong(&format!(
                    "error while converting precision to integer: strconv.Atoi: parsing {digits:?}: invalid syntax"
                ))
            })?;
            (number.min(PRECISION_MAX), rest)
        }
    };
    let mut chars = rest.chars();
    let verb = chars.next().unwrap_or_default();
    let result = match verb {
        's' => plain(arg),
        'd' => decimal(arg),
        'f' => number(arg, "fixed-point clause can only be used on doubles").map(|it| fixed(it, precision)),
        'e' => {
            number(arg, "scientific clause can only be used on doubles").map(|it| scientific(it, precision))
        }
        'b' => binary(arg),
        'x' => hexadecimal(arg),
        'X' => hexadecimal(arg).map(|it| it.to_uppercase()),
        'o' => octal(arg),
        other => return Err(unparsed(format!("unrecognized formatting clause \"{other}\""))),
    };
    let result = result.map_err(|words| format!("error during formatting: {words}"))?;
    Ok((result, chars.as_str()))
}

fn given(words: &str, arg: &Val) -> String {
    format!("{words}, was given {}", arg.type_name())
}

/// `%s`
fn plain(arg: &Val) -> Result<String, String> {
    Ok(match arg {
        Val::String(it) => it.to_string(),
        Val::Bytes(it) => String::from_utf8_lossy(it).into_owned(),
        Val::Bool(it) => it.to_string(),
        Val::Int(it) => it.to_string(),
        Val::Uint(it) => it.to_string(),
        Val::Double(it) => text::float(*it),
        Val::Null => "null".to_owned(),
        Val::Timestamp(it) => time::timestamp_text(*it),
        Val::Duration(it) => time::duration_text(*it),
        Val::Type(it) => it.short_name(),
        Val::List(_) | Val::Map(_) => nested(arg)?,
        _ => {
            return Err(given(
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, durations, and timestamps",
                arg,
            ));
        }
    })
}

/// A value inside a list or a map, as a literal.
fn nested(arg: &Val) -> Result<String, String> {
    Ok(match arg {
        Val::List(list) => {
            let items: Result<Vec<String>, String> = list.items.iter().map(nested).collect();
            format!("[{}]", items?.join(", "))
        }
        Val::Map(map) => {
            let mut entries = Vec::with_capacity(map.len());
            for (key, value) in map.iter() {
                let key = match key {
                    Key::String(key) => text::quote(key),
                    Key::Bool(key) => key.to_string(),
                    Key::Int(key) => key.to_string(),
                    Key::Uint(key) => key.to_string(),
                };
                entries.push(format!("{key}:{}", nested(value)?));
            }
            entries.sort();
            format!("{{{}}}", entries.join(", "))
        }
        Val::String(it) => text::quote(it),
        Val::Bytes(it) => format!("b{}", text::quote(&String::from_utf8_lossy(it))),
        Val::Double(it) if it.is_nan() => "\"NaN\"".to_owned(),
        Val::Double(it) if it.is_infinite() => if *it > 0.0 { "\"+Inf\"" } else { "\"-Inf\"" }.to_owned(),
        Val::Double(it) => format!("{it:.PRECISION$}"),
        Val::Timestamp(it) => format!("timestamp(\"{}\")", time::timestamp_text(*it)),
        Val::Duration(it) => format!("duration(\"{}\")", time::duration_text(*it)),
        Val::Null | Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Type(_) => plain(arg)?,
        other => return Err(format!("no formatting function for {}", other.type_name())),
    })
}

fn decimal(arg: &Val) -> Result<String, String> {
    match arg {
        Val::Int(it) => Ok(it.to_string()),
        Val::Uint(it) => Ok(it.to_string()),
        other => Err(given("decimal clause can only be used on integers", other)),
    }
}

fn number(arg: &Val, words: &str) -> Result<f64, String> {
    match arg {
        Val::Double(it) => Ok(*it),
        Val::String(it) if it == "NaN" => Ok(f64::NAN),
        Val::String(it) if it == "Infinity" => Ok(f64::INFINITY),
        Val::String(it) if it == "-Infinity" => Ok(f64::NEG_INFINITY),
        other => Err(given(words, other)),
    }
}

/// With a comma between thousands, as in English.
fn fixed(number: f64, precision: usize) -> String {
    if !number.is_finite() {
        return unbounded(number);
    }
    let plain = format!("{number:.precision$}");
    let (sign, plain) = plain.strip_prefix('-').map_or(("", plain.as_str()), |plain| ("-", plain));
    let (whole, fraction) = plain.split_once('.').map_or((plain, None), |(whole, it)| (whole, Some(it)));
    let mut grouped = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    match fraction {
        Some(fraction) => format!("{sign}{grouped}.{fraction}"),
        None => format!("{sign}{grouped}"),
    }
}

fn unbounded(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number > 0.0 {
        "∞".to_owned()
    } else {
        "-∞".to_owned()
    }
}

/// With the power of ten written out and raised.
fn scientific(number: f64, precision: usize) -> String {
    if !number.is_finite() {
        return unbounded(number);
    }
    let plain = format!("{number:.precision$e}");
    let (digits, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let (sign, exponent) = exponent.strip_prefix('-').map_or(("", exponent), |it| ("⁻", it));
    let raised: String = format!("{exponent:0>2}")
        .chars()
        .map(|digit| match digit {
            '1' => '¹',
            '2' => '²',
            '3' => '³',
            '4' => '⁴',
            '5' => '⁵',
            '6' => '⁶',
            '7' => '⁷',
            '8' => '⁸',
            '9' => '⁹',
            _ => '⁰',
        })
        .collect();
    format!("{digits}×10{sign}{raised}")
}

fn signed(number: i64, digits: &str) -> String {
    format!("{}{digits}", if number < 0 { "-" } else { "" })
}

fn binary(arg: &Val) -> Result<String, String> {
    match arg {
        Val::Int(it) => Ok(signed(*it, &format!("{:b}", it.unsigned_abs()))),
        Val::Uint(it) => Ok(format!("{it:b}")),
        Val::Bool(it) => Ok(if *it { "1" } else { "0" }.to_owned()),
        other => Err(given("only integers and bools can be formatted as binary", other)),
    }
}

fn hexadecimal(arg: &Val) -> Result<String, String> {
    let bytes = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    match arg {
        Val::Int(it) => Ok(signed(*it, &format!("{:x}", it.unsigned_abs()))),
        Val::Uint(it) => Ok(format!("{it:x}")),
        Val::String(it) => Ok(bytes(it.as_bytes())),
        Val::Bytes(it) => Ok(bytes(it)),
        other => Err(given("only integers, byte buffers, and strings can be formatted as hex", other)),
    }
}

fn octal(arg: &Val) -> Result<String, String> {
    match arg {
        Val::Int(it) => Ok(signed(*it, &format!("{:o}", it.unsigned_abs()))),
        Val::Uint(it) => Ok(format!("{it:o}")),
        other => Err(given("octal clause can only be used on integers", other)),
    }
}
