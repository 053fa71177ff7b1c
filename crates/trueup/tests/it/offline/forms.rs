//! The forms in which a comparison of files is shown.

use std::process::Stdio;

use trueup_object::Value;

use super::secrets::{LIVE_SECRET, SECRET};
use super::{CONFIG, DEPLOYMENT, Folder, LIVE_DEPLOYMENT, only, published_faults};

#[test]
fn yaml_says_what_json_says_and_neither_is_more_than_published() {
    let folder = Folder::new(&[("target.yaml", SECRET), ("live.yaml", LIVE_SECRET), ("base.yaml", SECRET)]);
    let more = ["--base=base.yaml", "--full", "--show-ignored"];
    let (mut document, _) = folder.document(&more);
    let mut line = vec!["--target=target.yaml", "--live=live.yaml", "-o", "yaml"];
    line.extend(more);
    assert_eq!(Value::from_yaml(folder.run(&line).out.as_bytes()).unwrap(), document);
    document.set_at(&["more"], Value::Int(1));
    document.set_at(&["status"], "Maybe".into());
    let mut found = published_faults(&document);
    found.sort();
    assert_eq!(found, [".more is not in the schema", r#".status: "Maybe" is not among the values"#]);
}

#[test]
fn both_sides_in_full_are_as_compared() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live)]);
    let (document, _) = folder.document(&["--full"]);
    let object = only(&document);
    assert_eq!(object.int_at(&["normalizedLive", "spec", "replicas"]), Some(5));
    assert_eq!(object.int_at(&["predictedLive", "spec", "replicas"]), Some(3));
    assert_eq!(object.int_at(&["predictedLive", "spec", "revisionHistoryLimit"]), Some(10));
    for side in ["normalizedLive", "predictedLive"] {
        for gone in [&["status"][..], &["metadata", "uid"], &["metadata", "managedFields"]] {
            let mut path = vec![side];
            path.extend(gone);
            assert_eq!(object.at(&path), None, "{path:?}");
        }
    }
    folder.write("live.yaml", "");
    let (document, _) = folder.document(&["--full"]);
    assert_eq!(only(&document).get("normalizedLive"), Some(&Value::Null));
    assert_eq!(only(&document).int_at(&["predictedLive", "spec", "replicas"]), Some(3));
}

#[test]
fn a_comment_is_bounded_and_says_what_is_left_out() {
    let text = "`````\n".repeat(40);
    let object = |number: usize, value: &str| {
        let map = Value::from_yaml(CONFIG.replace("flags", &format!("flags-{number}")).as_bytes()).unwrap();
        let mut map = map;
        map.set_at(&["data", "a"], value.into());
        format!("---\n{}", map.to_yaml())
    };
    let target: String = (0..900).map(|number| object(number, &format!("{text}1"))).collect();
    let live: String = (0..900).map(|number| object(number, &format!("{text}2"))).collect();
    let folder = Folder::new(&[("target.yaml", &target), ("live.yaml", &live)]);
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "-o", "markdown"]);
    assert_eq!(run.code, 1);
    assert!(run.out.chars().count() <= 65_536, "{}", run.out.len());
    assert!(run.out.starts_with("### 900 of 900 objects differ\n"), "{}", &run.out[..200]);
    let listed = run.out.matches("| <code>").count();
    assert!(run.out.contains(&format!("{} more objects are not listed", 900 - listed)), "{listed}");
    let shown = run.out.matches("<details>").count();
    assert!(shown > 10 && run.out.contains(&format!("{} more left out here", 900 - shown)), "{shown}");
    assert_eq!(run.out.matches("<details>").count(), run.out.matches("</details>").count());
    // Every block of code is fenced by more backticks than are in it.
    assert!(run.out.contains("\n``````diff\n"), "{}", &run.out[run.out.len() - 3000..]);
}

#[test]
fn the_sides_can_stand_next_to_each_other() {
    let live = CONFIG.replace("'1'", "'2'");
    let folder = Folder::new(&[("target.yaml", CONFIG), ("live.yaml", &live)]);
    let line = ["--target=target.yaml", "--live=live.yaml", "--side-by-side"];
    let run = folder.run_with(&line, Stdio::null(), &[("COLUMNS", "63")]);
    let row = run.out.lines().find(|line| line.contains('|')).unwrap_or_else(|| panic!("{run:?}"));
    assert_eq!(row, format!("{:<30} | {}", "  a: \"2\"", "  a: \"1\""));
    assert!(run.out.lines().all(|line| line.chars().count() <= 63 || line.starts_with('#')), "{}", run.out);
}

#[test]
fn a_program_that_fails_to_show_the_sides_is_not_passed_over() {
    let folder = Folder::new(&[("target.yaml", CONFIG), ("live.yaml", &CONFIG.replace("'1'", "'2'"))]);
    let line = ["--target=target.yaml", "--live=live.yaml"];
    let failed = folder.run_with(&line, Stdio::null(), &[("KUBECTL_EXTERNAL_DIFF", "ls --no-such-flag")]);
    assert!(failed.code == 2 && failed.err.contains("KUBECTL_EXTERNAL_DIFF"), "{failed:?}");
    let differs = folder.run_with(&line, Stdio::null(), &[("KUBECTL_EXTERNAL_DIFF", "diff -u")]);
    assert!(differs.code == 1 && differs.out.contains("-  a: \"2\""), "{differs:?}");
}
