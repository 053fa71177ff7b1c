//! Tests of strategic merge patch.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

/// A pod's spec in small.
#[derive(Clone, Copy)]
struct Small;

impl PatchSchema for Small {
    fn field(&self, name: &str) -> FieldPatch<Self> {
        let (merges, merge_key) = match name {
            "containers" | "env" => (true, Some("name")),
            "ports" => (true, Some("containerPort")),
            "finalizers" => (true, None),
            _ => (false, None),
        };
        let replaces = name == "replaced";
        FieldPatch { merges, replaces, merge_key: merge_key.map(str::to_owned), below: Small }
    }
}

fn try_patch(document: &str, patch: &str) -> Result<String, PatchError> {
    let read = |text: &str| Value::from_json(text.as_bytes()).unwrap();
    strategic_merge(&read(document), &read(patch), &Small).map(|value| value.to_json())
}

fn patched(document: &str, patch: &str) -> String {
    try_patch(document, patch).unwrap()
}

#[test]
fn lists_of_maps_merge_by_key() {
    assert_eq!(
        patched(
            r#"{"containers":[{"name":"a","image":"1"},{"name":"b","image":"1"}]}"#,
            r#"{"containers":[{"name":"b","image":"2"},{"name":"c","image":"3"}]}"#
        ),
        r#"{"containers":[{"image":"1","name":"a"},{"image":"2","name":"b"},{"image":"3","name":"c"}]}"#
    );
}

#[test]
fn lists_without_strategy_are_replaced() {
    assert_eq!(patched(r#"{"args":["a","b"]}"#, r#"{"args":["c"]}"#), r#"{"args":["c"]}"#);
}

#[test]
fn maps_merge_and_null_removes() {
    assert_eq!(
        patched(r#"{"m":{"a":1,"b":2},"replaced":{"x":1}}"#, r#"{"m":{"a":null,"c":3},"replaced":{"y":1}}"#),
        r#"{"m":{"b":2,"c":3},"replaced":{"y":1}}"#
    );
}

#[test]
fn patch_delete_removes_an_item() {
    assert_eq!(
        patched(
            r#"{"containers":[{"name":"a"},{"name":"b"}]}"#,
            r#"{"containers":[{"$patch":"delete","name":"a"}]}"#
        ),
        r#"{"containers":[{"name":"b"}]}"#
    );
}

#[test]
fn patch_replace_replaces_list_and_map() {
    assert_eq!(
        patched(
            r#"{"containers":[{"name":"a"}],"m":{"a":1}}"#,
            r#"{"containers":[{"$patch":"replace"},{"name":"z"}],"m":{"$patch":"replace","b":2}}"#
        ),
        r#"{"containers":[{"name":"z"}],"m":{"b":2}}"#
    );
}

#[test]
fn retain_keys_clears_the_others() {
    assert_eq!(
        patched(
            r#"{"strategy":{"type":"RollingUpdate","rollingUpdate":{"maxSurge":1}}}"#,
            r#"{"strategy":{"$retainKeys":["type"],"type":"Recreate"}}"#
        ),
        r#"{"strategy":{"type":"Recreate"}}"#
    );
    assert!(try_patch(r#"{"s":{}}"#, r#"{"s":{"$retainKeys":["type"],"other":1}}"#).is_err());
}

#[test]
fn primitive_lists_merge_and_lose_items() {
    assert_eq!(
        patched(r#"{"finalizers":["a","b"]}"#, r#"{"finalizers":["c","a"]}"#),
        r#"{"finalizers":["c","a","b"]}"#
    );
    assert_eq!(
        patched(r#"{"finalizers":["a","b"]}"#, r#"{"$deleteFromPrimitiveList/finalizers":["a"]}"#),
        r#"{"finalizers":["b"]}"#
    );
}

#[test]
fn set_element_order_orders() {
    assert_eq!(
        patched(
            r#"{"containers":[{"name":"a"},{"name":"b"},{"name":"server"}]}"#,
            r#"{"$setElementOrder/containers":[{"name":"b"},{"name":"a"}],"containers":[{"name":"b","image":"2"}]}"#
        ),
        r#"{"containers":[{"image":"2","name":"b"},{"name":"a"},{"name":"server"}]}"#
    );
    assert!(
        try_patch(
            r#"{"containers":[]}"#,
            r#"{"$setElementOrder/containers":[{"name":"a"}],"containers":[{"name":"z"}]}"#
        )
        .is_err()
    );
}

#[test]
fn an_item_without_its_merge_key_is_refused() {
    assert!(matches!(
        try_patch(r#"{"ports":[{"containerPort":1}]}"#, r#"{"ports":[{"name":"x"}]}"#),
        Err(PatchError::Malformed(_))
    ));
}

#[test]
fn new_fields_lose_nulls_and_directives() {
    assert_eq!(patched("{}", r#"{"m":{"a":null,"b":{"$patch":"delete"},"c":1}}"#), r#"{"m":{"c":1}}"#);
}
