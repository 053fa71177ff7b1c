//! Laws of planning, over random worlds: every plan is sound and always the same, and executing it leaves no declared
//! difference but those that it held, at the values that it held them at.

use std::fmt::Write;

use proptest::prelude::*;
use trueup_merge::Writer;
use trueup_object::Value;

use super::World;
use crate::app::{DriftChoice, SyncRequest};
use crate::difference::Channel;
use crate::fixture::partial;
use crate::live::KindCoverage;
use crate::plan::HeldReason;
use crate::policy::Authority;

/// What Git may want of a Deployment.
#[derive(Debug, Clone)]
struct Wanted {
    replicas: Option<u8>,
    image: u8,
    env: Vec<(char, u8)>,
    disk: Option<u8>,
    zone: Option<u8>,
    label: Option<u8>,
    args: Vec<u8>,
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let value = || 0..3_u8;
    let env = proptest::sample::subsequence(vec!['A', 'B', 'C'], 0..=3)
        .prop_flat_map(move |names| names.into_iter().map(|name| (Just(name), 0..3_u8)).collect::<Vec<_>>());
    let some = || proptest::option::of(0..3_u8);
    (some(), value(), env, some(), some(), some(), proptest::collection::vec(0..3_u8, 0..3)).prop_map(
        |(replicas, image, env, disk, zone, label, args)| Wanted {
            replicas,
            image,
            env,
            disk,
            zone,
            label,
            args,
        },
    )
}

impl Wanted {
    fn yaml(&self) -> String {
        let field = |name: &str, value: Option<u8>| {
            value.map(|value| format!("{name}: v{value}, ")).unwrap_or_default()
        };
        let mut env = String::new();
        for (name, value) in &self.env {
            write!(env, "{{name: {name}, value: v{value}}}, ").unwrap();
        }
        let args: String = self.args.iter().map(|arg| format!("a{arg}, ")).collect();
        let replicas = self.replicas.map(|count| format!("replicas: {count}, ")).unwrap_or_default();
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, labels: {{{}app: web}}}}\n\
             spec: {{{replicas}selector: {{matchLabels: {{app: web}}}}, template: {{metadata: {{labels: {{app: web}}}},\n  \
             spec: {{nodeSelector: {{{}{}}}, containers: [{{name: web, image: 'web:{}', env: [{env}], args: [{args}]}}]}}}}}}\n",
            field("team", self.label),
            field("disk", self.disk),
            field("zone", self.zone),
            self.image,
        )
    }
}

/// What somebody does to a Deployment.
#[derive(Debug, Clone)]
enum Edit {
    Replicas(u8),
    /// A write that nobody is noted for.
    Traceless(u8),
    Image(u8),
    Env(char, Option<u8>),
    Disk(Option<u8>),
    Label(Option<u8>),
    Args(Vec<u8>),
    Sidecar,
}

fn edits() -> impl Strategy<Value = Vec<(u8, Edit)>> {
    let edit = prop_oneof![
        (4..8_u8).prop_map(Edit::Replicas),
        (4..8_u8).prop_map(Edit::Traceless),
        (3..6_u8).prop_map(Edit::Image),
        (proptest::sample::select(vec!['A', 'B', 'D']), proptest::option::of(3..5_u8))
            .prop_map(|(name, value)| Edit::Env(name, value)),
        proptest::option::of(3..5_u8).prop_map(Edit::Disk),
        proptest::option::of(3..5_u8).prop_map(Edit::Label),
        proptest::collection::vec(3..6_u8, 0..3).prop_map(Edit::Args),
        Just(Edit::Sidecar),
    ];
    proptest::collection::vec((0..3_u8, edit), 0..5)
}

fn set_or_remove(object: &mut Value, path: &[&str], value: Option<u8>) {
    match value {
        Some(value) => object.set_at(path, format!("v{value}").into()),
        None => {
            object.remove_at(path);
        }
    }
}

fn containers(object: &mut Value) -> &mut Vec<Value> {
    let spec = object.get_mut("spec").unwrap().get_mut("template").unwrap().get_mut("spec").unwrap();
    spec.get_mut("containers").unwrap().as_list_mut().unwrap()
}

