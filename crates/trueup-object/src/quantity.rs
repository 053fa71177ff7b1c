//! Kubernetes quantities (`100m`, `2Gi`, `1e3`), exact: `0.1` is `100m` and `2048Mi` is `2Gi`.
//!
//! Follows `k8s.io/apimachinery/pkg/api/resource`: what is finer than a nano is rounded away from zero, a binary
//! quantity past 2^63-1 is cut there, and the canonical form has no fraction.

use std::cmp::Ordering;
use std::fmt;

use crate::value::Value;

mod digits;

use digits::Digits;

/// Exponents past this are nobody's quantity; without a bound a short text would ask for any amount of memory.
const EXPONENT_MAX: i64 = 1_000;

/// A text longer than this is not a quantity.
const LENGTH_MAX: usize = 256;

/// An exact amount, and the family of suffixes in which it was written.
#[derive(Debug, Clone)]
pub struct Quantity {
    negative: bool,
    /// The amount is `digits` times ten to the power of `exponent`; no trailing zeros.
    digits: Digits,
    exponent: i64,
    format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `m`, `k`, `M`, ...
    DecimalSi,
    /// `Ki`, `Mi`, ...
    BinarySi,
    /// `e3`
    DecimalExponent,
}

/// A text that is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a quantity")]
pub struct QuantityError(pub String);

impl Quantity {
    pub fn parse(text: &str) -> Result<Self, QuantityError> {
        parse(text).ok_or_else(|| QuantityError(text.chars().take(64).collect()))
    }

    /// From a value as objects hold it: a string, or a bare number.
    pub fn of(value: &Value) -> Result<Self, QuantityError> {
        match value {
            Value::Str(text) => Self::parse(text.trim()),
            Value::Int(_) | Value::Float(_) => Self::parse(&value.to_json().replace("e+", "e")),
            other => Err(QuantityError(format!("a value of type {}", other.type_name()))),
        }
    }

    pub fn is_zero(&self) -> bool {
        self.digits.is_zero()
    }

    fn is_negative(&self) -> bool {
        self.negative && !self.is_zero()
    }

    /// The form in which Go prints it.
    fn canonical(&self) -> String {
        if self.is_zero() {
            return "0".to_owned();
        }
        let sign = if self.is_negative() { "-" } else { "" };
        let small = self.digits.cmp_scaled(self.exponent, &Digits::from_u64(1024), 0) == Ordering::Less;
        if self.format == Format::BinarySi && !small && self.exponent >= 0 {
            let mut whole = self.digits.shifted(self.exponent);
            let mut power = 0;
            while power < BINARY.len() - 1
                && let Some(quotient) = whole.divided_exactly(1024)
            {
                whole = quotient;
                power += 1;
            }
            return format!("{sign}{whole}{}", BINARY.get(power).copied().unwrap_or_default());
        }
        // The exponent goes down to a multiple of three.
        let exponent = self.exponent.div_euclid(3) * 3;
        let digits = self.digits.shifted(self.exponent - exponent);
        if self.format == Format::DecimalExponent {
            let suffix = if exponent == 0 { String::new() } else { format!("e{exponent}") };
            return format!("{sign}{digits}{suffix}");
        }
        match DECIMAL.iter().find(|(power, _)| *power == exponent) {
            Some((_, suffix)) => format!("{sign}{digits}{suffix}"),
            None => format!("{sign}{digits}e{exponent}"),
        }
    }
}

const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

const DECIMAL: [(i64, &str); 10] =
    [(-9, "n"), (-6, "u"), (-3, "m"), (0, ""), (3, "k"), (6, "M"), (9, "G"), (12, "T"), (15, "P"), (18, "E")];

/// What a suffix multiplies by.
enum Scale {
    Ten(i64, Format),
    /// 1024 to this power.
    Binary(usize),
}

fn scale(suffix: &str) -> Option<Scale> {
    if let Some((power, _)) = DECIMAL.iter().find(|(_, name)| *name == suffix) {
        return Some(Scale::Ten(*power, Format::DecimalSi));
    }
    if let Some(power) = BINARY.iter().position(|name| *name == suffix) {
        return Some(Scale::Binary(power));
    }
    let exponent = suffix.strip_prefix(['e', 'E'])?;
    let exponent: i64 = exponent.parse().ok()?;
    (exponent.abs() <= EXPONENT_MAX).then_some(Scale::Ten(exponent, Format::DecimalExponent))
}

fn parse(text: &str) -> Option<Quantity> {
    if text.is_empty() || text.len() > LENGTH_MAX {
        return None;
    }
    let (negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = unsigned.find(|char: char| !char.is_ascii_digit() && char != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at_checked(end)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
        return None;
    }
    let mut digits = Digits::parse(&format!("{whole}{fraction}"));
    let mut exponent = -i64::try_from(fraction.len()).ok()?;
    let mut format = Format::BinarySi;
    match scale(suffix)? {
        Scale::Ten(power, written) => {
            exponent += power;
            format = written;
        }
        Scale::Binary(power) => (0..power).for_each(|_| digits.multiply(1024)),
    }
    exponent += digits.strip_zeros();
    // Finer than a nano is rounded up: who asks for some gets some.
    if exponent < -9 {
        digits = digits.divided_by_ten_to(-9 - exponent);
        exponent = -9 + digits.strip_zeros();
    }
    if format == Format::BinarySi {
        let limit = Digits::from_u64(i64::MAX as u64);
        if digits.cmp_scaled(exponent, &limit, 0) == Ordering::Greater {
            digits = limit;
            exponent = digits.strip_zeros();
        }
    }
    Some(Quantity { negative, digits, exponent, format })
}

/// Canonical form, as Go prints it.
impl fmt::Display for Quantity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.canonical())
    }
}

/// By amount; the suffix in which it is written does not matter.
impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> Ordering {
        let sizes = || self.digits.cmp_scaled(self.exponent, &other.digits, other.exponent);
        match (self.is_negative(), other.is_negative()) {
            (false, false) => sizes(),
            (true, true) => sizes().reverse(),
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Quantity {}

/// Whether two values are the same quantity. False where either is not a quantity.
pub fn equal_quantities(left: &Value, right: &Value) -> bool {
    match (Quantity::of(left), Quantity::of(right)) {
        (Ok(left), Ok(right)) => left == right,
        (Err(_), _) | (_, Err(_)) => false,
    }
}

#[cfg(test)]
mod tests;
