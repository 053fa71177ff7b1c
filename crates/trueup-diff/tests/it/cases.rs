//! Case files: `testdata/cases/*.case`, with the human report as what is wanted. `UPDATE=1` rewrites it.
//!
//! A file holds cases, each starting with `== what it shows`. Sections of a case: `-- target`, `-- live`, `-- base`,
//! `-- at sync` (live right after the last sync, from which the table of unowned fields is taken), `-- owner MANAGER
//! OPERATION[/SUBRESOURCE] [TIME]` (a partial object whose fields the manager owns, for an update without what owners
//! before it have; for `trueup` it replaces what is owned otherwise: the fields of base, else those of the target), `-- ignore` (a rule on each line: group kind pointer),
//! `-- no managed fields`, `-- want`. A section `-- live` of the form `same but` changes the target by a JSON merge patch.

#![expect(clippy::disallowed_methods, reason = "cases are files, and UPDATE=1 asks for rewriting them")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use trueup_diff::{
    CompareInput, Comparison, Finding, IgnoreRule, IgnoreSpec, Masked, compare, unowned_table,
};
use trueup_merge::{Managed, field_set};
use trueup_object::{FieldManager, ManagedEntry, ManagedFields, ManagedOperation, Value};

use super::world::{KEY, type_of};

#[derive(Default)]
struct Case {
    title: String,
    /// Heads and bodies, in order.
    sections: Vec<(String, String)>,
}

impl Case {
    fn body(&self, head: &str) -> Option<&str> {
        self.sections.iter().find(|(name, _)| name == head).map(|(_, body)| body.as_str())
    }

    fn object(&self, head: &str) -> Option<Value> {
        self.body(head).map(|body| Value::from_yaml(body.as_bytes()).unwrap())
    }

    fn live(&self, target: &Value) -> Value {
        let Some(patch) = self.object("live, same but") else { return self.object("live").unwrap() };
        let mut live = target.clone();
        merge_patch(&mut live, &patch);
        live
    }

    fn owners(&self, declared: &Value) -> ManagedFields {
        let (ty, _) = type_of(declared);
        if self.body("no managed fields").is_some() {
            return ManagedFields::default();
        }
        let mut entries: Vec<ManagedEntry> = Vec::new();
        for (head, body) in &self.sections {
            let Some(head) = head.strip_prefix("owner ") else { continue };
            let words: Vec<&str> = head.split(' ').collect();
            let (operation, subresource) = words[1].split_once('/').unwrap_or((words[1], ""));
            let mut object = Value::from_yaml(body.as_bytes()).unwrap();
            for name in ["apiVersion", "kind"] {
                object.set_at(&[name], declared.get(name).unwrap().clone());
            }
            let applied = operation == "Apply";
            let mut fields = field_set(&object, ty).unwrap();
            if !applied {
                // The partial object repeats the keys of list items, which belong to who added the item.
                for earlier in &entries {
                    fields = fields.difference(&earlier.fields);
                }
            }
            entries.push(ManagedEntry {
                manager: FieldManager::new(words[0]),
                operation: if applied { ManagedOperation::Apply } else { ManagedOperation::Update },
                subresource: subresource.into(),
                api_version: "v1".into(),
                time: words.get(2).map(|time| time.parse().unwrap()),
                fields,
            });
        }
        if entries.iter().all(|entry| entry.manager.as_str() != FieldManager::TRUEUP) {
            entries.push(ManagedEntry {
                manager: FieldManager::new(FieldManager::TRUEUP),
                operation: ManagedOperation::Apply,
                subresource: "".into(),
                api_version: "v1".into(),
                time: None,
                fields: field_set(declared, ty).unwrap(),
            });
        }
        ManagedFields { entries }
    }

    fn rules(&self) -> Vec<IgnoreRule> {
        let rule = |line: &str| {
            let words: Vec<&str> = line.split(' ').collect();
            let [group, kind, pointer] = words.as_slice() else { panic!("not a rule: {line}") };
            let spec = IgnoreSpec {
                group: group.trim_matches('"').to_owned(),
                kind: (*kind).to_owned(),
                json_pointers: vec![(*pointer).to_owned()],
                ..IgnoreSpec::default()
            };
            IgnoreRule::new(&spec).unwrap()
        };
        self.body("ignore").unwrap_or_default().lines().map(rule).collect()
    }

    fn run(&self) -> String {
        let target = self.object("target").unwrap();
        let live = self.live(&target);
        let base = self.object("base");
        let managed = Managed::from(self.owners(base.as_ref().unwrap_or(&target)));
        let (ty, schema_known) = type_of(&target);
        let at_sync = self.object("at sync").map(|patch| {
            let declared = base.as_ref().unwrap_or(&target);
            let mut at_sync = declared.clone();
            merge_patch(&mut at_sync, &patch);
            unowned_table(&at_sync, declared, &managed, ty, &KEY, &[])
        });
        let rules = self.rules();
        let comparison = compare(&CompareInput {
            target: &target,
            live: &live,
            base: base.as_ref(),
            managed: &managed,
            our_manager: &FieldManager::new(FieldManager::TRUEUP),
            ty,
            schema_known,
            ignore: &rules.iter().collect::<Vec<_>>(),
            unowned: at_sync.as_ref(),
            status: false,
            secrecy: (&KEY).into(),
        });
        for finding in &comparison.findings {
            check(finding, &target, &live);
        }
        report(&comparison)
    }
}

