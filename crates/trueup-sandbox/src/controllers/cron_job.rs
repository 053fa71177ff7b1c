//! CronJobs: a Job at each time of the schedule, by the sandbox's clock.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use trueup_object::{Map, Timestamp, Value};

use super::job::{ended_as, has_ended};
use super::objects::{self, CRON_JOBS, JOBS, Step, annotation, is_deleting, text};
use crate::clock::wire_time;
use crate::schedule::{self, Schedule};

const SCHEDULED: &str = "batch.kubernetes.io/cronjob-scheduled-timestamp";

/// How many finished jobs stay where the object does not say.
const SUCCESSFUL_LIMIT: i64 = 3;
const FAILED_LIMIT: i64 = 1;

pub fn reconcile(cron: &Value, jobs: &[Arc<Value>], now: Timestamp) -> Vec<Step> {
    let jobs: Vec<&Value> = jobs.iter().map(Arc::as_ref).collect();
    let mut steps = clean(cron, &jobs);
    let running: Vec<&&Value> = jobs.iter().filter(|job| !has_ended(job) && !is_deleting(job)).collect();
    if let Some(time) = missed(cron, now) {
        let name = job_name(cron, time);
        let begun = jobs.iter().any(|job| text(job, "name") == name);
        let policy = cron.str_at(&["spec", "concurrencyPolicy"]).unwrap_or("Allow");
        let blocked = policy == "Forbid" && !running.is_empty();
        if !begun && !blocked && !is_too_late(cron, time, now) {
            if policy == "Replace" {
                steps.extend(running.iter().map(|job| Step::delete(JOBS, job)));
            }
            steps.push(Step::create(JOBS, job(cron, &name, time)));
        }
    }
    // The status follows once the job is there.
    if !steps.iter().any(|step| matches!(step, Step::Create { .. })) {
        steps.extend(Step::status(CRON_JOBS, cron, status(cron, &jobs)));
    }
    steps
}

/// When the next job is due.
pub fn due(cron: &Value, now: Timestamp) -> Option<Timestamp> {
    let (schedule, zone) = timing(cron)?;
    schedule.next(now, &zone)
}

/// The schedule and its zone; none while nothing is to be started.
fn timing(cron: &Value) -> Option<(Schedule, TimeZone)> {
    let suspended = cron.at(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true);
    if suspended || is_deleting(cron) {
        return None;
    }
    let schedule = Schedule::parse(cron.str_at(&["spec", "schedule"])?).ok()?;
    let zone = schedule::zone(cron.str_at(&["spec", "timeZone"]).unwrap_or("UTC"))?;
    Some((schedule, zone))
}

/// The last time of the schedule that has come and has not been met.
fn missed(cron: &Value, now: Timestamp) -> Option<Timestamp> {
    let (schedule, zone) = timing(cron)?;
    let time = |path: &[&str]| cron.str_at(path).and_then(|text| text.parse::<Timestamp>().ok());
    let mut earliest =
        time(&["status", "lastScheduleTime"]).or_else(|| time(&["metadata", "creationTimestamp"]))?;
    if let Some(seconds) = starting_deadline(cron) {
        earliest = earliest.max(now.checked_sub(seconds).ok()?);
    }
    let mut last = None;
    let mut next = schedule.next(earliest, &zone)?;
    let mut n_missed = 0;
    while next <= now {
        last = Some(next);
        n_missed += 1;
        // A clock that was moved by years is not walked through minute by minute.
        if n_missed == N_MISSED_MAX {
            next = schedule.next(now.checked_sub(LOOK_BACK).ok()?.max(next), &zone)?;
        } else {
            next = schedule.next(next, &zone)?;
        }
    }
    last
}

const N_MISSED_MAX: usize = 100;
const LOOK_BACK: Duration = Duration::from_secs(400 * 24 * 3600);

fn starting_deadline(cron: &Value) -> Option<Duration> {
    let seconds = cron.int_at(&["spec", "startingDeadlineSeconds"])?;
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()))
}

fn is_too_late(cron: &Value, time: Timestamp, now: Timestamp) -> bool {
    starting_deadline(cron).is_some_and(|seconds| time.checked_add(seconds).is_ok_and(|end| end < now))
}

