//! A running sandbox: started, used and stopped by its owner.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, OnceLock};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use trueup_merge::SchemaSet;
use trueup_object::Value;

use crate::api::{
    Api, WriteRecord, collect_garbage, create_first_objects, create_storage_class, create_system_namespaces,
};
use crate::audit::{Audit, AuditOptions, post_batches};
use crate::clock::Clock;
use crate::controllers::{Controllers, Workloads, run_controllers};
use crate::door::Door;
use crate::fates::{FateRule, PodFates};
use crate::faults::Faults;
use crate::http::credentials::{CredentialError, Credentials};
use crate::http::{Documents, Front, ListenError, Listener};
use crate::metrics::{Metrics, Usage};
use crate::registry::Builtin;
use crate::status::ApiStatus;

/// How a sandbox is made.
#[derive(Debug, Clone)]
pub struct SandboxOptions {
    /// Ids, generated names and chance follow from it.
    pub seed: u64,
    /// What time it is in it.
    pub clock: Clock,
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    /// How many changes watches can look back; older ones are answered with 410.
    pub n_changes_max: usize,
    /// What becomes of workloads and their pods.
    pub workloads: Workloads,
    /// What becomes of pods that are not left to run, from the start; [`Sandbox::pods`] changes it.
    pub fates: Vec<FateRule>,
    /// What pods and nodes use from the start; [`Sandbox::metrics`] changes it.
    pub usages: Vec<Usage>,
    /// A storage class of this name that is the default one: claims that name none get volumes. Without one, as on a bare
    /// control plane, they stay pending, and so do the pods that use them.
    pub storage_class: Option<String>,
    /// What is audited, and where to.
    pub audit: Option<AuditOptions>,
}

/// Why a sandbox did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("listen")]
    Listen(#[source] ListenError),
    /// No certificates and tokens could be made.
    #[error("make credentials")]
    Credentials(#[source] CredentialError),
    /// What is compiled in cannot be read: a defect of this crate.
    #[error("read the compiled-in table of kinds: {0}")]
    Table(String),
    /// The namespaces and roles that every cluster begins with were refused: a defect of this crate.
    #[error("create the first objects: {}", .0.message)]
    FirstObjects(ApiStatus),
}

/// An API server that runs until it is shut down or dropped.
#[derive(Debug)]
pub struct Sandbox {
    front: Arc<Front>,
    address: SocketAddr,
    tasks: JoinSet<()>,
    /// Delivers audit events; ends after everything that makes some.
    posting: JoinSet<()>,
}

/// What shows as the address of a server without one.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 6443);

/// What is compiled in, read once for all sandboxes of a process.
struct Tables {
    builtin: Arc<Builtin>,
    schemas: Arc<SchemaSet>,
}

impl Tables {
    fn get() -> &'static Result<Self, String> {
        static TABLES: OnceLock<Result<Tables, String>> = OnceLock::new();
        TABLES.get_or_init(|| {
            let table = Value::from_json(trueup_merge::schema::BUILTIN_TABLE);
            let builtin = Builtin::new(table.map_err(|error| error.to_string())?);
            Ok(Self { builtin: Arc::new(builtin), schemas: Arc::new(SchemaSet::builtin().clone()) })
        })
    }
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
            fates: Vec::new(),
            usages: Vec::new(),
            storage_class: None,
            audit: None,
        }
    }
}

impl Sandbox {
    /// Starts to serve. Returns once requests are answered.
    pub async fn start(options: SandboxOptions) -> Result<Self, StartError> {
        let listener = Listener::bind(options.listen).await.map_err(StartError::Listen)?;
        let address = listener.address();
        let (credentials, tls) = Credentials::generate(address).map_err(StartError::Credentials)?;
        let mut sandbox = Self::run(&options, credentials, address)?;
        sandbox.tasks.spawn(listener.serve(sandbox.front.clone(), tls, sandbox.front.shutdown.clone()));
        Ok(sandbox)
    }

