//! Columns and cells of the built-in kinds.

use trueup_object::{Timestamp, Value};

use super::cell::{age_of, int, label_selector, labels, name, or_none, scalar_or, text};
use super::workload::{
    controller_revision, cron_job, daemon_set, deployment, job, replica_set, stateful_set,
};
use super::{Printer, age, cluster, pod, storage};
use crate::kind::KindInfo;

/// Makes the cells of one object.
type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// A kind's columns, separated by commas: `#` before a number, `?` before a boolean, `@` before a date, `+` before a column
/// that only wide output shows.
type Columns = &'static str;

pub(super) const NAME_AND_AGE: Columns = "Name,Age";

/// The columns of a built-in kind.
pub(super) fn printer(kind: &KindInfo) -> Printer<'static> {
    let (columns, cells) = workloads(kind)
        .or_else(|| networking(kind))
        .or_else(|| configuration(kind))
        .or_else(|| storage(kind))
        .or_else(|| machinery(kind))
        .or_else(|| admission(kind))
        .unwrap_or(("Name,@Created At", name_and_creation));
    Printer::Builtin { columns, cells }
}

fn workloads(kind: &KindInfo) -> Option<(Columns, Cells)> {
    Some(match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "Pod") => {
            ("Name,Ready,Status,Restarts,Age,+IP,+Node,+Nominated Node,+Readiness Gates", pod::cells)
        }
        ("apps", "Deployment") => {
            ("Name,Ready,Up-to-date,Available,Age,+Containers,+Images,+Selector", deployment)
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") => {
            ("Name,#Desired,#Current,#Ready,Age,+Containers,+Images,+Selector", replica_set)
        }
        ("apps", "StatefulSet") => ("Name,Ready,Age,+Containers,+Images", stateful_set),
        ("apps", "DaemonSet") => (
            "Name,#Desired,#Current,#Ready,#Up-to-date,#Available,Node Selector,Age,+Containers,+Images,+Selector",
            daemon_set,
        ),
        ("apps", "ControllerRevision") => ("Name,Controller,Revision,Age", controller_revision),
        ("batch", "Job") => ("Name,Status,Completions,Duration,Age,+Containers,+Images,+Selector", job),
        ("batch", "CronJob") => (
            "Name,Schedule,Timezone,?Suspend,#Active,Last Schedule,Age,+Containers,+Images,+Selector",
            cron_job,
        ),
        _ => return None,
    })
}

fn networking(kind: &KindInfo) -> Option<(Columns, Cells)> {
    Some(match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "Service") => ("Name,Type,Cluster-IP,External-IP,Port(s),Age,+Selector", service),
        ("networking.k8s.io", "Ingress") => ("Name,Class,Hosts,Address,Ports,Age", ingress),
        ("networking.k8s.io", "IngressClass") => ("Name,Controller,Parameters,Age", cluster::ingress_class),
        ("networking.k8s.io", "IPAddress") => ("Name,ParentRef", cluster::address),
        ("networking.k8s.io", "ServiceCIDR") => ("Name,CIDRs,Age", cluster::service_range),
        ("discovery.k8s.io", "EndpointSlice") => {
            ("Name,AddressType,Ports,Endpoints,Age", cluster::endpoint_slice)
        }
        ("", "Endpoints") => ("Name,Endpoints,Age", cluster::endpoints),
        ("networking.k8s.io", "NetworkPolicy") => ("Name,Pod-Selector,Age", network_policy),
        _ => return None,
    })
}

fn configuration(kind: &KindInfo) -> Option<(Columns, Cells)> {
    Some(match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "Namespace") => ("Name,Status,Age", namespace),
        ("", "ConfigMap") => ("Name,Data,Age", config_map),
        ("", "Secret") => ("Name,Type,Data,Age", secret),
        ("", "ServiceAccount") => (NAME_AND_AGE, name_and_age),
        ("coordination.k8s.io", "Lease") => ("Name,Holder,Age", lease),
        ("policy", "PodDisruptionBudget") => {
            ("Name,Min Available,Max Unavailable,#Allowed Disruptions,Age", disruption_budget)
        }
        ("", "PodTemplate") => ("Name,Containers,Images,Pod Labels", cluster::pod_template),
        ("autoscaling", "Scale") => ("Name,#Desired,#Available,Age", cluster::scale),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            ("Name,Reference,Targets,MinPods,MaxPods,Replicas,Age", autoscaler)
        }
        ("" | "events.k8s.io", "Event") => {
            ("Last Seen,Type,Reason,Object,+Subobject,+Source,Message,+First Seen,+Count,+Name", event)
        }
        _ => return None,
    })
}

