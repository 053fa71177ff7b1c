//! Files compared with files: what a look takes is built from them, and the look is the controller's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use trueup_controller::Watchdog;
use trueup_engine::app::{App, FirstSeen};
use trueup_engine::autoscaler::{self, Autoscalers};
use trueup_engine::confirm::{Answer, Answered, Answers, ConfirmKey};
use trueup_engine::desired::{RenderProblem, Rendered, ResolvedRevision, Scope, Target, TargetSet, settle};
use trueup_engine::difference::{Change, Class, Origin};
use trueup_engine::live::{KindCoverage, Live, LiveSet, LiveVersion};
use trueup_engine::look::{Comparison, LookInput, look};
use trueup_engine::memory::{Memory, MemoryContext, Secrecy, restore};
use trueup_engine::settings::Settings;
use trueup_engine::source::CommitId;
use trueup_engine::status::HealthRules;
use trueup_engine::traceless;
use trueup_engine::tracking::{TRACKING_ANNOTATION, TrackingId};
use trueup_merge::{Layered, SchemaSet};
use trueup_object::manifest::Manifest;
use trueup_object::{FieldManager, GroupKind, ResourceKey, Text, Value};

use super::DiffArguments;
use super::files::{self, Files};
use super::places::Places;
use super::rules;
use super::schemas;
use super::view::View;
use crate::arguments::Globals;
use crate::failure::Failure;
use crate::output;
use crate::scene::RUN_KEY;

/// Files, compared.
pub struct Offline {
    targets: TargetSet,
    live: LiveSet,
    schemas: SchemaSet,
    predicted: BTreeMap<ResourceKey, Value>,
    pub comparison: Comparison,
    manager: String,
    memory: BTreeMap<ResourceKey, Memory>,
    settings: Settings,
}

impl Offline {
    pub fn view(&self) -> View<'_> {
        View {
            comparison: &self.comparison,
            targets: &self.targets,
            live: &self.live,
            schemas: self.schemas.over(SchemaSet::builtin()),
            predicted: Some(&self.predicted),
            manager: &self.manager,
            memory: &self.memory,
            secret_key: &RUN_KEY,
            settings: &self.settings,
        }
    }
}

/// Everything that was named, as read.
struct Inputs {
    target: Files,
    live: Files,
    base: Vec<Manifest>,
    predicted: Vec<Manifest>,
}

impl Inputs {
    fn read(arguments: &DiffArguments, target: &Path, live: &Path) -> Result<Self, Failure> {
        let whole = |place: Option<&Path>, flag: &str| -> Result<Vec<Manifest>, Failure> {
            let Some(place) = place else { return Ok(Vec::new()) };
            let files = files::read(place)?;
            match files.loss() {
                Some(loss) => Err(Failure::user(format!("failed to read {flag}: {loss}"))
                    .hint("correct the file; what is compared must be known as a whole")),
                None => Ok(files.manifests),
            }
        };
        // What Git said before is the better witness; what was applied tells the same where only that is kept.
        let mut base = whole(arguments.last_applied.as_deref(), "--last-applied")?;
        let of_git = whole(arguments.base.as_deref(), "--base")?;
        let is_told = |manifest: &Manifest| of_git.iter().any(|other| is_same(manifest, other));
        base.retain(|manifest| !is_told(manifest));
        base.extend(of_git);
        Ok(Self {
            target: files::read(target)?,
            live: files::read(live)?,
            base,
            predicted: whole(arguments.predicted.as_deref(), "--predicted")?,
        })
    }

    fn objects(&self) -> impl Iterator<Item = &Value> {
        self.target.manifests.iter().chain(&self.live.manifests).map(Manifest::object)
    }
}

/// Whether two manifests are of one object, as far as both say where it is.
fn is_same(one: &Manifest, other: &Manifest) -> bool {
    let (mut one, mut other) = (one.key(), other.key());
    if one.namespace.is_empty() || other.namespace.is_empty() {
        one.namespace = Text::default();
        other.namespace = Text::default();
    }
    one == other
}

