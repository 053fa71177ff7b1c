//! Settings as people write them.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn data(entries: &[(&str, &str)]) -> ConfigData {
    entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn argocd(entries: &[(&str, &str)]) -> Settings {
    Settings::read(&data(entries), &ConfigData::new())
}

fn problems(settings: &Settings) -> Vec<String> {
    settings.problems.iter().map(ToString::to_string).collect()
}

fn kind(group: &str, kind: &str) -> GroupKind {
    GroupKind::new(group, kind)
}

#[test]
fn split_keys_and_the_one_map_say_the_same() {
    let map = argocd(&[(
        "resource.customizations",
        "apps/Deployment:\n  ignoreDifferences: |\n    jsonPointers: [/spec/replicas]\n    jqPathExpressions: [.spec.a]\n\
         '*/*':\n  ignoreDifferences:\n    managedFieldsManagers: [vpa]\n\
         Secret:\n  health.lua: return {}\n  health.lua.useOpenLibs: true\n",
    )]);
    let split = argocd(&[
        (
            "resource.customizations.ignoreDifferences.apps_Deployment",
            "jsonPointers: [/spec/replicas]\njqPathExpressions: [.spec.a]",
        ),
        ("resource.customizations.ignoreDifferences.all", "managedFieldsManagers: [vpa]"),
        ("resource.customizations.health.Secret", "return {}"),
        ("resource.customizations.useOpenLibs.Secret", "true"),
    ]);
    assert_eq!(problems(&map), Vec::<String>::new());
    assert_eq!(problems(&split), Vec::<String>::new());
    let rules = |settings: &Settings| {
        let mut rules: Vec<_> =
            settings.ignore.iter().map(|rule| (rule.kinds(), rule.path().to_owned())).collect();
        rules.sort();
        rules
    };
    assert_eq!(rules(&map), rules(&split));
    assert_eq!(map.health, split.health);
    assert_eq!(rules(&map)[2], ("apps/Deployment".to_owned(), "/spec/replicas".to_owned()));
    assert!(about(&split.health, &kind("", "Secret")).unwrap().open_libs);
}

#[test]
fn an_exact_kind_goes_before_a_wildcard() {
    let settings = argocd(&[(
        "resource.customizations",
        "'*.example.com/*': {health.lua: wild}\nsql.example.com/Database: {health.lua: exact}",
    )]);
    let lua = |group: &str, name: &str| {
        about(&settings.health, &kind(group, name)).map(|script| script.lua.clone())
    };
    assert_eq!(lua("sql.example.com", "Database"), Some("exact".into()));
    assert_eq!(lua("sql.example.com", "User"), Some("wild".into()));
    assert_eq!(lua("apps", "Deployment"), None);
}

#[test]
fn a_bad_entry_is_named_and_the_rest_holds() {
    let settings = argocd(&[
        ("resource.customizations.ignoreDifferences.apps_Deployment", "jsonPointers: [/spec/replicas"),
        ("resource.customizations.ignoreDifferences.Service", "jsonPointers: [spec/type]"),
        ("resource.customizations.ignoreDifferences.batch_Job", "jsonPointers: [/spec/suspend]"),
        ("resource.customizations.nonsense.Pod", "x"),
        ("resource.customizations", "a: [b"),
        ("resource.compareoptions", "ignoreResourceStatusField: maybe\nignoreAggregatedRoles: true"),
        ("resource.exclusions", "- kinds: Pod\n- kinds: [Job]"),
    ]);
    // The other is that of the aggregated roles.
    assert_eq!(settings.ignore.len(), 2);
    assert!(settings.compare.ignore_aggregated_roles);
    assert!(settings.filter.excludes(&kind("batch", "Job"), "any"));
    let found = problems(&settings);
    assert_eq!(found.len(), 6, "{found:#?}");
    let said = |part: &str| found.iter().any(|problem| problem.contains(part));
    assert!(said("ignoreDifferences.apps_Deployment, line 1: "), "{found:#?}");
    assert!(said("`spec/type` does not start with `/`"), "{found:#?}");
    assert!(said("there is no customization nonsense"), "{found:#?}");
    assert!(settings.obscured(&kind("apps", "Deployment")).is_some());
    assert!(settings.obscured(&kind("batch", "Job")).is_none());
}

#[test]
fn a_map_that_cannot_be_read_obscures_every_kind_where_it_had_rules() {
    let settings = argocd(&[("resource.customizations", "apps/Deployment:\n  ignoreDifferences: |\n  x: [")]);
    assert!(settings.obscured(&kind("", "ConfigMap")).is_some());
}

