//! Seeded pairs of a target and a live object, as bytes: what Git holds, and what an API server answers.

use anyhow::{Context, Result};
use trueup_engine::app::{App, AppKey, ClusterName, Destination, Directory, OnCommit, Source, SyncOptions};
use trueup_engine::desired::{Rendered, ResolvedRevision, Scope, TargetSet, settle};
use trueup_engine::source::{CommitId, RepoUrl, Revision, SourcePath};
use trueup_merge::{Layered, TypeRef, Writer, apply, update};
use trueup_object::{FieldManager, FileOrigin, Text, Timestamp, Value, read_manifests};

use crate::kinds::{APPLICATION, KindOfObject, OBJECTS, value};
use trueup_dice::Dice;

/// What somebody did to a live object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit {
    Nothing,
    /// A declared value was changed by hand.
    Changed,
    /// A declared label was removed by hand.
    Removed,
    /// An annotation was added by hand.
    Annotated,
    /// A container was added by a webhook's manager.
    Injected,
}

/// One target and its live object, as bytes.
pub struct Pair {
    pub kind: &'static KindOfObject,
    pub edit: Edit,
    /// As the repository has it.
    pub yaml: Vec<u8>,
    /// The settled target as a worker keeps it, before compression.
    pub target: Vec<u8>,
    /// As the API server sends it, `managedFields` included.
    pub live: Vec<u8>,
}

/// The objects of one application and what they were made from.
pub struct Application {
    pub app: App,
    pub pairs: Vec<Pair>,
}

/// The moment at which all is observed.
pub fn now() -> Timestamp {
    Timestamp::from_second(1_795_262_400).unwrap_or_default()
}

/// Seven objects of ten are as they were synced, which is few for a fleet and enough to measure the others by.
pub fn edit_of(kind: &KindOfObject, dice: &mut Dice) -> Edit {
    match dice.below(100) {
        0..70 => Edit::Nothing,
        70..80 => Edit::Changed,
        80..85 => Edit::Removed,
        85..92 if kind.is_workload => Edit::Injected,
        _ => Edit::Annotated,
    }
}

impl Application {
    /// The application of a number. Equal seeds and numbers give equal applications.
    pub fn of_number(seed: u64, number: usize, schemas: Layered<'_>) -> Result<Self> {
        let app = application(number)?;
        let mut pairs = Vec::with_capacity(OBJECTS);
        for (kind, how_many) in APPLICATION {
            for _ in 0..how_many {
                let index = number * OBJECTS + pairs.len();
                let mut dice = Dice::of(seed, index);
                let edit = edit_of(kind, &mut dice);
                pairs.push(Pair::new(&app, kind, edit, index, dice, schemas)?);
            }
        }
        Ok(Self { app, pairs })
    }
}

impl Pair {
    /// An object as Git has it, and as it is after a sync and an edit.
    pub fn new(
        app: &App,
        kind: &'static KindOfObject,
        edit: Edit,
        index: usize,
        dice: Dice,
        schemas: Layered<'_>,
    ) -> Result<Self> {
        let [declared, server, status] = kind.texts(&format!("service-{index:06}"), dice);
        let targets = targets(app, declared.as_bytes())?;
        let target = targets.targets.into_values().next().context("the manifest holds no object")?;
        let ty = schemas.lookup(&target.gvk).unwrap_or(TypeRef::untyped());
        let version = target.gvk.api_version();
        let writer = |manager: &str| Writer::new(manager, &version, Some(now()));

        let mut object = apply(None, &target.object, &writer(FieldManager::TRUEUP), true, ty)?.object;
        overlay(&mut object, &value(&server));
        object.set_at(&["metadata", "uid"], format!("6f1c2d3e-0000-4000-8000-{index:012}").into());
        object.set_at(&["metadata", "creationTimestamp"], "2026-11-21T10:00:00Z".into());
        object.set_at(&["metadata", "generation"], Value::Int(1));
        object.set_at(&["metadata", "resourceVersion"], (100_000 + index).to_string().into());
        if !status.is_empty() {
            let mut after = object.clone();
            overlay(&mut after, &value(&status));
            object = update(Some(&object), &after, &writer("kube-controller-manager").at("status"), ty);
        }
        if let Some(manager) = edit.manager() {
            let mut after = object.clone();
            edit.make(kind, &mut after);
            object = update(Some(&object), &after, &writer(manager), ty);
        }
        Ok(Self {
            kind,
            edit,
            yaml: declared.into_bytes(),
            target: target.object.to_json().into_bytes(),
            live: object.to_json().into_bytes(),
        })
    }
}

