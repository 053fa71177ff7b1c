//! What runs Pods, and Pods themselves.

use super::check;
use crate::*;
use HealthStatus::{Degraded, Healthy, Progressing, Suspended, Unknown};

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
