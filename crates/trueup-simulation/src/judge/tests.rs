//! Every property is broken once, so that none holds because nothing is judged.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::{ResourceKey, Value};

use super::*;
use crate::oracle::Live;
use crate::story::{AppPlan, Policy, Replica};

const HEALS: Policy = Policy::Automated { heal: true, prune: true };
const KEEPS: Policy = Policy::Automated { heal: false, prune: false };

fn value(json: &str) -> Arc<Value> {
    Arc::new(Value::from_json(json.as_bytes()).unwrap())
}

fn key(name: &str) -> ResourceKey {
    ResourceKey::new("", "ConfigMap", "web", name)
}

fn file(name: &str, text: &str) -> String {
    format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"web"}},"data":{{"text":"{text}"}}}}"#
    )
}

fn object(name: &str, text: &str) -> Arc<Value> {
    value(&format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"web","annotations":{{"argocd.argoproj.io/tracking-id":"app:/ConfigMap:web/{name}"}}}},"data":{{"text":"{text}"}}}}"#
    ))
}

/// A cluster with one application of one file, and its judge.
struct Scene {
    judge: Judge,
    live: Live,
    applications: BTreeMap<String, Arc<Value>>,
    now_ms: u64,
}

impl Scene {
    fn new(policy: Policy) -> Self {
        let plan = AppPlan {
            name: "app".into(),
            namespace: "web".into(),
            policy,
            ignored: Vec::new(),
            respects_ignored: true,
            files: BTreeMap::new(),
        };
        let mut scene =
            Self { judge: Judge::new(&[plan]), live: Live::new(), applications: BTreeMap::new(), now_ms: 0 };
        scene.commit("r1", &[("a", "one")]);
        scene.live.insert(key("a"), object("a", "one"));
        scene.says("Synced", "r1", "[]");
        scene
    }

    fn commit(&mut self, id: &str, files: &[(&str, &str)]) {
        let files = files.iter().map(|(name, text)| (format!("apps/app/{name}"), file(name, text)));
        self.judge.committed(self.now_ms, id, &files.collect());
    }

    fn says(&mut self, sync: &str, revision: &str, conditions: &str) {
        let application = value(&format!(
            r#"{{"status":{{"sync":{{"status":"{sync}","revision":"{revision}"}},"conditions":{conditions}}}}}"#
        ));
        self.applications.insert("app".into(), application);
    }

