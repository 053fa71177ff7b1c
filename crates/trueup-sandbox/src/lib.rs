//! A Kubernetes API server in memory: discovery, OpenAPI, list and watch, every patch type, server-side apply with
//! managed fields, dry run, and faults on demand.

pub mod clock;
pub mod faults;
pub mod http;
pub mod ids;
pub mod kind;
pub mod registry;
pub mod selector;
pub mod state;
pub mod status;
pub mod structural;
pub mod write;
