//! Horizontal pod autoscalers: the target is kept within its bounds, and a status as the real controller writes it where the
//! metrics are there.
//!
//! Metrics are what [`crate::Metrics`] was told. As long as it was told nothing of a target's pods they show exactly what is aimed
//! at: nothing scales by itself within the bounds, and stories play the metrics by writing `/scale` under the controller's name.

mod measured;
mod unavailable;

use std::sync::Arc;
use std::time::Duration;

use trueup_object::{Map, Timestamp, Value};

use super::events::Event;
use super::objects::{
    self, AUTOSCALERS, CONTROLLER_MANAGER, Condition, Resource, Step, condition, int, text,
};
use crate::clock::wire_time;
use crate::metrics::Metrics;

pub use measured::History;
use unavailable::Unavailable;

/// The resources that can be scaled here, by the kind that an autoscaler names.
const TARGETS: [Resource; 3] = [objects::DEPLOYMENTS, objects::STATEFUL_SETS, objects::REPLICA_SETS];

/// What an autoscaler names as its target; nothing for kinds that are not looked after here.
pub fn target(scaler: &Value) -> Option<(Resource, &str)> {
    let reference = scaler.at(&["spec", "scaleTargetRef"])?;
    let kind = reference.str_at(&["kind"])?;
    let resource = TARGETS.into_iter().find(|resource| resource.kind == kind)?;
    Some((resource, reference.str_at(&["name"])?))
}

/// Whether objects of a resource can be an autoscaler's target.
pub fn may_be_target(resource: &crate::state::ResourceId) -> bool {
    TARGETS.into_iter().any(|known| known.is(resource))
}

/// How often the metrics are looked at.
pub const PERIOD: Duration = Duration::from_secs(15);

/// What is measured of a target's pods, and what was made of it before.
pub struct Measured<'a> {
    pub pods: &'a [Arc<Value>],
    pub usages: &'a Metrics,
    pub history: &'a mut History,
}

pub fn reconcile(
    scaler: &Value,
    live: Option<&Arc<Value>>,
    measured: Measured<'_>,
    now: Timestamp,
) -> Vec<Step> {
    let Some((resource, name)) = target(scaler) else { return Vec::new() };
    let Some(live) = live else {
        let message = format!(
            "the HPA controller was unable to get the target's current scale: {}.{} \"{name}\" not found",
            resource.plural, resource.group
        );
        let unable =
            Condition { kind: "AbleToScale", status: "False", reason: "FailedGetScale", message: &message };
        let why =
            message.trim_start_matches("the HPA controller was unable to get the target's current scale: ");
        let event = told(scaler, "FailedGetScale", why.to_owned());
        return with_status(scaler, 0, 0, &[unable], now).into_iter().chain([event]).collect();
    };
    let current = int(live, &["spec", "replicas"]);
    if current == 0 {
        let able = able("SucceededGetScale", "the HPA controller was able to get the target's current scale");
        let message = "scaling is disabled since the replica count of the target is zero";
        let disabled =
            Condition { kind: "ScalingActive", status: "False", reason: "ScalingDisabled", message };
        return with_status(scaler, 0, 0, &[able, disabled], now);
    }
    let least = scaler.int_at(&["spec", "minReplicas"]).unwrap_or(1);
    let wanted = current.min(int(scaler, &["spec", "maxReplicas"])).max(least);
    if wanted != current {
        return bounded(scaler, (resource, live, current), wanted, now);
    }
    let pods: Vec<&Value> = measured.pods.iter().map(Arc::as_ref).collect();
    let unavailable = unavailable::unavailable(scaler);
    let of_resources =
        |metric: &Value| matches!(metric.str_at(&["type"]), Some("Resource" | "ContainerResource"));
    let proposal = measured::propose(scaler, &pods, current, measured.usages);
    if let Some(unavailable) = &unavailable {
        // What is known may ask for more, and never for less than what is not known might.
        let fewer = matches!(&proposal, Some(Ok(proposal)) if proposal.replicas < current);
        if fewer || !scaler.list_at(&["spec", "metrics"]).iter().any(of_resources) {
            return without(scaler, current, unavailable, now);
        }
    }
    match proposal {
        Some(Ok(proposal)) => {
            return by_metrics(scaler, (resource, live, current), &proposal, measured.history, now);
        }
        Some(Err(unavailable)) => return without(scaler, current, &unavailable, now),
        None => {}
    }
    let metrics = scaler.list_at(&["spec", "metrics"]);
    let measured = match metrics.first().and_then(|metric| metric.str_at(&["resource", "name"])) {
        Some(name) => format!("{name} resource utilization (percentage of request)"),
        None => "the metrics given".to_owned(),
    };
    let found = format!("the HPA was able to successfully calculate a replica count from {measured}");
    let active =
        Condition { kind: "ScalingActive", status: "True", reason: "ValidMetricFound", message: &found };
    let within = "the desired count is within the acceptable range";
    let limited =
        Condition { kind: "ScalingLimited", status: "False", reason: "DesiredWithinRange", message: within };
    let able = able("ReadyForNewScale", "recommended size matches current size");
    with_status(scaler, current, current, &[able, active, limited], now)
}