    /// Looks every second for so long, undisturbed.
    fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now_ms += 1_000;
            self.judge.moment(Around {
                now_ms: self.now_ms,
                live: &self.live,
                live_changes: self.now_ms,
                applications: &self.applications,
                is_disturbed: false,
                is_writable: true,
                leader: Some(Replica::First),
            });
        }
    }

    /// As `pass`, while this controller acts.
    fn pass_under(&mut self, leader: Replica, seconds: u64) {
        for _ in 0..seconds {
            self.now_ms += 1_000;
            let (live, applications) = (self.live.clone(), self.applications.clone());
            let around = Around { live: &live, applications: &applications, ..self.around_at() };
            self.judge.moment(Around { leader: Some(leader), ..around });
        }
    }

    /// Somebody adds something to the object.
    fn add(&mut self) {
        let (before, more) = (object("a", "one"), r#","data":{"extra":"x","text""#);
        let after = value(&before.to_json().replace(r#","data":{"text""#, more));
        assert_ne!(before, after);
        self.judge.edited(self.now_ms, &key("a"), Some(&before), Some(&after));
        self.live.insert(key("a"), after);
    }

    /// Somebody changes the object by hand.
    fn edit(&mut self, text: Option<&str>) {
        let before = self.live.get(&key("a")).cloned();
        let after = text.map(|text| object("a", text));
        self.judge.edited(self.now_ms, &key("a"), before.as_deref(), after.as_deref());
        match after {
            Some(after) => drop(self.live.insert(key("a"), after)),
            None => drop(self.live.remove(&key("a"))),
        }
    }

    fn effect(&mut self, name: &str, verb: Verb, before: Option<Arc<Value>>, after: Option<Arc<Value>>) {
        let intent = Some(Intent { has_evidence: true });
        self.effect_as(name, verb, before, after, intent, "first_1");
    }

    fn effect_as(
        &mut self,
        name: &str,
        verb: Verb,
        before: Option<Arc<Value>>,
        after: Option<Arc<Value>>,
        intent: Option<Intent>,
        holder: &str,
    ) {
        let effect = Effect {
            replica: Replica::First,
            incarnation: 1,
            verb,
            key: key(name),
            before,
            after: after.clone(),
            intent,
            holder: holder.into(),
        };
        let (live, applications) = (self.live.clone(), self.applications.clone());
        let around = Around { live: &live, applications: &applications, ..self.around_at() };
        self.judge.effect(&effect, around);
        match after {
            Some(after) => drop(self.live.insert(key(name), after)),
            None => drop(self.live.remove(&key(name))),
        }
    }

    /// A heal of what somebody changed.
    fn heal(&mut self) {
        let before = self.live.get(&key("a")).cloned();
        let verb = if before.is_some() { Verb::Change } else { Verb::Create };
        self.effect("a", verb, before, Some(object("a", "one")));
    }

    fn broken(&self) -> Vec<Property> {
        self.judge.violations().iter().map(|violation| violation.property).collect()
    }
}

#[test]
fn a_heal_that_is_covered_breaks_nothing() {
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    scene.edit(Some("by hand"));
    scene.heal();
    scene.edit(None);
    scene.heal();
    scene.pass(20);
    scene.end();
    assert_eq!(scene.broken(), []);
}

impl Scene {
    /// As `around`, of nothing: to be filled in.
    fn around_at(&self) -> Around<'static> {
        static NOTHING: std::sync::LazyLock<(Live, BTreeMap<String, Arc<Value>>)> =
            std::sync::LazyLock::new(Default::default);
        Around {
            now_ms: self.now_ms,
            live: &NOTHING.0,
            live_changes: self.now_ms,
            applications: &NOTHING.1,
            is_disturbed: false,
            is_writable: true,
            leader: Some(Replica::First),
        }
    }

    fn end(&mut self) {
        let (live, applications) = (self.live.clone(), self.applications.clone());
        let around = Around { live: &live, applications: &applications, ..self.around_at() };
        self.judge.end(around);
    }
}

#[test]
fn who_says_synced_while_something_differs_is_found_out() {
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    scene.edit(Some("by hand"));
    scene.pass(4);
    assert_eq!(scene.broken(), []);
    scene.pass(4);
    assert_eq!(scene.broken(), [Property::TruthfulStatus]);
}

#[test]
fn who_does_not_tell_what_was_added_is_found_out_if_he_has_seen_the_object_before() {
    let mut scene = Scene::new(HEALS);
    scene.pass_under(Replica::First, 20);
    scene.add();
    // The other one has a disk of its own, and finds the object like this.
    scene.pass_under(Replica::Second, 20);
    assert_eq!(scene.broken(), []);
    scene.pass_under(Replica::First, 7);
    assert_eq!(scene.broken(), [Property::TruthfulStatus]);
}

#[test]
fn who_does_not_look_at_git_is_found_out() {
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    scene.commit("r2", &[("a", "one"), ("b", "two")]);
    scene.pass(60);
    assert_eq!(scene.broken(), []);
    scene.pass(20);
    assert_eq!(scene.broken(), [Property::TruthfulStatus]);
}

#[test]
fn a_status_may_be_old_while_faults_last_but_not_for_ever() {
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    scene.edit(Some("by hand"));
    for _ in 0..200 {
        scene.now_ms += 1_000;
        let (live, applications) = (scene.live.clone(), scene.applications.clone());
        let around = Around { live: &live, applications: &applications, ..scene.around_at() };
        scene.judge.moment(Around { is_disturbed: true, ..around });
        assert_eq!(scene.broken().is_empty(), scene.now_ms - 21_000 <= 185_000, "{}", scene.now_ms);
    }
}

#[test]
fn who_heals_without_being_told_to_is_found_out() {
    for edit in [Some("by hand"), None] {
        let mut scene = Scene::new(KEEPS);
        scene.pass(20);
        scene.edit(edit);
        scene.heal();
        assert_eq!(scene.broken(), [Property::OnlyWhatIsAllowed], "{edit:?}");
    }
}

#[test]
fn who_acts_for_an_application_that_is_synced_by_hand_is_found_out() {
    let mut scene = Scene::new(Policy::Manual);
    scene.pass(20);
    scene.effect("a", Verb::Change, Some(object("a", "zero")), Some(object("a", "one")));
    assert_eq!(scene.broken(), [Property::OnlyWhatIsAllowed]);
}

#[test]
fn who_writes_what_is_ignored_is_found_out() {
    let mut scene = Scene::new(HEALS);
    let ignored = Ignored { group: String::new(), kind: "ConfigMap".into(), pointer: "/data/text".into() };
    scene.judge.apps.get_mut("app").unwrap().ignored.push(ignored);
    scene.pass(20);
    scene.effect("a", Verb::Change, Some(object("a", "zero")), Some(object("a", "one")));
    assert_eq!(scene.broken(), [Property::OnlyWhatIsAllowed]);
}

#[test]
fn who_prunes_what_git_still_wants_or_may_not_prune_is_found_out() {
    for policy in [HEALS, KEEPS] {
        let mut scene = Scene::new(policy);
        scene.pass(20);
        scene.commit("r2", if policy == HEALS { &[("a", "two")] } else { &[("b", "one")] });
        scene.effect("a", Verb::Delete, Some(object("a", "one")), None);
        assert_eq!(scene.broken(), [Property::OnlyWhatIsAllowed], "{policy:?}");
    }
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    // A folder that is not there says nothing.
    scene.commit("r2", &[]);
    scene.effect("a", Verb::Delete, Some(object("a", "one")), None);
    assert_eq!(scene.broken(), [Property::OnlyWhatIsAllowed]);
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    scene.commit("r2", &[("b", "one")]);
    scene.effect("a", Verb::Delete, Some(object("a", "one")), None);
    assert_eq!(scene.broken(), []);
}

#[test]
fn who_touches_what_is_not_tracked_is_found_out() {
    let mut scene = Scene::new(HEALS);
    scene.effect("other", Verb::Change, Some(object("b", "zero")), Some(object("b", "one")));
    assert_eq!(scene.broken(), [Property::UntrackedUntouched]);
    let mut scene = Scene::new(HEALS);
    scene.commit("r2", &[("b", "one")]);
    // The mark is about another object.
    scene.effect("a", Verb::Delete, Some(object("b", "one")), None);
    assert_eq!(scene.broken(), [Property::UntrackedUntouched]);
}

#[test]
fn who_acts_without_a_record_or_without_the_lease_is_found_out() {
    let mut scene = Scene::new(HEALS);
    let (before, after) = (Some(object("a", "zero")), Some(object("a", "one")));
    scene.effect_as("a", Verb::Change, before.clone(), after.clone(), None, "first_1");
    assert_eq!(scene.broken(), [Property::RecordedBefore]);
    let mut scene = Scene::new(HEALS);
    let blind = Some(Intent { has_evidence: false });
    scene.effect_as("a", Verb::Change, before.clone(), after.clone(), blind, "first_1");
    assert_eq!(scene.broken(), [Property::RecordedBefore]);
    let mut scene = Scene::new(HEALS);
    let intent = Some(Intent { has_evidence: true });
    scene.effect_as("a", Verb::Change, before, after, intent, "second_1");
    assert_eq!(scene.broken(), [Property::OneActs]);
}

#[test]
fn a_fight_that_nobody_names_is_found_out() {
    let fought = |conditions: &str, rounds: u64| {
        let mut scene = Scene::new(HEALS);
        scene.pass(20);
        scene.says("Synced", "r1", conditions);
        for _ in 0..rounds {
            scene.edit(Some("rival"));
            scene.heal();
            scene.pass(1);
        }
        scene.pass(10);
        scene.broken()
    };
    assert_eq!(fought("[]", 4), []);
    assert_eq!(fought("[]", 5), [Property::FightsNamed]);
    let named = r#"[{"type":"FightWarning","message":"ConfigMap/a .data.text: somebody changes it back"}]"#;
    assert_eq!(fought(named, 11), []);
    assert_eq!(fought(named, 14), [Property::FightsNamed], "it does not back off");
}

/// Six rounds over one path, of which `between` does something before each correction.
fn rounds(between: impl Fn(&mut Scene, u64)) -> Vec<Property> {
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    for round in 0..6 {
        scene.edit(Some("rival"));
        between(&mut scene, round);
        scene.heal();
        scene.pass(1);
    }
    scene.pass(10);
    scene.broken()
}

#[test]
fn a_commit_that_goes_back_to_what_was_there_corrects_nobody() {
    assert_eq!(rounds(|_, _| {}), [Property::FightsNamed]);
    let there_and_back = |scene: &mut Scene, round: u64| {
        scene.commit(&format!("c{round}"), &[("a", "rival")]);
        scene.pass(1);
        scene.commit(&format!("d{round}"), &[("a", "one")]);
        scene.says("OutOfSync", &format!("d{round}"), "[]");
    };
    assert_eq!(rounds(there_and_back), []);
    let elsewhere = |scene: &mut Scene, round: u64| {
        scene.commit(&format!("c{round}"), &[("a", "one"), ("b", "one")]);
        scene.says("OutOfSync", &format!("c{round}"), "[]");
    };
    assert_eq!(rounds(elsewhere), [Property::FightsNamed], "a commit of something else");
}

#[test]
fn what_is_put_back_with_the_map_that_it_is_in_is_another_fight() {
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    for round in 0..4 {
        scene.edit(Some("rival"));
        if round == 2 {
            let before = scene.live.get(&key("a")).cloned().unwrap();
            let mut after = Value::clone(&before);
            after.remove_at(&["data"]);
            scene.judge.edited(scene.now_ms, &key("a"), Some(&before), Some(&after));
            scene.live.insert(key("a"), Arc::new(after));
        }
        scene.heal();
    }
    let corrected = |place: &str| scene.judge.corrections.get(&(key("a"), place.to_owned())).map(Vec::len);
    assert_eq!((corrected("/data/text"), corrected("/data")), (Some(3), Some(1)));
}

#[test]
fn a_sync_that_is_asked_for_waits_for_no_back_off() {
    let fought = |is_asked: bool| {
        let mut scene = Scene::new(HEALS);
        scene.pass(20);
        let named =
            r#"[{"type":"FightWarning","message":"ConfigMap/a .data.text: somebody changes it back"}]"#;
        scene.says("Synced", "r1", named);
        for round in 0..14 {
            scene.edit(Some("rival"));
            if is_asked && round > 8 {
                for facts in scene.judge.apps.values_mut() {
                    facts.asked_ms = Some(scene.now_ms);
                }
            }
            scene.heal();
            scene.pass(1);
        }
        scene.broken()
    };
    assert_eq!(fought(false), [Property::FightsNamed]);
    assert_eq!(fought(true), []);
}

#[test]
fn a_sync_that_is_asked_for_is_no_reason_to_name_a_fight() {
    let fought = |is_asked: bool| {
        let mut scene = Scene::new(HEALS);
        scene.pass(20);
        for round in 0..5 {
            scene.edit(Some("rival"));
            if is_asked && round == 4 {
                for facts in scene.judge.apps.values_mut() {
                    facts.asked_ms = Some(scene.now_ms);
                }
            }
            scene.heal();
            scene.pass(1);
        }
        scene.pass(10);
        scene.broken()
    };
    assert_eq!(fought(false), [Property::FightsNamed]);
    assert_eq!(fought(true), []);
}

#[test]
fn what_is_corrected_between_two_looks_has_not_differed_all_the_time() {
    let mut scene = Scene::new(HEALS);
    scene.pass(20);
    let named = r#"[{"type":"FightWarning","message":"ConfigMap/a .data.text: somebody changes it back"}]"#;
    scene.says("Synced", "r1", named);
    scene.edit(Some("rival"));
    for _ in 0..10 {
        scene.pass(1);
        scene.heal();
        scene.edit(Some("rival"));
    }
    assert_eq!(scene.broken(), []);
    scene.pass(7);
    assert_eq!(scene.broken(), [Property::TruthfulStatus]);
}

#[test]
fn a_commit_that_is_applied_corrects_nobody() {
    let mut scene = Scene::new(HEALS);
    for round in 0..6 {
        scene.pass(20);
        let text = format!("text {round}");
        scene.edit(Some("rival"));
        scene.commit(&format!("c{round}"), &[("a", &text)]);
        let before = scene.live.get(&key("a")).cloned();
        scene.effect("a", Verb::Change, before, Some(object("a", &text)));
        scene.says("Synced", &format!("c{round}"), "[]");
    }
    scene.pass(10);
    assert_eq!(scene.broken(), []);
}

#[test]
fn who_acts_on_what_is_held_is_found_out() {
    let healed = |seconds: u64, is_held: bool| {
        let mut scene = Scene::new(HEALS);
        scene.pass(20);
        scene.judge.hold_set(scene.now_ms, "app", true);
        scene.judge.hold_set(scene.now_ms, "app", is_held);
        scene.edit(Some("other"));
        scene.says("OutOfSync", "r1", "[]");
        scene.pass(seconds);
        scene.heal();
        scene.broken()
    };
    assert_eq!(healed(3, true), [], "it cannot know yet");
    assert_eq!(healed(10, true), [Property::OnlyWhatIsAllowed]);
    assert_eq!(healed(10, false), []);
}

#[test]
fn replicas_that_an_autoscaler_left_may_stay_where_nobody_heals() {
    let scaler = value(
        r#"{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"s","namespace":"web"},"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"d"}}}"#,
    );
    let workload = |pods: u64| {
        format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"name":"d","namespace":"web","annotations":{{"argocd.argoproj.io/tracking-id":"app:apps/Deployment:web/d"}}}},"spec":{{"replicas":{pods}}}}}"#
        )
    };
    let stays = |policy: Policy, was_scaled: bool| {
        let mut scene = Scene::new(policy);
        let files = [("apps/app/a".to_owned(), file("a", "one")), ("apps/app/d".to_owned(), workload(3))];
        scene.judge.committed(0, "r2", &files.into());
        scene.says("OutOfSync", "r2", "[]");
        let key = |kind: &str, group: &str, name: &str| ResourceKey::new(group, kind, "web", name);
        scene.live.insert(key("Deployment", "apps", "d"), value(&workload(1)));
        let place = key("HorizontalPodAutoscaler", "autoscaling", "s");
        if was_scaled {
            scene.live.insert(place.clone(), scaler.clone());
        }
        scene.pass(1);
        scene.live.remove(&place);
        scene.pass(1);
        scene.end();
        scene.broken()
    };
    assert_eq!(stays(KEEPS, true), []);
    assert_eq!(stays(KEEPS, false), [Property::Converges]);
    assert_eq!(stays(HEALS, true), [Property::Converges]);
}