impl Edit {
    fn manager(self) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Changed => Some("kubectl-edit"),
            Self::Removed => Some("kubectl-label"),
            Self::Annotated => Some("kubectl-annotate"),
            Self::Injected => Some("mesh-injector"),
        }
    }

    fn make(self, kind: &KindOfObject, object: &mut Value) {
        match self {
            Self::Nothing => {}
            Self::Changed => object.set_at(kind.changed, "by-hand".into()),
            Self::Removed => {
                object.remove_at(&["metadata", "labels", "tier"]);
            }
            Self::Annotated => object.set_at(&["metadata", "annotations", "example.com/ticket"], "7".into()),
            Self::Injected => {
                let sidecar = r#"{"name":"mesh-proxy","image":"registry.example.com/mesh/proxy:v1.29","args":["proxy"],
                    "ports":[{"name":"mesh","containerPort":15090,"protocol":"TCP"}],"imagePullPolicy":"Always",
                    "terminationMessagePath":"/dev/termination-log","terminationMessagePolicy":"File","resources":{}}"#;
                let containers = ["spec", "template", "spec", "containers"];
                let mut list = object.list_at(&containers).to_vec();
                list.extend(Value::from_json(sidecar.as_bytes()));
                object.set_at(&containers, Value::List(list));
            }
        }
    }
}

/// The targets that a manifest's bytes become at a commit.
pub fn targets(app: &App, yaml: &[u8]) -> Result<TargetSet> {
    let file = FileOrigin { repo: "shop".into(), revision: "seed".into(), path: "object.yaml".into() };
    let (manifests, _) = read_manifests(yaml, &file);
    let revision = ResolvedRevision { id: CommitId::from_bytes([1; 20]), facts: None };
    Ok(settle(app, vec![Rendered { revision, manifests, problems: Vec::new() }], |_| Scope::Namespaced))
}

/// Puts what a server adds into an object: maps by key, lists by place.
fn overlay(object: &mut Value, added: &Value) {
    match (object, added) {
        (Value::Map(map), Value::Map(added)) => {
            for (key, value) in added.iter() {
                overlay(map.entry_or_null(key), value);
            }
        }
        (Value::List(list), Value::List(added)) => {
            for (place, value) in added.iter().enumerate() {
                match list.get_mut(place) {
                    Some(there) => overlay(there, value),
                    None => list.push(value.clone()),
                }
            }
        }
        (_, Value::Null) => {}
        (object, added) => *object = added.clone(),
    }
}

fn application(number: usize) -> Result<App> {
    let name = format!("shop-{number}");
    Ok(App {
        key: AppKey::new("argocd", &name),
        instance: Text::from(name.as_str()),
        uid: Text::from("app-uid"),
        project: Text::from("default"),
        sources: vec![Source {
            repo: RepoUrl::parse("https://git.example.com/shop.git")?,
            revision: Revision::Head,
            path: Some(SourcePath::parse(&format!("apps/{name}"))?),
            reference: None,
            directory: Directory::default(),
        }],
        destination: Destination { cluster: ClusterName::InCluster, namespace: Text::from("shop") },
        automated: None,
        options: SyncOptions::default(),
        retry: None,
        ignore: trueup_engine::app::IgnoreRules::default(),
        undeclared: None,
        counts: Vec::new(),
        tracking: trueup_engine::tracking::Tracking::default(),
        project_counts: trueup_engine::weight::Level::default(),
        inherited: None,
        on_commit: OnCommit::KeepDrift,
        confirm: trueup_engine::confirm::ConfirmRules::default(),
        refresh: None,
        operation: None,
        history_limit: 10,
        unsupported: Vec::new(),
        deleting: false,
    })
}
