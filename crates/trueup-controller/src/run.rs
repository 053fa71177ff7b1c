//! Assembles a controller and runs it until it is told to end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trueup_cluster::lease::{Candidate, Keeper, Leadership, LeaseName};
use trueup_cluster::{Access, Clusters, ConnectError, Head, Interest, Interests};
use trueup_engine::app::AppKey;
use trueup_ledger::LedgerError;
use trueup_lua::Library;
use trueup_repo::SourceError;

use crate::board::Board;
use crate::clock::SharedClock;
use crate::complaints::Complaints;
use crate::configured::{self, Configured};
use crate::installation::{Installation, Interrupted, Settings, Sites};
use crate::mailbox::{Depth, Mailbox};
use crate::past::Past;
use crate::routes::Routes;
use crate::site::{self, News, Site, is_scaler};
use crate::sources::Renders;
use crate::staff::{Staff, application_kind, project_kind, report_kind};
use crate::stores::{Opened, Stores};
use crate::unreported::Unreported;
use crate::watchdog::Watchdog;
use crate::worker;

/// The name of the Lease that the acting controller holds, in the namespace of the Applications.
pub const LEASE: &str = "trueup-controller";

/// The wait between attempts to reach an API server that is down at the start.
const CONNECT_RETRY: Duration = Duration::from_secs(2);

/// What a person decides about a controller.
pub struct Options {
    pub access: Access,
    /// Of the Applications.
    pub namespace: String,
    pub stores: Stores,
    /// Act on Applications that another controller writes too.
    pub take_over: bool,
    /// Git is asked this often.
    pub poll: Duration,
    /// A part of at most this is added to it.
    pub poll_jitter: Duration,
    /// Where this controller runs. With its ledger, which it alone uses, it is unique and the same after a restart.
    pub instance: String,
    pub clock: SharedClock,
    pub version: String,
    /// Scripts that judge objects, beside those of `argocd-cm`.
    pub scripts: Library,
}

/// Why a controller does not start. A cluster that cannot be reached is no reason: it is waited for.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Repositories(#[from] SourceError),
    #[error("start a thread for the Lease: {message}")]
    Thread { message: String },
}

impl StartError {
    /// What a person can do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Connect(error) => error.hint().to_owned(),
            Self::Ledger(_) => "give another --state-dir, or mend this one".to_owned(),
            Self::Repositories(error) => error.hint().to_string(),
            Self::Thread { message: _ } => "raise the limit of threads of this process".to_owned(),
        }
    }
}

/// Runs a controller until it is cancelled. It acts while it holds the Lease and waits while another does.
///
/// With [`Access::InProcess`], [`Stores::Handed`] with what is kept in memory, and a [`crate::RuntimeClock`], all of it is tasks of
/// the runtime that this is called in: on one thread with tokio's clock paused, every run with the same requests answered alike
/// is the same run. Aborting the task is a crash: nothing of the controller asks for anything after it. In the tests,
/// `tests/sandbox/one_thread.rs` has such a world whole.
pub async fn run(options: Options, board: Board, ended: CancellationToken) -> Result<(), StartError> {
    let Opened { ledger, repositories, claim: _claim } = options.stores.open().await?;
    let routes = Routes::default();
    let (hires, hired) = mpsc::unbounded_channel();
    let staff = Staff::new(&options.namespace, hires);
    let clock = options.clock.clone();
    let configured = Configured::new(options.scripts);
    let clusters = Clusters::new(
        options.access.clone(),
        &options.version,
        interests(&routes, &configured),
        Arc::new(move || clock.now()),
    )?;
    let Some((home, clusters)) = reach(clusters, &ended).await? else { return Ok(()) };
    let inventory = ledger.inventory().await?;
    let inventory = inventory.into_iter().map(|(app, kinds)| (app, kinds.into_iter().collect())).collect();
    let instance = format!("{}_{}", options.instance, ledger.id());
    let clock = options.clock.clone();
    // Where nothing runs beside the runtime, the budget of steps alone ends a rule.
    let watchdog = if options.access.is_in_process() { Watchdog::idle() } else { Watchdog::start() };
    let candidate = Candidate {
        access: options.access,
        version: options.version,
        lease: LeaseName { namespace: options.namespace.clone(), name: LEASE.to_owned() },
        identity: instance.clone(),
        clock: Arc::new(move || clock.now()),
    };
    let settings = Settings {
        namespace: options.namespace,
        poll: options.poll,
        poll_jitter: options.poll_jitter,
        take_over: options.take_over,
        instance,
        inventory,
    };
    let news = News { configured: configured.clone(), clock: options.clock.clone() };
    let sites = Sites::new(home, clusters, routes.clone(), staff.clone(), news, ended.clone());
    let installation = Arc::new(Installation {
        settings,
        sites,
        repositories,
        renders: Renders::default(),
        ledger,
        clock: options.clock,
        routes,
        staff,
        board,
        complaints: Complaints::default(),
        configured,
        watchdog,
        interrupted: Interrupted::default(),
        past: Past::default(),
        unreported: Unreported::default(),
    });
    let keeper =
        Keeper::start(candidate).map_err(|error| StartError::Thread { message: error.to_string() })?;
    lead(installation, keeper, hired, ended).await;
    Ok(())
}

