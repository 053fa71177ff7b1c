//! Laws that hold for any object of a kind with every sort of list and map.
//!
//! The objects have no empty maps and lists: nobody owns an empty set or list-map, so it stays when nobody applies it any
//! more; and a map whose last key is no longer applied while the map itself is, becomes `null`. Both as in the server.

use std::sync::OnceLock;

use proptest::prelude::*;
use trueup_object::{FieldSet, Gvk, ManagedFields, ManagedOperation, Map, Text, Value};

use super::cases::schemas;
use crate::ownership::all_fields;
use crate::{SchemaSet, TypeRef, Writer, apply, compare, extract, field_set, get, merge, remove, update};

fn widget() -> TypeRef<'static> {
    static SCHEMAS: OnceLock<SchemaSet> = OnceLock::new();
    SCHEMAS.get_or_init(schemas).lookup(&Gvk::new("example.com", "v1", "Widget")).unwrap()
}

fn text() -> impl Strategy<Value = Value> {
    prop::sample::select(vec!["", "1", "2"]).prop_map(Value::from)
}

fn number() -> impl Strategy<Value = Value> {
    (0_i64..3).prop_map(Value::Int)
}

fn map_of(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::btree_map(prop::sample::select(vec!["a", "b", "c"]), values, 1..3)
        .prop_map(|entries| Value::Map(entries.into_iter().collect()))
}

