//! Refusals of expressions, in the words and with the arrows of the reference implementation.

use std::fmt::Write as _;

use crate::CompileError;

/// The text of an expression, with its lines.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    text: String,
}

/// One thing that is wrong: lines and columns count from one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) line: i64,
    pub(crate) column: i64,
    pub(crate) words: String,
}

/// As many as the reference implementation tells.
const N_PROBLEMS_MAX: usize = 100;

impl Source {
    pub(crate) fn new(text: &str) -> Self {
        Self { text: text.to_owned() }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// A problem at a place in bytes.
    pub(crate) fn problem(&self, at: u32, words: String) -> Problem {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let mut start = 0;
        for (number, line) in self.text.split('\n').enumerate() {
            let end = start + line.len();
            if at <= end {
                let before = line.get(..at - start).map_or(0, |before| before.chars().count());
                let line = i64::try_from(number).unwrap_or_default() + 1;
                return Problem { line, column: i64::try_from(before).unwrap_or_default() + 1, words };
            }
            start = end + 1;
        }
        Problem { line: 1, column: 1, words }
    }

    pub(crate) fn refuse(&self, mut problems: Vec<Problem>) -> CompileError {
        problems.sort_by_key(|problem| (problem.line, problem.column));
        problems.truncate(N_PROBLEMS_MAX);
        let shown: Vec<String> = problems.iter().map(|problem| self.shown(problem)).collect();
        CompileError::Refused(shown.join("\n"))
    }

    fn shown(&self, problem: &Problem) -> String {
        let mut text =
            format!("ERROR: <input>:{}:{}: {}", problem.line, problem.column.max(0), problem.words);
        let number = usize::try_from(problem.line).ok().and_then(|line| line.checked_sub(1));
        if let Some(line) = number.and_then(|number| self.text.split('\n').nth(number)) {
            let line = line.replace('\t', " ");
            let column = usize::try_from(problem.column - 1).unwrap_or_default();
            let _ = write!(text, "\n | {line}\n | ");
            let mut characters = line.chars();
            text.extend(
                characters.by_ref().take(column).map(|it| if it.len_utf8() > 1 { '．' } else { '.' }),
            );
            text.push(if characters.next().is_some_and(|it| it.len_utf8() > 1) { '＾' } else { '^' });
        }
        text
    }
}
