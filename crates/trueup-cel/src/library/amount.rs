//! Quantities that can be added (`k8s.io/apimachinery/pkg/api/resource`).

use std::cmp::Ordering;
use std::sync::Arc;

use trueup_object::quantity::Quantity;

use crate::eval::{Evaluated, failed};
use crate::value::Val;

/// An amount in thousand-millionths, the finest that there is, and whether it was written as a whole number.
#[derive(Debug, Clone, Copy)]
pub struct Amount {
    nano: i128,
    is_whole: bool,
}

const NANO: i128 = 1_000_000_000;

impl PartialEq for Amount {
    fn eq(&self, other: &Self) -> bool {
        self.nano == other.nano
    }
}

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    Some(match (function, args) {
        ("quantity", [Val::String(text)]) => match parse(text) {
            Ok(amount) => Ok(Val::Quantity(Arc::new(amount))),
            Err(words) => failed(words),
        },
        ("isQuantity", [Val::String(text)]) => Ok(Val::Bool(parse(text).is_ok())),
        (_, [Val::Quantity(it)]) => return of(function, it),
        (_, [Val::Quantity(left), Val::Quantity(right)]) => {
            let order = left.nano.cmp(&right.nano);
            match function {
                "isGreaterThan" => Ok(Val::Bool(order == Ordering::Greater)),
                "isLessThan" => Ok(Val::Bool(order == Ordering::Less)),
                "compareTo" => Ok(Val::Int(order as i64)),
                "add" => sum(left, right.nano, right.is_whole),
                "sub" => sum(left, right.nano.saturating_neg(), right.is_whole),
                _ => return None,
            }
        }
        ("add", [Val::Quantity(left), Val::Int(right)]) => sum(left, i128::from(*right) * NANO, true),
        ("sub", [Val::Quantity(left), Val::Int(right)]) => sum(left, -i128::from(*right) * NANO, true),
        _ => return None,
    })
}

fn sum(left: &Amount, right: i128, is_whole: bool) -> Evaluated {
    let nano = left.nano.saturating_add(right);
    Ok(Val::Quantity(Arc::new(Amount { nano, is_whole: left.is_whole && is_whole })))
}

fn of(function: &str, it: &Amount) -> Option<Evaluated> {
    let whole = if it.is_whole { i64::try_from(it.nano / NANO).ok() } else { None };
    Some(match function {
        "sign" => Ok(Val::Int(it.nano.signum() as i64)),
        "isInteger" => Ok(Val::Bool(whole.is_some())),
        "asInteger" => whole.map_or_else(|| failed("cannot convert value to integer"), |it| Ok(Val::Int(it))),
        "asApproximateFloat" => {
            let (whole, rest) = (it.nano / NANO, it.nano % NANO);
            Ok(Val::Double(if rest == 0 { whole as f64 } else { it.nano as f64 / NANO as f64 }))
        }
        _ => return None,
    })
}

fn parse(text: &str) -> Result<Amount, String> {
    const SHAPE: &str =
        "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
    let quantity = Quantity::parse(text).map_err(|_| {
        let unsigned = text.trim_start_matches(['+', '-']);
        let suffix = unsigned.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
        let is_suffix = suffix.chars().all(|it| "eEinumkKMGTP+-0123456789".contains(it));
        let has_number =
            unsigned.len() > suffix.len() && unsigned.starts_with(|it: char| it.is_ascii_digit());
        if is_suffix && has_number && !suffix.is_empty() {
            "unable to parse quantity's suffix"
        } else {
            SHAPE
        }
        .to_owned()
    })?;
    let is_negative = text.starts_with('-');
    let unsigned = text.trim_start_matches(['+', '-']);
    let end = unsigned.find(|it: char| !it.is_ascii_digit() && it != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let nano = nanos(whole, fraction, suffix, &quantity);
    let is_fine = matches!(suffix, "n" | "u" | "m") || suffix.contains("e-") || suffix.contains("E-");
    Ok(Amount { nano: if is_negative { -nano } else { nano }, is_whole: fraction.is_empty() && !is_fine })
}

/// The amount of digits with a suffix; one that is too large is the largest.
fn nanos(whole: &str, fraction: &str, suffix: &str, quantity: &Quantity) -> i128 {
    const LARGEST: i128 = i128::MAX / 4;
    if quantity.is_zero() {
        return 0;
    }
    let digits = format!("{whole}{fraction}");
    let digits = digits.trim_start_matches('0');
    if digits.len() > 36 {
        return LARGEST;
    }
    let value: i128 = digits.parse().unwrap_or_default();
    let (power_of_ten, power_of_two) = scale(suffix);
    let power = 9 + power_of_ten - i32::try_from(fraction.len()).unwrap_or(i32::MAX);
    let doubled = value.checked_shl(power_of_two).filter(|it| it >> power_of_two == value);
    let Some(doubled) = doubled.filter(|it| *it >= 0) else { return LARGEST };
    if power >= 0 {
        let factor = 10_i128.checked_pow(power.unsigned_abs());
        factor.and_then(|factor| doubled.checked_mul(factor)).unwrap_or(LARGEST).min(LARGEST)
    } else {
        // What is finer than the finest is rounded up.
        let divisor = 10_i128.checked_pow(power.unsigned_abs()).unwrap_or(i128::MAX);
        doubled / divisor + i128::from(doubled % divisor != 0)
    }
}

fn scale(suffix: &str) -> (i32, u32) {
    match suffix {
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        exponent => (exponent.trim_start_matches(['e', 'E']).parse().unwrap_or_default(), 0),
    }
}
