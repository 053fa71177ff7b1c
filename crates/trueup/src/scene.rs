//! What a command sees of one application for itself: what Git wants, what is live, and how they compare.
//!
//! Nothing of a controller's memory is needed. What only a memory can tell (who moved, what was there before) comes from
//! the controller's DriftReport, where one is there and fits, or from this user's own earlier syncs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use trueup_api::Application;
use trueup_cluster::act::{self, Asked};
use trueup_cluster::{Cluster, Clusters, Head, Interest, Interests, KindScope, Lookup};
use trueup_controller::Watchdog;
use trueup_engine::app::{App, ClusterName, FirstSeen, Source};
use trueup_engine::autoscaler::{self, Autoscalers};
use trueup_engine::confirm::{Answered, Answers, questions};
use trueup_engine::desired::{Rendered, ResolvedRevision, Scope, TargetSet, settle};
use trueup_engine::live::LiveSet;
use trueup_engine::look::{Comparison, LookInput, look};
use trueup_engine::memory::Memory;
use trueup_engine::settings::Settings;
use trueup_engine::source::Revision;
use trueup_engine::status::HealthRules;
use trueup_engine::traceless;
use trueup_engine::tracking::Tracking;
use trueup_lua::{Library, LuaRules};
use trueup_merge::{Layered, SchemaSet};
use trueup_object::{FieldManager, GroupKind, Gvk, ResourceKey, Text, Value};
use trueup_render::RenderError;
use trueup_repo::{Freshness, Repositories, RepositoriesOptions, SourceError};

use crate::arguments::{Globals, ssh_command};
use crate::diff::View;
use crate::failure::Failure;
use crate::home::{self, Home};
use crate::output::patiently;
use crate::remembered::{self, Remembered};
use crate::scripts;
use crate::version::VERSION;

/// The key of digests of sensitive values. They are compared within one run of a command and never leave it.
pub const RUN_KEY: [u8; 32] = *b"a key for the time of one run...";

/// A server that does not say within this time what it serves is not there.
const REACH_MAX: Duration = Duration::from_secs(20);

/// Listing a large cluster's kinds takes seconds; what takes longer is reported as unknown.
const LIST_MAX: Duration = Duration::from_secs(60);

/// Questions that are put to the API server at the same time.
const QUESTIONS_MAX: usize = 8;

/// One application, its targets and its cluster.
pub struct Scene {
    pub app: App,
    pub settings: Settings,
    /// The scripts of the settings.
    scripts: LuaRules,
    pub targets: TargetSet,
    pub cluster: Arc<Cluster>,
    schemas: Arc<SchemaSet>,
    remembered: Remembered,
    /// No controller reports on the application. What nobody owns is then told from what a server fills in, where no sync of
    /// this user's own remembers it.
    pub is_alone: bool,
    /// What the server has answered in this run.
    answers: Mutex<Answers>,
    /// The commit of the first source, for people.
    pub revision: String,
}

/// One look.
pub struct Seen {
    pub live: LiveSet,
    pub comparison: Comparison,
    /// What was remembered of the objects.
    memory: BTreeMap<ResourceKey, Memory>,
}

/// An Application that makes sense to this build; says by name what does not.
pub fn understand(object: Value) -> Result<(Application, App), Failure> {
    let namespace = home::controller_namespace(&object);
    trueup_api::read_app(object, &namespace).map_err(|refusal| {
        let words: Vec<_> =
            refusal.conditions.iter().map(|it| format!("{}: {}", it.kind.as_str(), it.message)).collect();
        Failure::unknown(format!("the Application {} cannot be compared: {}", refusal.key, words.join("; ")))
            .hint("correct what is named; what this build does not support is left to the tool that does")
    })
}

impl Scene {
    /// Reads Git, connects to the destination and lists what matters there.
    pub async fn open(
        home: &Home,
        globals: &Globals,
        object: Value,
        revision: Option<&Revision>,
    ) -> Result<Self, Failure> {
        let (application, mut app) = understand(object)?;
        app.project_counts = home.project_counts(&app).await;
        let rendered = patiently("reading Git", render(globals, &app, revision)).await?;
        Self::with(home, globals, &application, app, rendered).await
    }

