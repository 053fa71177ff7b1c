//! A comparison for people: Argo CD's headings, below each who moved what, and both sides as text.

use anstyle::AnsiColor;
use similar::{ChangeTag, DiffOp, TextDiff};
use trueup_engine::status::SyncStatus;

use super::document::{Document, ObjectDocument};
use super::external;
use super::sides;
use super::view::View;
use crate::app::words;
use crate::failure::Failure;
use crate::output::{self, paint};

/// Unchanged lines shown around a change.
const CONTEXT: usize = 3;

/// The width where no terminal tells one.
const WIDTH: usize = 160;

/// Below this a column holds no YAML worth reading.
const WIDTH_MIN: usize = 40;

/// How a comparison is shown.
pub struct Look {
    /// What Git's side is called: `Git (4f2a91c)`.
    pub wanted: String,
    /// Lines that say who made a difference.
    pub remarks: bool,
    pub side_by_side: bool,
}

/// Prints every object that differs or is not known. Where another program shows the sides and fails on one object, the
/// others are still shown.
pub fn print(document: &Document, view: &View<'_>, look: &Look) -> Result<(), Failure> {
    let external = external::program();
    let mut failed = None;
    for object in document.differing() {
        let ObjectDocument { key, .. } = object;
        let heading = format!("\n===== {}/{} {}/{} ======", key.group, key.kind, key.namespace, key.name);
        output::line(&paint(&heading, AnsiColor::Cyan));
        if let Some((message, remedy)) = &object.problem {
            let what = if object.status == SyncStatus::Unknown { "not known: " } else { "" };
            output::line(&format!("# {what}{message}; {remedy}"));
        }
        if object.differences.is_empty() {
            continue;
        }
        if look.remarks {
            for difference in &object.differences {
                output::line(&format!("# {}", words::told(difference)));
            }
        }
        let (cluster, wanted) = sides::of(object, view);
        match &external {
            Some(program) => {
                if let Err(failure) = external::show(program, &key.name, &cluster, &wanted) {
                    failed.get_or_insert(failure);
                }
            }
            None if look.side_by_side => output::print(&columns(&cluster, &wanted, &look.wanted, width())),
            None => output::print(&unified(&cluster, &wanted, &look.wanted, paint)),
        }
    }
    if look.remarks {
        print_ignored(document);
    }
    failed.map_or(Ok(()), Err)
}

/// What rules hide, where it was asked for.
fn print_ignored(document: &Document) {
    for object in &document.objects {
        let key = &object.key;
        for note in object.notes.iter().filter(|note| note.ignored_by.is_some()) {
            let rule = note.ignored_by.as_ref().map(|by| by.rule.as_str()).unwrap_or_default();
            let what = words::told(note);
            output::line(&format!(
                "# ignored in {}/{} {}/{}: {what} ({rule})",
                key.group, key.kind, key.namespace, key.name
            ));
        }
    }
}

/// Both sides as one text of changes; nothing where they are the same.
pub fn unified(cluster: &str, wanted: &str, name: &str, paint: fn(&str, AnsiColor) -> String) -> String {
    let diff = TextDiff::from_lines(cluster, wanted);
    let mut text = String::new();
    if diff.ratio() < 1.0 {
        text += &format!("--- the cluster (live)\n+++ {name}\n");
    }
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        text += &paint(&hunk.header().to_string(), AnsiColor::Magenta);
        text.push('\n');
        for change in hunk.iter_changes() {
            let line = change.to_string_lossy();
            let line = line.trim_end_matches('\n');
            text += &match change.tag() {
                ChangeTag::Delete => paint(&format!("-{line}"), AnsiColor::Red),
                ChangeTag::Insert => paint(&format!("+{line}"), AnsiColor::Green),
                ChangeTag::Equal => format!(" {line}"),
            };
            text.push('\n');
        }
    }
    text
}

/// The columns of the terminal, unless the environment tells others.
fn width() -> usize {
    let told = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    told.or_else(measured).unwrap_or(WIDTH).max(WIDTH_MIN)
}

/// Both sides next to each other: `|` between lines that differ, `<` and `>` where only one side has a line.
fn columns(cluster: &str, wanted: &str, name: &str, width: usize) -> String {
    let column = (width - 3) / 2;
    let (left, right): (Vec<&str>, Vec<&str>) = (cluster.lines().collect(), wanted.lines().collect());
    let diff = TextDiff::from_slices(&left, &right);
    let mut rows = Rows { column, text: String::new() };
    rows.row(Some("the cluster (live)"), ' ', Some(name));
    for (index, group) in diff.grouped_ops(CONTEXT).iter().enumerate() {
        if index > 0 {
            rows.row(Some("..."), ' ', Some("..."));
        }
        for op in group {
            let (old, new) = (op.old_range(), op.new_range());
            let (old, new) = (left.get(old).unwrap_or_default(), right.get(new).unwrap_or_default());
            let both = match op {
                DiffOp::Equal { .. } => ' ',
                DiffOp::Replace { .. } | DiffOp::Delete { .. } | DiffOp::Insert { .. } => '|',
            };
            for line in 0..old.len().max(new.len()) {
                let (old, new) = (old.get(line).copied(), new.get(line).copied());
                let mark = match (old, new) {
                    (Some(_), Some(_)) => both,
                    (Some(_), None) => '<',
                    (None, _) => '>',
                };
                rows.row(old, mark, new);
            }
        }
    }
    rows.text
}

struct Rows {
    column: usize,
    text: String,
}

impl Rows {
    /// One line of each side; one that is longer than its column goes on below, so that nothing is cut off.
    fn row(&mut self, left: Option<&str>, mark: char, right: Option<&str>) {
        let pieces = |line: Option<&str>| -> Vec<String> {
            let chars: Vec<char> = line.unwrap_or_default().chars().collect();
            chars.chunks(self.column).map(|piece| piece.iter().collect()).collect()
        };
        let (left, right) = (pieces(left), pieces(right));
        for index in 0..left.len().max(right.len()).max(1) {
            let piece = |side: &[String]| side.get(index).cloned().unwrap_or_default();
            let (old, new) = (piece(&left), piece(&right));
            let padding = " ".repeat(self.column - old.chars().count());
            let (old, new) = match mark {
                ' ' => (old, new),
                _ => (paint(&old, AnsiColor::Red), paint(&new, AnsiColor::Green)),
            };
            let line = format!("{old}{padding} {mark} {new}");
            self.text += line.trim_end();
            self.text.push('\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sides_stand_next_to_each_other_and_nothing_is_cut_off() {
        let text = columns("a: 1\nb: long enough to wrap\nc: 3\n", "a: 1\nb: 2\nc: 3\nd: 4\n", "Git", 23);
        let expected = "\
the cluste   Git
r (live)
a: 1         a: 1
b: long en | b: 2
ough to wr |
ap         |
c: 3         c: 3
           > d: 4
";
        assert_eq!(text, expected);
    }

    #[test]
    fn equal_sides_give_no_text() {
        assert_eq!(unified("a: 1\n", "a: 1\n", "Git", |text, _| text.to_owned()), "");
    }
}