fn set_env(container: &mut Value, name: char, value: Option<u8>) {
    let name = name.to_string();
    let mut env = container.list_at(&["env"]).to_vec();
    env.retain(|item| item.str_at(&["name"]) != Some(name.as_str()));
    if let Some(value) = value {
        let mut item = Value::default();
        item.set_at(&["name"], name.into());
        item.set_at(&["value"], format!("v{value}").into());
        env.push(item);
    }
    if env.is_empty() {
        container.remove_at(&["env"]);
    } else {
        container.set_at(&["env"], Value::List(env));
    }
}

impl Edit {
    fn make(&self, object: &mut Value) {
        match self {
            Self::Replicas(count) | Self::Traceless(count) => {
                object.set_at(&["spec", "replicas"], Value::Int(i64::from(*count)));
            }
            Self::Image(tag) => containers(object)[0].set_at(&["image"], format!("web:{tag}").into()),
            Self::Env(name, value) => set_env(&mut containers(object)[0], *name, *value),
            Self::Disk(value) => {
                set_or_remove(object, &["spec", "template", "spec", "nodeSelector", "disk"], *value);
            }
            Self::Label(value) => set_or_remove(object, &["metadata", "labels", "team"], *value),
            Self::Args(args) => {
                let args = args.iter().map(|arg| Value::from(format!("a{arg}"))).collect();
                containers(object)[0].set_at(&["args"], Value::List(args));
            }
            Self::Sidecar => {
                let mut sidecar = Value::default();
                sidecar.set_at(&["name"], "side".into());
                sidecar.set_at(&["image"], "side:1".into());
                let list = containers(object);
                if list.iter().all(|item| item.str_at(&["name"]) != Some("side")) {
                    list.push(sidecar);
                }
            }
        }
    }
}

fn edited(before: &Wanted, edits: &[(u8, Edit)], after: &Wanted) -> World {
    let mut world = World::synced(&before.yaml());
    for (who, edit) in edits {
        match edit {
            Edit::Traceless(_) => {
                let mut object = world.object();
                edit.make(&mut object);
                world.store(object);
            }
            _ => {
                let manager = ["kubectl-edit", "k9s", "somebody"][usize::from(*who)];
                world.write(&Writer::new(manager, "apps/v1", None), |object| edit.make(object));
            }
        }
    }
    world.commit(&after.yaml());
    world
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_sync_leaves_no_declared_difference(before in wanted(), edits in edits(), after in wanted()) {
        let mut world = edited(&before, &edits, &after);
        world.sync(&SyncRequest::default());
        prop_assert_eq!(world.declared(), Vec::<String>::new());
    }

    #[test]
    fn what_is_kept_keeps_its_value_and_all_else_is_applied(
        before in wanted(), edits in edits(), after in wanted(), heals in any::<bool>(), asks in any::<bool>(),
    ) {
        let mut world = edited(&before, &edits, &after).automated(heals);
        let live = world.object();
        let plan = if asks {
            world.sync(&SyncRequest { drift: DriftChoice::Keep, ..SyncRequest::default() })
        } else {
            world.heal()
        };
        let held = |place: &String| plan.held.iter().any(|held| {
            held.path.as_ref().is_some_and(|path| place.ends_with(&format!(" {path}"))) || held.path.is_none()
        });
        let blocked = plan.held.iter().any(|held| held.reason == HeldReason::BothMoved);
        let left: Vec<String> = world.declared().into_iter().filter(|place| !blocked && !held(place)).collect();
        prop_assert_eq!(left, Vec::<String>::new());
        for path in plan.held.iter().filter_map(|held| held.path.as_ref()) {
            let after = world.object();
            prop_assert_eq!(trueup_merge::get(&live, path), trueup_merge::get(&after, path), "{}", path);
        }
    }

    #[test]
    fn a_second_plan_after_a_sync_has_nothing_to_do(before in wanted(), edits in edits(), after in wanted()) {
        let mut world = edited(&before, &edits, &after);
        world.sync(&SyncRequest::default());
        world.remember();
        let world = world.automated(true);
        prop_assert_eq!(world.by_policy().steps, Vec::new());
    }
}

