//! Tests of rules and of what they do to requests.
#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_object::Gvk;

use super::*;
use crate::kind::{KindOrigin, Scope};

fn kind() -> KindInfo {
    KindInfo {
        gvk: Gvk::new("apps", "v1", "Deployment"),
        plural: "deployments".into(),
        singular: "deployment".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        has_status: true,
        scale: None,
        origin: KindOrigin::Builtin,
    }
}

fn request<'a>(verb: &'a str, kind: &'a KindInfo, name: &'a str) -> Attributes<'a> {
    Attributes { verb, kind, namespace: "web", name, user_agent: "trueup/0.0.0" }
}

fn faults(json: &str) -> Faults {
    let faults = Faults::new(1);
    faults.add_json(&Value::from_json(json.as_bytes()).unwrap()).unwrap();
    faults
}

#[test]
fn refuses_matching_requests_with_the_status_asked_for() {
    let kind = kind();
    let faults = faults(
        r#"{"kind":"status","code":429,"retryAfter":3,"match":{"verb":["patch","update"],"kind":"Deployment"}}"#,
    );
    let Interference::Refuse(status) = faults.before(request("patch", &kind, "a")) else {
        panic!("not refused")
    };
    assert_eq!((status.code, status.details.retry_after_seconds), (429, 3));
    assert_eq!(faults.before(request("get", &kind, "a")), Interference::None);
    faults.clear();
    assert_eq!(faults.before(request("patch", &kind, "a")), Interference::None);
}

#[test]
fn conflicts_so_many_times() {
    let kind = kind();
    let faults = faults(r#"{"conflict":{"times":2,"match":{"name":"a"}}}"#);
    let outcome = |verb| matches!(faults.before(request(verb, &kind, "a")), Interference::Refuse(_));
    assert_eq!(
        [outcome("create"), outcome("patch"), outcome("update"), outcome("patch")],
        [false, true, true, false]
    );
}

#[test]
fn cuts_writes_only() {
    let kind = kind();
    let faults = faults(r#"[{"kind":"cut"}]"#);
    assert_eq!(faults.before(request("create", &kind, "")), Interference::Cut);
    assert_eq!(faults.before(request("list", &kind, "")), Interference::None);
}

#[test]
fn ends_watches_after_events_or_time() {
    let kind = kind();
    let watch = request("watch", &kind, "");
    let by_count = faults(r#"{"kind":"drop-watch","after":2}"#);
    let began = Instant::now();
    assert_eq!(by_count.watch_ends_in(watch, began, 1), None);
    assert_eq!(by_count.watch_ends_in(watch, began, 2), Some(Duration::ZERO));
    let by_time = faults(r#"{"kind":"drop-watch","after":"0s"}"#);
    assert_eq!(by_time.watch_ends_in(watch, began, 0), Some(Duration::ZERO));
}

#[test]
fn limits_lists_of_a_kind() {
    let kind = kind();
    let faults = faults(
        r#"[{"partial-list":{"kind":"Deployment","keep":3}},{"partial-list":{"kind":"ConfigMap","keep":1}}]"#,
    );
    assert_eq!(faults.list_limit(request("list", &kind, "")), Some(3));
}

#[test]
fn rules_read_back_as_they_were_set() {
    for json in [
        r#"{"code":503,"kind":"status","match":{"kind":["Deployment"]},"retryAfter":1,"share":0.5}"#,
        r#"{"after":"250ms","kind":"drop-watch","match":{}}"#,
        r#"{"keep":2,"kind":"partial-list","match":{"kind":["ConfigMap"],"namespace":["web"]}}"#,
        r#"{"kind":"conflict","match":{},"times":4}"#,
        r#"{"kind":"cut","match":{"verb":["create"]}}"#,
    ] {
        let rule = Rule::parse(&Value::from_json(json.as_bytes()).unwrap()).unwrap();
        assert_eq!(rule.to_value().to_json(), json);
    }
}

#[test]
fn says_what_is_wrong_with_a_rule() {
    let error =
        |json: &str| Rule::parse(&Value::from_json(json.as_bytes()).unwrap()).unwrap_err().to_string();
    assert_eq!(
        error(r#"{"kind":"earthquake"}"#),
        "unknown fault \"earthquake\"; known are status, drop-watch, partial-list, conflict, cut"
    );
    assert_eq!(error(r#"{"kind":"cut","often":1}"#), "fault cut has no key \"often\"");
    assert_eq!(error(r#"{"kind":"status"}"#), "fault status: code is missing or of the wrong type");
    assert_eq!(error(r#"{"kind":"cut","match":{"colour":"red"}}"#), "fault cut has no key \"match.colour\"");
}
