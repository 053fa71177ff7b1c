//! Formats of texts and numbers, as an API server checks them in values of custom kinds (`k8s.io/kube-openapi/pkg/validation/strfmt`;
//! which of them count is said in `k8s.io/apiextensions-apiserver/pkg/apiserver/validation/formats.go`).
//!
//! Names are compared without their dashes. A format that is not known restricts nothing, and whoever writes it is warned.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use regex::Regex;
use trueup_object::Value;
use trueup_object::value::Map;

/// The formats of texts that an API server knows, without dashes.
const OF_TEXTS: [&str; 26] = [
    "bsonobjectid",
    "uri",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "cidr",
    "mac",
    "uuid",
    "uuid3",
    "uuid4",
    "uuid5",
    "isbn",
    "isbn10",
    "isbn13",
    "creditcard",
    "ssn",
    "hexcolor",
    "rgbcolor",
    "byte",
    "password",
    "date",
    "duration",
    "datetime",
    "k8sshortname",
    "k8slongname",
];

/// The formats in a schema that an API server does not know for the type that they are of, in the order in which it finds them.
pub(crate) fn unrecognized(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(schema, &mut found);
    found
}

fn collect(schema: &Value, found: &mut Vec<String>) {
    if let Some(format) = schema.str_at(&["format"]).filter(|format| !format.is_empty()) {
        let kind = schema.str_at(&["type"]).unwrap_or_default();
        if !is_known(kind, format) {
            found.push(format.to_owned());
        }
    }
    for key in ["items", "not", "additionalProperties"] {
        if let Some(below) = schema.get(key).filter(|below| below.as_map().is_some()) {
            collect(below, found);
        }
    }
    for key in ["allOf", "oneOf", "anyOf"] {
        schema.list_at(&[key]).iter().for_each(|below| collect(below, found));
    }
    let properties = schema.get("properties").and_then(Value::as_map);
    properties.into_iter().flat_map(Map::iter).for_each(|(_, below)| collect(below, found));
}

fn is_known(kind: &str, format: &str) -> bool {
    match kind {
        "" | "string" => OF_TEXTS.contains(&format.replace('-', "").as_str()),
        "integer" => matches!(format, "int32" | "int64"),
        "number" => matches!(format, "float" | "double"),
        _ => false,
    }
}

/// Whether a number fits into its format.
pub(super) fn holds(kind: &str, format: &str, number: f64) -> bool {
    match (kind, format) {
        ("integer", "int32") => (f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number),
        ("number", "float") => number.abs() <= f64::from(f32::MAX),
        _ => true,
    }
}

/// Whether a text has a format.
pub(super) fn has_format(format: &str, text: &str) -> bool {
    match format.replace('-', "").as_str() {
        "datetime" => is_time(text),
        "date" => is_date(text),
        "duration" => is_duration(text),
        "ipv4" => text.contains('.') && sloppy_address(text).is_some(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => is_range(text),
        "mac" => is_mac(text),
        "uri" => is_uri(text),
        "email" => is_email(text),
        "hostname" => is_host(text),
        "uuid" => UUID.is_match(text),
        "uuid3" => UUID.is_match(text) && version(text) == Some('3'),
        "uuid4" => UUID.is_match(text) && version(text) == Some('4') && has_variant(text),
        "uuid5" => UUID.is_match(text) && version(text) == Some('5') && has_variant(text),
        "isbn" => is_isbn10(text) || is_isbn13(text),
        "isbn10" => is_isbn10(text),
        "isbn13" => is_isbn13(text),
        "creditcard" => is_card(text),
        "ssn" => text.len() == 11 && SSN.is_match(text),
        "hexcolor" => HEX_COLOR.is_match(text),
        "rgbcolor" => RGB_COLOR.is_match(text),
        "byte" => BASE64.is_match(text),
        "bsonobjectid" => text.len() == 24 && text.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "k8sshortname" => text.len() <= 63 && SHORT_NAME.is_match(text),
        "k8slongname" => text.len() <= 253 && LONG_NAME.is_match(text),
        _ => true,
    }
}

/// A pattern of this file.
#[expect(clippy::expect_used, reason = "the patterns stand in this file, and a test reads all of them")]
fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("a pattern of this file")
}

static UUID: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"(?i)^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$"));
static HOST: LazyLock<Regex> = LazyLock::new(|| {
    let one = r"[a-zA-Z0-9\p{S}\p{L}](?:-?[a-zA-Z0-9\p{S}\p{L}]{0,62})?";
    let label = r"[a-zA-Z0-9\p{S}\p{L}](?:[a-zA-Z0-9\-\p{S}\p{L}]{0,61}[a-zA-Z0-9\p{S}\p{L}])?\.";
    pattern(&format!(r"^(?:{one}|(?:{label})+[a-zA-Z\p{{L}}]{{2,63}})$"))
});
static TIME_OF_DAY: LazyLock<Regex> =
    LazyLock::new(|| pattern("^([0-9]{2}):([0-9]{2}):([0-9]{2})(.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$"));
