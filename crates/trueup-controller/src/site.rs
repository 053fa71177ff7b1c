//! One destination cluster as the workers see it: what was observed, its schemas, its autoscalers; and the router that
//! turns its changes into wake-ups.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use trueup_cluster::{Change, Cluster, Observed};
use trueup_engine::autoscaler::{self, Autoscalers};
use trueup_engine::memory::SchemaSet;
use trueup_engine::settings::{KindPattern, KnownTypeField, Settings};
use trueup_engine::status::HealthRules;
use trueup_object::{Gvk, ResourceKey};

use crate::appeared::Appeared;
use crate::clock::SharedClock;
use crate::configured::Configured;
use crate::mailbox::Depth;
use crate::places::Places;
use crate::routes::Routes;
use crate::staff::{Staff, application_kind, project_kind, report_kind};
use crate::updates::Updates;

/// Questions that are put to the API server at the same time: each costs it about 8 ms of work, and others want it too.
const QUESTIONS_MAX: usize = 8;

/// A destination cluster.
pub struct Site {
    pub cluster: Arc<Cluster>,
    scalers: Scalers,
    /// Each cluster has its own, so that one that does not answer holds up no other's.
    pub places: Places,
    questions: Arc<Semaphore>,
    refined: RwLock<Option<Refined>>,
    updates: Updates,
    /// What was said of fields that came with another version of the server.
    pub appeared: Appeared,
}

/// The cluster's schemas with what the settings know of types: made anew only when one of the two is another.
struct Refined {
    of: Arc<SchemaSet>,
    known_types: Vec<(KindPattern, KnownTypeField)>,
    schemas: Arc<SchemaSet>,
}

/// The autoscalers of the cluster, read anew only after one of them changed.
#[derive(Default)]
struct Scalers {
    known: RwLock<Option<Arc<Autoscalers>>>,
    /// The specs as last seen: a change of status alone, which comes every fifteen seconds, means nothing.
    specs: RwLock<BTreeMap<ResourceKey, String>>,
}

impl Site {
    /// A cluster whose autoscalers are watched from now on.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        for gvk in scaler_kinds() {
            cluster.watch(&gvk);
        }
        Self {
            cluster,
            scalers: Scalers::default(),
            places: Places::default(),
            questions: Arc::new(Semaphore::new(QUESTIONS_MAX)),
            refined: RwLock::default(),
            updates: Updates::default(),
            appeared: Appeared::default(),
        }
    }

    /// Lists anew every kind whose objects are kept for their marks' sake.
    pub fn list_anew(&self) {
        let ours = [application_kind(), project_kind(), report_kind()];
        self.cluster.list_anew(|gvk| !ours.contains(gvk) && !is_scaler(&gvk.group, &gvk.kind));
    }

    /// The places among the questions that are asked at the same time.
    pub fn questions(&self) -> Arc<Semaphore> {
        self.questions.clone()
    }

    /// The cluster's own schemas as last read, with the known types of the settings; to be laid over the compiled-in ones.
    pub fn schemas(&self, settings: &Settings) -> Arc<SchemaSet> {
        let of = self.cluster.schemas().unwrap_or_default();
        let known = self.refined.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = &*known
            && Arc::ptr_eq(&known.of, &of)
            && known.known_types == settings.known_types
        {
            return known.schemas.clone();
        }
        drop(known);
        let schemas = refined(&of, settings);
        let known = Refined { of, known_types: settings.known_types.clone(), schemas: schemas.clone() };
        *self.refined.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
        schemas
    }

    /// What the autoscalers target now.
    pub fn scalers(&self) -> Arc<Autoscalers> {
        if let Some(known) = self.scalers.known.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return known;
        }
        let read = Arc::new(read_scalers(&self.cluster));
        *self.scalers.known.write().unwrap_or_else(PoisonError::into_inner) = Some(read.clone());
        read
    }

    /// Takes note of a kind of autoscalers whose listing began or ended.
    fn scalers_listed(&self, gvk: &Gvk) {
        let mut specs = self.scalers.specs.write().unwrap_or_else(PoisonError::into_inner);
        for (key, observed) in self.cluster.whole(gvk) {
            specs.extend(spec_of(&observed).map(|spec| (key, spec)));
        }
        drop(specs);
        self.forget_scalers();
    }

    fn forget_scalers(&self) {
        *self.scalers.known.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether what an autoscaler targets may have changed.
    fn scaler_changed(&self, key: &ResourceKey) -> bool {
        let spec = self.cluster.observed(key).and_then(|observed| spec_of(&observed));
        let mut specs = self.scalers.specs.write().unwrap_or_else(PoisonError::into_inner);
        match spec {
            Some(spec) => specs.insert(key.clone(), spec.clone()) != Some(spec),
            None => specs.remove(key).is_some(),
        }
    }
}

