//! The scheduler: pods that wait for a node get one that takes them and has room, as they and it say.
//!
//! As `k8s.io/kubernetes/pkg/scheduler` filters nodes, plugin by plugin; of those that are left the one with the fewest pods is
//! taken, and nobody is put out for anybody.

mod company;
mod room;

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::{Timestamp, Value};

use super::events::SCHEDULER;
use super::objects::{self, Condition, PODS, Step, condition, text};
use super::volumes::Wait;
use crate::fates::Fate;
use company::Around;

pub use company::is_choosy;
pub use room::Room;

/// The scheduler that there is. Pods that name another one are left to it.
const OWN: &str = "default-scheduler";

/// What there is for a pod that waits.
pub struct Found<'a> {
    pub nodes: &'a [Arc<Value>],
    pub room: &'a Room,
    /// All pods.
    pub pods: &'a dyn Fn() -> Vec<Arc<Value>>,
    /// The pods that keep others away.
    pub lone: &'a dyn Fn() -> Vec<Arc<Value>>,
    pub namespaces: &'a dyn Fn(&str) -> Option<Arc<Value>>,
}

/// Why a node does not take a pod.
struct Against {
    whys: Vec<String>,
    /// Whether it would, were some of the pods there not.
    is_full: bool,
}

impl Against {
    fn of(why: &str) -> Self {
        Self { whys: vec![why.to_owned()], is_full: false }
    }
}

/// Whether a pod waits for a node, and for this scheduler to find it.
pub fn waits(pod: &Value) -> bool {
    let own = pod.str_at(&["spec", "schedulerName"]).is_none_or(|name| name.is_empty() || name == OWN);
    own && pod.str_at(&["spec", "nodeName"]).is_none_or(str::is_empty)
        && pod.str_at(&["status", "phase"]) == Some("Pending")
        && pod.list_at(&["spec", "schedulingGates"]).is_empty()
        && !objects::is_deleting(pod)
}

