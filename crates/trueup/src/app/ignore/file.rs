//! The file of an Application in a Git checkout, and a change to it that leaves everything else as it is.
//!
//! The checkout is the folder given or the nearest one above it that holds `.git`; the file is the only one in it with a
//! document of kind Application that has the name, and the namespace where it has one. Lines are added; what results is read
//! again and has to be what was meant, or nothing is written.

use std::path::{Path, PathBuf};

use trueup_object::{Map, Value};

use crate::failure::Failure;

/// No checkout of manifests has more; what has is not searched to its end.
const FILES_MAX: usize = 20_000;

/// A file with the Application.
pub struct Found {
    path: PathBuf,
    /// The checkout that it is in.
    root: PathBuf,
    text: String,
    /// Its lines in the file.
    lines: std::ops::Range<usize>,
}

/// A file as it is and as it would be.
pub struct Changed {
    pub path: PathBuf,
    root: PathBuf,
    before: String,
    after: String,
}

impl Changed {
    pub fn write(&self) -> Result<(), Failure> {
        std::fs::write(&self.path, &self.after)
            .map_err(|error| Failure::user(format!("failed to write {}: {error}", self.path.display())))
    }

    /// As `git apply` takes it in the checkout.
    pub fn patch(&self) -> String {
        let name = self.path.strip_prefix(&self.root).unwrap_or(&self.path).display().to_string();
        similar::TextDiff::from_lines(&self.before, &self.after)
            .unified_diff()
            .header(&format!("a/{name}"), &format!("b/{name}"))
            .to_string()
    }
}

/// Finds the file of an Application.
pub fn find(place: &Path, application: &Value) -> Result<Found, Failure> {
    let start = place
        .canonicalize()
        .map_err(|error| Failure::user(format!("failed to find the folder {}: {error}", place.display())))?;
    let root = start.ancestors().find(|folder| folder.join(".git").exists()).ok_or_else(|| {
        Failure::user(format!("{} is in no Git checkout", start.display()))
            .hint("give the checkout: --write=DIR")
    })?;
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    let mut n_files = 0;
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            if kind.is_dir() && entry.file_name() != ".git" {
                folders.push(path);
            } else if kind.is_file() && path.extension().is_some_and(|end| end == "yaml" || end == "yml") {
                n_files += 1;
                if n_files > FILES_MAX {
                    return Err(Failure::user(format!(
                        "{} has more than {FILES_MAX} manifests",
                        root.display()
                    )));
                }
                found.extend(in_file(root, &path, application));
            }
        }
    }
    found.sort_by(|left, right| left.path.cmp(&right.path));
    match found.len() {
        1 => found.pop().ok_or_else(|| Failure::ours("a file was found and lost")),
        0 => Err(Failure::user(format!("no file in {} has the Application", root.display()))
            .hint("give its checkout: --write=DIR")),
        _ => {
            let names: Vec<String> = found.iter().map(|found| found.path.display().to_string()).collect();
            Err(Failure::user(format!("several files have the Application: {}", names.join(", "))))
        }
    }
}

fn in_file(root: &Path, path: &Path, application: &Value) -> Vec<Found> {
    let Ok(text) = std::fs::read_to_string(path) else { return Vec::new() };
    let part = |object: &Value, name: &str| object.str_at(&["metadata", name]).map(str::to_owned);
    let mut found = Vec::new();
    for lines in documents(&text) {
        let Ok(document) = Value::from_yaml(slice(&text, &lines).as_bytes()) else { continue };
        let is_it = document.str_at(&["kind"]) == Some("Application")
            && part(&document, "name") == part(application, "name")
            && part(&document, "namespace").is_none_or(|own| Some(own) == part(application, "namespace"));
        if is_it {
            found.push(Found { path: path.to_owned(), root: root.to_owned(), text: text.clone(), lines });
        }
    }
    found
}

/// The line ranges of the documents of a file.
fn documents(text: &str) -> Vec<std::ops::Range<usize>> {
    let mut ranges = Vec::new();
    let mut start = 0;
    let mut n_lines = 0;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("---") {
            ranges.push(start..index);
            start = index + 1;
        }
        n_lines = index + 1;
    }
    ranges.push(start..n_lines);
    ranges
}

fn slice(text: &str, lines: &std::ops::Range<usize>) -> String {
    let lines: Vec<&str> = text.lines().skip(lines.start).take(lines.len()).collect();
    lines.join("\n") + "\n"
}