/// Connects to the home cluster. An API server that is down is waited for; a mistake in the settings is an error.
async fn reach(
    mut clusters: Clusters,
    ended: &CancellationToken,
) -> Result<Option<(Arc<Site>, Clusters)>, StartError> {
    loop {
        match clusters.start(trueup_cluster::clusters::IN_CLUSTER_SERVER, "").await {
            Ok(cluster) => return Ok(Some((Arc::new(Site::new(cluster)), clusters))),
            Err(trueup_cluster::clusters::StartError::Connect(
                error @ (ConnectError::Unreachable { .. } | ConnectError::Unusable { .. }),
            )) => tracing::warn!(%error, "the cluster cannot be reached; trying again"),
            Err(trueup_cluster::clusters::StartError::Connect(error)) => return Err(error.into()),
            Err(trueup_cluster::clusters::StartError::Destination(error)) => {
                tracing::error!(%error, "the home cluster has no name");
            }
        }
        tokio::select! {
            biased;
            () = ended.cancelled() => return Ok(None),
            () = tokio::time::sleep(CONNECT_RETRY) => {}
        }
    }
}

/// Waits for the Lease, works while it is held, gives it up at the end.
async fn lead(
    installation: Arc<Installation>,
    keeper: Keeper,
    mut hired: mpsc::UnboundedReceiver<(AppKey, Mailbox)>,
    ended: CancellationToken,
) {
    let home = installation.sites.home.clone();
    for gvk in [application_kind(), project_kind(), report_kind()] {
        home.cluster.watch(&gvk);
    }
    let mut leadership = keeper.leadership();
    let mut tasks = JoinSet::new();
    let news = News { configured: installation.configured.clone(), clock: installation.clock.clone() };
    let (routes, staff) = (installation.routes.clone(), installation.staff.clone());
    tasks.spawn(site::route(home, routes, staff, news, ended.clone()));
    tasks.spawn(configured::follow(
        installation.sites.home.cluster.connection().wire.clone(),
        installation.settings.namespace.clone(),
        installation.clone(),
    ));
    let mut crew: Option<Crew> = None;
    let mut noted: Option<Leadership> = None;
    loop {
        let state = leadership.borrow_and_update().clone();
        let leading = state == Leadership::Leading;
        // Hiring passes here too, and says nothing about the Lease.
        if noted.as_ref() != Some(&state) {
            note_leadership(&installation, &state, leading);
            noted = Some(state);
        }
        match (&mut crew, leading) {
            (None, true) => {
                let now = installation.now();
                if let Err(error) = installation.interrupted.read(&installation.ledger, now).await {
                    tracing::error!(%error, "what was interrupted cannot be read from the ledger and stays open");
                }
                if let Err(error) = installation.past.read(&installation.ledger, now).await {
                    tracing::error!(%error, "what was done of late cannot be read from the ledger; fights begin anew");
                }
                installation.unreported.clear();
                crew = Some(Crew::begin(&installation, &mut hired));
            }
            (Some(_), false) => {
                // Whatever a worker is doing is stopped before another controller may begin.
                if let Some(crew) = crew.take() {
                    crew.end().await;
                }
            }
            (None, false) | (Some(_), true) => {}
        }
        // The end comes first, then the Lease: whoever no longer holds it hires nobody. Hiring goes before successors, which
        // never keeps those waiting for long, since people create Applications and not a loop.
        tokio::select! {
            biased;
            () = ended.cancelled() => break,
            changed = leadership.changed() => if changed.is_err() { break },
            Some((app, mailbox)) = hired.recv() => {
                if let Some(crew) = &mut crew {
                    crew.hire(&installation, app, mailbox);
                }
            }
            () = replaced(crew.as_mut(), &installation) => {}
        }
    }
    if let Some(crew) = crew.take() {
        crew.end().await;
    }
    tasks.abort_all();
    keeper.release().await;
}

