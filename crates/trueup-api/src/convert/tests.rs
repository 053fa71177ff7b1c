//! What becomes of specs: an application, a read-only one, or a refusal that says why.
#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_engine::app::{App, Automated, DriftChoice, Propagation, Retry};
use trueup_engine::condition::ConditionType;
use trueup_engine::source::Revision;

use super::*;

const SOURCE: &str = "source: {repoURL: 'https://example.com/r.git', path: apps/web}";
const DESTINATION: &str = "destination: {server: 'https://kubernetes.default.svc', namespace: web}";

fn object(spec: &str, rest: &str) -> Value {
    let text = format!(
        "metadata: {{namespace: argocd, name: web, uid: u1{}}}\nspec: {{project: default, {spec}}}\n{}",
        rest.strip_prefix("annotations ")
            .map(|annotations| format!(", annotations: {annotations}"))
            .unwrap_or_default(),
        if rest.starts_with("annotations ") { "" } else { rest },
    );
    Value::from_yaml(text.as_bytes()).unwrap()
}

fn app(spec: &str, rest: &str) -> App {
    read_app(object(&format!("{SOURCE}, {DESTINATION}, {spec}"), rest), "argocd").unwrap().1
}

fn refusal(spec: &str) -> Vec<(ConditionType, String)> {
    let refusal = read_app(object(spec, ""), "argocd").unwrap_err();
    refusal.conditions.into_iter().map(|condition| (condition.kind, condition.message)).collect()
}

fn unsupported(spec: &str, rest: &str) -> Vec<String> {
    app(spec, rest).unsupported.into_iter().map(|found| format!("{}: {}", found.place, found.what)).collect()
}

#[test]
fn a_plain_application() {
    let app = app("syncPolicy: {automated: {selfHeal: true}}", "");
    assert_eq!(app.instance, "web");
    assert_eq!(app.destination, Destination { cluster: ClusterName::InCluster, namespace: "web".into() });
    assert_eq!(app.automated, Some(Automated { prune: false, self_heal: true, allow_empty: false }));
    assert_eq!(app.sources[0].path.as_ref().unwrap().as_str(), "apps/web");
    assert_eq!(app.sources[0].revision, Revision::Head);
    assert_eq!((app.history_limit, app.retry, app.is_read_only()), (10, None, false));
}

#[test]
fn an_application_elsewhere_has_a_longer_instance() {
    let (_, app) = read_app(object(&format!("{SOURCE}, {DESTINATION}"), ""), "trueup").unwrap();
    assert_eq!(app.instance, "argocd_web");
}

#[test]
fn automation_can_be_switched_off_and_kept() {
    assert_eq!(app("syncPolicy: {automated: {prune: true, enabled: false}}", "").automated, None);
    assert_eq!(app("syncPolicy: {automated: {}}", "").automated, Some(Automated::default()));
    assert_eq!(app("syncPolicy: {}", "").automated, None);
    assert_eq!(app("revisionHistoryLimit: -1", "").history_limit, 0);
}

#[test]
fn destinations() {
    let cluster = |text: &str| {
        let spec = format!("{SOURCE}, destination: {text}");
        read_app(object(&spec, ""), "argocd").map(|(_, app)| app.destination.cluster)
    };
    assert_eq!(cluster("{server: 'https://kubernetes.default.svc/'}"), Ok(ClusterName::InCluster));
    assert_eq!(cluster("{name: in-cluster}"), Ok(ClusterName::InCluster));
    assert_eq!(cluster("{name: kind-dev}"), Ok(ClusterName::Name("kind-dev".into())));
    assert_eq!(
        cluster("{server: 'https://1.2.3.4:6443'}"),
        Ok(ClusterName::Server("https://1.2.3.4:6443".into()))
    );
    for wrong in ["{}", "{server: a, name: b}"] {
        let conditions = cluster(wrong).unwrap_err().conditions;
        assert_eq!(conditions[0].kind, ConditionType::InvalidSpecError);
        assert!(conditions[0].message.starts_with("spec.destination: "), "{conditions:?}");
    }
}

