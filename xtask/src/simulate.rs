//! `cargo xtask simulate`: plays the whole controller in simulated time, from seeds.
//!
//! The program is `trueup-simulation`, a crate of its own: what automates the project need not be built with the whole product in it.

use std::{
    env,
    path::PathBuf,
    process::{Command, ExitCode},
};

use anyhow::{Context, Result};
use clap::Args;

use crate::workspace_root;

#[derive(Args)]
pub struct Options {
    /// How many seeds are played, one after the other from the first [default: 100]
    #[arg(long, value_name = "NUMBER")]
    seeds: Option<u64>,
    /// The first seed [default: 1]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// The steps of each story [default: 200]
    #[arg(long, value_name = "NUMBER")]
    steps: Option<u64>,
    /// Stories at the same time [default: 2]
    #[arg(long, value_name = "NUMBER")]
    jobs: Option<u64>,
    /// Play this story in place of those of seeds
    #[arg(long, value_name = "FILE")]
    story: Option<PathBuf>,
    /// Print what happens, line by line; for one story
    #[arg(long)]
    trace: bool,
    /// Put applications on hold, too, beside the steps
    #[arg(long)]
    holds: bool,
    /// Print the stories in place of playing them
    #[arg(long)]
    show: bool,
    /// Leave what fails as it is: neither made small nor kept
    #[arg(long)]
    no_keep: bool,
    /// Build with all optimisations: worth the time for thousands of seeds
    #[arg(long)]
    release: bool,
}

pub fn run(options: &Options) -> Result<ExitCode> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["run", "--quiet", "--package", "trueup-simulation", "--bin", "trueup-simulation"]);
    command.arg("--manifest-path").arg(workspace_root().join("Cargo.toml"));
    if options.release {
        command.arg("--release");
    }
    command.arg("--");
    let numbers = [
        ("--seeds", options.seeds),
        ("--seed", options.seed),
        ("--steps", options.steps),
        ("--jobs", options.jobs),
    ];
    for (name, number) in numbers {
        command.args(number.iter().flat_map(|number| [name.to_owned(), number.to_string()]));
    }
    if let Some(file) = &options.story {
        command.arg("--story").arg(file);
    }
    command.args(options.trace.then_some("--trace"));
    command.args(options.holds.then_some("--holds"));
    command.args(options.show.then_some("--show"));
    command.args(options.no_keep.then_some("--no-keep"));
    let status = command.status().context("run cargo")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
