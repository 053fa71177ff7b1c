//! Workloads: selectors, strategies, templates.

use trueup_object::{Map, Value};

use super::{Report, join, metadata, pod};

static NOTHING: Value = Value::Null;

fn spec(object: &Value) -> &Value {
    object.get("spec").unwrap_or(&NOTHING)
}

pub fn deployment(report: &mut Report, object: &Value) {
    let spec = spec(object);
    report.not_negative(spec, "spec", "replicas");
    selector(report, spec, "deployment", true);
    pod::template(report, spec, "spec", &["Always"]);
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
        Some(_) | None => {
            report.one_of(
                spec.get("strategy").unwrap_or(&NOTHING),
                "spec.strategy",
                "type",
                &["Recreate", "RollingUpdate"],
            );
        }
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
        let value = rolling.get(key).cloned().unwrap_or_default();
        match amount(key) {
            Some(number) if number < 0 => {
                report.invalid(&join(path, key), value, "must be greater than or equal to 0");
            }
            Some(_) => {}
            None if value.is_null() => {}
            None => report.invalid(
                &join(path, key),
                value,
                "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', \
                 regex used for validation is '[0-9]+%')",
            ),
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
}

pub fn daemon_set(report: &mut Report, object: &Value) {
    let spec = spec(object);
    selector(report, spec, "daemonset", true);
    pod::template(report, spec, "spec", &["Always"]);
    report.not_negative(spec, "spec", "minReadySeconds");
    report.not_negative(spec, "spec", "revisionHistoryLimit");
    if let Some(strategy) = spec.get("updateStrategy") {
        report.one_of(strategy, "spec.updateStrategy", "type", &["OnDelete", "RollingUpdate"]);
    }
}

pub fn stateful_set(report: &mut Report, object: &Value) {
    let spec = spec(object);
    match spec.str_at(&["podManagementPolicy"]) {
        Some("OrderedReady" | "Parallel") => {}
        Some(other) => {
            report.invalid("spec.podManagementPolicy", other, "must be 'OrderedReady' or 'Parallel'");
        }
        None => report.required("spec.podManagementPolicy", ""),
    }
    match spec.str_at(&["updateStrategy", "type"]) {
        Some("RollingUpdate" | "OnDelete") => {}
        Some(_) | None => {
            let strategy = spec.get("updateStrategy").cloned().unwrap_or_default();
            report.invalid("spec.updateStrategy", strategy, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
    report.not_negative(spec, "spec", "replicas");
    report.not_negative(spec, "spec", "minReadySeconds");
    selector(report, spec, "statefulset", true);
    // Claims become volumes of the pods that the controller makes.
    let mut with_claims = spec.clone();
    let mut volumes = spec.list_at(&["template", "spec", "volumes"]).to_vec();
    for claim in spec.list_at(&["volumeClaimTemplates"]) {
        let name = claim.str_at(&["metadata", "name"]).unwrap_or_default();
        if !volumes.iter().any(|volume| volume.str_at(&["name"]) == Some(name)) {
            let mut volume = Value::Map(Map::new());
            volume.set_at(&["name"], name.into());
            volumes.push(volume);
        }
    }
    with_claims.set_at(&["template", "spec", "volumes"], Value::List(volumes));
    pod::template(report, &with_claims, "spec", &["Always"]);
}

pub fn job(report: &mut Report, object: &Value) {
    job_spec(report, spec(object), "spec");
}

fn job_spec(report: &mut Report, spec: &Value, path: &str) {
    for key in
        ["parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished"]
    {
        report.not_negative(spec, path, key);
    }
    let policy = spec.str_at(&["template", "spec", "restartPolicy"]);
    if policy == Some("Always") {
        report.causes.push(crate::status::StatusCause::required(
            &join(path, "template.spec.restartPolicy"),
            "valid values: \"OnFailure\", \"Never\"",
        ));
    }
    pod::template(report, spec, path, &["Always", "OnFailure", "Never"]);
}

pub fn cron_job(report: &mut Report, object: &Value) {
    let spec = spec(object);
    if report.text(spec, "spec", "schedule") {
        let schedule = spec.str_at(&["schedule"]).unwrap_or_default();
        let fields = schedule.split_whitespace().count();
        if !schedule.starts_with('@') && fields != 5 {
            let detail = format!("expected exactly 5 fields, found {fields}: [{schedule}]");
            report.invalid("spec.schedule", schedule, &detail);
        }
    }
    report.one_of(spec, "spec", "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    report.not_negative(spec, "spec", "startingDeadlineSeconds");
    report.not_negative(spec, "spec", "successfulJobsHistoryLimit");
    report.not_negative(spec, "spec", "failedJobsHistoryLimit");
    job_spec(report, spec.at(&["jobTemplate", "spec"]).unwrap_or(&NOTHING), "spec.jobTemplate.spec");
}

/// A selector must be there, select something, and match the labels of the template.
fn selector(report: &mut Report, spec: &Value, kind: &str, required: bool) {
    let Some(selector) = spec.get("selector").filter(|selector| !selector.is_null()) else {
        if required {
            report.required("spec.selector", "");
            // Without a selector nothing matches.
            let labels = spec.at(&["template", "metadata", "labels"]).cloned().unwrap_or_default();
            report.invalid(
                "spec.template.metadata.labels",
                labels,
                "`selector` does not match template `labels`",
            );
        }
        return;
    };
    metadata::labels(report, selector, "spec.selector.matchLabels", "matchLabels");
    let expressions = selector.list_at(&["matchExpressions"]);
    let labels = selector.get("matchLabels").and_then(Value::as_map);
    if expressions.is_empty() && labels.is_none_or(Map::is_empty) {
        let detail = format!("empty selector is invalid for {kind}");
        report.invalid("spec.selector", selector.clone(), &detail);
        return;
    }
    let template = spec.at(&["template", "metadata", "labels"]);
    if !matches(selector, template) {
        let value = template.cloned().unwrap_or_default();
        report.invalid("spec.template.metadata.labels", value, "`selector` does not match template `labels`");
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
