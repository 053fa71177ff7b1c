//! Patterns of `directory.include` and `directory.exclude`, in the dialect of Go's gobwas/glob without separators.
//!
//! `*` and `**` match anything, slashes too; `?` one character; `[abc]`, `[a-z]` and their negations with `!` one of a
//! set; `{a,b}` either of two patterns; a backslash takes the next character as it is. A comma or a closing brace outside
//! of braces is an ordinary character.

use regex::Regex;
use thiserror::Error;

/// A compiled pattern, matched against a whole path.
#[derive(Debug, Clone)]
pub struct Glob {
    regex: Regex,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("read the pattern {pattern:?}: {what}")]
pub struct GlobError {
    pub pattern: String,
    pub what: &'static str,
}

impl Glob {
    pub fn parse(pattern: &str) -> Result<Self, GlobError> {
        let error = |what| GlobError { pattern: pattern.to_owned(), what };
        let translated = translate(pattern).map_err(error)?;
        // The size limit of the regex crate bounds what a pattern can cost.
        let regex = Regex::new(&translated).map_err(|_| error("it is too long"))?;
        Ok(Self { regex })
    }

    pub fn matches(&self, path: &str) -> bool {
        self.regex.is_match(path)
    }
}

fn translate(pattern: &str) -> Result<String, &'static str> {
    let mut regex = String::from(r"(?s)\A");
    let mut letters = pattern.chars().peekable();
    let mut depth = 0_usize;
    while let Some(letter) = letters.next() {
        match letter {
            '*' => {
                while letters.next_if_eq(&'*').is_some() {}
                regex.push_str(".*");
            }
            '?' => regex.push('.'),
            '[' => translate_set(&mut letters, &mut regex)?,
            '{' => {
                depth += 1;
                regex.push_str("(?:");
            }
            ',' if depth > 0 => regex.push('|'),
            '}' if depth > 0 => {
                depth -= 1;
                regex.push(')');
            }
            '\\' => push_literal(&mut regex, letters.next().ok_or("it ends with a backslash")?),
            other => push_literal(&mut regex, other),
        }
    }
    if depth > 0 {
        return Err("a brace is not closed");
    }
    regex.push_str(r"\z");
    Ok(regex)
}

/// A set holds either one range or single characters, as in gobwas/glob.
fn translate_set(
    letters: &mut std::iter::Peekable<std::str::Chars<'_>>,
    regex: &mut String,
) -> Result<(), &'static str> {
    const UNCLOSED: &str = "a bracket is not closed";
    regex.push('[');
    if letters.next_if_eq(&'!').is_some() {
        regex.push('^');
    }
    let mut members = Vec::new();
    loop {
        match letters.next().ok_or(UNCLOSED)? {
            ']' => break,
            '\\' => members.push(letters.next().ok_or(UNCLOSED)?),
            '-' if members.len() == 1 => {
                let (low, high) = (members[0], letters.next().ok_or(UNCLOSED)?);
                if letters.next() != Some(']') {
                    return Err("a bracket with a range holds one range and nothing else");
                }
                if low > high {
                    return Err("a range goes from a higher to a lower character");
                }
                push_literal(regex, low);
                regex.push('-');
                push_literal(regex, high);
                regex.push(']');
                return Ok(());
            }
            member => members.push(member),
        }
    }
    if members.is_empty() {
        return Err("a bracket is empty");
    }
    for member in members {
        push_literal(regex, member);
    }
    regex.push(']');
    Ok(())
}

fn push_literal(regex: &mut String, letter: char) {
    regex.push_str(&regex::escape(letter.encode_utf8(&mut [0; 4])));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn patterns_match_as_in_gobwas() {
        for (pattern, path, want) in [
            ("*.yaml", "a.yaml", true),
            ("*.yaml", "deep/down/a.yaml", true),
            ("*.yaml", "a.yml", false),
            ("**/*.yaml", "deep/a.yaml", true),
            ("**/*.yaml", "a.yaml", false),
            ("a", "ab", false),
            ("a", "ba", false),
            ("a.yaml", "aXyaml", false),
            ("?.yaml", "a.yaml", true),
            ("?.yaml", "ab.yaml", false),
            ("a?b", "a/b", true),
            ("{a,b}.yaml", "a.yaml", true),
            ("{a,b}.yaml", "c.yaml", false),
            ("{*.yaml,*.json}", "x/y.json", true),
            ("{a,{b,c}d}", "cd", true),
            ("{a,{b,c}d}", "c", false),
            ("{,x}a", "a", true),
            ("a,b}", "a,b}", true),
            ("[abc].yaml", "b.yaml", true),
            ("[abc].yaml", "d.yaml", false),
            ("[!abc].yaml", "d.yaml", true),
            ("[a-c].yaml", "b.yaml", true),
            ("[!a-c].yaml", "b.yaml", false),
            ("[.+]", "+", true),
            ("[.+]", "x", false),
            (r"\*.yaml", "*.yaml", true),
            (r"\*.yaml", "a.yaml", false),
            (r"\{a\}", "{a}", true),
            ("", "", true),
            ("", "a", false),
            ("a(b)|c", "a(b)|c", true),
            ("naïve*", "naïve.yaml", true),
        ] {
            assert_eq!(Glob::parse(pattern).unwrap().matches(path), want, "{pattern} on {path}");
        }
    }

    #[test]
    fn broken_patterns_are_refused() {
        for pattern in ["{a,b", "[abc", "[]", "a\\", "[z-a]", "[a-cx]", "[a-"] {
            let error = Glob::parse(pattern).unwrap_err();
            assert!(error.to_string().contains(&format!("{pattern:?}")), "{error}");
        }
    }
}