/// A target outside its bounds is scaled into them, whatever the metrics say.
fn bounded(
    scaler: &Value,
    (resource, live, current): (Resource, &Value, i64),
    wanted: i64,
    now: Timestamp,
) -> Vec<Step> {
    let mut scaled = scaler.clone();
    scaled.set_at(&["status", "lastScaleTime"], wire_time(now).into());
    scaled.set_at(&["status", "currentReplicas"], current.into());
    scaled.set_at(&["status", "desiredReplicas"], wanted.into());
    let status = scaled.get("status").cloned().unwrap_or_default();
    let status = Step::status(AUTOSCALERS, scaler, status);
    let why = if wanted < current { "above Spec.MaxReplicas" } else { "below Spec.MinReplicas" };
    let event = rescale_told(scaler, wanted, &format!("Current number of replicas {why}"));
    std::iter::once(scale(resource, live, wanted)).chain(status).chain([event]).collect()
}

/// Without its metrics an autoscaler leaves everything as it is.
fn without(scaler: &Value, current: i64, why: &Unavailable, now: Timestamp) -> Vec<Step> {
    let able = able("SucceededGetScale", "the HPA controller was able to get the target's current scale");
    let message = format!("the HPA was unable to compute the replica count: {}", why.message);
    let active = Condition { kind: "ScalingActive", status: "False", reason: why.reason, message: &message };
    let mut nothing = Value::Map(Map::new());
    nothing.set_at(&["type"], "".into());
    let mut changed = scaler.clone();
    let listed = scaler.list_at(&["spec", "metrics"]).iter().map(|_| nothing.clone()).collect();
    changed.set_at(&["status", "currentMetrics"], Value::List(listed));
    let desired = int(scaler, &["status", "desiredReplicas"]);
    let status = status_of(&changed, current, desired, &[able, active], now);
    let first = told(scaler, why.reason, why.message.clone());
    let second = told(scaler, "FailedComputeMetricsReplicas", why.computed.clone());
    Step::status(AUTOSCALERS, scaler, status).into_iter().chain([first, second]).collect()
}

const COMPONENT: &str = "horizontal-pod-autoscaler";

fn told(scaler: &Value, reason: &'static str, message: String) -> Step {
    Step::Tell(Event::told(scaler, AUTOSCALERS, COMPONENT, reason, message, true))
}

fn rescale_told(scaler: &Value, replicas: i64, why: &str) -> Step {
    let message = format!("New size: {replicas}; reason: {why}");
    let event = Event::told(scaler, AUTOSCALERS, COMPONENT, "SuccessfulRescale", message, false);
    Step::Tell(event.each_time())
}

fn by_metrics(
    scaler: &Value,
    (resource, live, current): (Resource, &Value, i64),
    proposal: &measured::Proposal,
    history: &mut History,
    now: Timestamp,
) -> Vec<Step> {
    let decision = measured::decide(scaler, current, proposal.replicas, history, now);
    let found =
        format!("the HPA was able to successfully calculate a replica count from {}", proposal.metric);
    let active =
        Condition { kind: "ScalingActive", status: "True", reason: "ValidMetricFound", message: &found };
    let (status, reason, message) = decision.limited;
    let limited = Condition { kind: "ScalingLimited", status, reason, message };
    let mut told = scaler.clone();
    told.set_at(&["status", "currentMetrics"], Value::List(proposal.current.clone()));
    let scales = decision.replicas != current;
    let rescaled = format!("the HPA controller was able to update the target scale to {}", decision.replicas);
    let able = if scales {
        history.note_scale(now, decision.replicas - current);
        told.set_at(&["status", "lastScaleTime"], wire_time(now).into());
        Condition { kind: "AbleToScale", status: "True", reason: "SucceededRescale", message: &rescaled }
    } else {
        able(decision.able.0, decision.able.1)
    };
    let status = status_of(&told, current, decision.replicas, &[able, active, limited], now);
    let steps = scales.then(|| {
        let why = if decision.replicas > current {
            format!("{} above target", proposal.metric)
        } else {
            "All metrics below target".to_owned()
        };
        [scale(resource, live, decision.replicas), rescale_told(scaler, decision.replicas, &why)]
    });
    steps.into_iter().flatten().chain(Step::status(AUTOSCALERS, scaler, status)).collect()
}

