//! The whole loop for tests: look, plan, execute through structured merge, look again.
#![expect(clippy::unwrap_used, reason = "tests")]

mod ignoring;
mod laws;
mod tests;

use std::collections::BTreeMap;

use trueup_merge::{Layered, SchemaSet, TypeRef, Writer};
use trueup_object::{FieldManager, ManagedFields, ResourceKey, Value};

use crate::app::{App, Automated, FirstSeen, SyncRequest};
use crate::autoscaler::Autoscalers;
use crate::desired::TargetSet;
use crate::fight::Fights;
use crate::fixture::{app, live, now, targets};
use crate::live::{Live, LiveSet};
use crate::look::{Comparison, LookInput, look};
use crate::memory::{Memory, MemoryContext, remember};
use crate::plan::{Action, Others, Pace, PlanContext, Step, SyncPlan, plan};
use crate::policy::{Authority, LastSync};
use crate::settings::Settings;

pub struct World {
    pub app: App,
    pub settings: Settings,
    pub targets: TargetSet,
    pub live: LiveSet,
    pub memory: BTreeMap<ResourceKey, Memory>,
    pub autoscalers: Autoscalers,
    pub answers: crate::confirm::Answers,
    pub last_sync: Option<LastSync>,
    version: u64,
}

fn schemas() -> Layered<'static> {
    SchemaSet::builtin().over(SchemaSet::builtin())
}

fn ty_of(live: &Live) -> TypeRef<'static> {
    SchemaSet::builtin().lookup(&live.gvk).unwrap_or(TypeRef::untyped())
}

fn writer(manager: &str, object: &Value) -> Writer {
    Writer::new(manager, object.str_at(&["apiVersion"]).unwrap(), Some(now()))
}

impl World {
    /// Created and synced by us.
    pub fn synced(yaml: &str) -> Self {
        let app = app();
        let targets = targets(&app, yaml);
        let mut world = Self {
            live: live(Vec::new(), &targets),
            app,
            settings: Settings::default(),
            targets,
            memory: BTreeMap::new(),
            autoscalers: Autoscalers::default(),
            answers: crate::confirm::Answers::new(),
            last_sync: None,
            version: 0,
        };
        world.sync(&SyncRequest::default());
        world.remember();
        world
    }

    /// Both switches of the policy.
    pub fn automated(mut self, self_heal: bool) -> Self {
        self.app.automated = Some(Automated { prune: true, self_heal, allow_empty: false });
        self
    }

    pub fn commit(&mut self, yaml: &str) {
        self.targets = targets(&self.app, yaml);
    }

    /// Somebody writes the (first) object.
    pub fn edit(&mut self, manager: &str, change: impl FnOnce(&mut Value)) {
        self.write(&writer(manager, &self.object()), change);
    }

    pub fn write(&mut self, writer: &Writer, change: impl FnOnce(&mut Value)) {
        let before = self.first().clone();
        let mut after = (*before.object).clone();
        change(&mut after);
        let after = trueup_merge::update(Some(&before.object), &after, writer, ty_of(&before));
        self.store(after);
    }

    /// Somebody applies something to the (first) object, with force.
    pub fn apply_as(&mut self, manager: &str, yaml: &str) {
        let applied = crate::fixture::value(yaml);
        let before = self.first().clone();
        let writer = writer(manager, &applied);
        let result = trueup_merge::apply(Some(&before.object), &applied, &writer, true, ty_of(&before));
        self.store(result.unwrap().object);
    }

    pub fn first(&self) -> &Live {
        self.live.objects.first_key_value().unwrap().1
    }

    pub fn object(&self) -> Value {
        (*self.first().object).clone()
    }

    /// What our manager owns of the (first) object, as text.
    pub fn ours(&self) -> String {
        let entries = ManagedFields::of(&self.first().object).entries;
        let ours = entries.iter().filter(|entry| entry.manager.as_str() == FieldManager::TRUEUP);
        ours.flat_map(|entry| entry.fields.paths()).map(|path| format!("{path}\n")).collect()
    }

    fn store(&mut self, mut object: Value) {
        without_nulls(&mut object);
        self.version += 1;
        let name = object.str_at(&["metadata", "name"]).unwrap().to_owned();
        object.set_at(&["metadata", "uid"], format!("u-{name}").into());
        object.set_at(&["metadata", "resourceVersion"], self.version.to_string().into());
        let live = Live::of(object).unwrap();
        self.live.objects.insert(live.key.clone(), live);
    }

