//! Workloads: selectors, strategies, templates.

use trueup_object::{Map, Value};

use super::names::dns_label;
use super::{Report, join, pod, storage};
use crate::status::StatusCause;

static NOTHING: Value = Value::Null;

fn spec(object: &Value) -> &Value {
    object.get("spec").unwrap_or(&NOTHING)
}

pub fn deployment(report: &mut Report, object: &Value) {
    let spec = spec(object);
    report.not_negative(spec, "spec", "replicas");
    selector(report, spec, "deployment", true);
    pod::template(report, spec, "spec", &["Always"]);
    no_deadline(report, spec, "ReplicaSet");
    match spec.str_at(&["strategy", "type"]) {
        Some("Recreate") => {
            if spec.at(&["strategy", "rollingUpdate"]).is_some() {
                report.forbidden(
                    "spec.strategy.rollingUpdate",
                    "may not be specified when strategy `type` is 'Recreate'",
                );
            }
        }
        Some("RollingUpdate") => rolling(report, spec.at(&["strategy", "rollingUpdate"])),
        Some(_) | None => unsupported_strategy(
            report,
            spec.get("strategy"),
            "spec.strategy",
            &["Recreate", "RollingUpdate"],
        ),
    }
    for key in ["minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"] {
        report.not_negative(spec, "spec", key);
    }
    if let Some(deadline) = spec.int_at(&["progressDeadlineSeconds"])
        && deadline <= spec.int_at(&["minReadySeconds"]).unwrap_or_default()
    {
        report.invalid("spec.progressDeadlineSeconds", deadline, "must be greater than minReadySeconds");
    }
}

fn rolling(report: &mut Report, rolling: Option<&Value>) {
    let Some(rolling) = rolling else { return };
    let path = "spec.strategy.rollingUpdate";
    let amount = |key: &str| -> Option<i64> {
        match rolling.get(key)? {
            Value::Int(number) => Some(*number),
            Value::Str(text) => text.strip_suffix('%').and_then(|digits| digits.parse().ok()),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
        }
    };
    for key in ["maxUnavailable", "maxSurge"] {
        if let Some(value) = rolling.get(key) {
            let field = join(path, key);
            // More than all may come, but no more than all may go.
            if key == "maxUnavailable" { report.share(&field, value) } else { report.surge(&field, value) }
        }
    }
    if amount("maxUnavailable") == Some(0) && amount("maxSurge") == Some(0) {
        let value = rolling.get("maxUnavailable").cloned().unwrap_or_default();
        report.invalid(&join(path, "maxUnavailable"), value, "may not be 0 when `maxSurge` is 0");
    }
}

pub fn replica_set(report: &mut Report, object: &Value) {
    let spec = spec(object);
    report.not_negative(spec, "spec", "replicas");
    report.not_negative(spec, "spec", "minReadySeconds");
    selector(report, spec, "replicaset", true);
    pod::template(report, spec, "spec", &["Always"]);
    no_deadline(report, spec, "ReplicaSet");
}

pub fn replication_controller(report: &mut Report, object: &Value) {
    let spec = spec(object);
    report.not_negative(spec, "spec", "minReadySeconds");
    let selector = spec.get("selector").and_then(Value::as_map).filter(|map| !map.is_empty());
    if selector.is_none() {
        report.required("spec.selector", "");
    }
    report.not_negative(spec, "spec", "replicas");
    let Some(template) = spec.get("template") else { return report.required("spec.template", "") };
    let labels = template.at(&["metadata", "labels"]);
    let fits = selector.is_some_and(|selector| {
        selector.iter().all(|(key, value)| labels.and_then(|labels| labels.get(key)) == Some(value))
    });
    if selector.is_some() && !fits {
        does_not_match(report, labels);
    }
    pod::template(report, spec, "spec", &["Always"]);
    no_deadline(report, spec, "ReplicationController");
}

/// A strategy of an unknown type, as the server shows it: in its internal form.
fn unsupported_strategy(report: &mut Report, strategy: Option<&Value>, path: &str, known: &[&str]) {
    let kind = strategy.and_then(|strategy| strategy.str_at(&["type"])).unwrap_or_default();
    let rolling = strategy.and_then(|strategy| strategy.get("rollingUpdate"));
    let rolling = rolling.map_or(Value::Null, |rolling| {
        let mut shown = Value::default();
        for (key, name) in [("maxUnavailable", "MaxUnavailable"), ("maxSurge", "MaxSurge")] {
            shown.set_at(&[name], rolling.get(key).cloned().unwrap_or_else(|| 0.into()));
        }
        shown
    });
    let shown =
        format!("{{\"Type\":{},\"RollingUpdate\":{}}}", Value::from(kind).to_json(), rolling.to_json());
    let listed: Vec<String> = known.iter().map(|item| format!("{item:?}")).collect();
    report.causes.push(StatusCause::new(
        "FieldValueNotSupported",
        path,
        format!("Unsupported value: {shown}: supported values: {}", listed.join(", ")),
    ));
}