#[test]
fn sync_options_that_are_honoured() {
    let options = app(
        "syncPolicy: {syncOptions: [CreateNamespace=true, RespectIgnoreDifferences=false, Prune=false, \
         PrunePropagationPolicy=orphan, ServerSideApply=true, ApplyOutOfSyncOnly=true]}",
        "",
    );
    assert!(!options.is_read_only(), "{:?}", options.unsupported);
    let options = options.options;
    assert!(options.create_namespace && !options.respect_ignore && options.never_prune);
    assert_eq!(options.propagation, Propagation::Orphan);
}

#[test]
fn retries() {
    let retry = |text: &str| app(&format!("syncPolicy: {{retry: {text}}}"), "").retry.unwrap();
    assert_eq!(retry("{limit: 5}"), Retry::AUTOMATED);
    assert_eq!(
        retry("{limit: -1, backoff: {duration: '10', factor: 3, maxDuration: 1m30s}}"),
        Retry { limit: None, base_ms: 10_000, factor: 3, backoff_ms_max: 90_000 }
    );
    let refused =
        refusal(&format!("{SOURCE}, {DESTINATION}, syncPolicy: {{retry: {{backoff: {{duration: soon}}}}}}"));
    assert_eq!(
        refused[0].1,
        "spec.syncPolicy.retry.backoff.duration: found `soon`, expected a duration such as 5s or 3m"
    );
}

#[test]
fn sources_that_cannot_be_rendered_are_refused_by_name() {
    let cases = [
        ("source: {repoURL: 'https://example.com/r', path: x, helm: {}}", "Helm (spec.source.helm)"),
        (
            "source: {repoURL: 'https://example.com/r', path: x, kustomize: {namePrefix: a}}",
            "Kustomize (spec.source.kustomize)",
        ),
        (
            "source: {repoURL: 'https://example.com/r', path: x, plugin: {name: p}}",
            "a config management plugin (spec.source.plugin)",
        ),
        (
            "source: {repoURL: 'https://charts.example.com', chart: redis, targetRevision: 1.2.3}",
            "the Helm chart redis (spec.source.chart)",
        ),
        (
            "source: {repoURL: 'oci://example.com/r', path: x}",
            "a repository of scheme oci (spec.source.repoURL)",
        ),
        (
            "source: {repoURL: 'https://example.com/r', path: x, targetRevision: '1.*'}",
            "the version constraint 1.* (spec.source.targetRevision)",
        ),
        (
            "source: {repoURL: 'https://example.com/r', path: x, tagPrefix: v}",
            "the tag prefix v (spec.source.tagPrefix)",
        ),
        (
            "source: {repoURL: 'https://example.com/r', path: x, directory: {jsonnet: {libs: [a]}}}",
            "Jsonnet (spec.source.directory.jsonnet)",
        ),
        (
            "sources: [{repoURL: 'https://example.com/r', path: x}, {repoURL: 'https://example.com/r', path: z, helm: {values: a}}]",
            "Helm (spec.sources[1].helm)",
        ),
        ("sourceHydrator: {drySource: {}}", "a source hydrator (spec.sourceHydrator)"),
    ];
    for (spec, expected) in cases {
        let found = refusal(&format!("{spec}, {DESTINATION}"));
        assert_eq!(found.len(), 1, "{spec}: {found:?}");
        assert_eq!(found[0].0, ConditionType::UnsupportedError, "{spec}");
        assert!(found[0].1.contains(expected), "{spec}: {}", found[0].1);
    }
}

