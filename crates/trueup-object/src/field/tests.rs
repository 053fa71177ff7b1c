//! Paths in words, and sets against plain sets of paths.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::value::Value;

fn field(name: &str) -> PathElement {
    PathElement::Field(name.into())
}

fn key(fields: &[(&str, Value)]) -> PathElement {
    PathElement::Key(KeyFields::new(
        fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
    ))
}

#[test]
fn paths_are_written_as_the_contract_says() {
    let cases = [
        (vec![], "."),
        (vec![field("spec"), field("replicas")], ".spec.replicas"),
        (
            vec![field("metadata"), field("labels"), field("app.kubernetes.io/name")],
            r#".metadata.labels["app.kubernetes.io/name"]"#,
        ),
        (vec![field("data"), field("a\"b")], r#".data["a\"b"]"#),
        (vec![field("_a1"), field("1a"), field("")], r#"._a1["1a"][""]"#),
        (
            vec![field("ports"), key(&[("port", Value::Int(80)), ("protocol", "TCP".into())])],
            r#".ports[port=80,protocol="TCP"]"#,
        ),
        (
            vec![field("containers"), key(&[("name", "app".into())]), field("image")],
            r#".containers[name="app"].image"#,
        ),
        (vec![field("finalizers"), PathElement::Value("x/y".into())], r#".finalizers[="x/y"]"#),
        (vec![field("args"), PathElement::Index(2)], ".args[2]"),
    ];
    for (elements, expected) in cases {
        assert_eq!(FieldPath::new(elements).to_string(), expected);
    }
}

#[test]
fn the_order_of_keys_is_shown_but_does_not_matter() {
    let one = key(&[("port", Value::Int(80)), ("protocol", "TCP".into())]);
    let other = key(&[("protocol", "TCP".into()), ("port", Value::Int(80))]);
    assert_eq!(one, other);
    assert_ne!(one.to_string(), other.to_string());
}

#[test]
fn fields_v1_reads_and_writes() {
    let text = r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{}}}},"f:finalizers":{"v:\"a\"":{}},"f:list":{"i:3":{}}}}"#;
    let set = FieldSet::from_fields_v1(&Value::from_json(text.as_bytes()).unwrap()).unwrap();
    let paths: Vec<String> = set.paths().iter().map(ToString::to_string).collect();
    assert_eq!(
        paths,
        [
            ".metadata.labels",
            ".metadata.labels.app",
            r#".spec.containers[name="app"]"#,
            r#".spec.containers[name="app"].image"#,
            r#".spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]"#,
            r#".spec.finalizers[="a"]"#,
            ".spec.list[3]",
        ]
    );
    assert_eq!(set.to_fields_v1().to_json(), text);
    for bad in [r#"{"x:a":{}}"#, r#"{"f:a":1}"#, r#"{"k:{":{}}"#, "[]"] {
        assert_eq!(FieldSet::from_fields_v1(&Value::from_json(bad.as_bytes()).unwrap()), None, "{bad}");
    }
}

#[test]
fn a_set_is_written_the_same_way_as_text_and_as_maps() {
    let value = |json: &str| PathElement::Value(Value::from_json(json.as_bytes()).unwrap());
    let key = |name: &str| {
        PathElement::Key(KeyFields::new(vec![
            ("z".into(), Value::from(1)),
            ("name".into(), Value::from(name)),
        ]))
    };
    let elements = [
        field(""),
        field("."),
        field("a\"b\\c"),
        field("line\nand\u{1}more"),
        field("\u{2028}é"),
        value("5"),
        value("5.0"),
        value("\"x\""),
        value("null"),
        key("a"),
        key("a\"b"),
        PathElement::Index(10),
        PathElement::Index(9),
    ];
    let mut set = FieldSet::new();
    for one in &elements {
        set.insert(std::slice::from_ref(one));
        for other in &elements {
            set.insert(&[one.clone(), other.clone()]);
            set.insert(&[field("only below"), one.clone(), other.clone()]);
        }
    }
    let mut deep = FieldSet::new();
    deep.insert(&vec![field("a"); 300]);
    for set in [set, deep, FieldSet::new()] {
        let (text, tree) = (set.to_fields_v1(), set.to_tree());
        assert_eq!(text.to_json(), tree.to_json());
        assert_eq!(FieldSet::from_fields_v1(&text), FieldSet::from_fields_v1(&tree));
        assert_eq!(text.clone(), tree);
        // Once somebody has looked into it, too.
        assert_eq!(FieldSet::from_fields_v1(&text), FieldSet::from_fields_v1(&tree));
    }
}

#[test]
fn leaves_are_members_with_nothing_below() {
    let set: FieldSet =
        [FieldPath::fields(&["a"]), FieldPath::fields(&["a", "b"]), FieldPath::fields(&["c"])]
            .into_iter()
            .collect();
    let leaves: Vec<String> = set.leaves().paths().iter().map(ToString::to_string).collect();
    assert_eq!(leaves, [".a.b", ".c"]);
    assert!(set.touches(FieldPath::fields(&["a"]).elements()));
    assert!(!set.touches(FieldPath::fields(&["a", "c"]).elements()));
}

fn paths() -> impl Strategy<Value = BTreeSet<FieldPath>> {
    let path =
        proptest::collection::vec("[abc]".prop_map(|name| field(&name)), 1..4).prop_map(FieldPath::new);
    proptest::collection::btree_set(path, 0..8)
}

fn set(paths: &BTreeSet<FieldPath>) -> FieldSet {
    paths.iter().cloned().collect()
}

fn list(set: &FieldSet) -> BTreeSet<FieldPath> {
    set.paths().into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// The trie does what sets of paths do.
    #[test]
    fn sets_of_paths(left in paths(), right in paths()) {
        let (l, r) = (set(&left), set(&right));
        prop_assert_eq!(list(&l), left.clone());
        prop_assert_eq!(list(&l.union(&r)), left.union(&right).cloned().collect::<BTreeSet<_>>());
        prop_assert_eq!(list(&l.intersection(&r)), left.intersection(&right).cloned().collect::<BTreeSet<_>>());
        prop_assert_eq!(list(&l.difference(&r)), left.difference(&right).cloned().collect::<BTreeSet<_>>());
        let outside = left.iter().filter(|path| !right.iter().any(|other| path.starts_with(other)));
        prop_assert_eq!(list(&l.recursive_difference(&r)), outside.cloned().collect::<BTreeSet<_>>());
        prop_assert_eq!(FieldSet::from_fields_v1(&l.to_fields_v1()), Some(l.clone()));
        prop_assert_eq!(FieldSet::from_fields_v1(&l.to_tree()), Some(l.clone()));
        prop_assert_eq!(l.to_fields_v1().to_json(), l.to_tree().to_json());
        prop_assert_eq!(l.to_fields_v1() == r.to_fields_v1(), l == r);
        let mut removed = l.clone();
        for path in &right { removed.remove(path.elements()); }
        prop_assert_eq!(removed, l.difference(&r));
        for path in &right { prop_assert_eq!(l.contains(path.elements()), left.contains(path)); }
    }
}
