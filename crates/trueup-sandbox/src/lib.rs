//! A Kubernetes API server in memory: discovery, OpenAPI, list and watch, every patch type, server-side apply with
//! managed fields, dry run, and faults on demand.

pub mod kind;
pub mod status;
pub mod structural;