/// What holds of every finding.
fn check(finding: &Finding, target: &Value, live: &Value) {
    assert!(!finding.path.is_root());
    let pointer = trueup_object::JsonPointer::parse(&finding.pointer).unwrap();
    assert!(pointer.get(live).or_else(|| pointer.get(target)).is_some(), "{} leads nowhere", finding.pointer);
}

pub(super) fn report(comparison: &Comparison) -> String {
    let mut out = String::new();
    for finding in &comparison.findings {
        let value = |value: &Option<Masked>| value.as_ref().map_or("-".to_owned(), |value| value.to_json());
        let _ = write!(out, "{} {} {}", finding.channel.as_str(), finding.change.as_str(), finding.path);
        let _ = write!(out, " | {} -> {}", value(&finding.target), value(&finding.live));
        if finding.base.is_some() {
            let _ = write!(out, " (base {})", value(&finding.base));
        }
        let owners: Vec<_> = finding
            .owners
            .iter()
            .map(|owner| {
                let slash = if owner.subresource.is_empty() { "" } else { "/" };
                format!("{} {}{slash}{}", owner.manager, owner.operation.as_str(), owner.subresource)
            })
            .chain(finding.ours.then(|| "us".to_owned()))
            .collect();
        let _ =
            write!(out, " | by {}", if owners.is_empty() { "nobody".to_owned() } else { owners.join(", ") });
        let moved = match (finding.moved.git, finding.moved.cluster) {
            (Some(true), Some(true)) => "both moved",
            (Some(true), _) => "git moved",
            (_, Some(true)) => "cluster moved",
            (Some(false), Some(false)) => "nobody moved",
            (_, _) => "unknown",
        };
        let _ = write!(out, " | {moved}");
        for (flag, word) in [
            (finding.pending_removal, "pending removal".to_owned()),
            (finding.sensitive, "sensitive".to_owned()),
            (finding.same_amount, "the same amount".to_owned()),
            (finding.ignored_by.is_some(), format!("ignored by {}", finding.ignored_by.unwrap_or_default())),
        ] {
            if flag {
                let _ = write!(out, " | {word}");
            }
        }
        out.push('\n');
    }
    if !comparison.rule_matches.is_empty() {
        let _ = writeln!(out, "rules matched {:?}", comparison.rule_matches);
    }
    for untold in &comparison.untold {
        let _ = writeln!(out, "untold {}", untold.path);
    }
    if out.is_empty() { "same\n".to_owned() } else { out }
}

fn merge_patch(value: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_map() else {
        *value = patch.clone();
        return;
    };
    if value.as_map().is_none() {
        *value = Value::Map(trueup_object::Map::new());
    }
    let map = value.as_map_mut().unwrap();
    for (name, change) in patch.iter() {
        if change.is_null() {
            map.remove(name);
        } else {
            merge_patch(map.entry_or_null(name), change);
        }
    }
}

fn parse(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            cases.push(Case { title: title.to_owned(), sections: Vec::new() });
        } else if let Some(head) = line.strip_prefix("-- ") {
            cases.last_mut().unwrap().sections.push((head.to_owned(), String::new()));
        } else if let Some((_, body)) = cases.last_mut().and_then(|case| case.sections.last_mut()) {
            body.push_str(line);
            body.push('\n');
        }
    }
    cases
}

fn print(cases: &[Case]) -> String {
    let mut out = String::new();
    for case in cases {
        let _ = writeln!(out, "== {}", case.title);
        for (head, body) in &case.sections {
            let _ = write!(out, "-- {head}\n{body}");
        }
    }
    out
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/cases");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test]
fn cases_give_what_they_want() {
    let update = std::env::var_os("UPDATE").is_some();
    let mut failures = String::new();
    let mut count = 0;
    for file in files() {
        let mut cases = parse(&fs::read_to_string(&file).unwrap());
        for case in &mut cases {
            count += 1;
            let found = case.run();
            let wanted = case.body("want").unwrap_or_default().trim().to_owned();
            if found.trim() == wanted {
                continue;
            }
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let _ = writeln!(failures, "{name}: {}\n  wanted:\n{wanted}\n  found:\n{found}", case.title);
            if update {
                case.sections.retain(|(head, _)| head != "want");
                case.sections.push(("want".to_owned(), format!("{found}\n")));
            }
        }
        if update {
            fs::write(&file, print(&cases)).unwrap();
        }
    }
    assert!(count > 50, "only {count} cases found");
    assert!(update || failures.is_empty(), "{failures}");
}
