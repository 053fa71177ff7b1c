//! Tests of reading stories.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use trueup_object::Value;

use super::{
    format::{Action, ClientChange, Edit},
    parse::{duration, story},
};

fn steps(steps: &str) -> anyhow::Result<Vec<Action>> {
    let text = format!("name: a\napplications: {{web: {{namespace: shop}}}}\nsteps:\n{steps}");
    Ok(story(text.as_bytes())?.steps.into_iter().map(|step| step.action).collect())
}

#[test]
fn steps_are_read() {
    let read = steps(
        r#"
- sync: {application: web, flags: --prune --overwrite-drift}
- refresh: {application: web, hard: true}
- kubectl: {args: 'scale deployment/web --replicas=2', as: bob@example.com}
- client: {manager: x, operation: Apply, target: deployment/web.shop, apply: {spec: {replicas: 1}}, force: true}
- commit: {message: m, edits: {a.yaml: {replace: [old, new]}, b.yaml: {delete: true}, c.yaml: {content: z}}}
- wait: 1h30m
- fault: {kind: status, code: 503, match: {verb: patch}}
- fault: none
- restart: controller
- adopt: {application: web, path: .spec}
- pause: {project: payments}
- pause: everything
"#,
    )
    .unwrap();
    assert_eq!(
        read[0],
        Action::Sync { application: "web".into(), flags: vec!["--prune".into(), "--overwrite-drift".into()] }
    );
    assert_eq!(read[1], Action::Refresh { application: "web".into(), hard: true });
    let Action::Kubectl(step) = &read[2] else { panic!("{:?}", read[2]) };
    assert_eq!((step.arguments.len(), step.user.as_deref()), (3, Some("bob@example.com")));
    let Action::Client(client) = &read[3] else { panic!("{:?}", read[3]) };
    assert!(client.apply && client.force && matches!(client.change, ClientChange::Apply(_)));
    let Action::Commit { edits, .. } = &read[4] else { panic!("{:?}", read[4]) };
    assert_eq!(edits[1], ("b.yaml".to_owned(), Edit::Delete));
    assert_eq!(read[5], Action::Wait(Duration::from_secs(5400)));
    let Action::Fault { rules } = &read[6] else { panic!("{:?}", read[6]) };
    assert_eq!(rules[0].str_at(&["kind"]), Some("status"));
    assert_eq!(read[7], Action::Fault { rules: Vec::new() });
    assert_eq!(read[9], Action::Beyond { application: Some("web".into()) });
    assert_eq!(read[10..], [Action::Beyond { application: None }, Action::Beyond { application: None }]);
}

#[test]
fn expectations_are_read() {
    let read = steps(
        r#"
- expect:
    application: web
    sync: OutOfSync
    held: true
    live: {Deployment/web.shop: {.spec.replicas: 3, .: null}}
    drifts:
      - {object: Deployment/web, path: '.spec.template.spec.containers[name="web"].image', change: changed,
         class: [manual, automation], verdict: adopt, live: x}
"#,
    )
    .unwrap();
    let Action::Expect(expectation) = &read[0] else { panic!("{:?}", read[0]) };
    assert_eq!(expectation.unjudged, ["held", "verdict"]);
    assert_eq!(expectation.live[0].1.len(), 2);
    let wanted = &expectation.drifts.as_ref().unwrap()[0];
    assert_eq!(
        wanted.words,
        [("change", vec!["changed".into()]), ("class", vec!["manual".into(), "automation".into()])]
    );
    assert_eq!(wanted.values, [("live", Value::from("x"))]);
}

#[test]
fn what_is_not_in_the_format_is_refused() {
    for wrong in [
        "- dance: web",
        "- {sync: web, refresh: web}",
        "- sync: other",
        "- sync: {application: web, flag: --prune}",
        "- expect: {application: web, colour: red}",
        "- expect: {application: web, sync: Maybe}",
        "- expect: {application: web, drifts: [{object: ConfigMap/a, owner: x}]}",
        "- expect: {application: web, drifts: [{object: ConfigMap/a, path: data}]}",
        "- expect: {sync: Synced}",
        "- fault: {kind: earthquake}",
        "- fault: {kind: cut, times: 1}",
        "- wait: soon",
        "- restart: cluster",
        "- client: {manager: x, operation: Update, target: deployment/web.shop, apply: {}}",
        "- commit: {message: m, edits: {a: {replace: [x]}}}",
        "- kubectl: 'get \"pods'",
    ] {
        assert!(steps(wrong).is_err(), "{wrong}");
    }
    assert!(story(b"name: a\nsteps: []\n").is_err(), "applications are missing");
    assert!(story(b"name: a\nname: b\napplications: {}\nsteps: []\n").is_err(), "a key twice");
    assert!(story(b"name: a\napplications: {}\nsteps: []\nauthor: me\n").is_err(), "an unknown key");
}

#[test]
fn durations() {
    assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
    assert_eq!(duration("2h").unwrap(), Duration::from_secs(7200));
    assert!(duration("1").is_err() && duration("h").is_err() && duration("0s").is_err());
}