    pub fn look(&self) -> Comparison {
        look(&LookInput {
            app: &self.app,
            settings: &self.settings,
            targets: &self.targets,
            live: &self.live,
            memory: &self.memory,
            autoscalers: &self.autoscalers,
            answers: &self.answers,
            last_sync: self.last_sync.as_ref(),
            schemas: schemas(),
            health: trueup_health::HealthRules::BUILTIN,
            our_manager: &FieldManager::new(FieldManager::TRUEUP),
            secret_key: &[7; 32],
            first_seen: &FirstSeen::new(),
            now: now(),
        })
    }

    /// Every declared difference and every difference of existence, as text.
    pub fn declared(&self) -> Vec<String> {
        use crate::difference::Channel::{Declared, Existence, Undeclared, Unowned};
        let comparison = self.look();
        let counted = comparison.differences().filter(|difference| match difference.channel {
            Declared | Existence => true,
            Undeclared | Unowned => false,
        });
        counted.map(crate::difference::Difference::place).collect()
    }

    pub fn plan(&self, authority: &Authority) -> SyncPlan {
        let comparison = self.look();
        let plan = plan(&PlanContext {
            app: &self.app,
            comparison: &comparison,
            targets: &self.targets,
            live: &self.live,
            authority,
            fights: &Fights::default(),
            pace: &Pace::default(),
            others: &Others::default(),
            now: now(),
        });
        assert_eq!(crate::lint::lint(&self.app, &self.targets, &self.live, &plan), []);
        plan
    }

    pub fn by_policy(&self) -> SyncPlan {
        self.plan(&Authority::of_policy(&self.app).unwrap())
    }

    /// A sync that somebody asks for.
    pub fn sync(&mut self, request: &SyncRequest) -> SyncPlan {
        let plan = self.plan(&Authority::of_request(&self.app, request));
        self.execute(&plan);
        plan
    }

    pub fn heal(&mut self) -> SyncPlan {
        let plan = self.by_policy();
        self.execute(&plan);
        plan
    }

    /// Remembers every object as it is after a sync.
    pub fn remember(&mut self) {
        let comparison = self.look();
        let context = MemoryContext { schemas: schemas(), secrecy: (&[7; 32]).into(), now: now() };
        for (key, target) in &self.targets.targets {
            let (Some(live), Some(object)) = (self.live.objects.get(key), comparison.object(key)) else {
                continue;
            };
            let memory = remember(&context, target, live, object, self.memory.get(key));
            self.memory.insert(key.clone(), memory);
        }
    }

    pub fn execute(&mut self, plan: &SyncPlan) {
        for step in &plan.steps {
            self.step(step);
        }
    }

    fn step(&mut self, step: &Step) {
        let (object, removals) = match &step.action {
            Action::Create { object } => (object, &[][..]),
            Action::Apply { object, take_over: _, removals, beside: _ } => (object, removals.as_slice()),
            Action::Delete { propagation: _ } => {
                self.live.objects.remove(&step.key);
                return;
            }
        };
        let live = self.live.objects.get(&step.key).map(|live| (*live.object).clone());
        let ty = SchemaSet::builtin().lookup(&step.gvk).unwrap_or(TypeRef::untyped());
        let ours = writer(FieldManager::TRUEUP, object);
        let mut after = trueup_merge::apply(live.as_ref(), object, &ours, true, ty).unwrap().object;
        without_nulls(&mut after);
        for removal in removals {
            if trueup_merge::get(&after, &removal.path) == Some(&removal.observed) {
                let mut without = after.clone();
                crate::plan::delete_at(&mut without, &removal.path);
                after = trueup_merge::update(Some(&after), &without, &ours, ty);
            }
        }
        self.store(after);
    }
}

/// As the server stores a built-in kind.
fn without_nulls(value: &mut Value) {
    if let Some(map) = value.as_map_mut() {
        map.retain(|_, child| !child.is_null());
        for (_, child) in map.iter_mut() {
            without_nulls(child);
        }
    }
    for item in value.as_list_mut().into_iter().flatten() {
        without_nulls(item);
    }
}
