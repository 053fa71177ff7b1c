//! Tests of rules and of what they do to requests.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn request<'a>(verb: &'a str, name: &'a str) -> Attributes<'a> {
    Attributes {
        verb,
        group: "apps",
        version: "v1",
        plural: "deployments",
        kind: "Deployment",
        namespace: "web",
        name,
        user_agent: "trueup/0.0.0",
        read: Reading::default(),
    }
}

fn met(faults: &Faults, verb: &str) -> Interference {
    faults.before(&request(verb, "a")).then
}

fn faults(json: &str) -> Faults {
    let faults = Faults::new(1);
    faults.add_json(&Value::from_json(json.as_bytes()).unwrap()).unwrap();
    faults
}

#[test]
fn refuses_matching_requests_with_the_status_asked_for() {
    let faults = faults(
        r#"{"kind":"status","code":429,"retryAfter":3,"match":{"verb":["patch","update"],"kind":"Deployment"}}"#,
    );
    let Interference::Refuse(status) = met(&faults, "patch") else { panic!("not refused") };
    assert_eq!((status.code, status.details.retry_after_seconds), (429, 3));
    assert_eq!(met(&faults, "get"), Interference::None);
    faults.clear();
    assert_eq!(met(&faults, "patch"), Interference::None);
}

#[test]
fn conflicts_so_many_times() {
    let faults = faults(r#"{"conflict":{"times":2,"match":{"name":"a"}}}"#);
    let outcome = |verb| matches!(met(&faults, verb), Interference::Refuse(_));
    assert_eq!(
        [outcome("create"), outcome("patch"), outcome("update"), outcome("patch")],
        [false, true, true, false]
    );
}

#[test]
fn cuts_writes_only() {
    let faults = faults(r#"[{"kind":"cut"}]"#);
    assert_eq!(met(&faults, "create"), Interference::Cut);
    assert_eq!(met(&faults, "list"), Interference::None);
}

#[test]
fn decides_the_fate_of_watches() {
    let watch = request("watch", "");
    let began = Instant::now();
    let fate = |json: &str| faults(json).watch_fate(&watch, began);
    assert_eq!(fate(r#"{"kind":"drop-watch","after":2}"#).events_max, Some(2));
    assert_eq!(fate(r#"{"kind":"drop-watch","after":"0s"}"#).ends_in, Some(Duration::ZERO));
    assert_eq!(fate(r#"{"kind":"late-watch","ms":30}"#).late, Duration::from_millis(30));
    assert!(fate(r#"{"duplicate-events":null}"#).twice);
    assert!(fate(r#"{"kind":"gone"}"#).gone);
    assert_eq!(fate(r#"{"gone":{"kind":"ConfigMap"}}"#), WatchFate::default());
    let twice = WatchFate { twice: true, ..WatchFate::default() };
    assert_eq!(twice.repeated("{\"type\":\"ADDED\"}\n"), "{\"type\":\"ADDED\"}\n{\"type\":\"ADDED\"}\n");
    assert_eq!(twice.repeated("{\"type\":\"BOOKMARK\"}\n"), "{\"type\":\"BOOKMARK\"}\n");
}

#[test]
fn a_watch_goes_on_from_nothing_as_often_as_a_rule_says() {
    let faults = faults(r#"{"kind":"gone","times":1}"#);
    let mut watch = request("watch", "");
    assert!(!faults.watch_begins(&watch));
    watch.read.revision = 7;
    assert!(faults.watch_begins(&watch));
    assert!(!faults.watch_begins(&watch));
}

#[test]
fn limits_lists_of_a_kind() {
    let faults = faults(
        r#"[{"partial-list":{"kind":"Deployment","keep":3}},{"partial-list":{"kind":"ConfigMap","keep":1}}]"#,
    );
    assert_eq!(met(&faults, "list"), Interference::Limit(3));
    let mut next = request("list", "");
    next.read.continues = true;
    assert!(matches!(faults.before(&next).then, Interference::Refuse(_)));
}

#[test]
fn waits_and_looks_back() {
    let faults = faults(
        r#"[{"kind":"latency","ms":5},{"kind":"latency","ms":7,"match":{"verb":"get"}},{"kind":"stale-read","versions":3}]"#,
    );
    let plan = faults.before(&request("get", "a"));
    assert_eq!((plan.delay, plan.then), (Duration::from_millis(12), Interference::Stale(3)));
    let plan = faults.before(&request("patch", "a"));
    assert_eq!((plan.delay, plan.then), (Duration::from_millis(5), Interference::None));
}

#[test]
fn a_share_is_decided_by_the_seed() {
    let outcomes = |seed: u64| -> Vec<bool> {
        let faults = Faults::new(seed);
        let rule = br#"{"kind":"status","code":503,"share":0.5}"#;
        faults.add_json(&Value::from_json(rule).unwrap()).unwrap();
        (0..64).map(|_| met(&faults, "get") != Interference::None).collect()
    };
    assert_eq!(outcomes(3), outcomes(3));
    assert_ne!(outcomes(3), outcomes(4));
    let n_met = outcomes(3).iter().filter(|met| **met).count();
    assert!((10..54).contains(&n_met), "{n_met} of 64");
}

#[test]
fn a_controller_is_killed_at_its_step() {
    let verbs = ["get", "patch", "get", "patch"];
    let outcomes = |step: &str| {
        let faults = faults(&format!(r#"{{"kill-controller-at":{{"step":"{step}"}}}}"#));
        let kills = faults.kills();
        let found = verbs.map(|verb| met(&faults, verb));
        assert_eq!(*kills.borrow(), 1, "{step}");
        found
    };
    let (none, before, after) =
        (Interference::None, Interference::Hang { serve: false }, Interference::Hang { serve: true });
    assert_eq!(outcomes("intent"), [none.clone(), before.clone(), none.clone(), none.clone()]);
    assert_eq!(outcomes("applied"), [none.clone(), after, none.clone(), none.clone()]);
    assert_eq!(outcomes("recorded"), [none.clone(), none.clone(), before.clone(), none.clone()]);
    let second = faults(r#"{"kind":"kill-controller-at","step":"intent","nth":2}"#);
    assert_eq!(verbs.map(|verb| met(&second, verb)), [none.clone(), none.clone(), none, before]);
}

#[test]
fn rules_read_back_as_they_were_set() {
    for json in [
        r#"{"code":503,"kind":"status","match":{"kind":["Deployment"]},"retryAfter":1,"share":0.5}"#,
        r#"{"after":"250ms","kind":"drop-watch","match":{}}"#,
        r#"{"keep":2,"kind":"partial-list","match":{"kind":["ConfigMap"],"namespace":["web"]}}"#,
        r#"{"kind":"conflict","match":{},"times":4}"#,
        r#"{"kind":"cut","match":{"verb":["create"]}}"#,
        r#"{"kind":"latency","match":{},"ms":20}"#,
        r#"{"kind":"late-watch","match":{"userAgent":["trueup"]},"ms":20}"#,
        r#"{"kind":"duplicate-events","match":{}}"#,
        r#"{"kind":"stale-read","match":{},"versions":5}"#,
        r#"{"kind":"gone","match":{"kind":["Pod"]}}"#,
        r#"{"kind":"kill-controller-at","match":{},"nth":2,"step":"applied"}"#,
    ] {
        let rule = Rule::parse(&Value::from_json(json.as_bytes()).unwrap()).unwrap();
        assert_eq!(rule.to_value().to_json(), json);
    }
}

#[test]
fn says_what_is_wrong_with_a_rule() {
    let error =
        |json: &str| Rule::parse(&Value::from_json(json.as_bytes()).unwrap()).unwrap_err().to_string();
    assert!(
        error(r#"{"kind":"earthquake"}"#)
            .starts_with("unknown fault \"earthquake\"; known are latency, status, ")
    );
    assert_eq!(
        error(r#"{"kind":"cut","often":1}"#),
        "fault cut has no setting \"often\"; it has kind, match"
    );
    assert_eq!(
        error(r#"{"kind":"status"}"#),
        "fault status: code must be a status code from 400 to 599, not missing"
    );
    assert_eq!(
        error(r#"{"kind":"status","code":503,"share":2}"#),
        "fault status: share must be a number from 0 to 1, not 2"
    );
    assert!(
        error(r#"{"kind":"cut","match":{"colour":"red"}}"#)
            .starts_with("fault cut has no setting \"match.colour\"; it has verb,")
    );
    assert!(
        error(r#"{"kind":"cut","match":{"verb":"apply"}}"#).contains("match must be about verbs get, list,")
    );
    let list = Value::from_json(br#"[{"kind":"cut"},{"kind":"latency","ms":"5"}]"#).unwrap();
    assert_eq!(
        Rule::parse_all(&list).unwrap_err().to_string(),
        "rule 1: fault latency: ms must be a whole number, zero or more, not \"5\""
    );
}