#[test]
fn who_never_arrives_is_found_out() {
    let mut scene = Scene::new(HEALS);
    scene.live.insert(key("a"), object("a", "zero"));
    scene.says("OutOfSync", "r1", "[]");
    scene.end();
    assert_eq!(scene.broken(), [Property::Converges]);
    let mut scene = Scene::new(HEALS);
    scene.says("OutOfSync", "r1", "[]");
    scene.end();
    assert_eq!(scene.broken(), [Property::Converges], "nothing differs");
    let mut scene = Scene::new(HEALS);
    scene.judge.unfinished(0, "app", "3 of a");
    assert_eq!(scene.broken(), [Property::NoIntentLost]);
}

#[test]
fn who_writes_without_need_is_found_out() {
    let mut scene = Scene::new(HEALS);
    let mut effect = Effect {
        replica: Replica::First,
        incarnation: 1,
        verb: Verb::Change,
        key: key("a"),
        before: Some(value(r#"{"status":{"conditions":[{"type":"FightWarning"}]}}"#)),
        after: None,
        intent: None,
        holder: "first_1".into(),
    };
    let applications = scene.applications.clone();
    scene.judge.written_in_quiet(0, "a", &effect, &applications);
    assert_eq!(scene.broken(), [], "a condition whose time is over");
    effect.before = None;
    scene.judge.written_in_quiet(0, "a", &effect, &applications);
    assert_eq!(scene.broken(), [Property::Quiet]);
}
