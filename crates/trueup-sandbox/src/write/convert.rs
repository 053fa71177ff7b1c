//! What conversion to the server's internal types and back changes in an object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::{GroupKind, Value};

use super::fields::{each, within};
use super::strategy::{TEMPLATE_GENERATION, template_generation};

/// Takes an object through the server's internal type.
pub fn through_internal(kind: &GroupKind, object: &mut Value) {
    if kind.is("", "Secret") {
        string_data(object);
    }
    if kind.is("", "Node") {
        pod_ranges(object);
    }
    if kind.is("apps", "StatefulSet") {
        // Whatever they say that they are.
        within(object, "spec", |spec| {
            each(spec, "volumeClaimTemplates", |claim| {
                claim.set_at(&["apiVersion"], "v1".into());
                claim.set_at(&["kind"], "PersistentVolumeClaim".into());
            });
        });
    }
    if kind.is("apps", "DaemonSet") {
        // A field of the internal type that stands in an annotation outside.
        let generation = template_generation(object);
        object.set_at(&["metadata", "annotations", TEMPLATE_GENERATION], generation.to_string().into());
    }
}

/// The one range of addresses is the first of several.
fn pod_ranges(node: &mut Value) {
    let one = node.str_at(&["spec", "podCIDR"]).filter(|range| !range.is_empty()).map(str::to_owned);
    let first = node.list_at(&["spec", "podCIDRs"]).first().and_then(Value::as_str).map(str::to_owned);
    match (one, first) {
        (Some(one), first) if first.as_ref() != Some(&one) => {
            node.set_at(&["spec", "podCIDRs"], Value::List(vec![one.into()]));
        }
        (None, Some(first)) => node.set_at(&["spec", "podCIDR"], first.into()),
        _ => {}
    }
}

/// `stringData` is a way to write `data`, and is never read back.
fn string_data(object: &mut Value) {
    let Some(Value::Map(strings)) = object.remove_at(&["stringData"]) else { return };
    for (key, value) in strings {
        let text = value.as_str().unwrap_or_default();
        object.set_at(&["data", &key], STANDARD.encode(text.as_bytes()).into());
    }
}
