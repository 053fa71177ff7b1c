//! Names that mark a value as sensitive (contracts: "Masks"), and those that only say something about one.

/// The names of contracts, and what else is written for the same, as the words that they are made of.
const SENSITIVE: [&[&str]; 26] = [
    &["password"],
    &["passwords"],
    &["passwd"],
    &["passphrase"],
    &["passcode"],
    &["token"],
    &["secret"],
    &["apikey"],
    &["apikeys"],
    &["api", "key"],
    &["api", "keys"],
    &["private", "key"],
    &["privatekey"],
    &["access", "key"],
    &["secret", "key"],
    &["account", "key"],
    &["encryption", "key"],
    &["signing", "key"],
    &["master", "key"],
    &["shared", "key"],
    &["ssh", "key"],
    // `client-key-data` of a kubeconfig.
    &["key", "data"],
    &["credential"],
    &["credentials"],
    &["creds"],
    &["pgpass"],
];

/// Words that mark a value only at the end of a name: `DB_PASS`, and not `pass_through`; `bindpw` and `rootpw` are LDAP's.
const SENSITIVE_AT_END: [&str; 7] = ["pass", "pwd", "pw", "bindpw", "rootpw", "tokens", "secrets"];

/// What a word of its own is written together with: `dbpassword`. No other word ends so.
const SENSITIVE_ENDINGS: [&str; 9] =
    ["password", "passwd", "passphrase", "token", "secret", "apikey", "secretkey", "privatekey", "accesskey"];

/// The directives of web servers that name where requests go.
const PASSING_ON: [&str; 5] = ["proxy", "fastcgi", "uwsgi", "scgi", "grpc"];

/// The headers that carry credentials under names that do not say so.
const HEADERS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// Words at the end of a name that say that its value tells of a sensitive one, or where it is: `secretName`,
/// `tokenExpirationSeconds`, `passwordPolicy`.
const ABOUT: [&str; 62] = [
    "ref",
    "refs",
    "reference",
    "references",
    "name",
    "names",
    "namespace",
    "selector",
    "class",
    "path",
    "paths",
    "file",
    "files",
    "dir",
    "directory",
    "location",
    "type",
    "kind",
    "mount",
    "provider",
    "store",
    "manager",
    "engine",
    "backend",
    "controller",
    "driver",
    "template",
    "policy",
    "policies",
    "rules",
    "mode",
    "method",
    "format",
    "version",
    "algorithm",
    "field",
    "header",
    "prefix",
    "label",
    "annotation",
    "audience",
    "audiences",
    "issuer",
    "ttl",
    "seconds",
    "minutes",
    "hours",
    "days",
    "duration",
    "expiration",
    "expiry",
    "lifetime",
    "timeout",
    "interval",
    "rotation",
    "length",
    "limit",
    "count",
    "enabled",
    "required",
    "url",
    "endpoint",
];

/// Whether the name of an environment variable, a data key or a free-form field marks its value as sensitive. The
/// caller must not ask about references that a schema defines, such as `secretKeyRef`.
pub fn is_sensitive_name(name: &str) -> bool {
    // Where a shell stands is no password.
    if matches!(name, "PWD" | "OLDPWD") {
        return false;
    }
    if name.is_ascii() && !has_sensitive_part(name) {
        return false;
    }
    let words = words(name);
    let is_ending = |word: &String| {
        let before = words.iter().rev().nth(1);
        let passes_on = before.is_some_and(|before| PASSING_ON.contains(&before.as_str()));
        SENSITIVE_AT_END.contains(&word.as_str()) && !passes_on
    };
    words.last().is_some_and(is_ending)
        || SENSITIVE.iter().any(|wanted| words.windows(wanted.len()).any(|found| found == *wanted))
        || words.iter().any(|word| SENSITIVE_ENDINGS.iter().any(|ending| word.ends_with(ending)))
}

/// Whether a name has a part that each of the sensitive ones has, whatever its words are: most names have none, and are done
/// with. Only for ASCII, as other letters have ASCII ones as their lower case.
fn has_sensitive_part(name: &str) -> bool {
    let bytes = name.as_bytes();
    let starts = |position: usize, part: &str| {
        bytes
            .get(position..position + part.len())
            .is_some_and(|found| found.eq_ignore_ascii_case(part.as_bytes()))
    };
    bytes.iter().enumerate().any(|(position, byte)| match byte {
        b'p' | b'P' => starts(position, "pass") || starts(position, "pw"),
        b't' | b'T' => starts(position, "token"),
        b's' | b'S' => starts(position, "secret"),
        b'k' | b'K' => starts(position, "key"),
        b'c' | b'C' => starts(position, "cred"),
        _ => false,
    })
}

