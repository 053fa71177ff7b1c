//! A command line cut into arguments as a shell cuts it: quotes and backslashes, no expansion of any kind.

use anyhow::{Result, bail};

/// Cuts a text into arguments.
pub fn split(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        None => bail!("a single quote is not closed"),
                        Some('\'') => break,
                        Some(inner) => word.push(inner),
                    }
                }
            }
            '"' => double(&mut chars, word.get_or_insert_default())?,
            '\\' => match chars.next() {
                None => bail!("a backslash ends the line"),
                Some(next) => word.get_or_insert_default().push(next),
            },
            space if space.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Between double quotes a backslash stands for itself, except before what it can escape there.
fn double(chars: &mut std::str::Chars<'_>, word: &mut String) -> Result<()> {
    loop {
        match chars.next() {
            None => bail!("a double quote is not closed"),
            Some('"') => return Ok(()),
            Some('\\') => match chars.next() {
                None => bail!("a double quote is not closed"),
                Some(escaped @ ('"' | '\\' | '$' | '`')) => word.push(escaped),
                Some(other) => word.extend(['\\', other]),
            },
            Some(inner) => word.push(inner),
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn as_a_shell_does() {
        assert_eq!(
            split(r#"a  'b "c' d"e\"f\n"g \  "" h\'"#).unwrap(),
            ["a", "b \"c", "de\"f\\ng", " ", "", "h'"]
        );
        assert_eq!(split("").unwrap(), Vec::<String>::new());
        for open in ["'a", "\"a", "a\\"] {
            assert!(split(open).is_err(), "{open}");
        }
    }
}
