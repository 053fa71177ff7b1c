//! A story from a seed: which applications there are, and what happens to them, to Git and to the servers.
//!
//! The generator keeps in mind what Git says, so that commits make sense. What is live it does not know: a step that finds
//! nothing to act on does nothing.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use trueup_dice::Dice;

use crate::story::{
    Act, AdmissionFault, AppPlan, CrashPoint, Edit, GitFault, Ignored, Place, Policy, Replica, Step, Story,
};
use crate::templates::{
    AUTOSCALER, CONFIG_MAP, DEFINITION, DEPLOYMENT, ORDINARY, Template, WIDGET, place_of,
};

/// What a file holds that no reader can make sense of.
const BROKEN: &str = "{\"apiVersion\": \"v1\", \"kind\":";

/// Programs and people that change things; the controller knows some of them.
const MANAGERS: &[&str] = &["kubectl-edit", "kubectl-patch", "helper-bot", "terraform", "Mozilla"];

/// The share of steps that only let time pass.
const WAITS: usize = 15;

struct Generator {
    dice: Dice,
    apps: Vec<AppPlan>,
    bystanders: Vec<Value>,
    /// Path and content, of every commit; the last one is the tip.
    history: Vec<BTreeMap<String, String>>,
    n_names: usize,
    /// Whether there is a second controller.
    second: bool,
}

/// The share of steps before which an application is put on hold, in percent.
const HOLDS: usize = 2;

/// The story of a seed. The same seed tells the same story, but for its length.
pub fn generate(seed: u64, n_steps: usize) -> Story {
    let mut generator = Generator {
        dice: Dice::of(seed, 0),
        apps: Vec::new(),
        bystanders: Vec::new(),
        history: Vec::new(),
        n_names: 0,
        second: false,
    };
    generator.begin();
    let workloads = generator.dice.percent(20);
    generator.second = generator.dice.percent(40);
    let steps = (0..n_steps).map(|_| generator.step()).collect();
    let Generator { apps, bystanders, second, .. } = generator;
    Story { seed, about: String::new(), apps, bystanders, workloads, second, steps }
}

/// The same story, in which applications are put on hold now and then, by dice of their own: nothing else becomes other.
pub fn with_holds(mut story: Story) -> Story {
    let mut dice = Dice::of(story.seed, 1);
    let mut steps = Vec::with_capacity(story.steps.len());
    for step in std::mem::take(&mut story.steps) {
        if dice.percent(HOLDS) {
            let app = dice.one(&story.apps).name.clone();
            let seconds = 1 + dice.below(60) as u64;
            steps.push(Step { act: Act::Hold { app, seconds }, then_ms: 0 });
        }
        steps.push(step);
    }
    Story { steps, ..story }
}

impl Generator {
    fn begin(&mut self) {
        let n_apps = 2 + self.dice.below(3);
        let mut files = BTreeMap::new();
        for index in 0..n_apps {
            let app = self.application(index);
            let paths = app.files.iter().map(|(name, text)| (path(&app.name, name), text.clone()));
            files.extend(paths);
            self.apps.push(app);
        }
        self.history.push(files);
        for _ in 0..2 + self.dice.below(3) {
            let bystander = self.bystander();
            self.bystanders.push(bystander);
        }
    }

    fn name(&mut self, stem: &str) -> String {
        self.n_names += 1;
        format!("{stem}-{}", self.n_names)
    }

    fn application(&mut self, index: usize) -> AppPlan {
        let name = format!("app-{index}");
        // Now and then two applications live in one namespace.
        let namespace =
            if index > 0 && self.dice.percent(30) { "ns-0".to_owned() } else { format!("ns-{index}") };
        let mut app = AppPlan {
            name,
            namespace,
            policy: self.policy(),
            ignored: Vec::new(),
            respects_ignored: self.dice.percent(70),
            files: BTreeMap::new(),
        };
        for _ in 0..2 + self.dice.below(4) {
            let template = *self.dice.one(ORDINARY);
            self.add_object(&mut app, &template);
        }
        if self.dice.percent(40) {
            let workload = self.add_object(&mut app, &DEPLOYMENT);
            let scaler = AUTOSCALER.object(&app.namespace, &workload);
            app.files.insert(format!("scaler-{workload}.yaml"), scaler.to_string());
        }
        // One definition in the cluster: two applications with the same one would fight over it.
        if index == 0 && self.dice.percent(30) {
            let definition = DEFINITION.object("", "widgets.sim.example");
            app.files.insert("definition.yaml".to_owned(), definition.to_string());
            for _ in 0..1 + self.dice.below(2) {
                self.add_object(&mut app, &WIDGET);
            }
        }
        if self.dice.percent(40) {
            app.ignored.push(self.ignored());
        }
        app
    }

