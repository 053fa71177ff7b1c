//! What every worker of an installation shares: the shells, the clock, and the settings that a person gave.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trueup_cluster::Clusters;
use trueup_engine::app::{AppKey, ClusterName};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_ledger::{Entry, Fact, Ledger, LedgerError, Seq};
use trueup_object::{FieldManager, GroupKind, ResourceKey};
use trueup_repo::Repositories;

use crate::board::Board;
use crate::clock::SharedClock;
use crate::complaints::Complaints;
use crate::configured::Configured;
use crate::past::{self, Past};
use crate::routes::Routes;
use crate::site::{self, News, Site};
use crate::sources::Renders;
use crate::staff::Staff;
use crate::state::Unanswered;
use crate::unreported::Unreported;
use crate::watchdog::Watchdog;

/// The wiring of one controller.
pub struct Installation {
    pub settings: Settings,
    pub sites: Sites,
    pub repositories: Arc<Repositories>,
    pub renders: Renders,
    pub ledger: Arc<Ledger>,
    pub clock: SharedClock,
    pub routes: Routes,
    pub staff: Staff,
    pub board: Board,
    pub complaints: Complaints,
    pub unreported: Unreported,
    pub configured: Configured,
    pub watchdog: Watchdog,
    pub interrupted: Interrupted,
    pub past: Past,
}

/// Intents without an outcome, by application: whoever meant to act was interrupted.
#[derive(Default)]
pub struct Interrupted {
    by_app: std::sync::Mutex<BTreeMap<AppKey, Open>>,
}

/// What has no outcome of one application.
#[derive(Debug, Default)]
pub struct Open {
    pub intents: Vec<(Seq, ResourceKey)>,
    /// What of it was to correct something: nobody knows whether it did, as where no answer has come.
    pub corrections: Vec<Unanswered>,
}

impl Interrupted {
    /// Reads them anew, before anybody means to do anything.
    pub async fn read(&self, ledger: &Ledger, now: Timestamp) -> Result<(), LedgerError> {
        let mut by_app: BTreeMap<AppKey, Open> = BTreeMap::new();
        for Entry { seq, time: at, app, object, fact, has_evidence: _ } in ledger.unfinished().await? {
            let Some(object) = object else { continue };
            let open = by_app.entry(app).or_default();
            if let Fact::Intended { corrects, resource_version: version, .. } = fact
                && now.duration_since(at) < past::PAST
            {
                open.corrections.extend(past::corrected(corrects).map(|(path, opponent)| Unanswered {
                    place: (object.clone(), path),
                    opponent,
                    at,
                    version: version.clone(),
                }));
            }
            open.intents.push((seq, object));
        }
        *self.by_app.lock().unwrap_or_else(PoisonError::into_inner) = by_app;
        Ok(())
    }

    /// Hands out those of an application, once.
    pub fn take(&self, app: &AppKey) -> Open {
        self.by_app.lock().unwrap_or_else(PoisonError::into_inner).remove(app).unwrap_or_default()
    }
}

/// What a person decided about this controller.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The namespace of the Applications.
    pub namespace: String,
    /// Git is asked this often (`timeout.reconciliation`).
    pub poll: Duration,
    /// A part of at most this is added, different for each application, so that a fleet does not ask at once.
    pub poll_jitter: Duration,
    /// Act on Applications that another controller writes too.
    pub take_over: bool,
    /// Names this process in Events and the Lease.
    pub instance: String,
    /// The kinds that were ever applied, by application.
    pub inventory: BTreeMap<AppKey, Vec<GroupKind>>,
}

impl Installation {
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The manager under which everything is applied.
    pub fn our_manager() -> FieldManager {
        FieldManager::new(FieldManager::TRUEUP)
    }

    pub fn secret_key(&self) -> &[u8; 32] {
        self.ledger.key().as_bytes()
    }
}

/// The destination clusters, connected when first used.
pub struct Sites {
    /// The cluster in which the Applications live.
    pub home: Arc<Site>,
    clusters: Mutex<Clusters>,
    started: RwLock<BTreeMap<ClusterName, Arc<Site>>>,
    routers: Mutex<JoinSet<()>>,
    routes: Routes,
    staff: Staff,
    news: News,
    ended: CancellationToken,
}

impl Sites {
    /// The sites of an installation whose home cluster is started.
    pub fn new(
        home: Arc<Site>,
        clusters: Clusters,
        routes: Routes,
        staff: Staff,
        news: News,
        ended: CancellationToken,
    ) -> Self {
        let started = RwLock::new(BTreeMap::from([(ClusterName::InCluster, home.clone())]));
        Self {
            home,
            clusters: Mutex::new(clusters),
            started,
            routers: Mutex::default(),
            routes,
            staff,
            news,
            ended,
        }
    }

    /// The site that a destination names.
    pub async fn find(&self, name: &ClusterName) -> Result<Arc<Site>, Condition> {
        if let Some(site) = self.known(name) {
            return Ok(site);
        }
        let mut clusters = self.clusters.lock().await;
        if let Some(site) = self.known(name) {
            return Ok(site);
        }
        let (server, context) = match name {
            ClusterName::InCluster => return Ok(self.home.clone()),
            ClusterName::Server(server) => (server.as_str(), ""),
            ClusterName::Name(context) => ("", context.as_str()),
        };
        let cluster = clusters.start(server, context).await.map_err(|error| {
            Condition::new(
                ConditionType::InvalidSpecError,
                format!(
                    "failed to {error}; name a context of the controller's kubeconfig, or use in-cluster"
                ),
            )
        })?;
        let site = Arc::new(Site::new(cluster));
        let (routes, staff, news) = (self.routes.clone(), self.staff.clone(), self.news.clone());
        let router = site::route(site.clone(), routes, staff, news, self.ended.clone());
        self.routers.lock().await.spawn(router);
        self.started.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), site.clone());
        Ok(site)
    }

    /// Lists everything anew whose content is kept for its mark's sake.
    pub fn list_anew(&self) {
        for site in self.started.read().unwrap_or_else(PoisonError::into_inner).values() {
            site.list_anew();
        }
    }

    fn known(&self, name: &ClusterName) -> Option<Arc<Site>> {
        self.started.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }
}

/// A number between 0 and 1 that differs from application to application and is the same at each start.
pub fn spread(key: &AppKey) -> f64 {
    let hash = key.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}
