//! Every rule, one line per case: what the object says, and the judgement.
#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_object::{ResourceKey, Value};

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
fn deployments() {
    check(
        "apps/v1/Deployment",
        &[
            ("{spec: {paused: true}, metadata: {generation: 2}}", Suspended, "Deployment is paused"),
            (
                "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
                Progressing,
                "observed deployment generation",
            ),
            (
                "{status: {conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}",
                Degraded,
                "Deployment \"x\" exceeded its progress deadline",
            ),
            ("{spec: {replicas: 3}, status: {updatedReplicas: 1}}", Progressing, "1 out of 3 new replicas"),
            (
                "{spec: {replicas: 3}, status: {updatedReplicas: 3, replicas: 4}}",
                Progressing,
                "1 old replicas",
            ),
            (
                "{spec: {replicas: 3}, status: {updatedReplicas: 3, replicas: 3, availableReplicas: 2}}",
                Progressing,
                "2 of 3 updated replicas are available",
            ),
            (
                "{spec: {replicas: 3}, status: {updatedReplicas: 3, replicas: 3, availableReplicas: 3}}",
                Healthy,
                "",
            ),
            ("{spec: {replicas: 0}}", Healthy, ""),
            (
                "{spec: {paused: false}, status: {conditions: [{type: Progressing, reason: NewReplicaSetAvailable}]}}",
                Healthy,
                "",
            ),
        ],
    );
}

#[test]
fn stateful_sets() {
    let seen = "observedGeneration: 1";
    check(
        "apps/v1/StatefulSet",
        &[
            ("{}", Progressing, "to be observed"),
            ("{metadata: {generation: 2}, status: {observedGeneration: 1}}", Progressing, "to be observed"),
            (
                &format!("{{spec: {{replicas: 3}}, status: {{{seen}, readyReplicas: 1}}}}"),
                Progressing,
                "Waiting for 2 pods",
            ),
            (
                &format!(
                    "{{spec: {{replicas: 3, updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: 1}}}}}}, \
                     status: {{{seen}, readyReplicas: 3, updatedReplicas: 1}}}}"
                ),
                Progressing,
                "1 out of 2 new pods",
            ),
            (
                &format!(
                    "{{spec: {{replicas: 3, updateStrategy: {{type: RollingUpdate, rollingUpdate: {{partition: 1}}}}}}, \
                     status: {{{seen}, readyReplicas: 3, updatedReplicas: 2}}}}"
                ),
                Healthy,
                "partitioned roll out complete: 2",
            ),
            (
                &format!(
                    "{{spec: {{replicas: 1, updateStrategy: {{type: OnDelete}}}}, status: {{{seen}, readyReplicas: 1, updateRevision: b}}}}"
                ),
                Healthy,
                "statefulset has 1 ready pods",
            ),
            (
                &format!(
                    "{{spec: {{updateStrategy: {{type: RollingUpdate}}}}, status: {{{seen}, currentRevision: a, updateRevision: b}}}}"
                ),
                Progressing,
                "at revision b",
            ),
            (
                &format!("{{status: {{{seen}, currentRevision: a, updateRevision: a, currentReplicas: 2}}}}"),
                Healthy,
                "2 pods at revision a",
            ),
        ],
    );
}

#[test]
fn daemon_sets() {
    check(
        "apps/v1/DaemonSet",
        &[
            (
                "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
                Progressing,
                "observed daemon set generation",
            ),
            (
                "{spec: {updateStrategy: {type: OnDelete}}, status: {desiredNumberScheduled: 3}}",
                Healthy,
                "0 out of 3",
            ),
            (
                "{status: {desiredNumberScheduled: 3, updatedNumberScheduled: 2}}",
                Progressing,
                "2 out of 3 new pods",
            ),
            (
                "{status: {desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 1}}",
                Progressing,
                "1 of 3 updated pods",
            ),
            (
                "{status: {desiredNumberScheduled: 3, updatedNumberScheduled: 3, numberAvailable: 3}}",
                Healthy,
                "",
            ),
        ],
    );
}

#[test]
fn replica_sets() {
    check(
        "apps/v1/ReplicaSet",
        &[
            (
                "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
                Progressing,
                "observed replica set generation",
            ),
            (
                "{status: {conditions: [{type: ReplicaFailure, status: 'True', message: quota}]}}",
                Degraded,
                "quota",
            ),
            ("{spec: {replicas: 2}, status: {availableReplicas: 1}}", Progressing, "1 out of 2 new replicas"),
            (
                "{spec: {replicas: 2}, status: {availableReplicas: 2, conditions: [{type: ReplicaFailure, status: 'False'}]}}",
                Healthy,
                "",
            ),
        ],
    );
}