fn storage(kind: &KindInfo) -> Option<(Columns, Cells)> {
    Some(match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "PersistentVolume") => (
            "Name,Capacity,Access Modes,Reclaim Policy,Status,Claim,StorageClass,VolumeAttributesClass,Reason,Age,+VolumeMode",
            storage::volume,
        ),
        ("", "PersistentVolumeClaim") => (
            "Name,Status,Volume,Capacity,Access Modes,StorageClass,VolumeAttributesClass,Age,+VolumeMode",
            storage::claim,
        ),
        ("", "ResourceQuota") => ("Name,Request,Limit,Age", storage::quota),
        ("storage.k8s.io", "StorageClass") => (
            "Name,Provisioner,ReclaimPolicy,VolumeBindingMode,AllowVolumeExpansion,Age",
            storage::storage_class,
        ),
        ("storage.k8s.io", "CSIDriver") => (
            "Name,?AttachRequired,?PodInfoOnMount,?StorageCapacity,TokenRequests,?RequiresRepublish,Modes,Age",
            storage::driver,
        ),
        ("storage.k8s.io", "CSINode") => ("Name,#Drivers,Age", storage::node_drivers),
        ("storage.k8s.io", "VolumeAttachment") => {
            ("Name,Attacher,PV,Node,?Attached,Age", storage::attachment)
        }
        ("storage.k8s.io", "VolumeAttributesClass") => ("Name,DriverName,Age", storage::attributes_class),
        ("scheduling.k8s.io", "PriorityClass") => {
            ("Name,#Value,?Global-Default,Age,PreemptionPolicy", storage::priority_class)
        }
        _ => return None,
    })
}

fn machinery(kind: &KindInfo) -> Option<(Columns, Cells)> {
    Some(match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "Node") => (
            "Name,Status,Roles,Age,Version,+Internal-IP,+External-IP,+OS-Image,+Kernel-Version,+Container-Runtime",
            cluster::node,
        ),
        ("", "ComponentStatus") => ("Name,Status,Message,Error", cluster::component_status),
        ("node.k8s.io", "RuntimeClass") => ("Name,Handler,Age", cluster::runtime_class),
        ("apiregistration.k8s.io", "APIService") => ("Name,Service,Available,Age", cluster::api_service),
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => {
            ("Name,PriorityLevel,MatchingPrecedence,DistinguisherMethod,Age,MissingPL", cluster::flow_schema)
        }
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => (
            "Name,Type,NominalConcurrencyShares,Queues,HandSize,QueueLengthLimit,Age",
            cluster::priority_level,
        ),
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            ("Name,Age,SignerName,Requestor,RequestedDuration,Condition", cluster::signing_request)
        }
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            ("Name,Role,Age,+Users,+Groups,+ServiceAccounts", cluster::role_binding)
        }
        _ => return None,
    })
}

fn admission(kind: &KindInfo) -> Option<(Columns, Cells)> {
    if kind.gvk.group != "admissionregistration.k8s.io" {
        return None;
    }
    Some(match kind.gvk.kind.as_str() {
        "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration" => {
            ("Name,#Webhooks,Age", cluster::webhooks)
        }
        "ValidatingAdmissionPolicy" => ("Name,#Validations,ParamKind,Age", cluster::validating_policy),
        "MutatingAdmissionPolicy" => ("Name,#Mutations,ParamKind,Age", cluster::mutating_policy),
        "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding" => {
            ("Name,PolicyName,ParamRef,Age", cluster::policy_binding)
        }
        _ => return None,
    })
}

pub(super) fn name_and_age(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), age_of(object, now)]
}

