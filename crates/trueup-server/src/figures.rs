//! What there is to serve.

/// Everything that one answer is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub apps: Vec<AppFigures>,
    /// Whether the cluster is known well enough to act on.
    pub ready: bool,
    /// Whether this process holds the Lease.
    pub leading: bool,
}

/// One application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppFigures {
    pub namespace: String,
    pub name: String,
    pub project: String,
    pub repo: String,
    pub dest_server: String,
    pub dest_namespace: String,
    pub sync_status: String,
    pub health_status: String,
    pub autosync: bool,
    /// `sync` while an operation runs, else empty.
    pub operation: String,
    pub syncs: Vec<SyncCount>,
    pub sync_millis: u64,
    pub n_looks: u64,
    pub look_millis: u64,
}

/// Finished operations of one outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncCount {
    pub phase: String,
    pub dry_run: bool,
    pub count: u64,
}
