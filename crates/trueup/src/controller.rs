//! `trueup controller`: watches, compares and heals until it is told to stop.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use trueup_controller::{
    AppCard, Board, DURATION_CLASSES_MS, Durations, OffsetClock, Options, SharedClock, Shown, StartError,
    Stores, SystemClock,
};
use trueup_engine::app::AppKey;
use trueup_object::Text;
use trueup_server::{AppFigures, Figures, ReconcileFigures, RequestCount, SyncCount};

use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::NAMESPACE;
use crate::logs::{self, LogFormat};
use crate::sandbox::stop_requested;
use crate::scripts;
use crate::version::VERSION;

/// Argo CD's `timeout.reconciliation` and its jitter.
const POLL_SECONDS: u64 = 120;
const POLL_JITTER_SECONDS: u64 = 60;

/// What is under way when the process is told to stop may take this long to end.
const STOP_MAX: Duration = Duration::from_secs(20);

#[derive(Debug, Args)]
pub struct ControllerArguments {
    /// Folder for the ledger and for copies of Git repositories
    #[arg(long, value_name = "DIR", env = "TRUEUP_STATE_DIR")]
    state_dir: PathBuf,
    /// Address of /metrics, /healthz and /readyz
    #[arg(long, default_value = "127.0.0.1:8082", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,
    /// Namespace of the Applications
    #[arg(long, default_value = NAMESPACE)]
    namespace: String,
    /// Act on Applications that another GitOps controller writes too
    #[arg(long)]
    take_over: bool,
    /// Seconds between two questions to a Git repository
    #[arg(long, default_value_t = POLL_SECONDS, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    poll: u64,
    /// Up to so many seconds are added to it, different for each Application
    #[arg(long, default_value_t = POLL_JITTER_SECONDS, value_name = "SECONDS")]
    poll_jitter: u64,
    /// Labels of Applications to be shown in the metric argocd_app_labels
    #[arg(long, value_name = "LABEL", value_delimiter = ',')]
    metrics_application_labels: Vec<String>,
    /// Folder with scripts that judge objects: GROUP/KIND/health.lua as in Argo CD; those of argocd-cm go before them
    #[arg(long, value_name = "DIR")]
    customizations: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, or a list such as warn,trueup_cluster=debug
    #[arg(long, env = "TRUEUP_LOG")]
    log_level: Option<String>,
    /// Form of log lines; text at a terminal and json elsewhere without it
    #[arg(long, value_enum)]
    log_format: Option<LogFormat>,
    /// File with a number of seconds by which the clock is set forward
    #[arg(long, hide = true, value_name = "FILE")]
    clock_offset_file: Option<PathBuf>,
}

pub async fn run(arguments: ControllerArguments, globals: &Globals) -> Result<Ending, Failure> {
    logs::start(arguments.log_level.as_deref(), arguments.log_format)?;
    let clock: SharedClock = match arguments.clock_offset_file {
        Some(file) => Arc::new(OffsetClock::new(file)),
        None => Arc::new(SystemClock),
    };
    let listener = TcpListener::bind(arguments.listen).await.map_err(|error| {
        Failure::world(format!("failed to listen at {}: {error}", arguments.listen))
            .hint("choose another address with --listen; port 0 takes any free one")
    })?;
    if let Ok(address) = listener.local_addr() {
        tracing::info!(%address, version = VERSION, "serving metrics and health");
    }
    let scripts = scripts::folder(arguments.customizations.as_deref())?;
    let options = Options {
        access: crate::home::access(globals),
        namespace: arguments.namespace,
        stores: Stores::Folder {
            state_dir: arguments.state_dir,
            ssh_command: crate::arguments::ssh_command(),
        },
        take_over: arguments.take_over,
        poll: Duration::from_secs(arguments.poll),
        poll_jitter: Duration::from_secs(arguments.poll_jitter),
        instance: instance(),
        clock,
        version: VERSION.to_owned(),
        scripts,
    };
    let (board, ended) = (Board::default(), CancellationToken::new());
    let shown = board.clone();
    let labels = arguments.metrics_application_labels;
    let source: trueup_server::Source = Arc::new(move || figures(&shown.shown(), &labels));
    let server = tokio::spawn(trueup_server::serve(listener, source, ended.clone()));
    let controller = tokio::spawn(trueup_controller::run(options, board, ended.clone()));
    let outcome = until_stopped(controller, &ended).await;
    ended.cancel();
    // Answers that nobody waits for any more hold nothing up.
    let _served = tokio::time::timeout(Duration::from_secs(1), server).await;
    outcome.map(|()| Ending::Done)
}

