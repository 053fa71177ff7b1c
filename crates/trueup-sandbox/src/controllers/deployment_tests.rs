//! Tests of rollouts, with replica sets and pods played by a small loop.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::controllers::objects::condition;

fn json(text: &str) -> Value {
    Value::from_json(text.as_bytes()).unwrap()
}

fn deployment(replicas: i64, image: &str) -> Value {
    json(&format!(
        r#"{{"metadata":{{"name":"web","namespace":"shop","uid":"d","generation":1}},"spec":{{"replicas":{replicas},
        "progressDeadlineSeconds":600,"strategy":{{"type":"RollingUpdate","rollingUpdate":{{"maxSurge":"25%","maxUnavailable":"25%"}}}},
        "selector":{{"matchLabels":{{"app":"web"}}}},"template":{{"metadata":{{"labels":{{"app":"web"}}}},
        "spec":{{"containers":[{{"name":"c","image":"{image}"}}]}}}}}}}}"#
    ))
}

struct World {
    deployment: Value,
    sets: Vec<Arc<Value>>,
    ready: bool,
    /// The most pods seen at once, and the fewest available.
    most: i64,
    fewest: i64,
    now: Timestamp,
}

impl World {
    fn new(replicas: i64) -> Self {
        let deployment = deployment(replicas, "a:1");
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        Self { deployment, sets: Vec::new(), ready: true, most: 0, fewest: i64::MAX, now }
    }

    /// Takes steps until none is left.
    fn settle(&mut self) {
        for _ in 0..200 {
            let steps = reconcile(&self.deployment, &self.sets, self.now);
            if steps.is_empty() {
                return;
            }
            for step in steps {
                self.take(step);
            }
            let total = |path: &[&str]| self.sets.iter().map(|set| int(set, path)).sum::<i64>();
            self.most = self.most.max(total(&["status", "replicas"]));
            self.fewest = self.fewest.min(total(&["status", "availableReplicas"]));
        }
        panic!("the rollout does not settle");
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Create { mut object, .. } => {
                let uid = text(&object, "name").to_owned();
                object.set_at(&["metadata", "uid"], uid.into());
                self.sets.push(Arc::new(self.with_pods(object)));
            }
            Step::Update { resource, object, .. } if resource == REPLICA_SETS => {
                let object = self.with_pods(object);
                for set in &mut self.sets {
                    if text(set, "name") == text(&object, "name") {
                        *set = Arc::new(object.clone());
                    }
                }
            }
            Step::Update { object, .. } => self.deployment = object,
            Step::Apply { .. } | Step::Bind { .. } | Step::Tell(_) | Step::End { .. } => {
                panic!("no step of a deployment")
            }
            Step::Delete { object, .. } => self.sets.retain(|set| text(set, "name") != text(&object, "name")),
        }
    }

    fn with_pods(&self, mut set: Value) -> Value {
        let replicas = int(&set, &["spec", "replicas"]);
        set.set_at(&["status", "replicas"], replicas.into());
        if self.ready {
            set.set_at(&["status", "readyReplicas"], replicas.into());
            set.set_at(&["status", "availableReplicas"], replicas.into());
        }
        set
    }

    fn reason(&self, kind: &str) -> &str {
        condition(self.deployment.list_at(&["status", "conditions"]), kind)
            .unwrap()
            .str_at(&["reason"])
            .unwrap()
    }
}

#[test]
fn a_new_deployment_becomes_available() {
    let mut world = World::new(3);
    world.settle();
    assert_eq!(int(&world.deployment, &["status", "readyReplicas"]), 3);
    assert_eq!(int(&world.deployment, &["status", "observedGeneration"]), 1);
    assert_eq!(world.reason("Available"), "MinimumReplicasAvailable");
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    assert_eq!(annotation(&world.deployment, REVISION), "1");
    assert_eq!(annotation(&world.sets[0], MAX), "4");
}

