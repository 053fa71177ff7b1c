//! From one type to another.

use trueup_object::value::Text;

use super::{text, time};
use crate::eval::{Evaluated, failed};
use crate::kind::Type;
use crate::value::Val;

pub(crate) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    let [value] = args else { return None };
    Some(match function {
        "int" => to_int(value)?,
        "uint" => to_uint(value)?,
        "double" => to_double(value)?,
        "string" => to_string(value)?,
        "bool" => match value {
            Val::Bool(_) => Ok(value.clone()),
            Val::String(it) => match it.as_str() {
                "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(Val::Bool(true)),
                "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(Val::Bool(false)),
                _ => no_conversion(value, &Type::Bool),
            },
            _ => return None,
        },
        "bytes" => match value {
            Val::Bytes(_) => Ok(value.clone()),
            Val::String(it) => Ok(Val::Bytes(it.as_bytes().into())),
            _ => return None,
        },
        "timestamp" => match value {
            Val::Timestamp(_) => Ok(value.clone()),
            Val::Int(seconds) => time::from_seconds(*seconds),
            Val::String(it) => {
                time::parse_timestamp(it).map_or_else(|| no_conversion(value, &Type::Timestamp), Ok)
            }
            _ => return None,
        },
        "duration" => match value {
            Val::Duration(_) => Ok(value.clone()),
            Val::Int(nanoseconds) => Ok(Val::Duration(*nanoseconds)),
            Val::String(it) => time::parse_duration(it)
                .map_or_else(|| no_conversion(value, &Type::Duration), |it| Ok(Val::Duration(it))),
            _ => return None,
        },
        _ => return None,
    })
}

fn no_conversion(value: &Val, wanted: &Type) -> Evaluated {
    failed(format!("type conversion error from '{}' to '{}'", value.type_of().name(), wanted.name()))
}

fn to_int(value: &Val) -> Option<Evaluated> {
    Some(match value {
        Val::Int(_) => Ok(value.clone()),
        Val::Uint(it) => {
            i64::try_from(*it).map_or_else(|_| failed("integer overflow"), |it| Ok(Val::Int(it)))
        }
        Val::Double(it) => {
            // Only what is strictly between the bounds is sure to fit.
            if *it > -9_223_372_036_854_775_808.0 && *it < 9_223_372_036_854_775_807.0 {
                Ok(Val::Int(*it as i64))
            } else {
                failed("integer overflow")
            }
        }
        Val::Duration(it) => Ok(Val::Int(*it)),
        Val::Timestamp(it) => Ok(Val::Int(it.as_second() - i64::from(it.subsec_nanosecond() < 0))),
        Val::String(it) => {
            it.parse().map_or_else(|_| no_conversion(value, &Type::Int), |it| Ok(Val::Int(it)))
        }
        _ => return None,
    })
}

fn to_uint(value: &Val) -> Option<Evaluated> {
    Some(match value {
        Val::Uint(_) => Ok(value.clone()),
        Val::Int(it) => {
            u64::try_from(*it).map_or_else(|_| failed("unsigned integer overflow"), |it| Ok(Val::Uint(it)))
        }
        Val::Double(it) if *it >= 0.0 && *it < 18_446_744_073_709_551_615.0 => Ok(Val::Uint(*it as u64)),
        Val::Double(_) => failed("unsigned integer overflow"),
        Val::String(it) if it.starts_with('+') => no_conversion(value, &Type::Uint),
        Val::String(it) => {
            it.parse().map_or_else(|_| no_conversion(value, &Type::Uint), |it| Ok(Val::Uint(it)))
        }
        _ => return None,
    })
}

fn to_double(value: &Val) -> Option<Evaluated> {
    Some(match value {
        Val::Double(_) => Ok(value.clone()),
        Val::Int(it) => Ok(Val::Double(*it as f64)),
        Val::Uint(it) => Ok(Val::Double(*it as f64)),
        Val::String(it) => match it.parse::<f64>() {
            // Go takes a number that is too large for no number.
            Ok(number) if number.is_finite() || !it.contains(|char: char| char.is_ascii_digit()) => {
                Ok(Val::Double(number))
            }
            Ok(_) | Err(_) => no_conversion(value, &Type::Double),
        },
        _ => return None,
    })
}

fn to_string(value: &Val) -> Option<Evaluated> {
    let text = match value {
        Val::String(_) => return Some(Ok(value.clone())),
        Val::Bool(it) => it.to_string(),
        Val::Int(it) => it.to_string(),
        Val::Uint(it) => it.to_string(),
        Val::Double(it) => text::float(*it),
        Val::Timestamp(it) => time::timestamp_text(*it),
        Val::Duration(it) => time::duration_text(*it),
        Val::Ip(it) => it.to_string(),
        Val::Cidr(it) => it.to_string(),
        Val::Bytes(it) => match std::str::from_utf8(it) {
            Ok(text) => text.to_owned(),
            Err(_) => return Some(failed("invalid UTF-8 in bytes, cannot convert to string")),
        },
        _ => return None,
    };
    Some(Ok(Val::String(Text::from(text))))
}