/// Reads what the flags name, and looks.
pub async fn compare(
    arguments: &DiffArguments,
    globals: &Globals,
    target: &Path,
    live: &Path,
) -> Result<Offline, Failure> {
    only_one_from_stdin(arguments, target, live)?;
    let inputs = Inputs::read(arguments, target, live)?;
    let (_, app) = rules::application(arguments)?;
    let kinds: BTreeSet<_> = inputs.target.manifests.iter().map(|manifest| manifest.gvk().clone()).collect();
    let mut schemas = schemas::read(arguments.schema.as_deref(), globals, &kinds, inputs.objects()).await?;
    let settings = crate::settings::read(arguments.settings.as_deref())?;
    for problem in settings.refine(&mut schemas) {
        output::tell(&format!("warning: {problem}"));
    }
    let places = Places::new(inputs.objects(), inputs.live.manifests.iter(), arguments.namespace.as_deref());
    let Inputs { target, live, base, predicted } = inputs;
    let mut targets = targets(&app, target, &places);
    let mut live = live_set(&app, live, &targets);
    settings.leave_out(&app.destination.cluster, &mut targets, &mut live);
    let layered = schemas.over(SchemaSet::builtin());
    let is_history_told = !base.is_empty();
    let mut memory = memory(base, &places, &targets, layered, settings.secrecy(&RUN_KEY));
    traceless::remember_nothing_unowned(&mut memory, &live, layered);
    let predicted = placed(predicted, &places);
    let answers = answers(&predicted, &targets, &live);
    let scalers = live.objects.values().map(|live| &*live.object);
    let input = LookInput {
        app: &app,
        settings: &settings,
        targets: &targets,
        live: &live,
        memory: &memory,
        autoscalers: &Autoscalers::new(scalers.filter(|object| is_autoscaler(object)), Vec::new()),
        answers: &answers,
        last_sync: None,
        schemas: layered,
        // Health is no part of the result, so that no script needs to run for it.
        health: HealthRules::BUILTIN,
        our_manager: &FieldManager::new(arguments.manager.as_str()),
        secret_key: &RUN_KEY,
        first_seen: &FirstSeen::new(),
        now: Timestamp::now(),
    };
    let limit = Duration::from_millis(settings.jq_ms_max.0);
    let mut comparison = Watchdog::start().watch(limit, || look(&input));
    if !is_history_told {
        forget_movers(&mut comparison);
    }
    traceless::tell(&mut comparison);
    let manager = arguments.manager.clone();
    Ok(Offline { targets, live, schemas, predicted, comparison, manager, memory, settings })
}

/// A controller knows what it never applied: that is new in Git. Files alone do not tell it from what was deleted.
fn forget_movers(comparison: &mut Comparison) {
    let differences = comparison.objects.iter_mut().flat_map(|object| &mut object.differences);
    for missing in differences.filter(|it| it.change == Change::Missing) {
        missing.origin = Origin::Unknown;
        missing.attribution.class = Class::Unattributed;
    }
}

/// What a server's dry run said, as the answer that a look with a cluster would have had.
fn answers(predicted: &BTreeMap<ResourceKey, Value>, targets: &TargetSet, live: &LiveSet) -> Answers {
    let answered = predicted.iter().filter_map(|(key, predicted)| {
        let about = ConfirmKey::new(targets.targets.get(key)?, live.objects.get(key)?);
        Some((key.clone(), Answered { key: about, answer: Answer::Leaves(predicted.clone()) }))
    });
    answered.collect()
}

fn only_one_from_stdin(arguments: &DiffArguments, target: &Path, live: &Path) -> Result<(), Failure> {
    let DiffArguments { last_applied, base, predicted, schema, ignore, settings, .. } = arguments;
    let named = [Some(target), Some(live)].into_iter().flatten();
    let more = [last_applied, base, predicted, schema, ignore, settings].into_iter().flatten();
    if named.chain(more.map(|path| path.as_path())).filter(|path| files::is_stdin(path)).count() > 1 {
        return Err(Failure::user("more than one of the files is -").hint("only one can be standard input"));
    }
    Ok(())
}

fn is_autoscaler(object: &Value) -> bool {
    ResourceKey::of(object).is_some_and(|key| autoscaler::kinds().contains(&key.group_kind()))
}