/// Changes the Application in its file.
pub fn change(
    found: Found,
    edit: impl FnOnce(&mut Value) -> Result<(), Failure>,
) -> Result<Changed, Failure> {
    let Found { path, root, text, lines } = found;
    let document = slice(&text, &lines);
    let by_hand = || {
        Failure::user(format!("{} is written in a way that this command cannot add to", path.display()))
            .hint("add the rule by hand; `trueup app lint -f` checks it")
    };
    let before = Value::from_yaml(document.as_bytes()).map_err(|_| by_hand())?;
    let mut wanted = before.clone();
    edit(&mut wanted)?;
    let edited = added(&document, &before, &wanted)
        .filter(|edited| Value::from_yaml(edited.as_bytes()).is_ok_and(|read| read == wanted));
    let edited = edited.ok_or_else(by_hand)?;
    let all: Vec<&str> = text.lines().collect();
    let mut after: Vec<String> = all.iter().take(lines.start).map(|line| (*line).to_owned()).collect();
    after.extend(edited.lines().map(str::to_owned));
    after.extend(all.iter().skip(lines.end).map(|line| (*line).to_owned()));
    let after = after.join("\n") + if text.ends_with('\n') { "\n" } else { "" };
    Ok(Changed { path, root, before: text, after })
}

/// The document with the lines that make it what is wanted; nothing where that is not a matter of adding lines.
fn added(document: &str, before: &Value, wanted: &Value) -> Option<String> {
    let mut lines: Vec<String> = document.lines().map(str::to_owned).collect();
    let rules = ["spec", "ignoreDifferences"];
    let (old, new) = (before.list_at(&rules), wanted.list_at(&rules));
    if new.len() > old.len() {
        let more = new.get(old.len()..)?;
        insert_list(&mut lines, before, more)?;
    }
    let place = ["metadata", "annotations", trueup_api::annotations::IGNORE_REASONS];
    match (before.at(&place), wanted.str_at(&place)) {
        (None, Some(text)) => insert_annotation(&mut lines, before, text)?,
        (Some(old), Some(new)) if old.as_str() != Some(new) => return None,
        (_, _) => {}
    }
    Some(lines.join("\n") + "\n")
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

/// The line of a key below a line, and the indent of its siblings.
fn child(lines: &[String], parent: Option<usize>, key: &str) -> Option<usize> {
    let (start, outer) =
        parent.map_or((0, None), |parent| (parent + 1, lines.get(parent).map(|line| indent(line))));
    let mut depth = None;
    for (index, line) in lines.iter().enumerate().skip(start) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        if outer.is_some_and(|outer| indent(line) <= outer) {
            return None;
        }
        let depth = *depth.get_or_insert(indent(line));
        if indent(line) == depth
            && line
                .trim_start()
                .strip_prefix(key)
                .is_some_and(|rest| rest.trim_end() == ":" || rest.starts_with(": "))
        {
            return Some(index);
        }
    }
    None
}

/// The line after the last one below a line. A list may stand at the indent of its key.
fn end(lines: &[String], parent: usize) -> usize {
    let outer = lines.get(parent).map_or(0, |line| indent(line));
    let mut last = parent;
    for (index, line) in lines.iter().enumerate().skip(parent + 1) {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let is_item = indent(line) == outer && line.trim_start().starts_with("- ");
        if indent(line) <= outer && !is_item {
            break;
        }
        last = index;
    }
    last + 1
}

fn insert_list(lines: &mut Vec<String>, before: &Value, items: &[Value]) -> Option<()> {
    let spec = child(lines, None, "spec")?;
    let text = Value::List(items.to_vec()).to_yaml();
    let with = |width: usize| {
        text.lines().map(move |line| format!("{}{line}", " ".repeat(width))).collect::<Vec<_>>()
    };
    match child(lines, Some(spec), "ignoreDifferences") {
        Some(key)
            if lines.get(key)?.trim_end().ends_with(':')
                && before.at(&["spec", "ignoreDifferences"])?.as_list().is_some() =>
        {
            let first = lines.iter().skip(key + 1).find(|line| line.trim_start().starts_with("- "))?;
            let (at, width) = (end(lines, key), indent(first));
            lines.splice(at..at, with(width));
        }
        Some(_) => return None,
        None => {
            let inner = lines
                .iter()
                .skip(spec + 1)
                .find(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))?;
            let width = indent(inner);
            let at = end(lines, spec);
            let mut block = vec![format!("{}ignoreDifferences:", " ".repeat(width))];
            block.extend(with(width + 2));
            lines.splice(at..at, block);
        }
    }
    Some(())
}