    /// Starts without a socket and without TLS: [`Sandbox::door`] is the way in. All of it runs as tasks of the runtime that
    /// this is called in, and what it does follows from the options, the requests and that runtime's clock; with one thread
    /// and a paused clock every run is the same.
    pub fn in_process(options: SandboxOptions) -> Result<Self, StartError> {
        Self::run(&options, Credentials::of_seed(options.seed), NOWHERE)
    }

    fn run(
        options: &SandboxOptions,
        credentials: Credentials,
        address: SocketAddr,
    ) -> Result<Self, StartError> {
        let SandboxOptions {
            seed,
            clock,
            listen: _,
            n_changes_max,
            workloads,
            fates: rules,
            usages,
            storage_class,
            audit: wanted,
        } = options.clone();
        let (fates, metrics) = (PodFates::default(), Metrics::default());
        rules.into_iter().for_each(|rule| fates.add(rule));
        usages.into_iter().for_each(|usage| metrics.set(usage));
        let tables = Tables::get().as_ref().map_err(|error| StartError::Table(error.clone()))?;
        let api = Api::new(tables.builtin.clone(), tables.schemas.clone(), clock, seed, n_changes_max);
        create_system_namespaces(&api).map_err(StartError::FirstObjects)?;
        create_first_objects(&api, address.port()).map_err(StartError::FirstObjects)?;
        if let Some(name) = &storage_class {
            create_storage_class(&api, name).map_err(StartError::FirstObjects)?;
        }
        let shutdown = CancellationToken::new();
        let (audit, events) = match &wanted {
            Some(options) => {
                let (audit, events) = Audit::new(options, api.clock().clone(), seed);
                (Some(audit), events)
            }
            None => (None, None),
        };
        let front = Arc::new(Front {
            faults: Faults::new(seed),
            fates,
            metrics,
            credentials: Arc::new(credentials),
            address,
            shutdown: shutdown.clone(),
            documents: Documents::default(),
            audit,
            api: api.clone(),
        });
        let controllers = Controllers {
            workloads,
            credentials: front.credentials.clone(),
            fates: front.fates.clone(),
            metrics: front.metrics.clone(),
        };
        let (mut tasks, mut posting) = (JoinSet::new(), JoinSet::new());
        if let (Some(events), Some(webhook)) = (events, wanted.and_then(|options| options.webhook)) {
            posting.spawn(post_batches(webhook, events));
        }
        tasks.spawn(async move {
            // Ends with the sandbox: it waits for changes, which only a running server makes.
            if workloads == Workloads::Unattended {
                return;
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {}
                () = collect_garbage(api.clone()) => {}
                () = run_controllers(api, controllers) => {}
            }
        });
        Ok(Self { front, address, tasks, posting })
    }

    /// `https://127.0.0.1:PORT`. Of a sandbox without a socket it leads nowhere.
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// The way in without a socket, for one of the users `admin`, `alice@example.com` and `bob@example.com`.
    pub fn door(&self, user: &str) -> Door {
        Door::new(self.front.clone(), user)
    }

    /// A kubeconfig with a context for each user, of which the given one is current.
    pub fn kubeconfig(&self, user: &str) -> String {
        self.front.credentials.kubeconfig(&self.url(), user)
    }

    /// Forgets the past, as a compaction of etcd does: watches and pages of lists that go back to it are answered with 410.
    pub fn compact(&self) {
        self.front.api.store().compact();
    }

    /// The fault layer.
    pub fn faults(&self) -> &Faults {
        &self.front.faults
    }

    /// What becomes of pods that are not left to run.
    pub fn pods(&self) -> &PodFates {
        &self.front.fates
    }

    /// What pods and nodes use of processor and memory.
    pub fn metrics(&self) -> &Metrics {
        &self.front.metrics
    }

    /// What a restart of the API server does to its clients: watches end, and the versions before are answered with 410.
    pub fn restart_api_server(&self) {
        self.front.restart();
    }

    /// The state, for reading and changing it without HTTP: for this crate's own tests.
    #[doc(hidden)]
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
        if let Some(audit) = &self.front.audit {
            audit.close();
        }
        while self.posting.join_next().await.is_some() {}
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