/// The name says the time, so that no time gets two jobs.
fn job_name(cron: &Value, time: Timestamp) -> String {
    format!("{}-{}", text(cron, "name"), time.as_second() / 60)
}

fn job(cron: &Value, name: &str, time: Timestamp) -> Value {
    let mut job = JOBS.object(text(cron, "namespace"));
    job.set_at(&["metadata", "name"], name.into());
    for field in ["labels", "annotations"] {
        if let Some(value) = cron.at(&["spec", "jobTemplate", "metadata", field]) {
            job.set_at(&["metadata", field], value.clone());
        }
    }
    job.set_at(&["metadata", "annotations", SCHEDULED], local_time(cron, time).into());
    let owner = objects::owner_reference(CRON_JOBS, cron);
    job.set_at(&["metadata", "ownerReferences"], Value::List(vec![owner]));
    let spec = cron.at(&["spec", "jobTemplate", "spec"]).cloned().unwrap_or_default();
    job.set_at(&["spec"], spec);
    job
}

/// A time with the offset of the CronJob's zone, as Go writes it.
fn local_time(cron: &Value, time: Timestamp) -> String {
    let zone = cron.str_at(&["spec", "timeZone"]).and_then(schedule::zone).unwrap_or(TimeZone::UTC);
    let offset = zone.to_offset(time);
    if offset.is_zero() {
        return wire_time(time).to_string();
    }
    time.to_zoned(zone).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The time that a job stands for.
fn scheduled(job: &Value) -> Option<Timestamp> {
    annotation(job, SCHEDULED).parse().ok()
}

fn status(cron: &Value, jobs: &[&Value]) -> Value {
    let mut status = cron.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let mut active: Vec<&&Value> = jobs.iter().filter(|job| !has_ended(job) && !is_deleting(job)).collect();
    active.sort_by_key(|job| scheduled(job));
    let known = cron.list_at(&["status", "active"]);
    let references: Vec<Value> = active
        .iter()
        .map(|job| {
            let same = known.iter().find(|item| item.str_at(&["uid"]) == Some(text(job, "uid")));
            same.cloned().unwrap_or_else(|| reference(job))
        })
        .collect();
    if references.is_empty() {
        status.remove_at(&["active"]);
    } else {
        status.set_at(&["active"], Value::List(references));
    }
    let before = |key: &str| cron.str_at(&["status", key]).and_then(|text| text.parse::<Timestamp>().ok());
    let last = jobs.iter().filter_map(|job| scheduled(job)).chain(before("lastScheduleTime")).max();
    if let Some(last) = last {
        status.set_at(&["lastScheduleTime"], wire_time(last).into());
    }
    let well = jobs.iter().filter(|job| ended_as(job) == Some("Complete"));
    let well = well.filter_map(|job| job.str_at(&["status", "completionTime"])?.parse().ok());
    if let Some(last) = well.chain(before("lastSuccessfulTime")).max() {
        status.set_at(&["lastSuccessfulTime"], wire_time(last).into());
    }
    status
}

fn reference(job: &Value) -> Value {
    let mut reference = Value::Map(Map::new());
    reference.set_at(&["apiVersion"], "batch/v1".into());
    reference.set_at(&["kind"], JOBS.kind.into());
    for key in ["name", "namespace", "resourceVersion", "uid"] {
        reference.set_at(&[key], text(job, key).into());
    }
    reference
}

/// Finished jobs beyond the history that is to be kept, oldest first.
fn clean(cron: &Value, jobs: &[&Value]) -> Vec<Step> {
    let mut steps = Vec::new();
    for (kind, key, default) in [
        ("Complete", "successfulJobsHistoryLimit", SUCCESSFUL_LIMIT),
        ("Failed", "failedJobsHistoryLimit", FAILED_LIMIT),
    ] {
        let keep = cron.int_at(&["spec", key]).unwrap_or(default).max(0);
        let mut ended: Vec<&&Value> =
            jobs.iter().filter(|job| ended_as(job) == Some(kind) && !is_deleting(job)).collect();
        ended.sort_by_key(|job| {
            (job.str_at(&["status", "startTime"]).map(str::to_owned), text(job, "name").to_owned())
        });
        let excess = i64::try_from(ended.len()).unwrap_or_default() - keep;
        let excess = usize::try_from(excess).unwrap_or_default();
        steps.extend(ended.into_iter().take(excess).map(|job| Step::delete(JOBS, job)));
    }
    steps
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn cron(spec: &str) -> Value {
        let json = format!(
            r#"{{"metadata":{{"name":"c","namespace":"n","uid":"u","creationTimestamp":"2026-01-01T00:00:00Z"}},"spec":{{{spec}}}}}"#
        );
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn created(steps: &[Step]) -> Vec<&Value> {
        steps
            .iter()
            .filter_map(|step| match step {
                Step::Create { object, .. } => Some(object),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn a_job_begins_at_its_time_and_is_named_after_it() {
        let cron =
            cron(r#""schedule":"*/5 * * * *","timeZone":"Europe/Berlin","jobTemplate":{"spec":{"a":1}}"#);
        assert!(created(&reconcile(&cron, &[], at("2026-01-01T00:04:59Z"))).is_empty());
        assert_eq!(due(&cron, at("2026-01-01T00:04:59Z")), Some(at("2026-01-01T00:05:00Z")));
        let steps = reconcile(&cron, &[], at("2026-01-01T00:11:00Z"));
        let [job] = created(&steps)[..] else { panic!("{steps:?}") };
        assert_eq!(text(job, "name"), format!("c-{}", at("2026-01-01T00:10:00Z").as_second() / 60));
        assert_eq!(annotation(job, SCHEDULED), "2026-01-01T01:10:00+01:00");
        // Once it is there the status says so, and it does not begin again.
        let mut begun = job.clone();
        begun.set_at(&["metadata", "uid"], "j".into());
        let steps = reconcile(&cron, &[Arc::new(begun)], at("2026-01-01T00:11:00Z"));
        let [Step::Update { object, .. }] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(object.str_at(&["status", "lastScheduleTime"]), Some("2026-01-01T00:10:00Z"));
        assert_eq!(object.list_at(&["status", "active"]).len(), 1);
    }

    #[test]
    fn what_runs_may_forbid_or_be_replaced_by_the_next() {
        let running = Arc::new(cron(r#""x":1"#));
        for (policy, n_created, n_deleted) in [("Allow", 1, 0), ("Forbid", 0, 0), ("Replace", 1, 1)] {
            let cron = cron(&format!(r#""schedule":"@hourly","concurrencyPolicy":"{policy}""#));
            let steps = reconcile(&cron, std::slice::from_ref(&running), at("2026-01-01T01:00:00Z"));
            let deleted = steps.iter().filter(|step| matches!(step, Step::Delete { .. })).count();
            assert_eq!((created(&steps).len(), deleted), (n_created, n_deleted), "{policy}");
        }
    }

    #[test]
    fn nothing_begins_too_late_or_while_it_is_suspended() {
        let late = cron(r#""schedule":"@hourly","startingDeadlineSeconds":60"#);
        assert!(created(&reconcile(&late, &[], at("2026-01-01T01:02:00Z"))).is_empty());
        assert_eq!(created(&reconcile(&late, &[], at("2026-01-01T01:00:30Z"))).len(), 1);
        let suspended = cron(r#""schedule":"@hourly","suspend":true"#);
        assert!(created(&reconcile(&suspended, &[], at("2026-01-01T01:00:00Z"))).is_empty());
        assert_eq!(due(&suspended, at("2026-01-01T01:00:00Z")), None);
    }

    #[test]
    fn old_jobs_go() {
        let job = |name: &str, kind: &str| {
            let json = format!(
                r#"{{"metadata":{{"name":"{name}"}},"status":{{"startTime":"{name}","conditions":[{{"type":"{kind}","status":"True"}}]}}}}"#
            );
            Arc::new(Value::from_json(json.as_bytes()).unwrap())
        };
        let jobs = [job("1", "Complete"), job("2", "Complete"), job("3", "Failed"), job("4", "Failed")];
        let cron = cron(r#""schedule":"@yearly","successfulJobsHistoryLimit":1"#);
        let steps = reconcile(&cron, &jobs, at("2026-01-01T01:00:00Z"));
        let gone: Vec<&str> = steps
            .iter()
            .filter_map(|step| match step {
                Step::Delete { object, .. } => Some(text(object, "name")),
                _ => None,
            })
            .collect();
        assert_eq!(gone, ["1", "3"]);
    }
}