    fn policy(&mut self) -> Policy {
        match self.dice.below(10) {
            0 | 1 => Policy::Manual,
            2 => Policy::Automated { heal: false, prune: false },
            3 | 4 => Policy::Automated { heal: false, prune: true },
            5 => Policy::Automated { heal: true, prune: false },
            _ => Policy::Automated { heal: true, prune: true },
        }
    }

    fn ignored(&mut self) -> Ignored {
        let (group, kind, pointer) = *self.dice.one(&[
            ("apps", "Deployment", "/spec/replicas"),
            ("", "ConfigMap", "/data/second"),
            ("apps", "StatefulSet", "/spec/replicas"),
            ("", "Service", "/spec/selector/app"),
            ("policy", "PodDisruptionBudget", "/spec/minAvailable"),
        ]);
        Ignored { group: group.to_owned(), kind: kind.to_owned(), pointer: pointer.to_owned() }
    }

    /// Adds a file with an object of a template; returns the object's name.
    fn add_object(&mut self, app: &mut AppPlan, template: &Template) -> String {
        let name = self.name(&template.kind.to_lowercase());
        let mut object = template.object(&app.namespace, &name);
        for field in template.fields {
            if self.dice.percent(50) {
                set(&mut object, field.pointer, field.value(&mut self.dice));
            }
        }
        if self.dice.percent(8) {
            object["metadata"]["annotations"] = json!({"argocd.argoproj.io/sync-options": "Prune=false"});
        }
        app.files.insert(format!("{name}.yaml"), object.to_string());
        name
    }

    /// An object beside the applications' own. Some carry the mark of another object: somebody copied them.
    fn bystander(&mut self) -> Value {
        let template = *self.dice.one(&[CONFIG_MAP, DEPLOYMENT, ORDINARY[5]]);
        let app = self.dice.below(self.apps.len());
        let (name, namespace) = (self.name("bystander"), self.apps[app].namespace.clone());
        let mut object = template.object(&namespace, &name);
        if self.dice.percent(40) {
            let original =
                self.apps[app].files.values().next().and_then(|text| serde_json::from_str(text).ok());
            if let Some(place) = original.as_ref().and_then(place_of) {
                let mark = mark(&self.apps[app].name, &place);
                object["metadata"]["annotations"] = json!({"argocd.argoproj.io/tracking-id": mark});
            }
        }
        object
    }

    fn tip(&self) -> BTreeMap<String, String> {
        self.history.last().cloned().unwrap_or_default()
    }

    /// An object of Git with its path and application, if there is one that can be read.
    fn any_object(&mut self) -> Option<(usize, String, Value)> {
        let app = self.dice.below(self.apps.len());
        let folder = path(&self.apps[app].name, "");
        let tip = self.tip();
        let files: Vec<_> = tip.into_iter().filter(|(path, _)| path.starts_with(&folder)).collect();
        if files.is_empty() {
            return None;
        }
        let (path, text) = self.dice.one(&files).clone();
        Some((app, path, serde_json::from_str(&text).ok()?))
    }

    fn step(&mut self) -> Step {
        let act = self.act();
        let then_ms = match self.dice.below(40) {
            0..=19 => self.up_to(300),
            20..=35 => 300 + self.up_to(2_500),
            36..=38 => 3_000 + self.up_to(9_000),
            _ => 12_000 + self.up_to(60_000),
        };
        Step { act, then_ms }
    }