#[test]
fn sources_that_make_no_sense_are_refused() {
    let cases = [
        ("project: x", "spec.source: found nothing"),
        ("source: {repoURL: '', path: x}", "spec.source.repoURL: found"),
        ("source: {repoURL: 'https://example.com/r'}", "spec.source.path: found nothing"),
        ("source: {repoURL: 'https://example.com/r', path: ../x}", "spec.source.path: found"),
        (
            "source: {repoURL: 'https://example.com/r', path: x, targetRevision: 'a..b'}",
            "spec.source.targetRevision: found",
        ),
        (
            "sources: [{repoURL: 'https://example.com/r'}]",
            "spec.sources[0].path: found nothing, expected a path, or a ref",
        ),
    ];
    for (spec, expected) in cases {
        let found = refusal(&format!("{spec}, {DESTINATION}"));
        assert_eq!(found[0].0, ConditionType::InvalidSpecError, "{spec}: {found:?}");
        assert!(found[0].1.contains(expected), "{spec}: {}", found[0].1);
    }
}

#[test]
fn credentials_of_an_address_are_not_repeated() {
    let found = refusal(&format!(
        "source: {{repoURL: 'gopher://user:hunter2@example.com/r', path: x}}, {DESTINATION}"
    ));
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    let found = refusal(&format!("source: {{repoURL: 'https://user:hunter2@/ x', path: x}}, {DESTINATION}"));
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
}

#[test]
fn a_source_that_is_only_a_reference_renders_nothing() {
    let spec = format!(
        "sources: [{{repoURL: 'https://example.com/r', path: x}}, {{repoURL: 'https://example.com/v', ref: v}}], {DESTINATION}"
    );
    let (_, app) = read_app(object(&spec, ""), "argocd").unwrap();
    assert_eq!((app.sources.len(), app.sources[1].path.is_none()), (2, true));
    assert!(!app.is_read_only());
}

#[test]
fn what_is_not_honoured_makes_it_read_only_by_name() {
    let cases = [
        (
            "syncPolicy: {managedNamespaceMetadata: {labels: {a: b}}}",
            "",
            "spec.syncPolicy.managedNamespaceMetadata: labels and annotations of the namespace",
        ),
        (
            "syncPolicy: {syncOptions: [Replace=true]}",
            "",
            "spec.syncPolicy.syncOptions[0]: sync option Replace=true",
        ),
        (
            "syncPolicy: {syncOptions: [Validate=true, Prune=confirm]}",
            "",
            "spec.syncPolicy.syncOptions[1]: sync option Prune=confirm",
        ),
        ("syncPolicy: {syncOptions: [Nonsense]}", "", "spec.syncPolicy.syncOptions[0]: sync option Nonsense"),
        (
            "syncPolicy: {retry: {limit: 1, refresh: true}}",
            "",
            "spec.syncPolicy.retry.refresh: a retry against the newest revision",
        ),
        (
            "",
            "annotations {argocd.argoproj.io/skip-reconcile: 'true'}",
            "annotation argocd.argoproj.io/skip-reconcile: an application that is not to be processed",
        ),
        (
            "",
            "annotations {argocd.argoproj.io/compare-options: 'ServerSideDiff=true,Other=true'}",
            "annotation argocd.argoproj.io/compare-options: compare option Other=true",
        ),
        (
            "",
            "annotations {trueup.dev/hold: until=x}",
            "annotation trueup.dev/hold: the annotation trueup.dev/hold: until=x",
        ),
    ];
    for (spec, rest, expected) in cases {
        assert_eq!(unsupported(spec, rest), [expected], "{spec} {rest}");
    }
}

