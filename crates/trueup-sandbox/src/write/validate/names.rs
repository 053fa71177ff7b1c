//! Names, label keys and label values.

use std::sync::LazyLock;

use regex::Regex;

const LABEL_CHARS: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL_LENGTH_MAX: usize = 63;
const SUBDOMAIN_LENGTH_MAX: usize = 253;

fn whole(pattern: &str) -> Regex {
    // The patterns are constants of this file, and the tests below compile every one of them.
    #[expect(clippy::expect_used, reason = "constant patterns, compiled in tests")]
    Regex::new(&format!("^(?:{pattern})$")).expect("the pattern is a constant that compiles")
}

static LABEL: LazyLock<Regex> = LazyLock::new(|| whole(LABEL_CHARS));
static SUBDOMAIN: LazyLock<Regex> = LazyLock::new(|| whole(&format!(r"{LABEL_CHARS}(\.{LABEL_CHARS})*")));
static QUALIFIED: LazyLock<Regex> = LazyLock::new(|| whole("([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"));
static LABEL_VALUE: LazyLock<Regex> = LazyLock::new(|| whole("(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"));
static CONFIG_KEY: LazyLock<Regex> = LazyLock::new(|| whole("[-._a-zA-Z0-9]+"));

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

/// What is wrong with a DNS label.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_LENGTH_MAX {
        wrong.push(too_long(LABEL_LENGTH_MAX));
    }
    if !LABEL.is_match(text) {
        wrong.push(
            "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and \
             end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    wrong
}

/// What is wrong with a DNS subdomain, which most names are.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH_MAX {
        wrong.push(too_long(SUBDOMAIN_LENGTH_MAX));
    }
    if !SUBDOMAIN.is_match(text) {
        wrong.push(
            "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must \
             start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
             '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
                .to_owned(),
        );
    }
    wrong
}

/// What is wrong with a name that may hold anything that a path may (roles and bindings).
pub fn path_segment(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"]
        .iter()
        .filter(|part| text.contains(*part))
        .map(|part| format!("may not contain '{part}'"))
        .collect()
}

/// What is wrong with a key of a label or annotation: `name` or `prefix/name`.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    match prefix {
        Some("") => wrong.push("prefix part must be non-empty".to_owned()),
        Some(prefix) => {
            wrong.extend(dns_subdomain(prefix).into_iter().map(|message| format!("prefix part {message}")));
        }
        None => {}
    }
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > LABEL_LENGTH_MAX {
        wrong.push(format!("name part {}", too_long(LABEL_LENGTH_MAX)));
    }
    if !QUALIFIED.is_match(name) {
        wrong.push(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
             alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
             '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
                .to_owned(),
        );
    }
    wrong
}

/// What is wrong with a label's value.
pub fn label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_LENGTH_MAX {
        wrong.push(too_long(LABEL_LENGTH_MAX));
    }
    if !LABEL_VALUE.is_match(text) {
        wrong.push(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must \
             start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used \
             for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
                .to_owned(),
        );
    }
    wrong
}

/// What is wrong with a key of a ConfigMap or Secret.
pub fn config_key(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > SUBDOMAIN_LENGTH_MAX {
        wrong.push(too_long(SUBDOMAIN_LENGTH_MAX));
    }
    if !CONFIG_KEY.is_match(text) {
        wrong.push(
            "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or \
             'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
                .to_owned(),
        );
    }
    wrong
}
