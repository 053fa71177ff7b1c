//! Tests of the Job controller.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn value(json: &str) -> Value {
    Value::from_json(json.as_bytes()).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

/// A world of one job: takes the steps until nothing is to be done.
struct World {
    job: Value,
    pods: Vec<Arc<Value>>,
    gone: bool,
    n_created: usize,
}

impl World {
    fn new(spec: &str) -> Self {
        let json = format!(r#"{{"metadata":{{"name":"j","namespace":"n","uid":"u"}},"spec":{spec}}}"#);
        Self { job: value(&json), pods: Vec::new(), gone: false, n_created: 0 }
    }

    fn settle(&mut self, now: i64) {
        for _ in 0..20 {
            let steps = reconcile(&self.job, &self.pods, at(now));
            if steps.is_empty() || self.gone {
                return;
            }
            steps.into_iter().for_each(|step| self.take(step));
        }
        panic!("it does not settle: {}", self.job.to_json());
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Create { mut object, .. } => {
                self.n_created += 1;
                object.set_at(&["metadata", "name"], format!("p{}", self.n_created).into());
                object.set_at(&["metadata", "uid"], format!("u{}", self.n_created).into());
                object.set_at(&["status", "phase"], "Pending".into());
                self.pods.push(Arc::new(object));
            }
            Step::Update { object, subresource: Some("status"), .. } => self.job = object,
            Step::Update { object, .. } => {
                let uid = text(&object, "uid").to_owned();
                self.pods.iter_mut().filter(|pod| text(pod, "uid") == uid).for_each(|pod| {
                    *pod = Arc::new(object.clone());
                });
            }
            Step::Delete { resource, object } if resource == PODS => {
                self.pods.retain(|pod| text(pod, "uid") != text(&object, "uid"));
            }
            Step::Delete { .. } => self.gone = true,
            Step::Apply { .. } | Step::Bind { .. } | Step::Tell(_) | Step::End { .. } => {
                panic!("not a job's")
            }
        }
    }

    /// All pods that run end.
    fn end(&mut self, phase: &str, exit_code: i64, now: i64) {
        self.end_of(None, phase, exit_code, now);
    }

    /// Those of one index end.
    fn end_of(&mut self, index: Option<i64>, phase: &str, exit_code: i64, now: i64) {
        let ends = |pod: &Value| is_active(pod) && (index.is_none() || index_of(pod) == index);
        for pod in self.pods.iter_mut().filter(|pod| ends(pod)) {
            let mut ended = Value::clone(pod);
            ended.set_at(&["status", "phase"], phase.into());
            let status = format!(
                r#"[{{"name":"c","state":{{"terminated":{{"exitCode":{exit_code},"finishedAt":"{}"}}}}}}]"#,
                wire_time(at(now))
            );
            ended.set_at(&["status", "containerStatuses"], value(&status));
            *pod = Arc::new(ended);
        }
    }

    fn counts(&self) -> (i64, i64, i64) {
        let of = |key: &str| int(&self.job, &["status", key]);
        (of("active"), of("succeeded"), of("failed"))
    }

    fn reason(&self) -> &str {
        let kind = ended_as(&self.job).unwrap();
        condition(self.job.list_at(&["status", "conditions"]), kind).unwrap().str_at(&["reason"]).unwrap()
    }
}

