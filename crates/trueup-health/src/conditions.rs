//! Kinds whose health stands in the conditions of their status.

use trueup_object::Value;

use crate::{Health, HealthStatus};

/// The condition of this type, where the object has one.
pub(crate) fn find<'a>(live: &'a Value, wanted: &str) -> Option<&'a Value> {
    live.list_at(&["status", "conditions"]).iter().find(|condition| text(condition, "type") == wanted)
}

fn text<'a>(condition: &'a Value, name: &str) -> &'a str {
    condition.str_at(&[name]).unwrap_or_default()
}

/// That a Job failed or completed is said by the presence of the condition; that it is suspended by its status. One that
/// was resumed keeps its condition with the status False, and is on its way.
pub(crate) fn job(live: &Value) -> Health {
    if let Some(failed) = find(live, "Failed") {
        return Health::degraded(text(failed, "message"));
    }
    if let Some(suspended) = find(live, "Suspended")
        && text(suspended, "status") == "True"
    {
        return Health::new(HealthStatus::Suspended, text(suspended, "message"));
    }
    match find(live, "Complete") {
        Some(complete) => Health::new(HealthStatus::Healthy, text(complete, "message")),
        None => Health::progressing(""),
    }
}

/// Pairs of condition type and reason that mean an autoscaler does not work.
const AUTOSCALER_FAILURES: [(&str, &str); 8] = [
    ("AbleToScale", "FailedGetScale"),
    ("AbleToScale", "FailedUpdateScale"),
    ("ScalingActive", "FailedGetResourceMetric"),
    ("ScalingActive", "FailedGetObjectMetric"),
    ("ScalingActive", "FailedGetPodsMetric"),
    ("ScalingActive", "FailedGetExternalMetric"),
    ("ScalingActive", "FailedComputeMetricsReplicas"),
    ("ScalingActive", "InvalidSelector"),
];

/// `autoscaling/v1` has no conditions of its own: the server shows them in an annotation.
pub(crate) fn autoscaler(live: &Value) -> Health {
    let is_v1 = live.str_at(&["apiVersion"]) == Some("autoscaling/v1");
    if !is_v1 {
        return autoscaler_conditions(live.list_at(&["status", "conditions"]));
    }
    let annotation = live
        .str_at(&["metadata", "annotations", "autoscaling.alpha.kubernetes.io/conditions"])
        .unwrap_or("[]");
    match Value::from_json(annotation.as_bytes()) {
        Ok(Value::List(conditions)) => autoscaler_conditions(&conditions),
        Ok(Value::Null) => autoscaler_conditions(&[]),
        Ok(_) | Err(_) => Health::unknown("the annotation with the autoscaler's conditions cannot be read"),
    }
}

fn autoscaler_conditions(conditions: &[Value]) -> Health {
    let failed = conditions.iter().find(|condition| {
        AUTOSCALER_FAILURES.contains(&(text(condition, "type"), text(condition, "reason")))
    });
    if let Some(condition) = failed {
        return Health::degraded(text(condition, "message"));
    }
    let works = conditions.iter().find(|condition| {
        matches!(text(condition, "type"), "AbleToScale" | "ScalingLimited")
            && text(condition, "status") == "True"
    });
    match works {
        Some(condition) => Health::new(HealthStatus::Healthy, text(condition, "message")),
        None => Health::progressing("Waiting to Autoscale"),
    }
}

pub(crate) fn api_service(live: &Value) -> Health {
    let Some(available) = find(live, "Available") else {
        return Health::progressing("Waiting to be processed");
    };
    let message = format!("{}: {}", text(available, "reason"), text(available, "message"));
    let status = match text(available, "status") {
        "True" => HealthStatus::Healthy,
        _ => HealthStatus::Progressing,
    };
    Health::new(status, message)
}
