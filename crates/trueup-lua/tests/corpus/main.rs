//! Argo CD's own scripts, with the cases that it publishes for them, run by our engine.
//!
//! Scripts and cases are not ours to keep: the Go toolchain fetches them as the module that they are part of, into its
//! own cache, by version. What does not pass is in `known`, with the reason, or the test fails.
#![expect(clippy::unwrap_used, reason = "tests")]

mod known;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use trueup_health::{GenericUse, HealthRules, HealthStatus, NoScripts, Scripts};
use trueup_lua::{Action, Effect, Library, LuaRules, Pool};
use trueup_object::Value;

/// The release whose scripts are run.
const MODULE: &str = "github.com/argoproj/argo-cd/v3@v3.5.7";

/// As many cases as that release has; fewer mean that they were not found.
const HEALTH_CASES: usize = 1142;
const DISCOVERY_CASES: usize = 83;
const ACTION_CASES: usize = 105;

/// 2026-11-21T14:03:09Z
const NOW: i64 = 1_795_269_789;

/// The folder with the scripts. `None` where there is no Go to fetch them with and nobody insists.
fn scripts() -> Option<PathBuf> {
    // Outside of a module, so that nothing of this project is asked or changed.
    let folder = std::env::temp_dir();
    let output = Command::new("go").current_dir(folder).args(["mod", "download", "-json", MODULE]).output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            assert!(!std::env::var("CI").is_ok_and(|ci| ci == "true"), "the corpus needs Go: {error}");
            eprintln!("skipped: the corpus needs Go ({error})");
            return None;
        }
    };
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "failed to fetch {MODULE}: {answer}");
    Some(Path::new(answer["Dir"].as_str().unwrap()).join("resource_customizations"))
}

fn rules(folder: &Path) -> LuaRules {
    let mut library = Library::default();
    library.read_directory(folder).unwrap();
    LuaRules::new(library, Arc::new(Pool::default()))
}

