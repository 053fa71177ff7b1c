//! Points in time and durations.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};
use trueup_object::scalar::GoDuration;

use crate::eval::{Evaluated, failed};
use crate::value::Val;

/// The years that a timestamp may have, in seconds: from 0001 to 9999.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    match args {
        [Val::Duration(it)] => {
            let seconds = it / 1_000_000_000;
            Some(Ok(Val::Int(match function {
                "getHours" => seconds / 3600,
                "getMinutes" => seconds / 60,
                "getSeconds" => seconds,
                "getMilliseconds" => it / 1_000_000,
                _ => return None,
            })))
        }
        [Val::Timestamp(it)] => part(function, TimeZone::UTC.to_datetime(*it)).map(|it| Ok(Val::Int(it))),
        [Val::Timestamp(it), Val::String(zone)] if function.starts_with("get") => Some(match zoned(zone) {
            Ok(zone) => part(function, zone.to_datetime(*it))
                .map_or_else(|| failed("no such overload"), |it| Ok(Val::Int(it))),
            Err(words) => failed(words),
        }),
        _ => None,
    }
}

fn part(function: &str, time: DateTime) -> Option<i64> {
    Some(match function {
        "getFullYear" => i64::from(time.year()),
        "getMonth" => i64::from(time.month()) - 1,
        "getDayOfYear" => i64::from(time.day_of_year()) - 1,
        "getDayOfMonth" => i64::from(time.day()) - 1,
        "getDate" => i64::from(time.day()),
        "getDayOfWeek" => i64::from(time.weekday().to_sunday_zero_offset()),
        "getHours" => i64::from(time.hour()),
        "getMinutes" => i64::from(time.minute()),
        "getSeconds" => i64::from(time.second()),
        "getMilliseconds" => i64::from(time.millisecond()),
        _ => return None,
    })
}

/// A time zone by its distance from UTC. Those with names would need a database, which is not here.
fn zoned(zone: &str) -> Result<TimeZone, String> {
    let Some((hours, minutes)) = zone.split_once(':') else {
        return match zone {
            "" | "UTC" | "Etc/UTC" | "GMT" | "Etc/GMT" => Ok(TimeZone::UTC),
            name => Err(format!("unknown time zone {name}")),
        };
    };
    let number = |text: &str| {
        text.parse::<i32>().map_err(|_| format!("strconv.Atoi: parsing {text:?}: invalid syntax"))
    };
    let (h, m) = (number(hours)?, number(minutes)?);
    let total =
        h.saturating_mul(60).saturating_add(if zone.starts_with('-') { m.saturating_neg() } else { m });
    let offset =
        Offset::from_seconds(total.saturating_mul(60)).map_err(|_| format!("unknown time zone {zone}"))?;
    Ok(TimeZone::fixed(offset))
}

pub(super) fn from_seconds(seconds: i64) -> Evaluated {
    match Timestamp::from_second(seconds) {
        Ok(time) if SECONDS.contains(&seconds) => Ok(Val::Timestamp(time)),
        Ok(_) | Err(_) => failed("timestamp overflow"),
    }
}

/// RFC 3339, as Go reads it.
pub(crate) fn parse_timestamp(text: &str) -> Option<Val> {
    let bytes = text.as_bytes();
    let is_at = |at: usize, wanted: u8| bytes.get(at) == Some(&wanted);
    let has_shape = bytes.len() >= 20
        && text.is_ascii()
        && is_at(4, b'-')
        && is_at(7, b'-')
        && is_at(10, b'T')
        && is_at(13, b':')
        && is_at(16, b':')
        && bytes
            .iter()
            .enumerate()
            .all(|(at, byte)| at >= 19 || matches!(at, 4 | 7 | 10 | 13 | 16) || byte.is_ascii_digit());
    let zone = text.get(19..)?;
    let zone =
        zone.strip_prefix('.').map_or(zone, |it| it.trim_start_matches(|it: char| it.is_ascii_digit()));
    let has_zone =
        zone == "Z" || (zone.len() == 6 && zone.starts_with(['+', '-']) && zone.as_bytes()[3] == b':');
    // There is no leap second in Go.
    if !has_shape || !has_zone || text.get(17..19) == Some("60") {
        return None;
    }
    let time: Timestamp = text.parse().ok()?;
    SECONDS.contains(&time.as_second()).then_some(Val::Timestamp(time))
}

/// Go's durations, in nanoseconds: `1h30m`, `-1.5s`, `100ms`.
pub(crate) fn parse_duration(text: &str) -> Option<i64> {
    GoDuration::parse(text).ok().map(GoDuration::nanoseconds)
}

pub(crate) fn timestamp_text(time: Timestamp) -> String {
    time.to_string()
}

/// In seconds, with as many digits as it needs.
pub(crate) fn duration_text(nanoseconds: i64) -> String {
    let whole = nanoseconds / 1_000_000_000;
    let rest = (nanoseconds % 1_000_000_000).unsigned_abs();
    if rest == 0 {
        return format!("{whole}s");
    }
    let sign = if nanoseconds < 0 && whole == 0 { "-" } else { "" };
    let digits = format!("{rest:09}");
    format!("{sign}{whole}.{}s", digits.trim_end_matches('0'))
}

/// Sums and differences of points in time and durations.
pub(super) fn arithmetic(adds: bool, left: &Val, right: &Val) -> Evaluated {
    let moved = |time: &Timestamp, nanoseconds: i128| {
        Timestamp::from_nanosecond(time.as_nanosecond() + nanoseconds)
            .ok()
            .filter(|time| SECONDS.contains(&time.as_second()))
            .map_or_else(|| failed("timestamp overflow"), |time| Ok(Val::Timestamp(time)))
    };
    let span = |nanoseconds: i128| {
        i64::try_from(nanoseconds).map_or_else(|_| failed("duration overflow"), |it| Ok(Val::Duration(it)))
    };
    match (left, right, adds) {
        (Val::Timestamp(time), Val::Duration(by), true) | (Val::Duration(by), Val::Timestamp(time), true) => {
            moved(time, i128::from(*by))
        }
        (Val::Timestamp(time), Val::Duration(by), false) => moved(time, -i128::from(*by)),
        (Val::Timestamp(left), Val::Timestamp(right), false) => {
            span(left.as_nanosecond() - right.as_nanosecond())
        }
        (Val::Duration(left), Val::Duration(right), true) => span(i128::from(*left) + i128::from(*right)),
        (Val::Duration(left), Val::Duration(right), false) => span(i128::from(*left) - i128::from(*right)),
        _ => failed("no such overload"),
    }
}
