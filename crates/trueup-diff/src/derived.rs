//! Defaults that the server computes from other fields, which no schema can express.

use trueup_object::{FieldPath, Map, PathElement, Value};

const ALWAYS: &str = "Always";
const IF_NOT_PRESENT: &str = "IfNotPresent";

/// The default of a field by its name, its parent's name and its siblings in live.
pub(crate) fn default(name: &str, parent: &str, siblings: &Value) -> Option<Value> {
    match (parent, name) {
        (_, "imagePullPolicy") => Some(pull_policy(siblings.str_at(&["image"])?).into()),
        ("image", "pullPolicy") => Some(pull_policy(siblings.str_at(&["reference"])?).into()),
        ("spec", "clusterIPs") => Some(Value::List(vec![siblings.get("clusterIP")?.clone()])),
        ("volumeClaimTemplates", "apiVersion") => Some("v1".into()),
        ("volumeClaimTemplates", "kind") => Some("PersistentVolumeClaim".into()),
        ("volumeClaimTemplates", "status") => Some(Map::from_iter([("phase", "Pending".into())]).into()),
        // Of a Service that external traffic reaches by its node ports or external addresses.
        ("spec", "externalTrafficPolicy") => Some("Cluster".into()),
        ("names", "listKind") => Some(format!("{}List", siblings.str_at(&["kind"])?).into()),
        ("names", "singular") => Some(siblings.str_at(&["kind"])?.to_lowercase().into()),
        ("subjects", "apiGroup") => match siblings.str_at(&["kind"])? {
            "User" | "Group" => Some("rbac.authorization.k8s.io".into()),
            _ => None,
        },
        _ => None,
    }
}

/// The default that is not the schema's own here, because of the siblings in live: `SetDefaults_Job` asks for `Failed` where
/// there is a failure policy. Only for a field that has a default in its place: the `jobTemplate` of a CronJob is not filled in.
pub(crate) fn default_instead(name: &str, parent: &str, siblings: &Value) -> Option<Value> {
    match (parent, name) {
        ("spec", "podReplacementPolicy") if !siblings.get("podFailurePolicy")?.is_null() => {
            Some("Failed".into())
        }
        _ => None,
    }
}

/// Whether a value that nobody owns is what the server may have filled in for an image of another tag: it stays when the
/// image changes.
pub(crate) fn is_left_of_earlier_image(name: &str, value: &Value) -> bool {
    matches!(name, "imagePullPolicy" | "pullPolicy")
        && value.as_str().is_some_and(|policy| matches!(policy, ALWAYS | IF_NOT_PRESENT))
}

/// The default of an amount in an item of a LimitRange's `limits`, as Kubernetes' `SetDefaults_LimitRangeItem` decides: a
/// default limit is the maximum, a default request is the default limit or the minimum. `item` is the item in live, or as it
/// was declared: what was derived once stays when what it was derived from is changed.
pub(crate) fn default_amount<'v>(list: &str, resource: &str, item: &'v Value) -> Option<&'v Value> {
    let of = |list: &str| item.at(&[list, resource]);
    match list {
        _ if item.str_at(&["type"]) != Some("Container") => None,
        "default" => of("max"),
        // As declared, the default limit may be left out and the maximum then.
        "defaultRequest" => of("default").or_else(|| of("max")).or_else(|| of("min")),
        _ => None,
    }
}

/// Fields whose declared value the server replaces by its own, whatever it is: a StatefulSet's claim templates are claims
/// (`SetDefaults` and the registry's strategy see to that), though their schema has an `apiVersion` and a `kind`.
pub(crate) fn is_written_over(name: &str, parent: &str) -> bool {
    matches!((parent, name), ("volumeClaimTemplates", "apiVersion" | "kind"))
}

/// Fields for which the server chooses a value of its own: not known beforehand, and nobody's change. `object` has the
/// kind: a pod template's service account is a person's choice, a Pod's is also the admission's.
pub(crate) fn is_chosen_by_server(object: Option<&Value>, path: &FieldPath) -> bool {
    const DOMAINS: [&str; 4] =
        ["deployment.kubernetes.io/", "pv.kubernetes.io/", "volume.kubernetes.io/", "batch.kubernetes.io/"];
    let text = |name: &str| object.and_then(|object| object.str_at(&[name]));
    let (place, names): (&[&str], &[&str]) = match (text("apiVersion"), text("kind")) {
        (Some("v1"), Some("Service")) => (
            &["spec"],
            &["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "nodePort", "healthCheckNodePort"],
        ),
        (Some("v1"), Some("PersistentVolumeClaim")) => (&["spec"], &["volumeName", "storageClassName"]),
        (Some("v1"), Some("Pod")) => (&["spec"], &["serviceAccount", "serviceAccountName"]),
        (Some("v1"), Some("Namespace")) => (&["spec"], &["finalizers"]),
        // Of its selector, and the labels that go with it.
        (Some("batch/v1"), Some("Job")) => (&[], &["controller-uid", "job-name"]),
        _ => (&[], &[]),
    };
    let has_field = |is: &dyn Fn(&str) -> bool| {
        path.elements().iter().any(|element| match element {
            PathElement::Field(name) => is(name.as_str()),
            PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => false,
        })
    };
    (path.starts_with_fields(place) && has_field(&|name| names.contains(&name)))
        || has_field(&|name| DOMAINS.iter().any(|domain| name.starts_with(domain)))
}

/// Fields of a core kind whose empty value asks the server to choose one: a Service's addresses and ports, a claim's
/// volume.
pub(crate) fn asks_server_to_choose(object: &Value, path: &FieldPath) -> bool {
    let names: &[&str] = match (object.str_at(&["apiVersion"]), object.str_at(&["kind"])) {
        (Some("v1"), Some("Service")) => &["clusterIP", "nodePort", "healthCheckNodePort"],
        (Some("v1"), Some("PersistentVolumeClaim")) => &["volumeName"],
        // The admission of service accounts.
        (Some("v1"), Some("Pod")) => &["serviceAccount", "serviceAccountName"],
        _ => &[],
    };
    path.starts_with_fields(&["spec"])
        && matches!(path.elements().last(), Some(PathElement::Field(name)) if names.contains(&name.as_str()))
}

/// `Always` for the tag `latest` and for no tag at all, as Kubernetes' `SetDefaults_Container` decides.
fn pull_policy(image: &str) -> &'static str {
    let (tagged, has_digest) = image.split_once('@').map_or((image, false), |(tagged, _)| (tagged, true));
    let name = tagged.rsplit_once('/').map_or(tagged, |(_, name)| name);
    match name.rsplit_once(':') {
        Some((_, "latest")) => ALWAYS,
        None if !has_digest => ALWAYS,
        Some(_) | None => IF_NOT_PRESENT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pull_policy_follows_the_tag() {
        for (image, policy) in [
            ("nginx", "Always"),
            ("nginx:latest", "Always"),
            ("registry:5000/nginx", "Always"),
            ("registry:5000/nginx:1.2", "IfNotPresent"),
            ("nginx@sha256:abc", "IfNotPresent"),
            ("nginx:latest@sha256:abc", "Always"),
        ] {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