    /// The same with sources that were rendered already.
    pub async fn with(
        home: &Home,
        globals: &Globals,
        application: &Application,
        app: App,
        rendered: Sources,
    ) -> Result<Self, Failure> {
        let settings = home.settings(&home::controller_namespace(&application.object)).await?;
        let mut app = app;
        app.tracking = settings.tracking.clone();
        let known: Arc<RwLock<BTreeSet<ResourceKey>>> = Arc::default();
        let cluster = connect(home, &app, known.clone()).await?;
        let discovery = patiently("asking the cluster what it serves", cluster.reached(REACH_MAX)).await;
        let discovery =
            discovery.map_err(|error| Failure::of_wire("learn what the cluster serves", &error))?;
        let mut targets = settle(&app, rendered.sources, |gvk| match discovery.find(gvk) {
            Lookup::Served(kind) if kind.scope == KindScope::Cluster => Scope::Cluster,
            Lookup::Served(_) => Scope::Namespaced,
            _ => Scope::Unknown,
        });
        targets.unsupported.extend(rendered.unsupported);
        known.write().unwrap_or_else(PoisonError::into_inner).extend(targets.targets.keys().cloned());
        let kinds = kinds(application, &app, &targets, &cluster);
        for gvk in &kinds {
            cluster.watch(gvk);
        }
        let kinds: Vec<Gvk> = kinds.into_iter().collect();
        // What is not listed in time stays unobserved, and the look says so.
        let _complete = patiently("listing the cluster's objects", cluster.settled(&kinds, LIST_MAX)).await;
        in_namespaces(&cluster, application, &app, &targets, &kinds).await;
        let schemas = patiently("reading the cluster's schemas", cluster.schemas_known(REACH_MAX)).await;
        let revision = targets.revisions.first().map(|first| first.id.to_string()).unwrap_or_default();
        let remembered = remembered::load(globals, &app).await;
        let schemas = refined(schemas.unwrap_or_default(), &settings);
        let answers = Mutex::default();
        let scripts = scripts::ready(&settings, Library::default());
        let is_alone = false;
        Ok(Self {
            app,
            settings,
            scripts,
            remembered,
            is_alone,
            answers,
            targets,
            cluster,
            schemas,
            revision,
        })
    }

    pub fn schemas(&self) -> Layered<'_> {
        self.schemas.over(SchemaSet::builtin())
    }

    /// The autoscalers of the cluster, by what they target.
    pub fn autoscalers(&self) -> Autoscalers {
        autoscalers(&self.cluster)
    }

    /// Compares what is live now.
    pub async fn look(&self) -> Seen {
        let named: Vec<(Gvk, ResourceKey)> =
            self.targets.targets.values().map(|target| (target.gvk.clone(), target.key.clone())).collect();
        let mut live = self.cluster.live_set(&self.app.instance, &named).await;
        let mut targets = self.targets.clone();
        self.settings.leave_out(&self.app.destination.cluster, &mut targets, &mut live);
        let mut memory = self.remembered.fresh(&live);
        if self.is_alone {
            traceless::remember_nothing_unowned(&mut memory, &live, self.schemas());
        }
        let autoscalers = self.autoscalers();
        let watchdog = Watchdog::start();
        let limit = Duration::from_millis(self.settings.jq_ms_max.0);
        let compare = |answers: &Answers| {
            let input = LookInput {
                app: &self.app,
                settings: &self.settings,
                targets: &targets,
                live: &live,
                memory: &memory,
                autoscalers: &autoscalers,
                answers,
                last_sync: None,
                schemas: self.schemas(),
                health: HealthRules { scripts: &self.scripts, generic: self.settings.generic_health },
                our_manager: &FieldManager::new(FieldManager::TRUEUP),
                secret_key: &self.remembered.key,
                first_seen: &FirstSeen::new(),
                now: Timestamp::now(),
            };
            watchdog.watch(limit, || look(&input))
        };
        let known = self.answers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut comparison = compare(&known);
        let answers = self.confirm(&live, &comparison, known).await;
        if let Some(answers) = answers {
            comparison = compare(&answers);
            *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
        }
        if self.is_alone {
            traceless::tell(&mut comparison);
        }
        Seen { live, comparison, memory }
    }

    /// Asks the server what applying would change, with the caller's rights; nothing where no question is open.
    async fn confirm(&self, live: &LiveSet, comparison: &Comparison, known: Answers) -> Option<Answers> {
        let open = questions(comparison, &self.targets.targets, &live.objects, false);
        let discovery = self.cluster.discovery()?;
        if open.is_empty() {
            return None;
        }
        let wire = &self.cluster.connection().wire;
        let asked = open.into_iter().filter_map(|question| match discovery.find(&question.gvk) {
            Lookup::Served(kind) => {
                let live = live.objects.get(&question.object);
                Some(async move {
                    let asked = act::confirm(wire, kind, &question, live.map(|live| &*live.object)).await;
                    (question, asked)
                })
            }
            _ => None,
        });
        let asked: Vec<_> = futures::stream::iter(asked).buffer_unordered(QUESTIONS_MAX).collect().await;
        let mut answers = known;
        for (question, asked) in asked {
            match asked {
                Asked::Answered(answer) => {
                    answers.insert(question.object, Answered { key: question.key, answer });
                }
                Asked::Overtaken => {}
            }
        }
        Some(answers)
    }
}