fn name_and_creation(object: &Value, _now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, &["metadata", "creationTimestamp"]).into()]
}

fn service(object: &Value, now: Timestamp) -> Vec<Value> {
    let addresses = object.list_at(&["spec", "clusterIPs"]);
    let internal = addresses.first().and_then(Value::as_str).unwrap_or_default();
    let ports: Vec<String> = object
        .list_at(&["spec", "ports"])
        .iter()
        .map(|port| match int(port, &["nodePort"]) {
            0 => format!("{}/{}", int(port, &["port"]), text(port, &["protocol"])),
            node_port => format!("{}:{node_port}/{}", int(port, &["port"]), text(port, &["protocol"])),
        })
        .collect();
    vec![
        name(object),
        text(object, &["spec", "type"]).into(),
        or_none(internal).into(),
        external_address(object).into(),
        or_none(&ports.join(",")).into(),
        age_of(object, now),
        labels(object.at(&["spec", "selector"])).into(),
    ]
}

fn external_address(object: &Value) -> String {
    let mut addresses: Vec<&str> =
        object.list_at(&["spec", "externalIPs"]).iter().filter_map(Value::as_str).collect();
    match text(object, &["spec", "type"]) {
        "ExternalName" => text(object, &["spec", "externalName"]).to_owned(),
        "LoadBalancer" => {
            let balanced = load_balancers(object);
            addresses.splice(0..0, balanced);
            if addresses.is_empty() { "<pending>".to_owned() } else { addresses.join(",") }
        }
        _ => or_none(&addresses.join(",")),
    }
}

fn load_balancers(object: &Value) -> Vec<&str> {
    object
        .list_at(&["status", "loadBalancer", "ingress"])
        .iter()
        .filter_map(|ingress| ingress.str_at(&["ip"]).or_else(|| ingress.str_at(&["hostname"])))
        .collect()
}

fn ingress(object: &Value, now: Timestamp) -> Vec<Value> {
    /// How many hosts are shown.
    const N_HOSTS_MAX: usize = 3;
    let rules = object.list_at(&["spec", "rules"]);
    let hosts: Vec<&str> = rules
        .iter()
        .map(|rule| text(rule, &["host"]))
        .filter(|host| !host.is_empty())
        .take(N_HOSTS_MAX)
        .collect();
    let hosts = match hosts.as_slice() {
        [] => "*".to_owned(),
        shown if shown.len() == N_HOSTS_MAX && rules.len() > N_HOSTS_MAX => {
            format!("{} + {} more...", shown.join(","), rules.len() - N_HOSTS_MAX)
        }
        shown => shown.join(","),
    };
    let ports = if object.list_at(&["spec", "tls"]).is_empty() { "80" } else { "80, 443" };
    vec![
        name(object),
        or_none(text(object, &["spec", "ingressClassName"])).into(),
        hosts.into(),
        load_balancers(object).join(",").into(),
        ports.into(),
        age_of(object, now),
    ]
}

fn network_policy(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), label_selector(object.at(&["spec", "podSelector"])).into(), age_of(object, now)]
}

fn namespace(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, &["status", "phase"]).into(), age_of(object, now)]
}

fn n_entries(object: &Value, key: &str) -> i64 {
    object.get(key).and_then(Value::as_map).map_or(0, |map| i64::try_from(map.len()).unwrap_or(i64::MAX))
}

fn config_map(object: &Value, now: Timestamp) -> Vec<Value> {
    let n_data = n_entries(object, "data") + n_entries(object, "binaryData");
    vec![name(object), n_data.into(), age_of(object, now)]
}

fn secret(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, &["type"]).into(), n_entries(object, "data").into(), age_of(object, now)]
}

fn lease(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, &["spec", "holderIdentity"]).into(), age_of(object, now)]
}

fn disruption_budget(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        scalar_or(object, &["spec", "minAvailable"], "N/A").into(),
        scalar_or(object, &["spec", "maxUnavailable"], "N/A").into(),
        int(object, &["status", "disruptionsAllowed"]).into(),
        age_of(object, now),
    ]
}