/// A template of a workload that runs on has no deadline.
fn no_deadline(report: &mut Report, spec: &Value, kind: &str) {
    if spec.at(&["template", "spec", "activeDeadlineSeconds"]).is_some() {
        report.forbidden(
            "spec.template.spec.activeDeadlineSeconds",
            &format!("activeDeadlineSeconds in {kind} is not Supported"),
        );
    }
}

pub fn daemon_set(report: &mut Report, object: &Value) {
    let spec = spec(object);
    selector(report, spec, "daemonset", false);
    pod::template(report, spec, "spec", &["Always"]);
    no_deadline(report, spec, "DaemonSet");
    report.not_negative(spec, "spec", "minReadySeconds");
    if let Some(strategy) = spec.get("updateStrategy") {
        let path = "spec.updateStrategy";
        match strategy.str_at(&["type"]) {
            Some("OnDelete") => {}
            Some("RollingUpdate") => match strategy.get("rollingUpdate") {
                None => report.required(&join(path, "rollingUpdate"), ""),
                Some(rolling) => daemon_rolling(report, rolling, &join(path, "rollingUpdate")),
            },
            Some(_) | None => {
                unsupported_strategy(report, Some(strategy), path, &["RollingUpdate", "OnDelete"]);
            }
        }
    }
    report.not_negative(spec, "spec", "revisionHistoryLimit");
}

fn daemon_rolling(report: &mut Report, rolling: &Value, path: &str) {
    let amount = |key: &str| match rolling.get(key) {
        Some(Value::Str(text)) => {
            text.strip_suffix('%').and_then(|digits| digits.parse::<i64>().ok()).unwrap_or_default()
        }
        Some(value) => value.as_int().unwrap_or_default(),
        None => 0,
    };
    for key in ["maxUnavailable", "maxSurge"] {
        if let Some(value) = rolling.get(key) {
            report.share(&join(path, key), value);
        }
    }
    let (unavailable, surge) = (amount("maxUnavailable"), amount("maxSurge"));
    if unavailable != 0 && surge != 0 {
        let value = rolling.get("maxSurge").cloned().unwrap_or_default();
        report.invalid(&join(path, "maxSurge"), value, "may not be set when maxUnavailable is non-zero");
    }
    if unavailable == 0 && surge == 0 {
        report.required(&join(path, "maxUnavailable"), "cannot be 0 when maxSurge is 0");
    }
}

pub fn stateful_set(report: &mut Report, object: &Value, live: Option<&Value>) {
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    if live.is_none() && name.len() > STATEFUL_NAME_LENGTH_MAX {
        let detail = format!("must be no more than {STATEFUL_NAME_LENGTH_MAX} characters");
        report.invalid("metadata.name", name, &detail);
    }
    let spec = spec(object);
    stateful_spec(report, spec);
    report.not_negative(spec, "spec", "replicas");
    report.not_negative(spec, "spec", "minReadySeconds");
    if let Some(start) = spec.int_at(&["ordinals", "start"]).filter(|start| *start < 0) {
        report.invalid("spec.ordinals.start", start, "must be greater than or equal to 0");
    }
    selector(report, spec, "statefulset", true);
    report.named(spec, "spec", "serviceName", dns_label);
    // Claims become volumes of the pods that the controller makes.
    let mut with_claims = spec.clone();
    let mut volumes = spec.list_at(&["template", "spec", "volumes"]).to_vec();
    for claim in spec.list_at(&["volumeClaimTemplates"]) {
        let name = claim.str_at(&["metadata", "name"]).unwrap_or_default();
        if !volumes.iter().any(|volume| volume.str_at(&["name"]) == Some(name)) {
            let mut volume = Value::Map(Map::new());
            volume.set_at(&["name"], name.into());
            volume.set_at(&["persistentVolumeClaim", "claimName"], name.into());
            volumes.push(volume);
        }
    }
    with_claims.set_at(&["template", "spec", "volumes"], Value::List(volumes));
    // Names of hosts come from the controller.
    with_claims.remove_at(&["template", "spec", "hostname"]);
    for (index, claim) in spec.list_at(&["volumeClaimTemplates"]).iter().enumerate() {
        if live.is_none() {
            let path = format!("spec.volumeClaimTemplates[{index}].spec");
            storage::claim_spec(report, claim.get("spec").unwrap_or(&NOTHING), &path);
        }
    }
    pod::template(report, &with_claims, "spec", &["Always"]);
    no_deadline(report, spec, "StatefulSet");
}