#[test]
fn pods_that_run_forever() {
    check(
        "v1/Pod",
        &[
            (
                "{spec: {restartPolicy: Always}, status: {phase: Running, containerStatuses: [\
                 {state: {waiting: {reason: CrashLoopBackOff, message: back-off}}}, {state: {waiting: {reason: ErrImagePull, message: no image}}}]}}",
                Degraded,
                "back-off, no image",
            ),
            (
                "{spec: {restartPolicy: Always}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ContainerCreating}}}]}}",
                Progressing,
                "",
            ),
            (
                "{spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
                Healthy,
                "",
            ),
            (
                "{spec: {restartPolicy: Always}, status: {phase: Running, conditions: [{type: Ready, status: 'False'}], \
                 containerStatuses: [{lastState: {terminated: {exitCode: 1}}}]}}",
                Degraded,
                "",
            ),
            (
                "{spec: {restartPolicy: Always}, status: {phase: Running, message: starting}}",
                Progressing,
                "starting",
            ),
            (
                "{metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: 'true'}}, spec: {restartPolicy: Never}, \
                 status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
                Healthy,
                "",
            ),
            (
                "{metadata: {annotations: {argocd.argoproj.io/ignore-restart-policy: 'true', argocd.argoproj.io/hook: PreSync}}, \
                 spec: {restartPolicy: Never}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
                Progressing,
                "",
            ),
        ],
    );
}

#[test]
fn pods_that_end() {
    check(
        "v1/Pod",
        &[
            ("{spec: {restartPolicy: Never}, status: {phase: Running}}", Progressing, ""),
            (
                "{spec: {restartPolicy: OnFailure}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ErrImagePull}}}]}}",
                Progressing,
                "",
            ),
            ("{spec: {restartPolicy: Never}, status: {phase: Succeeded}}", Healthy, ""),
            ("{status: {phase: Failed, message: evicted}}", Degraded, "evicted"),
            (
                "{status: {phase: Failed, initContainerStatuses: [{name: i, state: {terminated: {exitCode: 3}}}], \
                 containerStatuses: [{name: c, state: {terminated: {message: boom}}}]}}",
                Degraded,
                "container \"i\" failed with exit code 3",
            ),
            (
                "{status: {phase: Failed, containerStatuses: [{state: {terminated: {reason: OOMKilled, exitCode: 137}}}]}}",
                Degraded,
                "OOMKilled",
            ),
            (
                "{status: {phase: Failed, containerStatuses: [{state: {terminated: {exitCode: 0}}}]}}",
                Degraded,
                "",
            ),
            ("{}", Unknown, ""),
            ("{spec: {restartPolicy: Always}, status: {phase: Strange}}", Unknown, ""),
        ],
    );
}

#[test]
fn services_and_ingresses() {
    check(
        "v1/Service",
        &[
            ("{spec: {type: ClusterIP}}", Healthy, ""),
            ("{}", Healthy, ""),
            ("{spec: {type: LoadBalancer}, status: {loadBalancer: {}}}", Progressing, ""),
            ("{spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}", Healthy, ""),
        ],
    );
    for gvk in ["networking.k8s.io/v1/Ingress", "extensions/v1beta1/Ingress"] {
        check(
            gvk,
            &[
                ("{}", Progressing, ""),
                ("{status: {loadBalancer: {ingress: []}}}", Progressing, ""),
                ("{status: {loadBalancer: {ingress: [{hostname: a}]}}}", Healthy, ""),
            ],
        );
    }
}

#[test]
fn volume_claims() {
    check(
        "v1/PersistentVolumeClaim",
        &[
            ("{status: {phase: Lost}}", Degraded, ""),
            ("{status: {phase: Pending}}", Progressing, ""),
            ("{status: {phase: Bound}}", Healthy, ""),
            ("{}", Unknown, ""),
        ],
    );
}

