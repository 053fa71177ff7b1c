//! Jobs and CronJobs.

use std::collections::BTreeSet;

use trueup_object::Value;

use super::names::domain_prefixed_path;
use super::parts::is_true;
use super::{Report, join, metadata, pod};
use crate::schedule::{self, Schedule};

static NOTHING: Value = Value::Null;

const N_INDEXED_MAX: i64 = 100_000;

pub fn job(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    generated_selector(report, object, spec);
    // Of a changed job the server asks twice.
    for _ in 0..1 + usize::from(live.is_some()) {
        job_spec(report, spec, "spec");
        own_selector(report, spec);
    }
}

/// Of a selector that cannot be read nobody asks what it selects.
fn is_readable(selector: &Value) -> bool {
    let mut wrong = Report::default();
    wrong.label_selector(selector, "");
    wrong.causes.is_empty()
}

fn own_selector(report: &mut Report, spec: &Value) {
    let labels = spec.at(&["template", "metadata", "labels"]);
    let Some(selector) = spec.get("selector") else {
        report.required("spec.selector", "");
        return report.invalid(
            "spec.template.metadata.labels",
            labels.cloned().unwrap_or_default(),
            "`selector` does not match template `labels`",
        );
    };
    report.label_selector(selector, "spec.selector");
    if is_readable(selector) && !super::selector_matches(selector, labels) {
        report.invalid(
            "spec.template.metadata.labels",
            labels.cloned().unwrap_or_default(),
            "`selector` does not match template `labels`",
        );
    }
}

/// A selector that nobody gave is the server's own, and then the whole of it.
fn generated_selector(report: &mut Report, object: &Value, spec: &Value) {
    if is_true(spec, &["manualSelector"]) {
        return;
    }
    let Some(selector) = spec.get("selector") else { return };
    let mut labels = Value::default();
    let uid = object.str_at(&["metadata", "uid"]).unwrap_or_default();
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    for (key, value) in [
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", uid),
        ("job-name", name),
    ] {
        labels.set_at(&[key], value.into());
    }
    let template = spec.at(&["template", "metadata", "labels"]);
    for (key, wanted) in [
        ("controller-uid", uid),
        ("job-name", name),
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
    ] {
        let own = template.and_then(|template| template.str_at(&[key]));
        if own != Some(wanted) {
            let shown = template.cloned().unwrap_or_default();
            let field = format!("spec.template.metadata.labels[{key}]");
            match own {
                Some(_) => report.invalid(&field, shown, &format!("must be '{wanted}'")),
                None => report.required(&field, &format!("must be '{wanted}'")),
            }
        }
    }
    if is_readable(selector) && !super::selector_matches(selector, Some(&labels)) {
        report.invalid("spec.selector", selector.clone(), "`selector` not auto-generated");
    }
}

