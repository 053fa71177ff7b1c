//! Daemon sets: a pod on every node that their template fits.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{
    self, DAEMON_SETS, PODS, Step, annotation, content_hash, count, int, is_available, is_ready, set_count,
    text,
};
use super::replica_set::is_active;
use super::revision::{self, Style};
use super::scheduler;

/// How many pods are made at once, as the real controller does; the next ones follow.
const N_AT_ONCE: usize = 250;

const HASH: &str = "controller-revision-hash";
const STYLE: Style = Style { resource: DAEMON_SETS, hash_label: HASH };
const GENERATION: &str = "pod-template-generation";

/// What the controller lets its pods bear (`AddOrUpdateDaemonPodTolerations`).
const TOLERATED: [(&str, &str); 6] = [
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
];

pub fn reconcile(
    set: &Value,
    pods: &[Arc<Value>],
    nodes: &[Arc<Value>],
    revisions: &[Arc<Value>],
    now: Timestamp,
) -> Vec<Step> {
    let hash = content_hash(&set.at(&["spec", "template"]).cloned().unwrap_or_default());
    let active: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| is_active(pod)).collect();
    let mut steps = revision::reconcile(set, revisions, &hash, &STYLE);
    let model = pod(set, "", &hash);
    let mut on_node: BTreeMap<&str, Vec<&Value>> = BTreeMap::new();
    for pod in &active {
        on_node.entry(node_of(pod)).or_default().push(pod);
    }
    let mut kept: Vec<&Value> = Vec::new();
    let mut n_begun = 0;
    for node in nodes {
        let name = text(node, "name");
        let here = on_node.remove(name).unwrap_or_default();
        if here.is_empty() && n_begun < N_AT_ONCE && may_begin(node, &model) {
            n_begun += 1;
            steps.push(Step::create(PODS, pod(set, name, &hash)));
        }
        if may_stay(node, &model) {
            kept.extend(here);
        } else {
            steps.extend(here.iter().map(|pod| Step::delete(PODS, pod)));
        }
    }
    // What is left is on nodes that are gone.
    steps.extend(on_node.values().flatten().map(|pod| Step::delete(PODS, pod)));
    steps.extend(outdated(set, &kept, &hash, nodes).into_iter().map(|pod| Step::delete(PODS, pod)));
    let mut status = status(set, &active, nodes, &model, &hash);
    count_available(&mut status, set, &active, now);
    steps.extend(Step::status(DAEMON_SETS, set, status));
    steps
}

/// The node that a pod is on, or for which it waits.
fn node_of(pod: &Value) -> &str {
    if let Some(node) = pod.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty()) {
        return node;
    }
    let required = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
    let terms =
        pod.at(&required).map(|required| required.list_at(&["nodeSelectorTerms"])).unwrap_or_default();
    let fields = terms.iter().flat_map(|term| term.list_at(&["matchFields"]));
    let mut values = fields.flat_map(|field| field.list_at(&["values"])).filter_map(Value::as_str);
    values.next().unwrap_or_default()
}

/// Whether a pod of the template may be put on a node; one that is to be on any node has no affinity to one yet.
fn may_begin(node: &Value, model: &Value) -> bool {
    scheduler::selects(node, model)
        && scheduler::tolerates(node, model, &["NoSchedule", "NoExecute"])
        && !objects::is_deleting(node)
}

fn may_stay(node: &Value, model: &Value) -> bool {
    scheduler::selects(node, model) && scheduler::tolerates(node, model, &["NoExecute"])
}

fn is_updated(pod: &Value, hash: &str) -> bool {
    pod.str_at(&["metadata", "labels", HASH]) == Some(hash)
}