fn refined(of: &Arc<SchemaSet>, settings: &Settings) -> Arc<SchemaSet> {
    if !settings.refines(of) {
        return of.clone();
    }
    let mut schemas = SchemaSet::clone(of);
    for problem in settings.refine(&mut schemas) {
        tracing::warn!(%problem, "a setting is not honoured");
    }
    Arc::new(schemas)
}

fn spec_of(observed: &Observed) -> Option<String> {
    observed.value().ok()?.get("spec").map(trueup_object::Value::to_json)
}

/// What tells whether a change of an object wakes anybody.
#[derive(Clone)]
pub struct News {
    pub configured: Configured,
    pub clock: SharedClock,
}

impl News {
    fn is_news(&self, site: &Site, key: &ResourceKey, observed: Option<&Observed>) -> bool {
        // Before the settings are known nothing is compared.
        let Some(settings) = self.configured.settings() else { return true };
        if !settings.may_be_no_news(key) {
            return true;
        }
        let object = observed.and_then(|observed| observed.value().ok());
        let scripts = self.configured.scripts();
        let health = HealthRules { scripts: &scripts, generic: settings.generic_health };
        site.updates.is_news(key, object.as_ref(), &settings, health, self.clock.now())
    }
}

/// Turns the changes of a cluster into wake-ups until cancelled.
pub async fn route(site: Arc<Site>, routes: Routes, staff: Staff, news: News, ended: CancellationToken) {
    loop {
        let change = tokio::select! {
            biased;
            () = ended.cancelled() => return,
            change = site.cluster.changes().next() => change,
        };
        match change {
            Change::Object(key) => route_object(&site, &routes, &staff, &news, &key),
            Change::Kind(gvk) => {
                if is_scaler(&gvk.group, &gvk.kind) {
                    site.scalers_listed(&gvk);
                    staff.wake_all(Depth::Live);
                }
                if [application_kind(), project_kind(), report_kind()].contains(&gvk) {
                    site.cluster.watch_in(&gvk, [staff.namespace()]);
                }
                staff.kind_changed(&gvk);
                if gvk == application_kind() {
                    // A first listing announces its end, not each object.
                    for (key, _) in site.cluster.whole(&gvk) {
                        staff.object_changed(&key);
                    }
                }
                for app in routes.of_kind(&gvk.group_kind()) {
                    staff.wake(&app, Depth::Live);
                }
            }
            Change::Discovery | Change::Schemas => staff.wake_all(Depth::Live),
        }
    }
}

fn route_object(site: &Site, routes: &Routes, staff: &Staff, news: &News, key: &ResourceKey) {
    if is_scaler(&key.group, &key.kind) && site.scaler_changed(key) {
        site.forget_scalers();
        for app in routes.in_namespace(&key.namespace) {
            staff.wake(&app, Depth::Live);
        }
    }
    if staff.object_changed(key) {
        return;
    }
    let observed = site.cluster.observed(key);
    if !news.is_news(site, key, observed.as_deref()) {
        return;
    }
    let owner = observed.and_then(|observed| observed.tracked_by.clone());
    if let Some(app) = owner.and_then(|instance| routes.of_instance(&instance)) {
        staff.wake(&app, Depth::Live);
    }
    for app in routes.of_target(key) {
        staff.wake(&app, Depth::Live);
    }
}

/// The versions in which autoscalers are watched.
pub fn scaler_kinds() -> [Gvk; 4] {
    [
        Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler"),
        Gvk::new("keda.sh", "v1alpha1", "ScaledObject"),
        Gvk::new("autoscaling.k8s.io", "v1", "VerticalPodAutoscaler"),
        Gvk::new("argoproj.io", "v1alpha1", "Rollout"),
    ]
}

/// Whether a kind scales workloads.
pub fn is_scaler(group: &str, kind: &str) -> bool {
    autoscaler::kinds().iter().any(|scaler| scaler.is(group, kind))
}

fn read_scalers(cluster: &Cluster) -> Autoscalers {
    let coverage = cluster.coverage();
    let uncertain = autoscaler::kinds().into_iter().filter(|kind| !coverage.is_settled(kind)).collect();
    let objects: Vec<_> = scaler_kinds()
        .iter()
        .flat_map(|gvk| cluster.whole(gvk))
        .filter_map(|(_, observed)| observed.value().ok())
        .collect();
    Autoscalers::new(&objects, uncertain)
}