pub fn job_spec(report: &mut Report, spec: &Value, path: &str) {
    for key in [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ] {
        report.not_negative(spec, path, key);
    }
    let has = |key: &str| spec.get(key).is_some();
    if has("maxFailedIndexes") && !has("backoffLimitPerIndex") {
        report.required(&join(path, "backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    if let Some(manager) = spec.str_at(&["managedBy"]) {
        report.wrong(&join(path, "managedBy"), manager, domain_prefixed_path(manager));
    }
    completion(report, spec, path);
    let never = spec.str_at(&["template", "spec", "restartPolicy"]) == Some("Never");
    if let Some(policy) = spec.get("podFailurePolicy") {
        failure_policy(report, spec, policy, &join(path, "podFailurePolicy.rules"));
    }
    let indexed = spec.str_at(&["completionMode"]) == Some("Indexed");
    if let Some(policy) = spec.get("successPolicy") {
        let path = join(path, "successPolicy");
        if indexed {
            success_policy(report, spec, policy, &path);
        } else {
            report.invalid(&path, policy.clone(), "requires indexed completion mode");
        }
    }
    if let Some(policy) = spec.str_at(&["podReplacementPolicy"]) {
        let only_failed = has("podFailurePolicy");
        let known: &[&str] = if only_failed { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
        report.supported(&join(path, "podReplacementPolicy"), policy, known);
    }
    pod::template(report, spec, path, &["Always", "OnFailure", "Never"]);
    let field = join(path, "template.spec.restartPolicy");
    match spec.str_at(&["template", "spec", "restartPolicy"]).unwrap_or_default() {
        "" | "Always" => report.required(&field, "valid values: \"OnFailure\", \"Never\""),
        "OnFailure" | "Never" => {
            if has("podFailurePolicy") && !never {
                let detail = "only \"Never\" is supported when podFailurePolicy is specified";
                report.invalid(&field, "OnFailure", detail);
            }
        }
        other => report.supported(&field, other, &["OnFailure", "Never"]),
    }
}

fn completion(report: &mut Report, spec: &Value, path: &str) {
    let completions = spec.int_at(&["completions"]);
    let most_failed = spec.int_at(&["maxFailedIndexes"]);
    let mode = spec.str_at(&["completionMode"]).unwrap_or("NonIndexed");
    report.supported(&join(path, "completionMode"), mode, &["NonIndexed", "Indexed"]);
    if mode == "Indexed" {
        if completions.is_none() {
            report.required(&join(path, "completions"), "when completion mode is Indexed");
        }
        if let Some(number) = spec.int_at(&["parallelism"]).filter(|number| *number > N_INDEXED_MAX) {
            let detail =
                format!("must be less than or equal to {N_INDEXED_MAX} when completion mode is Indexed");
            report.invalid(&join(path, "parallelism"), number, &detail);
        }
        if let (Some(completions), Some(most)) = (completions, most_failed)
            && most > completions
        {
            report.invalid(
                &join(path, "maxFailedIndexes"),
                most,
                "must be less than or equal to completions",
            );
        }
    }
    if mode == "NonIndexed" {
        for key in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(number) = spec.int_at(&[key]) {
                report.invalid(&join(path, key), number, "requires indexed completion mode");
            }
        }
    }
}

fn failure_policy(report: &mut Report, spec: &Value, policy: &Value, path: &str) {
    for (index, rule) in policy.list_at(&["rules"]).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let action = rule.str_at(&["action"]).unwrap_or_default();
        let field = join(&path, "action");
        match action {
            "" => report.required(&field, "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]"),
            "FailIndex" => {
                if spec.get("backoffLimitPerIndex").is_none() {
                    report.invalid(&field, action, "requires the backoffLimitPerIndex to be set");
                }
            }
            action => report.supported(&field, action, &["Count", "FailIndex", "FailJob", "Ignore"]),
        }
        let codes = rule.get("onExitCodes");
        if let Some(codes) = codes {
            exit_codes(report, codes, &join(&path, "onExitCodes"));
        }
        let conditions = !rule.list_at(&["onPodConditions"]).is_empty();
        let detail = match (codes.is_some(), conditions) {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        report.causes.push(crate::status::StatusCause::new(
            "FieldValueInvalid",
            path,
            format!("Invalid value: {detail}"),
        ));
    }
}

fn exit_codes(report: &mut Report, codes: &Value, path: &str) {
    let operator = codes.str_at(&["operator"]).unwrap_or_default();
    let field = join(path, "operator");
    if operator.is_empty() {
        report.required(&field, "valid values: [\"In\" \"NotIn\"]");
    } else {
        report.supported(&field, operator, &["In", "NotIn"]);
    }
    let values = codes.list_at(&["values"]);
    let field = join(path, "values");
    let all = || Value::List(values.to_vec());
    if values.is_empty() {
        report.invalid(&field, all(), "at least one value is required");
    }
    let numbers: Vec<i64> = values.iter().filter_map(Value::as_int).collect();
    let mut seen = BTreeSet::new();
    for (index, number) in numbers.iter().enumerate() {
        let field = format!("{field}[{index}]");
        if operator == "In" && *number == 0 {
            report.invalid(&field, 0, "must not be 0 for the In operator");
        }
        if !seen.insert(*number) {
            report.duplicate(&field, *number);
        }
    }
    if !numbers.is_sorted() {
        report.invalid(&field, all(), "must be ordered");
    }
}

fn success_policy(report: &mut Report, spec: &Value, policy: &Value, path: &str) {
    let rules = policy.list_at(&["rules"]);
    if rules.is_empty() {
        report.required(
            &join(path, "rules"),
            "at least one rules must be specified when the successPolicy is specified",
        );
    }
    let completions = spec.int_at(&["completions"]).unwrap_or_default();
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}.rules[{index}]");
        let Some(indexes) = rule.str_at(&["succeededIndexes"]) else { continue };
        let parts = indexes.split(',').flat_map(|part| part.split('-'));
        let too_large = parts
            .filter_map(|part| part.parse::<i64>().ok().map(|number| (part, number)))
            .find(|(_, number)| *number >= completions);
        if let Some((part, _)) = too_large {
            let detail = format!("error parsing succeededIndexes: too large index: {part:?}");
            report.invalid(&join(&path, "succeededIndexes"), indexes, &detail);
        }
    }
}

