//! Values for tests: an application, its targets and live objects, and findings, made in one line each.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use trueup_merge::SchemaSet;
use trueup_object::manifest::{FileOrigin, read_manifests};
use trueup_object::{FieldManager, FieldPath, ResourceKey, Text, Value};

use crate::app::{
    App, AppKey, ClusterName, Destination, Directory, FirstSeen, OnCommit, Source, SyncOptions,
};
use crate::autoscaler::Autoscalers;
use crate::confirm::Answers;
use crate::desired::{Completeness, Rendered, ResolvedRevision, Scope, Target, TargetSet, settle};
use crate::difference::{Attribution, Change, Channel, Class, Confidence, Difference, DifferenceId, Origin};
use crate::live::{KindCoverage, Live, LiveSet};
use crate::look::{Comparison, Judgement, LookInput, ObjectComparison, Presence, look};
use crate::memory::Memory;
use crate::settings::Settings;
use crate::source::{CommitId, RepoUrl, Revision, SourcePath};
use crate::status::{AppOrigin, SyncStatus};

pub fn now() -> Timestamp {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

pub fn app() -> App {
    App {
        key: AppKey::new("argocd", "shop"),
        instance: Text::from("shop"),
        uid: Text::from("app-uid"),
        project: Text::from("default"),
        sources: vec![Source {
            repo: RepoUrl::parse("https://git.example.com/shop.git").unwrap(),
            revision: Revision::Head,
            path: Some(SourcePath::parse("apps/shop").unwrap()),
            reference: None,
            directory: Directory::default(),
        }],
        destination: Destination { cluster: ClusterName::InCluster, namespace: Text::from("web") },
        automated: None,
        options: SyncOptions::default(),
        retry: None,
        ignore: crate::app::IgnoreRules::default(),
        undeclared: None,
        counts: Vec::new(),
        tracking: crate::tracking::Tracking::default(),
        project_counts: crate::weight::Level::default(),
        inherited: None,
        on_commit: OnCommit::KeepDrift,
        confirm: crate::confirm::ConfirmRules::default(),
        refresh: None,
        operation: None,
        history_limit: 10,
        unsupported: Vec::new(),
        deleting: false,
    }
}

pub fn value(yaml: &str) -> Value {
    let file = FileOrigin { repo: "repo".into(), revision: "rev".into(), path: "a.yaml".into() };
    read_manifests(yaml.as_bytes(), &file).0.remove(0).into_object()
}

pub fn targets(app: &App, yaml: &str) -> TargetSet {
    let file = FileOrigin { repo: "repo".into(), revision: "rev".into(), path: "a.yaml".into() };
    let (manifests, _) = read_manifests(yaml.as_bytes(), &file);
    let revision = ResolvedRevision { id: CommitId::from_bytes([1; 20]), facts: None };
    settle(app, vec![Rendered { revision, manifests, problems: Vec::new() }], |gvk| {
        if ["Namespace", "ClusterRole", "CustomResourceDefinition"].contains(&gvk.kind.as_str()) {
            Scope::Cluster
        } else {
            Scope::Namespaced
        }
    })
}

/// A live object from a manifest: uid `u-NAME`, resourceVersion 7.
pub fn live_object(mut object: Value) -> Live {
    let name = object.str_at(&["metadata", "name"]).unwrap().to_owned();
    object.set_at(&["metadata", "uid"], format!("u-{name}").into());
    object.set_at(&["metadata", "resourceVersion"], "7".into());
    if object.at(&["metadata", "managedFields"]).is_none() {
        // Every object of a real server has an entry; without any, nobody's additions could be judged.
        let entry = r#"[{"manager":"trueup","operation":"Apply","apiVersion":"v1","fieldsType":"FieldsV1",
            "fieldsV1":{"f:metadata":{"f:annotations":{"f:argocd.argoproj.io/tracking-id":{}}}}}]"#;
        object.set_at(&["metadata", "managedFields"], Value::from_json(entry.as_bytes()).unwrap());
    }
    Live::of(object).unwrap()
}

/// Live objects whose kinds, and those of the targets, are completely observed.
pub fn live(objects: Vec<Live>, targets: &TargetSet) -> LiveSet {
    let mut set = LiveSet::default();
    let kinds = objects.iter().map(|live| live.key.group_kind());
    for kind in kinds.chain(targets.targets.keys().map(ResourceKey::group_kind)) {
        set.coverage.kinds.insert(kind, KindCoverage::Complete);
    }
    set.objects = objects.into_iter().map(|live| (live.key.clone(), live)).collect();
    set
}

/// The target itself, live and tracked.
pub fn as_live(targets: &TargetSet) -> Vec<Live> {
    targets.targets.values().map(|target| live_object((*target.object).clone())).collect()
}

