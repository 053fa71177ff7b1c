//! Scalars with more than one spelling: Go durations, int-or-string, times.

use jiff::Timestamp;

use crate::value::Value;

/// A text that is not a duration as Go writes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a duration such as 30s, 5m or 1h30m")]
pub struct DurationError(pub String);

/// A Go duration in nanoseconds: an exact count, since two durations are equal where their counts are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GoDuration {
    nanoseconds: i64,
}

impl GoDuration {
    /// Follows Go's `time.ParseDuration`: `1h30m`, `1.5h`, `-10ms`, `0`.
    pub fn parse(text: &str) -> Result<Self, DurationError> {
        parse_duration(text)
            .map(|nanoseconds| Self { nanoseconds })
            .ok_or_else(|| DurationError(text.chars().take(64).collect()))
    }

    pub fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }

    pub fn seconds(self) -> f64 {
        self.nanoseconds as f64 / 1e9
    }

    /// As a span of time; `None` where it is negative.
    pub fn to_std(self) -> Option<std::time::Duration> {
        u64::try_from(self.nanoseconds).ok().map(std::time::Duration::from_nanos)
    }
}

fn unit_nanoseconds(unit: &str) -> Option<i128> {
    match unit {
        "ns" => Some(1),
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1_000),
        "ms" => Some(1_000_000),
        "s" => Some(1_000_000_000),
        "m" => Some(60_000_000_000),
        "h" => Some(3_600_000_000_000),
        _ => None,
    }
}

fn parse_duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, tail) = rest.split_at_checked(number_end)?;
        let unit_end = tail.find(|char: char| char.is_ascii_digit() || char == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let unit = unit_nanoseconds(unit)?;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || whole.len() > 19 {
            return None;
        }
        let whole: i128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        // Digits past a nanosecond of the largest unit cannot matter.
        let fraction = fraction.get(..fraction.len().min(18))?;
        let scale = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let part: i128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
        total = total.checked_add(whole.checked_mul(unit)?)?.checked_add(part.checked_mul(unit)? / scale)?;
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

/// Whether two values are the same duration. False where either is not one.
pub fn equal_durations(left: &Value, right: &Value) -> bool {
    let of = |value: &Value| value.as_str().and_then(|text| GoDuration::parse(text).ok());
    of(left).is_some_and(|left| of(right) == Some(left))
}

/// Whether two values are the same in a field that holds an integer or a string: `80` and `"80"` are.
pub fn equal_int_or_string(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Int(number), Value::Str(text)) | (Value::Str(text), Value::Int(number)) => {
            number.to_string() == text.as_str()
        }
        (left, right) => left == right,
    }
}

/// Reads a time as Kubernetes writes them (RFC 3339).
pub fn parse_time(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// Whether two values are the same moment. False where either is not a time.
pub fn equal_times(left: &Value, right: &Value) -> bool {
    let of = |value: &Value| value.as_str().and_then(parse_time);
    of(left).is_some_and(|left| of(right) == Some(left))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        let cases = [
            ("0", 0),
            ("0s", 0),
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("5.s", 5_000_000_000),
            ("-10ms", -10_000_000),
            ("+3us", 3_000),
            ("3\u{b5}s", 3_000),
            ("1h0m0s", 3_600_000_000_000),
            ("0.000000001s", 1),
            ("2562047h", 9_223_369_200_000_000_000),
        ];
        for (text, expected) in cases {
            assert_eq!(GoDuration::parse(text).unwrap().nanoseconds(), expected, "{text}");
        }
        for text in
            ["", "-", "5", "s", "1d", "1x", "1.2.3s", ".s", "2562048h", "1 s", "99999999999999999999h"]
        {
            assert!(GoDuration::parse(text).is_err(), "{text}");
        }
        assert!(equal_durations(&"60s".into(), &"1m0s".into()));
        assert!(!equal_durations(&"60".into(), &"60".into()));
    }

    #[test]
    fn integers_and_strings() {
        assert!(equal_int_or_string(&Value::Int(80), &"80".into()));
        assert!(equal_int_or_string(&"25%".into(), &"25%".into()));
        assert!(!equal_int_or_string(&Value::Int(80), &"http".into()));
        assert!(!equal_int_or_string(&Value::Int(8), &"08".into()));
    }

    #[test]
    fn moments() {
        assert!(equal_times(&"2024-01-01T00:00:00Z".into(), &"2024-01-01T01:00:00+01:00".into()));
        assert!(equal_times(&"2024-01-01T00:00:00.000000Z".into(), &"2024-01-01T00:00:00Z".into()));
        assert!(!equal_times(&"2024-01-01".into(), &"2024-01-01".into()));
    }
}
