//! How many pods there should be by what they use, as the real controller works it out.

use std::time::Duration;

use trueup_object::{Map, Timestamp, Value};

use super::super::objects::{int, is_deleting, is_ready};
use super::unavailable::Unavailable;
use crate::metrics::{self, Metrics, milli};

/// Differences smaller than this are left alone.
const TOLERANCE: f64 = 0.1;

/// How long a recommendation holds a lower one back where the autoscaler does not say.
const DOWN_SECONDS: i64 = 300;

/// What one autoscaler recommended, and how it scaled, in the recent past.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    recommended: Vec<(Timestamp, i64)>,
    scaled: Vec<(Timestamp, i64)>,
}

/// What follows from the metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Proposal {
    pub replicas: i64,
    /// Which metric asks for so many.
    pub metric: String,
    /// `status.currentMetrics`.
    pub current: Vec<Value>,
}

/// What becomes of a proposal within the bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    pub replicas: i64,
    pub able: (&'static str, &'static str),
    pub limited: (&'static str, &'static str, &'static str),
}

/// How long anything is remembered: the longest window that an autoscaler may ask for.
const MEMORY: Duration = Duration::from_secs(3600);

impl History {
    fn forget(&mut self, now: Timestamp) {
        let start = now.checked_sub(MEMORY).unwrap_or(Timestamp::MIN);
        self.recommended.retain(|(time, _)| *time >= start);
        self.scaled.retain(|(time, _)| *time >= start);
    }

    pub fn note_scale(&mut self, now: Timestamp, change: i64) {
        self.scaled.push((now, change));
    }

    /// Recommendations since a number of seconds.
    fn since(&self, now: Timestamp, seconds: i64) -> impl Iterator<Item = i64> {
        let window = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let start = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        self.recommended.iter().filter(move |(time, _)| *time > start).map(|(_, replicas)| *replicas)
    }

    /// By how many pods there are more, or fewer, than so many seconds ago.
    fn change_since(&self, now: Timestamp, seconds: i64, up: bool) -> i64 {
        let window = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
        let start = now.checked_sub(window).unwrap_or(Timestamp::MIN);
        let recent = self.scaled.iter().filter(|(time, change)| *time > start && (*change > 0) == up);
        recent.map(|(_, change)| change.abs()).sum()
    }
}

/// What the metrics of an autoscaler ask for; none where there is nothing measured of its pods.
pub fn propose(
    scaler: &Value,
    pods: &[&Value],
    current: i64,
    usages: &Metrics,
) -> Option<Result<Proposal, Unavailable>> {
    let listed = scaler.list_at(&["spec", "metrics"]);
    let of_resource = |metric: &&Value| metric.str_at(&["type"]) == Some("Resource");
    let counted: Vec<&Value> = pods.iter().copied().filter(|pod| !is_deleting(pod)).collect();
    if !listed.iter().any(|metric| of_resource(&metric))
        || !counted.iter().any(|pod| usages.of(pod).is_some())
    {
        return None;
    }
    let mut best: Option<Proposal> = None;
    let mut told = Vec::new();
    for metric in listed.iter().filter(of_resource) {
        let (replicas, name, status) = match resource(metric, &counted, current, usages) {
            Ok(measured) => measured,
            Err(message) => {
                let name = metric.str_at(&["resource", "name"]).unwrap_or_default();
                let all = listed.len();
                let computed = format!(
                    "invalid metrics (1 invalid out of {all}), first error is: failed to get {name} resource metric value: \
                     {message}"
                );
                return Some(Err(Unavailable { reason: "FailedGetResourceMetric", message, computed }));
            }
        };
        told.push(status);
        if best.as_ref().is_none_or(|best| best.replicas < replicas) {
            best = Some(Proposal { replicas, metric: name, current: Vec::new() });
        }
    }
    best.map(|best| Ok(Proposal { current: told, ..best }))
}