#[test]
fn jobs() {
    check(
        "batch/v1/Job",
        &[
            ("{}", Progressing, ""),
            ("{status: {conditions: [{type: Complete, status: 'True', message: done}]}}", Healthy, "done"),
            (
                "{status: {conditions: [{type: Failed, status: 'True', message: limit}, {type: Complete}]}}",
                Degraded,
                "limit",
            ),
            ("{status: {conditions: [{type: Suspended, status: 'True'}]}}", Suspended, ""),
            ("{status: {conditions: [{type: Suspended, status: 'False'}]}}", Progressing, ""),
            ("{status: {conditions: [{type: SuccessCriteriaMet, status: 'True'}]}}", Progressing, ""),
        ],
    );
}

#[test]
fn autoscalers() {
    let cases = [
        ("AbleToScale", "FailedGetScale", "False", Degraded),
        ("AbleToScale", "FailedUpdateScale", "False", Degraded),
        ("ScalingActive", "FailedGetResourceMetric", "False", Degraded),
        ("ScalingActive", "FailedGetObjectMetric", "False", Degraded),
        ("ScalingActive", "FailedGetPodsMetric", "False", Degraded),
        ("ScalingActive", "FailedGetExternalMetric", "False", Degraded),
        ("ScalingActive", "FailedComputeMetricsReplicas", "False", Degraded),
        ("ScalingActive", "InvalidSelector", "False", Degraded),
        ("AbleToScale", "ReadyForNewScale", "True", Healthy),
        ("ScalingLimited", "TooFewReplicas", "True", Healthy),
        ("ScalingActive", "ScalingDisabled", "False", Progressing),
        ("AbleToScale", "SucceededGetScale", "False", Progressing),
    ];
    for (kind, reason, status, expected) in cases {
        let condition = format!("{{type: {kind}, reason: {reason}, status: '{status}', message: why}}");
        let message = if expected == Progressing { "Waiting to Autoscale" } else { "why" };
        check(
            "autoscaling/v2/HorizontalPodAutoscaler",
            &[(&format!("{{status: {{conditions: [{condition}]}}}}"), expected, message)],
        );
        let json = Value::from_yaml(condition.as_bytes()).unwrap().to_json();
        check(
            "autoscaling/v1/HorizontalPodAutoscaler",
            &[(
                &format!(
                    "{{metadata: {{annotations: {{autoscaling.alpha.kubernetes.io/conditions: '[{json}]'}}}}}}"
                ),
                expected,
                message,
            )],
        );
    }
    check(
        "autoscaling/v2/HorizontalPodAutoscaler",
        &[(
            "{status: {conditions: [{type: AbleToScale, status: 'True', message: fine}, \
             {type: ScalingActive, reason: FailedGetResourceMetric, status: 'False', message: no metrics}]}}",
            Degraded,
            "no metrics",
        )],
    );
    check(
        "autoscaling/v1/HorizontalPodAutoscaler",
        &[
            ("{}", Progressing, "Waiting to Autoscale"),
            (
                "{metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: 'x'}}}",
                Unknown,
                "cannot be read",
            ),
        ],
    );
    check("autoscaling/v2beta2/HorizontalPodAutoscaler", &[("{}", Unknown, "unsupported")]);
}

