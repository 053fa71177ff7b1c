//! `trueup.dev/v1alpha1` DriftReport: what Argo CD's status has no place for. One for each Application, of the same
//! name and namespace, written by the controller.
//!
//! Bounded: an object in etcd must not grow with the drift. Counts are of everything; lists may be cut, and say so. It
//! is to be written whole (PUT or server-side apply), never by merge patch, which would drop its nulls.

use trueup_object::{Map, ResourceKey, Text, Timestamp, Value};

use crate::difference::{Difference, object_key, object_value};
use crate::status::time_value;

pub const GROUP: &str = "trueup.dev";
pub const VERSION: &str = "v1alpha1";
pub const KIND: &str = "DriftReport";
pub const PLURAL: &str = "driftreports";

/// With values of at most 2 KiB (three of them in a difference), these stay well under the 1.5 MiB that etcd takes.
const DIFFERENCES_MAX: usize = 150;
const NOTES_MAX: usize = 50;
const RULES_MAX: usize = 100;

/// What is known of an application beyond its status.
#[derive(Debug, Clone, PartialEq)]
pub struct DriftReport {
    pub namespace: Text,
    pub name: Text,
    /// The Application that it belongs to, so that it goes with it. Empty where unknown.
    pub application_uid: Text,
    /// `Synced`, `OutOfSync`, `Unknown`.
    pub sync: Text,
    /// `none`, `git`, `cluster`, `both`, `unknown`.
    pub origin: Text,
    pub revisions: Vec<Text>,
    pub compared_at: Option<Timestamp>,
    /// Drift and pending changes.
    pub differences: Vec<ReportedDifference>,
    pub notes: Vec<ReportedDifference>,
    /// Objects about which nothing can be said, and those that were compared by structure alone, with the reason.
    pub problems: Vec<ReportedProblem>,
    /// What the ignore rules did that are about the application's objects.
    pub rules: Vec<ReportedRule>,
}

/// A difference and the object that it is in.
#[derive(Debug, Clone, PartialEq)]
pub struct ReportedDifference {
    pub object: ResourceKey,
    pub difference: Difference,
}

/// An object that could not be judged, or not as well as others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedProblem {
    pub object: ResourceKey,
    /// `Unknown` where nothing can be said; else what was found in spite of it.
    pub status: Text,
    pub message: String,
}

/// One path of one ignore rule, and what it did at the last look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedRule {
    /// As in `ignoredBy` of a difference.
    pub rule: Text,
    /// `Application`, `argocd-cm` or `annotation`.
    pub source: Text,
    /// The objects that it is about.
    pub objects: usize,
    /// Fields that it hides in them, whether they differ or not.
    pub matches: usize,
    /// Why it hides nothing, or not everywhere what it should.
    pub message: Option<String>,
}

impl DriftReport {
    /// The object to write.
    pub fn to_value(&self) -> Value {
        let Self { namespace, name, application_uid, .. } = self;
        let mut object = Value::default();
        object.set_at(&["apiVersion"], format!("{GROUP}/{VERSION}").into());
        object.set_at(&["kind"], KIND.into());
        object.set_at(&["metadata", "name"], name.clone().into());
        object.set_at(&["metadata", "namespace"], namespace.clone().into());
        if !application_uid.is_empty() {
            let owner = [
                ("apiVersion", Value::from("argoproj.io/v1alpha1")),
                ("kind", Value::from("Application")),
                ("name", Value::Str(name.clone())),
                ("uid", Value::Str(application_uid.clone())),
            ];
            let owner = Value::Map(owner.into_iter().collect());
            object.set_at(&["metadata", "ownerReferences"], Value::List(vec![owner]));
        }
        object.set_at(&["status"], self.status_value());
        object
    }

