//! Defaults of workloads.

use trueup_object::{Map, Value};

use super::super::fields::{below, each, fill, fill_text, is_unset, within};
use super::{pod, storage};

pub fn deployment(object: &mut Value) {
    let spec = below(object, "spec");
    fill(spec, "replicas", 1);
    let strategy = below(spec, "strategy");
    fill_text(strategy, "type", "RollingUpdate");
    if strategy.str_at(&["type"]) == Some("RollingUpdate") {
        let rolling = below(strategy, "rollingUpdate");
        fill(rolling, "maxUnavailable", "25%");
        fill(rolling, "maxSurge", "25%");
    }
    fill(spec, "revisionHistoryLimit", 10);
    fill(spec, "progressDeadlineSeconds", 600);
    pod::template(below(spec, "template"));
}

pub fn replica_set(object: &mut Value) {
    let spec = below(object, "spec");
    fill(spec, "replicas", 1);
    pod::template(below(spec, "template"));
}

pub fn daemon_set(object: &mut Value) {
    let spec = below(object, "spec");
    let strategy = below(spec, "updateStrategy");
    fill_text(strategy, "type", "RollingUpdate");
    if strategy.str_at(&["type"]) == Some("RollingUpdate") {
        let rolling = below(strategy, "rollingUpdate");
        fill(rolling, "maxUnavailable", 1);
        fill(rolling, "maxSurge", 0);
    } else {
        // Neither is a pointer in the server's own types.
        within(strategy, "rollingUpdate", |rolling| {
            fill(rolling, "maxUnavailable", 0);
            fill(rolling, "maxSurge", 0);
        });
    }
    fill(spec, "revisionHistoryLimit", 10);
    pod::template(below(spec, "template"));
}

pub fn stateful_set(object: &mut Value) {
    let spec = below(object, "spec");
    fill_text(spec, "podManagementPolicy", "OrderedReady");
    let strategy = below(spec, "updateStrategy");
    if is_unset(strategy, "type") {
        fill_text(strategy, "type", "RollingUpdate");
        below(strategy, "rollingUpdate");
    }
    if strategy.str_at(&["type"]) == Some("RollingUpdate") {
        within(strategy, "rollingUpdate", |rolling| fill(rolling, "partition", 0));
    }
    let retention = below(spec, "persistentVolumeClaimRetentionPolicy");
    fill_text(retention, "whenDeleted", "Retain");
    fill_text(retention, "whenScaled", "Retain");
    fill(spec, "replicas", 1);
    fill(spec, "revisionHistoryLimit", 10);
    pod::template(below(spec, "template"));
    each(spec, "volumeClaimTemplates", |claim| {
        fill_text(claim, "kind", "PersistentVolumeClaim");
        fill_text(claim, "apiVersion", "v1");
        storage::claim(claim);
    });
}

pub fn job(object: &mut Value) {
    let labels =
        object.at(&["spec", "template", "metadata", "labels"]).filter(|labels| !labels.is_null()).cloned();
    if let Some(labels) = labels
        && object.get("metadata").is_none_or(|metadata| is_unset(metadata, "labels"))
    {
        object.set_at(&["metadata", "labels"], labels);
    }
    job_spec(below(object, "spec"));
}

pub fn cron_job(object: &mut Value) {
    let spec = below(object, "spec");
    fill_text(spec, "concurrencyPolicy", "Allow");
    fill(spec, "suspend", false);
    fill(spec, "successfulJobsHistoryLimit", 3);
    fill(spec, "failedJobsHistoryLimit", 1);
    // The defaults of jobs themselves come when the job is made; those of its pods are here already.
    let template = below(below(below(spec, "jobTemplate"), "spec"), "template");
    pod::template(template);
}

fn job_spec(spec: &mut Value) {
    if is_unset(spec, "completions") && is_unset(spec, "parallelism") {
        fill(spec, "completions", 1);
    }
    fill(spec, "parallelism", 1);
    let limit = if is_unset(spec, "backoffLimitPerIndex") { 6 } else { i64::from(i32::MAX) };
    fill(spec, "backoffLimit", limit);
    fill(spec, "completionMode", "NonIndexed");
    fill(spec, "suspend", false);
    let replacement = if is_unset(spec, "podFailurePolicy") { "TerminatingOrFailed" } else { "Failed" };
    fill(spec, "podReplacementPolicy", replacement);
    fill(spec, "manualSelector", false);
    within(spec, "podFailurePolicy", |policy| {
        each(policy, "rules", |rule| {
            each(rule, "onPodConditions", |pattern| fill_text(pattern, "status", "True"));
        });
    });
    pod::template(below(spec, "template"));
}

pub fn replication_controller(object: &mut Value) {
    let labels =
        object.at(&["spec", "template", "metadata", "labels"]).filter(|labels| !labels.is_null()).cloned();
    if let Some(labels) = labels {
        if object.get("spec").is_none_or(|spec| is_unset(spec, "selector")) {
            object.set_at(&["spec", "selector"], labels.clone());
        }
        if object.get("metadata").is_none_or(|metadata| is_unset(metadata, "labels")) {
            object.set_at(&["metadata", "labels"], labels);
        }
    }
    let spec = below(object, "spec");
    fill(spec, "replicas", 1);
    if spec.get("template").is_some_and(|template| matches!(template, Value::Map(map) if *map != Map::new()))
    {
        pod::template(below(spec, "template"));
    }
}