#[test]
fn a_rollout_keeps_within_its_fence_and_rolls_back() {
    let mut world = World::new(4);
    world.settle();
    world.fewest = i64::MAX;
    let first = world.deployment.clone();
    world
        .deployment
        .set_at(&["spec", "template"], deployment(4, "a:2").at(&["spec", "template"]).unwrap().clone());
    world.settle();
    assert_eq!(world.sets.len(), 2);
    assert_eq!((world.most, world.fewest), (5, 3));
    assert_eq!(annotation(&world.deployment, REVISION), "2");
    assert_eq!(world.sets.iter().map(|set| int(set, &["spec", "replicas"])).collect::<Vec<_>>(), [0, 4]);
    world.deployment.set_at(&["spec", "template"], first.at(&["spec", "template"]).unwrap().clone());
    world.settle();
    assert_eq!(world.sets.len(), 2);
    assert_eq!(annotation(&world.deployment, REVISION), "3");
    assert_eq!(world.sets.iter().map(|set| int(set, &["spec", "replicas"])).collect::<Vec<_>>(), [4, 0]);
}

#[test]
fn pods_that_do_not_become_ready_hold_the_rollout() {
    let mut world = World::new(4);
    world.settle();
    world.ready = false;
    world
        .deployment
        .set_at(&["spec", "template"], deployment(4, "a:2").at(&["spec", "template"]).unwrap().clone());
    world.settle();
    assert_eq!(world.reason("Progressing"), "ReplicaSetUpdated");
    assert!(world.sets.iter().all(|set| int(set, &["spec", "replicas"]) > 0));
}

#[test]
fn a_rollout_that_does_not_get_on_is_out_of_time_until_it_does() {
    let mut world = World::new(2);
    world.ready = false;
    world.settle();
    assert_eq!(world.reason("Progressing"), "ReplicaSetUpdated");
    let due = due(&world.deployment).unwrap();
    assert_eq!(due.as_second() - world.now.as_second(), 601);
    world.now = due;
    world.settle();
    assert_eq!(world.reason("Progressing"), "ProgressDeadlineExceeded");
    assert_eq!(super::due(&world.deployment), None);
    // A pause does not hide it.
    world.deployment.set_at(&["spec", "paused"], true.into());
    world.settle();
    assert_eq!(world.reason("Progressing"), "ProgressDeadlineExceeded");
    world.deployment.set_at(&["spec", "paused"], false.into());
    world.ready = true;
    world.sets = world.sets.iter().map(|set| Arc::new(world.with_pods(Value::clone(set)))).collect();
    world.settle();
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    assert_eq!(super::due(&world.deployment), None);
    // Scaling is no rollout.
    world.ready = false;
    world.deployment.set_at(&["spec", "replicas"], 3.into());
    world.settle();
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    // Without a deadline nothing is said.
    world.deployment.set_at(&["spec", "progressDeadlineSeconds"], i64::from(i32::MAX).into());
    world.settle();
    assert!(condition(world.deployment.list_at(&["status", "conditions"]), "Progressing").is_none());
}

#[test]
fn a_recreate_ends_the_old_pods_first() {
    let mut world = World::new(3);
    world.deployment.set_at(&["spec", "strategy"], json(r#"{"type":"Recreate"}"#));
    world.settle();
    world.most = 0;
    world
        .deployment
        .set_at(&["spec", "template"], deployment(3, "a:2").at(&["spec", "template"]).unwrap().clone());
    world.settle();
    assert_eq!(world.most, 3);
    assert_eq!(int(&world.deployment, &["status", "updatedReplicas"]), 3);
}

#[test]
fn a_paused_deployment_scales_but_rolls_nothing_out() {
    let mut world = World::new(2);
    world.settle();
    world.deployment.set_at(&["spec", "paused"], true.into());
    world.deployment.set_at(&["spec", "replicas"], 5.into());
    world
        .deployment
        .set_at(&["spec", "template"], deployment(5, "a:2").at(&["spec", "template"]).unwrap().clone());
    world.settle();
    assert_eq!(world.sets.len(), 1);
    assert_eq!(int(&world.sets[0], &["spec", "replicas"]), 5);
    assert_eq!(world.reason("Progressing"), "DeploymentPaused");
    world.deployment.set_at(&["spec", "paused"], false.into());
    world.settle();
    assert_eq!(world.reason("Progressing"), "NewReplicaSetAvailable");
    assert_eq!(world.sets.len(), 2);
}

#[test]
fn old_replica_sets_are_kept_up_to_the_limit() {
    let mut world = World::new(1);
    world.deployment.set_at(&["spec", "revisionHistoryLimit"], 1.into());
    for image in ["a:1", "a:2", "a:3", "a:4"] {
        world
            .deployment
            .set_at(&["spec", "template"], deployment(1, image).at(&["spec", "template"]).unwrap().clone());
        world.settle();
    }
    assert_eq!(world.sets.len(), 2);
}
