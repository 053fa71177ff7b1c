//! The script: commands that are judged, commands that prepare something, and the files that they read.

use anyhow::{Context, Result, bail};

/// One line of the script, or one file in it.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    Section(String),
    File {
        name: String,
        content: String,
    },
    /// Must succeed in both worlds.
    Prepare(String),
    /// Must end alike in both worlds.
    Judge(String),
}

/// The commands that change nothing, and so can be asked again until the worlds have settled.
const READS: [&str; 6] = ["get ", "describe ", "top ", "events ", "rollout history ", "auth can-i "];

pub fn is_read(command: &str) -> bool {
    READS.iter().any(|read| command.starts_with(read)) && !command.contains("--watch")
}

/// Reads a script; its head says how it is written.
pub fn parse(text: &str) -> Result<Vec<Line>> {
    let text = text.replace("\\\n", "");
    let mut lines = text.lines();
    let mut parsed = Vec::new();
    while let Some(line) = lines.next() {
        if let Some(title) = line.strip_prefix("## ") {
            parsed.push(Line::Section(title.to_owned()));
        } else if let Some(name) = line.strip_prefix("file ") {
            let mut content = String::new();
            loop {
                match lines.next().with_context(|| format!("the file {name} has no end"))? {
                    "end" => break,
                    line => {
                        content.push_str(line);
                        content.push('\n');
                    }
                }
            }
            parsed.push(Line::File { name: name.to_owned(), content });
        } else if let Some(command) = line.strip_prefix("$ ") {
            parsed.push(Line::Judge(command.to_owned()));
        } else if let Some(command) = line.strip_prefix("! ") {
            parsed.push(Line::Prepare(command.to_owned()));
        } else if !line.is_empty() && !line.starts_with('#') {
            bail!("a line of the script is no command: {line}");
        }
    }
    Ok(parsed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// What the project promises of this script.
    const N_COMMANDS_MIN: usize = 150;

    #[test]
    fn the_script_is_whole() {
        let lines = parse(super::super::SCRIPT).unwrap();
        let n_judged = lines.iter().filter(|line| matches!(line, Line::Judge(_))).count();
        assert!(n_judged >= N_COMMANDS_MIN, "{n_judged} commands are judged");
    }

    #[test]
    fn files_end() {
        let lines = parse("file a\nx\n\ny\nend\n$ get pods \\\n-o wide\n! wait x\n").unwrap();
        assert_eq!(
            lines,
            [
                Line::File { name: "a".into(), content: "x\n\ny\n".into() },
                Line::Judge("get pods -o wide".into()),
                Line::Prepare("wait x".into()),
            ]
        );
        assert!(parse("file a\nx\n").is_err());
        assert!(parse("get pods").is_err());
    }
}
