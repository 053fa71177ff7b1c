//! Cells of workloads: replicas wanted and there, containers and selectors.

use trueup_object::{Timestamp, Value};

use super::age;
use super::cell::{age_of, containers, int, label_selector, labels, name, or_none, text};

fn template(object: &Value) -> [Value; 2] {
    containers(object.at(&["spec", "template", "spec"]))
}

fn selector(object: &Value) -> Value {
    label_selector(object.at(&["spec", "selector"])).into()
}

pub(super) fn deployment(object: &Value, now: Timestamp) -> Vec<Value> {
    let ready =
        format!("{}/{}", int(object, &["status", "readyReplicas"]), int(object, &["spec", "replicas"]));
    let [names, images] = template(object);
    vec![
        name(object),
        ready.into(),
        int(object, &["status", "updatedReplicas"]).into(),
        int(object, &["status", "availableReplicas"]).into(),
        age_of(object, now),
        names,
        images,
        selector(object),
    ]
}

pub(super) fn replica_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let [names, images] = template(object);
    let selector = if text(object, &["kind"]) == "ReplicationController" {
        labels(object.at(&["spec", "selector"])).into()
    } else {
        selector(object)
    };
    vec![
        name(object),
        int(object, &["spec", "replicas"]).into(),
        int(object, &["status", "replicas"]).into(),
        int(object, &["status", "readyReplicas"]).into(),
        age_of(object, now),
        names,
        images,
        selector,
    ]
}

pub(super) fn stateful_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let ready =
        format!("{}/{}", int(object, &["status", "readyReplicas"]), int(object, &["spec", "replicas"]));
    let [names, images] = template(object);
    vec![name(object), ready.into(), age_of(object, now), names, images]
}

pub(super) fn daemon_set(object: &Value, now: Timestamp) -> Vec<Value> {
    let status = |key: &str| Value::Int(int(object, &["status", key]));
    let [names, images] = template(object);
    vec![
        name(object),
        status("desiredNumberScheduled"),
        status("currentNumberScheduled"),
        status("numberReady"),
        status("updatedNumberScheduled"),
        status("numberAvailable"),
        labels(object.at(&["spec", "template", "spec", "nodeSelector"])).into(),
        age_of(object, now),
        names,
        images,
        selector(object),
    ]
}

pub(super) fn controller_revision(object: &Value, now: Timestamp) -> Vec<Value> {
    let owners = object.list_at(&["metadata", "ownerReferences"]);
    let owner = owners.iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
    let controller = owner.map_or_else(
        || "<none>".to_owned(),
        |owner| {
            let group = text(owner, &["apiVersion"]).split_once('/').map(|(group, _)| group);
            let kind = text(owner, &["kind"]).to_lowercase();
            let resource = group.map_or_else(|| kind.clone(), |group| format!("{kind}.{group}"));
            format!("{resource}/{}", text(owner, &["name"]))
        },
    );
    vec![name(object), controller.into(), int(object, &["revision"]).into(), age_of(object, now)]
}

pub(super) fn job(object: &Value, now: Timestamp) -> Vec<Value> {
    let conditions = object.list_at(&["status", "conditions"]);
    let has = |kind: &str| {
        conditions
            .iter()
            .any(|condition| text(condition, &["type"]) == kind && text(condition, &["status"]) == "True")
    };
    let status = match () {
        () if has("Complete") => "Complete",
        () if has("Failed") => "Failed",
        () if object.at(&["metadata", "deletionTimestamp"]).is_some() => "Terminating",
        () if has("Suspended") => "Suspended",
        () if has("FailureTarget") => "FailureTarget",
        () if has("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    };
    let succeeded = int(object, &["status", "succeeded"]);
    let completions = match (object.int_at(&["spec", "completions"]), int(object, &["spec", "parallelism"])) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, parallelism) if parallelism > 1 => format!("{succeeded}/1 of {parallelism}"),
        (None, _) => format!("{succeeded}/1"),
    };
    let start = object.str_at(&["status", "startTime"]);
    let duration = match (start, object.str_at(&["status", "completionTime"])) {
        (None, _) => String::new(),
        (Some(_), None) => age::since(start, now),
        (Some(_), end) => age::between(start, end),
    };
    let [names, images] = template(object);
    vec![
        name(object),
        status.into(),
        completions.into(),
        duration.into(),
        age_of(object, now),
        names,
        images,
        selector(object),
    ]
}

pub(super) fn cron_job(object: &Value, now: Timestamp) -> Vec<Value> {
    let last = object.str_at(&["status", "lastScheduleTime"]);
    let [names, images] = containers(object.at(&["spec", "jobTemplate", "spec", "template", "spec"]));
    let suspend = match object.at(&["spec", "suspend"]).and_then(Value::as_bool) {
        Some(true) => "True",
        Some(false) => "False",
        None => "<unset>",
    };
    vec![
        name(object),
        text(object, &["spec", "schedule"]).into(),
        or_none(text(object, &["spec", "timeZone"])).into(),
        suspend.into(),
        i64::try_from(object.list_at(&["status", "active"]).len()).unwrap_or(i64::MAX).into(),
        last.map_or_else(|| "<none>".to_owned(), |last| age::since(Some(last), now)).into(),
        age_of(object, now),
        names,
        images,
        label_selector(object.at(&["spec", "jobTemplate", "spec", "selector"])).into(),
    ]
}