/// Jobs have the time of their schedule after the name, eleven characters.
const CRON_NAME_LENGTH_MAX: usize = 52;

pub fn cron_job(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if report.text(spec, "spec", "schedule") {
        let text = spec.str_at(&["schedule"]).unwrap_or_default();
        if let Err(error) = Schedule::parse(text) {
            report.invalid("spec.schedule", text, &error.to_string());
        }
        let had_zone =
            live.and_then(|live| live.str_at(&["spec", "schedule"])).is_some_and(|text| text.contains("TZ"));
        if text.contains("TZ") && !had_zone {
            let detail = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            report.invalid("spec.schedule", text, detail);
        }
    }
    report.not_negative(spec, "spec", "startingDeadlineSeconds");
    time_zone(report, spec, live);
    report.one_of(spec, "spec", "concurrencyPolicy", &["Allow", "Forbid", "Replace"]);
    let path = "spec.jobTemplate.spec";
    let template = spec.at(&["jobTemplate", "spec"]).unwrap_or(&NOTHING);
    if let Some(metadata) = spec.at(&["jobTemplate", "metadata"]) {
        metadata::labels(report, metadata, "spec.jobTemplate.labels", "labels");
    }
    job_spec(report, template, path);
    if let Some(selector) = template.get("selector") {
        report.invalid(&join(path, "selector"), selector.clone(), "`selector` will be auto-generated");
    }
    if is_true(template, &["manualSelector"]) {
        report.causes.push(crate::status::StatusCause::not_supported(
            &join(path, "manualSelector"),
            &true.into(),
            &["nil", "false"],
        ));
    }
    report.not_negative(spec, "spec", "successfulJobsHistoryLimit");
    report.not_negative(spec, "spec", "failedJobsHistoryLimit");
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    if live.is_none() && name.len() > CRON_NAME_LENGTH_MAX {
        let detail = format!("must be no more than {CRON_NAME_LENGTH_MAX} characters");
        report.invalid("metadata.name", name, &detail);
    }
}

fn time_zone(report: &mut Report, spec: &Value, live: Option<&Value>) {
    let Some(name) = spec.str_at(&["timeZone"]) else { return };
    if live.is_some_and(|live| live.str_at(&["spec", "timeZone"]) == Some(name)) {
        return;
    }
    if name.is_empty() {
        return report.invalid("spec.timeZone", name, "timeZone must be nil or non-empty string");
    }
    if name.eq_ignore_ascii_case("Local") {
        let detail = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";
        return report.invalid("spec.timeZone", name, detail);
    }
    if schedule::zone(name).is_none() {
        report.invalid("spec.timeZone", name, &format!("unknown time zone {name}"));
    }
}