fn able(reason: &'static str, message: &'static str) -> Condition<'static> {
    Condition { kind: "AbleToScale", status: "True", reason, message }
}

fn scale(resource: Resource, live: &Value, replicas: i64) -> Step {
    let mut scale = Value::Map(Map::new());
    scale.set_at(&["apiVersion"], "autoscaling/v1".into());
    scale.set_at(&["kind"], "Scale".into());
    for field in ["namespace", "name", "uid", "resourceVersion"] {
        scale.set_at(&["metadata", field], text(live, field).into());
    }
    scale.set_at(&["spec", "replicas"], replicas.into());
    Step::Update { resource, object: scale, manager: CONTROLLER_MANAGER, subresource: Some("scale") }
}

fn with_status(
    scaler: &Value,
    current: i64,
    desired: i64,
    conditions: &[Condition<'_>],
    now: Timestamp,
) -> Vec<Step> {
    let status = status_of(scaler, current, desired, conditions, now);
    Step::status(AUTOSCALERS, scaler, status).into_iter().collect()
}

fn status_of(
    scaler: &Value,
    current: i64,
    desired: i64,
    conditions: &[Condition<'_>],
    now: Timestamp,
) -> Value {
    let mut status = scaler.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    objects::set_count(&mut status, "currentReplicas", current);
    status.set_at(&["desiredReplicas"], desired.into());
    let before = status.list_at(&["conditions"]).to_vec();
    let conditions = conditions.iter().map(|new| {
        let mut value = new.to_value(now);
        let same = condition(&before, new.kind).filter(|old| old.str_at(&["status"]) == Some(new.status));
        if let Some(time) = same.and_then(|old| old.get("lastTransitionTime")).cloned() {
            value.set_at(&["lastTransitionTime"], time);
        }
        value
    });
    let conditions = conditions.collect();
    status.set_at(&["conditions"], Value::List(conditions));
    status
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn scaler() -> Value {
        let json = r#"{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"web","namespace":"shop"},
            "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"minReplicas":2,"maxReplicas":5,
            "metrics":[{"type":"Resource","resource":{"name":"cpu","target":{"type":"Utilization","averageUtilization":70}}}]}}"#;
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn steps(scaler: &Value, replicas: Option<i64>) -> Vec<Step> {
        let live = replicas.map(|replicas| {
            let json = format!(
                r#"{{"metadata":{{"name":"web","namespace":"shop"}},"spec":{{"replicas":{replicas}}}}}"#
            );
            Arc::new(Value::from_json(json.as_bytes()).unwrap())
        });
        let (usages, mut history) = (Metrics::default(), History::default());
        let measured = Measured { pods: &[], usages: &usages, history: &mut history };
        reconcile(scaler, live.as_ref(), measured, NOW)
    }

    fn written(steps: &[Step], place: usize) -> (&Value, Option<&'static str>) {
        let Step::Update { object, subresource, .. } = &steps[place] else { panic!("not an update") };
        (object, *subresource)
    }

    #[test]
    fn within_its_bounds_it_says_that_all_is_well_and_then_nothing() {
        let steps = self::steps(&scaler(), Some(3));
        let (object, subresource) = written(&steps, 0);
        assert_eq!((steps.len(), subresource), (1, Some("status")));
        assert_eq!(
            (int(object, &["status", "currentReplicas"]), int(object, &["status", "desiredReplicas"])),
            (3, 3)
        );
        let told: Vec<_> = object
            .list_at(&["status", "conditions"])
            .iter()
            .map(|it| (it.str_at(&["type"]).unwrap(), it.str_at(&["status"]).unwrap()))
            .collect();
        assert_eq!(told, [("AbleToScale", "True"), ("ScalingActive", "True"), ("ScalingLimited", "False")]);
        assert_eq!(self::steps(object, Some(3)), []);
    }

    #[test]
    fn a_target_outside_its_bounds_is_scaled_into_them() {
        for (have, want) in [(1, 2), (9, 5)] {
            let steps = self::steps(&scaler(), Some(have));
            let (scale, subresource) = written(&steps, 0);
            assert_eq!((scale.int_at(&["spec", "replicas"]), subresource), (Some(want), Some("scale")));
            let (object, _) = written(&steps, 1);
            assert_eq!(int(object, &["status", "desiredReplicas"]), want);
            assert!(object.str_at(&["status", "lastScaleTime"]).is_some());
        }
    }

    #[test]
    fn what_it_cannot_scale_it_says() {
        for (replicas, reason) in [(None, "FailedGetScale"), (Some(0), "ScalingDisabled")] {
            let steps = self::steps(&scaler(), replicas);
            let (object, _) = written(&steps, 0);
            assert!(object.to_json().contains(reason), "{}", object.to_json());
        }
    }
}