fn resource(
    metric: &Value,
    pods: &[&Value],
    current: i64,
    usages: &Metrics,
) -> Result<(i64, String, Value), String> {
    let name = metric.str_at(&["resource", "name"]).unwrap_or_default();
    let used = |pod: &Value| {
        usages.of(pod).map(|usage| if name == "cpu" { usage.cpu_milli } else { usage.memory_bytes * 1000 })
    };
    let measured: Vec<(&Value, i64)> = pods
        .iter()
        .filter(|pod| name != "cpu" || is_ready(pod))
        .filter_map(|pod| Some((*pod, used(pod)?)))
        .collect();
    let failed = |words: &str| Err(format!("failed to get {name} utilization: {words}"));
    if measured.is_empty() {
        return failed("did not receive metrics for targeted pods (pods might be unready)");
    }
    let count = i64::try_from(measured.len()).unwrap_or(i64::MAX);
    let total: i64 = measured.iter().map(|(_, used)| used).sum();
    let raw = total / count;
    let mut status = Value::Map(Map::new());
    status.set_at(&["type"], "Resource".into());
    status.set_at(&["resource", "name"], name.into());
    let shown = if name == "cpu" { metrics::cpu(raw) } else { metrics::memory(raw / 1000) };
    status.set_at(&["resource", "current", "averageValue"], shown);
    if let Some(target) = metric.at(&["resource", "target", "averageValue"]).and_then(milli) {
        let replicas = wanted(ratio(raw, target), current, count);
        return Ok((replicas, format!("{name} resource"), status));
    }
    let mut requested = 0;
    for (pod, _) in &measured {
        for container in pod.list_at(&["spec", "containers"]) {
            let Some(request) = container.at(&["resources", "requests", name]).and_then(milli) else {
                let pod_name = pod.str_at(&["metadata", "name"]).unwrap_or_default();
                let container = container.str_at(&["name"]).unwrap_or_default();
                return failed(&format!(
                    "missing request for {name} in container {container} of Pod {pod_name}"
                ));
            };
            requested += request;
        }
    }
    let percent = total.saturating_mul(100) / requested.max(1);
    status.set_at(&["resource", "current", "averageUtilization"], percent.into());
    let target = metric.int_at(&["resource", "target", "averageUtilization"]).unwrap_or(80);
    let replicas = wanted(ratio(percent, target), current, count);
    Ok((replicas, format!("{name} resource utilization (percentage of request)"), status))
}

#[expect(clippy::cast_precision_loss, reason = "shares, of which a few digits matter")]
fn ratio(used: i64, target: i64) -> f64 {
    used as f64 / target.max(1) as f64
}

#[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "numbers of pods are small")]
fn wanted(ratio: f64, current: i64, count: i64) -> i64 {
    if (ratio - 1.0).abs() <= TOLERANCE { current } else { (ratio * count as f64).ceil() as i64 }
}

/// Holds a proposal against what was proposed before, the rates and the bounds.
pub fn decide(
    scaler: &Value,
    current: i64,
    proposed: i64,
    history: &mut History,
    now: Timestamp,
) -> Decision {
    history.forget(now);
    let rule = |direction: &str, key: &str| scaler.int_at(&["spec", "behavior", direction, key]);
    let down = rule("scaleDown", "stabilizationWindowSeconds").unwrap_or(DOWN_SECONDS);
    let up = rule("scaleUp", "stabilizationWindowSeconds").unwrap_or(0);
    let highest = history.since(now, down).max().unwrap_or(proposed).max(proposed);
    let lowest = history.since(now, up).min().unwrap_or(proposed).min(proposed);
    history.recommended.push((now, proposed));
    let stable = current.max(lowest).min(highest);
    let able = match (stable == proposed, proposed >= current) {
        (true, _) => ("ReadyForNewScale", "recommended size matches current size"),
        (false, true) => (
            "ScaleUpStabilized",
            "recent recommendations were lower than current one, applying the lowest recent recommendation",
        ),
        (false, false) => (
            "ScaleDownStabilized",
            "recent recommendations were higher than current one, applying the highest recent recommendation",
        ),
    };
    let (replicas, limited) = within(scaler, current, stable, history, now);
    Decision { replicas, able, limited }
}

