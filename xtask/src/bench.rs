//! `cargo xtask bench`: measures an engine from the outside, on a real control plane: its speed, its memory, its start.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

#[derive(Args)]
pub struct Options {
    /// What is measured
    #[arg(value_enum)]
    measurement: Measurement,
    /// Applications of 20 objects each [default: 250 for latency, 1000 for memory and start]
    #[arg(long, value_name = "NUMBER")]
    apps: Option<usize>,
    /// Foreign writes that are measured
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    writes: usize,
    /// The program under test [default: a release build of this workspace]
    #[arg(long, value_name = "PATH")]
    binary: Option<PathBuf>,
    /// An API server to use in place of a private control plane
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// From a foreign write to OutOfSync, and to healed
    Latency,
    /// Resident memory with everything settled
    Memory,
    /// From the start of the process until every verdict is known, after a kill
    Start,
}

pub fn run(options: &Options) -> Result<()> {
    let Options { measurement, apps, writes, binary, kubeconfig } = options;
    let _ = (measurement, apps, writes, binary, kubeconfig);
    bail!("nothing is measured: this build has only the shape of the command")
}
