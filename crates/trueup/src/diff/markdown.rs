//! A comparison as a comment on a pull request: a summary and a table first, each object folded below.
//!
//! Names and values come from files and clusters: none of them can end a code block, mention a person or become markup.

use std::fmt::Write as _;

use trueup_engine::status::SyncStatus;
use trueup_object::Text;

use super::document::{Document, ObjectDocument};
use super::sides;
use super::text::unified;
use super::view::View;
use crate::app::words;

/// GitHub refuses a comment of more than 65,536 characters. Bytes are counted, which are never fewer; what is left is for
/// a line or two around it.
const LENGTH_MAX: usize = 65_000;

/// The table may take this much, so that there is room for what is in it.
const TABLE_MAX: usize = LENGTH_MAX / 3;

/// Room for the sentences at the end.
const END_MAX: usize = 2_000;

/// No folded object is shorter.
const SECTION_MIN: usize = 150;

/// How many conditions and how much of each are repeated at the end.
const CONDITIONS_MAX: usize = 5;
const CONDITION_MAX: usize = 250;

/// The comment. `wanted`: what Git's side is called; `remark`: what must be known to read it.
pub fn render(document: &Document, view: &View<'_>, wanted: &str, remark: Option<&str>) -> String {
    let differing: Vec<&ObjectDocument> = document.differing().collect();
    let mut text = format!("### {}\n\n", summary(document));
    let _infallible = writeln!(text, "{} compared with the cluster.", plain(wanted));
    if !differing.is_empty() {
        text += &table(&differing);
        text += &sections(&differing, view, wanted, LENGTH_MAX - END_MAX - text.len());
    }
    let notes: usize = document.objects.iter().map(|object| object.notes.len()).sum();
    if notes > 0 {
        let _infallible = writeln!(text, "\n{notes} more by others do not count.");
    }
    if let Some(remark) = remark {
        let _infallible = write!(text, "\n{}\n", plain(remark));
    }
    for condition in view.comparison.conditions.iter().take(CONDITIONS_MAX) {
        let message: String = condition.message.chars().take(CONDITION_MAX).collect();
        let _infallible = write!(text, "\n> **{}**: {}\n", condition.kind.as_str(), bounded_plain(&message));
    }
    text
}

fn summary(document: &Document) -> String {
    let count = |status: SyncStatus| document.objects.iter().filter(|object| object.status == status).count();
    let (differ, unknown, all) =
        (count(SyncStatus::OutOfSync), count(SyncStatus::Unknown), document.objects.len());
    let objects = if all == 1 { "object" } else { "objects" };
    let unknown = if unknown == 0 { String::new() } else { format!(", {unknown} not known") };
    match document.status {
        SyncStatus::OutOfSync => {
            let verb = if differ == 1 { "differs" } else { "differ" };
            format!("{differ} of {all} {objects} {verb}{unknown}")
        }
        SyncStatus::Synced if differ > 0 => {
            format!("In sync: what differs in {differ} of {all} {objects} does not count")
        }
        SyncStatus::Synced => format!("In sync: {all} {objects}"),
        SyncStatus::Unknown => format!("Not known: {all} {objects}{unknown}"),
    }
}

fn table(differing: &[&ObjectDocument]) -> String {
    let mut text = String::from("\n| Object | Status | Differences | Who moved |\n|---|---|---|---|\n");
    for (index, object) in differing.iter().enumerate() {
        let row = format!(
            "| {} | {} | {} | {} |\n",
            name(object),
            object.status.as_str(),
            object.differences.len(),
            moved(object)
        );
        if text.len() + row.len() > TABLE_MAX {
            let _infallible = write!(text, "\n{} more objects are not listed.\n", differing.len() - index);
            break;
        }
        text += &row;
    }
    text
}

/// As many objects as there is room for, and how many are left out.
fn sections(differing: &[&ObjectDocument], view: &View<'_>, wanted: &str, room: usize) -> String {
    let mut text = String::new();
    let mut left_out = 0_usize;
    for object in differing {
        if text.len() + SECTION_MIN > room {
            left_out += 1;
            continue;
        }
        let whole = section(object, view, wanted, true);
        let section =
            if text.len() + whole.len() <= room { whole } else { section(object, view, wanted, false) };
        if text.len() + section.len() <= room {
            text += &section;
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        let _infallible =
            write!(text, "\n{left_out} more left out here, to keep to GitHub's 65,536 characters.\n");
    }
    text
}

/// One object, folded. Without its text only what differs is said.
fn section(object: &ObjectDocument, view: &View<'_>, wanted: &str, with_text: bool) -> String {
    let mut inner = String::new();
    if let Some((message, remedy)) = &object.problem {
        let _infallible = writeln!(inner, "# {}; {}", one_line(message), one_line(remedy));
    }
    for difference in &object.differences {
        let _infallible = writeln!(inner, "# {}", one_line(&words::told(difference)));
    }
    if with_text && !object.differences.is_empty() {
        let (cluster, wanted_side) = sides::of(object, view);
        inner += &unified(&cluster, &wanted_side, wanted, |text, _| text.to_owned());
    } else if !with_text {
        inner += "# the text of both sides is left out for its length\n";
    }
    let fence = fence(&inner);
    let (name, status) = (name(object), object.status.as_str());
    format!("\n<details><summary>{name} {status}</summary>\n\n{fence}diff\n{inner}{fence}\n\n</details>\n")
}

fn name(object: &ObjectDocument) -> String {
    let key = &object.key;
    let group = if key.group.is_empty() { String::new() } else { format!("{}/", key.group) };
    let namespace = if key.namespace.is_empty() { String::new() } else { format!("{}/", key.namespace) };
    format!(
        "<code>{} {}</code>",
        plain(&format!("{group}{}", key.kind)),
        plain(&format!("{namespace}{}", key.name))
    )
}

fn moved(object: &ObjectDocument) -> String {
    let mut words: Vec<&str> = object.differences.iter().filter_map(|it| it.origin.as_deref()).collect();
    words.sort_unstable();
    words.dedup();
    plain(&words.join(", "))
}

/// A fence that nothing in the text ends: longer than every run of backticks.
fn fence(text: &str) -> String {
    let longest = text.split(|char| char != '`').map(str::len).max().unwrap_or_default();
    "`".repeat(longest.max(2) + 1)
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// Text that is nothing but text in Markdown and HTML.
fn plain(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '-' | '.' | '/' | ' ' | ',' | ':' | ';' | '(' | ')' => shown.push(char),
            char if char.is_alphanumeric() => shown.push(char),
            char if char.is_control() => shown.push(' '),
            char => {
                let _infallible = write!(shown, "&#{};", u32::from(char));
            }
        }
    }
    shown
}

/// The same, where what is long would leave no room.
fn bounded_plain(text: &str) -> Text {
    let shown = plain(text);
    if shown.len() <= END_MAX / CONDITIONS_MAX {
        Text::from(shown)
    } else {
        Text::from("see the output of the command")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_ends_a_fence() {
        assert_eq!(fence("a: 1\n"), "```");
        assert_eq!(fence("a: |\n  ```sh\n  ````\n"), "`````");
    }

    #[test]
    fn names_are_no_markup() {
        assert_eq!(plain("web/frontend"), "web/frontend");
        let hostile = plain("a|b</code> @alice *x* `y`\n[z](u)");
        assert!(!hostile.contains(['|', '<', '@', '*', '`', '\n', '[']), "{hostile}");
    }
}