static AMOUNT_OF_TIME: LazyLock<Regex> = LazyLock::new(|| pattern(r"([0-9]+)\s*([A-Za-zµ]+)"));
static SSN: LazyLock<Regex> = LazyLock::new(|| pattern("^[0-9]{3}[- ]?[0-9]{2}[- ]?[0-9]{4}$"));
static HEX_COLOR: LazyLock<Regex> = LazyLock::new(|| pattern("^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$"));
static RGB_COLOR: LazyLock<Regex> = LazyLock::new(|| {
    let part = r"\s*(?:0|[1-9][0-9]?|1[0-9]{2}|2[0-4][0-9]|25[0-5])\s*";
    pattern(&format!(r"^rgb\({part},{part},{part}\)$"))
});
static BASE64: LazyLock<Regex> = LazyLock::new(|| {
    pattern("^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{4})$")
});
static CARD: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        "^(?:4[0-9]{12}(?:[0-9]{3})?|5[1-5][0-9]{14}|6(?:011|5[0-9][0-9])[0-9]{12}|3[47][0-9]{13}|\
         3(?:0[0-5]|[68][0-9])[0-9]{11}|(?:2131|1800|35[0-9]{3})[0-9]{11})$",
    )
});
static SHORT_NAME: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"));
static LONG_NAME: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"));

/// A day as RFC 3339 has it, with two digits for month and day.
fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// A day and a time of day; of the offset only the form is looked at.
fn is_time(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let Some((day, time)) = text.split_once('t') else { return false };
    let parts = TIME_OF_DAY.captures(time.split('t').next().unwrap_or_default());
    let within = |number: usize, most: &str| {
        parts.as_ref().and_then(|parts| parts.get(number)).is_some_and(|part| part.as_str() <= most)
    };
    is_date(day) && within(1, "23") && within(2, "59") && within(3, "59")
}

/// Amounts with units, long ones too: `3h`, `1 hour`, `2 weeks`.
fn is_duration(text: &str) -> bool {
    const UNITS: [&str; 19] = [
        "ns", "us", "ms", "s", "m", "h", "d", "w", "µs", "hr", "wk", "nano", "micro", "milli", "sec", "min",
        "hour", "day", "week",
    ];
    if matches!(text.trim_start_matches(['+', '-']), "0") && text.len() <= 2 {
        return true;
    }
    let fits =
        |amount: &regex::Captures<'_>| amount.get(1).is_some_and(|it| it.as_str().parse::<i64>().is_ok());
    let has_unit = |amount: &regex::Captures<'_>| {
        let unit = amount.get(2).map(|it| it.as_str().to_lowercase()).unwrap_or_default();
        let is_begun = |name: &str| name.chars().count() > 2 && unit.starts_with(name);
        // Of each unit the longest name may have an end: `seconds`.
        UNITS.iter().any(|name| unit == *name || is_begun(name))
            || ["ns", "us", "ms"].iter().any(|short| unit == *short)
    };
    let mut found = false;
    for amount in AMOUNT_OF_TIME.captures_iter(text) {
        if !fits(&amount) {
            return false;
        }
        found |= has_unit(&amount);
    }
    found
}

/// An address whose numbers may begin with zeros, as Go once read them.
fn sloppy_address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    let parts: Vec<u8> = text.split('.').map_while(decimal).collect();
    let octets: [u8; 4] = parts.try_into().ok()?;
    (text.split('.').count() == 4).then_some(IpAddr::V4(Ipv4Addr::from(octets)))
}

fn decimal(text: &str) -> Option<u8> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn is_range(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    let most = match sloppy_address(address) {
        Some(IpAddr::V4(_)) => 32,
        Some(IpAddr::V6(_)) => 128,
        None => return false,
    };
    decimal(bits).is_some_and(|bits| bits <= most)
}

/// 6, 8 or 20 bytes in groups of two digits (`:` or `-`) or of four (`.`).
fn is_mac(text: &str) -> bool {
    let groups = |separator: char, digits: usize| {
        let parts: Vec<&str> = text.split(separator).collect();
        let fit = parts
            .iter()
            .all(|part| part.len() == digits && part.bytes().all(|byte| byte.is_ascii_hexdigit()));
        fit && matches!(parts.len() * digits / 2, 6 | 8 | 20)
    };
    groups(':', 2) || groups('-', 2) || groups('.', 4)
}

