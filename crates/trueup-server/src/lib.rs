//! Metrics and health of a controller over HTTP.
//!
//! It holds no state: what is served is asked for at each request from whoever runs the controller.

mod exposition;
mod figures;
mod serve;

pub use figures::{AppFigures, Figures, ReconcileFigures, RequestCount, SyncCount};
pub use serve::{Source, serve};
