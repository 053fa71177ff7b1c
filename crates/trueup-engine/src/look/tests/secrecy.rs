//! Nothing that a look gives, nor what is kept of it, holds a value of a Secret or a credential of a known shape.

use proptest::prelude::*;
use trueup_merge::SchemaSet;

use super::World;
use crate::evidence::evidence;
use crate::fixture;
use crate::memory::{MemoryContext, remember, restore};

const KEY: [u8; 32] = [7; 32];

/// What must never be seen: every value begins so, as it is or in base64 at any of the three places.
const TELLTALES: [&str; 4] = ["quagga", "cXVhZ2dh", "F1YWdnY", "xdWFnZ2"];

fn encoded(text: &str) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(text)
}

/// A Secret with values in both of its maps and in kubectl's copy, and a workload with a credential in an argument and a
/// value under a sensitive name.
fn manifest(values: &[String; 4], live: bool) -> String {
    let [first, second, third, fourth] = values;
    let copy =
        if live { format!(r#""{{\"data\":{{\"a\":\"{}\"}}}}""#, encoded(first)) } else { "kept".to_owned() };
    format!(
        r#"
apiVersion: v1
kind: Secret
metadata: {{name: login, namespace: web, annotations: {{kubectl.kubernetes.io/last-applied-configuration: {copy}}}}}
data: {{a: {}, b: {}}}
stringData: {{c: {third}}}
---
apiVersion: batch/v1
kind: Job
metadata: {{name: job, namespace: web, annotations: {{note: 'see ghp_{fourth}'}}}}
spec:
  template:
    spec:
      containers:
      - name: main
        args: ['--url=https://u:{first}@host/', 'ghp_{fourth}']
        env: [{{name: DB_PASSWORD, value: {second}}}, {{name: PLAIN, value: ghp_{fourth}}}]
"#,
        encoded(first),
        encoded(second),
    )
}

fn values() -> impl Strategy<Value = [String; 4]> {
    ["quagga[a-z]{0,6}", "quagga[a-z]{0,6}", "quagga[a-z]{0,6}", "quagga[0-9A-Za-z]{34}"]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_value_of_a_secret_is_in_nothing_that_a_look_gives(git in values(), live in values(), base in values()) {
        let mut world = World::in_sync(&manifest(&live, true));
        world.targets = fixture::targets(&world.app, &manifest(&git, false));
        let schemas = SchemaSet::builtin().over(SchemaSet::builtin());
        let context = MemoryContext { schemas, secrecy: (&KEY).into(), now: fixture::now() };
        let based = fixture::targets(&world.app, &manifest(&base, false));
        let memory = based.targets.iter().map(|(key, target)| (key.clone(), restore(&context, target)));
        world.memory = memory.collect();
        let comparison = world.look();
        let mut output = format!("{comparison:?}{:?}", world.memory);
        prop_assert!(comparison.differences().count() > 0);
        for (key, target) in &world.targets.targets {
            let live = world.live.objects.get(key).unwrap();
            let object = comparison.object(key).unwrap();
            output += &format!("{:?}", evidence(live, &object.differences, schemas, &KEY));
            output += &format!("{:?}", remember(&context, target, live, object, world.memory.get(key)));
        }
        for telltale in TELLTALES {
            prop_assert!(!output.contains(telltale), "{telltale}: {output}");
        }
    }
}