fn within(
    scaler: &Value,
    current: i64,
    stable: i64,
    history: &History,
    now: Timestamp,
) -> (i64, (&'static str, &'static str, &'static str)) {
    let most = int(scaler, &["spec", "maxReplicas"]);
    let least = scaler.int_at(&["spec", "minReplicas"]).unwrap_or(1);
    if stable > current {
        let rate = limit(scaler, current, history, now, true).max(current);
        if stable > most.min(rate) {
            let why = if rate < most {
                (
                    "True",
                    "ScaleUpLimit",
                    "the desired replica count is increasing faster than the maximum scale rate",
                )
            } else {
                (
                    "True",
                    "TooManyReplicas",
                    "the desired replica count is more than the maximum replica count",
                )
            };
            return (most.min(rate), why);
        }
    } else {
        let rate = limit(scaler, current, history, now, false).min(current);
        if stable < least.max(rate) {
            let why = if rate > least {
                (
                    "True",
                    "ScaleDownLimit",
                    "the desired replica count is decreasing faster than the maximum scale rate",
                )
            } else {
                ("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")
            };
            return (least.max(rate), why);
        }
    }
    (stable, ("False", "DesiredWithinRange", "the desired count is within the acceptable range"))
}

/// How far the rates let the number of pods go in one direction.
fn limit(scaler: &Value, current: i64, history: &History, now: Timestamp, up: bool) -> i64 {
    let direction = if up { "scaleUp" } else { "scaleDown" };
    let Some(rules) = scaler.at(&["spec", "behavior", direction]) else {
        // Without rules: four or twice as many at once, and any number fewer.
        return if up { (current * 2).max(4) } else { 0 };
    };
    let select = rules.str_at(&["selectPolicy"]).unwrap_or("Max");
    if select == "Disabled" {
        return current;
    }
    let proposed = rules.list_at(&["policies"]).iter().map(|policy| {
        let seconds = int(policy, &["periodSeconds"]);
        let began =
            current - history.change_since(now, seconds, true) + history.change_since(now, seconds, false);
        let value = int(policy, &["value"]);
        let by = if policy.str_at(&["type"]) == Some("Percent") {
            // Upward the result is rounded up, downward too: fewer go.
            if up { (began * value + 99) / 100 } else { began * value / 100 }
        } else {
            value
        };
        if up { began + by } else { began - by }
    });
    let furthest = (select == "Max") == up;
    let found = if furthest { proposed.max() } else { proposed.min() };
    found.unwrap_or(if up { i64::MAX } else { 0 })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn scaler(behavior: &str) -> Value {
        value(&format!(
            r#"{{"spec":{{"minReplicas":1,"maxReplicas":10,"behavior":{behavior},"metrics":[
                {{"type":"Resource","resource":{{"name":"cpu","target":{{"type":"Utilization","averageUtilization":50}}}}}}]}}}}"#
        ))
    }

    fn proposal(cpu: &str) -> Proposal {
        let usages = Metrics::default();
        usages.set_json(&value(&format!(r#"{{"namespace":"n","name":"web","cpu":"{cpu}"}}"#))).unwrap();
        let pod = |index: usize| {
            value(&format!(
                r#"{{"metadata":{{"name":"web-{index}","namespace":"n"}},
                    "spec":{{"containers":[{{"name":"a","resources":{{"requests":{{"cpu":"200m"}}}}}}]}},
                    "status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"True"}}]}}}}"#
            ))
        };
        let pods = [pod(0), pod(1)];
        propose(&scaler("{}"), &[&pods[0], &pods[1]], 2, &usages).unwrap().unwrap()
    }

    #[test]
    fn the_number_follows_from_the_share_of_what_was_asked_for() {
        for (cpu, wanted, percent) in [("100m", 2, 50), ("105m", 2, 52), ("200m", 4, 100), ("20m", 1, 10)] {
            let proposal = proposal(cpu);
            let told = proposal.current[0].int_at(&["resource", "current", "averageUtilization"]);
            assert_eq!((proposal.replicas, told), (wanted, Some(percent)), "{cpu}");
        }
    }

    #[test]
    fn what_was_not_asked_for_has_no_share() {
        let usages = Metrics::default();
        usages.set_json(&value(r#"{"namespace":"n","name":"web","cpu":"1"}"#)).unwrap();
        let pod = value(
            r#"{"metadata":{"name":"web-0","namespace":"n"},"spec":{"containers":[{"name":"a"}]},
            "status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}"#,
        );
        let why = propose(&scaler("{}"), &[&pod], 1, &usages).unwrap().unwrap_err();
        let message = "failed to get cpu utilization: missing request for cpu in container a of Pod web-0";
        assert_eq!((why.reason, why.message.as_str()), ("FailedGetResourceMetric", message));
        let first =
            "invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: ";
        assert_eq!(why.computed, format!("{first}{message}"));
    }

    #[test]
    fn fewer_pods_are_waited_for_and_more_come_at_a_limited_rate() {
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let plain = value(r#"{"spec":{"minReplicas":1,"maxReplicas":10}}"#);
        let mut history = History::default();
        let up = decide(&plain, 2, 9, &mut history, at(0));
        assert_eq!((up.replicas, up.limited.1), (4, "ScaleUpLimit"));
        let held = decide(&plain, 9, 2, &mut history, at(60));
        assert_eq!((held.replicas, held.able.0), (9, "ScaleDownStabilized"));
        let down = decide(&plain, 9, 2, &mut history, at(301));
        assert_eq!((down.replicas, down.able.0), (2, "ReadyForNewScale"));
        let most = decide(&plain, 8, 20, &mut History::default(), at(0));
        assert_eq!((most.replicas, most.limited.1), (10, "TooManyReplicas"));
        let slow = scaler(
            r#"{"scaleDown":{"stabilizationWindowSeconds":0,"policies":[{"type":"Pods","value":1,"periodSeconds":60}]}}"#,
        );
        let one = decide(&slow, 5, 1, &mut History::default(), at(0));
        assert_eq!((one.replicas, one.limited.1), (4, "ScaleDownLimit"));
    }
}