impl Seen {
    /// The look as it is shown.
    pub fn view<'a>(&'a self, scene: &'a Scene) -> View<'a> {
        View {
            comparison: &self.comparison,
            targets: &scene.targets,
            live: &self.live,
            schemas: scene.schemas(),
            predicted: None,
            manager: FieldManager::TRUEUP,
            memory: &self.memory,
            secret_key: &scene.remembered.key,
            settings: &scene.settings,
        }
    }
}

/// The cluster's schemas with what the settings know of types; what these say for nothing is told.
fn refined(mut schemas: Arc<SchemaSet>, settings: &Settings) -> Arc<SchemaSet> {
    if settings.refines(&schemas) {
        for problem in settings.refine(Arc::make_mut(&mut schemas)) {
            crate::output::tell(&format!("warning: {problem}"));
        }
    }
    schemas
}

/// Lists what may not be listed as a whole in the namespaces where the application's objects are, and says what is not seen
/// then.
async fn in_namespaces(
    cluster: &Cluster,
    application: &Application,
    app: &App,
    targets: &TargetSet,
    kinds: &[Gvk],
) {
    let mut namespaces: BTreeSet<Text> = targets.targets.keys().map(|key| key.namespace.clone()).collect();
    namespaces.insert(Text::from(app.destination.namespace.as_str()));
    let reported = application.status().list_at(&["resources"]).iter();
    namespaces.extend(reported.filter_map(|resource| resource.str_at(&["namespace"])).map(Text::from));
    for gvk in kinds {
        cluster.watch_in(gvk, &namespaces);
    }
    let _complete = patiently("listing single namespaces", cluster.settled(kinds, LIST_MAX)).await;
    let partly: Vec<_> = cluster.seen_in_part().into_iter().filter(|(gvk, _)| kinds.contains(gvk)).collect();
    let Some((_, seen)) = partly.first() else { return };
    let names: Vec<&str> = partly.iter().map(|(gvk, _)| gvk.kind.as_str()).collect();
    let seen: Vec<&str> = seen.iter().map(Text::as_str).collect();
    crate::output::tell(&format!(
        "note: you may not list {} in all namespaces: what {} may have outside of {} is not seen",
        names.join(", "),
        app.key,
        seen.join(", ")
    ));
}

/// What the sources of an application hold.
pub struct Sources {
    pub sources: Vec<Rendered>,
    pub unsupported: Vec<trueup_engine::app::Unsupported>,
}

/// Reads and renders every source.
pub async fn render(globals: &Globals, app: &App, revision: Option<&Revision>) -> Result<Sources, Failure> {
    let mirrors = globals.mirrors();
    let repositories = Repositories::open(RepositoriesOptions::new(mirrors).ssh(ssh_command())).await;
    let repositories = repositories.map_err(|error| source_failure(None, &error))?;
    let mut found = Sources { sources: Vec::new(), unsupported: Vec::new() };
    for source in &app.sources {
        let (rendered, unsupported) = one_source(&repositories, app, source, revision).await?;
        found.sources.push(rendered);
        found.unsupported.extend(unsupported);
    }
    Ok(found)
}

async fn one_source(
    repositories: &Repositories,
    app: &App,
    source: &Source,
    revision: Option<&Revision>,
) -> Result<(Rendered, Vec<trueup_engine::app::Unsupported>), Failure> {
    let failed = |error: SourceError| source_failure(Some(source), &error);
    let wanted = revision.unwrap_or(&source.revision);
    let commit = repositories.resolve(&source.repo, wanted, Freshness::Now).await.map_err(failed)?;
    let facts = repositories.commit_facts(&source.repo, commit).await.ok();
    let resolved = ResolvedRevision { id: commit, facts };
    let Some(path) = &source.path else {
        // A source that others refer to renders nothing.
        return Ok((
            Rendered { revision: resolved, manifests: Vec::new(), problems: Vec::new() },
            Vec::new(),
        ));
    };
    let filter = trueup_render::read_filter(&source.directory).map_err(render_failure)?;
    let tree = repositories.read(&source.repo, commit, path, &filter).await.map_err(failed)?;
    let rendering = trueup_render::render(&tree, &source.directory, &app.key.name).map_err(render_failure)?;
    Ok(rendering.into_rendered(resolved))
}

