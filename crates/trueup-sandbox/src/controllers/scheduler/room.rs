//! What the pods on each node take of it: what they asked for, and who of them wants to be alone.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trueup_object::Value;

use crate::amount::{Amount, Amounts, add, amounts, of_pod};
use crate::controllers::objects::text;
use crate::state::Name;

/// What is taken of one node.
#[derive(Debug, Default)]
struct Taken {
    amounts: Amounts,
    n_pods: usize,
}

/// What is taken of all nodes, kept up to date by what changes.
#[derive(Debug, Default)]
pub struct Room {
    nodes: BTreeMap<String, Taken>,
    /// Pods on nodes that keep others away.
    lone: BTreeSet<Name>,
}

/// The node on which a pod takes room: one that has ended takes none.
fn place(pod: &Value) -> Option<&str> {
    let node = pod.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty())?;
    let ended = matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"));
    (!ended).then_some(node)
}

/// What a pod asks a node for.
fn asked(pod: &Value) -> Amounts {
    let mut asked = of_pod(pod, "requests");
    add(&mut asked, &amounts(pod.at(&["spec", "overhead"])));
    asked
}

/// The terms by which a pod keeps others away.
pub fn anti_affinity(pod: &Value) -> &[Value] {
    let path = ["spec", "affinity", "podAntiAffinity"];
    pod.at(&path)
        .map(|it| it.list_at(&["requiredDuringSchedulingIgnoredDuringExecution"]))
        .unwrap_or_default()
}

impl Room {
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// A pod as it was and as it is; neither where it was not there yet or is gone.
    ///
    /// Says whether something became free by it.
    pub fn follow(&mut self, before: Option<&Value>, after: Option<&Value>) -> bool {
        let of = |pod: Option<&Value>| pod.and_then(place).map(str::to_owned);
        let generation = |pod: Option<&Value>| pod.and_then(|pod| pod.int_at(&["metadata", "generation"]));
        let uid = |pod: Option<&Value>| pod.map(|pod| text(pod, "uid").to_owned());
        let (was, is) = (of(before), of(after));
        if was == is && generation(before) == generation(after) && uid(before) == uid(after) {
            return false;
        }
        let frees = was.is_some();
        if let (Some(node), Some(pod)) = (was, before) {
            if let Some(taken) = self.nodes.get_mut(&node) {
                taken.n_pods = taken.n_pods.saturating_sub(1);
                for (name, amount) in asked(pod) {
                    if let Some(sum) = taken.amounts.get_mut(&name) {
                        *sum = sum.minus(&amount);
                    }
                }
            }
            self.lone.remove(&Name::new(text(pod, "namespace"), text(pod, "name")));
        }
        if let (Some(node), Some(pod)) = (is, after) {
            let taken = self.nodes.entry(node).or_default();
            taken.n_pods += 1;
            add(&mut taken.amounts, &asked(pod));
            if !anti_affinity(pod).is_empty() {
                self.lone.insert(Name::new(text(pod, "namespace"), text(pod, "name")));
            }
        }
        frees
    }

    pub fn n_pods(&self, node: &str) -> usize {
        self.nodes.get(node).map_or(0, |taken| taken.n_pods)
    }

    pub fn lone(&self) -> impl Iterator<Item = &Name> {
        self.lone.iter()
    }

    /// What a node has too little of for a pod, in the scheduler's words, and whether it would be too little on an empty node.
    pub fn missing(&self, node: &Value, pod: &Value) -> Vec<(String, bool)> {
        let has = amounts(node.at(&["status", "allocatable"]));
        // A node of which nobody says what it has takes whatever comes.
        if has.is_empty() {
            return Vec::new();
        }
        let none = Taken::default();
        let taken = self.nodes.get(text(node, "name")).unwrap_or(&none);
        let mut missing = Vec::new();
        let one_more = Amount::count(taken.n_pods + 1);
        if has.get("pods").is_some_and(|most| one_more.exceeds(most)) {
            missing.push(("Too many pods".to_owned(), false));
        }
        let nothing = Amount::default();
        for (name, wanted) in asked(pod).iter().filter(|(_, wanted)| !wanted.is_zero()) {
            let all = has.get(name).unwrap_or(&nothing);
            let sum = taken.amounts.get(name).unwrap_or(&nothing).plus(wanted);
            if sum.exceeds(all) {
                missing.push((format!("Insufficient {name}"), wanted.exceeds(all)));
            }
        }
        missing
    }
}

