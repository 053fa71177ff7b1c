//! Daemon sets: a pod on every node that their template fits.

mod rolling;

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::events::Event;
use super::objects::{
    self, DAEMON_SETS, PODS, Step, annotation, content_hash, count, int, is_available, is_ready, set_count,
    text,
};
use super::revision::{self, Style};
use super::scheduler;
use rolling::OnNodes;

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
    let pods: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| !has_left(pod)).collect();
    let mut steps = revision::reconcile(set, revisions, &hash, &STYLE);
    let model = pod(set, "", &hash);
    let mut on_nodes = OnNodes::new();
    for pod in &pods {
        on_nodes.entry(node_of(pod)).or_default().push(pod);
    }
    let kept = placed(set, nodes, &on_nodes, (&model, &hash), now);
    let settled = kept.is_empty();
    steps.extend(kept);
    if settled {
        let wanted = nodes.iter().filter(|node| may_begin(node, &model)).count();
        let roll = rolling::roll(set, &on_nodes, wanted, &hash, now);
        steps.extend(roll.goes.into_iter().map(|pod| Step::delete(PODS, pod)));
        let begins = roll.begins.into_iter().take(N_AT_ONCE);
        steps.extend(begins.map(|node| Step::create(PODS, pod(set, node, &hash))));
    }
    let status = status(set, &on_nodes, nodes, (&model, &hash), now);
    steps.extend(Step::status(DAEMON_SETS, set, status));
    steps
}

/// A pod that has ended and is going: it holds its place no longer.
fn has_left(pod: &Value) -> bool {
    objects::is_deleting(pod) && has_ended(pod)
}

fn has_ended(pod: &Value) -> bool {
    matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"))
}

/// A pod on every node that should have one, and none elsewhere.
fn placed(
    set: &Value,
    nodes: &[Arc<Value>],
    on_nodes: &OnNodes<'_>,
    (model, hash): (&Value, &str),
    now: Timestamp,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut n_begun = 0;
    let mut elsewhere = on_nodes.clone();
    for node in nodes {
        let name = text(node, "name");
        let here = elsewhere.remove(name).unwrap_or_default();
        if here.is_empty() && n_begun < N_AT_ONCE && may_begin(node, model) {
            n_begun += 1;
            steps.push(Step::create(PODS, pod(set, name, hash)));
        }
        let (ended, run): (Vec<&Value>, Vec<&Value>) =
            here.into_iter().filter(|pod| !objects::is_deleting(pod)).partition(|pod| has_ended(pod));
        if may_stay(node, model) {
            steps.extend(
                ended.into_iter().flat_map(|pod| [told_ended(set, pod, name), Step::delete(PODS, pod)]),
            );
            let excess = rolling::excess(set, &run, hash, now);
            steps.extend(excess.into_iter().map(|pod| Step::delete(PODS, pod)));
        } else {
            steps.extend(run.iter().chain(&ended).map(|pod| Step::delete(PODS, pod)));
        }
    }
    // What is left is on nodes that are gone.
    let left = elsewhere.values().flatten().filter(|pod| !objects::is_deleting(pod));
    steps.extend(left.map(|pod| Step::delete(PODS, pod)));
    steps
}

/// What the controller tells of a pod that has ended, before it takes it away.
fn told_ended(set: &Value, pod: &Value, node: &str) -> Step {
    let failed = pod.str_at(&["status", "phase"]) == Some("Failed");
    let (reason, word, does) = if failed {
        ("FailedDaemonPod", "failed", "kill")
    } else {
        ("SucceededDaemonPod", "succeeded", "delete")
    };
    let whole = format!("{}/{}", text(pod, "namespace"), text(pod, "name"));
    let message = format!("Found {word} daemon pod {whole} on node {node}, will try to {does} it");
    Step::Tell(Event::told(set, DAEMON_SETS, "daemonset-controller", reason, message, failed))
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

/// The status: of each node the oldest of its pods counts.
fn status(
    set: &Value,
    on_nodes: &OnNodes<'_>,
    nodes: &[Arc<Value>],
    (model, hash): (&Value, &str),
    now: Timestamp,
) -> Value {
    let seconds = int(set, &["spec", "minReadySeconds"]);
    let (mut desired, mut misscheduled) = (0_i64, 0_i64);
    let mut first: Vec<&Value> = Vec::new();
    for node in nodes {
        let oldest = on_nodes
            .get(text(node, "name"))
            .and_then(|here| here.iter().min_by_key(|pod| rolling::by_age(pod)));
        if may_begin(node, model) {
            desired += 1;
            first.extend(oldest.copied());
        } else {
            misscheduled += i64::from(oldest.is_some());
        }
    }
    let of = |is: &dyn Fn(&Value) -> bool| count(first.iter().copied(), is);
    let available = of(&|pod| is_available(pod, seconds, now));
    let mut status = set.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    status.set_at(&["currentNumberScheduled"], of(&|_| true).into());
    status.set_at(&["desiredNumberScheduled"], desired.into());
    status.set_at(&["numberMisscheduled"], misscheduled.into());
    status.set_at(&["numberReady"], of(&is_ready).into());
    set_count(&mut status, "updatedNumberScheduled", of(&|pod| is_updated(pod, hash)));
    set_count(&mut status, "numberAvailable", available);
    set_count(&mut status, "numberUnavailable", (desired - available).max(0));
    status.set_at(&["observedGeneration"], int(set, &["metadata", "generation"]).into());
    status
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