async fn until_stopped(
    mut controller: tokio::task::JoinHandle<Result<(), StartError>>,
    ended: &CancellationToken,
) -> Result<(), Failure> {
    let finished = tokio::select! {
        finished = &mut controller => finished,
        () = stop_requested() => {
            tracing::info!("asked to stop");
            ended.cancel();
            match tokio::time::timeout(STOP_MAX, controller).await {
                Ok(finished) => finished,
                Err(_) => return Err(Failure::ours("the controller did not stop in time")),
            }
        }
    };
    match finished {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(start_failure(&error)),
        Err(error) => Err(Failure::ours(format!("the controller stopped: {error}"))),
    }
}

/// Why a controller did not start, and whose fault that is.
pub fn start_failure(error: &StartError) -> Failure {
    match error {
        StartError::Connect(error) => Failure::from(error.clone()),
        StartError::Ledger(inner) => {
            Failure::of_source(format!("failed to {inner}"), inner.fault(), error.hint())
        }
        StartError::Repositories(inner) => {
            Failure::of_source(format!("failed to {inner}"), inner.fault(), error.hint())
        }
        StartError::Thread { message: _ } => Failure::world(format!("failed to {error}")).hint(error.hint()),
    }
}

/// The name of the machine, or of the Pod.
fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    host.trim().to_owned()
}

/// What the controller shows, in the server's words. `labels` of Applications are shown too.
pub fn figures(shown: &Shown, labels: &[String]) -> Figures {
    Figures {
        apps: shown.cards.iter().map(|(key, card)| app_figures(shown, key, card)).collect(),
        reconciles: shown.reconciles.iter().map(reconcile_figures).collect(),
        shown_labels: labels.to_vec(),
        ready: shown.ready,
        leading: shown.leading,
    }
}

fn app_figures(shown: &Shown, key: &AppKey, card: &AppCard) -> AppFigures {
    let syncs = shown.syncs.iter().filter(|((app, _, _), _)| app == key);
    let requests = shown.requests.iter().filter(|((app, _), _)| app == key);
    let (n_looks, look_millis) = shown.looks.get(key).copied().unwrap_or_default();
    AppFigures {
        namespace: key.namespace.to_string(),
        name: key.name.to_string(),
        project: card.project.clone(),
        repo: card.repo.clone(),
        dest_server: card.dest_server.clone(),
        dest_namespace: card.dest_namespace.clone(),
        sync_status: card.sync_status.clone(),
        health_status: card.health_status.clone(),
        autosync: card.autosync,
        operation: card.operation.clone(),
        syncs: syncs
            .map(|((_, phase, dry_run), count)| SyncCount {
                phase: (*phase).to_owned(),
                dry_run: *dry_run,
                count: *count,
            })
            .collect(),
        sync_millis: shown.sync_millis.get(key).copied().unwrap_or_default(),
        n_looks,
        look_millis,
        conditions: card.conditions.iter().map(|(kind, count)| (kind.to_string(), *count)).collect(),
        labels: card.labels.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        requests: requests
            .map(|((_, request), count)| RequestCount {
                verb: request.verb.to_owned(),
                response_code: request.code,
                resource_kind: request.resource.to_string(),
                resource_namespace: request.namespace.to_string(),
                dry_run: request.dry_run,
                count: *count,
            })
            .collect(),
    }
}

fn reconcile_figures(
    ((namespace, dest_server), durations): (&(Text, String), &Durations),
) -> ReconcileFigures {
    let mut below = 0;
    let classes = DURATION_CLASSES_MS.iter().zip(durations.counts).map(|(end, count)| {
        below += count;
        (*end, below)
    });
    ReconcileFigures {
        namespace: namespace.to_string(),
        dest_server: dest_server.clone(),
        classes: classes.collect(),
        count: durations.counts.iter().sum(),
        sum_millis: durations.sum_ms,
    }
}
