//! Whatever comes in, something sensible goes out.

use proptest::prelude::*;
use trueup_object::{Gvk, Value};
use trueup_sandbox::faults::Rule;
use trueup_sandbox::internals::Query;
use trueup_sandbox::internals::Route;
use trueup_sandbox::internals::Selector;
use trueup_sandbox::internals::StructuralSchema;
use trueup_sandbox::internals::protobuf;
use trueup_sandbox::internals::{KindInfo, KindOrigin, Scope};

use crate::world::{World, refusal};

fn kind() -> KindInfo {
    KindInfo {
        gvk: Gvk::new("", "v1", "Pod"),
        plural: "pods".into(),
        singular: "pod".into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: Scope::Namespaced,
        has_status: true,
        scale: None,
        origin: KindOrigin::Builtin,
    }
}

/// JSON that looks a little like schemas, rules and objects.
fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        any::<i32>().prop_map(|number| number.to_string()),
        "[a-z{}()\\[\\]*+?.^$|]{0,6}".prop_map(|text| format!("{text:?}")),
    ];
    let key = prop_oneof![
        Just("type"),
        Just("properties"),
        Just("items"),
        Just("default"),
        Just("pattern"),
        Just("required"),
        Just("kind"),
        Just("after"),
        Just("match"),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            prop::collection::vec((key.clone(), inner), 0..4).prop_map(|entries| {
                let entries: Vec<String> =
                    entries.into_iter().map(|(key, value)| format!("{key:?}:{value}")).collect();
                format!("{{{}}}", entries.join(","))
            }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_path_query_or_selector_makes_it_panic(text in ".{0,40}") {
        let _ = Route::parse(&text);
        let _ = Query::parse(&text);
        let _ = Selector::parse(&kind(), Some(&text), Some(&text));
    }

    #[test]
    fn no_protobuf_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let body = [b"k8s\0\x0a\x09\x0a\x02v1\x12\x03Pod\x12".as_slice(), &bytes].concat();
        let _ = protobuf::decode(&body, |_| Some("io.k8s.api.core.v1.Pod"));
    }

    #[test]
    fn no_schema_and_no_rule_makes_it_panic(schema in json(), object in json()) {
        let read = |text: &str| Value::from_json(text.as_bytes()).unwrap_or_default();
        let schema = read(&schema);
        let _ = Rule::parse(&schema);
        let structural = StructuralSchema::parse(&schema);
        let mut object = read(&object);
        structural.prune(&mut object);
        structural.default(&mut object);
        let _ = structural.validate(&object);
    }
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let world = World::start().await;
    let body = vec![b' '; 4 * 1024 * 1024];
    let request = http::Request::post("/api/v1/namespaces/default/configmaps").body(body).unwrap();
    let refused = refusal(world.client.request::<serde_json::Value>(request).await);
    assert_eq!((refused.code, refused.reason.as_str()), (413, "RequestEntityTooLarge"));
}

#[tokio::test]
async fn the_longest_watch_is_still_a_watch() {
    let world = World::start().await;
    let path = format!("/api/v1/configmaps?watch=1&timeoutSeconds={}", i64::MAX);
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let stream = world.client.request_stream(request).await.unwrap();
    drop(stream);
    assert_eq!(refusal(world.config_maps().get("a").await).code, 404);
}
