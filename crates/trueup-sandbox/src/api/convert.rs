//! One object in the versions in which its kind is served.
//!
//! A built-in kind's object is stored in the preferred version, a custom one's in that in which it was last written. Versions of
//! one kind differ in `apiVersion` only, save for events, whose two groups name the same fields differently, and autoscalers.

use std::sync::Arc;

use trueup_object::Value;

use super::autoscaling;
use crate::kind::KindInfo;

pub(crate) use super::autoscaling::{follow_status_v1, settle_v1, to_v2 as autoscaler_to_v2};

/// The object as this kind's version shows it.
pub fn convert(object: &Arc<Value>, kind: &KindInfo) -> Arc<Value> {
    let api_version = kind.gvk.api_version();
    if object.str_at(&["apiVersion"]) == Some(&api_version) {
        return object.clone();
    }
    Arc::new(shown_as(object, kind))
}

/// [`convert`], giving a value of one's own.
pub fn shown_as(object: &Value, kind: &KindInfo) -> Value {
    let mut shown = object.clone();
    let from_events_group =
        object.str_at(&["apiVersion"]).is_some_and(|version| version.starts_with("events.k8s.io/"));
    if kind.plural == "events" && kind.gvk.group.is_empty() && from_events_group {
        rename(&mut shown, |(new, core)| (new, core));
    } else if kind.plural == "events" && kind.gvk.group == "events.k8s.io" && !from_events_group {
        rename(&mut shown, |(new, core)| (core, new));
        // There Go does not write who told where nobody did.
        for key in ["reportingController", "reportingInstance"] {
            if shown.str_at(&[key]) == Some("") {
                shown.remove_at(&[key]);
            }
        }
    }
    if kind.plural == "horizontalpodautoscalers" {
        match (object.str_at(&["apiVersion"]), kind.gvk.version.as_str()) {
            (Some("autoscaling/v2"), "v1") => autoscaling::to_v1(&mut shown),
            (Some("autoscaling/v1"), "v2") => autoscaling::to_v2(&mut shown),
            _ => {}
        }
    }
    shown.set_at(&["apiVersion"], kind.gvk.api_version().into());
    shown
}

/// Fields of an event: in `events.k8s.io` and in the core group.
const EVENT_FIELDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedCount", "count"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
];

fn rename(
    object: &mut Value,
    direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str),
) {
    let Some(map) = object.as_map_mut() else { return };
    for pair in EVENT_FIELDS {
        let (from, to) = direction(pair);
        if let Some(value) = map.remove(from) {
            map.insert(to, value);
        }
    }
}
