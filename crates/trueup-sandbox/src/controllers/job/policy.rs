//! The policies of a job: what a failed pod means for it, which indexes have failed for good, and when enough have succeeded.

use std::collections::BTreeSet;
use std::time::Duration;

use trueup_object::{Timestamp, Value};

use super::super::objects::{annotation, int, text};
use super::{BACKOFF_SECONDS, BACKOFF_SECONDS_MAX, end_of, index_of, parse_indexes};

/// How often pods of an index had failed when this one was made.
pub const FAILURES: &str = "batch.kubernetes.io/job-index-failure-count";

/// What a failed pod means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The job has failed, for this reason.
    FailJob(String),
    /// Its index has failed.
    FailIndex,
    /// It is as if it had never been.
    Ignore,
    /// It is one more that failed.
    Count,
}

/// By the first rule of the job that a failed pod meets.
pub fn verdict(job: &Value, pod: &Value) -> Verdict {
    let rules = job.list_at(&["spec", "podFailurePolicy", "rules"]);
    let mut met = rules.iter().enumerate().filter_map(|(index, rule)| {
        let action = rule.str_at(&["action"]).unwrap_or_default();
        let why = by_exit_code(rule, pod).or_else(|| by_condition(rule, pod))?;
        Some((action, format!("{why} matching {action} rule at index {index}")))
    });
    match met.next() {
        Some(("FailJob", why)) => Verdict::FailJob(why),
        Some(("FailIndex", _)) => Verdict::FailIndex,
        Some(("Ignore", _)) => Verdict::Ignore,
        Some(_) | None => Verdict::Count,
    }
}

fn by_exit_code(rule: &Value, pod: &Value) -> Option<String> {
    let wanted = rule.get("onExitCodes").filter(|wanted| !wanted.is_null())?;
    let lists = ["containerStatuses", "initContainerStatuses"];
    let mut statuses = lists.iter().flat_map(|list| pod.list_at(&["status", list]));
    statuses.find_map(|status| {
        let code = status.int_at(&["state", "terminated", "exitCode"]).filter(|code| *code != 0)?;
        let name = status.str_at(&["name"]).unwrap_or_default();
        let listed = wanted.list_at(&["values"]).iter().any(|value| value.as_int() == Some(code));
        let fits = wanted.str_at(&["containerName"]).is_none_or(|wanted| wanted == name)
            && listed == (wanted.str_at(&["operator"]) == Some("In"));
        fits.then(|| format!("Container {name} for pod {} failed with exit code {code}", whole_name(pod)))
    })
}

fn by_condition(rule: &Value, pod: &Value) -> Option<String> {
    let has = |wanted: &&Value| {
        pod.list_at(&["status", "conditions"]).iter().any(|condition| {
            condition.get("type") == wanted.get("type")
                && condition.str_at(&["status"]) == wanted.str_at(&["status"]).or(Some("True"))
        })
    };
    let met = rule.list_at(&["onPodConditions"]).iter().find(has)?;
    Some(format!("Pod {} has condition {}", whole_name(pod), met.str_at(&["type"]).unwrap_or_default()))
}

fn whole_name(pod: &Value) -> String {
    format!("{}/{}", text(pod, "namespace"), text(pod, "name"))
}

/// How often pods of each index may fail; none where all indexes count together.
fn limit(job: &Value) -> Option<i64> {
    job.int_at(&["spec", "backoffLimitPerIndex"])
}

pub fn is_per_index(job: &Value) -> bool {
    limit(job).is_some()
}

fn failures(pod: &Value) -> i64 {
    annotation(pod, FAILURES).parse().unwrap_or_default()
}

fn has_failed(pod: &Value) -> bool {
    pod.str_at(&["status", "phase"]) == Some("Failed")
}

/// The indexes that have failed for good.
pub fn failed_indexes(job: &Value, pods: &[&Value]) -> BTreeSet<i64> {
    let mut failed = parse_indexes(job.str_at(&["status", "failedIndexes"]).unwrap_or_default());
    let Some(limit) = limit(job) else { return failed };
    let ends = pods.iter().filter(|pod| has_failed(pod)).filter(|pod| match verdict(job, pod) {
        Verdict::FailIndex => true,
        Verdict::Count => failures(pod) >= limit,
        Verdict::FailJob(_) | Verdict::Ignore => false,
    });
    failed.extend(ends.filter_map(|pod| index_of(pod)));
    failed
}

/// How often pods of an index have failed.
pub fn failures_of(job: &Value, index: i64, pods: &[&Value]) -> i64 {
    let of_index = pods.iter().filter(|pod| index_of(pod) == Some(index) && has_failed(pod));
    let counted = of_index.map(|pod| failures(pod) + i64::from(verdict(job, pod) == Verdict::Count));
    counted.max().unwrap_or_default()
}

/// When the next pod of an index may follow the last one that failed.
pub fn retry_of(job: &Value, index: i64, pods: &[&Value]) -> Option<Timestamp> {
    let of_index = pods.iter().filter(|pod| index_of(pod) == Some(index) && has_failed(pod));
    let last = of_index.filter_map(|pod| end_of(pod)).max()?;
    let doublings = u32::try_from(failures_of(job, index, pods) - 1).unwrap_or_default().min(16);
    let seconds = (BACKOFF_SECONDS << doublings).min(BACKOFF_SECONDS_MAX);
    last.checked_add(Duration::from_secs(seconds)).ok()
}

/// Whether a failed pod is kept uncounted, so that its successor knows how often its index has failed.
pub fn awaits_successor(job: &Value, pod: &Value, pods: &[&Value], now: Timestamp) -> bool {
    if !is_per_index(job) || !has_failed(pod) {
        return false;
    }
    let Some(index) = index_of(pod) else { return false };
    let succeeded =
        pods.iter().any(|other| index_of(other) == Some(index) && failures(other) > failures(pod));
    !succeeded
        && !failed_indexes(job, pods).contains(&index)
        && retry_of(job, index, pods).is_some_and(|time| time > now)
}

/// Why a job has failed by its indexes: the reason and the message.
pub fn index_failure(job: &Value, failed: usize, done: usize) -> Option<(&'static str, &'static str)> {
    if failed == 0 {
        return None;
    }
    let most = job.int_at(&["spec", "maxFailedIndexes"]).and_then(|most| usize::try_from(most).ok());
    if most.is_some_and(|most| failed > most) {
        let message = "Job has exceeded the specified maximal number of failed indexes";
        return Some(("MaxFailedIndexesExceeded", message));
    }
    let all = usize::try_from(int(job, &["spec", "completions"])).unwrap_or(usize::MAX);
    (failed + done >= all).then_some(("FailedIndexes", "Job has failed indexes"))
}

/// What the first rule of the success policy says that the indexes that are done meet.
pub fn success(job: &Value, done: &BTreeSet<i64>) -> Option<String> {
    let rules = job.list_at(&["spec", "successPolicy", "rules"]);
    let met = rules.iter().position(|rule| {
        let indexes = rule.str_at(&["succeededIndexes"]).map(parse_indexes);
        let count = rule.int_at(&["succeededCount"]).and_then(|count| usize::try_from(count).ok());
        match (indexes, count) {
            (Some(indexes), Some(count)) => indexes.intersection(done).count() >= count,
            (Some(indexes), None) => indexes.is_subset(done),
            (None, Some(count)) => done.len() >= count,
            (None, None) => false,
        }
    });
    met.map(|index| format!("Matched rules at index {index}"))
}
