//! Kinds that nobody described, by the usual conventions of a status.

use super::{check, judge, object};
use crate::*;
use HealthStatus::{Degraded, Healthy, Progressing, Suspended};

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

#[test]
fn kinds_that_mean_more_than_their_conditions() {
    check(
        "v1/Node",
        &[
            (
                "{status: {conditions: [{type: Ready, status: Unknown, reason: NodeStatusUnknown, message: Kubelet stopped posting node status.}]}}",
                Degraded,
                "stopped posting",
            ),
            ("{status: {conditions: [{type: Ready, status: 'True'}]}}", Healthy, ""),
            (
                "{status: {conditions: [{type: Ready, status: 'False', reason: KubeletNotReady}]}}",
                Progressing,
                "KubeletNotReady",
            ),
        ],
    );
    check(
        "apiextensions.k8s.io/v1/CustomResourceDefinition",
        &[
            (
                "{status: {conditions: [{type: Established, status: 'True'}, {type: NamesAccepted, status: 'False', message: widgets is taken}]}}",
                Degraded,
                "widgets is taken",
            ),
            (
                "{status: {conditions: [{type: NonStructuralSchema, status: 'True', message: no type}]}}",
                Degraded,
                "no type",
            ),
            (
                "{status: {conditions: [{type: Terminating, status: 'True', message: 3 left}]}}",
                Progressing,
                "3 left",
            ),
            (
                "{status: {conditions: [{type: NamesAccepted, status: 'True'}, {type: Established, status: 'True'}]}}",
                Healthy,
                "",
            ),
            (
                "{status: {conditions: [{type: Established, status: 'False', reason: Installing}]}}",
                Progressing,
                "Installing",
            ),
        ],
    );
    let times = |succeeded: &str, active: &str| {
        format!("{{status: {{lastScheduleTime: '2026-11-21T10:00:00Z'{succeeded}{active}}}}}")
    };
    let (before, after) =
        (", lastSuccessfulTime: '2026-11-21T09:00:05Z'", ", lastSuccessfulTime: '2026-11-21T10:00:05Z'");
    check(
        "batch/v1/CronJob",
        &[
            ("{spec: {suspend: true}}", Healthy, "it is suspended"),
            (
                "{spec: {suspend: true}, status: {lastScheduleTime: '2026-11-21T10:00:00Z'}}",
                Healthy,
                "it is suspended",
            ),
            (&times(before, ""), Degraded, "did not succeed"),
            (&times(before, ", active: [{name: a}]"), Healthy, ""),
            (&times(after, ""), Healthy, ""),
            (&times("", ""), Healthy, "has succeeded yet"),
        ],
    );
}

#[test]
fn gateways_and_routes_are_as_their_parts() {
    let accepted = "{type: Accepted, status: 'True', observedGeneration: 2}";
    let refused = "{type: ResolvedRefs, status: 'False', observedGeneration: 2, reason: BackendNotFound, message: no such Service}";
    let waiting = "{type: Programmed, status: Unknown, observedGeneration: 2, message: soon}";
    let route = |parents: &str| format!("{{metadata: {{generation: 2}}, status: {{parents: [{parents}]}}}}");
    let parent =
        |name: &str, conditions: &str| format!("{{parentRef: {{name: {name}}}, conditions: [{conditions}]}}");
    check(
        "gateway.networking.k8s.io/v1/HTTPRoute",
        &[
            (&route(&parent("a", accepted)), Healthy, ""),
            (
                &route(&[parent("a", accepted), parent("b", refused)].join(", ")),
                Degraded,
                "parent b: no such Service",
            ),
            (&route(&parent("a", &[accepted, waiting].join(", "))), Progressing, "parent a: soon"),
            (&route(""), Progressing, "no gateway"),
            (
                &route(&parent("a", &refused.replace("Generation: 2", "Generation: 1"))),
                Progressing,
                "no gateway",
            ),
        ],
    );
    let gateway = |conditions: &str, listeners: &str| {
        format!("{{status: {{conditions: [{conditions}], listeners: [{listeners}]}}}}")
    };
    let programmed = "{type: Programmed, status: 'True'}";
    check(
        "gateway.networking.k8s.io/v1/Gateway",
        &[
            (
                &gateway(
                    &[accepted, programmed].join(", "),
                    &format!("{{name: https, conditions: [{accepted}]}}"),
                ),
                Healthy,
                "",
            ),
            (
                &gateway(programmed, &format!("{{name: https, conditions: [{refused}]}}")),
                Degraded,
                "listener https: no such Service",
            ),
            (
                &gateway(
                    "{type: Accepted, status: 'False', reason: NotReconciled, message: no controller}",
                    "",
                ),
                Degraded,
                "no controller",
            ),
            (&gateway("{type: Programmed, status: 'False', reason: Pending}", ""), Progressing, "Pending"),
        ],
    );
}
