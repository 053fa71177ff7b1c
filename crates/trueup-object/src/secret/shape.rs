//! Well-known shapes of credentials in a text, whatever the name that it stands under.
//!
//! Issuers give their tokens a prefix so that leaked ones can be found; that is what is looked for here, with the letters
//! and the length that the issuer documents. What has no shape of its own (an AWS secret key, a bare password) can only be
//! known by its name.

use std::borrow::Cow;
use std::ops::Range;

/// What stands in a message in place of a credential.
const STARS: &str = "***";

/// The letters that a token goes on with after its prefix.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Letters {
    /// `A-Z0-9`
    Upper,
    /// `A-Za-z0-9`
    Alphanumeric,
    /// `A-Za-z0-9_`
    Word,
    /// `A-Za-z0-9_-`
    Dashed,
    /// `A-Za-z0-9_-.`
    Dotted,
    /// `A-Za-z0-9_-/`: the path of an address.
    Path,
    /// `0-9a-f`
    Hex,
}

impl Letters {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Upper => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Self::Alphanumeric => byte.is_ascii_alphanumeric(),
            Self::Word => byte.is_ascii_alphanumeric() || byte == b'_',
            Self::Dashed => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'),
            Self::Dotted => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'),
            Self::Path => byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'/'),
            Self::Hex => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        }
    }
}

/// Prefix, the letters after it, and how many there are at least.
const TOKENS: [(&str, Letters, usize); 53] = [
    // Amazon: the ids of keys, of users and of roles.
    ("AKIA", Letters::Upper, 16),
    ("ASIA", Letters::Upper, 16),
    ("ABIA", Letters::Upper, 16),
    ("ACCA", Letters::Upper, 16),
    // GitHub
    ("ghp_", Letters::Alphanumeric, 30),
    ("gho_", Letters::Alphanumeric, 30),
    ("ghu_", Letters::Alphanumeric, 30),
    ("ghs_", Letters::Alphanumeric, 30),
    ("ghr_", Letters::Alphanumeric, 30),
    ("github_pat_", Letters::Word, 22),
    // GitLab
    ("glpat-", Letters::Dashed, 16),
    ("gldt-", Letters::Dashed, 16),
    ("glrt-", Letters::Dashed, 16),
    ("glptt-", Letters::Dashed, 16),
    ("glsoat-", Letters::Dashed, 16),
    ("glcbt-", Letters::Dashed, 16),
    ("glagent-", Letters::Dashed, 16),
    // Slack
    ("xoxb-", Letters::Dashed, 10),
    ("xoxp-", Letters::Dashed, 10),
    ("xoxa-", Letters::Dashed, 10),
    ("xoxr-", Letters::Dashed, 10),
    ("xoxs-", Letters::Dashed, 10),
    ("xoxe-", Letters::Dashed, 10),
    ("xoxe.", Letters::Dashed, 10),
    ("xapp-", Letters::Dashed, 10),
    ("hooks.slack.com/services/", Letters::Path, 20),
    ("hooks.slack.com/workflows/", Letters::Path, 20),
    // Google
    ("AIza", Letters::Dashed, 35),
    ("ya29.", Letters::Dashed, 20),
    ("GOCSPX-", Letters::Dashed, 20),
    // Payment
    ("sk_live_", Letters::Alphanumeric, 16),
    ("sk_test_", Letters::Alphanumeric, 16),
    ("rk_live_", Letters::Alphanumeric, 16),
    ("rk_test_", Letters::Alphanumeric, 16),
    ("whsec_", Letters::Alphanumeric, 16),
    // Registries of packages and images
    ("npm_", Letters::Alphanumeric, 36),
    ("pypi-", Letters::Dashed, 50),
    ("dckr_pat_", Letters::Dashed, 20),
    ("dckr_oat_", Letters::Dashed, 20),
    // Models
    ("sk-ant-", Letters::Dashed, 20),
    ("sk-proj-", Letters::Dashed, 20),
    ("hf_", Letters::Alphanumeric, 30),
    // Vault, age, Terraform, and hosts
    ("hvs.", Letters::Dashed, 20),
    ("hvb.", Letters::Dashed, 20),
    ("hvr.", Letters::Dashed, 20),
    ("AGE-SECRET-KEY-1", Letters::Upper, 50),
    ("dop_v1_", Letters::Hex, 60),
    ("SG.", Letters::Dotted, 60),
    ("shpat_", Letters::Hex, 32),
    ("lin_api_", Letters::Alphanumeric, 32),
    ("glsa_", Letters::Word, 32),
    ("dapi", Letters::Hex, 32),
    ("ATATT3", Letters::Dashed, 40),
];