/// One object of a random application.
#[derive(Debug, Clone)]
struct Thing {
    kind: usize,
    in_git: bool,
    /// Live, and whether somebody changed it.
    live: Option<bool>,
    remembered: bool,
    deleting: bool,
    foreign_mark: bool,
}

fn thing() -> impl Strategy<Value = Thing> {
    (0..5_usize, any::<bool>(), proptest::option::of(any::<bool>()), any::<bool>(), 0..6_u8, 0..6_u8)
        .prop_map(|(kind, in_git, live, remembered, deleting, foreign)| Thing {
            kind,
            in_git,
            live,
            remembered,
            deleting: deleting == 0,
            foreign_mark: foreign == 0,
        })
}

const KINDS: [&str; 5] = [
    "apiVersion: v1, kind: ConfigMap",
    "apiVersion: apps/v1, kind: Deployment",
    "apiVersion: v1, kind: Namespace",
    "apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition",
    "apiVersion: example.com/v1, kind: Ticket",
];

fn manifests(things: &[Thing], chosen: impl Fn(&Thing) -> bool) -> String {
    let mut yaml = String::new();
    for (index, thing) in things.iter().enumerate().filter(|(_, thing)| chosen(thing)) {
        write!(yaml, "---\n{{{}, metadata: {{name: o{index}, labels: {{a: git}}}}}}\n", KINDS[thing.kind])
            .unwrap();
    }
    yaml
}

fn application(things: &[Thing], blind: Option<usize>, incomplete: bool) -> World {
    let mut world = World::synced(&manifests(things, |_| true));
    for (index, thing) in things.iter().enumerate() {
        let name = format!("o{index}");
        let key = world.live.objects.keys().find(|key| key.name == name.as_str()).unwrap().clone();
        if !thing.remembered {
            world.memory.remove(&key);
        }
        let mut object = (*world.live.objects.remove(&key).unwrap().object).clone();
        let Some(changed) = thing.live else { continue };
        if changed {
            object.set_at(&["metadata", "labels", "a"], "cluster".into());
        }
        if thing.deleting {
            object.set_at(&["metadata", "deletionTimestamp"], "2026-11-21T12:00:00Z".into());
        }
        if thing.foreign_mark {
            let mark = crate::tracking::TrackingId::format("other", &key, "web");
            object.set_at(&["metadata", "annotations", crate::tracking::TRACKING_ANNOTATION], mark.into());
        }
        world.store(object);
    }
    if let Some(coverage) = blind.and_then(|index| world.live.coverage.kinds.values_mut().nth(index)) {
        *coverage = KindCoverage::Incomplete { cause: "page 2 failed".to_owned(), since: None };
    }
    world.commit(&manifests(things, |thing| thing.in_git));
    if incomplete {
        world.targets = partial(world.targets);
    }
    world
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_plan_is_sound_and_always_the_same(
        things in proptest::collection::vec(thing(), 0..8),
        blind in proptest::option::of(0..5_usize),
        incomplete in any::<bool>(),
        person in any::<bool>(),
        flags in any::<(bool, bool, bool)>(),
    ) {
        let mut world = application(&things, blind, incomplete).automated(flags.0);
        let (prune, remove_additions) = (flags.1, flags.2);
        world.app.options.create_namespace = remove_additions;
        let authority = if person {
            let request = SyncRequest { prune, remove_additions, ..SyncRequest::default() };
            Authority::of_request(&world.app, &request)
        } else {
            Authority::of_policy(&world.app).unwrap()
        };
        // Checked by the linter inside.
        let plan = world.plan(&authority);
        prop_assert_eq!(&plan, &world.plan(&authority));
        // Whatever differs in Git's eyes is done or held with a reason.
        for difference in world.look().differences().filter(|it| it.channel != Channel::Unowned) {
            let told = plan.steps.iter().any(|step| step.key == difference.key)
                || plan.held.iter().any(|held| held.key == difference.key);
            prop_assert!(told, "{} is neither done nor held", difference.place());
        }
    }
}
