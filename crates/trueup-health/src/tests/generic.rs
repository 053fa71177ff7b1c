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
