//! Which pods may be beside each other: required affinity, required anti-affinity and spreading.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::Value;

use super::room::anti_affinity;
use crate::controllers::objects::{is_deleting, text};
use crate::write::selector_matches;

/// What there is around a pod that waits.
pub struct Around<'a> {
    pub nodes: &'a [Arc<Value>],
    /// All pods, where the pod has rules about others; else those that have rules about it.
    pub pods: &'a [Arc<Value>],
    pub namespaces: &'a dyn Fn(&str) -> Option<Arc<Value>>,
}

fn affinity(pod: &Value) -> &[Value] {
    let path = ["spec", "affinity", "podAffinity"];
    pod.at(&path)
        .map(|it| it.list_at(&["requiredDuringSchedulingIgnoredDuringExecution"]))
        .unwrap_or_default()
}

fn spreads(pod: &Value) -> impl Iterator<Item = &Value> {
    let all = pod.list_at(&["spec", "topologySpreadConstraints"]).iter();
    all.filter(|it| it.str_at(&["whenUnsatisfiable"]) == Some("DoNotSchedule"))
}

/// Whether a pod has rules about all others.
pub fn is_choosy(pod: &Value) -> bool {
    !affinity(pod).is_empty() || !anti_affinity(pod).is_empty() || spreads(pod).next().is_some()
}

/// Why a node does not do for a pod, and whether it would without some of the pods there.
pub fn against(node: &Value, pod: &Value, around: &Around<'_>) -> Option<(&'static str, bool)> {
    for rule in spreads(pod) {
        if let Some(why) = around.uneven(node, pod, rule) {
            return Some(why);
        }
    }
    if !around.is_in_company(node, pod) {
        return Some(("node(s) didn't match pod affinity rules", false));
    }
    let mut bound = around.pods.iter().filter(|other| around.label_of(other, "").is_some());
    let met =
        |term: &Value, other: &Value| around.concerns(term, pod, other) && around.shares(node, other, term);
    if bound.clone().any(|other| anti_affinity(pod).iter().any(|term| met(term, other))) {
        return Some(("node(s) didn't match pod anti-affinity rules", true));
    }
    let keeps_away = |other: &Arc<Value>| {
        let mut terms = anti_affinity(other).iter();
        terms.any(|term| around.concerns(term, other, pod) && around.shares(node, other, term))
    };
    bound.any(keeps_away).then_some(("node(s) didn't satisfy existing pods anti-affinity rules", true))
}

impl Around<'_> {
    /// The label of the node that a pod is on; of no key, something where it is on one.
    fn label_of<'v>(&'v self, pod: &Value, key: &str) -> Option<&'v str> {
        let ended = matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"));
        let name = pod.str_at(&["spec", "nodeName"]).filter(|node| !node.is_empty() && !ended)?;
        let node = self.nodes.iter().find(|node| text(node, "name") == name)?;
        if key.is_empty() { Some("") } else { node.str_at(&["metadata", "labels", key]) }
    }

    /// Whether the node of a pod is in the same topology, by a term, as another node.
    fn shares(&self, node: &Value, pod: &Value, term: &Value) -> bool {
        let key = term.str_at(&["topologyKey"]).unwrap_or_default();
        let own = node.str_at(&["metadata", "labels", key]);
        own.is_some() && self.label_of(pod, key) == own
    }

    /// Whether a term of one pod is about another.
    fn concerns(&self, term: &Value, of: &Value, other: &Value) -> bool {
        let (namespace, named) = (text(other, "namespace"), term.list_at(&["namespaces"]));
        let by_labels = term.get("namespaceSelector").filter(|it| !it.is_null());
        let listed = named.iter().any(|name| name.as_str() == Some(namespace));
        let own = named.is_empty() && by_labels.is_none() && text(of, "namespace") == namespace;
        let chosen = by_labels.is_some_and(|selector| {
            let object = (self.namespaces)(namespace);
            object.is_some_and(|object| selector_matches(selector, object.at(&["metadata", "labels"])))
        });
        (listed || own || chosen) && selects(term, other)
    }

    /// Whether those are there whom a pod wants to be with. The first of a group that wants itself may begin anywhere.
    fn is_in_company(&self, node: &Value, pod: &Value) -> bool {
        let terms = affinity(pod);
        let has_key = |term: &Value| {
            let key = term.str_at(&["topologyKey"]).unwrap_or_default();
            node.str_at(&["metadata", "labels", key]).is_some()
        };
        if !terms.iter().all(has_key) {
            return false;
        }
        let fits_all = |other: &Value| terms.iter().all(|term| self.concerns(term, pod, other));
        let friends: Vec<&Arc<Value>> =
            self.pods.iter().filter(|other| self.label_of(other, "").is_some() && fits_all(other)).collect();
        if friends.is_empty() {
            return terms.is_empty() || fits_all(pod);
        }
        terms.iter().all(|term| friends.iter().any(|other| self.shares(node, other, term)))
    }

    /// Whether one more pod on a node were too many there, compared with where there are fewest.
    fn uneven(&self, node: &Value, pod: &Value, rule: &Value) -> Option<(&'static str, bool)> {
        let key = rule.str_at(&["topologyKey"]).unwrap_or_default();
        let label = |node: &Value| node.str_at(&["metadata", "labels", key]).map(str::to_owned);
        let Some(own) = label(node) else {
            return Some((
                "node(s) didn't match pod topology spread constraints (missing required label)",
                false,
            ));
        };
        let nodes = self.nodes.iter().filter(|node| super::selects(node, pod));
        let mut counts: BTreeMap<String, i64> = nodes.filter_map(|node| Some((label(node)?, 0))).collect();
        let namespace = text(pod, "namespace");
        for other in self.pods {
            let counts_here =
                text(other, "namespace") == namespace && !is_deleting(other) && selects(rule, other);
            if let Some(count) =
                self.label_of(other, key).filter(|_| counts_here).and_then(|it| counts.get_mut(it))
            {
                *count += 1;
            }
        }
        let least = rule.int_at(&["minDomains"]).unwrap_or(1);
        let enough = i64::try_from(counts.len()).is_ok_and(|number| number >= least);
        let fewest = if enough { counts.values().copied().min().unwrap_or_default() } else { 0 };
        let here = counts.get(&own).copied().unwrap_or_default() + i64::from(selects(rule, pod));
        let most = rule.int_at(&["maxSkew"]).unwrap_or(1);
        (here - fewest > most).then_some(("node(s) didn't match pod topology spread constraints", true))
    }
}