fn autoscaler(object: &Value, now: Timestamp) -> Vec<Value> {
    let reference = format!(
        "{}/{}",
        text(object, &["spec", "scaleTargetRef", "kind"]),
        text(object, &["spec", "scaleTargetRef", "name"])
    );
    vec![
        name(object),
        reference.into(),
        metrics(object).into(),
        scalar_or(object, &["spec", "minReplicas"], "<unset>").into(),
        int(object, &["spec", "maxReplicas"]).into(),
        int(object, &["status", "currentReplicas"]).into(),
        age_of(object, now),
    ]
}

fn metrics(object: &Value) -> String {
    /// How many metrics are shown.
    const N_METRICS_MAX: usize = 2;
    let specs = object.list_at(&["spec", "metrics"]);
    let current = object.list_at(&["status", "currentMetrics"]);
    let shown: Vec<String> =
        specs.iter().enumerate().map(|(index, spec)| metric(spec, current.get(index))).collect();
    match shown.as_slice() {
        [] => "<none>".to_owned(),
        many if many.len() > N_METRICS_MAX => {
            format!("{} + {} more...", many[..N_METRICS_MAX].join(", "), many.len() - N_METRICS_MAX)
        }
        few => few.join(", "),
    }
}

fn metric(spec: &Value, current: Option<&Value>) -> String {
    let (key, named) = match text(spec, &["type"]) {
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "External" => ("external", false),
        _ => return "<unknown type>".to_owned(),
    };
    let target = |field: &str| spec.at(&[key, "target", field]).is_some();
    let (field, suffix) = match () {
        () if target("averageUtilization") => ("averageUtilization", "%"),
        () if target("averageValue") => ("averageValue", ""),
        () => ("value", ""),
    };
    let shown = |value: Option<&Value>, absent: &str| match value {
        Some(Value::Str(text)) => text.to_string(),
        Some(Value::Int(number)) => format!("{number}{suffix}"),
        _ => absent.to_owned(),
    };
    let found = shown(current.and_then(|current| current.at(&[key, "current", field])), "<unknown>");
    let wanted = shown(spec.at(&[key, "target", field]), "<auto>");
    if named {
        format!("{}: {found}/{wanted}", text(spec, &[key, "name"]))
    } else if field == "averageValue" && key != "pods" {
        format!("{found}/{wanted} (avg)")
    } else {
        format!("{found}/{wanted}")
    }
}

fn event(object: &Value, now: Timestamp) -> Vec<Value> {
    // The newer group has other names for the same fields.
    let of = |core: &'static str, newer: &'static str| if object.get(core).is_some() { core } else { newer };
    let about = of("involvedObject", "regarding");
    let source = of("source", "deprecatedSource");
    let time = |keys: &[&str]| object.str_at(keys).filter(|text| !text.is_empty());
    let first = time(&[of("firstTimestamp", "deprecatedFirstTimestamp")]).or_else(|| time(&["eventTime"]));
    let last = time(&["series", "lastObservedTime"])
        .or_else(|| time(&[of("lastTimestamp", "deprecatedLastTimestamp")]))
        .or(first);
    let counted = int(object, &[of("count", "deprecatedCount")]).max(1);
    let count = object.int_at(&["series", "count"]).unwrap_or(counted);
    let involved =
        format!("{}/{}", text(object, &[about, "kind"]).to_lowercase(), text(object, &[about, "name"]));
    let component = text(object, &[source, "component"]);
    let reporter = text(object, &[of("reportingComponent", "reportingController")]);
    let component = if component.is_empty() { reporter } else { component };
    let host = text(object, &[source, "host"]);
    let host = if host.is_empty() { text(object, &["reportingInstance"]) } else { host };
    let source = if host.is_empty() { component.to_owned() } else { format!("{component}, {host}") };
    vec![
        age::since(last, now).into(),
        text(object, &["type"]).into(),
        text(object, &["reason"]).into(),
        involved.into(),
        text(object, &[about, "fieldPath"]).into(),
        source.into(),
        text(object, &[of("message", "note")]).trim().into(),
        age::since(first, now).into(),
        count.into(),
        name(object),
    ]
}