/// What a private key begins and ends with; between the words stands its kind.
const PEM_BEGIN: &str = "-----BEGIN ";
const PEM_KEY: &str = "PRIVATE KEY";
const PEM_DASHES: &str = "-----";

/// `-----BEGIN ` in base64, and `PRIVATE KEY` there, at each of the three places at which it may start.
const ENCODED_BEGIN: &str = "LS0tLS1CRUdJTi";
const ENCODED_KEYS: [&str; 3] = ["UFJJVkFURSBLRV", "BSSVZBVEUgS0VZ", "QUklWQVRFIEtFW"];

/// A web token has three parts, the first two of which are JSON objects in base64.
const WEB_TOKEN_START: &str = "eyJ";
const WEB_TOKEN_PART_MIN: usize = 8;

/// A bearer token in a header is at least this long and holds a digit: `Bearer authentication` is prose.
const BEARER: &str = "bearer ";
const BEARER_MIN: usize = 20;

/// A user and a password in base64 follow, which is never shorter than this.
const BASIC: &str = "basic ";
const BASIC_MIN: usize = 4;

/// Where a text holds credentials of a known shape, in order, without overlaps.
pub fn credentials(text: &str) -> Vec<Range<usize>> {
    // Nothing shorter is one, and most values of objects are shorter.
    if text.len() < 12 {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut position = 0;
    while position < text.len() {
        match credential_at(text, position) {
            Some(range) => {
                position = range.end.max(position + 1);
                found.push(range);
            }
            None => position += 1,
        }
    }
    found
}

/// The text with every credential replaced by stars.
pub fn redact(text: &str) -> Cow<'_, str> {
    super::replace_ranges(text, credentials(text), |_| STARS.to_owned())
}

/// For each first byte of a shape that begins a word, the second bytes that one goes on with, so that the rest of a text
/// costs next to nothing.
static BEGINNINGS: [u128; 128] = beginnings();

const fn beginnings() -> [u128; 128] {
    let mut table = [0; 128];
    let mut index = 0;
    while index < TOKENS.len() {
        table = with_beginning(table, TOKENS[index].0.as_bytes());
        index += 1;
    }
    table = with_beginning(table, WEB_TOKEN_START.as_bytes());
    table = with_beginning(table, ENCODED_BEGIN.as_bytes());
    // In either case.
    table = with_beginning(table, b"be");
    table = with_beginning(table, b"bE");
    table = with_beginning(table, b"Be");
    table = with_beginning(table, b"BE");
    table = with_beginning(table, b"ba");
    table = with_beginning(table, b"bA");
    table = with_beginning(table, b"Ba");
    with_beginning(table, b"BA")
}

const fn with_beginning(mut table: [u128; 128], prefix: &[u8]) -> [u128; 128] {
    table[(prefix[0] & 127) as usize] |= 1 << (prefix[1] & 127);
    table
}

/// The credential that starts at a position.
fn credential_at(text: &str, position: usize) -> Option<Range<usize>> {
    let bytes = text.as_bytes();
    let first = *bytes.get(position)?;
    match first {
        b'-' => {
            let found = private_key(text.get(position..)?)?;
            return Some(position + found.start..position + found.end);
        }
        b':' => {
            let found = url_password(text, position)?;
            return Some(position + found.start..position + found.end);
        }
        _ => {}
    }
    let seconds = BEGINNINGS.get(usize::from(first)).copied().filter(|seconds| *seconds != 0)?;
    // In the middle of a word nothing begins.
    let before = position.checked_sub(1).and_then(|before| bytes.get(before));
    if before.is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let second = *bytes.get(position + 1)?;
    if second >= 128 || (seconds >> second) & 1 == 0 {
        return None;
    }
    let rest = text.get(position..)?;
    let found = token(rest)
        .or_else(|| web_token(rest))
        .or_else(|| bearer(rest))
        .or_else(|| basic(rest))
        .or_else(|| encoded_key(rest))?;
    Some(position + found.start..position + found.end)
}

