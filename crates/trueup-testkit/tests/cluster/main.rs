//! Tests against a real control plane. One binary, so that they share one control plane and its start.
#![expect(clippy::unwrap_used, reason = "tests")]

mod audit;
mod both;
mod controllers;
mod differential;
mod dry_run;
mod expressions;
mod kinds;
mod plane;
mod policies;
mod requests;
mod tables;
mod webhooks;
mod world;