/// Binds a pod that waits to a node that takes it, the one with the fewest pods, or says that there is none; nothing where it does
/// not wait. `claims` says what its claims have against a node.
pub fn reconcile(
    pod: &Value,
    found: &Found<'_>,
    fate: Option<Fate>,
    claims: impl FnOnce(Option<&str>) -> Option<Wait>,
    now: Timestamp,
) -> Option<Vec<Step>> {
    if !waits(pod) {
        return None;
    }
    let nodes = found.nodes;
    let pods = if is_choosy(pod) { (found.pods)() } else { (found.lone)() };
    let around = Around { nodes, pods: &pods, namespaces: found.namespaces };
    let judged: Vec<(&Value, Option<Against>)> = nodes
        .iter()
        .map(|node| {
            let against = against(node, pod, found, &around);
            let kept = (fate == Some(Fate::Unschedulable)).then(|| Against::of("Insufficient cpu"));
            (node.as_ref(), against.or(kept))
        })
        .collect();
    let open = judged.iter().filter(|(_, against)| against.is_none()).map(|(node, _)| text(node, "name"));
    let node = open.min_by_key(|node| found.room.n_pods(node));
    let refused = |message: String| refused(pod, &message, now).into_iter().collect();
    let total = nodes.len();
    Some(match (claims(node), node) {
        (Some(Wait::For(why)), _) => refused(format!("0/{total} nodes are available: {why}. not found")),
        (Some(Wait::NoVolume), Some(_)) => {
            let why = format!("{total} node(s) didn't find available persistent volumes to bind");
            refused(unavailable(pod, total, &why, 0))
        }
        (Some(Wait::Steps(steps)), Some(_)) => steps,
        (None, Some(node)) => vec![Step::Bind { pod: pod.clone(), node: node.to_owned() }],
        (None | Some(Wait::NoVolume | Wait::Steps(_)), None) => {
            let against: Vec<Against> = judged.into_iter().filter_map(|(_, against)| against).collect();
            refused(why_not(pod, &against))
        }
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
fn why_not(pod: &Value, against: &[Against]) -> String {
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for why in against.iter().flat_map(|against| &against.whys) {
        *reasons.entry(why).or_default() += 1;
    }
    if reasons.is_empty() {
        return "no nodes available to schedule pods".to_owned();
    }
    let n_full = against.iter().filter(|against| against.is_full).count();
    unavailable(pod, against.len(), &listed(reasons), n_full)
}

fn listed<'a>(reasons: impl IntoIterator<Item = (&'a str, usize)>) -> String {
    let mut listed: Vec<String> =
        reasons.into_iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    listed.sort();
    listed.join(", ")
}

/// Nobody is put out for a pod, and it is told as where there is nobody of less importance.
fn unavailable(pod: &Value, total: usize, why: &str, n_full: usize) -> String {
    let preemption = if pod.str_at(&["spec", "preemptionPolicy"]) == Some("Never") {
        "not eligible due to preemptionPolicy=Never.".to_owned()
    } else {
        let reasons = [
            ("No preemption victims found for incoming pod", n_full),
            ("Preemption is not helpful for scheduling", total - n_full),
        ];
        let reasons = listed(reasons.into_iter().filter(|(_, count)| *count > 0));
        format!("0/{total} nodes are available: {reasons}.")
    };
    format!("0/{total} nodes are available: {why}. no new claims to deallocate, preemption: {preemption}")
}

/// What a node has against a pod: the first of those who are asked in the real order.
fn against(node: &Value, pod: &Value, found: &Found<'_>, around: &Around<'_>) -> Option<Against> {
    if !is_named(node, pod) {
        return Some(Against::of("node(s) didn't satisfy plugin(s) [NodeAffinity]"));
    }
    if is_closed(node, pod) || objects::is_deleting(node) {
        return Some(Against::of("node(s) were unschedulable"));
    }
    if !tolerates(node, pod, &["NoSchedule", "NoExecute"]) {
        return Some(Against::of("node(s) had untolerated taint(s)"));
    }
    if !selects(node, pod) {
        return Some(Against::of("node(s) didn't match Pod's node affinity/selector"));
    }
    if room::wants_ports(pod) && room::ports_collide(pod, text(node, "name"), &(found.pods)()) {
        let why = "node(s) didn't have free ports for the requested pod ports";
        return Some(Against { is_full: true, ..Against::of(why) });
    }
    let missing = found.room.missing(node, pod);
    if !missing.is_empty() {
        let is_full = missing.iter().all(|(_, alone)| !alone);
        return Some(Against { whys: missing.into_iter().map(|(why, _)| why).collect(), is_full });
    }
    let (why, is_full) = company::against(node, pod, around)?;
    Some(Against { is_full, ..Against::of(why) })
}

/// Whether a node is among those that a pod names, as the pods of daemon sets do.
fn is_named(node: &Value, pod: &Value) -> bool {
    let required = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
    let terms = pod.at(&required).map(|it| it.list_at(&["nodeSelectorTerms"])).unwrap_or_default();
    let name: Value = text(node, "name").into();
    let names = |term: &Value| {
        let mut fields = term.list_at(&["matchFields"]).iter();
        fields
            .find(|field| field.str_at(&["operator"]) == Some("In"))
            .map(|it| it.list_at(&["values"]).to_vec())
    };
    terms.is_empty() || terms.iter().any(|term| names(term).is_none_or(|names| names.contains(&name)))
}

/// Whether a node takes no pods but those that bear it.
fn is_closed(node: &Value, pod: &Value) -> bool {
    let mut taint = Value::default();
    taint.set_at(&["key"], "node.kubernetes.io/unschedulable".into());
    taint.set_at(&["effect"], "NoSchedule".into());
    node.at(&["spec", "unschedulable"]).and_then(Value::as_bool) == Some(true) && !is_tolerated(pod, &taint)
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

/// Whether a toleration is for a taint.
pub fn is_for(toleration: &Value, taint: &Value) -> bool {
    let part = |key: &str| toleration.str_at(&[key]).unwrap_or_default();
    let of = |key: &str| taint.str_at(&[key]).unwrap_or_default();
    let exists = part("operator") == "Exists";
    (part("effect").is_empty() || part("effect") == of("effect"))
        && (part("key") == of("key") || (exists && part("key").is_empty()))
        && (exists || part("value") == of("value"))
}

/// Whether one of a pod's tolerations is for a taint.
fn is_tolerated(pod: &Value, taint: &Value) -> bool {
    pod.list_at(&["spec", "tolerations"]).iter().any(|toleration| is_for(toleration, taint))
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
        let (room, nobody) = (Room::default(), Vec::new);
        let found = Found { nodes: &nodes, room: &room, pods: &nobody, lone: &nobody, namespaces: &|_| None };
        let steps = reconcile(&value(pod), &found, None, |_| None, Timestamp::UNIX_EPOCH).unwrap_or_default();
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
    fn a_bound_or_gated_pod_and_one_of_another_scheduler_are_left_alone() {
        let node = r#"{"metadata":{"name":"n"}}"#;
        for spec in
            [r#"{"nodeName":"m"}"#, r#"{"schedulingGates":[{"name":"g"}]}"#, r#"{"schedulerName":"mine"}"#]
        {
            assert!(!bound(node, &format!(r#"{{"spec":{spec},"status":{{"phase":"Pending"}}}}"#)));
        }
    }
}
