//! `cargo xtask bench`: measures an engine from the outside, on a real control plane: its speed, its memory, its start.
//!
//! The engine is driven through the API server, its objects, Git, its command line, `/proc` and `/metrics` only. Figures are
//! printed and the raw samples kept; nothing is asserted but that a run counts: that exactly the expected applications are
//! OutOfSync at its end.

mod engine;
mod figures;
mod ground;
mod latency;
mod memory;
mod observer;
mod requests;
mod start;
mod std20;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use trueup_object::Value;

use crate::workspace_root;
use figures::{Raw, count};
use ground::{Ground, say};

#[derive(Args)]
pub struct Options {
    /// What is measured
    #[arg(value_enum)]
    measurement: Measurement,
    /// Applications of 20 objects each [default: 250 for latency, 1000 for memory and start]
    #[arg(long, value_name = "NUMBER")]
    apps: Option<usize>,
    /// Foreign writes whose consequences are timed
    #[arg(long, value_name = "NUMBER", default_value_t = 200)]
    writes: usize,
    /// The program under test [default: a release build of this workspace]
    #[arg(long, value_name = "PATH", conflicts_with = "debug")]
    binary: Option<PathBuf>,
    /// Use a debug build: for trying the bench itself
    #[arg(long)]
    debug: bool,
    /// An API server to use in place of a private control plane; it must hold no Applications
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

impl Measurement {
    fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Memory => "memory",
            Self::Start => "start",
        }
    }

    fn apps(self) -> usize {
        match self {
            Self::Latency => 250,
            Self::Memory | Self::Start => 1000,
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let n_apps = options.apps.unwrap_or_else(|| options.measurement.apps());
    if options.measurement == Measurement::Latency && options.writes > n_apps {
        bail!("each write goes to an application of its own: give at most --writes {n_apps}");
    }
    let program = program(options)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(measure(options, &program, n_apps))
}

async fn measure(options: &Options, program: &Path, n_apps: usize) -> Result<()> {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs();
    let name = options.measurement.name();
    let mut raw = Raw::create(&workspace_root().join(".cache/bench"), &format!("{name}-{seconds}"))?;
    let kubeconfig = options.kubeconfig.as_deref();
    let mut ground = Ground::prepare(program, kubeconfig, n_apps).await?;
    let mut header = circumstances(program, &ground.server);
    header.push(("measurement", name.into()));
    header.push(("apps", count(n_apps)));
    if options.measurement == Measurement::Latency {
        header.extend(latency::parameters(options.writes));
    }
    raw.write(&header)?;
    for (name, value) in &header {
        println!("{name:<34} {}", value.as_str().map_or_else(|| value.to_json(), str::to_owned));
    }
    match options.measurement {
        Measurement::Latency => latency::run(&mut ground, options.writes, &mut raw).await?,
        Measurement::Memory => memory::run(&mut ground, &mut raw).await?,
        Measurement::Start => start::run(&mut ground, &mut raw).await?,
    }
    raw.write(&[("load_at_end", load().into())])?;
    println!("{:<34} {}", "load at the end", load());
    println!("{:<34} {}", "raw samples", raw.path.display());
    Ok(())
}

/// The program that is asked for, built where it has to be.
fn program(options: &Options) -> Result<PathBuf> {
    if let Some(program) = &options.binary {
        return program.canonicalize().with_context(|| format!("find {}", program.display()));
    }
    let root = workspace_root();
    let (profile, folder) = if options.debug { ("dev", "debug") } else { ("release", "release") };
    say(&format!("building the program under test ({folder}; minutes where it was not built before)"));
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .current_dir(&root)
        .args(["build", "--quiet", "--package", "trueup", "--profile", profile])
        .status()
        .context("run cargo build")?;
    if !built.success() {
        bail!("the program under test does not compile");
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    Ok(target.join(folder).join("trueup"))
}

/// Where and with what a run was made: figures are compared only under equal circumstances.
fn circumstances(program: &Path, server: &str) -> Vec<(&'static str, Value)> {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = memory.lines().next().unwrap_or_default().trim_start_matches("MemTotal:").trim().to_owned();
    let n_cores = std::thread::available_parallelism().map_or(0, usize::from);
    vec![
        ("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]).into()),
        ("commit", output("git", &["describe", "--always", "--dirty", "--abbrev=10"]).into()),
        ("program", program.display().to_string().into()),
        ("version", output(&program.display().to_string(), &["version"]).into()),
        ("server", format!("Kubernetes {server}").into()),
        ("machine", format!("{n_cores} cores, {memory}").into()),
        ("load at the beginning", load().into()),
    ]
}

fn load() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// The first line that a program prints.
fn output(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).current_dir(workspace_root()).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
