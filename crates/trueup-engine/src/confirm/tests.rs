//! When the API server is asked, and what its answer makes of a difference.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::condition::ConditionType;
use crate::difference::Class;
use crate::fixture::{DEPLOYMENT, World, as_live, live as live_set, memory_with_base, targets};
use crate::status::SyncStatus;

impl World {
    fn key(&self) -> ResourceKey {
        self.targets.targets.keys().next().unwrap().clone()
    }

    fn object(&self) -> Value {
        (*self.live.objects[&self.key()].object).clone()
    }

    fn change(&mut self, path: &[&str], value: Value) {
        self.change_live(|object| object.set_at(path, value.clone()));
    }

    fn questions(&self) -> Vec<Question> {
        questions(&self.look(), &self.targets.targets, &self.live.objects, false)
    }

    /// Has the open question answered.
    fn answer(&mut self, answer: Answer) {
        let question = self.questions().remove(0);
        self.answers.insert(question.object, Answered { key: question.key, answer });
    }

    fn differing(&self) -> Vec<String> {
        self.look().differences().map(|it| it.path.as_ref().unwrap().to_string()).collect()
    }
}

const IMAGE: [&str; 4] = ["spec", "template", "spec", "containers"];

fn mutated(world: &mut World) {
    let containers = Value::from_json(br#"[{"name":"web","image":"mirror/web:1"}]"#).unwrap();
    world.change(&IMAGE, containers);
}

#[test]
fn what_agrees_asks_nothing() {
    assert!(World::in_sync(DEPLOYMENT).questions().is_empty());
}

#[test]
fn what_the_server_would_write_again_is_noise() {
    let mut world = World::in_sync(DEPLOYMENT);
    mutated(&mut world);
    assert_eq!(world.look().status, SyncStatus::OutOfSync, "until the server is asked");
    world.answer(Answer::Leaves(world.object()));
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Synced);
    assert!(world.questions().is_empty(), "it is asked once");
    let object = &comparison.objects[0];
    assert!(object.judgements.is_empty(), "nothing is there for a plan to correct");
    assert_eq!(object.ignored[0].attribution.class, Class::Noise);
    assert!(object.ignored[0].message.as_ref().unwrap().contains("applying changes nothing"));
}

#[test]
fn a_change_of_status_asks_nothing_again() {
    let mut world = World::in_sync(DEPLOYMENT);
    mutated(&mut world);
    world.answer(Answer::Leaves(world.object()));
    world.change(&["status", "readyReplicas"], 3.into());
    assert!(world.questions().is_empty());
    assert_eq!(world.look().status, SyncStatus::Synced);
}

#[test]
fn a_change_beside_noise_is_drift_and_the_noise_stays_noise() {
    let mut world = World::in_sync(DEPLOYMENT);
    mutated(&mut world);
    let written = world.object();
    world.answer(Answer::Leaves(written.clone()));
    world.change(&["spec", "replicas"], 5.into());
    assert_eq!(world.differing(), [".spec.replicas"], "before the server has answered anew");
    assert_eq!(world.questions().len(), 1);
    world.answer(Answer::Leaves(written));
    let comparison = world.look();
    let drift: Vec<_> = comparison.differences().collect();
    assert_eq!(drift.len(), 1);
    assert_eq!(drift[0].predicted.as_ref().map(|it| it.as_value().clone()), Some(Value::Int(3)));
    assert_eq!(drift[0].unconfirmed, Some(false));
}

#[test]
fn a_refusal_leaves_it_out_of_sync_with_the_servers_words() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change(&["spec", "replicas"], 5.into());
    world.answer(Answer::Refused { message: "field is immutable".to_owned() });
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::OutOfSync);
    let drift = comparison.differences().next().unwrap();
    assert_eq!(drift.unconfirmed, Some(true));
    assert!(drift.message.as_ref().unwrap().contains("field is immutable"));
    let warning = comparison.conditions.iter().find(|it| it.kind == ConditionType::UnconfirmedWarning);
    assert!(warning.unwrap().message.contains("Deployment/web"));
    assert!(world.questions().is_empty());
}

