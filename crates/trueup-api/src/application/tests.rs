//! Applications as people write them, and what is said about wrong ones.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn parse(spec: &str) -> Result<Application, Vec<FieldError>> {
    let text = format!("metadata: {{namespace: argocd, name: web}}\n{spec}");
    Application::parse(Value::from_yaml(text.as_bytes()).unwrap())
}

fn errors(spec: &str) -> Vec<String> {
    parse(spec).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn everything_is_read() {
    let application = parse(
        "
spec:
  project: default
  source: {repoURL: https://example.com/r.git, path: apps/web, targetRevision: main, future: 1,
    directory: {recurse: true, include: '*.yaml', exclude: 'x*', jsonnet: {}}}
  destination: {server: https://kubernetes.default.svc, namespace: web}
  syncPolicy:
    automated: {prune: true, selfHeal: true}
    syncOptions: [CreateNamespace=true]
    retry: {limit: -1, backoff: {duration: 5s, factor: 2, maxDuration: 3m}}
  ignoreDifferences: [{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]
  info: [{name: team, value: web}]
  revisionHistoryLimit: 3
  strange: {a: 1}
operation: {sync: {revision: abc, prune: true, resources: [{kind: Service, name: web}]}, initiatedBy: {username: alice}}
",
    )
    .unwrap();
    let spec = &application.spec;
    let source = spec.source.as_ref().unwrap();
    assert_eq!((source.place.as_str(), source.path.as_deref()), ("spec.source", Some("apps/web")));
    assert_eq!(source.unknown.keys().collect::<Vec<_>>(), ["future"]);
    let directory = source.directory.as_ref().unwrap();
    assert!(directory.recurse && directory.jsonnet.is_none(), "an empty jsonnet block asks for nothing");
    let policy = spec.sync_policy.as_ref().unwrap();
    assert_eq!(
        policy.automated,
        Some(SyncPolicyAutomated { prune: true, self_heal: true, allow_empty: false, enabled: true })
    );
    assert_eq!(policy.retry.as_ref().unwrap().limit, -1);
    assert_eq!(spec.ignore_differences[0].json_pointers, ["/spec/replicas"]);
    assert_eq!(spec.revision_history_limit, Some(3));
    assert_eq!(spec.unknown.keys().collect::<Vec<_>>(), ["strange"]);
    let operation = application.operation.as_ref().unwrap();
    let sync = operation.sync.as_ref().unwrap();
    assert_eq!((sync.revision.as_deref(), sync.prune, sync.resources.len()), (Some("abc"), true, 1));
    assert_eq!(operation.username, "alice");
    assert_eq!(application.object.str_at(&["spec", "strange", "a"]), None);
    assert_eq!(application.object.int_at(&["spec", "strange", "a"]), Some(1), "unknown fields are kept");
}

#[test]
fn errors_say_field_found_and_expected_all_at_once() {
    let found = errors(
        "
spec:
  project: 5
  source: {repoURL: [a], path: x, directory: {recurse: 'yes'}}
  destination: web
  syncPolicy: {automated: {prune: 1}, syncOptions: [1, a], retry: {limit: many}}
  ignoreDifferences: [x, {group: apps}]
  revisionHistoryLimit: '3'
operation: {sync: {resources: [{kind: Service}]}}
",
    );
    assert_eq!(
        found,
        [
            "spec.project: found the number 5, expected a string",
            "spec.source.repoURL: found a list of 1, expected a string",
            "spec.source.directory.recurse: found the string \"yes\", expected true or false",
            "spec.destination: found the string \"web\", expected an object",
            "spec.syncPolicy.automated.prune: found the number 1, expected true or false",
            "spec.syncPolicy.syncOptions[0]: found the number 1, expected a string",
            "spec.syncPolicy.retry.limit: found the string \"many\", expected an integer",
            "spec.ignoreDifferences[0]: found the string \"x\", expected an object",
            "spec.ignoreDifferences[1].kind: found nothing, expected the kind that the rule is for",
            "spec.revisionHistoryLimit: found the string \"3\", expected an integer",
            "operation.sync.resources[0].name: found nothing, expected a string",
        ]
    );
}

#[test]
fn what_is_missing_or_odd_at_the_top() {
    assert_eq!(errors(""), ["spec: found nothing, expected an object"]);
    assert_eq!(errors("spec: 1"), ["spec: found the number 1, expected an object"]);
    assert!(Application::parse(Value::Null).is_err());
    assert_eq!(Metadata::of(&Value::Null), Metadata::default());
}

#[test]
fn null_is_absent() {
    let application = parse(
        "spec: {source: null, sources: null, destination: {name: in-cluster}, syncPolicy: {automated: null}}",
    )
    .unwrap();
    assert!(application.spec.source.is_none() && application.operation.is_none());
    assert_eq!(application.spec.sync_policy.unwrap().automated, None);
}

#[test]
fn several_sources_win_over_one() {
    let application =
        parse("spec: {source: {repoURL: a, path: x}, sources: [{repoURL: b, path: z}, {repoURL: c, ref: v}], destination: {}}")
            .unwrap();
    let urls: Vec<_> =
        application.spec.effective_sources().iter().map(|source| source.repo_url.as_str()).collect();
    assert_eq!(urls, ["b", "c"]);
    assert_eq!(application.spec.sources[1].place, "spec.sources[1]");
}