#[test]
fn rules_have_an_owner_a_reason_and_an_end() {
    let settings = argocd(&[(
        "resource.customizations.ignoreDifferences.Service",
        "- jsonPointers: [/spec/type]\n  owner: team-web\n  reason: INC-1\n  until: '2026-12-01T00:00:00Z'\n\
         - jsonPointers: [/spec/a]\n  until: soon",
    )]);
    assert!(settings.ignore.is_empty() && problems(&settings)[0].contains("until is \"soon\""));
    let settings = argocd(&[(
        "resource.customizations.ignoreDifferences.Service",
        "jsonPointers: [/spec/type]\nowner: team-web\nuntil: '2026-12-01T00:00:00Z'",
    )]);
    let detail = &settings.ignore[0].detail;
    assert_eq!(detail.owner, "team-web");
    assert!(!detail.is_over("2026-11-30T23:59:59Z".parse().unwrap()));
    assert!(detail.is_over("2026-12-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn kinds_are_excluded_by_group_kind_and_cluster() {
    let settings = argocd(&[
        (
            "resource.exclusions",
            "- {apiGroups: ['*.cilium.io'], kinds: ['*']}\n- {kinds: [Pod], clusters: ['https://prod-*']}",
        ),
        ("resource.inclusions", "- {apiGroups: [apps, '*.cilium.io', ''], clusters: ['https://prod-*']}"),
    ]);
    let out = |group: &str, name: &str, cluster: &str| settings.filter.excludes(&kind(group, name), cluster);
    assert!(out("x.cilium.io", "Any", "https://dev"));
    assert!(out("", "Pod", "https://prod-1") && !out("", "Pod", "https://dev"));
    assert!(out("batch", "Job", "https://prod-1") && !out("batch", "Job", "https://dev"));
    assert!(!out("apps", "Deployment", "https://prod-1"));
    assert!(out("", "Event", "x") && out("coordination.k8s.io", "Lease", "x"));
    assert!(!KindFilter::default().excludes(&kind("apps", "Deployment"), "x"));
}

#[test]
fn the_status_field_is_read_as_argo_cd_reads_it() {
    let of = |text: &str| argocd(&[("resource.compareoptions", text)]).compare.ignore_status;
    assert_eq!(of("ignoreResourceStatusField: off"), StatusField::None);
    assert_eq!(of("ignoreResourceStatusField: 'false'"), StatusField::None);
    assert_eq!(of("ignoreResourceStatusField: none"), StatusField::None);
    assert_eq!(of("ignoreResourceStatusField: crd"), StatusField::Crd);
    assert_eq!(of("ignoreResourceStatusField: whatever"), StatusField::All);
    assert_eq!(of(""), StatusField::All);
}

#[test]
fn own_settings() {
    let read = |entries: &[(&str, &str)]| Settings::read(&ConfigData::new(), &data(entries));
    let settings = read(&[("undeclared", "note"), ("confirm", "always")]);
    assert_eq!((settings.undeclared, settings.confirm), (Some(Weight::Note), Some(ConfirmMode::Always)));
    assert!(settings.problems.is_empty());
    assert_eq!(problems(&read(&[("undeclared", "x"), ("undeclard", "note")])).len(), 2);
}

#[test]
fn known_types_make_amounts_equal_by_what_they_stand_for() {
    let mut schemas = trueup_merge::SchemaSet::new();
    let crd = crate::fixture::value(
        "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: caches.example.org}, spec: {group: example.org, names: {kind: Cache, plural: caches}, scope: Namespaced, versions: [{name: v1, served: true,
          storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {heap: {type: string}}}}}}}]}}",
    );
    assert_eq!(schemas.add_crd(&crd), Vec::<String>::new());
    let key = "resource.customizations.knownTypeFields.example.org_Cache";
    let object = |heap: &str| {
        crate::fixture::value(&format!(
            "{{apiVersion: example.org/v1, kind: Cache, metadata: {{name: a}}, spec: {{heap: {heap}}}}}"
        ))
    };
    let gvk = trueup_object::Gvk::new("example.org", "v1", "Cache");
    let equal = |schemas: &trueup_merge::SchemaSet| {
        trueup_diff::equal(Some(&object("1024Mi")), Some(&object("1Gi")), schemas.lookup(&gvk).unwrap())
    };
    assert!(!equal(&schemas), "nothing says that it is an amount");
    let settings = argocd(&[(key, "- {field: spec.heap, type: core/Quantity}")]);
    assert_eq!(settings.refine(&mut schemas), Vec::<String>::new());
    assert!(equal(&schemas));
    let wrong = argocd(&[(key, "- {field: spec.stack, type: core/Quantity}")]);
    assert_eq!(wrong.refine(&mut schemas), ["knownTypeFields: example.org/Cache has no field spec.stack"]);
}

#[test]
fn known_types_and_tracking() {
    let settings = argocd(&[
        (
            "resource.customizations.knownTypeFields.argoproj.io_Rollout",
            "- {field: spec.template.spec, type: core/v1/PodSpec}",
        ),
        ("application.resourceTrackingMethod", "label"),
        ("application.instanceLabelKey", "example.com/app"),
        ("installationID", "blue"),
    ]);
    assert_eq!(settings.known_types[0].1.type_name, "core/v1/PodSpec");
    assert_eq!(settings.known_types[0].0.to_string(), "argoproj.io/Rollout");
    let tracking = &settings.tracking;
    assert_eq!(tracking.method, crate::tracking::TrackingMethod::Label);
    assert_eq!((tracking.label.as_str(), tracking.installation.as_str()), ("example.com/app", "blue"));
    assert_eq!(problems(&settings), Vec::<String>::new());
    let wrong = argocd(&[("application.resourceTrackingMethod", "labels")]);
    assert_eq!(wrong.tracking, crate::tracking::Tracking::default());
    assert!(problems(&wrong)[0].contains("`labels` is no tracking method"));
}

#[test]
fn a_declared_status_is_compared_where_the_option_says_so() {
    let of = |text: &str| argocd(&[("resource.compareoptions", text)]).compare;
    let crd = kind("apiextensions.k8s.io", "CustomResourceDefinition");
    for (text, widget, definition) in [
        ("", false, false),
        ("ignoreResourceStatusField: crd", true, false),
        ("ignoreResourceStatusField: none", true, true),
    ] {
        let options = of(text);
        let found = (options.compares_status(&kind("example.com", "Widget")), options.compares_status(&crd));
        assert_eq!(found, (widget, definition), "{text}");
    }
}

#[test]
fn annotations_that_hold_secrets_are_named_with_commas_between() {
    let settings = argocd(&[("resource.sensitive.mask.annotations", "example.com/a, example.com/b,")]);
    let names: Vec<&str> = settings.masked_annotations.iter().map(Text::as_str).collect();
    assert_eq!(names, ["example.com/a", "example.com/b"]);
}
