//! A running sandbox: started, used and stopped by its owner.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trueup_merge::SchemaSet;
use trueup_object::Value;

use crate::api::{Api, WriteRecord, collect_garbage, create_first_objects, create_system_namespaces};
use crate::clock::Clock;
use crate::controllers::{Controllers, Workloads, run_controllers};
use crate::faults::Faults;
use crate::http::credentials::{CredentialError, Credentials};
use crate::http::{Documents, Front, ListenError, Listener};
use crate::registry::Builtin;
use crate::status::ApiStatus;

/// How a sandbox is made.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Ids, generated names and chance follow from it.
    pub seed: u64,
    pub clock: Clock,
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    /// How many changes watches can look back; older ones are answered with 410.
    pub n_changes_max: usize,
    /// What becomes of workloads and their pods.
    pub workloads: Workloads,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("listen")]
    Listen(#[source] ListenError),
    #[error("make credentials")]
    Credentials(#[source] CredentialError),
    #[error("read the compiled-in table of kinds: {0}")]
    Table(String),
    #[error("create the first objects: {}", .0.message)]
    FirstObjects(ApiStatus),
}

/// An API server that runs until it is shut down or dropped.
#[derive(Debug)]
pub struct Sandbox {
    front: Arc<Front>,
    address: SocketAddr,
    tasks: JoinSet<()>,
}

/// Far more than a watch lags behind, and few enough that the past states of large objects fit beside the present ones.
const N_CHANGES_MAX: usize = 10_000;

impl Default for SandboxOptions {
    /// Seed 1, the machine's time, any free port of the loopback interface.
    fn default() -> Self {
        Self {
            seed: 1,
            clock: Clock::system(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            n_changes_max: N_CHANGES_MAX,
            workloads: Workloads::Ready,
        }
    }
}

impl Sandbox {
    /// Starts to serve. Returns once requests are answered.
    pub async fn start(options: SandboxOptions) -> Result<Self, StartError> {
        let SandboxOptions { seed, clock, listen, n_changes_max, workloads } = options;
        let listener = Listener::bind(listen).await.map_err(StartError::Listen)?;
        let address = listener.address();
        let credentials = Credentials::generate(address).map_err(StartError::Credentials)?;
        let table = Value::from_json(trueup_merge::schema::BUILTIN_TABLE)
            .map_err(|error| StartError::Table(error.to_string()))?;
        let api =
            Api::new(Arc::new(Builtin::new(table)), SchemaSet::builtin().clone(), clock, seed, n_changes_max);
        create_system_namespaces(&api).map_err(StartError::FirstObjects)?;
        create_first_objects(&api, address.port()).map_err(StartError::FirstObjects)?;
        let shutdown = CancellationToken::new();
        let front = Arc::new(Front {
            faults: Faults::new(seed),
            credentials,
            address,
            shutdown: shutdown.clone(),
            documents: Documents::default(),
            api: api.clone(),
        });
        let controllers =
            Controllers { workloads, root_certificate: front.credentials.authority_pem().to_owned() };
        let mut tasks = JoinSet::new();
        tasks.spawn(listener.serve(front.clone(), shutdown.clone()));
        tasks.spawn(async move {
            // Ends with the sandbox: it waits for changes, which only a running server makes.
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = collect_garbage(api.clone()) => {}
                () = run_controllers(api, controllers) => {}
            }
        });
        Ok(Self { front, address, tasks })
    }

    /// `https://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// A kubeconfig with a context for each user, of which the given one is current.
    pub fn kubeconfig(&self, user: &str) -> String {
        self.front.credentials.kubeconfig(&self.url(), user)
    }

    /// The fault layer.
    pub fn faults(&self) -> &Faults {
        &self.front.faults
    }

    /// The state, for reading and changing it without HTTP.
    pub fn api(&self) -> &Api {
        &self.front.api
    }

    /// The sandbox's time.
    pub fn clock(&self) -> &Clock {
        self.front.api.clock()
    }

    /// The requests that changed something or tried to, oldest first.
    pub fn requests(&self) -> Vec<WriteRecord> {
        self.front.api.write_records()
    }

    /// Stops serving and ends everything that runs.
    pub async fn shutdown(mut self) {
        self.front.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }

    /// Serves until told to stop: for a program whose only purpose is the sandbox.
    pub async fn run_until(self, stop: impl Future<Output = ()>) {
        stop.await;
        self.shutdown().await;
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.front.shutdown.cancel();
    }
}