#[test]
fn what_cannot_be_asked_is_unknown_with_its_remedy() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change(&["spec", "replicas"], 5.into());
    let (message, remedy) = ("not allowed to patch".to_owned(), "grant it".to_owned());
    world.answer(Answer::Unavailable { message, remedy });
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Unknown);
    assert!(comparison.conditions[0].message.starts_with("1 of 1 unknown (Deployment/web)"));
    assert!(comparison.conditions[0].message.ends_with("not allowed to patch; grant it"));
    assert_eq!(comparison.objects[0].notes.len(), 1, "what was seen is still listed");
    assert_eq!(world.questions().len(), 1, "it is to be asked again");
}

#[test]
fn a_server_that_does_not_answer_takes_no_drift_away() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change(&["spec", "replicas"], 5.into());
    world.answer(Answer::Unanswered { message: "nothing came within 30 s".to_owned() });
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::OutOfSync);
    assert_eq!(comparison.differences().next().unwrap().unconfirmed, Some(true));
    assert!(comparison.objects[0].problem.is_none(), "it may be healed");
    assert_eq!(world.questions().len(), 1, "it is to be asked again");
}

#[test]
fn a_person_can_switch_it_off() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.app.confirm.mode = Some(ConfirmMode::Never);
    world.change(&["spec", "replicas"], 5.into());
    assert!(world.questions().is_empty());
    assert_eq!(world.look().status, SyncStatus::OutOfSync);
}

#[test]
fn always_asks_about_every_object_and_tells_what_the_server_would_replace() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.app.confirm.mode = Some(ConfirmMode::Always);
    assert_eq!(world.questions().len(), 1);
    let mut predicted = world.object();
    predicted.set_at(&["spec", "replicas"], 7.into());
    predicted.set_at(&["spec", "paused"], true.into());
    let owned = br#"[{"manager":"trueup","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}]"#;
    predicted.set_at(&["metadata", "managedFields"], Value::from_json(owned).unwrap());
    world.answer(Answer::Leaves(predicted));
    assert_eq!(world.differing(), [".spec.replicas"], "what admission adds elsewhere is not Git's");
    let comparison = world.look();
    let found = comparison.differences().next().unwrap();
    assert_eq!(found.predicted.as_ref().map(|it| it.as_value().clone()), Some(Value::Int(7)));
    assert_eq!(found.target.as_ref().map(|it| it.as_value().clone()), Some(Value::Int(3)));
    world.app.confirm.include_webhooks = true;
    assert_eq!(world.differing(), [".spec.paused", ".spec.replicas"]);
}

#[test]
fn what_only_a_commit_moved_is_asked_by_applying_it() {
    let mut world = World::in_sync(DEPLOYMENT);
    let key = world.key();
    let target = world.targets.targets.get_mut(&key).unwrap();
    let mut object = (*target.object).clone();
    object.set_at(&["spec", "replicas"], 4.into());
    target.object = object.into();
    let comparison = world.look();
    let open =
        |is_applying| questions(&comparison, &world.targets.targets, &world.live.objects, is_applying).len();
    assert_eq!((open(true), open(false)), (0, 1));
}

#[test]
fn a_secret_is_foretold_in_masks() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.targets = targets(
        &world.app,
        "{apiVersion: v1, kind: Secret, metadata: {name: db}, data: {password: aHVudGVyMg==}}",
    );
    world.live = live_set(as_live(&world.targets), &world.targets);
    world.memory = memory_with_base(&world.targets);
    let written = world.object();
    world.change(&["data", "password"], "c2VjcmV0".into());
    world.answer(Answer::Leaves(written));
    let comparison = world.look();
    let drift = comparison.differences().next().unwrap();
    assert_eq!(drift.predicted, drift.target);
    assert!(!format!("{comparison:?}").contains("aHVudGVyMg"));
}
