//! The published JSON Schema says what is written: `docs/schema/difference.schema.json` against real differences.

#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_engine::difference as engine;
use trueup_object::{ResourceKey, Value};
use trueup_testkit::json_schema::Published;

use super::{Difference, IgnoredBy, KEYS, Verdict};
use crate::drift_report::ReportedDifference;

const NAME: &str = "difference.schema.json";

fn full() -> Difference {
    Difference {
        id: "7897eae351f6".into(),
        channel: engine::Channel::Declared.as_str().into(),
        path: Some(".spec.replicas".into()),
        pointer: Some("/spec/replicas".into()),
        change: engine::Change::Changed.as_str().into(),
        origin: Some(engine::Origin::Cluster.as_str().into()),
        target: Some(Value::Int(3)),
        live: Some(Value::Int(5)),
        base: Some(Value::Int(3)),
        predicted: Some(Value::Str("x".into())),
        class: Some(engine::Class::Manual.as_str().into()),
        manager: Some("kubectl".into()),
        operation: Some("Update".into()),
        subresource: Some("scale".into()),
        time: Some("2026-01-01T00:00:00Z".into()),
        user: Some("alice@example.com".into()),
        first_seen: Some("2026-01-01T00:00:01Z".into()),
        confidence: Some(engine::Confidence::Weak.as_str().into()),
        inherited: Some(false),
        unconfirmed: Some(true),
        verdict: Some(Verdict { advice: "adopt".into(), reasons: vec!["because".into()] }),
        ignored_by: Some(IgnoredBy { rule: "r".into(), source: "Application".into() }),
        message: Some("m".into()),
    }
}

#[test]
fn what_is_written_keeps_to_the_schema() {
    assert_eq!(Published::read().faults(NAME, &full().to_value()), Vec::<String>::new());
    let least = Difference { change: "missing".into(), channel: "existence".into(), ..Difference::default() };
    assert_eq!(Published::read().faults(NAME, &least.to_value()), Vec::<String>::new());
    let reported =
        ReportedDifference { object: ResourceKey::new("apps", "Deployment", "web", "a"), difference: full() };
    assert_eq!(Published::read().faults(NAME, &reported.to_value()), Vec::<String>::new());
}

#[test]
fn the_schema_refuses_what_is_not_a_difference() {
    let mut wrong = full().to_value();
    wrong.set_at(&["inherited"], "yes".into());
    wrong.set_at(&["more"], Value::Int(1));
    wrong.remove_at(&["message"]);
    wrong.set_at(&["origin"], "nobody".into());
    wrong.set_at(&["verdict"], Value::from_json(br#"{"advice":"sync","reasons":[1]}"#).unwrap());
    let mut found = Published::read().faults(NAME, &wrong);
    found.sort();
    assert_eq!(
        found,
        [
            r#".inherited is string, not ["boolean", "null"]"#,
            ".message is missing",
            ".more is not in the schema",
            r#".origin: "nobody" is not among the values"#,
            r#".verdict.reasons[] is integer, not ["string"]"#,
        ]
    );
}

#[test]
fn keys_and_words_are_those_of_the_code() {
    let published = Published::read();
    let schema = published.schema(NAME);
    let required: Vec<&str> = schema.list_at(&["required"]).iter().filter_map(Value::as_str).collect();
    assert_eq!(required, KEYS);
    let words = |key: &str| -> Vec<String> {
        let listed = schema.list_at(&["properties", key, "enum"]);
        listed.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    use engine::{Change, Channel, Class, Confidence, Origin};
    let channels = [Channel::Declared, Channel::Undeclared, Channel::Unowned, Channel::Existence];
    assert_eq!(words("channel"), channels.map(Channel::as_str));
    let changes = [Change::Changed, Change::Added, Change::Removed, Change::Missing, Change::Extraneous];
    assert_eq!(words("change"), changes.map(Change::as_str));
    let origins = [Origin::Git, Origin::Cluster, Origin::Both, Origin::Unknown];
    assert_eq!(words("origin"), origins.map(Origin::as_str));
    let classes = [
        Class::Manual,
        Class::Automation,
        Class::Autoscaler,
        Class::Controller,
        Class::Injector,
        Class::Gitops,
        Class::PartialSync,
        Class::Git,
        Class::Noise,
        Class::Unattributed,
    ];
    assert_eq!(words("class"), classes.map(Class::as_str));
    let confidences = [Confidence::Proven, Confidence::Strong, Confidence::Weak, Confidence::None];
    assert_eq!(words("confidence"), confidences.map(Confidence::as_str));
}