/// What Go takes for the address of a request: with a scheme, or from the root.
fn is_uri(text: &str) -> bool {
    let escapes = text.split('%').skip(1);
    let is_escaped =
        |rest: &str| rest.len() >= 2 && rest.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if text.is_empty()
        || text.chars().any(|letter| letter.is_ascii_control())
        || !escapes.clone().all(is_escaped)
    {
        return false;
    }
    if text == "*" {
        return true;
    }
    let scheme = text.split_once(':').filter(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme
                .chars()
                .all(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '+' | '-' | '.'))
    });
    let Some((_, rest)) = scheme else { return text.starts_with('/') };
    let Some(authority) = rest.strip_prefix("//") else { return true };
    let host = authority.split(['/', '?']).next().unwrap_or_default();
    let host = host.rsplit('@').next().unwrap_or_default();
    let port = host.rsplit_once(':').filter(|_| !host.ends_with(']')).map(|(_, port)| port);
    let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    is_port && !host.contains([' ', '"', '<', '>', '\\', '^', '`', '{', '|', '}'])
}

/// One address of a mail, with or without a name before it.
fn is_email(text: &str) -> bool {
    let text = text.trim();
    let address = match text.strip_suffix('>') {
        Some(named) => match named.rsplit_once('<') {
            Some((_, address)) => address,
            None => return false,
        },
        None => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let is_atom = |text: &str| {
        let fits = |letter: char| {
            letter.is_ascii_alphanumeric() || !letter.is_ascii() || "!#$%&'*+-/=?^_`{|}~".contains(letter)
        };
        text.split('.').all(|part| !part.is_empty() && part.chars().all(fits))
    };
    let is_quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    (is_quoted || is_atom(local)) && is_atom(domain)
}

fn is_host(text: &str) -> bool {
    text.len() <= 255 && text.split('.').all(|part| part.len() <= 63) && HOST.is_match(text)
}

/// The thirteenth digit of an id.
fn version(text: &str) -> Option<char> {
    text.chars().filter(|letter| *letter != '-').nth(12)
}

fn has_variant(text: &str) -> bool {
    let variant = text.chars().filter(|letter| *letter != '-').nth(16);
    variant.is_some_and(|letter| matches!(letter.to_ascii_lowercase(), '8' | '9' | 'a' | 'b'))
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|letter| letter.to_digit(10)).collect()
}

/// The text without what may stand between the digits of a book's number.
fn bare(text: &str) -> String {
    text.chars().filter(|letter| *letter != '-' && !letter.is_ascii_whitespace()).collect()
}

fn is_isbn10(text: &str) -> bool {
    let text = bare(text);
    let Some((first, last)) = text.split_at_checked(9) else { return false };
    let check = if last == "X" { Some(10) } else { last.parse::<u32>().ok().filter(|_| last.len() == 1) };
    let first = digits(first);
    let sum: u32 = first.iter().zip(1..).map(|(digit, place)| digit * place).sum();
    first.len() == 9 && check.is_some_and(|check| (sum + 10 * check).is_multiple_of(11))
}

fn is_isbn13(text: &str) -> bool {
    let text = bare(text);
    let digits = digits(&text);
    let sum: u32 = digits.iter().zip([1, 3].into_iter().cycle()).map(|(digit, factor)| digit * factor).sum();
    text.len() == 13 && digits.len() == 13 && sum.is_multiple_of(10)
}

/// Digits by a pattern of the issuers, with anything between them, and their check digit.
fn is_card(text: &str) -> bool {
    let found = digits(text);
    let bare: String = found.iter().filter_map(|digit| char::from_digit(*digit, 10)).collect();
    let doubled = |(digit, place): (&u32, usize)| {
        let twice = if place % 2 == 1 { digit * 2 } else { *digit };
        twice / 10 + twice % 10
    };
    let sum: u32 = found.iter().rev().zip(0..).map(doubled).sum();
    CARD.is_match(&bare) && sum.is_multiple_of(10)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// Held to a real API server by the commands of `cargo xtask kubectl-judge` about formats.
    #[test]
    fn formats_are_those_of_an_api_server() {
        let table = include_str!("format/cases.txt");
        let mut n_cases = 0;
        for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (format, rest) = line.split_once(' ').unwrap();
            let (verdict, text) = rest.split_once(' ').unwrap_or((rest, ""));
            assert_eq!(has_format(format, text), verdict == "yes", "{line}");
            n_cases += 1;
        }
        assert!(n_cases > 60, "{n_cases} cases");
    }

    #[test]
    fn what_is_not_known_is_told_and_restricts_nothing() {
        let schema = br#"{"type":"object","properties":{"a":{"type":"string","format":"nobody-knows"},"b":{"type":"array",
            "items":{"type":"integer","format":"int16"}},"c":{"type":"string","format":"date-time"}}}"#;
        let schema = Value::from_json(schema).unwrap();
        assert_eq!(unrecognized(&schema), ["nobody-knows", "int16"]);
        assert!(has_format("nobody-knows", "x"));
        assert!(!holds("integer", "int32", 3e9) && holds("integer", "int64", 3e9));
    }
}
