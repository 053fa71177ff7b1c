//! A Kubernetes API server in memory: discovery, OpenAPI, list and watch, every patch type, server-side apply with
//! managed fields, dry run, and faults on demand.
//!
//! [`Sandbox::start`] gives a server on a port of this machine, with TLS and three users; anything that speaks the
//! Kubernetes API can use it with [`Sandbox::kubeconfig`]. Time and ids come from [`SandboxOptions`].

pub mod admission;
pub mod api;
pub mod audit;
pub mod authorize;
pub(crate) mod cel;
pub mod clock;
pub mod controllers;
pub mod discovery;
pub mod door;
pub mod fates;
pub mod faults;
pub mod http;
pub mod ids;
pub mod kind;
pub mod metrics;
pub mod registry;
pub mod sandbox;
pub mod schedule;
pub mod selector;
pub mod state;
pub mod status;
pub mod structural;
pub mod table;
pub mod write;

pub use audit::{AuditLog, AuditOptions, AuditPolicy, AuditWebhook};
pub use clock::Clock;
pub use controllers::Workloads;
pub use door::Door;
pub use fates::PodFates;
pub use metrics::Metrics;
pub use sandbox::{Sandbox, SandboxOptions, StartError};
