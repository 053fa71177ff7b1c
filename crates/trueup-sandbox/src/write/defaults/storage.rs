//! Defaults of volumes, claims, drivers and limit ranges.

use trueup_object::Value;

use super::super::fields::{below, each, fill, fill_text, within};

pub fn claim(object: &mut Value) {
    let spec = below(object, "spec");
    fill(spec, "volumeMode", "Filesystem");
    below(spec, "resources");
    // Of this reference no field is left out.
    within(spec, "dataSourceRef", |source| {
        fill(source, "apiGroup", Value::Null);
        fill(source, "kind", "");
        fill(source, "name", "");
    });
    fill_text(below(object, "status"), "phase", "Pending");
}

pub fn volume(object: &mut Value) {
    fill_text(below(object, "status"), "phase", "Pending");
    let spec = below(object, "spec");
    fill_text(spec, "persistentVolumeReclaimPolicy", "Retain");
    fill(spec, "volumeMode", "Filesystem");
    if let Some(source) = spec.get_mut("hostPath")
        && source.as_map().is_some()
    {
        fill(source, "type", "");
    }
}

pub fn csi_driver(object: &mut Value) {
    let spec = below(object, "spec");
    fill(spec, "attachRequired", true);
    fill(spec, "podInfoOnMount", false);
    fill(spec, "storageCapacity", false);
    fill(spec, "fsGroupPolicy", "ReadWriteOnceWithFSType");
    fill(spec, "volumeLifecycleModes", Value::List(vec!["Persistent".into()]));
    fill(spec, "requiresRepublish", false);
    fill(spec, "seLinuxMount", false);
}

/// A limit is by default the maximum, a request the limit, and where there is neither, the minimum.
pub fn limit_range(object: &mut Value) {
    each(below(object, "spec"), "limits", |item| {
        if item.str_at(&["type"]) != Some("Container") {
            return;
        }
        for (from, into) in [("max", "default"), ("default", "defaultRequest"), ("min", "defaultRequest")] {
            let Some(source) = item.get(from).and_then(Value::as_map).cloned() else { continue };
            for (name, quantity) in source {
                fill(below(item, into), &name, quantity);
            }
        }
    });
}
