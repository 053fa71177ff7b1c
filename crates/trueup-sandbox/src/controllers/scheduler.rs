//! The scheduler: pods that wait for a node get the one that there is, unless it takes none.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::{Timestamp, Value};

use super::events::SCHEDULER;
use super::objects::{self, Condition, PODS, Step, condition, text};
use super::volumes::Wait;
use crate::fates::Fate;

/// Binds a pod that waits to a node that takes it, or says that there is none; nothing where it does not wait. `claims` says
/// what its claims have against a node.
pub fn reconcile(
    pod: &Value,
    nodes: &[Arc<Value>],
    fate: Option<Fate>,
    claims: impl FnOnce(Option<&str>) -> Option<Wait>,
    now: Timestamp,
) -> Option<Vec<Step>> {
    let waits = pod.str_at(&["spec", "nodeName"]).is_none_or(str::is_empty)
        && pod.str_at(&["status", "phase"]) == Some("Pending")
        && pod.list_at(&["spec", "schedulingGates"]).is_empty();
    if !waits || objects::is_deleting(pod) {
        return None;
    }
    let open = fate != Some(Fate::Unschedulable);
    let node = nodes.iter().find(|node| open && takes(node, pod)).map(|node| text(node, "name"));
    let refused = |message: String| refused(pod, &message, now).into_iter().collect();
    let total = nodes.len();
    Some(match (claims(node), node) {
        (Some(Wait::For(why)), _) => refused(format!("0/{total} nodes are available: {why}. not found")),
        (Some(Wait::NoVolume), Some(_)) => {
            let why = format!("{total} node(s) didn't find available persistent volumes to bind");
            refused(unavailable(total, &why))
        }
        (Some(Wait::Steps(steps)), Some(_)) => steps,
        (None, Some(node)) => vec![Step::Bind { pod: pod.clone(), node: node.to_owned() }],
        (None | Some(Wait::NoVolume | Wait::Steps(_)), None) => refused(why_not(pod, nodes)),
    })
}

/// What the scheduler writes about a pod that no node takes.
fn refused(pod: &Value, message: &str, now: Timestamp) -> Option<Step> {
    let conditions = pod.list_at(&["status", "conditions"]);
    let known = condition(conditions, "PodScheduled");
    if known.is_some_and(|known| known.str_at(&["message"]) == Some(message)) {
        return None;
    }
    let since = known
        .filter(|known| known.str_at(&["status"]) == Some("False"))
        .and_then(|known| known.get("lastTransitionTime"))
        .cloned();
    let unable = Condition { kind: "PodScheduled", status: "False", reason: "Unschedulable", message };
    let mut value = unable.to_value(now);
    value.set_at(&["lastProbeTime"], Value::Null);
    if let Some(generation) = pod.at(&["metadata", "generation"]) {
        value.set_at(&["observedGeneration"], generation.clone());
    }
    if let Some(since) = since {
        value.set_at(&["lastTransitionTime"], since);
    }
    let others = conditions.iter().filter(|other| other.str_at(&["type"]) != Some("PodScheduled"));
    let all = others.cloned().chain([value]).collect();
    let mut changed = pod.clone();
    changed.set_at(&["status", "conditions"], Value::List(all));
    Some(Step::Update { resource: PODS, object: changed, manager: SCHEDULER, subresource: Some("status") })
}

/// How many nodes say no, and why, in the scheduler's words.
fn why_not(pod: &Value, nodes: &[Arc<Value>]) -> String {
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for node in nodes {
        *reasons.entry(why_not_on(node, pod)).or_default() += 1;
    }
    if reasons.is_empty() {
        return "no nodes available to schedule pods".to_owned();
    }
    let listed: Vec<String> = reasons.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    unavailable(nodes.len(), &listed.join(", "))
}

fn unavailable(total: usize, why: &str) -> String {
    format!(
        "0/{total} nodes are available: {why}. no new claims to deallocate, preemption: 0/{total} nodes are available: \
         {total} Preemption is not helpful for scheduling."
    )
}

fn why_not_on(node: &Value, pod: &Value) -> String {
    let closed = is_closed(node, pod);
    let taints = node.list_at(&["spec", "taints"]).iter();
    let mut repels = taints.filter(|taint| taint.str_at(&["effect"]) != Some("PreferNoSchedule"));
    if closed {
        return "node(s) were unschedulable".to_owned();
    }
    if repels.any(|taint| !is_tolerated(pod, taint)) {
        return "node(s) had untolerated taint(s)".to_owned();
    }
    if !selects(node, pod) {
        return "node(s) didn't match Pod's node affinity/selector".to_owned();
    }
    "Insufficient cpu".to_owned()
}

/// Whether a node takes no pods but those that bear it.
fn is_closed(node: &Value, pod: &Value) -> bool {
    let mut taint = Value::default();
    taint.set_at(&["key"], "node.kubernetes.io/unschedulable".into());
    taint.set_at(&["effect"], "NoSchedule".into());
    node.at(&["spec", "unschedulable"]).and_then(Value::as_bool) == Some(true) && !is_tolerated(pod, &taint)
}