    /// The part that a comparison with the report in the cluster is about.
    pub fn status_value(&self) -> Value {
        let Self { sync, origin, revisions, compared_at, differences, notes, problems, rules, .. } = self;
        let n_idle = rules.iter().filter(|rule| rule.message.is_some()).count();
        let is_pending = |found: &&ReportedDifference| found.difference.origin.as_deref() == Some("git");
        let n_pending = differences.iter().filter(is_pending).count();
        let revisions: Vec<Value> = revisions.iter().cloned().map(Value::Str).collect();
        let entries = [
            ("sync", Value::Str(sync.clone())),
            ("origin", Value::Str(origin.clone())),
            ("revisions", Value::List(revisions)),
            ("comparedAt", compared_at.map(time_value).unwrap_or_default()),
            (
                "counts",
                counts(&[
                    ("drifts", differences.len() - n_pending),
                    ("pending", n_pending),
                    ("notes", notes.len()),
                    ("problems", problems.len()),
                    ("rules", rules.len()),
                    ("idleRules", n_idle),
                ]),
            ),
            (
                "omitted",
                counts(&[
                    ("differences", differences.len().saturating_sub(DIFFERENCES_MAX)),
                    ("notes", notes.len().saturating_sub(NOTES_MAX)),
                    ("problems", problems.len().saturating_sub(NOTES_MAX)),
                    ("rules", rules.len().saturating_sub(RULES_MAX)),
                ]),
            ),
            ("differences", list(differences, DIFFERENCES_MAX)),
            ("notes", list(notes, NOTES_MAX)),
            ("problems", Value::List(problems.iter().take(NOTES_MAX).map(problem_value).collect())),
            ("rules", Value::List(rules.iter().take(RULES_MAX).map(ReportedRule::to_value).collect())),
        ];
        Value::Map(entries.into_iter().collect())
    }

    /// All that a report says but when: looking again and finding the same is nothing to write.
    pub fn said(object: &Value) -> impl Iterator<Item = (&str, &Value)> {
        let status = object.get("status").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        status.filter(|(name, _)| *name != "comparedAt")
    }

    /// Reads a report, as far as it goes: what was cut stays cut.
    pub fn of(object: &Value) -> Option<Self> {
        let status = object.get("status")?;
        let text = |name: &str| Text::from(status.str_at(&[name]).unwrap_or_default());
        let metadata = |name: &str| object.str_at(&["metadata", name]).map(Text::from);
        let owner =
            object.list_at(&["metadata", "ownerReferences"]).first().and_then(|owner| owner.str_at(&["uid"]));
        let read = |name: &str| status.list_at(&[name]).iter().filter_map(ReportedDifference::of).collect();
        let problems = status.list_at(&["problems"]).iter().filter_map(|problem| {
            let message = problem.str_at(&["message"]).unwrap_or_default().to_owned();
            let status = Text::from(problem.str_at(&["status"]).unwrap_or("Unknown"));
            Some(ReportedProblem { object: object_key(problem.get("object")?)?, status, message })
        });
        Some(Self {
            namespace: metadata("namespace")?,
            name: metadata("name")?,
            application_uid: owner.map(Text::from).unwrap_or_default(),
            sync: text("sync"),
            origin: text("origin"),
            revisions: status
                .list_at(&["revisions"])
                .iter()
                .filter_map(Value::as_str)
                .map(Text::from)
                .collect(),
            compared_at: status.str_at(&["comparedAt"]).and_then(|time| time.parse().ok()),
            differences: read("differences"),
            notes: read("notes"),
            problems: problems.collect(),
            rules: status.list_at(&["rules"]).iter().filter_map(ReportedRule::of).collect(),
        })
    }
}

impl ReportedRule {
    fn to_value(&self) -> Value {
        let Self { rule, source, objects, matches, message } = self;
        let entries = [
            ("rule", Value::Str(rule.clone())),
            ("source", Value::Str(source.clone())),
            ("objects", number(*objects)),
            ("matches", number(*matches)),
            ("message", message.as_deref().map(Value::from).unwrap_or_default()),
        ];
        Value::Map(entries.into_iter().collect())
    }

    fn of(value: &Value) -> Option<Self> {
        let count = |name: &str| value.int_at(&[name]).and_then(|count| usize::try_from(count).ok());
        Some(Self {
            rule: Text::from(value.str_at(&["rule"])?),
            source: Text::from(value.str_at(&["source"])?),
            objects: count("objects")?,
            matches: count("matches")?,
            message: value.str_at(&["message"]).map(str::to_owned),
        })
    }
}

impl ReportedDifference {
    /// The difference with one more key, `object`.
    pub fn to_value(&self) -> Value {
        let mut value = self.difference.to_value();
        value.set_at(&["object"], object_value(&self.object));
        value
    }

