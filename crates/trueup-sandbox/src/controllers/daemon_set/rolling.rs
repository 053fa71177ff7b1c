//! How the pods of a daemon set follow its template: the old ones go first, within `maxUnavailable`, or the new ones come first,
//! within `maxSurge`.
//!
//! As `k8s.io/kubernetes/pkg/controller/daemon/update.go`.

use std::collections::BTreeMap;

use trueup_object::{Timestamp, Value};

use super::is_updated;
use crate::controllers::objects::{int, is_available, is_deleting, is_ready, text};

/// The pods on each node.
pub type OnNodes<'v> = BTreeMap<&'v str, Vec<&'v Value>>;

/// What is done next.
#[derive(Debug, Default)]
pub struct Roll<'v> {
    pub goes: Vec<&'v Value>,
    /// Nodes that get a pod beside the one they have.
    pub begins: Vec<&'v str>,
}

/// How many nodes a setting means: a number, or a share of them, rounded up.
fn scaled(set: &Value, key: &str, all: usize) -> Option<i64> {
    let all = i64::try_from(all).unwrap_or(i64::MAX);
    Some(match set.at(&["spec", "updateStrategy", "rollingUpdate", key])? {
        Value::Str(text) => {
            let percent: i64 = text.strip_suffix('%').and_then(|it| it.parse().ok()).unwrap_or_default();
            percent.saturating_mul(all).saturating_add(99) / 100
        }
        value => value.as_int().unwrap_or_default(),
    })
}

fn surge(set: &Value, all: usize) -> i64 {
    scaled(set, "maxSurge", all).unwrap_or_default()
}

/// Whether new pods come before the old ones go.
pub fn surges(set: &Value) -> bool {
    set.str_at(&["spec", "updateStrategy", "type"]) != Some("OnDelete") && surge(set, 1) > 0
}

/// The one that came first; those that have their node come before those that wait for it.
pub fn by_age(pod: &Value) -> (bool, &str, &str) {
    let has_node = pod.str_at(&["spec", "nodeName"]).is_some_and(|node| !node.is_empty());
    (!has_node, text(pod, "creationTimestamp"), text(pod, "name"))
}

/// Pods of which there are more on a node than there may be. Where new ones come first, one old and one new may be there, until
/// the new one is available or the old one no longer ready.
pub fn excess<'v>(set: &Value, here: &[&'v Value], hash: &str, now: Timestamp) -> Vec<&'v Value> {
    let mut sorted = here.to_vec();
    sorted.sort_by_key(|pod| by_age(pod));
    if sorted.len() <= 1 {
        return Vec::new();
    }
    if !surges(set) {
        return sorted.split_off(1);
    }
    let (new, old): (Vec<&Value>, Vec<&Value>) = sorted.into_iter().partition(|pod| is_updated(pod, hash));
    let mut goes: Vec<&Value> = new.iter().chain(&old).copied().collect();
    goes.retain(|pod| new.first() != Some(pod) && old.first() != Some(pod));
    let seconds = int(set, &["spec", "minReadySeconds"]);
    if let (Some(new), Some(old)) = (new.first(), old.first())
        && (!is_ready(old) || is_available(new, seconds, now))
    {
        goes.push(old);
    }
    goes
}

/// The old and the new pod of a node; nothing where there are more, which others clear away.
fn pair<'v>(here: &[&'v Value], hash: &str) -> Option<(Option<&'v Value>, Option<&'v Value>)> {
    let (mut new, mut old) = (None, None);
    for pod in here {
        let place = if is_updated(pod, hash) { &mut new } else { &mut old };
        if place.replace(*pod).is_some() {
            return None;
        }
    }
    (new.is_some() || old.is_some()).then_some((old, new))
}

/// What follows from the template, once every node has the pods that it should have. `all` is how many nodes those are.
pub fn roll<'v>(set: &Value, on_nodes: &OnNodes<'v>, all: usize, hash: &str, now: Timestamp) -> Roll<'v> {
    if set.str_at(&["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return Roll::default();
    }
    let seconds = int(set, &["spec", "minReadySeconds"]);
    let available = |pod: &Value| is_available(pod, seconds, now);
    let (surge, mut unavailable) = (surge(set, all), scaled(set, "maxUnavailable", all).unwrap_or(1));
    if surge == 0 {
        unavailable = unavailable.max(1);
        return replace(on_nodes, unavailable, hash, available);
    }
    exceed(on_nodes, surge, hash, available)
}

fn stays(pod: Option<&Value>) -> bool {
    pod.is_some_and(|pod| !is_deleting(pod))
}

/// As many of the first as may still be.
fn take<T>(from: Vec<T>, most: i64, taken: i64) -> impl Iterator<Item = T> {
    from.into_iter().take(usize::try_from(most - taken).unwrap_or_default())
}