/// Whether a term's selector fits a pod; one without a selector fits none.
fn selects(term: &Value, pod: &Value) -> bool {
    let selector = term.get("labelSelector").filter(|it| !it.is_null());
    selector.is_some_and(|selector| selector_matches(selector, pod.at(&["metadata", "labels"])))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Arc<Value> {
        Arc::new(Value::from_json(json.as_bytes()).unwrap())
    }

    fn pod(node: &str, app: &str, spec: &str) -> Arc<Value> {
        value(&format!(
            r#"{{"metadata":{{"name":"p","namespace":"n","labels":{{"app":"{app}"}}}},"spec":{{"nodeName":"{node}"{spec}}}}}"#
        ))
    }

    fn why(node: &str, waiting: &Value, pods: &[Arc<Value>]) -> &'static str {
        let nodes = ["a", "b"].map(|name| {
            value(&format!(r#"{{"metadata":{{"name":"{name}","labels":{{"host":"{name}"}}}}}}"#))
        });
        let node = nodes.iter().find(|it| text(it, "name") == node).unwrap();
        let around = Around { nodes: &nodes, pods, namespaces: &|_| None };
        against(node, waiting, &around).map_or("", |(why, _)| why)
    }

    fn rules(kind: &str, app: &str) -> String {
        format!(
            r#","affinity":{{"{kind}":{{"requiredDuringSchedulingIgnoredDuringExecution":[
                {{"topologyKey":"host","labelSelector":{{"matchLabels":{{"app":"{app}"}}}}}}]}}}}"#
        )
    }

    #[test]
    fn pods_keep_others_away_or_want_them_near() {
        let alone = rules("podAntiAffinity", "web");
        let there = [pod("a", "web", "")];
        let waiting = pod("", "web", &alone);
        assert_eq!(why("a", &waiting, &there), "node(s) didn't match pod anti-affinity rules");
        assert_eq!(why("b", &waiting, &there), "");
        let jealous = [pod("a", "db", &alone)];
        let words = "node(s) didn't satisfy existing pods anti-affinity rules";
        assert_eq!(why("a", &pod("", "web", ""), &jealous), words);
        assert_eq!(why("a", &pod("", "other", ""), &jealous), "");
        let near = pod("", "db", &rules("podAffinity", "web"));
        assert_eq!(
            (why("a", &near, &there), why("b", &near, &there)),
            ("", "node(s) didn't match pod affinity rules")
        );
        assert_eq!(why("b", &pod("", "web", &rules("podAffinity", "web")), &[]), "");
    }

    #[test]
    fn pods_are_spread_as_evenly_as_they_say() {
        let spread = |key: &str| {
            format!(
                r#","topologySpreadConstraints":[{{"maxSkew":1,"topologyKey":"{key}","whenUnsatisfiable":"DoNotSchedule",
                "labelSelector":{{"matchLabels":{{"app":"web"}}}}}}]"#
            )
        };
        let there = [pod("a", "web", "")];
        let waiting = pod("", "web", &spread("host"));
        assert_eq!(why("a", &waiting, &there), "node(s) didn't match pod topology spread constraints");
        assert_eq!(why("b", &waiting, &there), "");
        assert!(why("b", &pod("", "web", &spread("zone")), &there).ends_with("(missing required label)"));
    }
}
