//! Laws that hold for whatever is compared.

use proptest::prelude::*;
use trueup_diff::{
    CompareInput, Comparison, Masked, compare, equal, mask, normalise_live, normalise_target, predict, seal,
};
use trueup_merge::{TypeRef, Writer};
use trueup_object::{
    FieldManager, FieldSet, JsonPointer, ManagedEntry, ManagedFields, ManagedOperation, Map, Value,
};

use super::world::{KEY, type_of};

fn object(json: &str) -> Value {
    Value::from_json(json.as_bytes()).unwrap()
}

fn look(target: &Value, live: &Value, base: Option<&Value>) -> Comparison {
    let managed = ManagedFields::of(live);
    look_with(target, live, base, &managed)
}

pub(super) fn look_with(
    target: &Value,
    live: &Value,
    base: Option<&Value>,
    managed: &ManagedFields,
) -> Comparison {
    let (ty, schema_known) = type_of(target);
    compare(&CompareInput {
        target,
        live,
        base,
        managed: &managed.clone().into(),
        our_manager: &FieldManager::new(FieldManager::TRUEUP),
        ty,
        schema_known,
        ignore: &[],
        unowned: None,
        status: false,
        secrecy: (&KEY).into(),
    })
}

#[test]
fn a_declared_status_shows_nothing_sensitive() {
    let with = |token: &str| {
        object(&format!(
            r#"{{"apiVersion":"example.org/v1","kind":"Odd","metadata":{{"name":"a"}},"status":{{"token":"{token}","phase":"{token}"}}}}"#
        ))
    };
    let (target, live) = (with("zebra-of-git"), with("zebra-of-live"));
    let comparison = compare(&CompareInput {
        target: &target,
        live: &live,
        base: None,
        managed: &ManagedFields::default().into(),
        our_manager: &FieldManager::new(FieldManager::TRUEUP),
        ty: TypeRef::untyped(),
        schema_known: false,
        ignore: &[],
        unowned: None,
        status: true,
        secrecy: (&KEY).into(),
    });
    let told: Vec<String> = comparison
        .findings
        .iter()
        .map(|found| format!("{} {}", found.path, found.live.as_ref().unwrap().as_value().to_json()))
        .collect();
    assert_eq!(told, [r#".status.phase "zebra-of-live""#, r#".status.token "++++++++++++""#]);
}

/// Somebody else owns everything that live has.
fn all_foreign(live: &Value) -> ManagedFields {
    let (ty, _) = type_of(live);
    ManagedFields {
        entries: vec![ManagedEntry {
            manager: FieldManager::new("kubectl-edit"),
            operation: ManagedOperation::Update,
            subresource: "".into(),
            api_version: "v1".into(),
            time: None,
            fields: trueup_merge::field_set(live, ty).unwrap(),
        }],
    }
}

/// Somebody else owns every path of an object that need not fit its type.
fn strange_owner(live: &Value) -> ManagedFields {
    let mut managed = all_foreign(&object(r#"{"apiVersion":"v1","kind":"ConfigMap"}"#));
    managed.entries[0].fields = trueup_merge::field_set(live, TypeRef::untyped()).unwrap();
    managed
}

fn container() -> impl Strategy<Value = Value> {
    let env = prop::collection::btree_map("[A-D]", "[a-c]{0,2}", 0..3);
    let cpu = prop::sample::select(vec!["100m", "0.1", "1", "1000m", "2"]);
    let args = prop::collection::vec("[a-c]", 0..3);
    (prop::sample::select(vec!["x:1", "x:2", "y"]), env, cpu, args, any::<bool>()).prop_map(
        |(image, env, cpu, args, tty)| {
            let env: Vec<Value> = env
                .into_iter()
                .map(|(name, value)| {
                    Map::from_iter([("name", Value::from(name)), ("value", Value::from(value))]).into()
                })
                .collect();
            let mut container = Value::default();
            container.set_at(&["image"], image.into());
            container.set_at(&["env"], env.into());
            container.set_at(&["args"], Value::List(args.into_iter().map(Value::from).collect()));
            container.set_at(&["resources", "limits", "cpu"], cpu.into());
            container.set_at(&["tty"], tty.into());
            container
        },
    )
}

/// Deployments that look like what people write, with whatever left out.
fn deployment() -> impl Strategy<Value = Value> {
    let labels = prop::collection::btree_map("[a-c]", "[x-z]{0,1}", 0..3);
    let containers = prop::collection::btree_map("[a-c]", container(), 0..3);
    let finalizers = prop::collection::btree_set("x/[a-c]", 0..3);
    (labels, containers, finalizers, prop::option::of(0..3i64), any::<bool>()).prop_map(
        |(labels, containers, finalizers, replicas, host_network)| {
            let mut made = object(r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a"}}"#);
            let labels: Map = labels.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
            made.set_at(&["metadata", "labels"], labels.into());
            made.set_at(
                &["metadata", "finalizers"],
                Value::List(finalizers.into_iter().map(Value::from).collect()),
            );
            if let Some(replicas) = replicas {
                made.set_at(&["spec", "replicas"], replicas.into());
            }
            let containers: Vec<Value> = containers
                .into_iter()
                .map(|(name, mut container)| {
                    container.set_at(&["name"], name.into());
                    container
                })
                .collect();
            made.set_at(&["spec", "template", "spec", "containers"], containers.into());
            made.set_at(&["spec", "template", "spec", "hostNetwork"], host_network.into());
            made
        },
    )
}

fn secret() -> impl Strategy<Value = Value> {
    let values = || prop::collection::btree_map("[a-c]", "zebra-[0-9]{4}", 0..3);
    (values(), values()).prop_map(|(data, plain)| {
        let mut made = object(r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"a"}}"#);
        for (name, value) in data {
            made.set_at(&["data", &name], base64(&value).into());
        }
        for (name, value) in plain {
            made.set_at(&["stringData", &name], value.into());
        }
        made
    })
}

/// A workload and a map with credentials of known shapes in places whose names say nothing of it.
fn leaky() -> impl Strategy<Value = Value> {
    let place = || prop::sample::select(vec!["", "url=", "a: b\nc: "]);
    let credential = (place(), "ghp_zebra[0-9a-zA-Z]{33}", any::<bool>());
    (prop::collection::vec(credential, 1..6), any::<bool>()).prop_map(|(credentials, is_map)| {
        let texts = credentials.into_iter().map(|(before, token, ends)| format!("{before}{token}{}", if ends { "\n" } else { "" }));
        let kind = if is_map {
            r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#
        } else {
            r#"{"apiVersion":"batch/v1","kind":"Job","metadata":{"name":"a"},"spec":{"template":{"spec":{"containers":[{"name":"c"}]}}}}"#
        };
        let mut made = object(kind);
        for (index, text) in texts.enumerate() {
            let text = Value::from(text);
            match (index, is_map) {
                (0, _) => made.set_at(&["metadata", "annotations", "note"], text),
                (1, true) => made.set_at(&["data", "app.yaml"], text),
                (_, true) => made.set_at(&["data", &format!("key-{index}")], text),
                (_, false) => {
                    let name = format!("ENV_{index}");
                    let env = object(&format!(r#"{{"name":"{name}"}}"#));
                    let mut env = env;
                    env.set_at(&["value"], text.clone());
                    let mut container = object(r#"{"name":"c"}"#);
                    container.set_at(&["args"], Value::List(vec![text]));
                    container.set_at(&["env"], Value::List(vec![env]));
                    let list = &["spec", "template", "spec", "containers"];
                    made.set_at(list, Value::List(vec![container]));
                }
            };
        }
        made
    })
}

fn base64(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// The same object with the items of every named list of it the other way round.
fn reordered(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(map.iter().map(|(name, child)| (name, reordered(child))).collect()),
        Value::List(items) => {
            let named = |item: &Value| {
                item.get("name").is_some() || item.as_str().is_some_and(|text| text.contains('/'))
            };
            let mut items: Vec<Value> = items.iter().map(reordered).collect();
            if items.iter().all(named) {
                items.reverse();
            }
            Value::List(items)
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.clone(),
    }
}

/// Any JSON, under names that mean something somewhere.
fn anything() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (-2..3i64).prop_map(Value::Int),
        Just(Value::Float(1.5)),
        prop::sample::select(vec!["", "a", "1", "100m", "1h", "+", "MQ=="]).prop_map(Value::from),
    ];
    scalar.prop_recursive(5, 48, 4, |inner| {
        let names = prop::sample::select(vec![
            "name",
            "value",
            "env",
            "containers",
            "template",
            "spec",
            "metadata",
            "labels",
            "ports",
            "port",
            "selector",
            "emptyDir",
            "strategy",
            "rollingUpdate",
            "parts",
            "tags",
            "steps",
            "free",
            "password",
            "volumes",
            "a/~b",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(names, inner, 0..5)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

/// An object of a kind, known or not, with anything in it.
fn strange() -> impl Strategy<Value = (Value, Value, Value)> {
    let kinds = [
        ("apps/v1", "Deployment"),
        ("v1", "Service"),
        ("v1", "Secret"),
        ("v1", "ConfigMap"),
        ("example.com/v1", "Widget"),
        ("other.org/v1", "Thing"),
        ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ];
    let body = || (anything(), anything(), anything());
    (prop::sample::select(kinds.to_vec()), body(), body(), body()).prop_map(
        |((version, kind), one, two, three)| {
            let make = |(spec, data, labels): (Value, Value, Value)| {
                let mut made = Value::default();
                made.set_at(&["apiVersion"], version.into());
                made.set_at(&["kind"], kind.into());
                made.set_at(&["metadata", "labels"], labels);
                made.set_at(&["metadata", "name"], "a".into());
                made.set_at(&["spec"], spec);
                made.set_at(&["data"], data.clone());
                made.set_at(&["stringData"], data);
                made
            };
            (make(one), make(two), make(three))
        },
    )
}

fn writer() -> Writer {
    Writer {
        manager: FieldManager::new(FieldManager::TRUEUP),
        subresource: "".into(),
        api_version: "apps/v1".into(),
        now: None,
        reset: FieldSet::new(),
    }
}

fn shown(comparison: &Comparison) -> String {
    let value = |value: &Option<Masked>| value.as_ref().map(|value| value.to_json());
    comparison
        .findings
        .iter()
        .map(|found| {
            let values = (value(&found.target), value(&found.live), value(&found.base));
            format!("{} {} {values:?} {:?}\n", found.path, found.pointer, found)
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_thing_is_what_it_is(thing in deployment()) {
        prop_assert_eq!(look_with(&thing, &thing, None, &all_foreign(&thing)).findings, vec![]);
        let (ty, _) = type_of(&thing);
        prop_assert!(equal(Some(&thing), Some(&thing), ty));
    }

    #[test]
    fn normalising_twice_is_once(thing in deployment(), (strange, _, _) in strange(), secret in secret()) {
        for thing in [thing, strange, secret] {
            let (target, live) = (normalise_target(&thing), normalise_live(&thing));
            prop_assert_eq!(normalise_target(&target), target);
            prop_assert_eq!(normalise_live(&live), live);
        }
    }

    #[test]
    fn the_order_of_named_items_is_nothing(target in deployment(), live in deployment()) {
        let managed = all_foreign(&live);
        let (one, other) = (look_with(&target, &live, None, &managed), look_with(&reordered(&target), &reordered(&live), None, &managed));
        let paths = |found: &Comparison| found.findings.iter().map(|found| (found.path.clone(), found.change)).collect::<Vec<_>>();
        prop_assert_eq!(paths(&one), paths(&other));
        let (ty, _) = type_of(&target);
        prop_assert!(equal(Some(&target), Some(&reordered(&target)), ty));
    }

    #[test]
    fn every_path_leads_somewhere(target in deployment(), live in deployment(), base in deployment()) {
        let comparison = look_with(&target, &live, Some(&base), &all_foreign(&live));
        for found in &comparison.findings {
            let pointer = JsonPointer::parse(&found.pointer).unwrap();
            prop_assert!(!found.path.is_root());
            prop_assert!(pointer.get(&live).or_else(|| pointer.get(&target)).is_some(), "{}", found.pointer);
            prop_assert!(found.moved.git.is_some() && found.moved.cluster.is_some());
        }
        let mut sorted = comparison.findings.clone();
        sorted.sort_by(|left, right| (&left.path, left.channel).cmp(&(&right.path, right.channel)));
        prop_assert_eq!(sorted, comparison.findings);
    }

    #[test]
    fn unequal_objects_have_a_difference(target in deployment(), live in deployment()) {
        let (ty, _) = type_of(&target);
        // A default that somebody else wrote down is none.
        let whole = |thing: &Value| {
            let mut whole = thing.clone();
            if whole.at(&["spec", "replicas"]).is_none() {
                whole.set_at(&["spec", "replicas"], 1.into());
            }
            whole
        };
        if !equal(Some(&whole(&target)), Some(&whole(&live)), ty) {
            let comparison = look_with(&target, &live, None, &all_foreign(&live));
            prop_assert!(!comparison.findings.is_empty());
        }
    }

    #[test]
    fn what_was_applied_is_as_declared(before in deployment(), target in deployment()) {
        let (ty, _) = type_of(&target);
        let mut live = before.clone();
        live.set_at(&["metadata", "managedFields"], all_foreign(&before).to_value());
        let after = predict(&live, &target, &writer(), ty).unwrap();
        let declared = look(&target, &after, Some(&target)).findings.into_iter().filter(|found| found.channel == trueup_diff::Channel::Declared);
        prop_assert_eq!(declared.map(|found| found.path.to_string()).collect::<Vec<_>>(), Vec::<String>::new());
    }

    #[test]
    fn the_value_of_a_secret_is_never_shown(target in secret(), live in secret(), base in secret()) {
        let (ty, _) = type_of(&target);
        let sealed = seal(&base, ty, &KEY);
        prop_assert_eq!(&seal(&sealed, ty, &KEY), &sealed);
        let comparison = look_with(&target, &live, Some(&sealed), &all_foreign(&live));
        let whole = mask([&target, &live, &base], ty, &KEY);
        let output = format!("{}{whole:?}{}", shown(&comparison), sealed.to_json());
        for text in ["zebra", base64("zebra").as_str()] {
            prop_assert!(!output.contains(&text[..6.min(text.len())]), "{output}");
        }
    }

    #[test]
    fn a_credential_is_known_by_its_shape_and_never_shown(target in leaky(), live in leaky(), base in leaky()) {
        let (ty, _) = type_of(&target);
        let sealed = seal(&base, ty, &KEY);
        for base in [&base, &sealed] {
            let comparison = look_with(&target, &live, Some(base), &all_foreign(&live));
            let whole = mask([&target, &live, base], ty, &KEY);
            let output = format!("{}{comparison:?}{whole:?}{}", shown(&comparison), sealed.to_json());
            prop_assert!(!output.contains("zebra"), "{output}");
        }
    }

    #[test]
    fn a_sealed_base_tells_as_much_as_a_plain_one(target in secret(), live in secret(), base in secret()) {
        let (ty, _) = type_of(&target);
        let managed = all_foreign(&live);
        let plain = look_with(&target, &live, Some(&base), &managed);
        let sealed = look_with(&target, &live, Some(&seal(&base, ty, &KEY)), &managed);
        prop_assert_eq!(plain, sealed);
    }

    /// Where nothing is sensitive nothing is sealed and masked; what is told must be the same as where something is.
    #[test]
    fn a_sensitive_value_beside_what_differs_changes_nothing(target in deployment(), live in deployment(), base in deployment()) {
        let with_secret = |object: &Value| {
            let mut object = object.clone();
            object.set_at(&["metadata", "annotations", "password"], "zebra".into());
            object
        };
        let managed = all_foreign(&live);
        let plain = look_with(&target, &live, Some(&base), &managed);
        let [target, live, base] = [&target, &live, &base].map(with_secret);
        prop_assert_eq!(plain, look_with(&target, &live, Some(&base), &managed));
    }

    #[test]
    fn strange_objects_are_no_trouble((target, live, base) in strange()) {
        for foreign in [ManagedFields::default(), strange_owner(&live)] {
            prop_assert_eq!(look_with(&target, &target, None, &foreign).findings, vec![]);
            let comparison = look_with(&target, &live, Some(&base), &foreign);
            prop_assert!(comparison.findings.iter().all(|found| !found.path.is_root()));
        }
    }

    #[test]
    fn equality_goes_both_ways((left, right, _) in strange()) {
        let (ty, _) = type_of(&left);
        prop_assert!(equal(Some(&left), Some(&left), ty));
        prop_assert_eq!(equal(Some(&left), Some(&right), ty), equal(Some(&right), Some(&left), ty));
    }
}