fn insert_annotation(lines: &mut Vec<String>, before: &Value, text: &str) -> Option<()> {
    let name = trueup_api::annotations::IGNORE_REASONS;
    let metadata = child(lines, None, "metadata")?;
    let mut wrapped = Value::Map(Map::new());
    wrapped.set_at(&[name], Value::from(text));
    let entry = wrapped.to_yaml();
    let with = |width: usize| {
        entry.lines().map(move |line| format!("{}{line}", " ".repeat(width))).collect::<Vec<_>>()
    };
    match (child(lines, Some(metadata), "annotations"), before.at(&["metadata", "annotations"])) {
        (Some(key), Some(Value::Map(_))) if lines.get(key)?.trim_end().ends_with(':') => {
            let width = indent(lines.get(key + 1)?);
            let at = end(lines, key);
            lines.splice(at..at, with(width));
        }
        (None, None) => {
            let width = indent(lines.get(metadata + 1)?);
            let at = end(lines, metadata);
            let mut block = vec![format!("{}annotations:", " ".repeat(width))];
            block.extend(with(width + 2));
            lines.splice(at..at, block);
        }
        (_, _) => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const RULE: &str = "{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}";

    fn changed(text: &str, details: Option<&str>) -> Result<String, Failure> {
        let lines = documents(text).into_iter().next_back().unwrap();
        let found = Found { path: "app.yaml".into(), root: "".into(), text: text.to_owned(), lines };
        let edit = |document: &mut Value| {
            let mut rules = document.list_at(&["spec", "ignoreDifferences"]).to_vec();
            rules.push(Value::from_yaml(RULE.as_bytes()).unwrap());
            document.set_at(&["spec", "ignoreDifferences"], Value::List(rules));
            if let Some(details) = details {
                let place = ["metadata", "annotations", trueup_api::annotations::IGNORE_REASONS];
                document.set_at(&place, Value::from(details));
            }
            Ok(())
        };
        change(found, edit).map(|changed| changed.after)
    }

    #[test]
    fn a_rule_is_added_and_the_rest_stays() {
        let text = "# ours\nkind: ConfigMap\n---\nkind: Application\nmetadata:\n  name: web # the shop\nspec:\n  project: a\n  source:\n    path: x\n";
        let after = changed(text, None).unwrap();
        assert_eq!(
            after,
            text.to_owned()
                + "  ignoreDifferences:\n    - group: apps\n      jsonPointers:\n      - /spec/replicas\n      kind: Deployment\n"
        );
    }

    #[test]
    fn a_rule_goes_after_those_that_are_there() {
        let text = "kind: Application\nspec:\n  ignoreDifferences:\n  - kind: Secret\n    jsonPointers: [/data] # noisy\n  project: a\n";
        let after = changed(text, None).unwrap();
        assert!(after.contains("    jsonPointers: [/data] # noisy\n  - group: apps\n"), "{after}");
        assert!(after.ends_with("  project: a\n"), "{after}");
    }

    #[test]
    fn reasons_are_added_with_it() {
        let text = "kind: Application\nmetadata:\n  name: web\nspec:\n  project: a\n";
        let after = changed(text, Some("- path: /spec/replicas\n  owner: team-web\n")).unwrap();
        assert!(after.contains("  annotations:\n    trueup.dev/ignore-reasons: "), "{after}");
        let text =
            "kind: Application\nmetadata:\n  name: web\n  annotations:\n    a: b\nspec:\n  project: a\n";
        assert!(
            changed(text, Some("- path: /x\n"))
                .unwrap()
                .contains("    a: b\n    trueup.dev/ignore-reasons: ")
        );
    }

    #[test]
    fn what_cannot_be_added_to_is_left_alone() {
        for text in [
            "{kind: Application, spec: {project: a}}\n",
            "kind: Application\nspec: {project: a}\n",
            "kind: Application\nspec:\n  ignoreDifferences: []\n",
        ] {
            assert!(changed(text, None).is_err(), "{text}");
        }
    }
}
