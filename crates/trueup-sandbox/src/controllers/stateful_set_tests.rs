//! Tests of stateful sets, with pods played by a small loop.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use super::*;
use crate::controllers::objects::REVISIONS;

struct World {
    set: Value,
    /// By kind and name.
    objects: BTreeMap<(&'static str, String), Arc<Value>>,
    /// The order in which pods were deleted.
    deleted: Vec<String>,
}

impl World {
    fn new(spec: &str) -> Self {
        let text = format!(
            r#"{{"metadata":{{"name":"s","namespace":"n","uid":"u","generation":1}},"spec":{{"replicas":3,
            "selector":{{"matchLabels":{{"app":"s"}}}},"template":{{"metadata":{{"labels":{{"app":"s"}}}},
            "spec":{{"containers":[{{"name":"c","image":"i:1"}}]}}}},
            "volumeClaimTemplates":[{{"metadata":{{"name":"data"}},"spec":{{}}}}],{spec}}}}}"#
        );
        let set = Value::from_json(text.as_bytes()).unwrap();
        Self { set, objects: BTreeMap::new(), deleted: Vec::new() }
    }

    fn of(&self, kind: &'static str) -> Vec<Arc<Value>> {
        self.objects.iter().filter(|((it, _), _)| *it == kind).map(|(_, object)| object.clone()).collect()
    }

    fn settle(&mut self) {
        for _ in 0..100 {
            let (pods, claims, revisions) =
                (self.of(PODS.kind), self.of(CLAIMS.kind), self.of(REVISIONS.kind));
            let found = Found { pods: &pods, revisions: &revisions, claims: &claims };
            let steps = reconcile(&self.set, &found, Timestamp::UNIX_EPOCH);
            if steps.is_empty() {
                return;
            }
            steps.into_iter().for_each(|step| self.take(step));
        }
        panic!("it does not settle");
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Update { object, subresource: Some(_), .. } => self.set = object,
            Step::Create { resource, mut object, .. } | Step::Update { resource, mut object, .. } => {
                if resource == PODS {
                    object.set_at(&["metadata", "uid"], text(&object, "name").to_owned().into());
                    let ready = r#"{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}"#;
                    object.set_at(&["status"], Value::from_json(ready.as_bytes()).unwrap());
                }
                let name = text(&object, "name").to_owned();
                self.objects.insert((resource.kind, name), Arc::new(object));
            }
            Step::Delete { resource, object } => {
                let name = text(&object, "name").to_owned();
                if resource == PODS {
                    self.deleted.push(name.clone());
                    // What belongs to it goes with it.
                    self.objects.retain(|_, other| !objects::is_controlled_by(other, &name));
                }
                self.objects.remove(&(resource.kind, name));
            }
            Step::Tell(_) => {}
            Step::Apply { .. } | Step::Bind { .. } | Step::End { .. } => panic!("no step of a stateful set"),
        }
    }

    fn images(&self) -> Vec<String> {
        let image = |pod: &Arc<Value>| {
            let containers = pod.list_at(&["spec", "containers"]);
            containers.first().unwrap().str_at(&["image"]).unwrap().to_owned()
        };
        self.of(PODS.kind).iter().map(image).collect()
    }

    fn claims(&self) -> Vec<String> {
        self.of(CLAIMS.kind).iter().map(|claim| text(claim, "name").to_owned()).collect()
    }

    fn next_image(&mut self) {
        let containers = Value::from_json(br#"[{"name":"c","image":"i:2"}]"#).unwrap();
        self.set.set_at(&["spec", "template", "spec", "containers"], containers);
    }

    fn lose(&mut self, name: &str) {
        self.objects.remove(&(PODS.kind, name.to_owned()));
    }

    fn revisions_differ(&self) -> bool {
        self.set.at(&["status", "currentRevision"]) != self.set.at(&["status", "updateRevision"])
    }
}

#[test]
fn an_update_goes_down_to_the_partition_and_pods_below_it_stay_as_they_were() {
    let mut world =
        World::new(r#""updateStrategy":{"type":"RollingUpdate","rollingUpdate":{"partition":2}}"#);
    world.settle();
    assert_eq!(world.images(), ["i:1", "i:1", "i:1"]);
    world.next_image();
    world.settle();
    assert_eq!(world.images(), ["i:1", "i:1", "i:2"]);
    world.lose("s-0");
    world.settle();
    assert_eq!(world.images(), ["i:1", "i:1", "i:2"]);
    assert!(world.revisions_differ());
    world.set.set_at(&["spec", "updateStrategy", "rollingUpdate", "partition"], 0.into());
    world.settle();
    assert_eq!(world.images(), ["i:2", "i:2", "i:2"]);
    assert_eq!(world.deleted, ["s-2", "s-1", "s-0"]);
    assert!(!world.revisions_differ());
}

#[test]
fn what_is_replaced_by_hand_is_of_the_new_template_and_the_current_revision_stays() {
    let mut world = World::new(r#""updateStrategy":{"type":"OnDelete"}"#);
    world.settle();
    world.next_image();
    world.settle();
    assert_eq!(world.images(), ["i:1", "i:1", "i:1"]);
    for name in ["s-1", "s-0", "s-2"] {
        world.lose(name);
        world.settle();
    }
    assert_eq!(world.images(), ["i:2", "i:2", "i:2"]);
    assert!(world.revisions_differ());
    assert_eq!(world.set.at(&["status", "currentReplicas"]), None);
}

#[test]
fn pods_go_from_the_highest_number_and_claims_stay_or_go_by_the_policy() {
    for (policy, left) in [("Retain", 3), ("Delete", 1)] {
        let retention = format!(
            r#""persistentVolumeClaimRetentionPolicy":{{"whenDeleted":"Delete","whenScaled":"{policy}"}}"#
        );
        let mut world = World::new(&retention);
        world.settle();
        assert_eq!(world.claims(), ["data-s-0", "data-s-1", "data-s-2"]);
        assert!(world.of(CLAIMS.kind).iter().all(|claim| objects::is_controlled_by(claim, "u")));
        world.set.set_at(&["spec", "replicas"], 1.into());
        world.settle();
        assert_eq!(world.deleted, ["s-2", "s-1"]);
        assert_eq!(world.claims().len(), left, "{policy}");
    }
}

#[test]
fn pods_are_known_by_their_names() {
    let set = World::new(r#""x":1"#).set;
    let pod =
        |name: &str| Value::from_json(format!(r#"{{"metadata":{{"name":"{name}"}}}}"#).as_bytes()).unwrap();
    assert!(is_member(&set, &pod("s-0")));
    assert!(
        !is_member(&set, &pod("s-a")) && !is_member(&set, &pod("other-0")) && !is_member(&set, &pod("s"))
    );
}