#[test]
fn api_services_and_workflows() {
    for gvk in ["apiregistration.k8s.io/v1/APIService", "apiregistration.k8s.io/v1beta1/APIService"] {
        check(
            gvk,
            &[
                ("{}", Progressing, "Waiting to be processed"),
                (
                    "{status: {conditions: [{type: Available, status: 'True', reason: Passed, message: all checks}]}}",
                    Healthy,
                    "Passed: all checks",
                ),
                (
                    "{status: {conditions: [{type: Available, status: 'False', reason: Gone, message: x}]}}",
                    Progressing,
                    "Gone: x",
                ),
            ],
        );
    }
    check(
        "argoproj.io/v1alpha1/Workflow",
        &[
            ("{}", Progressing, ""),
            ("{status: {phase: Pending}}", Progressing, ""),
            ("{status: {phase: Running, message: step 1}}", Progressing, "step 1"),
            ("{status: {phase: Succeeded}}", Healthy, ""),
            ("{status: {phase: Failed}}", Degraded, ""),
            ("{status: {phase: Error}}", Degraded, ""),
            ("{status: {phase: Odd}}", Unknown, ""),
        ],
    );
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

#[test]
fn kinds_that_nobody_described() {
    let kind = "example.io/v1/Widget";
    check(
        kind,
        &[
            (
                "{metadata: {generation: 2}, status: {observedGeneration: 1, conditions: [{type: Ready, status: 'True'}]}}",
                Progressing,
                "Waiting for generation 2",
            ),
            ("{metadata: {generation: 2}, status: {observedGeneration: 2}}", Healthy, ""),
            (
                "{status: {conditions: [{type: Ready, status: 'True', reason: Up, message: fine}]}}",
                Healthy,
                "Up: fine",
            ),
            (
                "{status: {conditions: [{type: Ready, status: 'False', reason: Creating}]}}",
                Progressing,
                "Ready: Creating",
            ),
            (
                "{status: {conditions: [{type: Ready, status: 'False', reason: CreateFailed, message: quota}]}}",
                Degraded,
                "CreateFailed: quota",
            ),
            (
                "{status: {conditions: [{type: Ready, status: Unknown, message: starting}]}}",
                Progressing,
                "starting",
            ),
            (
                "{metadata: {generation: 2}, status: {conditions: [{type: Accepted, status: 'True', observedGeneration: 1}]}}",
                Progressing,
                "generation 2",
            ),
            (
                "{status: {conditions: [{type: Ready, status: 'True'}, {type: Stalled, status: 'True', message: stuck}]}}",
                Degraded,
                "stuck",
            ),
            (
                "{status: {conditions: [{type: Ready, status: 'True'}, {type: Stalled, status: 'False'}]}}",
                Healthy,
                "",
            ),
            (
                "{status: {conditions: [{type: Ready, status: 'True'}, {type: Reconciling, status: 'True', message: busy}]}}",
                Progressing,
                "busy",
            ),
            ("{status: {conditions: [{type: Failed, status: 'True', message: boom}]}}", Degraded, "boom"),
            (
                "{status: {conditions: [{type: Synced, status: 'False', reason: ReconcileError}, {type: Ready, status: 'True'}]}}",
                Degraded,
                "Synced: ReconcileError",
            ),
        ],
    );
}

#[test]
fn kinds_that_nobody_described_and_that_say_it_in_a_word() {
    let kind = "example.io/v1/Widget";
    check(
        kind,
        &[
            (
                "{spec: {suspend: true}, status: {conditions: [{type: Ready, status: 'False'}]}}",
                Suspended,
                "",
            ),
            ("{status: {conditions: [{type: Paused, status: 'True'}]}}", Suspended, ""),
            ("{status: {phase: Running}}", Healthy, "Running"),
            ("{status: {phase: InProgress, message: step 2}}", Progressing, "step 2"),
            ("{status: {state: failed}}", Degraded, "failed"),
            ("{status: {phase: Ready, health: red}}", Degraded, "red"),
            (
                "{status: {phase: Failed, message: boom, conditions: [{type: Ready, status: 'True'}]}}",
                Degraded,
                "boom",
            ),
            (
                "{spec: {replicas: 3}, metadata: {generation: 1}, status: {observedGeneration: 1, readyReplicas: 2}}",
                Progressing,
                "2 of 3 replicas are ready",
            ),
            (
                "{status: {conditions: [{type: FailedScale, status: 'True', message: quota}]}}",
                Degraded,
                "quota",
            ),
            (
                "{status: {conditions: [{type: Ready, status: 'True'}, {type: Accepted, status: 'False', reason: Invalid}]}}",
                Degraded,
                "Accepted: Invalid",
            ),
        ],
    );
    for silent in [
        "{}",
        "{status: {}}",
        "{status: {replicas: 3}}",
        "{status: {conditions: [{type: Odd, status: 'False'}]}}",
        "{status: {phase: Purple}}",
        "{status: text}",
        "{spec: {suspend: true}}",
    ] {
        assert_eq!(judge(&object(kind, silent)), None, "{silent}");
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

#[test]
fn whoever_reads_a_job_by_its_conditions_reads_all_of_them() {
    check(
        "batch/v1/Job",
        &[
            ("{status: {conditions: [{type: Failed, status: 'False', message: m}]}}", Degraded, "m"),
            ("{status: {conditions: [{type: Complete, status: 'False'}]}}", Healthy, ""),
            (
                "{status: {conditions: [{type: Complete, status: 'True'}, {type: Suspended, status: 'True', message: s}]}}",
                Suspended,
                "s",
            ),
            (
                "{status: {conditions: [{type: Suspended, status: 'False'}, {type: Complete, status: 'True'}]}}",
                Healthy,
                "",
            ),
        ],
    );
}
