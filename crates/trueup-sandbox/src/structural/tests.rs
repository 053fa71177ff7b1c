//! Tests of structural schemas.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap()
}

fn schema() -> StructuralSchema {
    StructuralSchema::parse(&json(
        r#"{"type":"object","properties":{"spec":{"type":"object","required":["size"],"properties":{
            "size":{"type":"integer","minimum":1,"maximum":10},
            "colour":{"type":"string","default":"red","enum":["red","blue"]},
            "code":{"type":"string","pattern":"^[a-z]+$","maxLength":4},
            "port":{"x-kubernetes-int-or-string":true},
            "note":{"type":"string","nullable":true},
            "free":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
                    "properties":{"known":{"type":"object","properties":{"a":{"type":"string"}}}}},
            "labels":{"type":"object","additionalProperties":{"type":"string"}},
            "rules":{"type":"array","maxItems":2,"x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],
                     "items":{"type":"object","required":["name"],"properties":{
                        "name":{"type":"string"},"weight":{"type":"integer","default":1}}}},
            "either":{"type":"object","x-kubernetes-preserve-unknown-fields":true,
                      "oneOf":[{"required":["a"]},{"required":["b"]}]}}}}}"#,
    ))
}

fn problems(spec: &str) -> Vec<String> {
    let object = json(&format!(r#"{{"metadata":{{"name":"x"}},"spec":{spec}}}"#));
    schema()
        .validate(&object)
        .into_iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect()
}

#[test]
fn prunes_what_it_does_not_know() {
    let mut object = json(
        r#"{"apiVersion":"a/v1","kind":"K","metadata":{"name":"x"},"extra":1,
            "spec":{"size":1,"unknown":2,"free":{"any":1,"known":{"a":"b","c":"d"}},
                    "labels":{"x":"y"},"rules":[{"name":"n","odd":1}]}}"#,
    );
    let pruned = schema().prune(&mut object);
    assert_eq!(pruned, ["extra", "spec.free.known.c", "spec.rules[0].odd", "spec.unknown"]);
    let left = r#"{"apiVersion":"a/v1","kind":"K","metadata":{"name":"x"},"spec":{"free":{"any":1,"known":{"a":"b"}},"labels":{"x":"y"},"rules":[{"name":"n"}],"size":1}}"#;
    assert_eq!(object.to_json(), left);
}

#[test]
fn fills_in_defaults_and_removes_nulls() {
    let mut object = json(
        r#"{"spec":{"colour":null,"code":null,"note":null,"rules":[{"name":"n"}],"labels":{"x":null}}}"#,
    );
    schema().default(&mut object);
    let filled = r#"{"spec":{"colour":"red","labels":{},"note":null,"rules":[{"name":"n","weight":1}]}}"#;
    assert_eq!(object.to_json(), filled);
    // Defaults do not make their parents.
    let mut empty = json("{}");
    schema().default(&mut empty);
    assert_eq!(empty.to_json(), "{}");
}

#[test]
fn says_what_is_wrong_as_the_server_does() {
    assert_eq!(problems("{}"), ["spec.size: Required value"]);
    assert_eq!(
        problems(r#"{"size":"three"}"#),
        [r#"spec.size: Invalid value: "string": spec.size in body must be of type integer: "string""#]
    );
    assert_eq!(
        problems(r#"{"size":11}"#),
        ["spec.size: Invalid value: 11: spec.size in body should be less than or equal to 10"]
    );
    assert_eq!(
        problems(r#"{"size":1,"colour":"green"}"#),
        [r#"spec.colour: Unsupported value: "green": supported values: "red", "blue""#]
    );
    assert_eq!(
        problems(r#"{"size":1,"code":"ABCDE"}"#),
        [
            "spec.code: Too long: may not be more than 4 bytes",
            r#"spec.code: Invalid value: "ABCDE": spec.code in body should match '^[a-z]+$'"#,
        ]
    );
    assert_eq!(
        problems(r#"{"size":1,"rules":[{"name":"a"},{"name":"b"},{"name":"a"}]}"#),
        [
            "spec.rules: Too many: 3: must have at most 2 items",
            r#"spec.rules[2]: Duplicate value: {"name":"a"}"#,
        ]
    );
    assert_eq!(
        problems(r#"{"size":1,"either":{"a":1,"b":2}}"#),
        [
            r#"<nil>: Invalid value: "": "spec.either" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]
    );
}

#[test]
fn accepts_what_is_right() {
    let spec = r#"{"size":3,"colour":"blue","port":"http","note":null,"labels":{"a":"b"},"either":{"a":1},
                   "rules":[{"name":"a","weight":2}]}"#;
    assert_eq!(problems(spec), Vec::<String>::new());
    assert_eq!(problems(r#"{"size":3,"port":8080}"#), Vec::<String>::new());
}