fn token(rest: &str) -> Option<Range<usize>> {
    TOKENS.iter().find_map(|(prefix, letters, least)| {
        let after = rest.strip_prefix(prefix)?;
        let length = run(after, *letters);
        // A longer word of other letters is something else.
        let ends = after.as_bytes().get(length).is_none_or(|byte| !byte.is_ascii_alphanumeric());
        (length >= *least && ends).then_some(0..prefix.len() + length)
    })
}

fn run(text: &str, letters: Letters) -> usize {
    text.bytes().take_while(|byte| letters.has(*byte)).count()
}

fn web_token(rest: &str) -> Option<Range<usize>> {
    let mut length = 0;
    for part in 0..3 {
        let text = rest.get(length..)?;
        if part < 2 && !text.starts_with(WEB_TOKEN_START) {
            return None;
        }
        let letters = run(text, Letters::Dashed);
        if letters < WEB_TOKEN_PART_MIN {
            return None;
        }
        length += letters;
        if part < 2 {
            if rest.as_bytes().get(length) != Some(&b'.') {
                return None;
            }
            length += 1;
        }
    }
    Some(0..length)
}

fn bearer(rest: &str) -> Option<Range<usize>> {
    let head = rest.get(..BEARER.len()).filter(|head| head.eq_ignore_ascii_case(BEARER))?;
    let after = rest.get(head.len()..)?;
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    let length = after.bytes().take_while(is_letter).count();
    let token = after.get(..length)?;
    let is_token = length >= BEARER_MIN && token.bytes().any(|byte| byte.is_ascii_digit());
    is_token.then_some(head.len()..head.len() + length)
}

/// `Basic` and, in base64, `user:password`; after the word alone follows prose.
fn basic(rest: &str) -> Option<Range<usize>> {
    let head = rest.get(..BASIC.len()).filter(|head| head.eq_ignore_ascii_case(BASIC))?;
    let after = rest.get(head.len()..)?;
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/-_".contains(byte);
    let letters = after.bytes().take_while(is_letter).count();
    let padding = after.bytes().skip(letters).take_while(|byte| *byte == b'=').count().min(2);
    let is_pair = is_user_and_password(after.get(..letters)?);
    is_pair.then_some(head.len()..head.len() + letters + padding)
}

/// Whether a text is `user:password` in base64, with its padding or without.
pub(super) fn is_user_and_password(text: &str) -> bool {
    let run = text.trim_end_matches('=');
    run.len() >= BASIC_MIN && decoded(run).contains(&b':')
}

/// The bytes of a run of base64 letters, whichever of both alphabets it is in; nothing where they are not text.
fn decoded(run: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(run.len());
    let (mut bits, mut count) = (0_u32, 0_u32);
    for letter in run.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'+' | b'-' => 62,
            _ => 63,
        };
        bits = (bits << 6 | u32::from(value)) & 0xffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    if std::str::from_utf8(&bytes).is_ok_and(|text| !text.contains(char::is_control)) {
        bytes
    } else {
        Vec::new()
    }
}

/// A private key with all its lines; to the end of the text where its end is missing.
fn private_key(rest: &str) -> Option<Range<usize>> {
    let after = rest.strip_prefix(PEM_BEGIN)?;
    let title = after.get(..after.find(PEM_DASHES)?)?;
    if title.contains('\n') || !title.contains(PEM_KEY) {
        return None;
    }
    let end = format!("-----END {title}{PEM_DASHES}");
    Some(0..rest.find(&end).map_or(rest.len(), |start| start + end.len()))
}

/// The same in base64, as kubeconfigs have it.
fn encoded_key(rest: &str) -> Option<Range<usize>> {
    if !rest.starts_with(ENCODED_BEGIN) {
        return None;
    }
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let length = rest.bytes().take_while(is_letter).count();
    let run = rest.get(..length)?;
    ENCODED_KEYS.iter().any(|key| run.contains(key)).then_some(0..length)
}