    /// Reads what [`Self::to_value`] writes.
    pub fn of(value: &Value) -> Option<Self> {
        Some(Self { object: object_key(value.get("object")?)?, difference: Difference::of(value)? })
    }
}

fn list(found: &[ReportedDifference], max: usize) -> Value {
    Value::List(found.iter().take(max).map(ReportedDifference::to_value).collect())
}

fn counts(found: &[(&str, usize)]) -> Value {
    Value::Map(found.iter().map(|(name, count)| (*name, number(*count))).collect::<Map>())
}

fn number(count: usize) -> Value {
    Value::Int(i64::try_from(count).unwrap_or(i64::MAX))
}

fn problem_value(problem: &ReportedProblem) -> Value {
    let ReportedProblem { object, status, message } = problem;
    let entries = [
        ("object", object_value(object)),
        ("status", Value::Str(status.clone())),
        ("message", Value::from(message.as_str())),
    ];
    Value::Map(entries.into_iter().collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn difference(origin: &str) -> ReportedDifference {
        ReportedDifference {
            object: ResourceKey::new("apps", "Deployment", "web", "a"),
            difference: Difference {
                id: "1".into(),
                channel: "declared".into(),
                change: "changed".into(),
                origin: Some(origin.into()),
                live: Some(Value::from("x".repeat(10_000))),
                target: Some(Value::from("y".repeat(10_000))),
                ..Difference::default()
            },
        }
    }

    fn report(n_differences: usize) -> DriftReport {
        let mut differences = vec![difference("cluster"); n_differences];
        differences.insert(0, difference("git"));
        DriftReport {
            namespace: "argocd".into(),
            name: "web".into(),
            application_uid: "u".into(),
            sync: "OutOfSync".into(),
            origin: "both".into(),
            revisions: vec!["abc".into()],
            compared_at: Timestamp::from_second(0).ok(),
            differences,
            notes: vec![difference("cluster"); n_differences],
            problems: vec![ReportedProblem {
                object: ResourceKey::new("", "Pod", "web", "p"),
                status: "Unknown".into(),
                message: "why".into(),
            }],
            rules: vec![
                ReportedRule {
                    rule: "ignoreDifferences[0] apps/Deployment /spec/replicas".into(),
                    source: "Application".into(),
                    objects: 2,
                    matches: 1,
                    message: None,
                },
                ReportedRule {
                    rule: "ignoreDifferences[1] */* /spec/x".into(),
                    source: "Application".into(),
                    objects: 2,
                    matches: 0,
                    message: Some("it hides nothing".into()),
                },
            ],
        }
    }

    #[test]
    fn counts_are_of_everything_and_lists_are_bounded() {
        let value = report(1000).to_value();
        assert_eq!(
            value.at(&["status", "counts"]).unwrap().to_json(),
            r#"{"drifts":1000,"idleRules":1,"notes":1000,"pending":1,"problems":1,"rules":2}"#
        );
        assert_eq!(value.int_at(&["status", "omitted", "differences"]), Some(1001 - 150));
        assert_eq!(value.list_at(&["status", "differences"]).len(), DIFFERENCES_MAX);
        assert!(value.to_json().len() < 1_000_000, "{}", value.to_json().len());
    }

    #[test]
    fn a_report_that_was_not_cut_reads_back() {
        let mut report = report(2);
        for found in report.differences.iter_mut().chain(&mut report.notes) {
            found.difference.live = Some(Value::Int(1));
            found.difference.target = None;
        }
        let value = report.to_value();
        assert_eq!(DriftReport::of(&value), Some(report.clone()));
        let says_the_same =
            |report: &DriftReport| DriftReport::said(&report.to_value()).eq(DriftReport::said(&value));
        report.compared_at = Timestamp::from_second(60).ok();
        assert!(says_the_same(&report));
        report.notes.pop();
        assert!(!says_the_same(&report));
        let first = &value.list_at(&["status", "differences"])[0];
        assert_eq!(first.as_map().unwrap().len(), crate::difference::KEYS.len() + 1);
        assert_eq!(first.str_at(&["object", "kind"]), Some("Deployment"));
    }
}