fn takes(node: &Value, pod: &Value) -> bool {
    let closed = is_closed(node, pod);
    let selected = selects(node, pod);
    let taints = node.list_at(&["spec", "taints"]).iter();
    let mut repels = taints.filter(|taint| taint.str_at(&["effect"]) != Some("PreferNoSchedule"));
    !closed && selected && repels.all(|taint| is_tolerated(pod, taint)) && !objects::is_deleting(node)
}

/// Whether a node is one of those that a pod's selector and required affinity name.
pub fn selects(node: &Value, pod: &Value) -> bool {
    let labels = pod.at(&["spec", "nodeSelector"]).and_then(Value::as_map).is_none_or(|wanted| {
        wanted.iter().all(|(key, value)| node.at(&["metadata", "labels", key]) == Some(value))
    });
    let required = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = pod.at(&required).map(|required| required.list_at(&["nodeSelectorTerms"]));
    labels && terms.is_none_or(|terms| terms.iter().any(|term| fits_term(node, term)))
}

fn fits_term(node: &Value, term: &Value) -> bool {
    let label = |key: &str| node.at(&["metadata", "labels", key]).and_then(Value::as_str);
    let fits = |expression: &Value, found: Option<&str>| {
        let values = expression.list_at(&["values"]);
        let listed = |text: &str| values.iter().any(|value| value.as_str() == Some(text));
        let number = |text: &str| text.parse::<i64>().ok();
        let bound = values.first().and_then(Value::as_str).and_then(number);
        match expression.str_at(&["operator"]) {
            Some("In") => found.is_some_and(listed),
            Some("NotIn") => !found.is_some_and(listed),
            Some("Exists") => found.is_some(),
            Some("DoesNotExist") => found.is_none(),
            Some("Gt") => found.and_then(number).zip(bound).is_some_and(|(found, bound)| found > bound),
            Some("Lt") => found.and_then(number).zip(bound).is_some_and(|(found, bound)| found < bound),
            Some(_) | None => false,
        }
    };
    let (expressions, fields) = (term.list_at(&["matchExpressions"]), term.list_at(&["matchFields"]));
    // A term that says nothing fits nothing.
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|it| fits(it, label(it.str_at(&["key"]).unwrap_or_default())))
        && fields.iter().all(|it| fits(it, Some(text(node, "name"))))
}

/// Whether a pod bears all of a node's taints of these effects.
pub fn tolerates(node: &Value, pod: &Value, effects: &[&str]) -> bool {
    let taints = node.list_at(&["spec", "taints"]).iter();
    let mut hard = taints.filter(|taint| taint.str_at(&["effect"]).is_some_and(|it| effects.contains(&it)));
    hard.all(|taint| is_tolerated(pod, taint))
}

/// Whether one of a pod's tolerations is for a taint.
fn is_tolerated(pod: &Value, taint: &Value) -> bool {
    pod.list_at(&["spec", "tolerations"]).iter().any(|toleration| {
        let part = |key: &str| toleration.str_at(&[key]).unwrap_or_default();
        let of = |key: &str| taint.str_at(&[key]).unwrap_or_default();
        let exists = part("operator") == "Exists";
        (part("effect").is_empty() || part("effect") == of("effect"))
            && (part("key") == of("key") || (exists && part("key").is_empty()))
            && (exists || part("value") == of("value"))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn bound(node: &str, pod: &str) -> bool {
        let nodes = [Arc::new(value(node))];
        let steps = reconcile(&value(pod), &nodes, None, |_| None, Timestamp::UNIX_EPOCH).unwrap_or_default();
        steps.iter().any(|step| matches!(step, Step::Bind { .. }))
    }

    #[test]
    fn a_waiting_pod_gets_a_node_that_takes_it() {
        let pod = r#"{"metadata":{"name":"p"},"spec":{},"status":{"phase":"Pending"}}"#;
        assert!(bound(r#"{"metadata":{"name":"n"}}"#, pod));
        assert!(!bound(r#"{"metadata":{"name":"n"},"spec":{"unschedulable":true}}"#, pod));
        let tainted =
            r#"{"metadata":{"name":"n"},"spec":{"taints":[{"key":"a","value":"b","effect":"NoSchedule"}]}}"#;
        assert!(!bound(tainted, pod));
        let tolerant = r#"{"metadata":{"name":"p"},"status":{"phase":"Pending"},
            "spec":{"tolerations":[{"key":"a","operator":"Equal","value":"b"}]}}"#;
        assert!(bound(tainted, tolerant));
        let picky = r#"{"metadata":{"name":"p"},"spec":{"nodeSelector":{"disk":"ssd"}},"status":{"phase":"Pending"}}"#;
        assert!(!bound(r#"{"metadata":{"name":"n"}}"#, picky));
        assert!(bound(r#"{"metadata":{"name":"n","labels":{"disk":"ssd"}}}"#, picky));
    }

    #[test]
    fn a_bound_or_gated_pod_is_left_alone() {
        let node = r#"{"metadata":{"name":"n"}}"#;
        for spec in [r#"{"nodeName":"m"}"#, r#"{"schedulingGates":[{"name":"g"}]}"#] {
            assert!(!bound(node, &format!(r#"{{"spec":{spec},"status":{{"phase":"Pending"}}}}"#)));
        }
    }
}