#[test]
fn pods_are_made_until_enough_have_succeeded_and_none_counts_twice() {
    let mut world = World::new(r#"{"completions":3,"parallelism":2,"template":{}}"#);
    world.settle(0);
    assert_eq!(world.counts(), (2, 0, 0));
    world.end("Succeeded", 0, 1);
    world.settle(1);
    assert_eq!((world.counts(), world.n_created), ((1, 2, 0), 3));
    world.end("Succeeded", 0, 2);
    world.settle(2);
    assert_eq!((world.counts(), world.reason()), ((0, 3, 0), "CompletionsReached"));
    assert!(world.pods.iter().all(|pod| !is_tracked(pod)));
}

#[test]
fn failed_pods_are_tried_again_after_a_while_and_not_for_ever() {
    let mut world = World::new(r#"{"completions":1,"parallelism":1,"backoffLimit":1,"template":{}}"#);
    world.settle(0);
    world.end("Failed", 1, 0);
    world.settle(0);
    assert_eq!((world.counts(), world.n_created), ((0, 0, 1), 1));
    assert_eq!(due(&world.job, &world.pods, at(0)), Some(at(10)));
    world.settle(10);
    assert_eq!((world.counts(), world.n_created), ((1, 0, 1), 2));
    world.end("Failed", 1, 11);
    world.settle(11);
    assert_eq!((world.counts(), world.reason()), ((0, 0, 2), "BackoffLimitExceeded"));
    assert!(condition(world.job.list_at(&["status", "conditions"]), "FailureTarget").is_some());
}

#[test]
fn a_deadline_ends_what_runs_and_a_finished_job_goes_in_time() {
    let spec = r#"{"completions":1,"parallelism":1,"activeDeadlineSeconds":5,"ttlSecondsAfterFinished":7,"template":{}}"#;
    let mut world = World::new(spec);
    world.settle(0);
    assert_eq!(due(&world.job, &world.pods, at(0)), Some(at(5)));
    world.settle(5);
    assert_eq!((world.counts(), world.reason(), world.pods.len()), ((0, 0, 1), "DeadlineExceeded", 0));
    assert_eq!(due(&world.job, &world.pods, at(5)), Some(at(12)));
    world.settle(11);
    assert!(!world.gone);
    world.settle(12);
    assert!(world.gone);
}

#[test]
fn the_failure_policy_fails_a_job_at_once() {
    let spec = r#"{"completions":1,"parallelism":1,"template":{},"podFailurePolicy":{"rules":[
        {"action":"FailJob","onExitCodes":{"operator":"In","values":[42]}}]}}"#;
    let mut world = World::new(spec);
    world.settle(0);
    world.end("Failed", 42, 0);
    world.settle(0);
    assert_eq!(world.reason(), "PodFailurePolicy");
}

#[test]
fn an_indexed_job_has_a_pod_for_each_index() {
    let spec = r#"{"completions":3,"parallelism":3,"completionMode":"Indexed","template":{"spec":{"containers":[{"name":"c"}]}}}"#;
    let mut world = World::new(spec);
    world.settle(0);
    let mut indexes: Vec<i64> = world.pods.iter().filter_map(|pod| index_of(pod)).collect();
    indexes.sort_unstable();
    assert_eq!(indexes, [0, 1, 2]);
    world.end("Succeeded", 0, 1);
    world.settle(1);
    assert_eq!(world.job.str_at(&["status", "completedIndexes"]), Some("0-2"));
    assert_eq!(world.reason(), "CompletionsReached");
    assert_eq!(write_indexes(&parse_indexes("0,1,3-5")), "0,1,3-5");
}

#[test]
fn a_suspended_job_has_no_pods() {
    let mut world = World::new(r#"{"completions":2,"parallelism":2,"template":{}}"#);
    world.settle(0);
    world.job.set_at(&["spec", "suspend"], true.into());
    world.settle(1);
    assert_eq!((world.counts(), world.pods.len()), ((0, 0, 0), 0));
    assert!(world.job.at(&["status", "startTime"]).is_none());
    world.job.set_at(&["spec", "suspend"], false.into());
    world.settle(2);
    assert_eq!(world.counts(), (2, 0, 0));
}

/// An indexed job of three with more of a spec.
fn indexed(more: &str) -> World {
    let mut world = World::new(&format!(
        r#"{{"completions":3,"parallelism":3,"completionMode":"Indexed",{more},"template":{{"spec":{{"containers":[{{"name":"c"}}]}}}}}}"#
    ));
    world.settle(0);
    world
}

fn status<'w>(world: &'w World, key: &str) -> Option<&'w str> {
    world.job.str_at(&["status", key])
}