#[test]
fn operations_that_are_not_honoured_are_named() {
    let cases = [
        ("", "operation: {sync: {manifests: ['{}']}}", "operation.sync.manifests: a sync to local manifests"),
        (
            "",
            "operation: {sync: {source: {repoURL: x}}}",
            "operation.sync.source: a sync to another source than the spec's",
        ),
        (
            "",
            "operation: {sync: {syncStrategy: {apply: {force: true}}}}",
            "operation.sync.syncStrategy: force: delete and create anew",
        ),
        (
            "",
            "operation: {sync: {syncOptions: [Replace=true]}}",
            "operation.sync.syncOptions: sync option Replace=true",
        ),
        ("", "operation: {info: []}", "operation: an operation other than a sync"),
    ];
    for (spec, rest, expected) in cases {
        assert_eq!(unsupported(spec, rest), [expected], "{spec} {rest}");
    }
}

#[test]
fn harmless_annotations_and_options_change_nothing() {
    for annotations in [
        "{argocd.argoproj.io/skip-reconcile: 'false'}",
        "{argocd.argoproj.io/compare-options: ServerSideDiff=false}",
        "{argocd.argoproj.io/manifest-generate-paths: .}",
        "{notifications.argoproj.io/subscribe.a.b: c}",
        "{trueup.dev/confirm: never}",
        "{example.com/a: b}",
    ] {
        assert_eq!(
            unsupported("", &format!("annotations {annotations}")),
            Vec::<String>::new(),
            "{annotations}"
        );
    }
}

#[test]
fn when_the_server_is_asked() {
    use trueup_engine::confirm::ConfirmMode::{Always, Differs, Never};
    let cases = [
        ("{}", None),
        ("{trueup.dev/confirm: never}", Some(Never)),
        ("{argocd.argoproj.io/compare-options: ServerSideDiff=true}", Some(Always)),
        ("{argocd.argoproj.io/compare-options: ServerSideDiff=false}", Some(Differs)),
        (
            "{argocd.argoproj.io/compare-options: ServerSideDiff=false, trueup.dev/confirm: always}",
            Some(Always),
        ),
    ];
    for (annotations, expected) in cases {
        assert_eq!(app("", &format!("annotations {annotations}")).confirm.mode, expected, "{annotations}");
    }
    let options = "ServerSideDiff=true, IncludeMutationWebhook=true, IgnoreExtraneous";
    let app = app("", &format!("annotations {{argocd.argoproj.io/compare-options: '{options}'}}"));
    assert!(app.confirm.include_webhooks && app.unsupported.is_empty());
}

#[test]
fn annotations_of_ours() {
    let app = app(
        "",
        "annotations {trueup.dev/undeclared: note, trueup.dev/on-commit: overwrite, argocd.argoproj.io/refresh: hard}",
    );
    assert_eq!(
        (app.undeclared, app.on_commit, app.refresh),
        (Some(Weight::Note), OnCommit::Overwrite, Some(RefreshLevel::Hard))
    );
    let wrong = object(&format!("{SOURCE}, {DESTINATION}"), "annotations {trueup.dev/undeclared: loud}");
    let conditions = read_app(wrong, "argocd").unwrap_err().conditions;
    assert_eq!(
        conditions[0].message,
        "annotation trueup.dev/undeclared: found `loud`, expected drift, note or off"
    );
}

#[test]
fn ignore_rules_are_prepared() {
    let app = app(
        "ignoreDifferences: [{group: '*', kind: Deployment, jsonPointers: [/spec/replicas]}, {kind: Secret, name: a}]",
        "",
    );
    assert_eq!((app.ignore.rules().len(), app.is_read_only()), (1, false));
    let found = refusal(&format!(
        "{SOURCE}, {DESTINATION}, ignoreDifferences: [{{kind: A}}, {{kind: A, jsonPointers: [spec]}}]"
    ));
    assert_eq!(
        found[0].1,
        "spec.ignoreDifferences[1]: found a rule that cannot be read (the pointer `spec` does not start with `/`), \
         expected a pointer such as /spec/replicas, with ~1 for a slash in a name"
    );
}