/// The password in `scheme://user:password@host`, where the scheme ends at the position.
fn url_password(text: &str, position: usize) -> Option<Range<usize>> {
    const SEPARATOR: &str = "://";
    let after = text.get(position..)?.strip_prefix(SEPARATOR)?;
    let has_scheme =
        position.checked_sub(1).and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_alphanumeric);
    let ends = |char: char| {
        char.is_whitespace() || matches!(char, '/' | '?' | '#' | '"' | '\'' | '<' | '>' | '`' | ',')
    };
    let authority = after.get(..after.find(ends).unwrap_or(after.len()))?;
    let user_info = authority.get(..authority.rfind('@')?)?;
    let colon = user_info.find(':')?;
    let password = user_info.get(colon + 1..)?;
    // A variable in its place is none: `$(PASSWORD)`, `${PASSWORD}`, `{{ .Password }}`.
    let is_password = has_scheme && !password.is_empty() && !password.starts_with(['$', '{', '*', '+']);
    let start = SEPARATOR.len() + colon + 1;
    is_password.then_some(start..start + password.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made from parts, so that no scanner takes this file for a leak.
    fn examples() -> Vec<String> {
        let body = |length: usize| "a1B2c3D4e5F6g7H8i9J0".chars().cycle().take(length).collect::<String>();
        let upper = |length: usize| "A1B2C3D4E5F6G7H8".chars().cycle().take(length).collect::<String>();
        let mut found: Vec<String> = TOKENS
            .iter()
            .map(|(prefix, letters, least)| match letters {
                Letters::Upper => format!("{prefix}{}", upper(*least)),
                Letters::Hex => {
                    format!("{prefix}{}", "0123456789abcdef".repeat(5).get(..*least).unwrap_or_default())
                }
                Letters::Alphanumeric | Letters::Word | Letters::Dashed | Letters::Dotted | Letters::Path => {
                    format!("{prefix}{}", body(*least))
                }
            })
            .collect();
        found.push(format!("eyJ{}.eyJ{}.{}", body(20), body(40), body(30)));
        for kind in ["", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED "] {
            found.push(format!(
                "-----BEGIN {kind}PRIVATE KEY-----\n{}\n-----END {kind}PRIVATE KEY-----",
                body(64)
            ));
        }
        found.push(format!(
            "-----BEGIN PGP PRIVATE KEY BLOCK-----\n{}\n-----END PGP PRIVATE KEY BLOCK-----",
            body(64)
        ));
        // `-----BEGIN PRIVATE KEY-----` and its EC and RSA sisters in base64.
        found.push(format!("LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0t{}", body(40)));
        found.push(format!("LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0t{}", body(40)));
        found.push(format!("LS0tLS1CRUdJTiBSU0EgUFJJVkFURSBLRVktLS0tL{}", body(40)));
        found
    }

    #[test]
    fn every_shape_is_found_wherever_it_stands() {
        for example in examples() {
            for (before, after) in [("", ""), ("key=", "\n"), ("a: \"", "\"\nb: 2"), ("ü ", " ü")] {
                let text = format!("{before}{example}{after}");
                let found: Vec<&str> = credentials(&text).into_iter().map(|range| &text[range]).collect();
                assert_eq!(found, [example.as_str()], "{text}");
                assert_eq!(redact(&text), format!("{before}***{after}"));
            }
        }
    }

    #[test]
    fn passwords_in_addresses_and_bearers_in_headers_are_found() {
        for (text, shown) in [
            ("postgres://app:hunter2@db:5432/shop", "postgres://app:***@db:5432/shop"),
            ("amqp://u:p@ss@mq and https://x:y@z/", "amqp://u:***@mq and https://x:***@z/"),
            ("redis://:hunter2@cache", "redis://:***@cache"),
            ("Authorization: Bearer abcdefghij0123456789", "Authorization: Bearer ***"),
            // `app:hunter2`, padded and not.
            ("Authorization: Basic YXBwOmh1bnRlcjI=", "Authorization: Basic ***"),
            ("curl -H 'authorization: basic YXBwOmh1bnRlcjI'", "curl -H 'authorization: basic ***'"),
        ] {
            assert_eq!(redact(text), shown);
        }
    }

    #[test]
    fn what_only_resembles_is_left() {
        for text in [
            "AKIAshort",
            "xAKIAA1B2C3D4E5F6G7H8",
            "ghp_tooshort",
            "eyJhbGciOiJI.eyJz",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1JSUI=",
            "https://example.com/a:b@c",
            "postgres://app:$(PASSWORD)@db/shop",
            "https://user@example.com/",
            "://a:b@c",
            "Bearer authentication for everybody",
            "Basic authentication is off",
            "Basic plan: 3 seats",
            "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "example.com/web:1.2.3",
            "",
        ] {
            assert_eq!(credentials(text), Vec::<Range<usize>>::new(), "{text}");
            assert!(matches!(redact(text), Cow::Borrowed(_)));
        }
    }
}
