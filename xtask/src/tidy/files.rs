//! Rules about single files: header, length, leftovers, names, size.

use super::{Problem, SourceFile};

/// Beyond this a file is not held in one's head any more. Files of tests are read one test at a time and are exempt.
const MAX_LINES: usize = 600;

/// Files that were longer when the rule came, with their length then. The list only shrinks.
const LONGER: [(&str, usize); 0] = [];

/// Larger files belong into a release, not into every clone.
const MAX_BYTES: usize = 1024 * 1024;

/// Generated data that may be larger, each with its reason.
const LARGER: [(&str, &str); 1] =
    [("crates/trueup-merge/data/builtin.json", "the compiled-in table of facts about built-in kinds")];

/// What marks something unfinished. Written in two halves, since this file is checked too.
const LEFTOVERS: [&str; 4] =
    [concat!("FIX", "ME"), concat!("XX", "X:"), concat!("todo", "!("), concat!("unimplemented", "!(")];

/// Names that say nothing about what is inside.
const EMPTY_NAMES: [&str; 6] = ["utils", "util", "common", "helpers", "helper", "misc"];

/// Crates that stay under the bans of the root's `clippy.toml`: they compute, or only name things.
const PURE: [&str; 6] =
    ["trueup-object", "trueup-merge", "trueup-diff", "trueup-health", "trueup-engine", "trueup-api"];

pub fn check(files: &[SourceFile]) -> Vec<Problem> {
    files.iter().flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Problem> {
    let mut problems = Vec::new();
    if file.bytes.len() > MAX_BYTES && !LARGER.iter().any(|(path, _)| *path == file.path) {
        problems.push(Problem::new(&file.path, format!("is larger than {MAX_BYTES} bytes")));
    }
    if PURE.iter().any(|pure| file.path == format!("crates/{pure}/clippy.toml")) {
        problems.push(Problem::new(&file.path, "only a shell opts out of the root's clippy.toml"));
    }
    let extension = file.path.rsplit_once('.').map_or("", |(_, extension)| extension);
    let Some(text) = file.text() else { return problems };
    if ["rs", "go", "sh"].contains(&extension) {
        problems.extend(leftovers(&file.path, text));
    }
    if extension == "rs" {
        problems.extend(rust(&file.path, text));
    }
    problems
}

fn rust(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !text.starts_with("//! ") || text.lines().next().is_none_or(|line| line.len() < "//! A.".len()) {
        problems.push(Problem::new(format!("{path}:1"), "a file begins with `//! ` and its purpose"));
    }
    let name = path.rsplit('/').next().unwrap_or(path).trim_end_matches(".rs");
    if EMPTY_NAMES.contains(&name) {
        problems.push(Problem::new(path, "name the file after what is inside"));
    }
    let lines = text.lines().count();
    let most = LONGER.iter().find(|(longer, _)| *longer == path).map_or(MAX_LINES, |(_, lines)| *lines);
    if lines > most && !is_tests(path) {
        problems.push(Problem::new(path, format!("has {lines} lines; at most {most} are allowed")));
    }
    problems
}

fn is_tests(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.contains("/tests/")
}

fn leftovers(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for leftover in LEFTOVERS.iter().filter(|leftover| line.contains(*leftover)) {
            problems.push(Problem::new(format!("{path}:{}", index + 1), format!("no `{leftover}` on main")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(path: &str, text: &str) -> Vec<String> {
        check(&[SourceFile { path: path.to_owned(), bytes: text.as_bytes().to_vec() }])
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn a_header_is_wanted() {
        assert_eq!(problems("a.rs", "//! Says what it is for.\n"), Vec::<String>::new());
        assert_eq!(problems("a.rs", "use std::fmt;\n").len(), 1);
        assert_eq!(problems("a.rs", "//! \n").len(), 1);
        assert_eq!(problems("a.md", "anything\n"), Vec::<String>::new());
    }

    #[test]
    fn length_is_bounded_except_for_tests() {
        let long = format!("//! Purpose.\n{}", "// line\n".repeat(MAX_LINES));
        assert_eq!(problems("src/a.rs", &long), ["src/a.rs: has 601 lines; at most 600 are allowed"]);
        assert_eq!(problems("src/a/tests.rs", &long), Vec::<String>::new());
        assert_eq!(problems("crates/x/tests/a.rs", &long), Vec::<String>::new());
    }

    #[test]
    fn leftovers_are_found_with_their_line() {
        let text = format!("//! Purpose.\n// {}: later\n", LEFTOVERS[0]);
        assert_eq!(problems("a.rs", &text), [format!("a.rs:2: no `{}` on main", LEFTOVERS[0])]);
        assert_eq!(problems("a.go", &format!("// {}\n", LEFTOVERS[0])).len(), 1);
    }

    #[test]
    fn empty_names_are_refused() {
        assert_eq!(problems("src/utils.rs", "//! Purpose.\n").len(), 1);
    }

    #[test]
    fn only_shells_opt_out_of_the_bans() {
        assert_eq!(problems("crates/trueup-engine/clippy.toml", "").len(), 1);
        assert_eq!(problems("crates/trueup-cluster/clippy.toml", ""), Vec::<String>::new());
    }

    #[test]
    fn blobs_are_refused_except_those_on_the_list() {
        let large = "x".repeat(MAX_BYTES + 1);
        assert_eq!(problems("picture.svg", &large).len(), 1);
        assert_eq!(problems(LARGER[0].0, &large), Vec::<String>::new());
    }
}
