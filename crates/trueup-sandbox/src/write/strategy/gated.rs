//! Fields that the registry drops: those behind feature gates that are off, and what only older versions may write.
//!
//! Who writes such a field owns it all the same: managed fields are worked out before.

use trueup_object::{GroupKind, Value};

use super::super::fields::{each, within};

pub fn drop_gated(kind: &GroupKind, object: &mut Value) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("coordination.k8s.io", "Lease") => {
            for field in ["strategy", "preferredHolder"] {
                object.remove_at(&["spec", field]);
            }
        }
        ("storage.k8s.io", "CSIDriver") => {
            object.remove_at(&["spec", "preventPodSchedulingIfMissing"]);
        }
        ("discovery.k8s.io", "EndpointSlice") => {
            each(object, "endpoints", |endpoint| {
                endpoint.remove_at(&["deprecatedTopology"]);
            });
        }
        ("apps", "StatefulSet") => {
            object.remove_at(&["spec", "updateStrategy", "rollingUpdate", "maxUnavailable"]);
            within(object, "spec", template);
        }
        ("", "Node") => {
            object.remove_at(&["spec", "configSource"]);
        }
        ("", "Pod") => within(object, "spec", pod_spec),
        ("", "PodTemplate") => template(object),
        ("", "ReplicationController")
        | ("apps", "Deployment" | "DaemonSet" | "ReplicaSet")
        | ("batch", "Job") => {
            within(object, "spec", template);
        }
        ("batch", "CronJob") => within(object, "spec", |spec| {
            within(spec, "jobTemplate", |job| within(job, "spec", template));
        }),
        _ => {}
    }
}

fn template(holder: &mut Value) {
    within(holder, "template", |template| within(template, "spec", pod_spec));
}

fn pod_spec(spec: &mut Value) {
    spec.remove_at(&["schedulingGroup"]);
    each(spec, "volumes", |volume| {
        within(volume, "projected", |projected| {
            each(projected, "sources", |source| drop(source.remove_at(&["podCertificate"])));
        });
    });
    for list in ["containers", "initContainers", "ephemeralContainers"] {
        each(spec, list, |container| {
            let Some(lifecycle) = container.get_mut("lifecycle") else { return };
            let had_signal = lifecycle.remove_at(&["stopSignal"]).is_some();
            if had_signal && lifecycle.as_map().is_some_and(trueup_object::Map::is_empty) {
                container.remove_at(&["lifecycle"]);
            }
        });
    }
}
