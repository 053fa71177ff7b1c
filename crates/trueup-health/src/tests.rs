//! Every rule, one line per case: what the object says, and the judgement.
#![expect(clippy::unwrap_used, reason = "tests")]

mod application;
mod generic;
mod others;
mod workloads;

use trueup_object::Value;

use super::*;

/// An object of this API version and kind, with a YAML body.
fn object(gvk: &str, body: &str) -> Value {
    let (api_version, kind) = gvk.rsplit_once('/').unwrap();
    let mut object = Value::from_yaml(body.as_bytes()).unwrap();
    object.set_at(&["apiVersion"], api_version.into());
    object.set_at(&["kind"], kind.into());
    object.set_at(&["metadata", "name"], "x".into());
    object
}

/// By the rules without settings.
fn judge(live: &Value) -> Option<Health> {
    HealthRules::BUILTIN.judge(live, 0).health
}

/// Each case: body, status, and a part of the message (empty: the message is empty).
fn check(gvk: &str, cases: &[(&str, HealthStatus, &str)]) {
    for (body, status, message) in cases {
        let health = judge(&object(gvk, body)).unwrap();
        assert_eq!(health.status, *status, "{gvk} {body}: {}", health.message);
        if message.is_empty() {
            assert_eq!(health.message, "", "{gvk} {body}");
        } else {
            assert!(health.message.contains(message), "{gvk} {body}: {}", health.message);
        }
    }
}

use HealthStatus::{Degraded, Healthy, Missing, Progressing, Suspended, Unknown};

#[test]
fn from_best_to_worst() {
    assert!(HealthStatus::ALL.is_sorted());
    assert!(Healthy < Suspended && Suspended < Progressing && Progressing < Missing);
    assert!(Missing < Degraded && Degraded < Unknown);
    for status in HealthStatus::ALL {
        assert_eq!(HealthStatus::parse(status.as_str()), Some(status));
    }
    assert_eq!(HealthStatus::parse("healthy"), None);
}

#[test]
fn deletion_comes_first() {
    let deleted = "{metadata: {deletionTimestamp: '2024-01-01T00:00:00Z'}}";
    check("v1/ConfigMap", &[(deleted, Progressing, "Pending deletion")]);
    check("apps/v1/Deployment", &[(deleted, Progressing, "Pending deletion")]);
    let hook = "{metadata: {deletionTimestamp: '2024-01-01T00:00:00Z', finalizers: [argocd.argoproj.io/hook-finalizer]}, \
                status: {conditions: [{type: Complete}]}}";
    check("batch/v1/Job", &[(hook, Healthy, "")]);
}

#[test]
fn other_kinds_have_no_health() {
    for gvk in [
        "v1/ConfigMap",
        "v1/Secret",
        "v1/Namespace",
        "batch/v1/CronJob",
        "argoproj.io/v1alpha1/Application",
        "other.io/v1/Deployment",
    ] {
        assert_eq!(judge(&object(gvk, "{}")), None, "{gvk}");
    }
    assert_eq!(judge(&Value::Null), None);
    check("apps/v1beta1/Deployment", &[("{}", Unknown, "unsupported Deployment version: apps/v1beta1")]);
}

#[test]
fn fields_of_a_wrong_type_do_not_panic() {
    for kind in [
        "apps/v1/Deployment",
        "apps/v1/StatefulSet",
        "apps/v1/DaemonSet",
        "v1/Pod",
        "batch/v1/Job",
        "v1/Service",
    ] {
        for body in [
            "{spec: 1, status: x}",
            "{spec: {replicas: x}, status: {conditions: {a: b}, replicas: []}}",
            "{status: {conditions: [1, null]}}",
        ] {
            assert!(judge(&object(kind, body)).is_some());
        }
    }
}

/// Judges every object alike: with this health, or with nothing to say.
struct Same(Option<Health>);

impl Scripts for Same {
    fn judge(&self, _live: &Value, _unix_s: i64) -> Option<Scripted> {
        Some(Scripted { source: "argocd-cm".into(), health: self.0.clone() })
    }
}

#[test]
fn deletion_then_scripts_then_the_kind_then_what_is_common() {
    let said = Same(Some(Health::degraded("by script")));
    let silent = Same(None);
    let ready = object("example.io/v1/Widget", "{status: {phase: Ready}}");
    let service = object("v1/Service", "{}");
    let deleted = object("v1/Service", "{metadata: {deletionTimestamp: '2024-01-01T00:00:00Z'}}");
    let none = object("v1/ConfigMap", "{}");
    let judged = |scripts: &dyn Scripts, generic, live: &Value| {
        let Judged { health, rule } = HealthRules { scripts, generic }.judge(live, 0);
        (health.map(|health| health.status), rule.map(|rule| rule.to_string()))
    };
    let rule = |name: &str| Some(name.to_owned());
    let counted = GenericUse::Counted;
    assert_eq!(judged(&said, counted, &deleted), (Some(Progressing), rule("builtin:deletion")));
    assert_eq!(judged(&said, counted, &service), (Some(Degraded), rule("lua:argocd-cm")));
    assert_eq!(judged(&silent, counted, &service), (Some(Healthy), rule("builtin:Service")));
    assert_eq!(judged(&silent, counted, &ready), (None, rule("lua:argocd-cm")));
    assert_eq!(judged(&NoScripts, counted, &ready), (Some(Healthy), rule("generic")));
    assert_eq!(judged(&NoScripts, GenericUse::Off, &ready), (None, None));
    assert_eq!(judged(&NoScripts, counted, &none), (None, None));
    let part = |generic, live: &Value| HealthRules { scripts: &NoScripts, generic }.of_object(live, 0);
    assert!(matches!(part(GenericUse::Counted, &ready), ObjectHealth::Judged(_)));
    assert!(matches!(part(GenericUse::Shown, &ready), ObjectHealth::Exempt(_)));
    assert!(matches!(part(GenericUse::Shown, &service), ObjectHealth::Judged(_)));
    assert_eq!(part(GenericUse::Off, &ready), ObjectHealth::Unjudged);
}

#[test]
fn what_does_not_have_the_types_of_its_kind_is_unknown() {
    for (gvk, body, message) in [
        (
            "apps/v1/Deployment",
            "{status: {updatedReplicas: many}}",
            "status.updatedReplicas is not an integer",
        ),
        ("apps/v1/StatefulSet", "{spec: {updateStrategy: Recreate}}", "spec.updateStrategy is not an object"),
        ("apps/v1/DaemonSet", "{metadata: {generation: x}}", "metadata.generation is not an integer"),
        ("apps/v1/ReplicaSet", "{spec: {replicas: '1'}}", "spec.replicas is not an integer"),
        (
            "v1/Pod",
            "{status: {containerStatuses: {a: b}}}",
            "status.containerStatuses is not a list of objects",
        ),
        ("v1/Service", "{spec: {type: 1}}", "spec.type is not a string"),
        ("batch/v1/Job", "{status: {conditions: [1]}}", "status.conditions is not a list of objects"),
    ] {
        check(gvk, &[(body, Unknown, message)]);
    }
    check("apps/v1/Deployment", &[("{spec: {replicas: null}, status: null}", Healthy, "")]);
}
