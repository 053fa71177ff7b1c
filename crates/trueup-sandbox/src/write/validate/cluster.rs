//! Nodes, events, limits and quotas of namespaces, classes of priority and of runtime, leases.

use std::collections::BTreeSet;

use trueup_object::{Map, Quantity, Value};

use super::names::{dns_label, label_value, qualified_name};
use super::parts::{IMMUTABLE, is_whole};
use super::{Report, join, placement};

static NOTHING: Value = Value::Null;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

pub fn node(report: &mut Report, object: &Value, live: Option<&Value>) {
    if live.is_none() {
        taints(report, object);
        for (index, range) in
            object.list_at(&["spec", "podCIDRs"]).iter().filter_map(Value::as_str).enumerate()
        {
            report.cidr(&format!("spec.podCIDRs[{index}]"), range);
        }
        return;
    }
    let Some(live) = live else { return };
    let before = live.list_at(&["spec", "podCIDRs"]);
    if !before.is_empty() && before != object.list_at(&["spec", "podCIDRs"]) {
        report.forbidden("spec.podCIDRs", "node updates may not change podCIDR except from \"\" to valid");
    }
    let id = |node: &'_ Value| node.str_at(&["spec", "providerID"]).unwrap_or_default().to_owned();
    if !id(live).is_empty() && id(live) != id(object) {
        report
            .forbidden("spec.providerID", "node updates may not change providerID except from \"\" to valid");
    }
    taints(report, object);
}

fn taints(report: &mut Report, object: &Value) {
    let mut seen = BTreeSet::new();
    for (index, taint) in object.list_at(&["spec", "taints"]).iter().enumerate() {
        let path = format!("metadata.taints[{index}]");
        let part = |key: &str| taint.str_at(&[key]).unwrap_or_default();
        report.wrong(&join(&path, "key"), part("key"), qualified_name(part("key")));
        report.wrong(&join(&path, "value"), part("value"), label_value(part("value")));
        report.one_of(taint, &path, "effect", &EFFECTS);
        if !seen.insert((part("key"), part("effect"))) {
            let shown = Value::Map(
                [("Key", "key"), ("Value", "value"), ("Effect", "effect")]
                    .iter()
                    .map(|(name, key)| (*name, Value::from(part(key))))
                    .chain([("TimeAdded", taint.get("timeAdded").cloned().unwrap_or_default())])
                    .collect::<Map>(),
            );
            report.causes.push(crate::status::StatusCause::new(
                "FieldValueDuplicate",
                path,
                format!("Duplicate value: {}: taints must be unique by key and effect pair", shown.to_json()),
            ));
        }
    }
}

/// An event of the core group, whose rules are older, or of its own.
pub fn event(report: &mut Report, object: &Value, live: Option<&Value>, is_core: bool) {
    let named = |core: &'static str, own: &'static str| if is_core { core } else { own };
    let text = |path: &[&str]| object.str_at(path).unwrap_or_default();
    let about = named("involvedObject", "regarding");
    let namespace = text(&["metadata", "namespace"]);
    let of = text(&[about, "namespace"]);
    let timed = object.at(&["eventTime"]).is_some_and(|time| !time.is_null());
    let fits = match (timed, of.is_empty()) {
        (false, true) => namespace == "default",
        (false, false) => of == namespace,
        (true, true) => matches!(namespace, "default" | "kube-system"),
        (true, false) => true,
    };
    if !fits {
        report.invalid("involvedObject.namespace", of, "does not match event.namespace");
    }
    if timed {
        let controller = named("reportingComponent", "reportingController");
        if text(&[controller]).is_empty() {
            report.required(controller, "");
        }
        report.wrong(controller, text(&[controller]), qualified_name(text(&[controller])));
        for key in ["reportingInstance", "action", "reason"] {
            if text(&[key]).is_empty() {
                report.required(key, "");
            }
        }
    }
    if is_core {
        return;
    }
    match live {
        None => new_event(report, object, timed),
        Some(live) => {
            series(report, object, object.get("series") != live.get("series"));
            for (path, shown) in [
                (about, "involvedObject"),
                ("reason", "reason"),
                ("note", "message"),
                ("reason", "reason"),
                ("type", "type"),
                ("eventTime", "eventTime"),
                ("action", "action"),
                ("related", "related"),
                ("reportingController", "reportingController"),
                ("reportingInstance", "reportingInstance"),
            ] {
                let new = object.get(path).cloned().unwrap_or_default();
                if new != live.get(path).cloned().unwrap_or_default() {
                    report.invalid(shown, new, super::parts::IMMUTABLE);
                }
            }
        }
    }
}