/// The same of an entry that has its name beside its value: a variable, or a header of a request.
pub fn is_sensitive_entry(name: &str) -> bool {
    is_sensitive_name(name) || HEADERS.iter().any(|header| header.eq_ignore_ascii_case(name))
}

/// Whether a sensitive name is that of a reference or of a setting, and not of a value.
pub fn refers(name: &str) -> bool {
    words(name).last().is_some_and(|last| ABOUT.contains(&last.as_str()))
}

/// Whether a value gives nothing away under a sensitive name: a boolean, no value at all, or the number of tokens.
pub fn tells_nothing(name: &str, value: &str) -> bool {
    const WORDS: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "nil", "none"];
    let counts = || words(name).last().is_some_and(|last| last == "tokens");
    value.is_empty()
        || value == "~"
        || WORDS.iter().any(|word| word.eq_ignore_ascii_case(value))
        || (value.bytes().all(|byte| byte.is_ascii_digit()) && counts())
}

/// The words of a name in lower case, split at `_`, `-`, `.`, blanks and where the case changes; digits at the end of a
/// word are not part of it (`PASSWORD2`).
fn words(name: &str) -> Vec<String> {
    let chars: Vec<char> = name.chars().collect();
    let mut words = vec![String::new()];
    for (position, char) in chars.iter().enumerate() {
        let separator = matches!(char, '_' | '-' | '.' | ' ' | '/' | ':');
        let before = position.checked_sub(1).and_then(|before| chars.get(before));
        let after = chars.get(position + 1);
        let starts = char.is_uppercase()
            && before.is_some_and(|before| {
                // A new word starts at `aB` and at the last capital of `ABc`.
                !before.is_uppercase() || after.is_some_and(|after| after.is_lowercase())
            });
        if separator || starts {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut()
            && !separator
        {
            word.extend(char.to_lowercase());
        }
    }
    let trimmed =
        words.iter().map(|word| word.trim_end_matches(|char: char| char.is_ascii_digit()).to_owned());
    trimmed.filter(|word| !word.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_values() {
        for name in [
            "password",
            "DB_PASSWORD",
            "dbPassword",
            "DBPassword",
            "db.passwd",
            "API_TOKEN",
            "githubToken",
            "my-secret",
            "apikey",
            "api_key",
            "API-KEY",
            "apiKey",
            "APIKey",
            "private_key",
            "privateKey",
            "ssh.private-key.pem",
            "aws_credentials",
            "credentials",
            "PASSWORD2",
            "tokens",
            "pwd",
            "DB_PASS",
            "userPass",
            "pass",
            "Passwords",
            "dbpassword",
            "authtoken",
            "AWS_ACCESS_KEY_ID",
            "AccountKey",
            "keystorePassphrase",
            "_authToken",
            "clientsecret",
            "client-key-data",
            "bindPW",
            "bindpw",
        ] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in [
            "key",
            "keys",
            "tokenizer",
            "secretary",
            "passwordless",
            "replicas",
            "publicKey",
            "api",
            "compass_word",
            "TOKENIZE",
            "",
            "_",
            "monkey_api",
            "keyApi",
            "compass",
            "BYPASS",
            "pass_through",
            "proxy_pass",
            "PWD",
            "tokens_per_second",
        ] {
            assert!(!is_sensitive_name(name), "{name}");
        }
    }

    #[test]
    fn names_of_what_is_about_values() {
        for name in [
            "secretName",
            "tokenExpirationSeconds",
            "passwordPolicy",
            "PASSWORD_FILE",
            "secretStoreRef",
            "tokenTTL",
        ] {
            assert!(is_sensitive_name(name) && refers(name), "{name}");
        }
        for name in ["password", "dbPassword", "token", "secretMessage", "api_key"] {
            assert!(!refers(name), "{name}");
        }
    }

    #[test]
    fn headers_and_values_that_give_nothing_away() {
        assert!(is_sensitive_entry("Authorization") && is_sensitive_entry("X-Api-Key"));
        assert!(!is_sensitive_entry("Accept"));
        for (name, value) in [("password", "true"), ("token", ""), ("secret", "~"), ("maxTokens", "4096")] {
            assert!(tells_nothing(name, value), "{name} {value}");
        }
        for (name, value) in [("password", "12345"), ("token", "4096"), ("tokens", "a1")] {
            assert!(!tells_nothing(name, value), "{name} {value}");
        }
    }
}
