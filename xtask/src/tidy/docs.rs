//! The user guide names everything that a user may have to look up: condition types and exit codes.

use std::collections::BTreeSet;

use super::{Problem, SourceFile};

/// The exit codes that are promised.
const EXIT_CODES: [&str; 7] = ["0", "1", "2", "3", "4", "5", "6"];

/// How the name of a condition type ends; the ending carries its severity.
const SUFFIXES: [&str; 3] = ["Error", "Warning", "Info"];

/// Where condition types are written down as string literals.
const SOURCES: [&str; 2] = ["crates/trueup-engine/src/", "crates/trueup-api/src/"];

/// Checks the user guide, once there is one.
pub fn check(files: &[SourceFile]) -> Vec<Problem> {
    let guide: String = files
        .iter()
        .filter(|file| file.path.starts_with("docs/") && !file.path.starts_with("docs/design/"))
        .filter(|file| file.path.ends_with(".md"))
        .filter_map(SourceFile::text)
        .collect();
    if guide.is_empty() {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for condition in conditions(files).iter().filter(|condition| !guide.contains(condition.as_str())) {
        problems.push(Problem::new("docs", format!("no page mentions the condition {condition}")));
    }
    for code in EXIT_CODES.iter().filter(|code| !mentions_exit_code(&guide, code)) {
        problems
            .push(Problem::new("docs", format!("no table of exit codes has a row that begins with {code}")));
    }
    problems
}

/// The condition types in the sources, found by the shape of their names.
fn conditions(files: &[SourceFile]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files.iter().filter(|file| is_source(&file.path)) {
        let Some(text) = file.text() else { continue };
        // Every second piece between quotes is a literal; a quote inside one only makes it unlike a name.
        for literal in text.split('"').skip(1).step_by(2).filter(|literal| is_condition(literal)) {
            found.insert(literal.to_owned());
        }
    }
    found
}

fn is_source(path: &str) -> bool {
    path.ends_with(".rs")
        && !path.ends_with("tests.rs")
        && SOURCES.iter().any(|source| path.starts_with(source))
}

fn is_condition(literal: &str) -> bool {
    literal.starts_with(|first: char| first.is_ascii_uppercase())
        && literal.chars().all(|c| c.is_ascii_alphabetic())
        && SUFFIXES.iter().any(|suffix| literal.len() > suffix.len() && literal.ends_with(suffix))
}

fn mentions_exit_code(guide: &str, code: &str) -> bool {
    guide.lines().any(|line| {
        let cell = line.strip_prefix('|').and_then(|rest| rest.split('|').next()).unwrap_or_default();
        cell.trim().trim_matches('`') == code
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.to_owned(), bytes: text.as_bytes().to_vec() }
    }

    const CODES: &str = "| 0 | a |\n| 1 | b |\n|`2`| c |\n| 3 | d |\n| 4 | e |\n| 5 | f |\n| `6` | g |\n";

    #[test]
    fn nothing_is_asked_of_a_guide_that_is_not_there() {
        let source = file("crates/trueup-engine/src/a.rs", r#"let x = "StaleWarning";"#);
        assert_eq!(check(&[source, file("docs/design/0001-x.md", "text")]), []);
    }

    #[test]
    fn every_condition_of_the_sources_is_wanted() {
        let source =
            file("crates/trueup-engine/src/a.rs", r#"f("a", "StaleWarning", "Error", "not anError")"#);
        let elsewhere = file("crates/trueup-cli/src/a.rs", r#""OtherWarning""#);
        let problems = check(&[source, elsewhere, file("docs/a.md", CODES)]);
        assert_eq!(problems, [Problem::new("docs", "no page mentions the condition StaleWarning")]);
    }

    #[test]
    fn every_exit_code_has_a_row() {
        assert_eq!(check(&[file("docs/a.md", CODES)]), []);
        assert_eq!(check(&[file("docs/a.md", "| 0 | fine |\nthe code is 1")]).len(), 6);
    }
}