fn targets(app: &App, files: Files, places: &Places) -> TargetSet {
    let problems = files.lost.iter().map(|lost| RenderProblem { message: lost.to_string(), loses: true });
    let problems = problems.collect();
    let manifests = files.manifests.into_iter().map(|manifest| places.settle(manifest)).collect();
    let revision = ResolvedRevision { id: CommitId::from_bytes([0; 20]), facts: None };
    // Where an object is was settled by what is live: a kind has no scope of its own here.
    let mut set = settle(app, vec![Rendered { revision, manifests, problems }], |_| Scope::Namespaced);
    for target in set.targets.values_mut().filter(|target| target.key.namespace.is_empty()) {
        Arc::make_mut(&mut target.object).remove_at(&["metadata", "namespace"]);
    }
    set
}

/// Every object counts as tracked. What could not be read makes nothing missing.
fn live_set(app: &App, files: Files, targets: &TargetSet) -> LiveSet {
    let loss = files.loss();
    for lost in &files.lost {
        output::tell(&format!("error: {lost}"));
    }
    let mut set = LiveSet::default();
    for manifest in files.manifests {
        let gvk = manifest.gvk().clone();
        let mut object = manifest.into_object();
        let Some(key) = ResourceKey::of(&object) else { continue };
        let text = |name: &str| Text::from(object.str_at(&["metadata", name]).unwrap_or_default());
        let version = LiveVersion { uid: text("uid"), resource_version: text("resourceVersion") };
        let mark = TrackingId::format(&app.instance, &key, &app.destination.namespace);
        object.set_at(&["metadata", "annotations", TRACKING_ANNOTATION], mark.into());
        set.objects.insert(key.clone(), Live { key, gvk, object: Arc::new(object), version });
    }
    let kinds = targets.targets.keys().chain(set.objects.keys()).map(ResourceKey::group_kind);
    let kinds: BTreeSet<GroupKind> = kinds.collect();
    set.coverage.kinds = kinds.into_iter().map(|kind| (kind, KindCoverage::Complete)).collect();
    if let Some(loss) = loss {
        let absent = targets.targets.keys().filter(|key| !set.objects.contains_key(*key));
        let why = format!("it may be in a document that could not be read: {loss}");
        set.unread = absent.map(|key| (key.clone(), why.clone())).collect();
    }
    let pairs = targets.targets.values().filter_map(|target| Some((target, set.objects.get(&target.key)?)));
    let unlike: Vec<_> = pairs
        .filter(|(target, live)| target.gvk.version != live.gvk.version)
        .map(|(target, live)| (target.key.clone(), other_version(target, live)))
        .collect();
    set.unread.extend(unlike);
    set
}

/// Only a server converts between the versions of a kind; what is renamed between them is no difference.
fn other_version(target: &Target, live: &Live) -> String {
    let (wanted, found) = (&target.gvk, live.gvk.api_version());
    format!(
        "it is in {found} where it is live and in {} in Git, which only a server can convert (`kubectl get {}.{}.{}`)",
        wanted.api_version(),
        wanted.kind.to_lowercase(),
        wanted.version,
        wanted.group
    )
}

/// What Git said before, as if it had been synced; when is not known.
fn memory(
    base: Vec<Manifest>,
    places: &Places,
    targets: &TargetSet,
    schemas: Layered<'_>,
    secrecy: Secrecy<'_>,
) -> BTreeMap<ResourceKey, Memory> {
    let context = MemoryContext { schemas, secrecy, now: Timestamp::UNIX_EPOCH };
    let mut memory = BTreeMap::new();
    for manifest in base {
        let origin = manifest.origin.clone();
        let manifest = places.settle(manifest);
        // Another version of the kind says the same in other words; the target's schema reads both.
        let gvk = manifest.gvk().clone();
        let key = manifest.key();
        let gvk = targets.targets.get(&key).map_or(gvk, |target| target.gvk.clone());
        let object = Arc::new(manifest.into_object());
        let restored = restore(&context, &Target { key: key.clone(), gvk, object, origin });
        memory.insert(key, Memory { synced_at: None, ..restored });
    }
    memory
}

fn placed(manifests: Vec<Manifest>, places: &Places) -> BTreeMap<ResourceKey, Value> {
    let settled = manifests.into_iter().map(|manifest| places.settle(manifest));
    settled.map(|manifest| (manifest.key(), manifest.into_object())).collect()
}
