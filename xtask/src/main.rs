//! The project's own automation, run as `cargo xtask`: one typed door to everything that is not a cargo command.

mod bench;
mod cluster;
mod codegen;
mod corpus;
mod differential;
mod fuzz;
mod kubectl;
mod sandbox_differential;
mod simulate;
mod story;
mod tidy;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

/// The project's own automation.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure the engine on a real control plane: speed, memory, start.
    Bench(bench::Options),
    /// Run a real Kubernetes control plane on this machine.
    #[command(subcommand)]
    Cluster(cluster::Task),
    /// Write what is compiled in and learnt from the control plane: facts about built-in kinds, first objects.
    Codegen(codegen::Codegen),
    /// Play charts and edits by hand on a real control plane: no false drift, and none missed.
    Corpus(corpus::Options),
    /// Hold what we predict to what a real API server does, on random objects and edits.
    Differential(differential::Options),
    /// Feed everything that reads what others wrote with anything: no panic, and bounded time and memory.
    Fuzz(fuzz::Options),
    /// Let kubectl judge the sandbox: the same commands there and on a real control plane.
    KubectlJudge(kubectl::Options),
    /// Hold the sandbox to a real control plane, on random sequences of requests.
    SandboxDifferential(sandbox_differential::Options),
    /// Play the whole controller in simulated time, from seeds: crashes, faults, fights, and what must hold all the same.
    Simulate(simulate::Options),
    /// Play drift stories in the sandbox and on a real control plane.
    Story(story::Options),
    /// Check the rules of the project that no compiler checks: crate edges, file lengths, headers, banned dependencies.
    Tidy,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Bench(options) => bench::run(&options),
        Task::Cluster(task) => cluster::run(&task),
        Task::Codegen(options) => codegen::run(&workspace_root(), &options),
        Task::Corpus(options) => return finish(corpus::run(&options)),
        Task::Differential(options) => return finish(differential::run(&options)),
        Task::Fuzz(options) => fuzz::run(&options),
        Task::KubectlJudge(options) => return finish(kubectl::run(&options)),
        Task::SandboxDifferential(options) => return finish(sandbox_differential::run(&options)),
        Task::Simulate(options) => return finish(simulate::run(&options)),
        Task::Story(options) => return finish(story::run(&options)),
        Task::Tidy => tidy::run(&workspace_root()),
    };
    finish(done.map(|()| ExitCode::SUCCESS))
}

fn finish(done: anyhow::Result<ExitCode>) -> ExitCode {
    match done {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The folder of the workspace that this program was built in.
fn workspace_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).unwrap_or_default()
}