pub fn judgement(path: &[&str], origin: Origin) -> Judgement {
    let path = FieldPath::fields(path);
    Judgement {
        pointer: format!("/{}", path.to_string().trim_start_matches('.').replace('.', "/")),
        unit: path.clone(),
        path,
        channel: Channel::Declared,
        origin,
        pending_removal: false,
        ours: origin != Origin::Cluster,
        foreign: origin == Origin::Cluster,
        owners: vec![Text::from("kubectl-edit")],
        opponent: Some(Text::from("kubectl-edit")),
        excuse: None,
    }
}

/// A comparison with one matched object that has these judgements.
pub fn matched(targets: &TargetSet, judgements: Vec<Judgement>) -> Comparison {
    let target = targets.targets.values().next().unwrap();
    comparison(vec![object(target, judgements)])
}

/// A comparison in which every target is matched and has this one judgement.
pub fn matched_each(targets: &TargetSet, judgement: &Judgement) -> Comparison {
    comparison(targets.targets.values().map(|target| object(target, vec![judgement.clone()])).collect())
}

fn object(target: &Target, judgements: Vec<Judgement>) -> ObjectComparison {
    let (presence, status) = (Presence::Matched, SyncStatus::OutOfSync);
    ObjectComparison { judgements, ..ObjectComparison::blank(&target.key, &target.gvk, presence, status) }
}

/// The same object with these judgements alone.
pub fn only(object: ObjectComparison, judgements: Vec<Judgement>) -> ObjectComparison {
    ObjectComparison { judgements, ..object }
}

/// An object that somebody deleted, or that Git dropped.
pub fn existence(live: &Live, presence: Presence) -> ObjectComparison {
    let origin = if presence == Presence::Missing { Origin::Cluster } else { Origin::Git };
    let difference = Difference {
        id: DifferenceId::from_text(&live.key.name),
        key: live.key.clone(),
        gvk: live.gvk.clone(),
        channel: Channel::Existence,
        path: None,
        pointer: None,
        change: if presence == Presence::Missing { Change::Missing } else { Change::Extraneous },
        origin,
        target: None,
        live: None,
        base: None,
        predicted: None,
        unconfirmed: None,
        attribution: Attribution {
            class: Class::Unattributed,
            confidence: Confidence::None,
            manager: None,
            operation: None,
            subresource: None,
            time: None,
        },
        first_seen: None,
        inherited: false,
        sensitive: false,
        ignored_by: None,
        message: None,
    };
    let status = SyncStatus::OutOfSync;
    ObjectComparison {
        differences: vec![difference],
        ..ObjectComparison::blank(&live.key, &live.gvk, presence, status)
    }
}

pub fn comparison(objects: Vec<ObjectComparison>) -> Comparison {
    Comparison {
        status: SyncStatus::OutOfSync,
        origin: AppOrigin::Unknown,
        health: trueup_health::Health::healthy(),
        objects,
        conditions: Vec::new(),
        rules: Vec::new(),
    }
}

pub fn partial(mut targets: TargetSet) -> TargetSet {
    targets.completeness = Completeness::Partial { why: "a.yaml:3: invalid YAML".to_owned() };
    targets
}

pub fn memory_with_base(targets: &TargetSet) -> BTreeMap<ResourceKey, crate::memory::Memory> {
    targets
        .targets
        .iter()
        .map(|(key, target)| {
            let base = Some(Value::clone(&Arc::clone(&target.object)));
            let synced_at = Some(now() - jiff::SignedDuration::from_hours(2));
            (key.clone(), crate::memory::Memory { base, synced_at, ..Default::default() })
        })
        .collect()
}

/// What most applications are in tests.
pub const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'web:1'}]}
";

/// An application and everything that a look takes, and nothing acts.
pub struct World {
    pub app: App,
    pub settings: Settings,
    pub targets: TargetSet,
    pub live: LiveSet,
    pub memory: BTreeMap<ResourceKey, Memory>,
    pub autoscalers: Autoscalers,
    pub answers: Answers,
}

impl World {
    /// Everything in agreement, synced before.
    pub fn in_sync(yaml: &str) -> Self {
        let app = app();
        let targets = targets(&app, yaml);
        let live = live(as_live(&targets), &targets);
        let memory = memory_with_base(&targets);
        Self {
            app,
            settings: Settings::default(),
            targets,
            live,
            memory,
            autoscalers: Autoscalers::default(),
            answers: Answers::new(),
        }
    }

    /// Changes every live object, as a person or a webhook would.
    pub fn change_live(&mut self, change: impl Fn(&mut Value)) {
        let objects: Vec<Live> = self.live.objects.values().cloned().collect();
        for found in objects {
            let mut object = (*found.object).clone();
            change(&mut object);
            let changed = live_object(object);
            self.live.objects.insert(changed.key.clone(), changed);
        }
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
            last_sync: None,
            schemas: SchemaSet::builtin().over(SchemaSet::builtin()),
            health: trueup_health::HealthRules::BUILTIN,
            our_manager: &FieldManager::new(FieldManager::TRUEUP),
            secret_key: &[7; 32],
            first_seen: &FirstSeen::new(),
            now: now(),
        })
    }
}