/// Every file of this name, with its folder.
fn found(folder: &Path, name: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.file_name().is_some_and(|it| it == name) {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

fn yaml(path: &Path) -> Value {
    Value::from_yaml(&fs::read(path).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Counts cases, and holds what fails against the list of what is known to.
struct Tally {
    what: &'static str,
    passed: usize,
    failed: BTreeMap<String, String>,
}

impl Tally {
    fn new(what: &'static str) -> Self {
        Self { what, passed: 0, failed: BTreeMap::new() }
    }

    fn add(&mut self, name: String, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(why) => {
                self.failed.insert(name, why);
            }
        }
    }

    fn close(self, cases: usize, known: &[(&str, &str)]) {
        for (name, why) in known {
            println!("  known to fail: {name}: {why}");
        }
        let total = self.passed + self.failed.len();
        println!("{}: {} of {total} published cases pass", self.what, self.passed);
        for (name, why) in &self.failed {
            println!("  {name}: {why}");
        }
        let failed: BTreeSet<&str> = self.failed.keys().map(String::as_str).collect();
        let known: BTreeSet<&str> = known.iter().map(|(name, _)| *name).collect();
        assert_eq!(failed, known, "{}: what fails is not what is known to", self.what);
        assert_eq!(total, cases, "{}: the number of cases", self.what);
    }
}

/// A case's path below the folder of scripts.
fn named(folder: &Path, path: &Path) -> String {
    path.strip_prefix(folder).unwrap().display().to_string()
}

#[test]
fn health() {
    let Some(folder) = scripts() else { return };
    let rules = rules(&folder);
    let mut tally = Tally::new("health");
    let mut generic: BTreeMap<(String, String), usize> = BTreeMap::new();
    for file in found(&folder, "health_test.yaml") {
        for case in yaml(&file).list_at(&["tests"]) {
            // Go reads a field also where its name is written otherwise.
            let path = case.str_at(&["inputPath"]).or(case.str_at(&["inputpath"])).unwrap();
            let input = file.parent().unwrap().join(path);
            let expected = |name: &str| case.str_at(&["healthStatus", name]).unwrap_or_default().to_owned();
            let expected = (expected("status"), expected("message"));
            let outcome = match Value::from_yaml(&fs::read(&input).unwrap()) {
                Err(error) => Err(format!("not read: line {}: {}", error.line, error.message)),
                Ok(object) => {
                    let said = rules.judge(&object, NOW).and_then(|scripted| scripted.health);
                    let said =
                        said.map(|health| (health.status.to_string(), health.message)).unwrap_or_default();
                    *generic.entry((expected.0.clone(), guess(&object))).or_default() += 1;
                    if said == expected { Ok(()) } else { Err(format!("{said:?}, not {expected:?}")) }
                }
            };
            tally.add(named(&folder, &input), outcome);
        }
    }
    println!("what the scripts say, and what the generic rule says without them:");
    for ((script, generic), count) in generic {
        println!("  {script:12} {generic:12} {count:5}");
    }
    tally.close(HEALTH_CASES, known::HEALTH);
}

/// What is said of an object without scripts.
fn guess(object: &Value) -> String {
    let rules = HealthRules { scripts: &NoScripts, generic: GenericUse::Counted };
    let status: Option<HealthStatus> = rules.judge(object, NOW).health.map(|health| health.status);
    status.map_or_else(|| "-".to_owned(), |status| status.to_string())
}

#[test]
fn discoveries() {
    let Some(folder) = scripts() else { return };
    let rules = rules(&folder);
    let mut tally = Tally::new("discovery");
    for file in found(&folder, "action_test.yaml") {
        for case in yaml(&file).list_at(&["discoveryTests"]) {
            let input = file.parent().unwrap().join(case.str_at(&["inputPath"]).unwrap());
            let expected: Vec<Action> = case.list_at(&["result"]).iter().map(listed).collect();
            let outcome = match rules.actions(&yaml(&input), NOW) {
                // As in Argo CD's own test, what is offered is among what is expected.
                Ok(offered) => match offered.iter().find(|action| !expected.contains(action)) {
                    None => Ok(()),
                    Some(odd) => Err(format!("{odd:?} is not among {expected:?}")),
                },
                Err(error) => Err(error.to_string()),
            };
            tally.add(format!("{} {}", named(&folder, &input), tally.passed + tally.failed.len()), outcome);
        }
    }
    tally.close(DISCOVERY_CASES, known::DISCOVERIES);
}

fn listed(item: &Value) -> Action {
    let text = |name: &str| item.str_at(&[name]).unwrap_or_default().to_owned();
    Action {
        name: text("name"),
        disabled: item.at(&["disabled"]).and_then(Value::as_bool).unwrap_or_default(),
        display_name: text("displayName"),
        icon_class: text("iconClass"),
        params: item
            .list_at(&["params"])
            .iter()
            .filter_map(|it| it.str_at(&["name"]).map(str::to_owned))
            .collect(),
    }
}

#[test]
fn actions() {
    let Some(folder) = scripts() else { return };
    let rules = rules(&folder);
    let mut tally = Tally::new("actions");
    for file in found(&folder, "action_test.yaml") {
        for (index, case) in yaml(&file).list_at(&["actionTests"]).iter().enumerate() {
            let folder_of_case = file.parent().unwrap();
            let input = folder_of_case.join(case.str_at(&["inputPath"]).unwrap());
            let name = case.str_at(&["action"]).unwrap();
            let object = yaml(&input);
            let parameters = case
                .at(&["parameters"])
                .and_then(Value::as_map)
                .into_iter()
                .flat_map(|map| map.iter())
                .map(|(name, value)| {
                    (name.to_owned(), value.as_str().map_or_else(|| value.to_json(), str::to_owned))
                })
                .collect();
            let returned =
                rules.run_action(&object, name, &parameters, NOW).map_err(|error| error.to_string());
            let outcome = match (returned, case.str_at(&["expectedErrorMessage"])) {
                (Err(error), Some(expected)) if error == expected => Ok(()),
                (Err(error), _) => Err(error),
                (Ok(_), Some(expected)) => Err(format!("no error, not {expected}")),
                (Ok(effects), None) => {
                    let expected = folder_of_case.join(case.str_at(&["expectedOutputPath"]).unwrap());
                    effects.iter().try_for_each(|effect| is_expected(effect, &object, &yaml(&expected)))
                }
            };
            tally.add(format!("{} {name} {index}", named(&folder, &input)), outcome);
        }
    }
    tally.close(ACTION_CASES, known::ACTIONS);
}

/// Whether what an action made is among the objects that are expected: an object, or a list of them.
fn is_expected(effect: &Effect, source: &Value, expected: &Value) -> Result<(), String> {
    let all: Vec<&Value> = match expected.as_list() {
        Some(items) => items.iter().filter_map(|item| item.get("unstructuredObj")).collect(),
        None => vec![expected],
    };
    let identity = |it: &Value| {
        let text = |keys: &[&str]| it.str_at(keys).unwrap_or_default().to_owned();
        (text(&["apiVersion"]), text(&["kind"]), text(&["metadata", "namespace"]))
    };
    let made = &effect.resource;
    // What is created is named after its source and the time.
    let name = |it: &Value| it.str_at(&["metadata", "name"]).unwrap_or_default().to_owned();
    let is_derived = ["Job", "Workflow"].contains(&made.str_at(&["kind"]).unwrap_or_default());
    let same = |it: &&&Value| {
        identity(it) == identity(made)
            && (name(it) == name(made) || (is_derived && name(it).starts_with(&name(source))))
    };
    let wanted = all.iter().find(same).ok_or_else(|| format!("{} is not expected", made.to_json()))?;
    match missing(&timeless(wanted, is_derived), &timeless(made, is_derived), "") {
        None => Ok(()),
        Some(path) => Err(format!("{path}: made {}, not {}", made.to_json(), wanted.to_json())),
    }
}

/// Without what an action takes from the clock, and what Argo CD's own test leaves out.
fn timeless(object: &Value, is_derived: bool) -> Value {
    let mut object = object.clone();
    let annotations: [&[&str]; 2] =
        [&["metadata", "annotations"], &["spec", "template", "metadata", "annotations"]];
    for path in annotations {
        for name in [
            "kubectl.kubernetes.io/restartedAt",
            "reconcile.fluxcd.io/requestedAt",
            "force-sync",
            "workflows.argoproj.io/scheduled-time",
            "cnpg.io/reloadedAt",
        ] {
            object.remove_at(&[path, &[name]].concat());
        }
    }
    let clocked: [&[&str]; 3] =
        [&["spec", "restartAt"], &["metadata", "creationTimestamp"], &["status", "targetPrimaryTimestamp"]];
    for path in clocked {
        object.remove_at(path);
    }
    if object.str_at(&["kind"]) == Some("Deployment") {
        object.remove_at(&["status"]);
        object.remove_at(&["metadata", "generation"]);
    }
    if is_derived {
        object.remove_at(&["metadata", "name"]);
    }
    if let Some(conditions) =
        object.get_mut("status").and_then(|it| it.get_mut("conditions")).and_then(Value::as_list_mut)
    {
        for condition in conditions {
            condition.remove_at(&["lastTransitionTime"]);
        }
    }
    object
}

/// The first path at which something expected was not made. What was made beyond it is not looked at, as in Argo CD's
/// own test.
fn missing(expected: &Value, made: &Value, path: &str) -> Option<String> {
    match (expected, made) {
        (Value::Map(expected), Value::Map(made)) => expected.iter().find_map(|(key, value)| {
            let path = format!("{path}.{key}");
            match made.get(key) {
                Some(made) => missing(value, made, &path),
                None if value.is_null() || value.as_map().is_some_and(|map| map.is_empty()) => None,
                None => Some(path),
            }
        }),
        (Value::List(expected), Value::List(made)) if expected.len() == made.len() => expected
            .iter()
            .zip(made)
            .enumerate()
            .find_map(|(index, (expected, made))| missing(expected, made, &format!("{path}[{index}]"))),
        (expected, made) => (expected != made).then(|| path.to_owned()),
    }
}
