//! Services, Ingresses, claims, autoscalers, APIServices and Workflows.

use trueup_object::Value;

use super::check;
use crate::*;
use HealthStatus::{Degraded, Healthy, Progressing, Unknown};

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
