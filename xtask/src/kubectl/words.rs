//! A command line in words, as a shell splits it: blanks, quotes of both kinds, backslashes.

use anyhow::{Result, bail};

pub fn split(line: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = line.chars();
    while let Some(char) = chars.next() {
        match char {
            ' ' => words.extend(word.take()),
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('\'') => break,
                        Some(char) => word.push(char),
                        None => bail!("a quote does not end: {line}"),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next() {
                        Some('"') => break,
                        Some('\\') => match chars.next() {
                            Some(escaped @ ('"' | '\\')) => word.push(escaped),
                            Some(other) => word.extend(['\\', other]),
                            None => bail!("a quote does not end: {line}"),
                        },
                        Some(char) => word.push(char),
                        None => bail!("a quote does not end: {line}"),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(chars.next()),
            char => word.get_or_insert_default().push(char),
        }
    }
    words.extend(word);
    Ok(words)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn splits_as_a_shell_does() {
        let words = split(r#"A="x y" get  'pods "all"' -p '{"a":1}' "q\"q" b\ c """#).unwrap();
        assert_eq!(words, ["A=x y", "get", "pods \"all\"", "-p", "{\"a\":1}", "q\"q", "b c", ""]);
        assert!(split("'open").is_err());
    }
}