    fn act(&mut self) -> Act {
        let chance = self.dice.below(100);
        let act = match chance {
            0..=29 => self.edit(),
            30..=49 => self.commit(),
            50..=53 => Some(self.sync()),
            54..=55 => Some(self.refresh()),
            56..=57 => Some(self.change_policy()),
            58..=70 => Some(self.fault()),
            71..=72 => Some(Act::Restart { compacts: self.dice.percent(70), down_ms: self.up_to(8_000) }),
            73..=74 => Some(self.git_fault()),
            75 => self.rival(),
            76..=77 => Some(Act::CutOff { replica: self.replica(), seconds: 3 + self.up_to(30) }),
            78..=83 => Some(self.crash()),
            84 => Some(Act::Stop { replica: self.replica(), down_ms: self.up_to(5_000) }),
            85 => Some(self.admission()),
            _ if chance >= 100 - WAITS => Some(Act::Wait),
            _ => None,
        };
        act.unwrap_or(Act::Wait)
    }

    fn up_to(&mut self, limit: u64) -> u64 {
        self.dice.below(usize::try_from(limit).unwrap_or(usize::MAX)) as u64
    }

    fn replica(&mut self) -> Replica {
        if self.second && self.dice.percent(50) { Replica::Second } else { Replica::First }
    }

    fn edit(&mut self) -> Option<Act> {
        let object = if self.dice.percent(10) {
            self.dice.one(&self.bystanders).clone()
        } else {
            self.any_object()?.2
        };
        let place = place_of(&object)?;
        let template = Template::of(&place.kind)?;
        let manager = (*self.dice.one::<&str>(MANAGERS)).to_owned();
        let edit = match self.dice.below(20) {
            0..=8 => self.set(template)?,
            9..=11 => self.addition(template),
            12..=13 => Edit::Remove { pointer: self.dice.one_of(template.fields)?.pointer.to_owned() },
            14..=15 if matches!(template.kind, "Deployment" | "StatefulSet") => {
                Edit::Scale { replicas: self.up_to(6) }
            }
            16..=17 => match self.set(template)? {
                Edit::Set { pointer, value } if !pointer.contains("/0/") => Edit::Apply { pointer, value },
                edit => edit,
            },
            // What holds the definition together with its objects is not thrown away by hand.
            18..=19 if template.kind != "CustomResourceDefinition" => Edit::Delete,
            _ => self.set(template)?,
        };
        Some(Act::Edit { object: place, edit, manager })
    }

    fn set(&mut self, template: &Template) -> Option<Edit> {
        let field = *self.dice.one_of(template.fields)?;
        Some(Edit::Set { pointer: field.pointer.to_owned(), value: field.value(&mut self.dice) })
    }

    fn addition(&mut self, template: &Template) -> Edit {
        let pointer = self.dice.one_of(template.additions).copied().unwrap_or("/metadata/labels");
        let value = match pointer {
            "/metadata/labels" => json!({"added": "by-hand"}),
            "/spec/minReadySeconds" | "/spec/startingDeadlineSeconds" => json!(20),
            "/spec/template/spec/hostNetwork" => json!(true),
            "/data/extra" | "/data/other" if template.kind == "Secret" => json!("ZXh0cmE="),
            _ => json!("added"),
        };
        Edit::Set { pointer: pointer.to_owned(), value }
    }

    fn commit(&mut self) -> Option<Act> {
        if self.history.len() > 1 && self.dice.percent(8) {
            let commits = 1 + self.dice.below(self.history.len() - 1).min(3);
            let older = self.history[self.history.len() - 1 - commits].clone();
            self.history.push(older);
            return Some(Act::Revert { commits });
        }
        let mut files = BTreeMap::new();
        for _ in 0..1 + self.dice.below(2) {
            let (path, content) = self.change()?;
            files.insert(path, content);
        }
        let mut tip = self.tip();
        // Somebody mends what was broken sooner or later.
        if self.dice.percent(50) {
            for (path, text) in &tip {
                let before = self
                    .history
                    .iter()
                    .rev()
                    .find_map(|commit| commit.get(path).filter(|text| text.as_str() != BROKEN).cloned());
                if text == BROKEN {
                    files.insert(path.clone(), before);
                }
            }
        }
        for (path, content) in &files {
            match content {
                Some(content) => tip.insert(path.clone(), content.clone()),
                None => tip.remove(path),
            };
        }
        self.history.push(tip);
        Some(Act::Commit { files })
    }

