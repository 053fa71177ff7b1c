//! The schedules of CronJobs: `*/5 * * * *`, `@hourly`, `@every 10m`, and when they come round next.
//!
//! The same texts are accepted as by `github.com/robfig/cron/v3`, which Kubernetes uses, and refused with the same words.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use trueup_object::Timestamp;

/// When something is to happen again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    Every(Duration),
    Calendar(Calendar),
}

/// The minutes, hours, days and months at which it happens, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

/// Why a text is no schedule, in the words of the original.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotASchedule(String);

/// Marks a field that says `*`: where both kinds of days are given, either will do, and where one is a star, the other.
const STAR: u64 = 1 << 63;

/// Dates that never come (`0 0 30 2 *`) are given up on after so many days: a leap year comes within eight years.
const N_DAYS_MAX: usize = 366 * 8;

struct Bounds {
    least: u32,
    most: u32,
    names: &'static [&'static str],
}

const MINUTES: Bounds = Bounds { least: 0, most: 59, names: &[] };
const HOURS: Bounds = Bounds { least: 0, most: 23, names: &[] };
const DAYS: Bounds = Bounds { least: 1, most: 31, names: &[] };
const MONTHS: Bounds = Bounds {
    least: 1,
    most: 12,
    names: &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
};
const WEEKDAYS: Bounds =
    Bounds { least: 0, most: 6, names: &["sun", "mon", "tue", "wed", "thu", "fri", "sat"] };

impl Schedule {
    pub fn parse(text: &str) -> Result<Self, NotASchedule> {
        if text.is_empty() {
            return Err(NotASchedule("empty spec string".to_owned()));
        }
        let text = match text.strip_prefix("CRON_TZ=").or_else(|| text.strip_prefix("TZ=")) {
            Some(rest) => rest.split_once(' ').map_or("", |(_, rest)| rest.trim()),
            None => text,
        };
        if text.starts_with('@') {
            return descriptor(text);
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            let message =
                format!("expected exactly 5 fields, found {}: [{}]", fields.len(), fields.join(" "));
            return Err(NotASchedule(message));
        };
        Ok(Self::Calendar(Calendar {
            minutes: field(minutes, &MINUTES)?,
            hours: field(hours, &HOURS)?,
            days: field(days, &DAYS)?,
            months: field(months, &MONTHS)?,
            weekdays: field(weekdays, &WEEKDAYS)?,
        }))
    }

    /// The first time after a given one; none where it never comes.
    pub fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        match self {
            Self::Every(period) => {
                let next = after.checked_add(*period).ok()?;
                Timestamp::from_second(next.as_second()).ok()
            }
            Self::Calendar(calendar) => calendar.next(after, zone),
        }
    }
}

impl Calendar {
    fn next(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let here: DateTime = zone.to_datetime(after);
        let mut date: Date = here.date();
        for _ in 0..N_DAYS_MAX {
            if self.fits_day(date) {
                for time in self.times() {
                    let moment = zone.to_ambiguous_timestamp(date.to_datetime(time)).compatible().ok()?;
                    if moment > after {
                        return Some(moment);
                    }
                }
            }
            date = date.tomorrow().ok()?;
        }
        None
    }

    fn times(&self) -> impl Iterator<Item = Time> + '_ {
        let hours = (0..24_i8).filter(|hour| self.hours & (1 << hour) != 0);
        hours.flat_map(move |hour| {
            let minutes = (0..60_i8).filter(move |minute| self.minutes & (1 << minute) != 0);
            minutes.filter_map(move |minute| Time::new(hour, minute, 0, 0).ok())
        })
    }

    fn fits_day(&self, date: Date) -> bool {
        let day = self.days & (1 << date.day()) != 0;
        let weekday = self.weekdays & (1 << date.weekday().to_sunday_zero_offset()) != 0;
        let either = self.days & STAR == 0 && self.weekdays & STAR == 0;
        let fits = if either { day || weekday } else { day && weekday };
        fits && self.months & (1 << date.month()) != 0
    }
}

fn descriptor(text: &str) -> Result<Schedule, NotASchedule> {
    let fields = match text {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        _ => {
            let Some(period) = text.strip_prefix("@every ") else {
                return Err(NotASchedule(format!("unrecognized descriptor: {text}")));
            };
            let seconds = go_duration(period).ok_or_else(|| {
                NotASchedule(format!("failed to parse duration {text}: time: invalid duration {:?}", period))
            })?;
            return Ok(Schedule::Every(Duration::from_secs(seconds.max(1))));
        }
    };
    Schedule::parse(fields)
}

/// `1h30m` in whole seconds.
fn go_duration(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut seconds = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|char: char| !char.is_ascii_digit() && char != '.')?;
        let (number, tail) = rest.split_at(digits);
        let number: f64 = number.parse().ok()?;
        let unit_end = tail.find(|char: char| char.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        seconds += number
            * match unit {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 0.001,
                _ => return None,
            };
        rest = tail;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "durations are small and positive"
    )]
    Some(seconds as u64)
}

fn field(text: &str, bounds: &Bounds) -> Result<u64, NotASchedule> {
    let mut bits = 0;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        bits |= range(part, bounds)?;
    }
    Ok(bits)
}

