//! A Kubernetes API server in memory, for the tests of whatever talks to Kubernetes: discovery, OpenAPI, list and watch, every
//! patch type, server-side apply with managed fields, dry run, and faults on demand.
//!
//! # Start, kubeconfig, client
//!
//! [`Sandbox::start`] gives a server on a port of this machine, with TLS and three users; anything that speaks the Kubernetes API
//! can use it with [`Sandbox::kubeconfig`].
//!
//! ```
//! use trueup_sandbox::{Sandbox, SandboxOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::start(SandboxOptions::default()).await?;
//! let kubeconfig = kube::config::Kubeconfig::from_yaml(&sandbox.kubeconfig("admin"))?;
//! assert!(sandbox.url().starts_with("https://127.0.0.1:"));
//! # assert_eq!(kubeconfig.contexts.len(), 3);
//! sandbox.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! [`Sandbox::in_process`] has neither socket nor thread: [`Sandbox::door`] is a `tower` service, which is what `kube::Client::new`
//! takes, and what any other client can be put before. This crate itself needs no client of Kubernetes.
//!
//! ```
//! use k8s_openapi::api::core::v1::ConfigMap;
//! use kube::api::PostParams;
//! use kube::{Api, Client};
//! use trueup_sandbox::{Sandbox, SandboxOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::in_process(SandboxOptions::default())?;
//! let maps: Api<ConfigMap> = Api::namespaced(Client::new(sandbox.door("admin"), "default"), "default");
//! let mut map = ConfigMap::default();
//! map.metadata.name = Some("settings".to_owned());
//! let created = maps.create(&PostParams::default(), &map).await?;
//! assert!(created.metadata.uid.is_some());
//! assert_eq!(sandbox.requests().len(), 1);
//! # Ok(())
//! # }
//! ```
//!
//! # Faults
//!
//! A [`faults::Rule`] lets requests fail as real servers let them fail: refused, answered with a conflict, served with the answer
//! lost; watches break, listings stop half way. What is stored is always whole.
//!
//! ```
//! use trueup_sandbox::faults::Rule;
//! use trueup_sandbox::{Sandbox, SandboxOptions};
//! # use k8s_openapi::api::core::v1::ConfigMap;
//! # use kube::{Api, Client, api::ListParams};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let sandbox = Sandbox::in_process(SandboxOptions::default())?;
//! sandbox.faults().add(Rule::refuse(500).on_kind("ConfigMap").on_verb("list"));
//! # let maps: Api<ConfigMap> = Api::namespaced(Client::new(sandbox.door("admin"), "default"), "default");
//! assert!(maps.list(&ListParams::default()).await.is_err());
//! sandbox.faults().clear();
//! assert!(maps.list(&ListParams::default()).await.is_ok());
//! # Ok(())
//! # }
//! ```
//!
//! # Time and chance
//!
//! Ids, generated names and the requests that a fault meets follow from [`SandboxOptions::seed`]. Time is a [`Clock`] that starts
//! where it is told to, runs with tokio's clock (and stands still with it, where a test has paused that one), and is moved forward
//! at will.
//!
//! ```
//! use std::time::Duration;
//! use trueup_sandbox::{Clock, Sandbox, SandboxOptions};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::time::pause();
//! let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse()?);
//! let sandbox = Sandbox::in_process(SandboxOptions { seed: 7, clock, ..SandboxOptions::default() })?;
//! sandbox.clock().advance(Duration::from_secs(3600));
//! assert_eq!(sandbox.clock().now().to_string(), "2026-01-01T01:00:00Z");
//! # Ok(())
//! # }
//! ```

#![warn(missing_docs)]

mod admission;
mod amount;
mod announced;
#[expect(missing_docs, reason = "of it only `internals` is reached")]
mod api;
mod audit;
mod authorize;
mod cel;
mod clock;
mod controllers;
mod discovery;
mod door;
pub mod fates;
pub mod faults;
#[expect(missing_docs, reason = "of it only `internals` is reached")]
mod http;
mod ids;
#[doc(hidden)]
pub mod internals;
#[expect(missing_docs, reason = "of it only `internals` is reached")]
mod kind;
pub mod metrics;
mod registry;
mod sandbox;
mod schedule;
#[expect(missing_docs, reason = "of it only `internals` is reached")]
mod selector;
#[expect(missing_docs, reason = "of it only `internals` is reached")]
mod state;
#[expect(missing_docs, reason = "of it only `internals` is reached")]
mod status;
mod storage_class;
mod structural;
mod table;
mod write;

pub use api::WriteRecord;
pub use audit::{AuditLog, AuditOptions, AuditPolicy, AuditWebhook, PolicyError, WebhookError};
pub use clock::Clock;
pub use controllers::Workloads;
pub use door::Door;
pub use fates::PodFates;
pub use http::credentials::USERS;
pub use metrics::Metrics;
pub use sandbox::{Sandbox, SandboxOptions, StartError};
