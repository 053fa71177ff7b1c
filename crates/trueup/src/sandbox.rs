//! `trueup sandbox`: a Kubernetes API in memory, to try things on.

mod audit;
mod fault;
mod told;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use trueup_sandbox::{Sandbox, SandboxOptions};

use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::output;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SandboxArguments {
    #[command(subcommand)]
    command: Option<SandboxCommand>,
    #[command(flatten)]
    serve: ServeArguments,
}

#[derive(Debug, Subcommand)]
enum SandboxCommand {
    /// Make requests to a running sandbox fail the way real servers fail them
    #[command(subcommand)]
    Fault(fault::FaultCommand),
    /// Say what becomes of the pods of a running sandbox
    #[command(subcommand)]
    Pods(told::PodsCommand),
    /// Say what the pods and nodes of a running sandbox use, for `kubectl top` and autoscalers
    #[command(subcommand)]
    Metrics(told::MetricsCommand),
    /// Do to the clients of a running sandbox what a restart of the API server does: watches end, older versions are gone
    Restart,
}

#[derive(Debug, Args)]
struct ServeArguments {
    /// Address to serve at; port 0 takes any free one
    #[arg(long, default_value = "127.0.0.1:0", value_name = "ADDRESS:PORT", value_parser = address)]
    listen: SocketAddr,
    /// File to write a kubeconfig to, with a context for each of admin, alice@example.com and bob@example.com
    #[arg(long, value_name = "FILE", required = true)]
    kubeconfig_out: Option<PathBuf>,
    /// User of the kubeconfig's current context
    #[arg(long, default_value = "admin", value_parser = trueup_sandbox::USERS)]
    user: String,
    /// Seed of ids and generated names
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Name of the default storage class, whose claims get volumes; empty for none, as on a bare control plane
    #[arg(long, default_value = "standard", value_name = "NAME")]
    storage_class: String,
    #[command(flatten)]
    audit: audit::AuditArguments,
}

pub async fn run(arguments: SandboxArguments, globals: &Globals) -> Result<Ending, Failure> {
    match arguments.command {
        None => serve(arguments.serve).await,
        Some(SandboxCommand::Fault(command)) => fault::run(&command, globals).await,
        Some(SandboxCommand::Pods(command)) => told::pods(&command, globals).await,
        Some(SandboxCommand::Metrics(command)) => told::metrics(&command, globals).await,
        Some(SandboxCommand::Restart) => fault::restart(globals).await,
    }
}

async fn serve(arguments: ServeArguments) -> Result<Ending, Failure> {
    let ServeArguments { listen, kubeconfig_out, user, seed, storage_class, audit } = arguments;
    let storage_class = Some(storage_class).filter(|name| !name.is_empty());
    if !listen.ip().is_loopback() {
        return Err(Failure::user(format!("{listen} can be reached from other machines"))
            .hint("the sandbox is open to whoever has its kubeconfig: listen at 127.0.0.1"));
    }
    let audit = audit.options()?;
    let sandbox =
        Sandbox::start(SandboxOptions { seed, listen, storage_class, audit, ..SandboxOptions::default() })
            .await
            .map_err(|error| {
                Failure::world(format!("failed to start the sandbox at {listen}: {}", chain(&error)))
                    .hint("choose another port with --listen, or 127.0.0.1:0 for any free one")
            })?;
    // The parser asks for it wherever there is no subcommand.
    let kubeconfig_out = kubeconfig_out.unwrap_or_default();
    write_private(&kubeconfig_out, &sandbox.kubeconfig(&user))?;
    output::line(&format!("{} is ready; kubectl --kubeconfig {}", sandbox.url(), kubeconfig_out.display()));
    sandbox.run_until(stop_requested()).await;
    Ok(Ending::Done)
}

/// An address and a port; `localhost` is 127.0.0.1, and no other name is looked up.
fn address(text: &str) -> Result<SocketAddr, String> {
    let numbers = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    numbers.as_deref().unwrap_or(text).parse().map_err(|_| {
        "an address is a number and a port, such as 127.0.0.1:8443, or 127.0.0.1:0 for any free port"
            .to_owned()
    })
}

/// An error with its causes.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

/// Writes a file that holds credentials: only its owner may read it.
pub fn write_private(file: &std::path::Path, content: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(file)
        .and_then(|mut open| open.write_all(content.as_bytes()));
    written.map_err(|error| Failure::user(format!("failed to write {}: {error}", file.display())))
}

/// Ends with SIGTERM, SIGINT, or SIGHUP, which a terminal sends that is closed.
pub async fn stop_requested() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut hangup)) = (signal(SignalKind::terminate()), signal(SignalKind::hangup()))
    else {
        // Without a handler the signal ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = hangup.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
