//! What there is to serve.

/// Everything that one answer is made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    pub apps: Vec<AppFigures>,
    /// How long comparisons took, by the namespace of the Application and its destination.
    pub reconciles: Vec<ReconcileFigures>,
    /// The labels of Applications that are shown.
    pub shown_labels: Vec<String>,
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
    /// How many conditions of each type there are.
    pub conditions: Vec<(String, u64)>,
    /// The labels of the Application.
    pub labels: Vec<(String, String)>,
    pub requests: Vec<RequestCount>,
}

/// Durations that share a destination.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReconcileFigures {
    pub namespace: String,
    pub dest_server: String,
    /// The upper end of each class in milliseconds, and how many durations are in it and in those below.
    pub classes: Vec<(u64, u64)>,
    pub count: u64,
    pub sum_millis: u64,
}

/// Requests of one kind that changed objects of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestCount {
    pub verb: String,
    pub response_code: u16,
    pub resource_kind: String,
    pub resource_namespace: String,
    pub dry_run: bool,
    pub count: u64,
}

/// Finished operations of one outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncCount {
    pub phase: String,
    pub dry_run: bool,
    pub count: u64,
}