/// Pods of an earlier template that may be replaced now: those that are not ready, and as many others as may be missing.
fn outdated<'v>(set: &Value, pods: &[&'v Value], hash: &str, nodes: &[Arc<Value>]) -> Vec<&'v Value> {
    if set.str_at(&["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return Vec::new();
    }
    let all = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let path = ["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"];
    let most = match set.at(&path) {
        Some(Value::Str(text)) => {
            let percent: i64 = text.strip_suffix('%').and_then(|it| it.parse().ok()).unwrap_or_default();
            percent.saturating_mul(all).saturating_add(99) / 100
        }
        Some(value) => value.as_int().unwrap_or(1),
        None => 1,
    };
    let unready = count(pods.iter().copied(), |pod| !is_ready(pod));
    let missing = all - i64::try_from(pods.len()).unwrap_or_default();
    let mut room = most.max(1) - unready - missing.max(0);
    let old = pods.iter().copied().filter(|pod| !is_updated(pod, hash));
    old.filter(|pod| {
        if !is_ready(pod) {
            return true;
        }
        room -= 1;
        room >= 0
    })
    .collect()
}

/// A pod that only one node will do for; none in particular where no node is named.
fn pod(set: &Value, node: &str, hash: &str) -> Value {
    let mut pod = objects::pod(DAEMON_SETS, set, None);
    pod.set_at(&["metadata", "generateName"], format!("{}-", text(set, "name")).into());
    pod.set_at(&["metadata", "labels", HASH], hash.into());
    let generation = annotation(set, "deprecated.daemonset.template.generation");
    if !generation.is_empty() {
        pod.set_at(&["metadata", "labels", GENERATION], generation.into());
    }
    let host_network = pod.at(&["spec", "hostNetwork"]).and_then(Value::as_bool) == Some(true);
    let extra = host_network.then_some(("node.kubernetes.io/network-unavailable", "NoSchedule"));
    let mut tolerations = pod.list_at(&["spec", "tolerations"]).to_vec();
    for (key, effect) in TOLERATED.into_iter().chain(extra) {
        let mut toleration = Value::Map(Map::new());
        toleration.set_at(&["key"], key.into());
        toleration.set_at(&["operator"], "Exists".into());
        toleration.set_at(&["effect"], effect.into());
        if !tolerations.contains(&toleration) {
            tolerations.push(toleration);
        }
    }
    pod.set_at(&["spec", "tolerations"], Value::List(tolerations));
    if node.is_empty() {
        return pod;
    }
    let mut field = Value::Map(Map::new());
    field.set_at(&["key"], "metadata.name".into());
    field.set_at(&["operator"], "In".into());
    field.set_at(&["values"], Value::List(vec![node.into()]));
    let required = ["spec", "affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"];
    let mut terms =
        pod.at(&required).map(|it| it.list_at(&["nodeSelectorTerms"]).to_vec()).unwrap_or_default();
    if terms.is_empty() {
        terms.push(Value::Map(Map::new()));
    }
    for term in &mut terms {
        term.set_at(&["matchFields"], Value::List(vec![field.clone()]));
    }
    let mut path = required.to_vec();
    path.push("nodeSelectorTerms");
    pod.set_at(&path, Value::List(terms));
    pod
}

fn status(set: &Value, pods: &[&Value], nodes: &[Arc<Value>], model: &Value, hash: &str) -> Value {
    let mut status = set.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let wanted: Vec<&str> =
        nodes.iter().filter(|node| may_begin(node, model)).map(|node| text(node, "name")).collect();
    let right: Vec<&Value> = pods.iter().copied().filter(|pod| wanted.contains(&node_of(pod))).collect();
    let on_right: std::collections::BTreeSet<&str> = right.iter().map(|pod| node_of(pod)).collect();
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let (desired, scheduled) = (number(wanted.len()), number(on_right.len()));
    let ready = count(right.iter().copied(), is_ready);
    status.set_at(&["currentNumberScheduled"], scheduled.into());
    status.set_at(&["desiredNumberScheduled"], desired.into());
    status.set_at(&["numberMisscheduled"], (number(pods.len()) - number(right.len())).into());
    status.set_at(&["numberReady"], ready.into());
    let updated = count(right.iter().copied(), |pod| is_updated(pod, hash));
    set_count(&mut status, "updatedNumberScheduled", updated);
    status.set_at(&["observedGeneration"], int(set, &["metadata", "generation"]).into());
    status
}

