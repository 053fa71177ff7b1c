//! Resource quotas: what the objects of a namespace use of what it may have.

use trueup_object::{Map, Value};

use super::objects::{QUOTAS, Step};
use crate::admission::builtin::quota::Sort;
use crate::amount::{Amounts, add};
use crate::state::{ResourceId, Store};

pub fn reconcile(quota: &Value, store: &Store) -> Vec<Step> {
    let namespace = quota.str_at(&["metadata", "namespace"]).unwrap_or_default();
    let hard = quota.at(&["spec", "hard"]).cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let names: Vec<&str> = hard.as_map().into_iter().flat_map(Map::keys).collect();
    let mut used = Amounts::new();
    for (group, plural) in counted(&names) {
        let sort = Sort::of(group, plural);
        let mut sum = Amounts::new();
        for name in names.iter().filter(|name| sort.is_meant(name)) {
            sum.insert((*name).to_owned(), crate::amount::Amount::default());
        }
        let (objects, _) = store.list(&ResourceId::new(group, plural), namespace);
        for object in objects.iter().filter(|object| sort.is_in_scopes(quota, object)) {
            let mut usage = sort.usage(object);
            usage.retain(|name, _| sum.contains_key(name));
            add(&mut sum, &usage);
        }
        used.append(&mut sum);
    }
    let used: Map = used.iter().map(|(name, amount)| (name.as_str(), amount.to_string().into())).collect();
    let mut status = Value::Map(Map::new());
    status.set_at(&["hard"], hard.clone());
    status.set_at(&["used"], Value::Map(used));
    Step::status(QUOTAS, quota, status).into_iter().collect()
}

/// The resources that a quota's names are about.
fn counted<'a>(names: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    const AMOUNTS: [&str; 3] = ["pods", "services", "persistentvolumeclaims"];
    let mut found: Vec<(&str, &str)> = Vec::new();
    for plural in AMOUNTS {
        if names.iter().any(|name| Sort::of("", plural).is_meant(name)) {
            found.push(("", plural));
        }
    }
    for name in names {
        let resource = match name.strip_prefix("count/") {
            Some(counted) => counted.split_once('.').map_or(("", counted), |(plural, group)| (group, plural)),
            None => ("", *name),
        };
        let is_counted = Sort::of(resource.0, resource.1).is_meant(name);
        if is_counted && !found.contains(&resource) {
            found.push(resource);
        }
    }
    found
}
