//! Resource quotas: how many objects of each kind a namespace has, of those that it may have.
//!
//! Only numbers of objects are counted; amounts of processor, memory and storage that pods ask for are not.

use trueup_object::{Map, Value};

use super::objects::{QUOTAS, Step};
use super::replica_set::is_active;
use crate::state::{ResourceId, Store};

pub fn reconcile(quota: &Value, store: &Store) -> Vec<Step> {
    let namespace = quota.str_at(&["metadata", "namespace"]).unwrap_or_default();
    let hard = quota.at(&["spec", "hard"]).cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let mut used = Map::new();
    for (name, _) in hard.as_map().into_iter().flat_map(Map::iter) {
        if let Some(count) = count(store, namespace, name) {
            used.insert(name, count.to_string().into());
        }
    }
    let mut status = Value::Map(Map::new());
    status.set_at(&["hard"], hard);
    status.set_at(&["used"], Value::Map(used));
    Step::status(QUOTAS, quota, status).into_iter().collect()
}

/// How many there are of what a quota names; None for what is not counted here.
fn count(store: &Store, namespace: &str, name: &str) -> Option<usize> {
    let listed = |id: &ResourceId| store.list(id, namespace).0;
    let services = |fits: fn(&str) -> bool| {
        let services = listed(&ResourceId::new("", "services"));
        services.iter().filter(|it| fits(it.str_at(&["spec", "type"]).unwrap_or_default())).count()
    };
    Some(match name {
        "pods" => listed(&ResourceId::new("", "pods")).iter().filter(|pod| is_active(pod)).count(),
        "services"
        | "configmaps"
        | "secrets"
        | "persistentvolumeclaims"
        | "replicationcontrollers"
        | "resourcequotas" => listed(&ResourceId::new("", name)).len(),
        "services.loadbalancers" => services(|kind| kind == "LoadBalancer"),
        "services.nodeports" => services(|kind| matches!(kind, "NodePort" | "LoadBalancer")),
        _ => {
            let (plural, group) =
                name.strip_prefix("count/").map(|it| it.split_once('.').unwrap_or((it, "")))?;
            listed(&ResourceId::new(group, plural)).len()
        }
    })
}