fn new_event(report: &mut Report, object: &Value, timed: bool) {
    series(report, object, true);
    if !timed {
        report.required("eventTime", "");
    }
    let kind = object.str_at(&["type"]).unwrap_or_default();
    if !matches!(kind, "Normal" | "Warning") {
        report.invalid("type", "", &format!("has invalid value: {kind}"));
    }
    for (key, shown) in [
        ("deprecatedFirstTimestamp", "firstTimestamp"),
        ("deprecatedLastTimestamp", "lastTimestamp"),
        ("deprecatedCount", "count"),
    ] {
        if object.get(key).is_some_and(|value| !value.is_null() && value.as_int() != Some(0)) {
            report.invalid(shown, "", "needs to be unset");
        }
    }
}

fn series(report: &mut Report, object: &Value, changed: bool) {
    let Some(series) = object.get("series").filter(|_| changed) else { return };
    if series.int_at(&["count"]).unwrap_or_default() < 2 {
        report.invalid("series.count", "", "should be at least 2");
    }
    if series.get("lastObservedTime").is_none_or(Value::is_null) {
        report.required("series.lastObservedTime", "");
    }
}

/// What containers can be given by a name without a domain.
pub fn is_container_resource(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-")
}

const QUOTA_RESOURCES: [&str; 20] = [
    "cpu",
    "memory",
    "ephemeral-storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
    "pods",
    "resourcequotas",
    "services",
    "replicationcontrollers",
    "secrets",
    "persistentvolumeclaims",
    "configmaps",
    "services.nodeports",
    "services.loadbalancers",
    "storage",
];

/// Resources of which there are whole ones only.
fn is_counted(name: &str) -> bool {
    matches!(
        name,
        "pods"
            | "resourcequotas"
            | "services"
            | "replicationcontrollers"
            | "secrets"
            | "persistentvolumeclaims"
            | "configmaps"
            | "services.nodeports"
            | "services.loadbalancers"
    ) || name.starts_with("count/")
}

/// The name of a resource, by itself.
pub fn resource_name(report: &mut Report, field: &str, name: &str) {
    report.wrong(field, name, qualified_name(name));
    let standard = QUOTA_RESOURCES.contains(&name)
        || name.starts_with("hugepages-")
        || name.starts_with("requests.hugepages-");
    if !name.contains('/') && !standard {
        report.invalid(field, name, "must be a standard resource type or fully qualified");
    }
}

