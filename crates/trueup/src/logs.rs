//! Structured logs on standard error: text for a person at a terminal, JSON for whoever collects them.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// Everything of ours that matters, nothing of the libraries' chatter. The client names no cause when it cannot
/// connect, and says so for each request; what cannot be reached, and why, is in our own lines.
const FILTER: &str = "warn,kube_client::client::builder=off,\
                      trueup=info,trueup_controller=info,trueup_cluster=info,trueup_repo=info,trueup_ledger=info";

/// The form of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    Text,
    Json,
}

/// Starts logging. `level` is a filter such as `debug` or `warn,trueup_cluster=debug`.
pub fn start(level: Option<&str>, format: Option<LogFormat>) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(level.unwrap_or(FILTER)).map_err(|error| {
        Failure::user(format!("failed to read --log-level: {error}"))
            .hint("give error, warn, info, debug or trace, or a list such as warn,trueup_cluster=debug")
    })?;
    let terminal = std::io::stderr().is_terminal();
    let format = format.unwrap_or(if terminal { LogFormat::Text } else { LogFormat::Json });
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => lines.with_ansi(terminal).try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    started.map_err(|error| Failure::ours(format!("failed to start logging: {error}")))
}