/// Whether a pod wants ports of its node.
pub fn wants_ports(pod: &Value) -> bool {
    !host_ports(pod).is_empty()
}

/// Whether a port of the node that a pod wants is taken by one of the pods there.
pub fn ports_collide(pod: &Value, node: &str, pods: &[Arc<Value>]) -> bool {
    let wanted = host_ports(pod);
    if wanted.is_empty() {
        return false;
    }
    let here = pods.iter().filter(|other| place(other) == Some(node));
    here.flat_map(|other| host_ports(other)).any(|(ip, protocol, port)| {
        let any = |ip: &str| ip.is_empty() || ip == "0.0.0.0";
        wanted.iter().any(|(own, own_protocol, own_port)| {
            port == *own_port && protocol == *own_protocol && (ip == *own || any(ip) || any(own))
        })
    })
}

/// The ports of the node that a pod has: address, protocol and number.
fn host_ports(pod: &Value) -> Vec<(&str, &str, i64)> {
    let stays = |container: &&Value| container.str_at(&["restartPolicy"]) == Some("Always");
    let containers = pod.list_at(&["spec", "containers"]).iter();
    let all = containers.chain(pod.list_at(&["spec", "initContainers"]).iter().filter(stays));
    let ports = all.flat_map(|container| container.list_at(&["ports"]));
    ports
        .filter_map(|port| {
            let number = port.int_at(&["hostPort"]).filter(|number| *number > 0)?;
            let part = |key: &str| port.str_at(&[key]).unwrap_or_default();
            let protocol = if part("protocol").is_empty() { "TCP" } else { part("protocol") };
            Some((part("hostIP"), protocol, number))
        })
        .collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn pod(node: &str, cpu: &str, phase: &str) -> Value {
        let text = format!(
            r#"{{"metadata":{{"name":"p","namespace":"n","uid":"u"}},"status":{{"phase":"{phase}"}},
            "spec":{{"nodeName":"{node}","containers":[{{"name":"a","resources":{{"requests":{{"cpu":"{cpu}"}}}},
            "ports":[{{"hostPort":80}}]}}]}}}}"#
        );
        Value::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_pods_take_is_missing_until_they_end() {
        let node = br#"{"metadata":{"name":"a"},"status":{"allocatable":{"cpu":"2","pods":"2"}}}"#;
        let node = Value::from_json(node).unwrap();
        let mut room = Room::default();
        let first = pod("a", "1500m", "Running");
        room.follow(None, Some(&first));
        assert_eq!(room.missing(&node, &pod("", "500m", "Pending")), []);
        let cpu = |alone| vec![("Insufficient cpu".to_owned(), alone)];
        assert_eq!(room.missing(&node, &pod("", "501m", "Pending")), cpu(false));
        assert_eq!(room.missing(&node, &pod("", "3", "Pending")), cpu(true));
        let ended = pod("a", "1500m", "Succeeded");
        room.follow(Some(&first), Some(&ended));
        assert_eq!(room.missing(&node, &pod("", "2", "Pending")), []);
        room.follow(Some(&ended), None);
        for _ in 0..2 {
            room.follow(None, Some(&pod("a", "0", "Running")));
        }
        assert_eq!(room.missing(&node, &pod("", "0", "Pending")), [("Too many pods".to_owned(), false)]);
    }

    #[test]
    fn a_port_of_a_node_is_for_one_pod() {
        let there = [Arc::new(pod("a", "0", "Running"))];
        assert!(ports_collide(&pod("", "0", "Pending"), "a", &there));
        assert!(!ports_collide(&pod("", "0", "Pending"), "b", &there));
        let ended = [Arc::new(pod("a", "0", "Failed"))];
        assert!(!ports_collide(&pod("", "0", "Pending"), "a", &ended));
    }
}