    fn change(&mut self) -> Option<(String, Option<String>)> {
        let chance = self.dice.below(20);
        if chance < 4 {
            let app = self.dice.below(self.apps.len());
            let template = *self.dice.one(ORDINARY);
            let mut scratch = AppPlan { files: BTreeMap::new(), ..self.apps[app].clone() };
            let name = self.add_object(&mut scratch, &template);
            let text = scratch.files.remove(&format!("{name}.yaml"))?;
            return Some((path(&scratch.name, &format!("{name}.yaml")), Some(text)));
        }
        let (_, path, mut object) = self.any_object()?;
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        // What the definition goes with it takes along: nobody drops it lightly.
        if chance < 7 && kind != "CustomResourceDefinition" {
            return Some((path, None));
        }
        if chance < 8 {
            return Some((path, Some(BROKEN.to_owned())));
        }
        let template = Template::of(&kind)?;
        let field = *self.dice.one_of(template.fields)?;
        if self.dice.percent(15) && field.pointer.starts_with("/data/") {
            remove(&mut object, field.pointer);
        } else {
            set(&mut object, field.pointer, field.value(&mut self.dice));
        }
        Some((path, Some(object.to_string())))
    }

    fn app_name(&mut self) -> String {
        self.dice.one(&self.apps).name.clone()
    }

    fn sync(&mut self) -> Act {
        Act::Sync { app: self.app_name(), prune: self.dice.percent(50) }
    }

    fn refresh(&mut self) -> Act {
        Act::Refresh { app: self.app_name(), hard: self.dice.percent(30) }
    }

    fn change_policy(&mut self) -> Act {
        Act::Policy { app: self.app_name(), policy: self.policy() }
    }

    fn git_fault(&mut self) -> Act {
        let fault = if self.dice.percent(60) { GitFault::Unreachable } else { GitFault::Slow };
        // Longer than a verdict stands, now and then.
        let seconds = if self.dice.percent(15) { 200 } else { 1 + self.up_to(60) };
        Act::Git { fault, seconds }
    }

    fn rival(&mut self) -> Option<Act> {
        let (_, _, object) = self.any_object()?;
        let place = place_of(&object)?;
        let field = *self.dice.one_of(Template::of(&place.kind)?.fields)?;
        Some(Act::Rival {
            object: place,
            pointer: field.pointer.to_owned(),
            value: field.value(&mut self.dice),
            every_s: if self.dice.percent(70) { 1 } else { 10 + self.up_to(30) },
            seconds: if self.dice.percent(70) { 5 + self.up_to(60) } else { 300 },
        })
    }

    fn crash(&mut self) -> Act {
        let points = [
            CrashPoint::BeforeRequest,
            CrashPoint::AfterRequest,
            CrashPoint::BeforeRecord,
            CrashPoint::AfterRecord,
        ];
        Act::Crash {
            replica: self.replica(),
            after_effects: self.up_to(6),
            at: *self.dice.one(&points),
            down_ms: self.up_to(25_000),
        }
    }

    fn admission(&mut self) -> Act {
        let kind = (*self.dice.one(&["ConfigMap", "Deployment", "Service", "Role"])).to_owned();
        let fault = if self.dice.percent(60) { AdmissionFault::Denies } else { AdmissionFault::Slow };
        Act::Admission { kind, fault, seconds: 1 + self.up_to(40) }
    }