pub fn quota(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let hard = spec.get("hard").and_then(Value::as_map);
    for (name, amount) in hard.into_iter().flat_map(Map::iter) {
        let field = format!("spec.hard[{name}]");
        resource_name(report, &field, name);
        let standard = QUOTA_RESOURCES.contains(&name) && name != "storage";
        if !name.contains('/') && !standard && !name.contains("hugepages-") {
            report.invalid(&field, name, "must be a standard resource for quota");
        }
        report.quantity(&field, amount);
        if is_counted(name) && !is_whole(amount) {
            report.invalid(&field, amount.clone(), "must be an integer");
        }
    }
    scopes(report, spec, hard);
    for expression in spec.list_at(&["scopeSelector", "matchExpressions"]) {
        let path = "spec.scopeSelector.matchExpressions";
        let values = expression.list_at(&["values"]);
        match expression.str_at(&["operator"]).unwrap_or_default() {
            "In" | "NotIn" if values.is_empty() => report.required(
                &join(path, "values"),
                "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => report.invalid(&join(path, "operator"), other, "not a valid selector operator"),
        }
    }
    if let Some(live) = live {
        let scopes = |quota: &Value| -> BTreeSet<String> {
            let listed = quota.list_at(&["spec", "scopes"]).iter();
            listed.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        if scopes(object) != scopes(live) {
            report.invalid("spec.scopes", object.list_at(&["spec", "scopes"]).to_vec(), IMMUTABLE);
        }
    }
}

fn scopes(report: &mut Report, spec: &Value, hard: Option<&Map>) {
    let all = spec.list_at(&["scopes"]);
    let given: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
    let mut wrong = |detail: &str| report.invalid("spec.scopes", Value::List(all.to_vec()), detail);
    for scope in &given {
        let known = [
            "BestEffort",
            "CrossNamespacePodAffinity",
            "NotBestEffort",
            "NotTerminating",
            "PriorityClass",
            "Terminating",
            "VolumeAttributesClass",
        ];
        if !known.contains(scope) {
            wrong("unsupported scope");
        }
        for name in hard.into_iter().flat_map(Map::keys).filter(|name| QUOTA_RESOURCES.contains(name)) {
            let of_pods = matches!(name, "pods" | "cpu" | "memory")
                || name.starts_with("requests.")
                || name.starts_with("limits.");
            let fits = match *scope {
                "BestEffort" => name == "pods",
                "NotBestEffort"
                | "Terminating"
                | "NotTerminating"
                | "PriorityClass"
                | "CrossNamespacePodAffinity" => of_pods,
                "VolumeAttributesClass" => matches!(name, "persistentvolumeclaims" | "requests.storage"),
                _ => true,
            };
            if !fits {
                wrong("unsupported scope applied to resource");
            }
        }
    }
    for (one, other) in [("BestEffort", "NotBestEffort"), ("Terminating", "NotTerminating")] {
        if given.contains(&one) && given.contains(&other) {
            wrong("conflicting scopes");
        }
    }
}

pub fn limit_range(report: &mut Report, object: &Value) {
    let mut kinds = BTreeSet::new();
    for (index, limit) in object.list_at(&["spec", "limits"]).iter().enumerate() {
        let path = format!("spec.limits[{index}]");
        let kind = limit.str_at(&["type"]).unwrap_or_default();
        let field = join(&path, "type");
        let is_standard = matches!(kind, "Pod" | "Container" | "PersistentVolumeClaim");
        let wrong = qualified_name(kind);
        report.wrong(&field, kind, wrong.clone());
        if wrong.is_empty() && !is_standard && !kind.contains('/') {
            report.invalid(&field, kind, "must be a standard limit type or fully qualified");
        }
        if !kinds.insert(kind) {
            report.duplicate(&field, kind);
        }
        limits(report, limit, kind, &path);
    }
}

fn limits(report: &mut Report, limit: &Value, kind: &str, path: &str) {
    let mut names = BTreeSet::new();
    for list in ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"] {
        let Some(amounts) = limit.get(list).and_then(Value::as_map) else { continue };
        let field = join(path, list);
        if kind == "Pod" && list.starts_with("default") {
            if !amounts.is_empty() {
                report.forbidden(&field, "may not be specified when `type` is 'Pod'");
            }
            continue;
        }
        for name in amounts.keys() {
            names.insert(name);
            let field = format!("{field}[{name}]");
            if !matches!(kind, "Pod" | "Container") {
                continue;
            }
            resource_name(report, &field, name);
            if !name.contains('/') && !is_container_resource(name) {
                report.invalid(&field, name, "must be a standard resource for containers");
            }
        }
    }
    let claims = kind == "PersistentVolumeClaim";
    if claims && limit.at(&["min", "storage"]).is_none() && limit.at(&["max", "storage"]).is_none() {
        report.required(
            &join(path, "limits"),
            "either minimum or maximum storage value is required, but neither was provided",
        );
    }
    names.iter().for_each(|name| order_of_amounts(report, limit, name, path));
}

/// What must not be greater than what, with the words for both, the field that is blamed and the value that is shown.
const ORDERS: [(&str, &str, &str, &str, &str, &str); 6] = [
    ("min", "max", "min value", "max value", "min", "min"),
    ("min", "defaultRequest", "min value", "default request value", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "default request value", "max value", "defaultRequest", "defaultRequest"),
    (
        "defaultRequest",
        "default",
        "default request value",
        "default limit value",
        "defaultRequest",
        "defaultRequest",
    ),
    ("min", "default", "min value", "default value", "default", "min"),
    ("default", "max", "default value", "max value", "default", "max"),
];

fn order_of_amounts(report: &mut Report, limit: &Value, name: &str, path: &str) {
    let amount = |list: &str| limit.at(&[list, name]).and_then(|value| Quantity::of(value).ok());
    for (low, high, low_word, high_word, blamed, shown) in ORDERS {
        let (Some(small), Some(great)) = (amount(low), amount(high)) else { continue };
        if small > great {
            let detail = format!("{low_word} {small} is greater than {high_word} {great}");
            let value = if shown == low { &small } else { &great };
            report.invalid(&format!("{path}.{blamed}[{name}]"), value.to_string(), &detail);
        }
    }
    if let (Some(ratio), Ok(one)) = (amount("maxLimitRequestRatio"), Quantity::of(&1.into()))
        && ratio < one
    {
        let field = format!("{path}.maxLimitRequestRatio[{name}]");
        report.invalid(&field, ratio.to_string(), &format!("ratio {ratio} is less than 1"));
    }
}

/// The highest priority that users may give.
const PRIORITY_MAX: i64 = 1_000_000_000;

pub fn priority_class(report: &mut Report, object: &Value, live: Option<&Value>) {
    if let Some(live) = live {
        if object.get("value") != live.get("value") {
            report.forbidden("value", "may not be changed in an update.");
        }
        report.unchanged(object, live, &["preemptionPolicy"]);
        return;
    }
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    let system = matches!(name, "system-node-critical" | "system-cluster-critical");
    if name.starts_with("system-") && !system {
        report.forbidden(
            "metadata.name",
            &format!(
                "priority class names with 'system-' prefix are reserved for system use only. error: {name} is not a \
                 known system priority class"
            ),
        );
    } else if !system && object.int_at(&["value"]).is_some_and(|value| value > PRIORITY_MAX) {
        report.forbidden(
            "value",
            &format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}"),
        );
    }
    report.optional(object, "", "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
}

pub fn runtime_class(report: &mut Report, object: &Value, live: Option<&Value>) {
    match object.str_at(&["handler"]).filter(|text| !text.is_empty()) {
        None => report.required("handler", ""),
        Some(handler) => report.wrong("handler", handler, dns_label(handler)),
    }
    let overhead = object.at(&["overhead", "podFixed"]).and_then(Value::as_map);
    for (name, amount) in overhead.into_iter().flat_map(Map::iter) {
        report.quantity(&format!("overhead.limits[{name}]"), amount);
    }
    if let Some(scheduling) = object.get("scheduling") {
        report.label_map(scheduling.get("nodeSelector"), "scheduling.nodeSelector");
        placement::tolerations(report, scheduling, "scheduling");
    }
    if let Some(live) = live {
        report.unchanged(object, live, &["handler"]);
    }
}

pub fn lease(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if let Some(seconds) = spec.int_at(&["leaseDurationSeconds"]).filter(|seconds| *seconds <= 0) {
        report.invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0");
    }
    // A holder without a name is what client-go writes when it gives a lease up.
    report.not_negative(spec, "spec", "leaseTransitions");
}

pub fn budget(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
        report.invalid("spec", spec.clone(), "minAvailable and maxUnavailable cannot be both set");
    }
    for key in ["minAvailable", "maxUnavailable"] {
        if let Some(value) = spec.get(key) {
            report.share(&join("spec", key), value);
        }
    }
    if let Some(selector) = spec.get("selector") {
        report.label_selector(selector, "spec.selector");
    }
    report.optional(spec, "spec", "unhealthyPodEvictionPolicy", &["AlwaysAllow", "IfHealthyBudget"]);
}

/// Finalizers of a namespace are names of the server's own, or have a domain.
pub fn namespace(report: &mut Report, object: &Value) {
    for finalizer in object.list_at(&["spec", "finalizers"]).iter().filter_map(Value::as_str) {
        report.wrong("spec.finalizers", finalizer, qualified_name(finalizer));
        if !finalizer.contains('/') && !matches!(finalizer, "kubernetes" | "orphan" | "foregroundDeletion") {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            report.invalid("spec.finalizers", finalizer, detail);
        }
    }
}
