//! What a scalar means: the resolver of go-yaml 2.

use base64::Engine as _;

use crate::value::{Text, Value};

/// A scalar as go-yaml 2 resolves it, before it is known whether it is a key or a value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Int(i64),
    /// An integer past 63 bits: a float as a value, an error as a key.
    Uint(u64),
    /// May be infinite or not a number: an error as a value.
    Float(f64),
    Str(Text),
}

const CORE_PREFIX: &str = "tag:yaml.org,2002:";

/// Resolves a scalar. `tag` is the full tag, where one is written; `plain` says that the scalar has no quotes.
pub(super) fn resolve(text: &str, plain: bool, tag: Option<&str>) -> Result<Scalar, String> {
    let string = || Ok(Scalar::Str(Text::from(text)));
    let Some(tag) = tag else {
        return if plain { Ok(resolve_untagged(text)) } else { string() };
    };
    let Some(core) = tag.strip_prefix(CORE_PREFIX) else { return string() };
    let mismatch = |found: &str| Err(format!("cannot decode {found} `{text}` as a !!{core}"));
    let resolved = resolve_untagged(text);
    match (core, resolved) {
        ("binary", _) => binary(text),
        ("null", Scalar::Null) => Ok(Scalar::Null),
        ("bool", Scalar::Bool(flag)) => Ok(Scalar::Bool(flag)),
        ("int", number @ (Scalar::Int(_) | Scalar::Uint(_))) => Ok(number),
        ("float", Scalar::Int(number)) => Ok(Scalar::Float(number as f64)),
        ("float", Scalar::Float(number)) => Ok(Scalar::Float(number)),
        ("timestamp", Scalar::Str(_)) if looks_like_date(text) => string(),
        ("null" | "bool" | "int" | "float" | "timestamp", other) => mismatch(other.tag()),
        _ => string(),
    }
}

fn binary(text: &str) -> Result<Scalar, String> {
    let compact: String = text.chars().filter(|char| !matches!(char, '\n' | '\r')).collect();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(compact)
        .map_err(|_| "!!binary value contains invalid base64 data".to_owned())?;
    // Go's JSON encoder replaces what is not UTF-8.
    Ok(Scalar::Str(Text::from(String::from_utf8_lossy(&bytes).as_ref())))
}

fn looks_like_date(text: &str) -> bool {
    text.len() > 4
        && text.bytes().take(4).all(|byte| byte.is_ascii_digit())
        && text.as_bytes().get(4) == Some(&b'-')
}

/// Whether a plain scalar with this text reads as the string itself.
pub(super) fn is_string(text: &str) -> bool {
    matches!(resolve_untagged(text), Scalar::Str(_))
}

fn resolve_untagged(text: &str) -> Scalar {
    let string = || Scalar::Str(Text::from(text));
    let Some(first) = text.bytes().next() else { return Scalar::Null };
    match first {
        b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~' => {
            resolve_word(text).unwrap_or_else(string)
        }
        b'.' => resolve_special_float(text)
            .or_else(|| is_float(text).then(|| parse_float(text)).flatten().map(Scalar::Float))
            .unwrap_or_else(string),
        b'+' | b'-' | b'0'..=b'9' => {
            resolve_special_float(text).or_else(|| resolve_number(text)).unwrap_or_else(string)
        }
        _ => string(),
    }
}

fn resolve_word(text: &str) -> Option<Scalar> {
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Some(Scalar::Bool(true))
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Scalar::Bool(false))
        }
        "~" | "null" | "Null" | "NULL" => Some(Scalar::Null),
        _ => None,
    }
}

fn resolve_special_float(text: &str) -> Option<Scalar> {
    match text {
        ".nan" | ".NaN" | ".NAN" => Some(Scalar::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Scalar::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Scalar::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

fn resolve_number(text: &str) -> Option<Scalar> {
    let plain = text.replace('_', "");
    let (negative, signed, digits) = match plain.as_bytes().first()? {
        b'-' => (true, true, plain.get(1..)?),
        b'+' => (false, true, plain.get(1..)?),
        _ => (false, false, plain.as_str()),
    };
    if let Some(size) = parse_unsigned(digits) {
        let number = if negative { -i128::from(size) } else { i128::from(size) };
        if let Ok(number) = i64::try_from(number) {
            return Some(Scalar::Int(number));
        }
        if !signed {
            return Some(Scalar::Uint(size));
        }
    }
    is_float(&plain).then(|| parse_float(&plain)).flatten().map(Scalar::Float)
}

/// Go's `ParseUint` with base 0: `0x`, `0b`, `0o`, and a leading zero for octal.
fn parse_unsigned(digits: &str) -> Option<u64> {
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, digits.get(2..)?),
        Some("0b" | "0B") => (2, digits.get(2..)?),
        Some("0o" | "0O") => (8, digits.get(2..)?),
        Some(_) if digits.starts_with('0') => (8, digits.get(1..)?),
        Some(_) | None => (10, digits),
    };
    let valid = !digits.is_empty() && digits.bytes().all(|byte| (byte as char).is_digit(radix));
    if valid { u64::from_str_radix(digits, radix).ok() } else { None }
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (number, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, Some(exponent)),
        None => (unsigned, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let number_ok = match number.split_once('.') {
        Some(("", fraction)) => !fraction.is_empty() && digits(fraction),
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => !number.is_empty() && digits(number),
    };
    number_ok
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

/// Go refuses a number out of range, and the text then stays a string.
fn parse_float(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

impl Scalar {
    fn tag(&self) -> &'static str {
        match self {
            Self::Null => "!!null",
            Self::Bool(_) => "!!bool",
            Self::Int(_) | Self::Uint(_) => "!!int",
            Self::Float(_) => "!!float",
            Self::Str(_) => "!!str",
        }
    }

    /// As a value. Kubernetes reads the numbers again from JSON, where a float without a fraction is an integer.
    pub(super) fn into_value(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(flag) => Value::Bool(flag),
            Self::Int(number) => Value::Int(number),
            Self::Uint(number) => Value::Float(number as f64),
            Self::Float(number) if !number.is_finite() => {
                return Err("infinity and not-a-number have no form in JSON".to_owned());
            }
            Self::Float(number) => float_value(number),
            Self::Str(text) => Value::Str(text),
        })
    }

    /// As a key of a map.
    pub(super) fn into_key(self) -> Result<Text, String> {
        Ok(match self {
            Self::Null => return Err("null as a key of a map".to_owned()),
            Self::Bool(flag) => Text::from(if flag { "true" } else { "false" }),
            Self::Int(number) => Text::from(number.to_string()),
            Self::Uint(number) => return Err(format!("the number {number} as a key of a map: too large")),
            Self::Float(number) => float_key(number),
            Self::Str(text) => text,
        })
    }
}

fn float_value(number: f64) -> Value {
    // -2^63 fits, 2^63 does not.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    if number.fract() == 0.0 && (-LIMIT..LIMIT).contains(&number) {
        Value::Int(number as i64)
    } else {
        Value::Float(number)
    }
}

/// Go's `FormatFloat(number, 'g', -1, 32)`: an exponent below -4 or from 6 on is written out.
fn float_key(number: f64) -> Text {
    let number = number as f32;
    if number.is_nan() {
        return Text::from(".nan");
    }
    if number.is_infinite() {
        return Text::from(if number > 0.0 { ".inf" } else { "-.inf" });
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if (-4..6).contains(&exponent) {
        return Text::from(format!("{number}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    Text::from(format!("{digits}e{sign}{:02}", exponent.abs()))
}
