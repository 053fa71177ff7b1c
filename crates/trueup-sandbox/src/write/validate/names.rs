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

static LABEL_1035: LazyLock<Regex> = LazyLock::new(|| whole("[a-z]([-a-z0-9]*[a-z0-9])?"));
static WILDCARD: LazyLock<Regex> = LazyLock::new(|| whole(&format!(r"\*\.{LABEL_CHARS}(\.{LABEL_CHARS})*")));

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

/// What is wrong with a DNS label.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_LENGTH_MAX {
        wrong.push(too_long(LABEL_LENGTH_MAX));
    }
    if !LABEL.is_match(text) && SUBDOMAIN.is_match(text) {
        wrong.push("must not contain dots".to_owned());
    } else if !LABEL.is_match(text) {
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
        wrong.push(format!("must be no more than {SUBDOMAIN_LENGTH_MAX} characters"));
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
    if text.matches('/').count() > 1 {
        let whole = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                     alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
                     'example.com/MyName')";
        return vec![whole.to_owned()];
    }
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

/// What is wrong with a label's key in a selector.
pub fn label_key(text: &str) -> Vec<String> {
    if text.matches('/').count() < 2 {
        return qualified_name(text);
    }
    vec![
        "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. \
         'example.com/MyName')"
            .to_owned(),
    ]
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

/// What is wrong with a key or path of a ConfigMap that becomes a file.
pub fn config_file_key(text: &str) -> Vec<String> {
    let mut wrong = config_key(text);
    if text == "." {
        wrong.push("must not be '.'".to_owned());
    } else if text == ".." {
        wrong.push("must not be '..'".to_owned());
    } else if text.starts_with("..") {
        wrong.push("must not start with '..'".to_owned());
    }
    wrong
}

/// What is wrong with a name that begins with a letter (RFC 1035).
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > LABEL_LENGTH_MAX {
        wrong.push(too_long(LABEL_LENGTH_MAX));
    }
    if !LABEL_1035.is_match(text) {
        wrong.push(
            "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
             character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
             validation is '[a-z]([-a-z0-9]*[a-z0-9])?')"
                .to_owned(),
        );
    }
    wrong
}

/// What is wrong with a subdomain whose first label may be a star.
pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    if WILDCARD.is_match(text) {
        return Vec::new();
    }
    vec![
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of \
         lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character (e.g. '*.example.com', \
         regex used for validation is '\\*\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            .to_owned(),
    ]
}

const PORT_NAME_LENGTH_MAX: usize = 15;

/// What is wrong with a port's name (an IANA service name).
pub fn port_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > PORT_NAME_LENGTH_MAX {
        wrong.push(format!("must be no more than {PORT_NAME_LENGTH_MAX} characters"));
    }
    if !text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        || text.is_empty()
    {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// What is wrong with the name of an environment variable.
pub fn variable_name(text: &str) -> Vec<String> {
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .to_owned(),
    ]
}

/// What is wrong with a domain followed by a path: `example.com/thing`.
pub fn domain_prefixed_path(text: &str) -> Vec<String> {
    let advice = "must be a domain-prefixed path (such as \"acme.io/foo\")";
    match text.split_once('/') {
        Some((host, path)) if !host.is_empty() && !path.is_empty() => dns_subdomain(host),
        _ => vec![advice.to_owned()],
    }
}
