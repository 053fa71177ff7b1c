//! `trueup diff` and `trueup app lint` with files: what is refused, and what is said where something is lacking.

use std::process::Stdio;

use super::{DEPLOYMENT, Folder, LIVE_DEPLOYMENT, only};

#[test]
fn what_only_one_way_of_comparing_understands_is_refused_for_the_other() {
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", LIVE_DEPLOYMENT)]);
    for flag in ["--against=production", "--app=shop", "--directory-recurse"] {
        let run = folder.run(&["--target=target.yaml", "--live=live.yaml", flag]);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{flag}: {run:?}");
    }
}

#[test]
fn a_rule_with_a_misspelt_key_is_refused_by_name() {
    let folder = Folder::new(&[
        ("target.yaml", DEPLOYMENT),
        ("live.yaml", LIVE_DEPLOYMENT),
        ("rules.yaml", "- {kind: Deployment, jsonPointer: [/spec/replicas]}"),
    ]);
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "--ignore=rules.yaml"]);
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains("rule 1 has the unknown key `jsonPointer`"), "{}", run.err);
}

#[test]
fn without_a_history_a_missing_object_has_no_known_mover() {
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", "")]);
    let origin = |more: &[&str]| {
        let (document, code) = folder.document(more);
        assert_eq!(code, 1);
        let found = only(&document).list_at(&["differences"]).first().unwrap().str_at(&["origin"]);
        (document.str_at(&["origin"]).unwrap().to_owned(), found.unwrap().to_owned())
    };
    assert_eq!(origin(&[]), ("unknown".to_owned(), "unknown".to_owned()));
    assert_eq!(origin(&["--base=target.yaml"]), ("cluster".to_owned(), "cluster".to_owned()));
    folder.write("other.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}");
    assert_eq!(origin(&["--base=other.yaml"]), ("git".to_owned(), "git".to_owned()));
}

#[test]
fn that_no_schema_is_known_is_said_beside_what_else_is_lacking() {
    let widget = |more: &str| {
        format!(
            "apiVersion: acme.example/v1\nkind: Thing\nmetadata: {{name: a, namespace: b}}\nspec: {{c: 1{more}}}"
        )
    };
    let folder = Folder::new(&[("target.yaml", &widget("")), ("live.yaml", &widget(", d: 2"))]);
    let (document, code) = folder.document(&[]);
    assert_eq!(code, 3);
    let message = only(&document).str_at(&["problem", "message"]).unwrap();
    assert!(message.contains(".spec.d cannot be told"), "{message}");
    assert!(message.contains("no schema of acme.example/v1"), "{message}");
}

#[test]
fn a_list_of_applications_is_linted() {
    let application = |name: &str| {
        format!(
            "{{apiVersion: argoproj.io/v1alpha1, kind: Application, metadata: {{name: {name}}}, spec: \
             {{ignoreDifferences: [{{group: apps/v1, kind: Deployment, jsonPointers: [/spec/replicas]}}]}}}}"
        )
    };
    let list =
        format!("{{apiVersion: v1, kind: List, items: [{}, {}]}}", application("one"), application("two"));
    let folder = Folder::new(&[("apps.yaml", &list), ("bad.yaml", "a: ["), ("none.yaml", "a: 1")]);
    let lint = |file: &str| folder.call(&["app", "lint", "-f", file], Stdio::null(), &[]);
    let run = lint("apps.yaml");
    assert_eq!(run.code, 1, "{run:?}");
    for name in ["one ", "two "] {
        assert!(run.out.lines().any(|line| line.starts_with(name)), "{}", run.out);
    }
    for file in ["bad.yaml", "none.yaml"] {
        let run = lint(file);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains("\nhint: "), "{}", run.err);
    }
}

#[test]
fn rules_that_hide_nothing_or_fail_are_told() {
    let rules = "- {group: apps, kind: Deployment, jsonPointers: [/spec/replicas, /spec/none]}
- {group: apps, kind: StatefulSet, jsonPointers: [/spec/replicas]}
- {group: apps, kind: Deployment, jqPathExpressions: ['.spec.replicas[]']}
";
    let folder =
        Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", LIVE_DEPLOYMENT), ("rules.yaml", rules)]);
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "--ignore=rules.yaml"]);
    let told: Vec<&str> = run.err.lines().filter(|line| line.starts_with("note: --ignore")).collect();
    assert_eq!(told.len(), 3, "{run:?}");
    assert!(told[0].contains("`/spec/none` matches no field in 1 of"), "{run:?}");
    assert!(told[1].contains("no object that is compared is"), "{run:?}");
    assert!(told[2].contains("`.spec.replicas[]` fails on Deployment/web"), "{run:?}");
}
