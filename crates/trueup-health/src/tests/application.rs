//! The health of an application, of all its objects.

use trueup_object::{ResourceKey, Value};

use super::object;
use crate::*;
use HealthStatus::{Degraded, Healthy, Missing, Progressing, Unknown};

fn aggregated(objects: &[(&str, &str, ObjectHealth)]) -> (HealthStatus, String) {
    let keyed: Vec<_> = objects
        .iter()
        .map(|(kind, name, health)| {
            let (group, kind) = kind.split_once('/').unwrap_or(("", kind));
            (ResourceKey::new(group, kind, "web", name), health.clone())
        })
        .collect();
    let health = aggregate(keyed.iter().map(|(key, health)| (key, health)));
    (health.status, health.message)
}

fn judged(status: HealthStatus) -> ObjectHealth {
    ObjectHealth::Judged(Health::new(status, "because"))
}

#[test]
fn the_worst_object_decides_and_is_named() {
    assert_eq!(aggregated(&[]), (Healthy, String::new()));
    assert_eq!(aggregated(&[("ConfigMap", "a", ObjectHealth::Unjudged)]), (Healthy, String::new()));
    assert_eq!(
        aggregated(&[
            ("apps/Deployment", "a", judged(Healthy)),
            ("apps/Deployment", "b", judged(Degraded)),
            ("Service", "c", judged(Progressing)),
        ]),
        (Degraded, "Caused by Deployment.apps:web/b".to_owned())
    );
    let four = ["a", "b", "c", "d"].map(|name| ("Service", name, judged(Progressing)));
    assert_eq!(
        aggregated(&four),
        (Progressing, "Caused by Service:web/a, Service:web/b, Service:web/c and 1 more".to_owned())
    );
}

#[test]
fn missing_objects_count_only_when_all_are() {
    assert_eq!(
        aggregated(&[("Service", "a", ObjectHealth::Missing), ("Service", "b", judged(Healthy))]).0,
        Healthy
    );
    assert_eq!(
        aggregated(&[("Service", "a", ObjectHealth::Missing), ("ConfigMap", "b", ObjectHealth::Unjudged)]).0,
        Healthy
    );
    assert_eq!(
        aggregated(&[("Service", "a", ObjectHealth::Missing), ("Service", "b", ObjectHealth::Missing)]).0,
        Missing
    );
}

#[test]
fn unknown_children_do_not_spoil_their_parent() {
    assert_eq!(aggregated(&[("argoproj.io/Application", "a", judged(Unknown))]).0, Healthy);
    assert_eq!(aggregated(&[("argoproj.io/Application", "a", judged(Missing))]).0, Healthy);
    assert_eq!(aggregated(&[("argoproj.io/Application", "a", judged(Degraded))]).0, Degraded);
}

#[test]
fn hooks_are_no_part_of_an_application() {
    for (annotation, value, expected) in [
        ("argocd.argoproj.io/hook", "PostSync", true),
        ("helm.sh/hook", "test", true),
        ("argocd.argoproj.io/ignore-healthcheck", "true", false),
        ("other", "true", false),
    ] {
        let mut live = object("v1/Service", "{}");
        live.set_at(&["metadata", "annotations", annotation], value.into());
        assert_eq!(is_hook(&live), expected, "{annotation}={value}");
    }
}

#[test]
fn authors_can_take_an_object_out_and_it_still_is_there() {
    let mut live = object("apps/v1/StatefulSet", "{}");
    let of = |live: &Value| HealthRules::BUILTIN.of_object(live, 0);
    assert!(matches!(of(&live), ObjectHealth::Judged(Health { status: Progressing, .. })));
    for (value, is_out) in [("false", false), ("true", true)] {
        live.set_at(&["metadata", "annotations", "argocd.argoproj.io/ignore-healthcheck"], value.into());
        assert_eq!(matches!(of(&live), ObjectHealth::Exempt(_)), is_out, "{value}");
    }
    let objects = [("apps/StatefulSet", "a", of(&live)), ("Service", "b", ObjectHealth::Missing)];
    assert_eq!(aggregated(&objects), (Healthy, String::new()));
}
