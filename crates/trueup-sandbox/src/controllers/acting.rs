//! As whom the controllers write: admission is told of an account of its own for each, as in a real control plane.

use trueup_object::Value;
use trueup_object::value::Text;

use super::events::SCHEDULER;
use super::objects::KUBELET;
use crate::http::credentials::User;

/// Who makes a write: the scheduler, the kubelet of a pod's or lease's node, or the controller that looks after the object.
pub(super) fn user(manager: &str, plural: &str, object: &Value) -> User {
    match manager {
        SCHEDULER => User::new("system:kube-scheduler", &["system:authenticated"]),
        KUBELET => {
            let node = object.str_at(&["spec", "nodeName"]).or(object.str_at(&["metadata", "name"]));
            let name = format!("system:node:{}", node.unwrap_or_default());
            User::new(&name, &["system:nodes", "system:authenticated"])
        }
        _ => account(controller(plural, object)),
    }
}

/// The account of a controller, with the groups of every account of its namespace.
fn account(controller: &str) -> User {
    let groups = ["system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"];
    let mut user = User::new(&format!("system:serviceaccount:kube-system:{controller}"), &groups);
    user.uid = Text::from(controller);
    user
}

/// The controller that writes an object: its owner's, where it has one.
fn controller(plural: &str, object: &Value) -> &'static str {
    let owners = object.list_at(&["metadata", "ownerReferences"]).iter();
    let mut owners = owners.filter(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
    match owners.next().and_then(|owner| owner.str_at(&["kind"])) {
        Some("Deployment") => return "deployment-controller",
        Some("ReplicaSet") => return "replicaset-controller",
        Some("StatefulSet") => return "statefulset-controller",
        Some("DaemonSet") => return "daemon-set-controller",
        Some("Job") => return "job-controller",
        Some("CronJob") => return "cronjob-controller",
        _ => {}
    }
    match plural {
        "deployments" => "deployment-controller",
        "replicasets" => "replicaset-controller",
        "statefulsets" => "statefulset-controller",
        "daemonsets" | "controllerrevisions" => "daemon-set-controller",
        "jobs" => "job-controller",
        "cronjobs" => "cronjob-controller",
        "horizontalpodautoscalers" => "horizontal-pod-autoscaler",
        "poddisruptionbudgets" => "disruption-controller",
        "endpoints" => "endpoint-controller",
        "endpointslices" => "endpointslice-controller",
        "resourcequotas" => "resourcequota-controller",
        "serviceaccounts" => "service-account-controller",
        "configmaps" => "root-ca-cert-publisher",
        "persistentvolumes" | "persistentvolumeclaims" => "persistent-volume-binder",
        _ => "namespace-controller",
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn pods_are_made_by_their_owners_controller() {
        let pod = br#"{"metadata":{"name":"p","ownerReferences":[{"kind":"ReplicaSet","controller":true}]}}"#;
        let pod = Value::from_json(pod).unwrap();
        let made = user("kube-controller-manager", "pods", &pod);
        assert_eq!(made.name.as_str(), "system:serviceaccount:kube-system:replicaset-controller");
        assert_eq!(user(SCHEDULER, "pods", &pod).name.as_str(), "system:kube-scheduler");
        let bound = Value::from_json(br#"{"metadata":{"name":"p"},"spec":{"nodeName":"n"}}"#).unwrap();
        assert_eq!(user(KUBELET, "pods", &bound).name.as_str(), "system:node:n");
    }
}