fn note_leadership(installation: &Installation, state: &Leadership, leading: bool) {
    match state {
        Leadership::Leading => tracing::info!("this controller acts: it holds the Lease"),
        Leadership::Following { holder } => {
            tracing::info!(holder, "another controller acts; waiting for the Lease")
        }
        Leadership::Unknown => {}
    }
    installation.board.update(|shown| {
        shown.leading = leading;
        shown.ready = *state != Leadership::Unknown;
    });
}

/// Waits until a worker ends whose successor waits, and lets that one begin.
async fn replaced(crew: Option<&mut Crew>, installation: &Arc<Installation>) {
    let Some(crew) = crew.filter(|crew| !crew.waiting.is_empty()) else {
        return std::future::pending().await;
    };
    if let Some(ended) = crew.workers.join_next().await {
        crew.take_leave(ended);
    }
    for (app, mailbox) in std::mem::take(&mut crew.waiting) {
        crew.hire(installation, app, mailbox);
    }
}

/// The workers of one time of leading.
struct Crew {
    workers: JoinSet<AppKey>,
    /// Those that run: an application never has two workers.
    working: BTreeSet<AppKey>,
    /// Those of Applications that were deleted and created again before the worker of the old one had ended.
    waiting: BTreeMap<AppKey, Mailbox>,
    ended: CancellationToken,
}

impl Crew {
    /// Hires a worker for each application that is known, by letting every one of them be announced again.
    fn begin(
        installation: &Arc<Installation>,
        hired: &mut mpsc::UnboundedReceiver<(AppKey, Mailbox)>,
    ) -> Self {
        let mut crew = Self {
            workers: JoinSet::new(),
            working: BTreeSet::new(),
            waiting: BTreeMap::new(),
            ended: CancellationToken::new(),
        };
        while hired.try_recv().is_ok() {}
        for (app, mailbox) in installation.staff.everyone() {
            crew.hire(installation, app, mailbox);
        }
        crew
    }

    fn hire(&mut self, installation: &Arc<Installation>, app: AppKey, mailbox: Mailbox) {
        while let Some(ended) = self.workers.try_join_next() {
            self.take_leave(ended);
        }
        if !self.working.insert(app.clone()) {
            self.waiting.insert(app, mailbox);
            return;
        }
        mailbox.wake(Depth::Git);
        let (installation, ended) = (installation.clone(), self.ended.clone());
        self.workers.spawn(async move {
            worker::run(installation, app.clone(), mailbox, ended).await;
            app
        });
    }

    fn take_leave(&mut self, ended: Result<AppKey, tokio::task::JoinError>) {
        match ended {
            Ok(app) => {
                self.working.remove(&app);
            }
            // A turn's panic is caught in the worker itself.
            Err(error) => tracing::error!(%error, "a worker ended unexpectedly"),
        }
    }

    async fn end(mut self) {
        self.ended.cancel();
        self.workers.abort_all();
        while self.workers.join_next().await.is_some() {}
    }
}

/// Which objects are kept with their content: our own kinds, autoscalers, what carries a mark, what a target names.
fn interests(routes: &Routes, configured: &Configured) -> Interests {
    let (routes, configured) = (routes.clone(), configured.clone());
    Arc::new(move |head: &Head| {
        let key = &head.key;
        let ours = [application_kind(), project_kind(), report_kind()];
        if ours.iter().any(|gvk| gvk.group == key.group && gvk.kind == key.kind) {
            return Interest::Named;
        }
        match head.tracked_by(&configured.tracking()) {
            // An autoscaler too may be an application's own, and is pruned when Git drops it.
            Some(owner) => Interest::Tracked(owner),
            None if is_scaler(&key.group, &key.kind) || routes.names(key) => Interest::Named,
            None => Interest::None,
        }
    })
}