#[test]
fn rules_by_any_means_keep_nothing_from_being_done() {
    let app = app(
        "ignoreDifferences: [{kind: A, jsonPointers: [/a, /b], jqPathExpressions: [.c], managedFieldsManagers: [m]}]",
        "annotations {trueup.dev/ignore-reasons: '[{path: /b, owner: team-a, until: \"2030-01-01T00:00:00Z\"}]'}",
    );
    assert!(!app.is_read_only(), "{:?}", app.unsupported);
    let owners: Vec<(&str, &str)> =
        app.ignore.rules().iter().map(|rule| (rule.path(), rule.detail.owner.as_str())).collect();
    assert_eq!(owners, [("/a", ""), ("/b", "team-a"), (".c", ""), ("m", "")]);
    let found = refusal(&format!(
        "{SOURCE}, {DESTINATION}, ignoreDifferences: [{{kind: A, jqPathExpressions: ['.a[']}}]"
    ));
    let (begin, end) = (
        "spec.ignoreDifferences[0]: found a rule that cannot be read (the jq expression `.a[` ",
        "), expected what `gojq",
    );
    assert!(found[0].1.starts_with(begin) && found[0].1.contains(end), "{found:?}");
}

#[test]
fn requested_syncs() {
    let app = app(
        "",
        "operation: {sync: {revision: v1, prune: true, dryRun: true, resources: [{group: apps, kind: Deployment, name: a, namespace: b}]}, \
         initiatedBy: {username: alice}, info: [{name: trueup.dev/drift, value: keep}, {name: trueup.dev/remove-additions, value: 'true'}, \
         {name: reason, value: why}], retry: {limit: 2}}",
    );
    let request = app.operation.unwrap();
    assert_eq!(request.revision, Some(Revision::Named("v1".into())));
    assert!(request.prune && request.dry_run && request.remove_additions && !request.initiated_by.automated);
    assert_eq!((request.drift, request.initiated_by.username.as_str()), (DriftChoice::Keep, "alice"));
    assert_eq!(request.resources[0].kind.to_string(), "apps/Deployment");
    assert_eq!(request.info.keys().map(Text::as_str).collect::<Vec<_>>(), ["reason"]);
    assert_eq!(request.retry.unwrap().limit, Some(2));
}

#[test]
fn the_policys_options_may_be_repeated_in_an_operation() {
    let app = app(
        "syncPolicy: {syncOptions: [CreateNamespace=true]}",
        "operation: {sync: {syncOptions: [CreateNamespace=true]}}",
    );
    assert!(!app.is_read_only(), "{:?}", app.unsupported);
}

#[test]
fn wrong_and_unsupported_are_both_said() {
    let found = refusal("source: {repoURL: 'https://example.com/r', path: x, helm: {}}, destination: {}");
    let kinds: Vec<_> = found.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [ConditionType::InvalidSpecError, ConditionType::UnsupportedError]);
}

#[test]
fn project_rules_are_named() {
    let project = |spec: &str| {
        let text = format!("metadata: {{name: default}}\nspec: {spec}");
        project_rules(&Value::from_yaml(text.as_bytes()).unwrap())
            .into_iter()
            .map(|found| found.place)
            .collect::<Vec<_>>()
    };
    let open = "sourceRepos: ['*'], destinations: [{server: '*', namespace: '*'}], clusterResourceWhitelist: [{group: '*', kind: '*'}]";
    assert!(project(&format!("{{{open}}}")).is_empty());
    assert_eq!(
        project(&format!("{{{open}, syncWindows: [{{kind: deny}}]}}")),
        ["AppProject default, spec.syncWindows"]
    );
    assert_eq!(
        project("{}"),
        [
            "AppProject default, spec.sourceRepos",
            "AppProject default, spec.destinations",
            "AppProject default, spec.clusterResourceWhitelist",
        ]
    );
    assert_eq!(
        project(&format!("{{{open}, namespaceResourceWhitelist: [{{group: '', kind: Service}}]}}")),
        ["AppProject default, spec.namespaceResourceWhitelist"]
    );
}
