//! Watches, discovers, applies and deletes in one or many clusters; holds the Lease and writes Events.
//!
//! The only crate that knows the Kubernetes client. What it sees is folded into a store of compressed objects by a
//! synchronous function; what it cannot see is a state of the kind (`KindState`), never an absence.

pub mod act;
pub mod change;
pub mod cluster;
pub mod clusters;
pub mod connect;
pub mod discover;
pub mod in_process;
pub mod lease;
pub mod live;
pub mod observed;
pub mod openapi;
pub mod pack;
pub mod path;
pub mod recent;
pub mod status;
pub mod store;
pub mod watch;
pub mod wire;

pub use change::{Change, Changes};
pub use cluster::Cluster;
pub use clusters::{ClusterName, Clusters};
pub use connect::{Access, ConnectError, Connection};
pub use discover::{Discovery, KindScope, Lookup, ServedKind};
pub use in_process::{InProcess, RequestBody};
pub use observed::{Head, Interest, Interests, Observed, OwnerReference, Uid};
pub use openapi::SchemaCache;
pub use pack::Packed;
pub use recent::Recent;
pub use store::{Cause, Content, KindState, ObjectName};
pub use watch::Clock;