/// An object with some of these fields, at least one.
fn some_of(fields: Vec<(&'static str, BoxedStrategy<Value>)>) -> BoxedStrategy<Value> {
    fields
        .into_iter()
        .map(|(name, value)| prop::option::weighted(0.4, value).prop_map(move |value| (name, value)).boxed())
        .collect::<Vec<_>>()
        .prop_map(|entries| {
            let map: Map = entries.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
            Value::Map(map)
        })
        .prop_filter("an empty map", |value| value.as_map().is_some_and(|map| !map.is_empty()))
        .boxed()
}

fn tags() -> impl Strategy<Value = Value> {
    prop::sample::subsequence(vec!["t", "u", "v"], 1..=3)
        .prop_shuffle()
        .prop_map(|tags| Value::List(tags.into_iter().map(Value::from).collect()))
}

fn parts() -> impl Strategy<Value = Value> {
    let keys = vec![("a", None), ("a", Some("x")), ("b", Some("std")), ("c", None)];
    let body = some_of(vec![
        ("n", number().boxed()),
        ("sub", some_of(vec![("p", text().boxed()), ("q", text().boxed())])),
    ]);
    prop::sample::subsequence(keys, 1..=4).prop_shuffle().prop_flat_map(move |keys| {
        let bodies = vec![body.clone(); keys.len()];
        bodies.prop_map(move |bodies| {
            let items = bodies.into_iter().zip(&keys).map(|(mut item, (name, kind))| {
                item.set_at(&["name"], Value::from(*name));
                if let Some(kind) = kind {
                    item.set_at(&["kind"], Value::from(*kind));
                }
                item
            });
            Value::List(items.collect())
        })
    })
}

fn object() -> impl Strategy<Value = Value> {
    let spec = some_of(vec![
        ("replicas", number().boxed()),
        ("labels", map_of(text()).boxed()),
        ("tree", map_of(some_of(vec![("a", text().boxed()), ("b", number().boxed())])).boxed()),
        ("point", some_of(vec![("x", number().boxed()), ("y", number().boxed())])),
        ("tags", tags().boxed()),
        ("plain", tags().boxed()),
        ("parts", parts().boxed()),
        ("free", map_of(map_of(number())).boxed()),
    ]);
    (spec, prop::option::of(map_of(text()))).prop_map(|(spec, labels)| {
        let mut object = Value::default();
        object.set_at(&["apiVersion"], Value::from("example.com/v1"));
        object.set_at(&["kind"], Value::from("Widget"));
        object.set_at(&["metadata", "name"], Value::from("w"));
        if let Some(labels) = labels {
            object.set_at(&["metadata", "labels"], labels);
        }
        object.set_at(&["spec"], spec);
        object
    })
}

fn writer(manager: &str) -> Writer {
    Writer::new(manager, "example.com/v1", None)
}

/// The fields of everybody but one manager.
fn of_others(object: &Value, manager: &str) -> FieldSet {
    ManagedFields::of(object)
        .entries
        .into_iter()
        .filter(|entry| entry.manager.as_str() != manager)
        .fold(FieldSet::new(), |fields, entry| fields.union(&entry.fields))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_object_does_not_differ_from_itself(object in object()) {
        prop_assert!(compare(&object, &object, widget()).is_same());
        prop_assert_eq!(merge(&object, &object, widget()), object);
    }

    #[test]
    fn a_comparison_seen_from_the_other_side_swaps_added_and_removed(left in object(), right in object()) {
        let there = compare(&left, &right, widget());
        let back = compare(&right, &left, widget());
        prop_assert_eq!(&there.added, &back.removed);
        prop_assert_eq!(&there.removed, &back.added);
        prop_assert_eq!(&there.modified, &back.modified);
    }

    #[test]
    fn what_is_extracted_has_the_fields_it_was_extracted_by(object in object()) {
        let fields = field_set(&object, widget()).unwrap();
        let part = extract(&object, &fields, widget());
        prop_assert_eq!(field_set(&part, widget()).unwrap(), fields);
    }

    #[test]
    fn what_is_removed_is_gone(left in object(), right in object()) {
        let fields = all_fields(&right, widget());
        let rest = all_fields(&remove(&left, &fields, widget()), widget());
        prop_assert!(rest.intersection(&fields.leaves()).is_empty());
    }

    #[test]
    fn a_merge_holds_everything_that_was_applied(object in object(), applied in object()) {
        let merged = merge(&object, &applied, widget());
        let lost = compare(&merged, &applied, widget());
        prop_assert!(lost.added.is_empty() && lost.modified.is_empty(), "{:?}", lost);
        prop_assert_eq!(merge(&merged, &applied, widget()), merged);
    }

    #[test]
    fn applying_again_changes_nothing(first in object(), other in object(), second in object()) {
        let ty = widget();
        let live = apply(None, &first, &writer("git"), false, ty).unwrap().object;
        let live = apply(Some(&live), &other, &writer("other"), true, ty).unwrap().object;
        let once = apply(Some(&live), &second, &writer("git"), true, ty).unwrap();
        let twice = apply(Some(&once.object), &second, &writer("git"), true, ty).unwrap();
        prop_assert!(!twice.changed);
        prop_assert_eq!(twice.object, once.object);
    }

    #[test]
    fn an_applier_that_is_alone_leaves_exactly_what_it_applies(first in object(), second in object()) {
        let ty = widget();
        let live = apply(None, &first, &writer("git"), false, ty).unwrap().object;
        let mut live = apply(Some(&live), &second, &writer("git"), false, ty).unwrap().object;
        live.remove_at(&["metadata", "managedFields"]);
        let fields = field_set(&second, ty).unwrap();
        prop_assert_eq!(field_set(&live, ty).unwrap(), fields.clone());
        for path in fields.leaves().paths() {
            prop_assert_eq!(get(&live, &path), get(&second, &path), "{}", path);
        }
    }

    #[test]
    fn nobody_else_owns_what_an_update_changed(first in object(), other in object(), after in object()) {
        let ty = widget();
        let live = apply(None, &first, &writer("git"), false, ty).unwrap().object;
        let live = apply(Some(&live), &other, &writer("other"), true, ty).unwrap().object;
        let updated = update(Some(&live), &after, &writer("edit"), ty);
        let mut before = live.clone();
        before.remove_at(&["metadata", "managedFields"]);
        let changes = compare(&before, &after, ty);
        let others = of_others(&updated, "edit");
        prop_assert!(others.intersection(&changes.written()).is_empty());
        prop_assert!(others.intersection(&changes.removed).is_empty());
    }

    #[test]
    fn a_conflict_is_on_a_field_that_another_owns_and_that_would_change(first in object(), second in object()) {
        let ty = widget();
        let live = apply(None, &first, &writer("git"), false, ty).unwrap().object;
        let owned = of_others(&live, "other");
        let Err(crate::ApplyError::Conflicts(conflicts)) = apply(Some(&live), &second, &writer("other"), false, ty)
        else {
            return Ok(());
        };
        for conflict in conflicts {
            prop_assert_eq!(conflict.operation, ManagedOperation::Apply);
            prop_assert!(owned.contains(conflict.path.elements()));
            prop_assert_ne!(get(&live, &conflict.path), get(&second, &conflict.path));
        }
    }
}

#[test]
fn the_widget_of_the_laws_has_every_sort_of_list_and_map() {
    let spec = widget().field("spec").unwrap().ty;
    let kinds: Vec<String> = ["tags", "plain", "parts", "point", "tree"]
        .map(|name| format!("{:?}", spec.field(name).unwrap().ty))
        .into();
    let wanted = [
        "List(Set)",
        "List(Atomic)",
        "List(Map([\"name\", \"kind\"]))",
        "Struct(atomic: true, [\"x\", \"y\"])",
    ];
    assert_eq!(kinds.iter().take(4).map(Text::from).collect::<Vec<_>>(), wanted.map(Text::from));
}