    fn fault(&mut self) -> Act {
        let kinds = ["ConfigMap", "Deployment", "Service", "Application", "Secret"];
        let kind = *self.dice.one(&kinds);
        let seconds = 1 + self.up_to(20);
        let rule = match self.dice.below(12) {
            0 => json!({"kind": "latency", "ms": 20 + self.up_to(2_000)}),
            1 => {
                let code = *self.dice.one(&[429, 500, 503, 504]);
                json!({"kind": "status", "code": code, "retryAfter": 1, "share": 0.5})
            }
            2 => {
                json!({"kind": "status", "code": *self.dice.one(&[403, 500]), "share": 1, "match": {"kind": kind}})
            }
            3 => json!({"kind": "drop-watch", "after": self.up_to(4)}),
            4 => {
                json!({"kind": "drop-watch", "after": format!("{}ms", self.up_to(2_000)), "match": {"kind": kind}})
            }
            5 => json!({"kind": "late-watch", "ms": 50 + self.up_to(6_000)}),
            6 => json!({"kind": "duplicate-events"}),
            7 => json!({"kind": "partial-list", "keep": self.up_to(3), "match": {"kind": kind}}),
            8 => json!({"kind": "stale-read", "versions": 1 + self.up_to(30)}),
            9 => json!({"kind": "gone", "match": {"kind": kind}}),
            10 => json!({"kind": "conflict", "times": 1 + self.up_to(4)}),
            _ => json!({"kind": "cut", "match": {"kind": kind}}),
        };
        Act::Fault { rule, seconds }
    }
}

/// The path of an application's file in the repository.
pub fn path(app: &str, file: &str) -> String {
    format!("apps/{app}/{file}")
}

/// The mark that an object of an application carries.
pub fn mark(app: &str, place: &Place) -> String {
    format!("{app}:{}/{}:{}/{}", place.group(), place.kind, place.namespace, place.name)
}

/// Sets what a JSON pointer names, whose parents are there.
pub fn set(object: &mut Value, pointer: &str, value: Value) {
    let (parent, last) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(parent) = object.pointer_mut(parent) {
        match parent {
            Value::Object(map) => {
                map.insert(last.to_owned(), value);
            }
            Value::Array(items) => {
                if let Some(item) = last.parse().ok().and_then(|index: usize| items.get_mut(index)) {
                    *item = value;
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}

/// Removes a member of an object that a JSON pointer names.
fn remove(object: &mut Value, pointer: &str) {
    let (parent, last) = pointer.rsplit_once('/').unwrap_or_default();
    if let Some(Value::Object(map)) = object.pointer_mut(parent) {
        map.remove(last);
    }
}

/// One of these, if there are any.
trait OneOf {
    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T>;
}

impl OneOf for Dice {
    fn one_of<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        (!of.is_empty()).then(|| self.one(of))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_same_story_and_another_seed_another() {
        assert_eq!(generate(1, 50), generate(1, 50));
        assert_ne!(generate(1, 50), generate(2, 50));
        assert_eq!(generate(1, 50).steps[..20], generate(1, 20).steps[..]);
        let mut held = with_holds(generate(1, 200));
        held.steps.retain(|step| !matches!(step.act, Act::Hold { .. }));
        assert_eq!(held, generate(1, 200));
    }

    #[test]
    fn a_story_is_read_as_it_was_written() {
        for seed in 0..20 {
            let story = generate(seed, 100);
            assert_eq!(Story::from_json(&story.to_json()).unwrap(), story);
        }
    }

    #[test]
    fn every_kind_of_step_and_every_template_comes_about() {
        let stories: Vec<_> = (0..60).map(|seed| with_holds(generate(seed, 200))).collect();
        let mut words: BTreeMap<String, usize> = BTreeMap::new();
        for step in stories.iter().flat_map(|story| &story.steps) {
            *words.entry(step.act.word()).or_default() += 1;
        }
        assert!(words.contains_key("hold"));
        for wanted in
            ["edit: set", "edit: remove", "edit: scale", "edit: apply", "edit: delete", "commit", "revert"]
        {
            assert!(words.contains_key(wanted), "{wanted}");
        }
        for wanted in [
            "latency",
            "status",
            "drop-watch",
            "late-watch",
            "duplicate-events",
            "partial-list",
            "stale-read",
            "gone",
            "conflict",
            "cut",
        ] {
            assert!(words.contains_key(&format!("fault: {wanted}")), "{wanted}");
        }
        let texts: String = stories
            .iter()
            .flat_map(|story| &story.apps)
            .flat_map(|app| app.files.values().cloned())
            .collect();
        for template in ORDINARY.iter().chain(&[AUTOSCALER, DEFINITION, WIDGET]) {
            assert!(texts.contains(&format!(r#""kind":"{}""#, template.kind)), "{}", template.kind);
        }
    }
}
