//! What people see: results on standard output, everything else on standard error.
//!
//! A reader that went away (`| head`) ends nothing with a panic; what cannot be written is dropped.

use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use trueup_object::Value;

use crate::failure::Failure;

/// Work that takes longer than this says what it is doing.
const PATIENCE: Duration = Duration::from_secs(2);

/// Prints a result.
pub fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _reader_gone = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Prints a result and a line end.
pub fn line(text: &str) {
    print(&format!("{text}\n"));
}

/// Tells a person something that is no result.
pub fn tell(text: &str) {
    let mut out = std::io::stderr().lock();
    let _reader_gone = writeln!(out, "{text}");
}

/// Whether results go to a person and may have colours.
pub fn is_coloured() -> bool {
    // The variable is a convention of terminals: set to anything, it asks for no colours.
    std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty()) && std::io::stdout().is_terminal()
}

/// Text in a colour where colours are wanted.
pub fn paint(text: &str, colour: AnsiColor) -> String {
    if !is_coloured() {
        return text.to_owned();
    }
    let style = Style::new().fg_color(Some(colour.into()));
    format!("{style}{text}{style:#}")
}

/// Does work; says what it is once it takes long.
pub async fn patiently<T>(doing: &str, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    tokio::select! {
        done = &mut work => return done,
        () = tokio::time::sleep(PATIENCE) => tell(&format!("{doing} ...")),
    }
    work.await
}

/// The form of structured results.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Structure {
    Json,
    Yaml,
}

/// Prints a document.
pub fn document(value: &Value, structure: Structure) {
    match structure {
        Structure::Json => line(&value.to_json_pretty()),
        Structure::Yaml => print(&value.to_yaml()),
    }
}

/// Rows of cells, aligned as Argo CD does: two spaces between columns, nothing after the last.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| (*heading).to_owned()).collect()] }
    }

    /// Adds a row; line ends within a cell become spaces.
    pub fn row(&mut self, cells: impl IntoIterator<Item = impl Into<String>>) {
        self.rows.push(cells.into_iter().map(|cell| cell.into().replace('\n', " ")).collect());
    }

    pub fn is_empty(&self) -> bool {
        self.rows.len() < 2
    }

    pub fn to_text(&self) -> String {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns)
            .map(|column| {
                let cells = self.rows.iter().filter_map(|row| row.get(column));
                cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
            })
            .collect();
        let mut text = String::new();
        for row in &self.rows {
            let last = row.len().saturating_sub(1);
            for (column, cell) in row.iter().enumerate() {
                text.push_str(cell);
                if column < last {
                    let width = widths.get(column).copied().unwrap_or_default();
                    let _infallible = write!(text, "{:1$}", "", width - cell.chars().count() + 2);
                }
            }
            text.push('\n');
        }
        text
    }

    pub fn print(&self) {
        print(&self.to_text());
    }
}

/// Asks a question that is answered with y; anything else, or no terminal, is no.
pub fn confirm(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Ok(false);
    }
    let mut out = std::io::stderr().lock();
    let _reader_gone = write!(out, "{question} [y/N] ").and_then(|()| out.flush());
    let mut answer = String::new();
    std::io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::world(format!("failed to read the answer: {error}")))?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_two_spaces_apart_and_rows_end_with_their_text() {
        let mut table = Table::new(&["NAME", "STATUS"]);
        table.row(["argocd/web", "Synced"]);
        table.row(["a", ""]);
        assert_eq!(table.to_text(), "NAME        STATUS\nargocd/web  Synced\na           \n");
    }
}
