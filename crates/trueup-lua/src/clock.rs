//! `os.time` and `os.date`: the only parts of `os`, for the time that was handed in, in UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use mlua::{IntoLua, Lua, Table, Value as LuaValue};

const DAY: i64 = 86_400;

/// Years and all smaller units beyond this are nobody's date, and would overflow.
const FIELD_MAX: i64 = 1_000_000;

/// Seconds since 1970 of a table of fields, or the time itself. Fields may lie outside of their range, as in Go.
pub(crate) fn time(unix_s: i64, fields: Option<Table>) -> mlua::Result<i64> {
    let Some(fields) = fields else { return Ok(unix_s) };
    let field = |name: &str, default: i64| -> mlua::Result<i64> {
        let found: LuaValue = fields.raw_get(name)?;
        let number = match found {
            LuaValue::Integer(number) => number,
            LuaValue::Number(number) => number as i64,
            _ => default,
        };
        if number.abs() > FIELD_MAX {
            return Err(mlua::Error::runtime(format!("field '{name}' is out of range")));
        }
        Ok(number)
    };
    let (year, month, day) = (field("year", -1)?, field("month", -1)?, field("day", -1)?);
    let (hour, minute, second) = (field("hour", 12)?, field("min", 0)?, field("sec", 0)?);
    let months = year * 12 + month - 1;
    let days = days_since_1970(months.div_euclid(12), months.rem_euclid(12) + 1) + day - 1;
    Ok(days * DAY + hour * 3600 + minute * 60 + second)
}

/// Days from 1970-01-01 to the first of a month, in the calendar of today.
fn days_since_1970(year: i64, month: i64) -> i64 {
    // Years begin in March here, so that a leap day is the last of its year.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A date as text, or with the format `*t` as a table of fields.
pub(crate) fn date(lua: &Lua, format: Option<&str>, unix_s: i64) -> mlua::Result<LuaValue> {
    let instant =
        Timestamp::from_second(unix_s).map_err(|_| mlua::Error::runtime("the time is out of range"))?;
    let at = TimeZone::UTC.to_datetime(instant);
    let format = format.unwrap_or("%c");
    let format = format.trim_start_matches('!');
    if format.starts_with("*t") {
        let fields = lua.create_table()?;
        for (name, number) in [
            ("year", i64::from(at.year())),
            ("month", i64::from(at.month())),
            ("day", i64::from(at.day())),
            ("hour", i64::from(at.hour())),
            ("min", i64::from(at.minute())),
            ("sec", i64::from(at.second())),
            ("wday", i64::from(at.weekday().to_sunday_one_offset())),
            ("yday", i64::from(at.day_of_year())),
        ] {
            fields.raw_set(name, number)?;
        }
        fields.raw_set("isdst", false)?;
        return Ok(LuaValue::Table(fields));
    }
    text(format, at).into_lua(lua)
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn text(format: &str, at: DateTime) -> String {
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('%') => out.push('%'),
            Some(flag) => match part(flag, at) {
                Some(part) => out.push_str(&part),
                None => out.extend(['%', flag]),
            },
            None => out.push('%'),
        }
    }
    out
}

fn part(flag: char, at: DateTime) -> Option<String> {
    let month =
        MONTHS.get(usize::from(at.month().unsigned_abs()).saturating_sub(1)).copied().unwrap_or_default();
    let weekday = at.weekday().to_sunday_zero_offset();
    let day = DAYS.get(usize::from(weekday.unsigned_abs())).copied().unwrap_or_default();
    let short = |word: &str| word.chars().take(3).collect::<String>();
    Some(match flag {
        'a' => short(day),
        'A' => day.to_owned(),
        'b' => short(month),
        'B' => month.to_owned(),
        'c' => text("%d %b %y %H:%M UTC", at),
        'd' => format!("{:02}", at.day()),
        'F' => text("%Y-%m-%d", at),
        'H' => format!("{:02}", at.hour()),
        'I' => format!("{:02}", (at.hour() + 11) % 12 + 1),
        'j' => format!("{:03}", at.day_of_year()),
        'm' => format!("{:02}", at.month()),
        'M' => format!("{:02}", at.minute()),
        'p' => if at.hour() < 12 { "AM" } else { "PM" }.to_owned(),
        'P' => if at.hour() < 12 { "am" } else { "pm" }.to_owned(),
        's' => TimeZone::UTC.to_timestamp(at).map(|it| it.as_second().to_string()).unwrap_or_default(),
        'S' => format!("{:02}", at.second()),
        'T' | 'X' => text("%H:%M:%S", at),
        'w' => weekday.to_string(),
        'x' => text("%m/%d/%y", at),
        'y' => format!("{:02}", at.year().rem_euclid(100)),
        'Y' => format!("{:04}", at.year()),
        'z' => "+0000".to_owned(),
        'Z' => "UTC".to_owned(),
        _ => return None,
    })
}
