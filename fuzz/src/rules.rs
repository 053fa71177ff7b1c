//! Ignore rules: pointers and jq expressions.

use std::sync::OnceLock;

use trueup_diff::{CompareInput, IgnoreRule, IgnoreSpec, compare};
use trueup_merge::{Managed, SchemaSet, TypeRef};
use trueup_object::{FieldManager, Gvk, JsonPointer, Value};

use crate::objects::KEY;

/// What rules are about where an input brings no object of its own.
const WORKLOAD: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, annotations: {example.com/a~b: x}}
spec:
  replicas: 2
  template:
    spec:
      containers:
      - {name: app, image: "app:1.2", env: [{name: A, value: "1"}, {name: B, value: ""}], resources: {limits: {cpu: 500m}}}
      - {name: side, image: "side@sha256:00", args: [--x, "y", null]}
"#;

fn workload() -> Value {
    static WORKLOAD_READ: OnceLock<Value> = OnceLock::new();
    WORKLOAD_READ.get_or_init(|| Value::from_yaml(WORKLOAD.as_bytes()).unwrap_or_default()).clone()
}

/// The first line, and the rest as an object: the workload where it is none.
fn split(input: &[u8]) -> (String, Value) {
    let (line, rest) = match input.iter().position(|byte| *byte == b'\n') {
        Some(end) => (&input[..end], &input[end + 1..]),
        None => (input, &[][..]),
    };
    let object =
        Value::from_yaml(rest).ok().filter(|object| object.as_map().is_some_and(|map| !map.is_empty()));
    (String::from_utf8_lossy(line).into_owned(), object.unwrap_or_else(workload))
}

pub fn pointer(input: &[u8]) {
    let (text, object) = split(input);
    let spec = IgnoreSpec { json_pointers: vec![text.clone()], ..any_object() };
    let Ok(pointer) = JsonPointer::parse(&text) else {
        assert!(IgnoreRule::new(&spec).is_err());
        return;
    };
    assert_eq!(pointer.to_string(), text);
    assert_eq!(JsonPointer::parse(&text).as_ref(), Ok(&pointer));
    let found = pointer.get(&object).cloned();
    let mut without = object.clone();
    assert_eq!(pointer.clone().get_mut(&mut without).cloned(), found);
    if !pointer.tokens().is_empty() {
        let before = without.clone();
        let _ = pointer.remove(&mut without);
        assert_eq!(
            found.is_some(),
            without != before,
            "what a pointer names can be removed, and nothing else"
        );
    }
    hides_nothing_of_itself(&spec, &object);
}

pub fn jq_parse(input: &[u8]) {
    let text = String::from_utf8_lossy(input).into_owned();
    for spec in [
        IgnoreSpec { jq_path_expressions: vec![text.clone()], ..IgnoreSpec::default() },
        IgnoreSpec { group: text.clone(), kind: text.clone(), ..IgnoreSpec::default() },
    ] {
        if let Err(error) = IgnoreRule::new(&spec) {
            assert!(!error.to_string().is_empty() && !error.remedy().is_empty());
        }
    }
}

pub fn jq_run(input: &[u8]) {
    let (text, object) = split(input);
    hides_nothing_of_itself(&IgnoreSpec { jq_path_expressions: vec![text], ..any_object() }, &object);
}

fn any_object() -> IgnoreSpec {
    IgnoreSpec { group: "*".to_owned(), kind: "*".to_owned(), ..IgnoreSpec::default() }
}

/// Runs a rule on an object that is compared with itself: whatever it names is there, and no difference appears.
fn hides_nothing_of_itself(spec: &IgnoreSpec, object: &Value) {
    let Ok(rule) = IgnoreRule::new(spec) else { return };
    let Some(gvk) = Gvk::of(object) else { return };
    let known = SchemaSet::builtin().lookup(&gvk);
    let ty = known.unwrap_or_else(TypeRef::untyped);
    let comparison = compare(&CompareInput {
        target: object,
        live: object,
        base: Some(object),
        managed: &Managed::of(object, ty),
        our_manager: &FieldManager::new(FieldManager::TRUEUP),
        ty,
        schema_known: known.is_some(),
        ignore: &[&rule],
        unowned: None,
        status: false,
        secrecy: (&KEY).into(),
    });
    assert_eq!(comparison.hidden.target, comparison.hidden.live);
    assert!(comparison.hidden.live.iter().all(|place| place.get(object).is_some()));
    assert!(comparison.findings.is_empty(), "{:?}", comparison.findings);
}