/// Old pods go, as many as may be missing; those that are not available anyway go in any case.
fn replace<'v>(
    on_nodes: &OnNodes<'v>,
    most: i64,
    hash: &str,
    available: impl Fn(&Value) -> bool,
) -> Roll<'v> {
    let (mut missing, mut goes, mut may_go) = (0, Vec::new(), Vec::new());
    for here in on_nodes.values() {
        match pair(here, hash) {
            Some((old, new)) if stays(old) != stays(new) => match (new, old) {
                (Some(new), _) => missing += i64::from(!available(new)),
                (None, Some(old)) if !available(old) => {
                    goes.push(old);
                    missing += 1;
                }
                (None, Some(old)) => may_go.push(old),
                (None, None) => {}
            },
            Some(_) | None => missing += 1,
        }
    }
    goes.extend(take(may_go, most, missing));
    Roll { goes, begins: Vec::new() }
}

/// New pods come beside old ones, as many as there may be more; old ones that are not available get theirs in any case, and go
/// once the new one is available.
fn exceed<'v>(on_nodes: &OnNodes<'v>, most: i64, hash: &str, available: impl Fn(&Value) -> bool) -> Roll<'v> {
    let (mut more, mut goes, mut begins, mut may_begin) = (0, Vec::new(), Vec::new(), Vec::new());
    for (node, here) in on_nodes {
        let Some((old, new)) = pair(here, hash) else {
            more += 1;
            continue;
        };
        // Where no old pod is to stay there is nothing to do.
        let Some(old) = old.filter(|old| !is_deleting(old)) else { continue };
        match new {
            None if !available(old) => begins.push(*node),
            None => may_begin.push(*node),
            Some(new) if !available(old) || available(new) => goes.push(old),
            Some(_) => more += 1,
        }
    }
    begins.extend(take(may_begin, most, more));
    Roll { goes, begins }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    /// Pods as `node hash`, those that are not ready with a third word.
    fn pods(pods: &[&str]) -> Vec<Value> {
        let pod = |text: &&str| {
            let words: Vec<&str> = text.split(' ').collect();
            let ready = if words.len() == 2 { "True" } else { "False" };
            value(&format!(
                r#"{{"metadata":{{"name":"{}-{}","labels":{{"controller-revision-hash":"{}"}}}},"spec":{{"nodeName":"{0}"}},
                    "status":{{"conditions":[{{"type":"Ready","status":"{ready}"}}]}}}}"#,
                words[0], words[1], words[1]
            ))
        };
        pods.iter().map(pod).collect()
    }

    fn rolled(strategy: &str, of: &[&str]) -> (Vec<String>, Vec<String>) {
        let set = value(&format!(
            r#"{{"spec":{{"updateStrategy":{{"type":"RollingUpdate","rollingUpdate":{strategy}}}}}}}"#
        ));
        let pods = pods(of);
        let mut on_nodes = OnNodes::new();
        for pod in &pods {
            on_nodes.entry(pod.str_at(&["spec", "nodeName"]).unwrap()).or_default().push(pod);
        }
        let all = on_nodes.len();
        let mut goes = Vec::new();
        for here in on_nodes.values() {
            goes.extend(excess(&set, here, "new", Timestamp::UNIX_EPOCH));
        }
        let roll = roll(&set, &on_nodes, all, "new", Timestamp::UNIX_EPOCH);
        if goes.is_empty() {
            goes = roll.goes;
        }
        let names = goes.into_iter().map(|pod| text(pod, "name").to_owned()).collect();
        (names, roll.begins.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn new_pods_come_first_where_they_may_be_more() {
        let surge = r#"{"maxSurge":1,"maxUnavailable":0}"#;
        let none = Vec::<String>::new();
        assert_eq!(rolled(surge, &["a old", "b old", "c old"]), (none.clone(), vec!["a".to_owned()]));
        // The one that is coming counts until it is available.
        assert_eq!(rolled(surge, &["a old", "a new no", "b old"]), (none.clone(), none.clone()));
        assert_eq!(rolled(surge, &["a old", "a new", "b old"]).0, ["a-old"]);
        assert_eq!(rolled(surge, &["a new", "b old"]), (none.clone(), vec!["b".to_owned()]));
        // One that is not available is replaced in any case, and goes as soon as another is there.
        assert_eq!(rolled(surge, &["a old", "b old no"]).1, ["b", "a"]);
        assert_eq!(rolled(surge, &["a old no", "a new no", "b new"]).0, ["a-old"]);
        let share = r#"{"maxSurge":"50%","maxUnavailable":0}"#;
        assert_eq!(rolled(share, &["a old", "b old", "c old"]).1, ["a", "b"]);
    }

    #[test]
    fn old_pods_go_first_otherwise() {
        let one = r#"{"maxUnavailable":1}"#;
        assert_eq!(rolled(one, &["a old", "b old"]).0, ["a-old"]);
        assert_eq!(rolled(one, &["a new no", "b old"]).0, Vec::<String>::new());
        assert_eq!(rolled(one, &["a old", "b old no"]).0, ["b-old"]);
        assert_eq!(rolled(r#"{"maxUnavailable":"60%"}"#, &["a old", "b old", "c new"]).0, ["a-old", "b-old"]);
        // Where only one may be there the youngest goes.
        assert_eq!(rolled(one, &["a new", "a old"]).0, ["a-old"]);
    }
}
