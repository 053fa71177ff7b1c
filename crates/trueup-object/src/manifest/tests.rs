//! Files with good and bad documents.

use super::*;

fn file() -> FileOrigin {
    FileOrigin {
        repo: "https://example.com/repo".into(),
        revision: "abc".into(),
        path: "apps/web.yaml".into(),
    }
}

fn read(text: &str) -> (Vec<String>, Vec<String>) {
    let (manifests, problems) = read_manifests(text.as_bytes(), &file());
    let found = manifests
        .iter()
        .map(|manifest| format!("{} {} #{}", manifest.key(), manifest.origin, manifest.origin.document));
    (found.collect(), problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_bad_document_is_one_problem_and_the_rest_loads() {
    let (found, problems) = read(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n---\nkind: [\n---\n# nothing\n---\n\
         apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: b\n  namespace: web\n",
    );
    assert_eq!(found, ["/ConfigMap//a apps/web.yaml:1 #1", "apps/Deployment/web/b apps/web.yaml:9 #4"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("apps/web.yaml:5: invalid YAML: "), "{problems:?}");
}

#[test]
fn what_is_not_an_object_says_what_is_missing() {
    let cases = [
        ("kind: A\nmetadata: {name: a}", "apiVersion is missing"),
        ("apiVersion: v1\nmetadata: {name: a}", "kind is missing"),
        ("apiVersion: v1\nkind: A", "metadata.name is missing"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: ''}", "metadata.name is missing"),
        ("apiVersion: v1\nkind: A\nmetadata: {name: 5}", "metadata.name is an integer (5), not a string"),
        (
            "apiVersion: v1\nkind: A\nmetadata: {name: a, namespace: on}",
            "metadata.namespace is a boolean (true), not a string",
        ),
        ("apiVersion: 1\nkind: A", "apiVersion is an integer (1), not a string"),
        ("apiVersion: v1\nkind: A\nmetadata: x", "metadata is a string, not an object"),
        ("- a", "the document is an array, not an object"),
        ("text", "the document is a string, not an object"),
    ];
    for (text, expected) in cases {
        let (found, problems) = read_manifests(text.as_bytes(), &file());
        assert!(found.is_empty(), "{text}");
        let messages: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        assert_eq!(messages, [expected], "{text}");
        assert_eq!(problems[0].severity, Severity::Error);
    }
}

#[test]
fn a_generated_name_is_enough() {
    let (found, problems) = read("apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: run-}\n");
    assert_eq!((found, problems), (vec!["batch/Job// apps/web.yaml:1 #1".to_owned()], vec![]));
}

#[test]
fn lists_expand() {
    let (found, problems) = read(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: a}\n\
         - apiVersion: v1\n  kind: ConfigMapList\n  items:\n  - metadata: {name: b}\n  - null\n  - metadata: {}\n\
         ---\nkind: PodList\napiVersion: v1\nitems: null\n",
    );
    assert_eq!(found, ["/Secret//a apps/web.yaml:4 #1", "/ConfigMap//b apps/web.yaml:7 #1"]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("apps/web.yaml:7: metadata.name is missing"), "{problems:?}");
}

#[test]
fn a_kind_that_ends_in_list_without_items_is_an_object() {
    let (found, _) = read("apiVersion: example.com/v1\nkind: AllowList\nmetadata: {name: a}\nspec: {}\n");
    assert_eq!(found, ["example.com/AllowList//a apps/web.yaml:1 #1"]);
}

#[test]
fn duplicate_keys_warn_and_lose_nothing() {
    let (found, problems) =
        read_manifests(b"apiVersion: v1\nkind: A\nmetadata:\n  name: a\n  name: b\n", &file());
    assert_eq!(found[0].name(), "b");
    assert_eq!((problems[0].severity, problems[0].line), (Severity::Warning, 5));
}

#[test]
fn json_files_are_read() {
    let (found, problems) =
        read("{\"apiVersion\": \"v1\",\n\"kind\": \"A\", \"metadata\": {\"name\": \"a\"}}\n");
    assert_eq!((found, problems), (vec!["/A//a apps/web.yaml:1 #1".to_owned()], vec![]));
    let (found, problems) = read("{\"apiVersion\": \"v1\",\n\"kind\": \"A\"\n");
    assert!(
        found.is_empty() && problems[0].starts_with("apps/web.yaml:1: invalid YAML"),
        "{found:?} {problems:?}"
    );
}