/// Those that have been ready for long enough, of the pods that are where they should be.
fn count_available(status: &mut Value, set: &Value, pods: &[&Value], now: Timestamp) {
    let seconds = int(set, &["spec", "minReadySeconds"]);
    let all = count(pods.iter().copied(), |pod| is_available(pod, seconds, now));
    // Pods on nodes where they should not be are about to go.
    let available = all.min(int(status, &["numberReady"]));
    set_count(status, "numberAvailable", available);
    let missing = int(status, &["desiredNumberScheduled"]) - available;
    set_count(status, "numberUnavailable", missing.max(0));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Arc<Value> {
        Arc::new(Value::from_json(json.as_bytes()).unwrap())
    }

    fn created_on(set: &str, nodes: &[Arc<Value>]) -> Vec<String> {
        let steps = reconcile(&value(set), &[], nodes, &[], Timestamp::UNIX_EPOCH);
        let pods = steps.iter().filter_map(|step| match step {
            Step::Create { resource, object, .. } if *resource == PODS => Some(node_of(object).to_owned()),
            _ => None,
        });
        pods.collect()
    }

    #[test]
    fn every_node_that_fits_gets_a_pod() {
        let nodes = [
            value(r#"{"metadata":{"name":"a","labels":{"disk":"ssd"}}}"#),
            value(r#"{"metadata":{"name":"b"}}"#),
            value(
                r#"{"metadata":{"name":"c"},"spec":{"unschedulable":true,"taints":[{"key":"node.kubernetes.io/unschedulable","effect":"NoSchedule"}]}}"#,
            ),
            value(r#"{"metadata":{"name":"d"},"spec":{"taints":[{"key":"mine","effect":"NoSchedule"}]}}"#),
        ];
        let of = |spec: &str| {
            created_on(
                &format!(r#"{{"metadata":{{"name":"s"}},"spec":{{"template":{{"spec":{spec}}}}}}}"#),
                &nodes,
            )
        };
        assert_eq!(of("{}"), ["a", "b", "c"]);
        assert_eq!(of(r#"{"nodeSelector":{"disk":"ssd"}}"#), ["a"]);
        assert_eq!(of(r#"{"tolerations":[{"operator":"Exists"}]}"#), ["a", "b", "c", "d"]);
        let affinity = r#"{"affinity":{"nodeAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":{"nodeSelectorTerms":[
            {"matchExpressions":[{"key":"disk","operator":"DoesNotExist"}]}]}}}}"#;
        assert_eq!(of(affinity), ["b", "c"]);
    }

    /// How many pods of an older template are replaced at once.
    fn replaced(strategy: &str, n_ready: usize) -> usize {
        let set = value(&format!(
            r#"{{"metadata":{{"name":"s"}},"spec":{{"updateStrategy":{strategy},"template":{{"spec":{{}}}}}}}}"#
        ));
        let names = ["a", "b", "c", "d"];
        let nodes = names.map(|name| value(&format!(r#"{{"metadata":{{"name":"{name}"}}}}"#)));
        let pods: Vec<Arc<Value>> = names
            .iter()
            .enumerate()
            .map(|(index, name)| {
                let ready = if index < n_ready { "True" } else { "False" };
                value(&format!(
                    r#"{{"metadata":{{"name":"p-{name}","labels":{{"controller-revision-hash":"old"}}}},"spec":{{"nodeName":"{name}"}},
                        "status":{{"phase":"Running","conditions":[{{"type":"Ready","status":"{ready}"}}]}}}}"#
                ))
            })
            .collect();
        let steps = reconcile(&set, &pods, &nodes, &[], Timestamp::UNIX_EPOCH);
        steps.iter().filter(|step| matches!(step, Step::Delete { resource, .. } if *resource == PODS)).count()
    }

    #[test]
    fn as_many_are_replaced_at_once_as_may_be_missing() {
        let rolling =
            |most: &str| format!(r#"{{"type":"RollingUpdate","rollingUpdate":{{"maxUnavailable":{most}}}}}"#);
        assert_eq!(replaced(&rolling("1"), 4), 1);
        assert_eq!(replaced(&rolling("\"50%\""), 4), 2);
        // One that is not ready counts as missing, and is replaced in any case.
        assert_eq!(replaced(&rolling("2"), 3), 2);
        assert_eq!(replaced(r#"{"type":"OnDelete"}"#, 3), 0);
    }
}