fn range(text: &str, bounds: &Bounds) -> Result<u64, NotASchedule> {
    let wrong = |message: String| Err(NotASchedule(format!("{message}: {text}")));
    let steps: Vec<&str> = text.split('/').collect();
    let ends: Vec<&str> = steps.first().copied().unwrap_or_default().split('-').collect();
    let first = ends.first().copied().unwrap_or_default();
    let single = ends.len() == 1;
    let (mut extra, start, mut end);
    if matches!(first, "*" | "?") {
        (extra, start, end) = (STAR, bounds.least, bounds.most);
    } else {
        extra = 0;
        start = number_or_name(first, bounds)?;
        end = match ends.as_slice() {
            [_] => start,
            [_, last] => number_or_name(last, bounds)?,
            _ => return wrong("too many hyphens".to_owned()),
        };
    }
    let step = match steps.as_slice() {
        [_] => 1,
        [_, step] => {
            let step = number(step)?;
            if single {
                end = bounds.most;
            }
            if step > 1 {
                extra = 0;
            }
            step
        }
        _ => return wrong("too many slashes".to_owned()),
    };
    let Bounds { least, most, .. } = bounds;
    if start < *least {
        return wrong(format!("beginning of range ({start}) below minimum ({least})"));
    }
    if end > *most {
        return wrong(format!("end of range ({end}) above maximum ({most})"));
    }
    if start > end {
        return wrong(format!("beginning of range ({start}) beyond end of range ({end})"));
    }
    if step == 0 {
        return wrong("step of range should be a positive number".to_owned());
    }
    let step = usize::try_from(step).unwrap_or(usize::MAX);
    Ok((start..=end).step_by(step).fold(extra, |bits, number| bits | (1 << number)))
}

fn number_or_name(text: &str, bounds: &Bounds) -> Result<u32, NotASchedule> {
    let lower = text.to_lowercase();
    match bounds.names.iter().position(|name| *name == lower) {
        Some(place) => Ok(bounds.least + u32::try_from(place).unwrap_or_default()),
        None => number(text),
    }
}

fn number(text: &str) -> Result<u32, NotASchedule> {
    let number: i64 = text.parse().map_err(|_| {
        NotASchedule(format!(
            "failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax"
        ))
    })?;
    u32::try_from(number).map_err(|_| NotASchedule(format!("negative number ({number}) not allowed: {text}")))
}

/// A time zone by its name in the IANA database.
pub fn zone(name: &str) -> Option<TimeZone> {
    match name {
        "" | "UTC" => Some(TimeZone::UTC),
        name => TimeZone::get(name).ok(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn after(schedule: &str, zone: &str, time: &str) -> String {
        let schedule = Schedule::parse(schedule).unwrap();
        let next = schedule.next(time.parse().unwrap(), &super::zone(zone).unwrap());
        next.map_or_else(|| "never".to_owned(), |next| next.to_string())
    }

    #[test]
    fn the_next_time_is_the_first_that_fits() {
        for (schedule, from, next) in [
            ("* * * * *", "2026-01-01T00:00:30Z", "2026-01-01T00:01:00Z"),
            ("*/15 * * * *", "2026-01-01T00:45:00Z", "2026-01-01T01:00:00Z"),
            ("0 0 * jan mon-fri", "2026-01-02T12:00:00Z", "2026-01-05T00:00:00Z"),
            ("0 0 13 * 5", "2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"),
            ("0 0 13 * *", "2026-01-01T00:00:00Z", "2026-01-13T00:00:00Z"),
            ("0 0 29 2 *", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("@hourly", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00Z"),
            ("@weekly", "2026-01-01T00:00:00Z", "2026-01-04T00:00:00Z"),
            ("@every 1h30m", "2026-01-01T00:00:00Z", "2026-01-01T01:30:00Z"),
        ] {
            assert_eq!(after(schedule, "UTC", from), next, "{schedule}");
        }
        assert_eq!(after("0 0 30 2 *", "UTC", "2026-01-01T00:00:00Z"), "never");
    }

    #[test]
    fn zones_have_their_own_midnight_and_summers() {
        assert_eq!(after("@daily", "Europe/Berlin", "2026-01-01T00:00:00Z"), "2026-01-01T23:00:00Z");
        assert_eq!(after("@daily", "Europe/Berlin", "2026-07-01T00:00:00Z"), "2026-07-01T22:00:00Z");
        assert!(zone("Nonsense/Place").is_none());
    }

    #[test]
    fn what_is_no_schedule_is_refused_in_the_words_of_the_original() {
        for (text, words) in [
            ("60 * * * *", "end of range (60) above maximum (59): 60"),
            ("a * * * *", "failed to parse int from a: strconv.Atoi: parsing \"a\": invalid syntax"),
            ("5-1 * * * *", "beginning of range (5) beyond end of range (1): 5-1"),
            ("*/0 * * * *", "step of range should be a positive number: */0"),
            ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
            ("@nonsense", "unrecognized descriptor: @nonsense"),
        ] {
            assert_eq!(Schedule::parse(text).unwrap_err().to_string(), words);
        }
    }
}