fn source_failure(source: Option<&Source>, error: &SourceError) -> Failure {
    let message = source.map_or_else(|| error.to_string(), |source| error.naming(&source.repo));
    Failure::of_source(format!("failed to {message}"), error.fault(), error.hint())
}

pub fn render_failure(error: RenderError) -> Failure {
    match &error {
        RenderError::Unsupported(unsupported) => Failure::unknown(format!(
            "{}: {}, which this build does not support",
            unsupported.place, unsupported.what
        ))
        .hint(error.hint()),
        RenderError::Pattern { .. } | RenderError::TooLarge { .. } => {
            Failure::of_source(format!("failed to {error}"), error.fault(), error.hint())
        }
    }
}

async fn connect(
    home: &Home,
    app: &App,
    known: Arc<RwLock<BTreeSet<ResourceKey>>>,
) -> Result<Arc<Cluster>, Failure> {
    let (instance, tracking) = (app.instance.clone(), app.tracking.clone());
    let interests: Interests = Arc::new(move |head: &Head| interest(head, &instance, &tracking, &known));
    let clusters = Clusters::new(home.access.clone(), VERSION, interests, Arc::new(Timestamp::now));
    let mut clusters = clusters.map_err(Failure::from)?;
    let (server, name) = match &app.destination.cluster {
        ClusterName::InCluster => ("", "in-cluster"),
        ClusterName::Server(server) => (server.as_str(), ""),
        ClusterName::Name(name) => ("", name.as_str()),
    };
    clusters.start(server, name).await.map_err(|error| {
        Failure::user(format!("failed to {error}"))
            .hint("the destination must be this cluster or a context of the kubeconfig in use")
    })
}

fn interest(
    head: &Head,
    instance: &str,
    tracking: &Tracking,
    known: &RwLock<BTreeSet<ResourceKey>>,
) -> Interest {
    if head.tracked_by(tracking).is_some_and(|name| name == instance) {
        return Interest::Tracked(Text::from(instance));
    }
    let kind = head.key.group_kind();
    let is_named = known.read().unwrap_or_else(PoisonError::into_inner).contains(&head.key);
    if is_named || autoscaler::kinds().contains(&kind) { Interest::Named } else { Interest::None }
}

/// The kinds to list: of the targets, of what was applied before, and the autoscalers.
fn kinds(application: &Application, app: &App, targets: &TargetSet, cluster: &Cluster) -> BTreeSet<Gvk> {
    let mut kinds: BTreeSet<Gvk> = targets.targets.values().map(|target| target.gvk.clone()).collect();
    if app.options.create_namespace {
        kinds.insert(Gvk::new("", "v1", "Namespace"));
    }
    let Some(discovery) = cluster.discovery() else { return kinds };
    let before = application.status().list_at(&["resources"]).iter().map(|resource| {
        let part = |name: &str| resource.str_at(&[name]).unwrap_or_default();
        GroupKind::new(part("group"), part("kind"))
    });
    let wanted: BTreeSet<GroupKind> = before.chain(autoscaler::kinds()).collect();
    let present: BTreeSet<GroupKind> = kinds.iter().map(Gvk::group_kind).collect();
    let served = wanted.difference(&present).filter_map(|kind| discovery.preferred(kind));
    kinds.extend(served.map(|served| served.gvk.clone()));
    kinds
}

fn autoscalers(cluster: &Cluster) -> Autoscalers {
    let coverage = cluster.coverage();
    let is_certain = |kind: &GroupKind| match coverage.kinds.get(kind) {
        Some(_) => coverage.is_settled(kind),
        // Nobody watches a kind that its group does not serve; that another group is silent changes nothing about it.
        None => cluster.discovery().is_some_and(|discovery| {
            discovery.find(&Gvk::new(&kind.group, "", &kind.kind)) == Lookup::NotServed
        }),
    };
    let uncertain = autoscaler::kinds().into_iter().filter(|kind| !is_certain(kind)).collect();
    let states = cluster.states();
    let watched = states.keys().filter(|gvk| autoscaler::kinds().contains(&gvk.group_kind()));
    let objects: Vec<Value> = watched
        .flat_map(|gvk| cluster.whole(gvk))
        .filter_map(|(_, observed)| observed.value().ok())
        .collect();
    Autoscalers::new(&objects, uncertain)
}
