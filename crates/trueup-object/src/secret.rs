//! Values that must not be seen: a type that hides its content, the names that mark a value as sensitive, and the shapes
//! by which credentials are known.

use std::fmt;

mod shape;

pub use shape::{credentials, redact, replace};

/// A value that prints as `***`. It has no equality and no way to be serialized: whoever needs the content asks for it
/// by name.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(content: T) -> Self {
        Self(content)
    }

    /// The content, for the one place that sends it where it belongs.
    pub fn expose(&self) -> &T {
        &self.0
    }

    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// The names of contracts, "Masks", as the words that they are made of.
const SENSITIVE: [&[&str]; 9] = [
    &["password"],
    &["passwd"],
    &["token"],
    &["secret"],
    &["apikey"],
    &["api", "key"],
    &["private", "key"],
    &["privatekey"],
    &["credentials"],
];

/// Whether the name of an environment variable, a data key or a free-form field marks its value as sensitive. The
/// caller must not ask about references that a schema defines, such as `secretKeyRef`.
pub fn is_sensitive_name(name: &str) -> bool {
    if name.is_ascii() && !has_sensitive_part(name) {
        return false;
    }
    let words = words(name);
    SENSITIVE.iter().any(|wanted| words.windows(wanted.len()).any(|found| found == *wanted))
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
        b'p' | b'P' => starts(position, "passw"),
        b't' | b'T' => starts(position, "token"),
        b's' | b'S' => starts(position, "secret"),
        b'k' | b'K' => starts(position, "key"),
        b'c' | b'C' => starts(position, "credentials"),
        _ => false,
    })
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
    fn secrets_print_stars() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn sensitive_names() {
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
        ] {
            assert!(is_sensitive_name(name), "{name}");
        }
        for name in [
            "key",
            "keys",
            "tokens",
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
        ] {
            assert!(!is_sensitive_name(name), "{name}");
        }
    }
}