/// Pods carry the name as a label's value.
const STATEFUL_NAME_LENGTH_MAX: usize = 63;

fn stateful_spec(report: &mut Report, spec: &Value) {
    match spec.str_at(&["podManagementPolicy"]) {
        Some("OrderedReady" | "Parallel") => {}
        Some(other) => {
            report.invalid("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'");
        }
        None => report.required("spec.podManagementPolicy", ""),
    }
    let strategy = spec.get("updateStrategy").cloned().unwrap_or_default();
    let rolling = strategy.get("rollingUpdate");
    match strategy.str_at(&["type"]) {
        Some("RollingUpdate") => {
            let path = "spec.updateStrategy.rollingUpdate";
            if let Some(rolling) = rolling {
                report.not_negative(rolling, path, "partition");
            }
        }
        Some("OnDelete") => {
            if let Some(rolling) = rolling {
                report.invalid(
                    "spec.updateStrategy.rollingUpdate",
                    rolling.clone(),
                    "only allowed for updateStrategy 'RollingUpdate'",
                );
            }
        }
        Some(_) | None => {
            let mut shown = Value::default();
            shown.set_at(&["Type"], strategy.get("type").cloned().unwrap_or_else(|| "".into()));
            shown.set_at(&["RollingUpdate"], Value::Null);
            if let Some(rolling) = rolling {
                let partition = rolling.get("partition").cloned().unwrap_or_else(|| 0.into());
                shown.set_at(&["RollingUpdate", "Partition"], partition);
                shown.set_at(&["RollingUpdate", "MaxUnavailable"], Value::Null);
            }
            report.invalid("spec.updateStrategy", shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
    if let Some(policy) = spec.get("persistentVolumeClaimRetentionPolicy") {
        for key in ["whenDeleted", "whenScaled"] {
            report.optional(policy, "spec.persistentVolumeClaimRetentionPolicy", key, &["Retain", "Delete"]);
        }
    }
}

pub fn controller_revision(report: &mut Report, object: &Value, live: Option<&Value>) {
    match object.get("data") {
        None | Some(Value::Null) => report.required("data", "data is mandatory"),
        Some(Value::Map(_)) => {}
        Some(_) => report.required("data", "data must be a valid JSON object"),
    }
    report.not_negative(object, "", "revision");
    if let Some(live) = live {
        report.unchanged(object, live, &["data"]);
    }
}

fn does_not_match(report: &mut Report, labels: Option<&Value>) {
    let value = labels.cloned().unwrap_or_default();
    report.invalid("spec.template.metadata.labels", value, "`selector` does not match template `labels`");
}

/// A selector must be there, select something, and match the labels of the template.
fn selector(report: &mut Report, spec: &Value, kind: &str, required: bool) {
    let template = spec.at(&["template", "metadata", "labels"]);
    let Some(selector) = spec.get("selector").filter(|selector| !selector.is_null()) else {
        if required {
            report.required("spec.selector", "");
        }
        // Without a selector nothing matches.
        return does_not_match(report, template);
    };
    let valid = report.label_selector(selector, "spec.selector");
    let expressions = selector.list_at(&["matchExpressions"]);
    let labels = selector.get("matchLabels").and_then(Value::as_map);
    if expressions.is_empty() && labels.is_none_or(Map::is_empty) {
        let detail = format!("empty selector is invalid for {kind}");
        return report.invalid("spec.selector", selector.clone(), &detail);
    }
    if !valid && kind == "daemonset" {
        return;
    }
    if !valid {
        let detail = if kind == "statefulset" { "" } else { "invalid label selector" };
        return report.invalid("spec.selector", selector.clone(), detail);
    }
    if !matches(selector, template) {
        does_not_match(report, template);
    }
}

/// Whether a label selector matches a map of labels.
pub fn matches(selector: &Value, labels: Option<&Value>) -> bool {
    let label = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let equal = selector
        .get("matchLabels")
        .and_then(Value::as_map)
        .into_iter()
        .flat_map(Map::iter)
        .all(|(key, value)| label(key) == value.as_str());
    equal
        && selector.list_at(&["matchExpressions"]).iter().all(|expression| {
            let found = label(expression.str_at(&["key"]).unwrap_or_default());
            let listed =
                |text: &str| expression.list_at(&["values"]).iter().any(|value| value.as_str() == Some(text));
            match expression.str_at(&["operator"]) {
                Some("In") => found.is_some_and(listed),
                Some("NotIn") => !found.is_some_and(listed),
                Some("Exists") => found.is_some(),
                Some("DoesNotExist") => found.is_none(),
                Some(_) | None => false,
            }
        })
}