#[test]
fn indexes_fail_by_themselves() {
    let mut world = indexed(r#""backoffLimitPerIndex":1"#);
    assert_eq!(status(&world, "failedIndexes"), Some(""));
    world.end_of(Some(0), "Failed", 1, 0);
    world.end_of(Some(1), "Succeeded", 0, 0);
    world.settle(0);
    // One that failed is not counted before there is another.
    assert_eq!((world.counts(), status(&world, "failedIndexes")), ((1, 1, 0), Some("")));
    assert_eq!(due(&world.job, &world.pods, at(0)), Some(at(10)));
    world.settle(10);
    assert_eq!(world.counts(), (2, 1, 1));
    let again = world.pods.iter().rfind(|pod| index_of(pod) == Some(0)).unwrap();
    assert_eq!(objects::annotation(again, policy::FAILURES), "1");
    world.end_of(Some(0), "Failed", 1, 11);
    world.settle(11);
    assert_eq!((world.counts(), status(&world, "failedIndexes")), ((1, 1, 2), Some("0")));
    world.end_of(Some(2), "Succeeded", 0, 12);
    world.settle(12);
    assert_eq!((world.counts(), world.reason()), ((0, 2, 2), "FailedIndexes"));
}

#[test]
fn a_job_fails_with_more_indexes_than_may() {
    let mut world = indexed(r#""backoffLimitPerIndex":0,"maxFailedIndexes":0"#);
    world.end_of(Some(0), "Failed", 1, 0);
    world.settle(0);
    assert_eq!((world.counts(), world.reason()), ((0, 0, 3), "MaxFailedIndexesExceeded"));
    assert_eq!(status(&world, "failedIndexes"), Some("0"));
}

#[test]
fn rules_fail_an_index_at_once_or_ignore_a_pod() {
    let mut world = indexed(
        r#""backoffLimitPerIndex":5,"podFailurePolicy":{"rules":[{"action":"FailIndex","onExitCodes":{"operator":"In","values":[42]}}]}"#,
    );
    world.end_of(Some(1), "Failed", 42, 0);
    world.settle(0);
    assert_eq!((world.counts(), status(&world, "failedIndexes")), ((2, 0, 1), Some("1")));
    let mut world = World::new(
        r#"{"completions":1,"parallelism":1,"backoffLimit":0,"template":{},"podFailurePolicy":{"rules":[
            {"action":"Ignore","onExitCodes":{"operator":"NotIn","values":[1]}},
            {"action":"FailJob","onPodConditions":[{"type":"DisruptionTarget"}]}]}}"#,
    );
    world.settle(0);
    world.end("Failed", 42, 0);
    world.settle(0);
    assert!(ended_as(&world.job).is_none() && world.pods.iter().all(|pod| !is_tracked(pod)));
    world.settle(10);
    assert_eq!((world.counts(), world.n_created), ((1, 0, 0), 2));
    world.end("Failed", 1, 11);
    for pod in &mut world.pods {
        let mut disrupted = Value::clone(pod);
        let conditions = r#"[{"type":"DisruptionTarget","status":"True"}]"#;
        disrupted.set_at(&["status", "conditions"], value(conditions));
        *pod = Arc::new(disrupted);
    }
    world.settle(11);
    assert_eq!(world.reason(), "PodFailurePolicy");
    let failed = condition(world.job.list_at(&["status", "conditions"]), "Failed").unwrap();
    let message = "Pod n/p2 has condition DisruptionTarget matching FailJob rule at index 1";
    assert_eq!(failed.str_at(&["message"]), Some(message));
}

#[test]
fn enough_is_what_the_success_policy_says() {
    for (rule, ends) in [
        (r#"{"succeededIndexes":"0"}"#, &[0][..]),
        (r#"{"succeededCount":2}"#, &[0, 2]),
        (r#"{"succeededIndexes":"0-1","succeededCount":1}"#, &[1]),
    ] {
        let mut world = indexed(&format!(r#""successPolicy":{{"rules":[{rule}]}}"#));
        for (index, at) in ends.iter().zip(1..) {
            assert!(ended_as(&world.job).is_none(), "{rule}");
            world.end_of(Some(*index), "Succeeded", 0, at);
            world.settle(at);
        }
        let done = i64::try_from(ends.len()).unwrap();
        assert_eq!((world.counts(), world.reason()), ((0, done, 0), "SuccessPolicy"), "{rule}");
        assert_eq!(world.pods.len(), ends.len());
    }
}
