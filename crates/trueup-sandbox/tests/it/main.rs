//! The sandbox as clients see it: through `kube`, over TLS.
#![expect(clippy::unwrap_used, reason = "tests")]

mod access;
mod asked;
mod audit;
mod clockwork;
mod cluster;
mod definitions;
mod deletion;
mod discovery;
mod faults;
mod hostile;
mod http2;
mod limits;
mod nodes;
mod policies;
mod reading;
mod refusals;
mod requests;
mod rollouts;
mod volumes;
mod watching;
mod webhooks;
mod workloads;
mod world;
mod writing;
