//! Formats with names (`format.dns1123Label()`), and what is wrong with a text that has not the format.

use std::sync::LazyLock;

use regex::Regex;

use super::address::url_problem;
use super::time::parse_timestamp;
use crate::eval::Evaluated;
use crate::value::Val;

const NAMES: [&str; 13] = [
    "dns1123Label",
    "dns1123Subdomain",
    "dns1035Label",
    "qualifiedName",
    "dns1123LabelPrefix",
    "dns1123SubdomainPrefix",
    "dns1035LabelPrefix",
    "labelValue",
    "uri",
    "uuid",
    "byte",
    "date",
    "datetime",
];

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    let named = |name: &str| NAMES.into_iter().find(|known| *known == name).map(Val::Format);
    Some(match (function, args) {
        ("format.named", [Val::String(name)]) => Ok(named(name).map_or(Val::Optional(None), Val::some)),
        ("validate", [Val::Format(name), Val::String(text)]) => {
            let problems = problems(name, text);
            Ok(if problems.is_empty() {
                Val::Optional(None)
            } else {
                Val::some(Val::list(problems.iter().map(|it| Val::text(it)).collect()))
            })
        }
        (function, []) => Ok(named(function.strip_prefix("format.")?)?),
        _ => return None,
    })
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const OLD_LABEL: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const VALUE: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";
const NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const UUID: &str = "(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}";

fn matches(pattern: &str, text: &str) -> bool {
    static PATTERNS: LazyLock<Vec<(&str, Option<Regex>)>> = LazyLock::new(|| {
        let all = [LABEL, SUBDOMAIN, OLD_LABEL, VALUE, NAME, UUID];
        all.into_iter().map(|it| (it, Regex::new(&format!("^(?:{it})$")).ok())).collect()
    });
    PATTERNS
        .iter()
        .any(|(known, regex)| *known == pattern && regex.as_ref().is_some_and(|it| it.is_match(text)))
}

/// A prefix may end with a dash, which the whole may not.
fn masked(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(before) if !before.is_empty() => format!("{before}a"),
        Some(_) | None => text.to_owned(),
    }
}

fn problems(name: &str, text: &str) -> Vec<String> {
    let one = |holds: bool, words: &str| if holds { Vec::new() } else { vec![words.to_owned()] };
    match name {
        "dns1123Label" => label(text),
        "dns1123LabelPrefix" => label(&masked(text)),
        "dns1123Subdomain" => subdomain(text),
        "dns1123SubdomainPrefix" => subdomain(&masked(text)),
        "dns1035Label" => old_label(text),
        "dns1035LabelPrefix" => old_label(&masked(text)),
        "qualifiedName" => qualified(text),
        "labelValue" => label_value(text),
        "uri" => url_problem(text).into_iter().collect(),
        "uuid" => one(matches(UUID, text), "does not match the UUID format"),
        "byte" => one(is_base64(text), "invalid base64"),
        "date" => {
            one(text.len() == 10 && parse_timestamp(&format!("{text}T00:00:00Z")).is_some(), "invalid date")
        }
        _ => one(parse_timestamp(text).is_some(), "invalid datetime"),
    }
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'+' | b'/');
    text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && !text.is_empty()
        && digits.bytes().all(is_digit)
}

fn too_long(text: &str, most: usize, unit: &str) -> Option<String> {
    (text.len() > most).then(|| format!("must be no more than {most} {unit}"))
}

fn shaped(pattern: &str, text: &str, words: &str, examples: &str) -> Option<String> {
    (!matches(pattern, text))
        .then(|| format!("{words} (e.g. {examples}, regex used for validation is '{pattern}')"))
}

fn label(text: &str) -> Vec<String> {
    let words = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
    let shape = shaped(LABEL, text, words, "'my-name',  or '123-abc'");
    too_long(text, 63, "characters").into_iter().chain(shape).collect()
}

fn subdomain(text: &str) -> Vec<String> {
    let words = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
    too_long(text, 253, "characters")
        .into_iter()
        .chain(shaped(SUBDOMAIN, text, words, "'example.com'"))
        .collect()
}

fn old_label(text: &str) -> Vec<String> {
    let words = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
    let shape = shaped(OLD_LABEL, text, words, "'my-name',  or 'abc-123'");
    too_long(text, 63, "characters").into_iter().chain(shape).collect()
}

fn label_value(text: &str) -> Vec<String> {
    let words = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let shape = shaped(VALUE, text, words, "'MyValue',  or 'my_value',  or '12345'");
    too_long(text, 63, "characters").into_iter().chain(shape).collect()
}

fn qualified(text: &str) -> Vec<String> {
    let words = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
    let examples = "'MyName',  or 'my.name',  or '123-abc'";
    let parts: Vec<&str> = text.split('/').collect();
    let mut found = Vec::new();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                found.push("prefix part must be non-empty".to_owned());
            } else {
                found.extend(subdomain(prefix).into_iter().map(|it| format!("prefix part {it}")));
            }
            name
        }
        _ => {
            return vec![format!(
                "a qualified name {words} (e.g. {examples}, regex used for validation is '{NAME}') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        found.push("name part must be non-empty".to_owned());
    } else {
        found.extend(too_long(name, 63, "characters").map(|it| format!("name part {it}")));
    }
    found.extend(shaped(NAME, name, words, examples).map(|it| format!("name part {it}")));
    found
}
