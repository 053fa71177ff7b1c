//! `cargo xtask codegen`: writes the compiled-in table of facts about built-in kinds from the test control plane.
//!
//! What the API server publishes (types, list types, discovery) is read from it; what it does not publish (real defaults, the fate of
//! declared zero values) is learnt by probing its own code in-process, since validation would refuse most probes sent to the server.
//! `crates/trueup-merge/data/README.md` describes the result, `docs/design/0002-learning-defaults.md` the reasons.

mod discovery;
mod facts;
mod openapi;
mod probe;
mod table;

use std::{fs, path::Path};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;
use trueup_testkit::controlplane::{ControlPlane, Options};

const TABLE: &str = "crates/trueup-merge/data/builtin.json";

#[derive(Args)]
pub struct Codegen {
    /// Write nothing; fail when the file would change
    #[arg(long)]
    check: bool,
}

pub fn run(root: &Path, options: &Codegen) -> Result<()> {
    let mut progress = |line: &str| eprintln!("{line}");
    let plane = ControlPlane::start(&Options::default(), &mut progress)?;
    progress("reading what the API server publishes (a few seconds)");
    let discovered = discovery::read(&plane)?;
    let documents: Vec<Value> = discovered
        .group_versions()
        .map(|path| get(&plane, &format!("/openapi/v3/{path}")))
        .collect::<Result<_>>()?;
    let published = openapi::reduce(&documents, &discovered)?;
    progress("probing defaults and zero values of every field (about a minute)");
    let facts = facts::learn(&published, &plane.programs().controlplane)?;
    let text = table::write(&plane.ready().kubernetes, &published, &facts, &discovered)?;
    write_or_compare(&root.join(TABLE), &text, options.check)
}

/// Reads a path of the API server as JSON.
fn get(plane: &ControlPlane, path: &str) -> Result<Value> {
    let output = plane.kubectl().args(["get", "--raw", path]).output().context("run kubectl")?;
    if !output.status.success() {
        bail!("read {path}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("parse {path}"))
}

fn write_or_compare(path: &Path, text: &str, check: bool) -> Result<()> {
    let before = fs::read_to_string(path).unwrap_or_default();
    if before == text {
        println!("{TABLE} is fresh ({} bytes)", text.len());
        return Ok(());
    }
    if check {
        bail!("{TABLE} is not what the control plane says; run: cargo xtask codegen, and commit the result");
    }
    fs::write(path, text).with_context(|| format!("write {}", path.display()))?;
    println!("{TABLE} written ({} bytes)", text.len());
    Ok(())
}
